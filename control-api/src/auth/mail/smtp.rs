//! Mails by SMTP.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::{Mail, MailError, Mailer, Sending};
use crate::auth::config::{MailConfig, SmtpTls};

/// How long the server may take for each step.
const DEADLINE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(super) struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Smtp {
    pub(super) fn new(config: &MailConfig) -> Result<Self, MailError> {
        let from = config.from.parse().map_err(|error| MailError::Message(format!("mail.from: {error}")))?;
        let guarded = || TlsParameters::new(config.host.clone());
        let tls = match config.tls {
            SmtpTls::Tls => Tls::Wrapper(guarded()?),
            SmtpTls::Starttls => Tls::Required(guarded()?),
            SmtpTls::None => Tls::None,
        };
        let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host);
        let mut builder = builder.port(config.port()).tls(tls).timeout(Some(DEADLINE));
        if let (Some(name), Some(password)) = (&config.username, &config.password) {
            builder = builder.credentials(Credentials::new(name.clone(), password.expose().to_owned()));
        }
        Ok(Self { transport: builder.build(), from })
    }

    async fn deliver(&self, mail: Mail) -> Result<(), MailError> {
        let wrong = |error: &dyn std::fmt::Display| MailError::Message(error.to_string());
        let to: Mailbox = mail.to.parse().map_err(|error: lettre::address::AddressError| wrong(&error))?;
        let message = Message::builder().from(self.from.clone()).to(to).subject(mail.subject);
        let message = message.header(ContentType::TEXT_PLAIN).body(mail.text).map_err(|error| wrong(&error))?;
        self.transport.send(message).await?;
        Ok(())
    }
}

impl Mailer for Smtp {
    fn send(&self, mail: Mail) -> Sending<'_> {
        Box::pin(self.deliver(mail))
    }
}
