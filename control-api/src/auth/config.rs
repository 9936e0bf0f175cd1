//! What the operator says of identity and mail: `[auth]` and `[mail]`.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use super::svix;

/// A text that is shown nowhere.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    /// The text. Never log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Hidden {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Who says who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// We do, by e-mail address and password.
    #[default]
    Local,
    /// An OpenID provider.
    Oidc,
    /// Clerk.
    Clerk,
}

/// Whether strangers may make accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SignUp {
    /// Everybody who can read mail at the address they give.
    Open,
    /// Nobody; an admin makes users.
    #[default]
    Closed,
}

/// What somebody is who signs up, or comes from a provider for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NewRole {
    /// May watch.
    #[default]
    Viewer,
    /// May make channels.
    Creator,
}

impl NewRole {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Creator => "creator",
        }
    }
}

/// `[auth]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AuthConfig {
    /// Who says who somebody is.
    pub mode: Mode,
    /// How browsers reach this server, as in `https://live.example.org`: in links sent by mail, towards the
    /// provider, and the issuer of our own tokens. Unset: the address of the public port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Whether strangers may make accounts, with mode `local`.
    pub sign_up: SignUp,
    /// What new users are.
    pub new_role: NewRole,
    /// The file of the key that seals secrets in the database; unset: `auth.key` in the data folder. All
    /// processes over one database need the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The OpenID provider, with mode `oidc`.
    pub oidc: OidcConfig,
    /// Clerk, with mode `clerk`.
    pub clerk: ClerkConfig,
}

/// `[auth.oidc]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// The provider's issuer, exactly as its tokens say it.
    pub issuer: String,
    /// This server's id at the provider.
    pub client_id: String,
    /// Its secret, where the provider gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Hidden>,
    /// What is asked for; `openid` must be in it.
    pub scopes: Vec<String>,
    /// A bearer token of the provider must be for one of these; empty: no bearer tokens are taken.
    pub audiences: Vec<String>,
    /// A bearer token's `azp` must be one of these; empty: it is not looked at.
    pub authorized_parties: Vec<String>,
    /// Which claims say what.
    pub claims: ClaimsConfig,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            client_id: String::new(),
            client_secret: None,
            scopes: ["openid", "email", "profile"].map(str::to_owned).to_vec(),
            audiences: Vec::new(),
            authorized_parties: Vec::new(),
            claims: ClaimsConfig::default(),
        }
    }
}

/// `[auth.oidc.claims]`: the names of claims.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClaimsConfig {
    /// The wished-for handle.
    pub name: String,
    /// How people call them.
    pub display_name: String,
    /// The e-mail address; it is kept if the claim `email_verified` is true.
    pub email: String,
}

impl Default for ClaimsConfig {
    fn default() -> Self {
        let [name, display_name, email] = ["preferred_username", "name", "email"].map(str::to_owned);
        Self { name, display_name, email }
    }
}

/// `[auth.clerk]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClerkConfig {
    /// The Frontend API's URL, as in `https://clerk.example.org`.
    pub issuer: String,
    /// The origins whose tokens are taken (`azp`); at least one.
    pub authorized_parties: Vec<String>,
    /// Of the webhook endpoint, `whsec_…`; unset: webhooks are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_secret: Option<Hidden>,
}

/// How mail leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailBackend {
    /// As files in the data folder; the log says only that one was written.
    #[default]
    Log,
    /// By SMTP.
    Smtp,
}

/// How a connection to the SMTP server is guarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SmtpTls {
    /// TLS from the first byte (port 465).
    Tls,
    /// STARTTLS, or nothing is sent (port 587).
    #[default]
    Starttls,
    /// Not at all; only towards this machine, and without a password.
    None,
}

/// `[mail]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MailConfig {
    /// How mail leaves.
    pub backend: MailBackend,
    /// The sender, as in `Headwater <no-reply@example.org>`.
    pub from: String,
    /// The SMTP server.
    pub host: String,
    /// Its port; unset: 587 with STARTTLS, 465 with TLS, else 25.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// How the connection is guarded.
    pub tls: SmtpTls,
    /// For the SMTP server, with `password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// For the SMTP server, with `username`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Hidden>,
}

