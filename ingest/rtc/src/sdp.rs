//! SDP as lines: the session part and the `m=` sections, with their attributes.
//!
//! Pure, and knows no meaning beyond `rtpmap` and `fmtp` (RFC 8866).

/// The longest text, in bytes; a browser's offer is below 10 KiB.
pub(crate) const LONGEST: usize = 64 * 1024;

/// The session part or one `m=` section.
#[derive(Default)]
pub(crate) struct Block<'a> {
    /// What stands after `m=`; empty in the session part.
    pub(crate) media: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Block<'a> {
    /// The value of the first `a=<name>`, empty for a flag.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The values of all `a=<name>`.
    pub(crate) fn all<'b>(&'b self, name: &'b str) -> impl Iterator<Item = &'a str> + 'b {
        self.attributes.iter().filter(move |(key, _)| *key == name).map(|(_, value)| *value)
    }

    /// True if `payload` is mapped to `name`, in any case and with any number of channels.
    pub(crate) fn is_mapped(&self, payload: u8, name: &str) -> bool {
        self.of_payload("rtpmap", payload).is_some_and(|map| map.to_ascii_lowercase().starts_with(name))
    }

    /// The format parameter `name` of `payload`.
    pub(crate) fn parameter(&self, payload: u8, name: &str) -> Option<&'a str> {
        self.of_payload("fmtp", payload)?.split(';').find_map(|p| {
            let (key, value) = p.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The value of `a=<name>:<payload> <value>`.
    fn of_payload(&self, name: &str, payload: u8) -> Option<&'a str> {
        self.all(name).find_map(|value| {
            let (key, rest) = value.split_once(' ')?;
            (key.parse() == Ok(payload)).then_some(rest.trim())
        })
    }
}

/// Splits `text` into the session part and its `m=` sections; the error says what is wrong.
pub(crate) fn blocks(text: &str) -> Result<(Block<'_>, Vec<Block<'_>>), &'static str> {
    if text.len() > LONGEST {
        return Err("it is longer than 64 KiB");
    }
    let mut lines = text.lines().map(str::trim_end).filter(|l| !l.is_empty());
    if lines.next() != Some("v=0") {
        return Err("it does not begin with v=0");
    }
    let mut session = Block::default();
    let mut sections: Vec<Block<'_>> = Vec::new();
    for line in lines {
        let (letter, value) = line
            .split_once('=')
            .filter(|(letter, _)| letter.len() == 1)
            .ok_or("a line is not of the form <letter>=<value>")?;
        match letter {
            "m" => sections.push(Block { media: value, attributes: Vec::new() }),
            "a" => {
                let attribute = value.split_once(':').unwrap_or((value, ""));
                sections.last_mut().unwrap_or(&mut session).attributes.push(attribute);
            }
            _ => {}
        }
    }
    Ok((session, sections))
}
