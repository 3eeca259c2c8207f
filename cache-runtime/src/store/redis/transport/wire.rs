//! A blocking connection that keeps deadlines.
//!
//! The connection of redis-rs has a time-out for each read of the socket: a reply that trickles in has no limit.
//! Therefore plain sockets are read here, with redis-rs' parser; TLS stays with redis-rs, and each read of the socket
//! gets the rest of the deadline.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::io::tcp::TcpSettings;
use redis::{ConnectionLike, Parser, Value};

use super::connect::{Way, configured, no_address};

use crate::error::ErrorKind;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::Open;
use crate::store::redis::server::Server;
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::server::greeting::Greeting;
use crate::store::redis::server::sanitize::Sanitizer;

/// A connection that is greeted.
pub(crate) struct Wire {
    line: Line,
    /// Set once the connection is greeted.
    open: Option<Open>,
    pub(crate) features: Features,
}

enum Line {
    Plain { socket: Timed, parser: Parser },
    Tls { connection: Box<redis::Connection>, timeout: Duration },
}

impl Wire {
    pub(crate) fn open(server: &Arc<Server>, epoch: Epoch, by: Instant) -> Result<Wire, Fault> {
        let endpoint = server.endpoint();
        let way = Way::to(&endpoint);
        let line = match way {
            Way::Tcp { host, port, settings } => Line::plain(Socket::Tcp(dial(host, port, settings, by)?)),
            #[cfg(unix)]
            Way::Unix(path) => Line::plain(Socket::Unix(UnixStream::connect(path)?)),
            Way::RedisRs(info) => {
                let client = redis::Client::open(info.clone())?;
                let connection = client.get_connection_with_timeout(left(by)?)?;
                Line::Tls { connection: Box::new(connection), timeout: Duration::ZERO }
            }
        };
        let mut wire = Wire { line, open: None, features: Features::default() };
        let mut greeting = Greeting::new(server, epoch, way.login(&endpoint));
        while let Some(request) = greeting.request() {
            let sent = Instant::now();
            greeting.answered(wire.send(&Request::Many(request), by)?.all(), sent)?;
        }
        wire.features = greeting.features();
        wire.open = Some(server.opened());
        Ok(wire)
    }

    /// The time of the last request, where that is known.
    #[cfg(feature = "blocking")]
    pub(crate) fn began(&self) -> Option<Instant> {
        match &self.line {
            Line::Plain { socket, .. } => Some(socket.set_at),
            Line::Tls { .. } => None,
        }
    }

    /// Sends a request and receives its replies.
    pub(crate) fn send(&mut self, request: &Request, by: Instant) -> Result<Reply, Fault> {
        let (bytes, count) = match request {
            Request::One(command) | Request::OneOnce(command) => (command.get_packed_command(), 1),
            Request::Many(pipeline) | Request::ManyOnce(pipeline) => (pipeline.get_packed_pipeline(), pipeline.len()),
        };
        match &mut self.line {
            Line::Plain { socket, parser } => {
                socket.until(by)?;
                let sent = socket.set_at;
                let written = socket.write_all(&bytes);
                let mut receive = || parser.parse_value(&mut *socket).map_err(Fault::from);
                if let Err(error) = written {
                    // A server that closes the connection may have sent the reason.
                    let words = receive().ok().and_then(last_words);
                    return Err(words.unwrap_or_else(|| error.into()));
                }
                Ok(match request {
                    Request::One(_) | Request::OneOnce(_) => Reply::One(receive()?),
                    Request::Many(_) | Request::ManyOnce(_) => {
                        let mut values = Vec::with_capacity(count);
                        for _ in 0..count {
                            match receive() {
                                Ok(value) => values.push(value),
                                Err(fault) => return Err(values.pop().and_then(last_words).unwrap_or(fault)),
                            }
                        }
                        Reply::Many { values, sent }
                    }
                })
            }
            Line::Tls { connection, timeout } => {
                let sent = Instant::now();
                let left = left(by)?;
                if is_material(*timeout, left) {
                    connection.set_read_timeout(Some(left))?;
                    connection.set_write_timeout(Some(left))?;
                    *timeout = left;
                }
                Ok(match request {
                    Request::One(_) | Request::OneOnce(_) => Reply::One(connection.req_packed_command(&bytes)?),
                    Request::Many(_) | Request::ManyOnce(_) => {
                        Reply::Many { values: connection.req_packed_commands(&bytes, 0, count)?, sent }
                    }
                })
            }
        }
    }
}

