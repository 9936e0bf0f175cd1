"""A strict checker of LL-HLS, written from the text of rfc8216bis and not from our renderer.

It knows nothing of the server: it takes playlist texts, bytes of media and the times at which a
client saw them, and returns findings. Each finding names the rule it breaks. An empty list is a
pass. `rules` lists all of them with their clauses.

| module | judges |
|---|---|
| `text` | one playlist as text: lines, tags, attribute lists |
| `media` | one revision of a media playlist |
| `date_ranges` | date ranges: one revision, two, and all renditions |
| `updates` | delta updates, and what a client makes of them |
| `revisions` | what may change between two revisions of one media playlist |
| `rewinding` | a list for rewinding, and it against the live list |
| `presentation` | the multivariant playlist, and media playlists against each other |
| `fmp4` | init sections, parts and segments |
| `timeline` | playlist against media: durations, dates, bit rates |

Not covered: encryption, byte ranges, I-frame playlists.
"""

from .finding import Finding, Report

__all__ = ["Finding", "Report"]
