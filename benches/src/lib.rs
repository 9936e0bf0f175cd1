//! What the benches of a whole node share: the node itself and its neighbours as processes, a client
//! that costs little, and figures with their bars.
//!
//! Nothing here knows what is measured. Errors end a bench: it says what is broken, and no figure.

pub mod client;
pub mod figure;
pub mod machine;
pub mod nginx;
pub mod node;
pub mod playlist;
pub mod process;
pub mod publisher;
pub mod source;
pub mod streams;
pub mod summary;
