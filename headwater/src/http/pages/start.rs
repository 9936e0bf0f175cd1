//! What the watch page starts from: the channel's state and its multivariant playlist, as data within the page. It saves
//! the page two requests before it can ask for media; without it the page asks.

use std::str;

use origin::Directory;
use schema::ChannelName;
use serde_json::json;

/// What the client's build writes where the data belongs.
const MARK: &str = "<!--__HW_START__-->";

/// `page` with what is known of `channel` now.
pub(super) fn fill(page: &str, directory: &Directory, channel: &ChannelName) -> String {
    let current = directory.current_for_everybody(channel);
    let multivariant = current.as_ref().filter(|broadcast| !broadcast.has_ended()).and_then(|broadcast| {
        let text = broadcast.multivariant.get()?;
        str::from_utf8(text).ok().map(str::to_owned)
    });
    let data = json!({ "channel": channel, "state": directory.state(channel), "multivariant": multivariant });
    page.replace(MARK, &element(&data.to_string()))
}

/// A data block, which no script policy applies to (HTML 4.12.1). Within it nothing but `<` could end it or begin a
/// comment, and in JSON that stands within strings alone.
fn element(json: &str) -> String {
    format!("<script type=\"application/json\" id=\"start\">{}</script>", json.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use packager::testing::ScriptedBroadcast;
    use schema::ladder::LatencyProfile;
    use serde_json::Value;

    use super::*;

    fn data(page: &str) -> Value {
        let inside = page.strip_prefix("<script type=\"application/json\" id=\"start\">").unwrap();
        serde_json::from_str(inside.strip_suffix("</script>").unwrap()).unwrap()
    }

    #[test]
    fn a_page_says_what_is_live_with_its_playlist_until_the_end() {
        let directory = Directory::new();
        let mut broadcast = ScriptedBroadcast::new("demo", LatencyProfile::Low);
        broadcast.part();
        let channel = broadcast.live.channel.clone();
        let offline = data(&fill(MARK, &directory, &channel));
        assert_eq!((&offline["channel"], &offline["state"]["state"]), (&"demo".into(), &"offline".into()));
        assert_eq!(offline["multivariant"], Value::Null);
        directory.list(Arc::clone(&broadcast.live)).unwrap();
        let live = data(&fill(MARK, &directory, &channel));
        assert_eq!(live["state"], directory.state(&channel));
        assert_eq!(live["state"]["state"], "live");
        assert!(live["multivariant"].as_str().unwrap().starts_with("#EXTM3U"));
        broadcast.end();
        let ended = data(&fill(MARK, &directory, &channel));
        assert_eq!((&ended["state"]["state"], &ended["multivariant"]), (&"ended".into(), &Value::Null));
    }

    #[test]
    fn a_title_cannot_break_out_of_the_data() {
        let json = serde_json::json!({ "title": "</script><script>alert(1)</script><!--" });
        let made = element(&json.to_string());
        assert_eq!(made.matches('<').count(), 2);
        assert_eq!(data(&made), json);
    }
}
