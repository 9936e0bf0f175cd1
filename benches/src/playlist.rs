//! As much of a media playlist as a load generator needs: what is listed, and what comes next.

/// What a playlist lists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The number of the segment that is not complete.
    pub next_msn: u64,
    /// How many of its parts are listed.
    pub open_parts: u64,
    /// `PART-TARGET` in milliseconds, 0 where there is none.
    pub part_target_ms: u64,
    /// The init section.
    pub map: Option<String>,
    /// Complete segments, by name.
    pub segments: Vec<String>,
    /// Parts, by name.
    pub parts: Vec<String>,
    /// True if nothing comes any more.
    pub ended: bool,
}

impl Listing {
    /// Reads the text of a media playlist.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut listing = Self::default();
        for line in text.lines() {
            listing.take(line);
        }
        listing
    }

    fn take(&mut self, line: &str) {
        if let Some(number) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            self.next_msn = number.parse().unwrap_or(0);
        } else if line.starts_with("#EXT-X-PART-INF:") {
            let seconds = attribute(line, "PART-TARGET").and_then(|text| text.parse().ok());
            self.part_target_ms = seconds.map_or(0, milliseconds);
        } else if line.starts_with("#EXT-X-MAP:") {
            self.map = attribute(line, "URI").map(str::to_owned);
        } else if line.starts_with("#EXT-X-PART:") {
            self.open_parts += 1;
            self.parts.extend(attribute(line, "URI").map(str::to_owned));
        } else if line == "#EXT-X-ENDLIST" {
            self.ended = true;
        } else if !line.is_empty() && !line.starts_with('#') {
            self.segments.push(line.to_owned());
            self.next_msn += 1;
            self.open_parts = 0;
        }
    }

    /// The directives that ask for the next revision.
    #[must_use]
    pub fn next_query(&self) -> String {
        match self.part_target_ms {
            0 => format!("?_HLS_msn={}", self.next_msn),
            _ => format!("?_HLS_msn={}&_HLS_part={}", self.next_msn, self.open_parts),
        }
    }
}

fn milliseconds(seconds: f64) -> u64 {
    u64::try_from(std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_millis()).unwrap_or(0)
}

/// The value of an attribute of a tag, without quotes. Values of ours hold no commas.
#[must_use]
pub fn attribute<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let (_, attributes) = line.split_once(':')?;
    attributes.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then(|| value.trim_matches('"'))
    })
}

/// The URIs of the video renditions of a multivariant playlist, best first, and of its sound.
#[must_use]
pub fn renditions(multivariant: &str) -> (Vec<String>, Option<String>) {
    let video = multivariant.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned);
    let sound = multivariant.lines().filter(|line| line.starts_with("#EXT-X-MEDIA:"));
    (video.collect(), sound.filter_map(|line| attribute(line, "URI")).next().map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_knows_what_comes_next() {
        let text = "#EXTM3U\n#EXT-X-PART-INF:PART-TARGET=0.342\n#EXT-X-MEDIA-SEQUENCE:7\n\
                    #EXT-X-MAP:URI=\"i.mp4\"\n#EXT-X-PART:DURATION=0.3,URI=\"7.0.m4s\"\n#EXTINF:2,\n7.m4s\n\
                    #EXT-X-PART:DURATION=0.3,INDEPENDENT=YES,URI=\"8.0.m4s\"\n\
                    #EXT-X-PART:DURATION=0.3,URI=\"8.1.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"8.2.m4s\"\n";
        let listing = Listing::read(text);
        assert_eq!((listing.next_msn, listing.open_parts, listing.part_target_ms), (8, 2, 342));
        assert_eq!(listing.segments, ["7.m4s"]);
        assert_eq!(listing.parts, ["7.0.m4s", "8.0.m4s", "8.1.m4s"]);
        assert_eq!(listing.map.as_deref(), Some("i.mp4"));
        assert_eq!(listing.next_query(), "?_HLS_msn=8&_HLS_part=2");
        assert!(!listing.ended);
    }

    #[test]
    fn renditions_are_found() {
        let text = "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",URI=\"b/audio/index.m3u8\"\n\
                    #EXT-X-STREAM-INF:BANDWIDTH=1\nb/v0/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=1\nb/v1/index.m3u8\n";
        let (video, sound) = renditions(text);
        assert_eq!(video, ["b/v0/index.m3u8", "b/v1/index.m3u8"]);
        assert_eq!(sound.as_deref(), Some("b/audio/index.m3u8"));
    }
}
