//! A blocking connection that keeps deadlines.
//!
//! The connection of redis-rs has a time-out for each read of the socket: a reply that trickles in has no limit, and a
//! TLS handshake has none at all. Therefore replies are read here, with redis-rs' parser, over sockets whose reads and
//! writes end by a deadline, whatever secures them.

use std::io::Write;
use std::net::{TcpStream, ToSocketAddrs};
#[cfg(unix)]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
#[cfg(unix)]
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "tls-native")]
use redis::ConnectionAddr;
use redis::io::tcp::TcpSettings;
use redis::{ConnectionInfo, Parser, Value};

use super::connect::{Way, configured, no_address};
use super::stream::{Clean, Stream};
use super::timed::{Socket, Timed, left};
use crate::error::ErrorKind;
use crate::observe::Exchanges;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::endpoint::Endpoint;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::server::greeting::Greeting;
use crate::store::redis::server::{Open, Purpose, Server};

/// A connection that is greeted.
pub(crate) struct Wire {
    stream: Clean,
    parser: Parser,
    /// Set once the connection is greeted.
    open: Option<Open>,
    pub(crate) features: Features,
    /// The exchanges with the server, in which greetings do not count.
    pub(crate) exchanges: Arc<Exchanges>,
}

impl Wire {
    pub(crate) fn open(server: &Arc<Server>, epoch: Epoch, by: Instant) -> Result<Wire, Fault> {
        let mut endpoint = server.endpoint_blocking(by)?;
        loop {
            match Wire::open_at(&endpoint, server, epoch, by) {
                Err(fault) => endpoint = server.other_endpoint_blocking(&endpoint, fault, by)?,
                wire => return wire,
            }
        }
    }

    fn open_at(endpoint: &Endpoint, server: &Arc<Server>, epoch: Epoch, by: Instant) -> Result<Wire, Fault> {
        let way = Way::to(endpoint);
        let login = endpoint.login()?;
        let stream = Clean::of(connected(&way, by)?);
        let (features, exchanges) = (Features::default(), Arc::clone(endpoint.exchanges()));
        let mut wire = Wire { stream, parser: Parser::new(), open: None, features, exchanges };
        let mut greeting = Greeting::new(server, epoch, &login);
        wire.greet(&mut greeting, by).map_err(|fault| way.greeting_fault(fault))?;
        wire.features = greeting.features();
        wire.open = Some(server.opened(Purpose::Blocking));
        Ok(wire)
    }

    fn greet(&mut self, greeting: &mut Greeting<'_>, by: Instant) -> Result<(), Fault> {
        while let Some(request) = greeting.request() {
            let sent = Instant::now();
            greeting.answered(self.send(&Request::Many(request), by)?.all(), sent)?;
        }
        Ok(())
    }

    /// The time of the last request.
    #[cfg(feature = "blocking")]
    pub(crate) fn began(&self) -> Instant {
        self.stream.set_at()
    }

    /// Sends a request and receives its replies.
    pub(crate) fn send(&mut self, request: &Request, by: Instant) -> Result<Reply, Fault> {
        let (bytes, count) = match request {
            Request::One(command) | Request::OneOnce(command) => (command.get_packed_command(), 1),
            Request::Many(pipeline) | Request::ManyOnce(pipeline) => (pipeline.get_packed_pipeline(), pipeline.len()),
        };
        exchange(&mut self.stream, &mut self.parser, request, (&bytes, count), by)
    }
}

