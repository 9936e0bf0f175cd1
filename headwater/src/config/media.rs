//! What the configuration says of WebRTC media.

use std::net::{IpAddr, SocketAddr};

use ingest::whip::IceServer;
use serde::{Deserialize, Serialize};

/// So many servers are told to publishers; each is asked by each of them.
const ICE_SERVERS_MOST: usize = 8;

/// WebRTC media.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Media {
    /// Address and port of the UDP socket of all sessions; unset means `http.listen`'s address and port
    /// 8189, or any free port where `http.listen` takes any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
    /// Public addresses to announce in answers, where they differ from the listening one.
    pub(crate) announce: Vec<IpAddr>,
    /// STUN and TURN servers that publishers are told of.
    pub(crate) ice_servers: Vec<IceServerEntry>,
}

/// One STUN or TURN server.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IceServerEntry {
    /// `stun:HOST[:PORT]` or `turn:HOST[:PORT][?transport=udp]`, with `stuns:` and `turns:` over TLS.
    url: String,
    /// Of a TURN server.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Of a TURN server; every publisher gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<String>,
}

impl std::fmt::Debug for IceServerEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServerEntry").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Media {
    /// The servers as publishers are told of them, or what is wrong with one.
    pub(crate) fn ice_servers(&self) -> Result<Vec<IceServer>, String> {
        if self.ice_servers.len() > ICE_SERVERS_MOST {
            return Err(format!("must be at most {ICE_SERVERS_MOST}"));
        }
        let parsed =
            self.ice_servers.iter().enumerate().map(|(index, IceServerEntry { url, username, credential })| {
                IceServer::new(url, username.as_deref(), credential.as_deref())
                    .map_err(|error| format!("number {}: {error}", index + 1))
            });
        parsed.collect()
    }
}
