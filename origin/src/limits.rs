//! What a node grants to all viewers together.

/// The limits of one [`crate::Origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many requests may wait for media at once; more are answered 503 with `Retry-After`. Each
    /// costs its connection (about 10 kB) and under 1 kB here, so this bounds memory.
    pub held_requests_max: usize,
    /// The longest path and query together, in bytes; more is 414. A player's URL has some 150, and
    /// CMCD in the query may add several hundred.
    pub uri_bytes_max: usize,
    /// How many bytes of files may be in memory at once, read or being sent; who wants more waits for a moment, and is
    /// answered 503 then. A file larger than all of it is not sent.
    pub file_bytes_max: usize,
    /// How many files are read at once, each on a thread of its own.
    pub file_reads_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { held_requests_max: 50_000, uri_bytes_max: 4_096, file_bytes_max: 256 << 20, file_reads_max: 32 }
    }
}
