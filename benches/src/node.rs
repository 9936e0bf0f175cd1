//! A real node and its publishers, as processes on loopback.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::client::{Answer, Connection};
use crate::playlist;
use crate::process::Process;

/// How many lines of a node's log tell why it did not start.
const LOG_LINES: usize = 20;

/// A child that was told to end has done so within this, else it is killed: longer than a node may take.
const END_LIMIT: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
const END_LOOK: Duration = Duration::from_millis(5);

/// A child process that is told to end, and waited for, when it is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it.
    ///
    /// # Errors
    /// There is no such program.
    pub fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        Ok(Self(command.spawn().with_context(|| format!("cannot run {}", program.display()))?))
    }

    /// Its id.
    #[must_use]
    pub fn process(&self) -> Process {
        Process(self.0.id())
    }

    /// Fails if it ended by itself.
    ///
    /// # Errors
    /// It did, with this status.
    pub fn check(&mut self) -> Result<()> {
        let ended = self.0.try_wait()?;
        ensure!(ended.is_none(), "process {} ended: {ended:?}", self.0.id());
        Ok(())
    }
}

impl Drop for Running {
    #[allow(clippy::disallowed_methods)] // nothing tells when it has ended
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.0.id()) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let told = Instant::now();
        while told.elapsed() < END_LIMIT && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(END_LOOK);
        }
        // One that does not hear must not hold the bench up; one that has ended hears nothing.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node with its own data folder and database.
#[derive(Debug)]
pub struct Node {
    running: Running,
    binary: PathBuf,
    admin_token: String,
    /// Its public port.
    pub http: SocketAddr,
    /// Its port for metrics.
    pub ops: SocketAddr,
    // Removed after the process has ended: fields are dropped in order.
    data: TempDir,
}

/// A channel of a node.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its name.
    pub name: String,
    /// Its stream key.
    pub key: String,
}

/// What a channel is made with.
#[derive(Debug, Clone, Copy)]
pub struct Wish<'a> {
    /// Its latency profile.
    pub profile: &'a str,
    /// Height in lines and bits per second of each rung.
    pub rungs: &'a [(u32, u32)],
}

/// What `headwater publish` sends.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Columns.
    pub width: u32,
    /// Lines.
    pub height: u32,
    /// Kilobits per second.
    pub kbits: u32,
}

