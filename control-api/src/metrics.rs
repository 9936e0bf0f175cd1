//! What the control plane counts.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};
use schema::api::REPORTS_PATH;
use sqlx::PgPool;

/// How a browser's attempt to sign in may end.
const SIGN_INS: [&str; 8] = [
    "signed_in",
    "token_unknown",
    "credentials_wrong",
    "code_needed",
    "code_wrong",
    "attempts_too_many",
    "unavailable",
    "error",
];
/// What may become of a mail that somebody asked for.
const MAILS: [&str; 4] = ["sent", "needless", "failed", "dropped"];
/// How an admission may end.
const ADMISSIONS: [&str; 6] = ["granted", "key_unknown", "key_revoked", "token_expired", "unavailable", "error"];

/// The counters of the control API.
#[derive(Debug, Clone)]
pub struct ControlMetrics {
    /// Answered requests of the control API, by method, route and status.
    pub requests: IntCounterVec,
    /// Admissions asked for by publishers, by result.
    pub admissions: IntCounterVec,
    /// Browsers that tried to sign in, by result.
    pub sign_ins: IntCounterVec,
    /// Mails that were asked for, by what became of them.
    pub mails: IntCounterVec,
    /// Refresh tokens that came a second time, each of which ended its sign-in.
    pub refresh_reused: IntCounter,
    /// Signed bearer tokens that were refused.
    pub signed_tokens_refused: IntCounter,
    /// Broadcasts in node reports that were left out because their key is not in the database.
    pub reports_unknown_key: IntCounter,
    /// Orders given to nodes to end a session whose right is gone, or whose broadcast somebody ended.
    pub sessions_ended: IntCounter,
}

impl ControlMetrics {
    /// Registers all of them, and the pool's connections, with `registry`.
    ///
    /// # Errors
    /// If they are registered there already.
    pub fn register(registry: &Registry, pool: &PgPool) -> Result<Self, prometheus::Error> {
        let requests = Opts::new(
            "headwater_control_requests_total",
            "Answered requests of the control API, by method, route and status.",
        );
        let admissions =
            Opts::new("headwater_control_admissions_total", "Admissions asked for by publishers, by result.");
        let sign_ins = Opts::new("headwater_control_sign_ins_total", "Browsers that tried to sign in, by result.");
        let metrics = Self {
            requests: IntCounterVec::new(requests, &["method", "route", "status"])?,
            admissions: IntCounterVec::new(admissions, &["result"])?,
            sign_ins: IntCounterVec::new(sign_ins, &["result"])?,
            mails: IntCounterVec::new(
                Opts::new("headwater_control_mails_total", "Mails that were asked for, by what became of them."),
                &["result"],
            )?,
            refresh_reused: IntCounter::new(
                "headwater_control_refresh_reused_total",
                "Refresh tokens that came a second time, each of which ended its sign-in.",
            )?,
            signed_tokens_refused: IntCounter::new(
                "headwater_control_signed_tokens_refused_total",
                "Signed bearer tokens that were refused.",
            )?,
            reports_unknown_key: IntCounter::new(
                "headwater_control_reports_unknown_key_total",
                "Broadcasts in node reports that were left out because their key is not in the database.",
            )?,
            sessions_ended: IntCounter::new(
                "headwater_control_sessions_ended_total",
                "Orders given to nodes to end a session whose right is gone, or whose broadcast somebody ended.",
            )?,
        };
        // From zero on, so that the first of its kind shows as an increase.
        metrics.requests.with_label_values(&["POST", REPORTS_PATH, "200"]);
        for result in SIGN_INS {
            metrics.sign_ins.with_label_values(&[result]);
        }
        for result in ADMISSIONS {
            metrics.admissions.with_label_values(&[result]);
        }
        for result in MAILS {
            metrics.mails.with_label_values(&[result]);
        }
        registry.register(Box::new(metrics.mails.clone()))?;
        registry.register(Box::new(metrics.refresh_reused.clone()))?;
        registry.register(Box::new(metrics.signed_tokens_refused.clone()))?;
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.admissions.clone()))?;
        registry.register(Box::new(metrics.sign_ins.clone()))?;
        registry.register(Box::new(metrics.reports_unknown_key.clone()))?;
        registry.register(Box::new(metrics.sessions_ended.clone()))?;
        registry.register(Box::new(PoolMetrics::new(pool.clone())?))?;
        Ok(metrics)
    }
}

/// The pool's connections, read when somebody asks.
struct PoolMetrics {
    pool: PgPool,
    open: IntGauge,
    in_use: IntGauge,
}

impl PoolMetrics {
    fn new(pool: PgPool) -> Result<Self, prometheus::Error> {
        Ok(Self {
            pool,
            open: IntGauge::new("headwater_control_database_connections", "Open connections to the database.")?,
            in_use: IntGauge::new(
                "headwater_control_database_connections_in_use",
                "Connections to the database that a request holds.",
            )?,
        })
    }
}

impl Collector for PoolMetrics {
    fn desc(&self) -> Vec<&Desc> {
        [self.open.desc(), self.in_use.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let open = i64::from(self.pool.size());
        let idle = i64::try_from(self.pool.num_idle()).unwrap_or(open);
        self.open.set(open);
        self.in_use.set((open - idle).max(0));
        [self.open.collect(), self.in_use.collect()].concat()
    }
}
