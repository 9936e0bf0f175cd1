//! What the configuration says of windows for rewinding.

pub(crate) use packager::archive::Limits as Dvr;

/// Less holds no window of any use.
const BYTES_LEAST: u64 = 1_000_000;
/// Twelve hours, as the longest window.
const KEEP_AFTER_END_S_MOST: u32 = 43_200;

/// What is wrong with it, as key and reason.
pub(super) fn check(dvr: &Dvr) -> Result<(), (&'static str, &'static str)> {
    if dvr.bytes_max < BYTES_LEAST {
        return Err(("dvr.bytes_max", "must be at least 1000000"));
    }
    if dvr.keep_after_end_s > KEEP_AFTER_END_S_MOST {
        return Err(("dvr.keep_after_end_s", "must be at most 43200"));
    }
    Ok(())
}
