//! The media port of a node: turns offers into connections.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::distr::{Alphanumeric, SampleString};
use rtc::crypto::{RTCCryptoProvider, SignatureScheme};
use rtc::dtls::cipher_suite::CipherSuiteId;
use rtc::ice::mdns::MulticastDnsMode;
use rtc::interceptor::{NackGeneratorBuilder, ReceiverReportBuilder, Registry, Slot, TwccReceiverBuilder};
use rtc::peer_connection::certificate::{CertificateParams, RTCCertificate};
use rtc::peer_connection::transport::RTCDtlsRole;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use webrtc::peer_connection::{
    PeerConnection, PeerConnectionBuilder, RTCConfigurationBuilder, RTCSessionDescription, SettingEngine,
    SettingEngineBuilder,
};

use crate::answer::{Ice, Local, answer, inner_offer};
use crate::bound::Bound;
use crate::candidates::candidates;
use crate::chain::Link;
use crate::crypto::provider;
use crate::desk::Desk;
use crate::media_engine::media_engine;
use crate::mux::{Counters, Mux, locked};
use crate::offer::{DtlsRole, Offer};
use crate::peer::{Announced, Callbacks, Footprint, Keeper, Peer};
use crate::phase::{PhaseSender, phase};
use crate::restore::Restore;
use crate::runtime::{Hooks, Network, PeerRuntime, SharedPort};
use crate::tap::Tap;
use crate::{OfferError, Receiver, Track};

/// Events that may wait for one reader; about a second of a 10 Mbit/s stream.
const EVENTS: usize = 1_024;
/// Without a packet for this long, ICE calls a connection disconnected ...
const DISCONNECTED: Duration = Duration::from_secs(5);
/// ... and after this much more, failed; RFC 7675 allows 30 s in all.
const FAILED: Duration = Duration::from_secs(10);
/// ICE checks a connection this often.
const KEEPALIVE: Duration = Duration::from_secs(2);
/// Losses are reported this often: twice at least within the shortest patience of the jitter buffer, 60 ms,
/// with time for what was asked for to come.
const NACK_INTERVAL: Duration = Duration::from_millis(20);
/// The suites of DTLS, the best first; an RSA one serves where we are the client and the publisher's
/// certificate is RSA. Ours is ECDSA on P-256, which everybody takes (RFC 8827 6.5).
const CIPHER_SUITES: [CipherSuiteId; 6] = [
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_Aes_128_Gcm_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_ChaCha20_Poly1305_Sha256,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_ChaCha20_Poly1305_Sha256,
    CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_256_Cbc_Sha,
    CipherSuiteId::Tls_Ecdhe_Rsa_With_Aes_256_Cbc_Sha,
];
/// A packet is asked for this many times.
const NACKS_PER_PACKET: u16 = 8;

/// Where the media port is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointConfig {
    /// The UDP address to listen on, for all sessions. An IPv6 wildcard takes IPv4 too.
    pub listen: SocketAddr,
    /// The addresses that publishers are told, the best first. When empty, that of `listen`, or
    /// those of the machine's interfaces if that is a wildcard. Otherwise they are taken for public, and
    /// the port does ICE-lite (RFC 8445 2.5): publishers check and choose.
    pub announce: Vec<IpAddr>,
}

/// The media port. Cheap to clone; it stays open until the last clone and the last
/// [`Receiver`] are gone.
#[derive(Clone)]
pub struct Endpoint(Arc<Inner>);

struct Inner {
    mux: Arc<Mux>,
    /// The port's reader and the keepers of its peers.
    tasks: Mutex<JoinSet<()>>,
    crypto: Arc<dyn RTCCryptoProvider>,
    certificate: RTCCertificate,
    fingerprint: String,
    candidates: Vec<SocketAddr>,
    ice: Ice,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Endpoint").field(&self.0.mux).finish()
    }
}