impl Default for MailConfig {
    fn default() -> Self {
        Self {
            backend: MailBackend::Log,
            from: "Headwater <no-reply@localhost>".to_owned(),
            host: String::new(),
            port: None,
            tls: SmtpTls::Starttls,
            username: None,
            password: None,
        }
    }
}

/// A key, and what is wrong with its value.
pub type Wrong = (&'static str, &'static str);

impl AuthConfig {
    /// Rules beyond types.
    ///
    /// # Errors
    /// The key that breaks one, and why.
    pub fn check(&self) -> Result<(), Wrong> {
        if let Some(url) = &self.public_url
            && !is_origin(url)
        {
            return Err(("auth.public_url", "must be an origin such as https://live.example.org, without a path"));
        }
        match self.mode {
            Mode::Local => Ok(()),
            Mode::Oidc => self.oidc.check(),
            Mode::Clerk => self.clerk.check(),
        }
    }
}

impl OidcConfig {
    fn check(&self) -> Result<(), Wrong> {
        if !is_guarded(&self.issuer) {
            return Err(("auth.oidc.issuer", "must be an https URL (http on this machine alone)"));
        }
        if self.client_id.is_empty() {
            return Err(("auth.oidc.client_id", "is missing"));
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            return Err(("auth.oidc.scopes", "must hold openid"));
        }
        if self.audiences.contains(&self.client_id) {
            return Err(("auth.oidc.audiences", "must not hold the client_id: ID tokens are not for APIs"));
        }
        Ok(())
    }
}

impl ClerkConfig {
    fn check(&self) -> Result<(), Wrong> {
        if !is_guarded(&self.issuer) || !is_origin(&self.issuer) {
            return Err(("auth.clerk.issuer", "must be the Frontend API's URL, such as https://clerk.example.org"));
        }
        if self.authorized_parties.is_empty() || !self.authorized_parties.iter().all(|origin| is_origin(origin)) {
            return Err(("auth.clerk.authorized_parties", "must hold origins such as https://live.example.org"));
        }
        let is_wrong = |secret: &Hidden| svix::Secret::parse(secret.expose()).is_none();
        if self.webhook_secret.as_ref().is_some_and(is_wrong) {
            return Err(("auth.clerk.webhook_secret", "must be whsec_ and base64"));
        }
        Ok(())
    }
}

impl MailConfig {
    /// Rules beyond types.
    ///
    /// # Errors
    /// The key that breaks one, and why.
    pub fn check(&self) -> Result<(), Wrong> {
        if self.from.parse::<lettre::message::Mailbox>().is_err() {
            return Err(("mail.from", "must be an address such as Headwater <no-reply@example.org>"));
        }
        if self.backend == MailBackend::Log {
            return Ok(());
        }
        if self.host.is_empty() {
            return Err(("mail.host", "is missing"));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(("mail.username", "and mail.password are given both or not at all"));
        }
        let is_here = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        if self.tls == SmtpTls::None && (!is_here || self.password.is_some()) {
            return Err(("mail.tls", "may be none towards this machine alone, and without a password"));
        }
        Ok(())
    }

    /// The port of the SMTP server.
    pub(crate) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            SmtpTls::Tls => 465,
            SmtpTls::Starttls => 587,
            SmtpTls::None => 25,
        })
    }
}

/// Whether nobody between can change what comes from `url`.
pub(crate) fn is_guarded(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    url.scheme() == "https" || (url.scheme() == "http" && is_here)
}

fn is_origin(text: &str) -> bool {
    let parsed = Url::parse(text).ok();
    parsed.is_some_and(|url| matches!(url.scheme(), "https" | "http") && url.origin().ascii_serialization() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_have_no_path_and_no_slash_at_the_end() {
        for good in ["https://a.example", "http://127.0.0.1:8080", "http://[::1]:1"] {
            assert!(is_origin(good), "{good}");
        }
        for bad in ["", "a.example", "https://a.example/", "https://A.example", "https://a.example:443", "ftp://a"] {
            assert!(!is_origin(bad), "{bad}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_alone() {
        assert!(is_guarded("https://id.example/x") && is_guarded("http://localhost:1/x"));
        assert!(
            !is_guarded("http://id.example") && !is_guarded("id.example") && !is_guarded("http://127.0.0.1.example")
        );
    }
}
