//! Requests per second of a service, over HTTP: each in a process and with a server of its own.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

use super::Bench;
use crate::machine::{Pinning, Server};
use crate::measure::{Cell, Row, spread};
use crate::report::{Table, time};
use crate::subjects::Result;
use crate::subjects::services::Cached;

const CONNECTIONS: u64 = 16;
const IDS: u64 = 100;
/// The time of a turn.
const TURN: Duration = Duration::from_secs(2);

pub fn tables(bench: &Bench<'_>) -> Result<Vec<Table>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut services = Vec::new();
    for cached in Cached::ALL {
        eprintln!("web: {}", cached.name());
        services.push(Running::start(cached, bench.pinning, &runtime)?);
    }
    for round in 0..bench.rounds(7) {
        eprint!(".");
        for turn in 0..services.len() {
            // Each round begins with another one.
            let at = (round + turn) % services.len();
            services[at].take_turn(&runtime)?;
        }
    }
    eprintln!();
    let cells = |of: &dyn Fn(&mut Running) -> Result<String>, services: &mut [Running]| {
        let cells = services.iter_mut().map(|service| Ok((service.cached.name(), Cell::Text(of(service)?))));
        cells.collect::<Result<Vec<_>>>()
    };
    let rows = vec![
        Row { workload: "requests per second".into(), cells: cells(&|service| Ok(service.rate()), &mut services)? },
        Row { workload: "median latency".into(), cells: cells(&|service| Ok(service.latency(0.5)), &mut services)? },
        Row { workload: "99 %".into(), cells: cells(&|service| Ok(service.latency(0.99)), &mut services)? },
        Row {
            workload: "processor time of the service".into(),
            cells: cells(&|service| Ok(service.work()), &mut services)?,
        },
        Row { workload: "runs of the handler".into(), cells: cells(&|service| service.runs(&runtime), &mut services)? },
    ];
    Ok(vec![Table {
        title: "Handlers",
        about: "A handler of axum that waits 5 ms for a query and returns 2 KB of JSON, asked for 100 ids by 16 connections, one \
            request after the other on each: the median of the rounds, with the middle half. The processor time is that of the service for one request, without that of \
            Redis and of the client: it depends less on what else the machine does. Every service has a process and a \
            Redis server of its own, and the client is in another process. axum-response-cache has no Redis, and neither it nor \
            `local` make a round trip. tower-http-cache cannot be a layer of an axum router: each response is read to its end in \
            front of it.",
        rows: transposed(rows),
    }])
}

/// A row for each service.
fn transposed(rows: Vec<Row>) -> Vec<Row> {
    let mut by_service: Vec<Row> = Vec::new();
    for row in rows {
        let name: &'static str = String::leak(row.workload);
        for (at, (service, cell)) in row.cells.into_iter().enumerate() {
            if by_service.len() <= at {
                by_service.push(Row { workload: service.to_owned(), cells: Vec::new() });
            }
            by_service[at].cells.push((name, cell));
        }
    }
    by_service
}

/// A service in a process of its own, which is killed when dropped.
struct Running {
    cached: Cached,
    process: Child,
    address: String,
    rates: Vec<f64>,
    /// In seconds.
    latencies: Vec<f64>,
    /// The processor time of the service for each request, in seconds.
    work: Vec<f64>,
    _redis: Server,
}

impl Running {
    fn start(cached: Cached, pinning: Pinning, runtime: &Runtime) -> Result<Running> {
        let redis = Server::start(pinning)?;
        let mut command = Command::new(std::env::current_exe()?);
        let at = Cached::ALL.iter().position(|other| *other == cached).unwrap_or_default();
        command.args(["service", &at.to_string(), &redis.url()]).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        let address = address.trim().to_owned();
        let service = Running {
            cached,
            process,
            address,
            rates: Vec::new(),
            latencies: Vec::new(),
            work: Vec::new(),
            _redis: redis,
        };
        runtime.block_on(async {
            let mut client = Client::connect(&service.address).await?;
            for id in 0..IDS {
                client.get(id).await?;
            }
            Result::Ok(())
        })?;
        Ok(service)
    }

