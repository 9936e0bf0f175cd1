//! The public port: one server for viewers, publishers, API and pages.

pub(crate) mod audience;
pub(crate) mod pages;
pub(crate) mod public;
pub(crate) mod server;