fn exchange(
    stream: &mut Clean,
    parser: &mut Parser,
    request: &Request,
    (bytes, count): (&[u8], usize),
    by: Instant,
) -> Result<Reply, Fault> {
    stream.until(by)?;
    let sent = stream.set_at();
    let written = stream.write_all(bytes).and_then(|()| stream.flush());
    let mut receive = || {
        let received = parser.parse_value(&mut *stream).map_err(Fault::from);
        received.map_err(|fault| match stream.large().filter(|_| fault.error.kind() == ErrorKind::Timeout) {
            Some(length) => Fault::large(length),
            None => stream.take_fault().unwrap_or(fault),
        })
    };
    if let Err(error) = written {
        // A server that closes the connection may have sent the reason.
        let words = receive().ok().and_then(last_words);
        return Err(words.unwrap_or_else(|| error.into()));
    }
    match request {
        Request::One(_) | Request::OneOnce(_) => receive().map(Reply::One),
        Request::Many(_) | Request::ManyOnce(_) => {
            let mut values = Vec::with_capacity(count);
            for _ in 0..count {
                match receive() {
                    Ok(value) => values.push(value),
                    Err(fault) => return Err(values.pop().and_then(last_words).unwrap_or(fault)),
                }
            }
            Ok(Reply::Many { values, sent })
        }
    }
}

fn connected(way: &Way<'_>, by: Instant) -> Result<Stream, Fault> {
    Ok(match *way {
        Way::Tcp { host, port, settings } => Stream::Plain(Timed::new(Socket::Tcp(dial(host, port, settings, by)?))),
        #[cfg(feature = "_rustls")]
        Way::Tls { host, port, settings, connector } => {
            let config = connector.config().map_err(|error| Fault { error, blame: Blame::Connection })?;
            let socket = Timed::new(Socket::Tcp(dial(host, port, settings, by)?));
            Stream::secured(socket, config, connector.name().clone(), by)?
        }
        #[cfg(unix)]
        Way::Unix(path) => Stream::Plain(Timed::new(Socket::Unix(dial_unix(path, by)?))),
        Way::RedisRs(info) => natively_secured(info, by)?,
    })
}

/// Connects through the TLS library of the system.
#[cfg(feature = "tls-native")]
fn natively_secured(info: &ConnectionInfo, by: Instant) -> Result<Stream, Fault> {
    let ConnectionAddr::TcpTls { host, port, .. } = info.addr() else { return Err(unsupported()) };
    let socket = Timed::new(Socket::Tcp(dial(host, *port, info.tcp_settings(), by)?));
    Stream::natively_secured(socket, host, by)
}

#[cfg(not(feature = "tls-native"))]
fn natively_secured(_: &ConnectionInfo, _: Instant) -> Result<Stream, Fault> {
    Err(unsupported())
}

fn unsupported() -> Fault {
    Fault::new(ErrorKind::Config, Blame::Connection, "this system has no such addresses")
}

/// Connects to a unix socket. Where its backlog is full, Linux waits for as long as the socket's time-out of writes.
#[cfg(unix)]
fn dial_unix(path: &Path, by: Instant) -> Result<UnixStream, Fault> {
    use redis::io::tcp::socket2;
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
    socket.set_write_timeout(Some(left(by)?))?;
    socket.connect(&socket2::SockAddr::unix(path)?)?;
    Ok(UnixStream::from(OwnedFd::from(socket)))
}

/// The reason why a server closed the connection, if this reply contains it.
fn last_words(reply: Value) -> Option<Fault> {
    checked(reply).err().filter(|fault| fault.blame == Blame::Full)
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Duration;

    use redis::io::tcp::socket2::{Domain, SockAddr, Socket, Type};

    use super::*;

    fn unix_socket() -> Socket {
        Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket")
    }

    #[test]
    fn a_unix_socket_with_a_full_backlog_is_given_up() {
        let path = std::env::temp_dir().join(format!("redis-cached-backlog-{}", std::process::id()));
        let address = SockAddr::unix(&path).expect("an address");
        let listener = unix_socket();
        listener.bind(&address).expect("a free name");
        listener.listen(0).expect("a listener");
        // These are never accepted.
        let mut waiting = Vec::new();
        loop {
            let socket = unix_socket();
            socket.set_nonblocking(true).expect("not blocking");
            if socket.connect(&address).is_err() {
                break;
            }
            waiting.push(socket);
        }
        let outcome = dial_unix(&path, Instant::now() + Duration::from_millis(50));
        std::fs::remove_file(&path).expect("the name is removed");
        assert_eq!(outcome.expect_err("no room").error.kind(), ErrorKind::Timeout);
        assert!(!waiting.is_empty());
    }
}
