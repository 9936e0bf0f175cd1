//! The endpoint over a scripted connection, on virtual time.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use ingest_rtc::{Figures, PeerEnd, PeerEvent, RtpPacket, SenderReport, Track, TrackFigures};
use schema::api::Problem;
use schema::ladder::{Ladder, LatencyProfile};
use schema::{AccessUnit, FeedEvent, TrackKind};
use tokio::time::{Instant, advance};
use tower::ServiceExt;

use super::*;
use crate::rtp::packetise::{PPS, Packetiser, SPS, idr, p_slice};

mod fixture;
mod requests;
mod sessions;
