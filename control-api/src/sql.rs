//! How requests speak to the database: unnamed statements inside transactions.
//!
//! A pooler in transaction mode may give every transaction another server connection, where a
//! statement that was prepared outside it, named or not, does not exist. (A statement cache of
//! size 0 alone does not help: sqlx 0.9 then still names its statements, and never closes them.)
//! So every statement of a request goes through these functions and a [`Work`].

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::{Query, QueryAs, QueryScalar};
use sqlx::{FromRow, Postgres, Transaction};

/// A transaction; rolled back unless committed.
pub(crate) type Work = Transaction<'static, Postgres>;

/// A statement without rows.
pub(crate) fn query(sql: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(sql).persistent(false)
}

/// A statement with rows.
pub(crate) fn query_as<T>(sql: &'static str) -> QueryAs<'static, Postgres, T, PgArguments>
where
    T: for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_as(sql).persistent(false)
}

/// A statement with rows of one column.
pub(crate) fn query_scalar<T>(sql: &'static str) -> QueryScalar<'static, Postgres, T, PgArguments>
where
    (T,): for<'r> FromRow<'r, PgRow>,
{
    sqlx::query_scalar(sql).persistent(false)
}