impl Node {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// It does not get ready; the end of its log is in the error.
    pub fn start(binary: &Path) -> Result<Self> {
        ensure!(binary.is_file(), "no binary at {}: build it, or set HEADWATER_BIN", binary.display());
        let data = tempfile::Builder::new().prefix("headwater-bench-").tempdir()?;
        // A database server that runs as another user must get through.
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o755))?;
        let log = data.path().join("serve.log");
        let mut command = without_configuration(binary);
        command.arg("serve").arg("--data").arg(data.path());
        for flag in ["--listen", "--media-listen", "--ops-listen"] {
            command.args([flag, "127.0.0.1:0"]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        let mut running = Running::start(&mut command)?;
        let ready = ready(&mut running.0).with_context(|| tail(&log))?;
        let first: Value = serde_json::from_slice(&fs::read(data.path().join("first-run.json"))?)?;
        Ok(Self {
            running,
            binary: binary.to_owned(),
            admin_token: text(&first, "admin_token")?,
            http: address(&text(&ready, "http")?)?,
            ops: address(&text(&ready, "ops")?)?,
            data,
        })
    }

    /// The process that carries media, not its workers nor its database.
    #[must_use]
    pub fn process(&self) -> Process {
        self.running.process()
    }

    /// The transcode workers.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn workers(&self) -> Result<Vec<Process>> {
        let family = self.process().family()?;
        let is_worker = |command: &[String]| command.get(1).is_some_and(|word| word == "transcode");
        Ok(family.into_iter().filter(|(_, command)| is_worker(command)).map(|(process, _)| process).collect())
    }

    /// The node and everything that it started.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn family(&self) -> Result<Vec<Process>> {
        Ok(self.process().family()?.into_keys().collect())
    }

    /// A new channel with a key.
    ///
    /// # Errors
    /// The node refuses it.
    pub async fn channel(&self, name: &str, wish: Wish<'_>) -> Result<Channel> {
        let mut connection = Connection::open(self.http, None).await?;
        let rungs: Vec<Value> =
            wish.rungs.iter().map(|(height, bitrate)| json!({ "height": height, "bitrate": bitrate })).collect();
        let ladder = json!({ "rungs": rungs, "audio_bitrate": 96_000 });
        let channel = json!({ "name": name, "profile": wish.profile, "ladder": ladder });
        connection.post_json("/api/v1/channels", &self.admin_token, &channel).await?;
        let keys = format!("/api/v1/channels/{name}/keys");
        let key = connection.post_json(&keys, &self.admin_token, &json!({ "label": "bench" })).await?;
        Ok(Channel { name: name.to_owned(), key: text(&key, "key")? })
    }

    /// Publishes the test pattern to a channel until it is dropped.
    ///
    /// # Errors
    /// The binary cannot be run.
    pub fn publish(&self, channel: &Channel, picture: Picture) -> Result<Running> {
        let log = File::create(self.data.path().join(format!("publish-{}.log", channel.name)))?;
        let Picture { width, height, kbits } = picture;
        let mut command = without_configuration(&self.binary);
        command.args(["publish", "--whip", &self.whip()]);
        command.args(["--size", &format!("{width}x{height}"), "--bitrate", &kbits.to_string()]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        Running::start(command.env("HEADWATER_KEY", &channel.key))
    }

    /// The URL of the WHIP endpoint.
    #[must_use]
    pub fn whip(&self) -> String {
        format!("http://{}/whip", self.http)
    }

    /// The paths of a channel's video renditions, best first, and of its sound; waits for the first part.
    ///
    /// # Errors
    /// There is no broadcast within a minute.
    pub async fn renditions(&self, channel: &Channel) -> Result<(Vec<String>, Option<String>)> {
        let base = format!("/live/{}/", channel.name);
        let mut connection = Connection::open(self.http, None).await?;
        for _try in 0..600 {
            let answer = connection.get(&format!("{base}index.m3u8")).await?;
            if answer.status.is_success() {
                let (video, sound) = playlist::renditions(&String::from_utf8_lossy(&answer.body));
                let absolute = |path: String| format!("{base}{path}");
                return Ok((video.into_iter().map(absolute).collect(), sound.map(absolute)));
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        anyhow::bail!("channel {} is not live within a minute", channel.name)
    }

    /// The sum of all series of a metric.
    ///
    /// # Errors
    /// There is none of that name.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        let Answer { body, .. } = Connection::open(self.ops, None).await?.get("/metrics").await?;
        sum_of(&String::from_utf8_lossy(&body), name).with_context(|| format!("no metric {name}"))
    }
}

/// The sum of the series of that name in the text format; `None` if there is none.
fn sum_of(text: &str, name: &str) -> Option<f64> {
    let series = text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
    let values = series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    values.fold(None, |sum, value| Some(sum.unwrap_or(0.0) + value))
}

/// The binary with its defaults and without a limit of broadcasts, whatever this process was given.
fn without_configuration(binary: &Path) -> Command {
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("HEADWATER_")) {
            command.env_remove(name);
        }
    }
    // What is measured is what the machine can do, not what it would take on.
    command.env("HEADWATER_TRANSCODE__LOAD_MAX_PERCENT", "0");
    command
}

fn ready(child: &mut Child) -> Result<Value> {
    let output = child.stdout.take().context("it has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(!line.is_empty(), "the node ended before it was ready");
    Ok(serde_json::from_str(&line)?)
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}

fn text(json: &Value, key: &str) -> Result<String> {
    Ok(json.get(key).and_then(Value::as_str).with_context(|| format!("no {key} in {json}"))?.to_owned())
}

fn address(url: &str) -> Result<SocketAddr> {
    let text = url.trim_start_matches("http://").trim_end_matches('/');
    text.parse().with_context(|| format!("{url} is no address"))
}

/// Lets this process and its children have as many descriptors as they may; returns that number.
///
/// # Errors
/// The kernel refuses.
pub fn raise_descriptors() -> Result<u64> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_of_its_series_and_of_no_other() {
        let text = "# HELP a Some.\na{port=\"x y\"} 2\na{port=\"z\"} 3\nab 9\nb 1.5\n";
        assert_eq!(sum_of(text, "a"), Some(5.0));
        assert_eq!(sum_of(text, "b"), Some(1.5));
        assert_eq!(sum_of(text, "c"), None);
    }
}
