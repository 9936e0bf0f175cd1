//! nginx, as a peer and as an edge: a process of ours with a configuration of ours, on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::node::Running;
use crate::process::Process;

/// Where it is looked for besides the search path: where `scripts/setup --benches` puts it, and where Debian does.
const PLACES: [&str; 2] = [".local/nginx/usr/sbin/nginx", "/usr/sbin/nginx"];
/// It forks and listens within this.
const START_LIMIT: Duration = Duration::from_secs(10);

/// A running nginx.
#[derive(Debug)]
pub struct Nginx {
    running: Running,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Nginx {
    /// Starts it in `folder`, which it may write to; `http` is what stands in its `http` block, with `{listen}` for
    /// its address.
    ///
    /// # Errors
    /// It is not installed, or does not listen.
    pub fn start(folder: &Path, http: &str) -> Result<Self> {
        let address = free_address()?;
        let conf = folder.join("nginx.conf");
        fs::write(&conf, configuration(folder, &http.replace("{listen}", &address.to_string())))?;
        let mut command = Command::new(program());
        command.arg("-p").arg(folder).arg("-c").arg(&conf).args(["-e", "stderr"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(folder.join("nginx.log"))?);
        let mut nginx = Self { running: Running::start(&mut command).context("run scripts/setup --benches")?, address };
        nginx.wait().with_context(|| fs::read_to_string(folder.join("nginx.log")).unwrap_or_default())?;
        Ok(nginx)
    }

    /// Its master and workers.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn family(&self) -> Result<Vec<Process>> {
        Ok(self.running.process().family()?.into_keys().collect())
    }

    #[allow(clippy::disallowed_methods)] // nothing tells when it listens
    fn wait(&mut self) -> Result<()> {
        let began = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            self.running.check()?;
            ensure!(began.elapsed() < START_LIMIT, "nginx does not listen on {}", self.address);
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn program() -> PathBuf {
    PLACES.iter().map(PathBuf::from).find(|place| place.exists()).unwrap_or_else(|| "nginx".into())
}

/// A port that was free just now.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn configuration(folder: &Path, http: &str) -> String {
    let folder = folder.display();
    let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = kinds.map(|kind| format!("  {kind}_temp_path {folder}/tmp-{kind};\n")).concat();
    // Without `user root` a master that is root hands its workers to a user who cannot read the folder.
    format!(
        "daemon off;\nuser root root;\npid {folder}/nginx.pid;\nworker_processes auto;\n\
         worker_rlimit_nofile 16384;\nevents {{ worker_connections 8192; }}\n\
         http {{\n  access_log off;\n  types {{ video/mp4 mp4 m4s; audio/mp4 m4a; \
         application/vnd.apple.mpegurl m3u8; }}\n{temporary}{http}\n}}\n"
    )
}
