//! The desk that writes mails: handlers leave a wish and answer at once, so that neither the time nor the
//! answer tells whether an address is known.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::config::SignUp;
use super::mail::{AnyMailer, Mail, MailError};
use super::users::{self, Email};
use crate::ControlApi;
use crate::http::problem::ApiError;
use crate::secret;
use crate::sql;

/// The most mails to one address within [`WINDOW`].
const MAILS_MAX: i64 = 3;
const WINDOW: &str = "15 minutes";
/// How long one try may take, whatever the way.
const DEADLINE: Duration = Duration::from_secs(30);
/// Waits before the second and third try.
const RETRIES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(10)];

/// What somebody asks to be sent.
#[derive(Debug)]
pub(crate) enum Wish {
    /// The link that makes an account.
    SignUp(Email),
    /// The link that sets a new password.
    PasswordReset(Email),
}

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    SignUp,
    PasswordReset,
}

impl Purpose {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::SignUp => "sign_up",
            Self::PasswordReset => "password_reset",
        }
    }

    /// How long the link counts, in minutes.
    fn minutes(self) -> i32 {
        match self {
            Self::SignUp => 24 * 60,
            Self::PasswordReset => 60,
        }
    }
}

/// The desk.
#[derive(Debug)]
pub struct Desk {
    wishes: mpsc::Receiver<Wish>,
    mailer: AnyMailer,
}

impl Desk {
    pub(crate) fn new(wishes: mpsc::Receiver<Wish>, mailer: AnyMailer) -> Self {
        Self { wishes, mailer }
    }

    pub(crate) fn use_mailer(&mut self, mailer: AnyMailer) {
        self.mailer = mailer;
    }

    /// Writes mails until `cancel`; what still waits then is lost, and may be asked for again.
    pub async fn run(mut self, api: ControlApi, cancel: CancellationToken) {
        loop {
            let wish = tokio::select! {
                () = cancel.cancelled() => return,
                wish = self.wishes.recv() => wish,
            };
            let Some(wish) = wish else { return };
            tokio::select! {
                () = cancel.cancelled() => return,
                result = self.serve(&api, wish) => api.metrics().mails.with_label_values(&[result]).inc(),
            }
        }
    }

    async fn serve(&self, api: &ControlApi, wish: Wish) -> &'static str {
        let mail = match prepare(api, wish).await {
            Ok(Some(mail)) => mail,
            Ok(None) => return "needless",
            Err(error) => {
                tracing::warn!(%error, "a mail could not be prepared");
                return "failed";
            }
        };
        let mut waits = RETRIES.into_iter();
        loop {
            let sent = timeout(DEADLINE, self.mailer.send(mail.clone())).await;
            let error = match sent {
                Ok(Ok(())) => return "sent",
                Ok(Err(error)) => error,
                Err(_) => MailError::Message("it took too long".into()),
            };
            tracing::warn!(%error, ?mail, "a mail could not be sent");
            let Some(wait) = waits.next() else { return "failed" };
            sleep(wait).await;
        }
    }
}

/// The mail, with a new link in it; `None` where nobody is to get one, or enough were sent.
async fn prepare(api: &ControlApi, wish: Wish) -> Result<Option<Mail>, ApiError> {
    let mut work = api.begin().await?;
    let (email, is_new) = match wish {
        Wish::SignUp(email) => (email, true),
        Wish::PasswordReset(email) => (email, false),
    };
    if was_sent_enough(&mut work, &email).await? {
        return Ok(None);
    }
    let is_known = users::by_email(&mut work, &email).await?.is_some();
    let purpose = match (is_known, is_new) {
        (true, _) => Purpose::PasswordReset,
        (false, true) if api.auth().config().sign_up == SignUp::Open => Purpose::SignUp,
        (false, _) => return Ok(None),
    };
    let token = secret::random_hex::<32>();
    let sql = "insert into mail_tokens (hash, purpose, email, expires_at) \
               values ($1, $2, $3, now() + make_interval(mins => $4))";
    sql::query(sql)
        .bind(secret::hash(&token))
        .bind(purpose.as_str())
        .bind(email.as_str())
        .bind(purpose.minutes())
        .execute(&mut *work)
        .await?;
    let sql = "delete from mail_tokens where hash in (select hash from mail_tokens \
               where expires_at < now() - interval '1 day' order by expires_at limit 100 for update skip locked)";
    sql::query(sql).execute(&mut *work).await?;
    work.commit().await?;
    Ok(Some(letter(api.auth().own_issuer(), purpose, is_known && is_new, email.as_str(), &token)))
}

async fn was_sent_enough(work: &mut PgConnection, email: &Email) -> Result<bool, sqlx::Error> {
    let sql = "select count(*) >= $2 from mail_tokens where email = $1 and created_at > now() - $3::interval";
    sql::query_scalar(sql).bind(email.as_str()).bind(MAILS_MAX).bind(WINDOW).fetch_one(work).await
}

/// The secret stands behind `#`, so that no server on the way sees it.
fn letter(base: &str, purpose: Purpose, has_account: bool, to: &str, token: &str) -> Mail {
    let (subject, what, path, how_long) = match purpose {
        Purpose::SignUp => ("Finish your account", "make an account", "verify", "a day"),
        Purpose::PasswordReset => ("Set a new password", "set a new password", "reset", "an hour"),
    };
    let known =
        if has_account { "Somebody asked to make an account with this address, which has one.\n\n" } else { "" };
    let text = format!(
        "{known}To {what} at {base}, open this link within {how_long}:\n\n{base}/{path}#token={token}\n\n\
         If you did not ask for this, do nothing: without the link nothing happens.\n"
    );
    Mail { to: to.to_owned(), subject: subject.to_owned(), text }
}
