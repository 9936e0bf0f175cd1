//! What all handlers share of HTTP: problems, the guard around them, and what they extract.

pub(crate) mod client;
pub(crate) mod cookie;
pub(crate) mod extract;
pub(crate) mod guard;
pub(crate) mod page;
pub(crate) mod problem;