impl Endpoint {
    /// Opens the port, in the runtime that awaits this, and makes the certificate that all its
    /// connections share.
    ///
    /// # Errors
    ///
    /// The port cannot be bound, or the machine's addresses cannot be read.
    pub async fn bind(config: EndpointConfig) -> io::Result<Self> {
        let crypto = provider().map_err(io::Error::other)?;
        let (mux, reader) = Mux::bind(config.listen, Arc::clone(&crypto))?;
        let mux = Arc::new(mux);
        let params = CertificateParams::new(vec!["headwater".to_owned()]).map_err(io::Error::other)?;
        let scheme = SignatureScheme::EcdsaP256Sha256;
        let certificate = RTCCertificate::generate(crypto.crypto(), scheme, params).map_err(io::Error::other)?;
        let fingerprint = certificate
            .get_fingerprints(crypto.crypto())
            .map_err(io::Error::other)?
            .first()
            .map(|own| own.value.to_ascii_uppercase())
            .ok_or_else(|| io::Error::other("the certificate has no fingerprint"))?;
        let candidates = candidates(mux.local_addr(), &config.announce)?;
        let ice = if config.announce.is_empty() { Ice::Full } else { Ice::Lite };
        let mut tasks = JoinSet::new();
        let port = Arc::clone(&mux);
        tasks.spawn(async move { port.run(&reader).await });
        Ok(Self(Arc::new(Inner { mux, tasks: Mutex::new(tasks), crypto, certificate, fingerprint, candidates, ice })))
    }