    fn take_turn(&mut self, runtime: &Runtime) -> Result<()> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let turn = async {
            let mut tasks = tokio::task::JoinSet::new();
            let begun = Instant::now();
            for _ in 0..CONNECTIONS {
                let address = self.address.clone();
                tasks.spawn(async move {
                    let mut client = Client::connect(&address).await?;
                    let mut latencies = Vec::new();
                    while begun.elapsed() < TURN {
                        let sent = Instant::now();
                        client.get(NEXT.fetch_add(1, Relaxed) % IDS).await?;
                        latencies.push(sent.elapsed().as_secs_f64());
                    }
                    Result::Ok(latencies)
                });
            }
            let mut all = Vec::new();
            while let Some(latencies) = tasks.join_next().await {
                all.extend(latencies??);
            }
            Result::Ok((all, begun.elapsed()))
        };
        let worked = processor_time(self.process.id())?;
        let (latencies, took) = runtime.block_on(turn)?;
        self.work.push((processor_time(self.process.id())? - worked) / latencies.len().max(1) as f64);
        self.rates.push(latencies.len() as f64 / took.as_secs_f64());
        self.latencies.extend(latencies);
        Ok(())
    }

    fn rate(&self) -> String {
        let rates = spread(self.rates.iter().copied());
        rates.map_or_else(String::new, |of| format!("{:.0} ({:.0}–{:.0})", of.median, of.low, of.high))
    }

    fn work(&self) -> String {
        let work = spread(self.work.iter().copied());
        work.map_or_else(String::new, |of| format!("{} ({}–{})", time(of.median), time(of.low), time(of.high)))
    }

    fn latency(&mut self, part: f64) -> String {
        self.latencies.sort_by(f64::total_cmp);
        let at = (self.latencies.len() as f64 * part) as usize;
        self.latencies.get(at).map_or_else(String::new, |latency| time(*latency))
    }

    fn runs(&self, runtime: &Runtime) -> Result<String> {
        let runs = runtime.block_on(async { Client::connect(&self.address).await?.runs().await })?;
        let requests = self.latencies.len() + IDS as usize;
        Ok(format!("{runs} of {requests} requests"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The service may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The processor time of a process so far, in seconds.
fn processor_time(process: u32) -> Result<f64> {
    /// Of Linux, on all that this runs on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program is in parentheses, and may contain anything.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<std::result::Result<f64, _>>()? / TICKS_PER_SECOND)
}

/// A connection of HTTP/1.1, on which one request is made at a time.
struct Client {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Client {
    async fn connect(address: &str) -> Result<Client> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Client { stream, received: Vec::with_capacity(16 << 10) })
    }

    async fn get(&mut self, id: u64) -> Result<()> {
        self.ask(&format!("/report/{id}")).await?;
        let mark = format!("{{\"id\":{id},\"rows\":[{{");
        let has_mark = self.received.windows(mark.len()).any(|bytes| bytes == mark.as_bytes());
        if has_mark { Ok(()) } else { Err("another report".into()) }
    }

    async fn runs(mut self) -> Result<String> {
        self.ask("/runs").await?;
        Ok(String::from_utf8_lossy(&self.received).rsplit("\r\n").next().unwrap_or_default().to_owned())
    }

    /// Sends a request, and receives the response.
    async fn ask(&mut self, path: &str) -> Result<()> {
        let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        self.received.clear();
        let mut length = None;
        while length.is_none_or(|length| self.received.len() < length) {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the service closed the connection".into());
            }
            length = length.or_else(|| whole(&self.received));
        }
        if self.received.starts_with(b"HTTP/1.1 200 ") { Ok(()) } else { Err("no response".into()) }
    }
}

/// The length of a response whose head has arrived.
fn whole(received: &[u8]) -> Option<usize> {
    let head = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&received[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    match length {
        Some(length) => Some(head + length),
        // It comes in chunks.
        None => received.ends_with(b"\r\n0\r\n\r\n").then_some(received.len()),
    }
}

/// Serves in a process of its own, and prints the address.
pub fn service(at: &str, url: &str) -> Result<()> {
    let cached = *Cached::ALL.get(at.parse::<usize>()?).ok_or("no such service")?;
    Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(async {
        let router = cached.router(url).await?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        axum::serve(listener, router).await?;
        Ok(())
    })
}
