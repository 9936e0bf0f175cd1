//! A scripted connection, a scripted control plane, and an endpoint between them.

use schema::api::{KeyRole, SecondPublisher};

use super::*;

pub(super) const KEY: &str = "sk_good";
pub(super) const OTHER_KEY: &str = "sk_other";

/// What was asked of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    Keyframe(usize),
    Packets(usize, Vec<u16>),
    Closed,
}

type Log = Arc<Mutex<Vec<Asked>>>;

/// The publisher's side of a scripted connection.
pub(super) struct Publisher {
    events: mpsc::Sender<PeerEvent>,
    log: Log,
    pub(super) figures: Arc<Mutex<Figures>>,
    pub(super) video: Packetiser,
    pub(super) audio: Packetiser,
    begin: Instant,
}

struct Scripted {
    tracks: Vec<Track>,
    events: mpsc::Receiver<PeerEvent>,
    log: Log,
    figures: Arc<Mutex<Figures>>,
}

impl Receiver for Scripted {
    fn tracks(&self) -> &[Track] {
        &self.tracks
    }

    fn next_event(&mut self) -> Pin<Box<dyn Future<Output = PeerEvent> + Send + '_>> {
        Box::pin(async {
            match self.events.recv().await {
                Some(event) => event,
                None => pending().await,
            }
        })
    }

    fn request_keyframe(&mut self, track: usize) {
        self.log.lock().unwrap().push(Asked::Keyframe(track));
    }

    fn request_retransmission(&mut self, track: usize, sequences: &[u16]) {
        let asked = Asked::Packets(track, sequences.to_vec());
        self.log.lock().unwrap().push(asked);
    }

    fn round_trip(&self) -> Option<Duration> {
        None
    }

    fn figures(&self) -> Figures {
        self.figures.lock().unwrap().clone()
    }

    fn close(self: Box<Self>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        self.log.lock().unwrap().push(Asked::Closed);
        Box::pin(async {})
    }
}

/// The connection's track numbers, not those of the session.
pub(super) const VIDEO: usize = 7;
pub(super) const AUDIO: usize = 3;

fn video_track() -> Track {
    Track { index: VIDEO, kind: TrackKind::Video, codec: Codec::H264, clock_rate: 90_000 }
}

fn audio_track() -> Track {
    Track { index: AUDIO, kind: TrackKind::Audio, codec: Codec::Opus, clock_rate: 48_000 }
}

/// A connection with the tracks that the offer names.
fn connection(offer: &str) -> (Scripted, Publisher) {
    let (events, receiver) = mpsc::channel(1024);
    let log = Log::default();
    let figures = Arc::<Mutex<Figures>>::default();
    let named = [("audio", audio_track()), ("video", video_track())];
    let tracks = named.into_iter().filter(|(word, _)| offer.contains(word));
    let scripted = Scripted {
        tracks: tracks.map(|(_, track)| track).collect(),
        events: receiver,
        log: Arc::clone(&log),
        figures: Arc::clone(&figures),
    };
    let publisher = Publisher {
        events,
        log,
        figures,
        video: Packetiser::new(65_530),
        audio: Packetiser::new(11),
        begin: Instant::now(),
    };
    (scripted, publisher)
}

impl Publisher {
    pub(super) async fn event(&self, event: PeerEvent) {
        self.events.send(event).await.unwrap();
        settle().await;
    }

    pub(super) async fn connect(&self) {
        self.event(PeerEvent::Connected).await;
    }

    pub(super) fn ticks(&self, rate: u32) -> u32 {
        let ticks = self.begin.elapsed().as_millis() * u128::from(rate) / 1_000;
        u32::try_from(ticks).unwrap()
    }

    pub(super) async fn send(&self, track: usize, packets: &[crate::rtp::Packet]) {
        for packet in packets {
            let packet = RtpPacket {
                track,
                sequence: packet.sequence,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload: packet.payload.clone(),
                arrival: Instant::now().into_std(),
            };
            self.events.send(PeerEvent::Rtp(packet)).await.unwrap();
        }
        settle().await;
    }

