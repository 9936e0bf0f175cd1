use rtc::ice::attributes::use_candidate::UseCandidateAttr;
use rtc::stun::attributes::ATTR_USERNAME;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{BINDING_REQUEST, Message, Setter};
use rtc::stun::textattrs::TextAttribute;

use super::*;

const PASSWORD: &str = "a password of the peer";

fn mux() -> Mux {
    let crypto = rtc::crypto::default_provider().expect("compiled in");
    let any = "127.0.0.1:0".parse().expect("an address");
    Mux::bind(any, crypto).expect("a free port").0
}

fn check(ufrag: &str, password: &str) -> Vec<u8> {
    let crypto = rtc::crypto::default_provider().expect("compiled in");
    let mut message = Message::new();
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(password.to_owned(), crypto.crypto());
    let setters: [Box<dyn Setter + '_>; 3] = [
        Box::new(BINDING_REQUEST),
        Box::new(TextAttribute::new(ATTR_USERNAME, format!("{ufrag}:peer"))),
        Box::new(integrity),
    ];
    message.build(&setters).expect("a message");
    message.raw
}

fn from(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn unmatched(mux: &Mux) -> u64 {
    mux.counters().unmatched.load(Ordering::Relaxed)
}

const MEDIA: &[u8] = &[0x80, 96, 0, 1];

#[tokio::test]
async fn media_follows_only_after_a_check_that_knows_the_password() {
    let mux = mux();
    let mut inboxes = mux.register("peer", PASSWORD);
    mux.deliver(MEDIA, from(1));
    mux.deliver(&check("peer", "a guess"), from(1));
    mux.deliver(&check("stranger", PASSWORD), from(1));
    assert_eq!((unmatched(&mux), inboxes.v4.len()), (3, 0));
    mux.deliver(&check("peer", PASSWORD), from(1));
    mux.deliver(MEDIA, from(1));
    mux.deliver(MEDIA, from(2));
    assert_eq!((unmatched(&mux), inboxes.v4.len()), (4, 2));
    assert!(inboxes.v4.recv().await.is_some_and(|(_, address)| address == from(1)));
}

#[tokio::test]
async fn a_mapped_address_is_an_ipv4_address() {
    let mux = mux();
    let inboxes = mux.register("peer", PASSWORD);
    let mapped = "[::ffff:192.0.2.1]:1".parse().expect("an address");
    mux.deliver(&check("peer", PASSWORD), mapped);
    mux.deliver(MEDIA, from(1));
    assert_eq!((inboxes.v4.len(), inboxes.v6.len()), (2, 0));
}

#[tokio::test]
async fn an_address_goes_to_the_peer_that_proved_itself_last() {
    let mux = mux();
    let old = mux.register("old", PASSWORD);
    let new = mux.register("new", PASSWORD);
    mux.deliver(&check("old", PASSWORD), from(1));
    mux.deliver(&check("new", PASSWORD), from(1));
    mux.deliver(MEDIA, from(1));
    assert_eq!((old.v4.len(), new.v4.len()), (1, 2));
}

#[tokio::test]
async fn a_peer_keeps_its_newest_addresses_and_loses_all_when_it_goes() {
    let mux = mux();
    let inboxes = mux.register("peer", PASSWORD);
    let ports = 1..=u16::try_from(ADDRESSES_MAX).expect("small") + 1;
    for port in ports.clone() {
        mux.deliver(&check("peer", PASSWORD), from(port));
    }
    let before = inboxes.v4.len();
    ports.clone().for_each(|port| mux.deliver(MEDIA, from(port)));
    assert_eq!(inboxes.v4.len() - before, ADDRESSES_MAX);
    assert_eq!(unmatched(&mux), 1);
    mux.unregister("peer");
    ports.for_each(|port| mux.deliver(MEDIA, from(port)));
    let routes = locked(&mux.routes);
    assert!(routes.peers.is_empty() && routes.owners.is_empty());
    assert_eq!(mux.counters().open_peers.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_full_inbox_drops_and_counts() {
    let mux = mux();
    let inboxes = mux.register("peer", PASSWORD);
    mux.deliver(&check("peer", PASSWORD), from(1));
    for _ in 0..INBOX {
        mux.deliver(MEDIA, from(1));
    }
    assert_eq!(inboxes.v4.len(), INBOX);
    assert_eq!(mux.counters().queue_full.load(Ordering::Relaxed), 1);
}

/// A check that nominates, from a peer that has chosen its first address.
fn nomination(ufrag: &str) -> Vec<u8> {
    let crypto = rtc::crypto::default_provider().expect("compiled in");
    let integrity = MessageIntegrity::new_short_term_integrity_with_provider(PASSWORD.to_owned(), crypto.crypto());
    let mut message = Message::new();
    let setters: [Box<dyn Setter + '_>; 4] = [
        Box::new(BINDING_REQUEST),
        Box::new(TextAttribute::new(ATTR_USERNAME, format!("{ufrag}:peer"))),
        Box::new(UseCandidateAttr::new()),
        Box::new(integrity),
    ];
    message.build(&setters).expect("a message");
    message.raw
}

const DTLS: &[u8] = &[22, 254, 253, 0];

/// A peer that was reached at the port 1.
fn reached(mux: &Mux) -> Inboxes {
    let inboxes = mux.register("peer", PASSWORD);
    mux.deliver(&check("peer", PASSWORD), from(1));
    assert_eq!(mux.way_to("peer", from(1), stun::traffic(DTLS)), from(1));
    inboxes
}

fn moves(mux: &Mux) -> u64 {
    mux.counters().moves.load(Ordering::Relaxed)
}

/// RFC 8445 7.3.1.5
#[tokio::test]
async fn a_peer_that_nominates_another_address_is_followed_and_still_seen_at_its_first() {
    let mux = mux();
    let mut inboxes = reached(&mux);
    mux.deliver(&nomination("peer"), from(2));
    mux.deliver(MEDIA, from(2));
    for _ in 0..3 {
        assert_eq!(inboxes.v4.recv().await.expect("a datagram").1, from(1));
    }
    assert_eq!(mux.way_to("peer", from(1), stun::traffic(DTLS)), from(2));
    assert_eq!((moves(&mux), mux.way_to("peer", from(3), Traffic::Stun)), (1, from(3)));
}

#[tokio::test]
async fn a_check_from_elsewhere_moves_nobody_who_is_heard() {
    let mux = mux();
    let mut inboxes = reached(&mux);
    mux.deliver(MEDIA, from(1));
    mux.deliver(&check("peer", PASSWORD), from(2));
    mux.deliver(&check("peer", "a guess"), from(3));
    assert_eq!(moves(&mux), 0);
    let seen: Vec<_> = std::iter::from_fn(|| inboxes.v4.try_recv().ok()).map(|(_, address)| address).collect();
    assert_eq!(seen, [from(1), from(1), from(2)]);
}

#[tokio::test]
async fn a_silent_peer_that_checks_from_elsewhere_has_moved_even_to_another_ip_version() {
    let mux = mux();
    let mut inboxes = reached(&mux);
    if let Some(way) = locked(&mux.routes).peers.get_mut("peer").and_then(|route| route.way.as_mut()) {
        way.heard = way.heard.checked_sub(SILENCE).expect("the machine is up for longer");
    }
    let elsewhere = "[2001:db8::1]:9".parse().expect("an address");
    mux.deliver(&check("peer", PASSWORD), elsewhere);
    mux.deliver(MEDIA, elsewhere);
    let seen: Vec<_> = std::iter::from_fn(|| inboxes.v4.try_recv().ok()).map(|(_, address)| address).collect();
    assert_eq!((moves(&mux), seen, inboxes.v6.len()), (1, vec![from(1); 3], 0));
    assert_eq!(mux.way_to("peer", from(1), Traffic::Rtp), elsewhere);
}
