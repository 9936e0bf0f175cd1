//! What a link to a watch page shows elsewhere: the tags that previews of chats and social networks read.
//!
//! They want absolute addresses, and take those by which the page itself was asked for.

use http::uri::{Authority, Scheme};
use http::{Extensions, HeaderMap, Uri, header};
use packager::live::LiveBroadcast;

use super::escape;

/// What the client's build writes where the address of this server belongs.
const BASE_MARK: &str = "__HW_BASE__";
/// Where the kind of preview belongs.
const CARD_MARK: &str = "__HW_CARD__";
/// Where the tags of the picture belong.
const IMAGE_MARK: &str = "<!--__HW_IMAGE__-->";

/// `page` with the tags of a preview of `live`; without a picture where the channel is not live or has none yet, or
/// where `base` is unknown.
pub(super) fn fill(page: &str, base: Option<&str>, live: Option<&LiveBroadcast>) -> String {
    let image = base.zip(live).and_then(|(base, live)| image(base, live));
    let card = if image.is_some() { "summary_large_image" } else { "summary" };
    page.replace(IMAGE_MARK, &image.unwrap_or_default())
        .replace(CARD_MARK, card)
        .replace(BASE_MARK, &escape(base.unwrap_or_default()))
}

fn image(base: &str, live: &LiveBroadcast) -> Option<String> {
    if live.has_ended() {
        return None;
    }
    let size = live.thumbnail.borrow().as_ref()?.size;
    let url = escape(&format!("{base}/live/{}/thumbnail.jpg", live.channel));
    let tag = |name: &str, value: &str| format!("<meta property=\"og:image{name}\" content=\"{value}\"/>");
    Some(
        [
            tag("", &url),
            tag(":type", "image/jpeg"),
            tag(":width", &size.width.to_string()),
            tag(":height", &size.height.to_string()),
            tag(":alt", &escape(&live.title)),
        ]
        .concat(),
    )
}

/// Scheme and host of a request, as in `https://tv.example`: of its target, as in HTTP/2, or else of `Host`.
pub(super) fn base(uri: &Uri, headers: &HeaderMap, extensions: &Extensions) -> Option<String> {
    let named = || headers.get(header::HOST)?.to_str().ok()?.parse().ok();
    let authority: Authority = uri.authority().cloned().or_else(named)?;
    let usable = !authority.host().is_empty() && !authority.as_str().contains('@');
    let scheme = extensions.get::<Scheme>().unwrap_or(&Scheme::HTTP);
    usable.then(|| format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use packager::testing::ScriptedBroadcast;
    use schema::ladder::LatencyProfile;

    use super::*;

    const PAGE: &str = "<meta content=\"__HW_BASE__/watch/x\"/><meta content=\"__HW_CARD__\"/><!--__HW_IMAGE__-->";
    const BARE: &str = "<meta content=\"https://tv.example/watch/x\"/><meta content=\"summary\"/>";
    const BASE: Option<&str> = Some("https://tv.example");

    #[test]
    fn only_a_live_broadcast_with_a_picture_has_one_in_its_preview() {
        let mut broadcast = ScriptedBroadcast::new("demo", LatencyProfile::Low);
        broadcast.part();
        assert_eq!(fill(PAGE, BASE, None), BARE);
        assert_eq!(fill(PAGE, BASE, Some(&broadcast.live)), BARE);
        broadcast.thumbnail("picture");
        let expected = [
            "<meta content=\"https://tv.example/watch/x\"/><meta content=\"summary_large_image\"/>",
            "<meta property=\"og:image\" content=\"https://tv.example/live/demo/thumbnail.jpg\"/>",
            "<meta property=\"og:image:type\" content=\"image/jpeg\"/>",
            "<meta property=\"og:image:width\" content=\"640\"/>",
            "<meta property=\"og:image:height\" content=\"360\"/>",
            "<meta property=\"og:image:alt\" content=\"A test\"/>",
        ];
        assert_eq!(fill(PAGE, BASE, Some(&broadcast.live)), expected.concat());
        assert_eq!(fill(PAGE, None, Some(&broadcast.live)), BARE.replace("https://tv.example", ""));
        broadcast.end();
        assert_eq!(fill(PAGE, BASE, Some(&broadcast.live)), BARE);
    }

    #[test]
    fn the_base_is_the_address_that_was_asked_for() {
        let found = |uri: &str, host: Option<&'static str>, scheme: Option<Scheme>| {
            let mut headers = HeaderMap::new();
            headers.extend(host.map(|host| (header::HOST, HeaderValue::from_static(host))));
            let mut extensions = Extensions::new();
            if let Some(scheme) = scheme {
                extensions.insert(scheme);
            }
            base(&uri.parse().unwrap(), &headers, &extensions)
        };
        let is = |base: &str| Some(base.to_owned());
        assert_eq!(found("/watch/a", Some("tv.example:8080"), None), is("http://tv.example:8080"));
        assert_eq!(found("/watch/a", Some("tv.example"), Some(Scheme::HTTPS)), is("https://tv.example"));
        assert_eq!(found("https://b.example/x", Some("tv.example"), Some(Scheme::HTTPS)), is("https://b.example"));
        for nobody in ["a b", "\"><script>", "user@tv.example", "", "tv.example/x"] {
            assert_eq!(found("/watch/a", Some(nobody), None), None, "{nobody}");
        }
        assert_eq!(found("/watch/a", None, None), None);
    }
}