    pub(super) async fn send_idr(&mut self) {
        let packets = self.video.picture(self.ticks(90_000), &[SPS, PPS, &idr(300)]);
        self.send(VIDEO, &packets).await;
    }

    pub(super) async fn send_p(&mut self) {
        let packets = self.video.picture(self.ticks(90_000), &[&p_slice(300)]);
        self.send(VIDEO, &packets).await;
    }

    pub(super) async fn send_audio(&mut self) {
        let packet = self.audio.packet(self.ticks(48_000), false, &[0xfc, 1, 2]);
        self.send(AUDIO, &[packet]).await;
    }

    /// Everything asked since the last call.
    pub(super) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

/// Answers with scripted connections; the offer's text says how.
#[derive(Default)]
struct ScriptedEndpoint {
    publishers: Mutex<VecDeque<Publisher>>,
    offers: AtomicUsize,
}

impl Answering for ScriptedEndpoint {
    fn answer<'a>(&'a self, offer: &'a str) -> Pending<'a, Result<Answered, OfferError>> {
        self.offers.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match offer {
                "" | "nonsense" => Err(OfferError::Malformed("no v= line".to_owned())),
                "recvonly" => Err(OfferError::Unacceptable("recvonly".to_owned())),
                "vp8" => Err(OfferError::Codec("video".to_owned())),
                "broken" => Err(OfferError::Internal("secret path".to_owned())),
                "slow" => pending().await,
                _ => {
                    let (scripted, publisher) = connection(offer);
                    self.publishers.lock().unwrap().push_back(publisher);
                    Ok(("v=0 answer".to_owned(), Box::new(scripted) as Box<dyn Receiver>))
                }
            }
        })
    }
}

struct ScriptedAdmission;

/// Admits each secret once, as a publish token that expires right after.
#[derive(Default)]
pub(super) struct Once(AtomicUsize);

impl Admission for Once {
    fn admit(&self, _: AdmitRequest) -> Pending<'_, Result<Admitted, AdmitError>> {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move { if asked == 0 { Ok(grant("demo").into()) } else { Err(AdmitError::Expired) } })
    }
}

/// Keeps a place for each publisher; counts those that are kept.
#[derive(Default)]
pub(super) struct Keeping(pub(super) Arc<()>);

impl Admission for Keeping {
    fn admit(&self, _: AdmitRequest) -> Pending<'_, Result<Admitted, AdmitError>> {
        let place: Place = Box::new(Arc::clone(&self.0));
        Box::pin(async move { Ok(Admitted { grant: grant("demo"), place: Some(place) }) })
    }
}

impl Admission for ScriptedAdmission {
    fn admit(&self, request: AdmitRequest) -> Pending<'_, Result<Admitted, AdmitError>> {
        Box::pin(async move {
            match request.key.expose() {
                KEY | "sk_second_key_of_demo" => Ok(grant("demo").into()),
                OTHER_KEY => Ok(grant("other").into()),
                "sk_backup" => Ok(PublishGrant { role: KeyRole::Backup, ..grant("demo") }.into()),
                "sk_alone" => Ok(PublishGrant { second_publisher: SecondPublisher::Refuse, ..grant("demo") }.into()),
                "sk_revoked" => Err(AdmitError::Revoked),
                "hwp_expired" => Err(AdmitError::Expired),
                "sk_forbidden" => Err(AdmitError::Forbidden { reason: Some("not paid".to_owned()) }),
                "sk_elsewhere" => Err(AdmitError::Elsewhere { location: "https://b.example/whip".to_owned() }),
                "sk_no_room" => Err(AdmitError::NoRoom { retry_after_s: 30 }),
                "sk_away" => Err(AdmitError::Unavailable { retry_after_s: 9 }),
                "sk_hangs" => pending().await,
                _ => Err(AdmitError::Unknown),
            }
        })
    }
}

