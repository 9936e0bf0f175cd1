//! Live LL-HLS: what is live, what a request asks for, and whether to serve, wait or refuse.

pub mod decide;
pub mod directive;
pub mod directory;
pub(crate) mod dvr;
pub(crate) mod route;
pub(crate) mod serve;
pub(crate) mod state;
