//! What all handlers share of HTTP: problems, the guard around them, and what they extract.

pub(crate) mod access;
pub(crate) mod client;
pub(crate) mod cookie;
pub(crate) mod extract;
pub(crate) mod guard;
pub(crate) mod limit;
pub(crate) mod once;
pub(crate) mod openapi;
pub(crate) mod page;
pub(crate) mod problem;
pub(crate) mod routes;
pub(crate) mod version;
