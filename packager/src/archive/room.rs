//! How much all DVR windows of a node may take, and who has to give way. Pure: told how much is free.

use std::collections::HashMap;

use schema::BroadcastId;

use super::Limits;

/// Of the limit, one in so many bytes is left for what was removed and is still owed.
const HEADROOM: u64 = 8;
/// And at least so many segments of each rendition.
const HEADROOM_SEGMENTS: u64 = 5;

/// What one broadcast takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Share {
    /// Bytes of what is listed.
    pub(super) listed: u64,
    /// Bytes of all its files.
    pub(super) bytes: u64,
    /// Bytes of its newest segment, in all renditions together.
    pub(super) row: u64,
    /// Nothing comes any more.
    pub(super) ended: bool,
}

/// What all broadcasts of a node take.
#[derive(Debug, Default)]
pub(super) struct Shares(HashMap<BroadcastId, Share>);

/// How it stands, for one broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// How many more bytes may be written.
    pub(super) left: u64,
    /// What is owed and can go must.
    pub(super) is_short: bool,
    /// So many bytes of its list must go: it is the largest, and the lists together are too large.
    pub(super) excess: u64,
    /// Those that have ended should be dropped.
    pub(super) ended_must_go: bool,
}

impl Shares {
    pub(super) fn set(&mut self, broadcast: &BroadcastId, share: Share) {
        self.0.insert(broadcast.clone(), share);
    }

    pub(super) fn end(&mut self, broadcast: &BroadcastId) {
        if let Some(share) = self.0.get_mut(broadcast) {
            share.ended = true;
        }
    }

    pub(super) fn remove(&mut self, broadcast: &BroadcastId) {
        self.0.remove(broadcast);
    }

    /// The bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        self.0.values().map(|share| share.bytes).sum()
    }

    /// How it stands for `broadcast` when the file system has `free` bytes; `None` where that is not known.
    pub(super) fn standing(&self, broadcast: &BroadcastId, limits: &Limits, free: Option<u64>) -> Standing {
        let bytes = self.bytes();
        // What others take and give back moves the limit, what is written here does not.
        let fits = free.map_or(u64::MAX, |free| bytes.saturating_add(free).saturating_sub(limits.free_bytes_min));
        let limit = limits.bytes_max.min(fits);
        let rows: u64 = self.0.values().filter(|share| !share.ended).map(|share| share.row).sum();
        let headroom = (limit / HEADROOM).max(rows.saturating_mul(HEADROOM_SEGMENTS));
        let aim = limit.saturating_sub(headroom);
        let listed: u64 = self.0.values().map(|share| share.listed).sum();
        let running = || self.0.iter().filter(|(_, share)| !share.ended);
        let largest = running().max_by_key(|(id, share)| (share.listed, id.as_str())).map(|(id, _)| id);
        Standing {
            left: limit.saturating_sub(bytes),
            is_short: bytes > aim,
            excess: if largest == Some(broadcast) { listed.saturating_sub(aim) } else { 0 },
            ended_must_go: bytes > aim && self.0.values().any(|share| share.ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits { bytes_max: 8_000, free_bytes_min: 1_000, keep_after_end_s: 0 };

    fn id(name: &str) -> BroadcastId {
        name.parse().unwrap()
    }

    fn share(listed: u64, bytes: u64) -> Share {
        Share { listed, bytes, row: 10, ended: false }
    }

    #[test]
    fn the_largest_gives_way_and_nobody_else() {
        let mut shares = Shares::default();
        shares.set(&id("small"), share(2_000, 2_000));
        shares.set(&id("large"), share(5_500, 5_600));
        let standing = |name| shares.standing(&id(name), &LIMITS, Some(1_000_000));
        assert_eq!(standing("large"), Standing { left: 400, is_short: true, excess: 500, ended_must_go: false });
        assert_eq!(standing("small"), Standing { left: 400, is_short: true, excess: 0, ended_must_go: false });
    }

    #[test]
    fn what_has_ended_goes_before_a_running_broadcast_gives_way_for_long() {
        let mut shares = Shares::default();
        shares.set(&id("old"), share(6_000, 6_000));
        shares.set(&id("new"), share(1_500, 1_500));
        shares.end(&id("old"));
        let standing = shares.standing(&id("new"), &LIMITS, None);
        assert!(standing.ended_must_go && standing.excess == 500, "{standing:?}");
        shares.remove(&id("old"));
        let standing = shares.standing(&id("new"), &LIMITS, None);
        assert_eq!(standing, Standing { left: 6_500, is_short: false, excess: 0, ended_must_go: false });
    }

    #[test]
    fn a_file_system_that_others_fill_is_given_room_back() {
        let mut shares = Shares::default();
        shares.set(&id("b"), share(4_000, 4_000));
        let standing = |free| shares.standing(&id("b"), &LIMITS, Some(free));
        assert_eq!(standing(1_000).left, 0);
        assert_eq!(standing(1_000).excess, 500);
        assert_eq!(standing(0).excess, 4_000 - (3_000 - 375));
        assert_eq!(standing(3_000).left, 2_000);
    }

    proptest! {
        #[test]
        fn never_more_is_left_than_the_limits_leave(bytes in prop::collection::vec(0_u64..10_000, 1..5), free in 0_u64..20_000) {
            let mut shares = Shares::default();
            for (index, &bytes) in bytes.iter().enumerate() {
                shares.set(&id(&format!("b{index}")), share(bytes, bytes));
            }
            let total: u64 = bytes.iter().sum();
            let left = shares.standing(&id("b0"), &LIMITS, Some(free)).left;
            prop_assert!(left == 0 || total + left <= LIMITS.bytes_max);
            prop_assert!(left == 0 || free - left >= LIMITS.free_bytes_min);
        }
    }
}