    /// The address that the port is bound to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.0.mux.local_addr()
    }

    /// What happened on the port.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        Arc::clone(self.0.mux.counters())
    }

    /// Accepts a publisher's SDP `offer` (at most 64 KiB) and gives the complete SDP answer with
    /// the connection's reader (RFC 9725 4.2). The connection fails if it is not up within 20 s.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    ///
    /// [`OfferError`] says whose fault it is.
    pub async fn receive(&self, offer: &str) -> Result<(String, Box<dyn Receiver>), OfferError> {
        let offer = Offer::parse(offer)?;
        let ufrag = Alphanumeric.sample_string(&mut rand::rng(), 16);
        let password = Alphanumeric.sample_string(&mut rand::rng(), 32);
        let text = answer(
            &offer,
            &Local {
                ufrag: &ufrag,
                password: &password,
                fingerprint: &self.0.fingerprint,
                candidates: &self.0.candidates,
                ice: self.0.ice,
                session: rand::random(),
            },
        );
        let peer = Box::pin(self.open(&offer, ufrag, &password)).await;
        let peer = peer.map_err(|error| OfferError::Internal(error.to_string()))?;
        Ok((text, Box::new(peer)))
    }

    async fn open(&self, offer: &Offer, ufrag: String, password: &str) -> webrtc::error::Result<Peer> {
        let (phase, phase_reader) = phase();
        let (events, events_reader) = mpsc::channel(EVENTS);
        let desk = Desk::new(offer);
        let tap = Tap::new(offer, &desk, events, self.counters());
        let alert = Arc::new(Notify::new());
        let callbacks = Arc::new(Callbacks(phase.clone()));
        let settings = self.settings(offer.role, &ufrag, password);
        let footprint = self.footprint(
            ufrag,
            password,
            Hooks { alert: Arc::clone(&alert), desk: Arc::clone(&desk) },
            phase.clone(),
        );
        let connection = self.connect(offer, settings, tap, callbacks, Arc::clone(&footprint.runtime)).await?;
        let cancel = CancellationToken::new();
        let (done, done_reader) = mpsc::channel(1);
        let keeper =
            Keeper { connection, phase, desk: Arc::clone(&desk), alert, cancel: cancel.clone(), footprint, done };
        self.keep(keeper);
        Ok(Peer {
            tracks: tracks(offer),
            events: events_reader,
            phase: phase_reader,
            announced: Announced::No,
            desk,
            cancel: cancel.drop_guard(),
            done: done_reader,
            port: Arc::clone(&self.0) as Arc<dyn Send + Sync>,
        })
    }

    /// Registers a peer with the port, in such a way that it is forgotten again.
    fn footprint(&self, ufrag: String, password: &str, hooks: Hooks, phase: PhaseSender) -> Footprint {
        let mux = Arc::clone(&self.0.mux);
        let inboxes = mux.register(&ufrag, password);
        let port = SharedPort::new(Arc::clone(&mux), ufrag.clone(), inboxes, hooks);
        Footprint { mux, ufrag, runtime: PeerRuntime::new(Network::Shared(port), phase) }
    }

    fn settings(&self, role: DtlsRole, ufrag: &str, password: &str) -> SettingEngine {
        let role = match role {
            DtlsRole::Client => RTCDtlsRole::Client,
            DtlsRole::Server => RTCDtlsRole::Server,
        };
        SettingEngineBuilder::new()
            .with_crypto_provider(Arc::clone(&self.0.crypto))
            .with_ice_credentials(ufrag.to_owned(), password.to_owned())
            .with_ice_timeouts(Some(DISCONNECTED), Some(FAILED), Some(KEEPALIVE))
            .with_lite(self.0.ice == Ice::Lite)
            .with_include_loopback_candidate(true)
            .with_multicast_dns_mode(MulticastDnsMode::Disabled)
            .with_answering_dtls_role(role)
            .with_dtls_cipher_suites(CIPHER_SUITES.into())
            .build()
    }

    async fn connect(
        &self,
        offer: &Offer,
        settings: SettingEngine,
        tap: Tap,
        callbacks: Arc<Callbacks>,
        runtime: Arc<PeerRuntime>,
    ) -> webrtc::error::Result<Box<dyn PeerConnection>> {
        let configuration = RTCConfigurationBuilder::new().with_certificates(vec![self.0.certificate.clone()]).build();
        // Stand-ins for the shared port: the crate pairs candidates of one IP version only.
        let mut addresses = vec!["127.0.0.1:0"];
        if self.local_addr().is_ipv6() {
            addresses.push("[::1]:0");
        }
        let builder = PeerConnectionBuilder::new()
            .with_configuration(configuration)
            .with_media_engine(media_engine(offer)?)
            .with_setting_engine(settings)
            .with_interceptor_registry(interceptors(offer, tap))
            .with_handler(callbacks)
            .with_runtime(runtime)
            .with_udp_addrs(addresses);
        let connection = Box::pin(builder.build()).await?;
        let inner = RTCSessionDescription::offer(inner_offer(offer))?;
        connection.set_remote_description(inner).await?;
        let inner = connection.create_answer(None).await?;
        connection.set_local_description(inner).await?;
        Ok(Box::new(connection))
    }

    fn keep(&self, keeper: Keeper) {
        let mut tasks = locked(&self.0.tasks);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(keeper.run());
    }
}

fn tracks(offer: &Offer) -> Vec<Track> {
    let sections = offer.sections.iter().enumerate();
    sections
        .map(|(index, section)| Track {
            index,
            kind: section.kind,
            codec: section.format.codec(),
            clock_rate: section.format.clock_rate(),
        })
        .collect()
}

/// Those of the crate's interceptors that a receiver needs, and ours.
fn interceptors(offer: &Offer, tap: Tap) -> Registry {
    let nack = NackGeneratorBuilder::new().with_interval(NACK_INTERVAL).with_max_nacks_per_packet(NACKS_PER_PACKET);
    Registry::new()
        .with(Slot::from(6_500), Link::new(Restore::new(offer)))
        .with(Slot::NackGenerator, Bound::new(nack.build(), offer))
        .with(Slot::TwccReceiver, Bound::new(TwccReceiverBuilder::new().build(), offer))
        .with(Slot::ReceiverReport, Bound::new(ReceiverReportBuilder::new().build(), offer))
        .with(Slot::from(14_000), Link::new(tap))
}
