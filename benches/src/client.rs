//! An HTTP/1.1 client that costs little: one connection is one future, polled where it is used.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpSocket, TcpStream};

type Driver = Pin<Box<http1::Connection<TokioIo<TcpStream>, Full<Bytes>>>>;

/// An open connection. It moves only while one of its calls is polled.
#[derive(Debug)]
pub struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    driver: Option<Driver>,
    host: HeaderValue,
}

/// An answer whose body was read.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// The body as it came, perhaps compressed.
    pub body: Bytes,
}

/// An answer whose body was read and dropped.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Its status.
    pub status: StatusCode,
    /// When its head was there.
    pub head_at: Instant,
    /// When its body had ended.
    pub done_at: Instant,
    /// The length of its body.
    pub bytes: u64,
}

impl Counted {
    /// Reads an answer to its end.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn read(response: Response<Incoming>) -> Result<Self> {
        let (head_at, status) = (Instant::now(), response.status());
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, |data| data.len() as u64);
        }
        Ok(Self { status, head_at, done_at: Instant::now(), bytes })
    }
}

/// Whether an answer may be compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// As it is.
    Identity,
    /// As players ask for playlists.
    Gzip,
}

impl Connection {
    /// Opens one from a given loopback address, or from any.
    ///
    /// # Errors
    /// Nobody answers, or ports or descriptors are used up.
    pub async fn open(to: SocketAddr, from: Option<IpAddr>) -> Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(from) = from {
            socket.bind(SocketAddr::new(from, 0)).with_context(|| format!("no port is left on {from}"))?;
        }
        let stream = socket.connect(to).await.with_context(|| format!("cannot connect to {to}"))?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let host = HeaderValue::try_from(to.to_string())?;
        Ok(Self { sender, driver: Some(Box::pin(driver)), host })
    }

    /// GETs a path and keeps the body.
    ///
    /// # Errors
    /// The connection broke. A status is no error.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        let request = self.request(Method::GET, path, Accept::Identity)?;
        self.exchange(request).await
    }

    /// GETs a path and only counts the body.
    ///
    /// # Errors
    /// The connection broke. A status is no error.
    pub async fn count(&mut self, path: &str, accept: Accept) -> Result<Counted> {
        let request = self.request(Method::GET, path, accept)?;
        self.drive(async move |sender| {
            let response = sent(sender, request).await?;
            Counted::read(response).await
        })
        .await
    }

    /// POSTs JSON with a bearer token, and reads JSON.
    ///
    /// # Errors
    /// The connection broke, or the answer is an error.
    pub async fn post_json(&mut self, path: &str, bearer: &str, body: &serde_json::Value) -> Result<serde_json::Value> {
        let body = serde_json::to_vec(body)?;
        let answer = self.post(path, bearer, "application/json", body.into()).await?;
        let text = String::from_utf8_lossy(&answer.body);
        ensure!(answer.status.is_success(), "POST {path}: {} {text}", answer.status);
        Ok(serde_json::from_slice(&answer.body)?)
    }

    /// POSTs a body with a bearer token.
    ///
    /// # Errors
    /// The connection broke. A status is no error.
    pub async fn post(&mut self, path: &str, bearer: &str, content_type: &'static str, body: Bytes) -> Result<Answer> {
        let mut request = self.request(Method::POST, path, Accept::Identity)?;
        request.headers_mut().insert(AUTHORIZATION, HeaderValue::try_from(format!("Bearer {bearer}"))?);
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *request.body_mut() = Full::new(body);
        self.exchange(request).await
    }

    fn request(&self, method: Method, path: &str, accept: Accept) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::new(Full::default());
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().with_context(|| format!("{path} is no path"))?;
        request.headers_mut().insert(HOST, self.host.clone());
        if accept == Accept::Gzip {
            request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok(request)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer> {
        self.drive(async move |sender| {
            let (head, body) = sent(sender, request).await?.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Answer { status: head.status, headers: head.headers, body })
        })
        .await
    }

    /// Moves the connection while `exchange` is not done.
    async fn drive<T>(
        &mut self,
        exchange: impl AsyncFnOnce(&mut http1::SendRequest<Full<Bytes>>) -> Result<T>,
    ) -> Result<T> {
        let mut exchange = std::pin::pin!(exchange(&mut self.sender));
        if let Some(driver) = &mut self.driver {
            tokio::select! {
                biased;
                done = &mut exchange => return done,
                _closed = driver => {}
            }
        }
        // It is closed; what came before is still there.
        self.driver = None;
        exchange.await
    }
}

async fn sent(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: Request<Full<Bytes>>,
) -> Result<Response<Incoming>> {
    sender.ready().await.context("the connection is closed")?;
    Ok(sender.send_request(request).await?)
}
