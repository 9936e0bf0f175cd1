//! Standard output: for answers to a command and for the ready line, never for logs.

use std::fmt::Display;
use std::io::Write;

/// Writes one line. Nobody listening is no reason to end, so a closed pipe is ignored.
pub(crate) fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _nobody_listens = writeln!(out, "{line}").and_then(|()| out.flush());
}
