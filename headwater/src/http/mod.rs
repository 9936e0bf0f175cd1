//! The public port: one server for viewers, publishers, API and pages; and the server of the other HTTP ports.

pub(crate) mod audience;
pub(crate) mod metrics;
pub(crate) mod pages;
pub(crate) mod proxies;
pub(crate) mod public;
pub(crate) mod redirect;
mod refusal;
mod route;
pub(crate) mod server;
pub(crate) mod tls;