/// The reason why a server closed the connection, if this reply contains it.
fn last_words(reply: Value) -> Option<Fault> {
    checked(reply).err().filter(|fault| fault.blame == Blame::Full)
}

impl Line {
    fn plain(socket: Socket) -> Line {
        let now = Instant::now();
        let socket = Timed {
            socket,
            timeout: Duration::ZERO,
            by: now,
            set_at: now,
            fresh: true,
            sanitizer: Sanitizer::default(),
        };
        Line::Plain { socket, parser: Parser::new() }
    }
}

/// Connects to the first address that accepts.
fn dial(host: &str, port: u16, settings: &TcpSettings, by: Instant) -> Result<TcpStream, Fault> {
    let mut refused = None;
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(by)?) {
            Ok(stream) => return Ok(configured(stream, settings)?),
            Err(error) => refused = Some(error),
        }
    }
    Err(match refused {
        Some(error) => error.into(),
        None => no_address(),
    })
}

/// The time until the deadline, which has not passed.
fn left(by: Instant) -> Result<Duration, Fault> {
    left_at(Instant::now(), by)
}

fn left_at(now: Instant, by: Instant) -> Result<Duration, Fault> {
    let left = by.saturating_duration_since(now);
    if left.is_zero() {
        return Err(Fault::new(ErrorKind::Timeout, Blame::Wait, "the deadline passed"));
    }
    // Some systems round a shorter time-out down to none at all.
    Ok(left.max(Duration::from_millis(1)))
}

/// Returns true if changing a socket's time-out is worth a system call: it would pass the deadline by more than a
/// sixteenth, or wake up several times before it.
fn is_material(timeout: Duration, left: Duration) -> bool {
    timeout > left + left / 16 || timeout < left / 4
}

enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
            #[cfg(unix)]
            Socket::Unix(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(buffer),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.write(buffer),
        }
    }
}

/// A socket whose reads and writes all end by one deadline.
struct Timed {
    socket: Socket,
    /// The time-out that is set on the socket.
    timeout: Duration,
    by: Instant,
    set_at: Instant,
    /// True if nothing was read or written since the clock was read.
    fresh: bool,
    sanitizer: Sanitizer,
}

impl Timed {
    /// Sets the deadline of the next operations.
    fn until(&mut self, by: Instant) -> Result<(), Fault> {
        self.by = by;
        self.set_at = Instant::now();
        let left = left_at(self.set_at, by)?;
        self.limit(left)?;
        self.fresh = true;
        Ok(())
    }

    fn limit(&mut self, left: Duration) -> io::Result<()> {
        if is_material(self.timeout, left) {
            self.socket.set_timeout(left)?;
            self.timeout = left;
        }
        Ok(())
    }

    fn within_deadline(&mut self, mut operation: impl FnMut(&mut Socket) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            if !self.fresh {
                let left = self.by.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                self.limit(left.max(Duration::from_millis(1)))?;
            }
            let outcome = operation(&mut self.socket);
            match outcome {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) =>
                {
                    self.fresh = false;
                }
                outcome => return outcome,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.within_deadline(|socket| socket.read(buffer));
        self.fresh = false;
        if let Ok(read) = read {
            self.sanitizer.pass(buffer.get_mut(..read).unwrap_or_default());
        }
        read
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.within_deadline(|socket| socket.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
