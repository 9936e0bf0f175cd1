//! The STUN and TURN servers that publishers are told of (RFC 9725 4.6).

use std::fmt::Write;

use axum::http::HeaderValue;
use thiserror::Error;

/// One server, as it stands in a `Link` header.
#[derive(Clone)]
pub struct IceServer {
    link: HeaderValue,
}

/// Why something is no ICE server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IceServerError {
    /// Not a URL of the schemes that RFC 7064 and RFC 7065 define.
    #[error("the URL must begin with stun:, stuns:, turn: or turns:, followed by a host")]
    Url,
    /// A TURN server without both of its credentials, or a STUN server with some.
    #[error("a TURN server needs username and credential, a STUN server has neither")]
    Credentials,
    /// Not visible ASCII.
    #[error("username and credential must be printable ASCII")]
    Text,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It holds a password.
        f.write_str("IceServer(…)")
    }
}

impl IceServer {
    /// A server at `url`; TURN servers have a user name and a password.
    ///
    /// # Errors
    /// [`IceServerError`] says what is wrong.
    pub fn new(url: &str, username: Option<&str>, credential: Option<&str>) -> Result<Self, IceServerError> {
        let (scheme, host) = url.split_once(':').ok_or(IceServerError::Url)?;
        let is_turn = match scheme {
            "stun" | "stuns" => false,
            "turn" | "turns" => true,
            _ => return Err(IceServerError::Url),
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]?=%".contains(&byte);
        if host.is_empty() || !host.bytes().all(allowed) {
            return Err(IceServerError::Url);
        }
        let mut link = format!("<{url}>; rel=\"ice-server\"");
        match (is_turn, username, credential) {
            (false, None, None) => {}
            (true, Some(username), Some(credential)) => {
                let (username, credential) = (quoted(username)?, quoted(credential)?);
                // Writing to a String cannot fail.
                let _ = write!(link, "; username={username}; credential={credential}; credential-type=\"password\"");
            }
            _ => return Err(IceServerError::Credentials),
        }
        let mut link = HeaderValue::from_str(&link).map_err(|_| IceServerError::Text)?;
        link.set_sensitive(is_turn);
        Ok(Self { link })
    }

    /// The header's value.
    pub(super) fn link(&self) -> HeaderValue {
        self.link.clone()
    }
}

/// A quoted string (RFC 9110 5.6.4).
fn quoted(text: &str) -> Result<String, IceServerError> {
    let printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if text.is_empty() || !printable {
        return Err(IceServerError::Text);
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(url: &str, username: Option<&str>, credential: Option<&str>) -> Result<String, IceServerError> {
        IceServer::new(url, username, credential).map(|server| server.link.to_str().unwrap().to_owned())
    }

    /// The examples of RFC 9725 4.6.
    #[test]
    fn servers_are_written_as_links() {
        let stun = link("stun:stun.example.net", None, None);
        assert_eq!(stun.unwrap(), "<stun:stun.example.net>; rel=\"ice-server\"");
        let turn = link("turn:turn.example.net?transport=udp", Some("user"), Some("my \"Password\\"));
        assert_eq!(
            turn.unwrap(),
            "<turn:turn.example.net?transport=udp>; rel=\"ice-server\"; username=\"user\"; \
             credential=\"my \\\"Password\\\\\"; credential-type=\"password\""
        );
        assert!(link("turns:[2001:db8::1]:5349", Some("u"), Some("c")).is_ok());
    }

    #[test]
    fn what_is_no_server_is_refused_by_its_reason() {
        use IceServerError::{Credentials, Text, Url};
        let cases = [
            ("", None, None, Url),
            ("stun:", None, None, Url),
            ("http://example.net", None, None, Url),
            ("stun:a>; rel=\"evil\"", None, None, Url),
            ("stun:a\r\nSet-Cookie", None, None, Url),
            ("turn:a", None, None, Credentials),
            ("turn:a", Some("u"), None, Credentials),
            ("stun:a", Some("u"), Some("c"), Credentials),
            ("turn:a", Some("u"), Some("c\r\nx"), Text),
            ("turn:a", Some(""), Some("c"), Text),
        ];
        for (url, username, credential, error) in cases {
            assert_eq!(link(url, username, credential), Err(error), "{url}");
        }
    }

    #[test]
    fn credentials_are_not_shown_for_debugging() {
        let server = IceServer::new("turn:a", Some("user"), Some("secret")).unwrap();
        assert!(!format!("{server:?}").contains("secret") && server.link().is_sensitive());
    }
}
