//! Answers viewers from immutable snapshots: LL-HLS with blocking reload, over any HTTP server.
//!
//! [`Directory`] says what is live, [`Origin`] answers requests about it. The decisions
//! ([`live::decide`], [`live::directive`], the rules of `reply`) read no clock and wait for nothing;
//! only [`Origin::handle`] waits, in the viewer's own future, which holds everything that the wait
//! needs and frees it when dropped. [`Guard`] keeps what is for members from everybody else. Knows no socket, no task, no
//! database, and of a viewer nothing but the token.

mod body;
mod files;
mod guard;
mod limits;
pub mod live;
mod metrics;
mod origin;
mod refusal;
mod reply;

pub use body::Body;
pub use guard::{EDGE_SECRET, Guard};
pub use limits::Limits;
pub use live::directory::{Directory, ListError};
pub use origin::Origin;
pub use reply::accepts_gzip;
