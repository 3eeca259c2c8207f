//! The machine: the cores to run on, a server, and the versions of both.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};
use rustix::thread::{CpuSet, sched_setaffinity};

use crate::subjects::Result;

/// The cores of client and server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pinning {
    /// Client and server on one core: the figures show the work of both.
    Same,
    /// A core for each: the figures show the work of the busier one, and the cost of waking up.
    Split,
    /// The system places them. Concurrent workloads have two client threads.
    Free,
}

impl Pinning {
    pub fn parse(text: &str) -> Option<Pinning> {
        match text {
            "same" => Some(Pinning::Same),
            "split" => Some(Pinning::Split),
            "free" => Some(Pinning::Free),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Pinning::Same => "same",
            Pinning::Split => "split",
            Pinning::Free => "free",
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Pinning::Same => "client and server on the same core",
            Pinning::Split => "client and server on a core each",
            Pinning::Free => "client and server on no core in particular",
        }
    }

    /// The number of threads of the client's runtime.
    pub fn workers(self) -> usize {
        if self == Pinning::Free { 2 } else { 1 }
    }

    fn server_core(self) -> Option<usize> {
        (self != Pinning::Free).then_some(0)
    }

    /// Pins this thread, and all threads and processes that it starts later.
    pub fn pin_client(self) -> Result<()> {
        match self {
            Pinning::Same => run_on(0),
            Pinning::Split => run_on(1),
            Pinning::Free => Ok(()),
        }
    }
}

fn run_on(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores)?;
    Ok(())
}

/// A `redis-server` without persistence, killed when dropped.
pub struct Server {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Server {
    pub fn start(pinning: Pinning) -> Result<Server> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let directory = std::env::temp_dir().join(format!("redis-cached-bench-{}-{port}", std::process::id()));
        fs::create_dir_all(&directory)?;
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir"])
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-server does not start ({error}); scripts/install installs it"))?;
        let server = Server { child, port, directory };
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if begun.elapsed() > Duration::from_secs(10) {
                return Err("redis-server does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        if let Some(core) = pinning.server_core() {
            // Pin all threads that the server has started so far.
            for thread in fs::read_dir(format!("/proc/{}/task", server.child.id()))? {
                let id = thread?.file_name().to_string_lossy().parse().ok().and_then(Pid::from_raw);
                let mut cores = CpuSet::new();
                cores.set(core);
                sched_setaffinity(id, &cores)?;
            }
        }
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn version(&self) -> Result<String> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        let info: String = redis::cmd("INFO").arg("server").query(&mut connection)?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or("unknown").to_owned())
    }

    /// Kills the server, so that it refuses connections.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Stops the server, so that it keeps connections open and answers nothing, and waits until none of its threads runs.
    pub fn hang(&self) -> Result<()> {
        let id = Pid::from_child(&self.child);
        kill_process(id, Signal::STOP)?;
        waitid(WaitId::Pid(id), WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT)?;
        Ok(())
    }

    pub fn flush(&self) -> Result<()> {
        let mut connection = redis::Client::open(self.url())?.get_connection()?;
        let () = redis::cmd("FLUSHALL").query(&mut connection)?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The processor's name.
pub fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name =
        info.lines().find_map(|line| Some(line.strip_prefix("model name")?.split_once(':')?.1.trim().to_owned()));
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    format!("{}, {cores} cores", name.unwrap_or_else(|| std::env::consts::ARCH.to_owned()))
}

/// The version of a crate in this build, the latest if there are several: another library may use an earlier one.
pub fn crate_version(name: &str) -> &'static str {
    const LOCK: &str = include_str!("../Cargo.lock");
    let after = LOCK.rsplit_once(&format!("name = \"{name}\"\nversion = \"")).map_or("", |(_, after)| after);
    after.split('"').next().unwrap_or_default()
}