fn grant(channel: &str) -> PublishGrant {
    PublishGrant {
        channel: channel.parse().unwrap(),
        key_id: "k1".to_owned(),
        title: String::new(),
        ladder: Ladder::default(),
        profile: LatencyProfile::Low,
        frame_rate: None,
        last_size: None,
        grace_s: 60,
        second_publisher: SecondPublisher::Replace,
        passthrough: true,
        role: KeyRole::Primary,
        slate: None,
        dvr_s: 0,
        access: Default::default(),
    }
}

/// An endpoint with its surroundings.
pub(super) struct World {
    pub(super) whip: Whip,
    pub(super) arrivals: mpsc::Receiver<Arrival>,
    pub(super) router: Router,
    endpoint: Arc<ScriptedEndpoint>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(Limits::default(), 4)
    }

    pub(super) fn with(limits: Limits, places: usize) -> Self {
        Self::admitting(limits, places, Arc::new(ScriptedAdmission))
    }

    pub(super) fn admitting(limits: Limits, places: usize, admission: Arc<dyn Admission>) -> Self {
        let endpoint = Arc::new(ScriptedEndpoint::default());
        let (sender, arrivals) = mpsc::channel(places);
        let registry = Registry::new();
        let whip = Whip::new(Arc::clone(&endpoint) as _, admission, sender, limits, &registry).unwrap();
        let router = router(whip.clone());
        Self { whip, arrivals, router, endpoint }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Response<Body> {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Offers `tracks` with `key`; gives the session's path and the publisher's side.
    pub(super) async fn publish_as(&self, key: &str, tracks: &str) -> (String, Publisher) {
        let response = self.ask(post(key, tracks)).await;
        assert_eq!(response.status(), StatusCode::CREATED);
        let location = response.headers()[header::LOCATION].to_str().unwrap().to_owned();
        let publisher = self.endpoint.publishers.lock().unwrap().pop_front().unwrap();
        settle().await;
        (location, publisher)
    }

    /// A connected publisher of video and audio.
    pub(super) async fn publish(&self) -> (String, Publisher) {
        let (location, publisher) = self.publish_as(KEY, "audio video").await;
        publisher.connect().await;
        (location, publisher)
    }

    /// How often the endpoint was asked to answer.
    pub(super) fn offers(&self) -> usize {
        self.endpoint.offers.load(Ordering::SeqCst)
    }

    pub(super) fn ended(&self, end: SessionEnd) -> u64 {
        self.whip.shared.metrics.ended.with_label_values(&[end.as_str()]).get()
    }
}

pub(super) fn post(key: &str, offer: &str) -> Request<Body> {
    Request::post("/whip")
        .header(header::CONTENT_TYPE, "application/sdp")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .body(Body::from(offer.to_owned()))
        .unwrap()
}

pub(super) fn delete(path: &str, key: &str) -> Request<Body> {
    Request::delete(path).header(header::AUTHORIZATION, format!("Bearer {key}")).body(Body::empty()).unwrap()
}

/// Lets every task run until all of them wait.
pub(super) async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Passes `millis` of virtual time.
pub(super) async fn pass(millis: u64) {
    advance(Duration::from_millis(millis)).await;
    settle().await;
}

/// Everything that the feed holds now.
pub(super) async fn read(feed: &mut dyn Feed) -> Vec<FeedEvent> {
    let mut events = Vec::new();
    std::future::poll_fn(|cx| {
        while let Poll::Ready(event) = feed.poll_event(cx) {
            let over = matches!(event, FeedEvent::Ended(_));
            events.push(event);
            if over {
                break;
            }
        }
        Poll::Ready(())
    })
    .await;
    events
}

pub(super) async fn units(feed: &mut dyn Feed) -> Vec<AccessUnit> {
    let unit = |event| match event {
        FeedEvent::Unit(unit) => Some(unit),
        FeedEvent::Ended(_) => None,
    };
    read(feed).await.into_iter().filter_map(unit).collect()
}

pub(super) async fn problem(response: Response<Body>) -> Problem {
    assert_eq!(response.headers()[header::CONTENT_TYPE], Problem::CONTENT_TYPE);
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let problem: Problem = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem.status, status);
    problem
}
