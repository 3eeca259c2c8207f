//! A stream of a blocking connection, plain or over TLS, whose replies are fit for redis-rs' parser.

use std::io::{self, Read, Write};
#[cfg(feature = "_rustls")]
use std::sync::Arc;
use std::time::Instant;

#[cfg(feature = "_rustls")]
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use super::arrivals::is_large;
#[cfg(feature = "_rustls")]
use super::connect::{handshake_fault, tls_fault};
use super::timed::Timed;
#[cfg(feature = "tls-native")]
use crate::error::ErrorKind;
#[cfg(feature = "tls-native")]
use crate::store::redis::server::fault::Blame;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::sanitize::Sanitizer;

pub(super) enum Stream {
    Plain(Timed),
    /// The deadline is that of the socket, whatever TLS reads and writes for one request.
    #[cfg(feature = "_rustls")]
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
    /// The same, by the TLS library of the system.
    #[cfg(feature = "tls-native")]
    Native(Box<native_tls::TlsStream<Timed>>),
}

impl Stream {
    /// Does the handshake over a new socket.
    #[cfg(feature = "_rustls")]
    pub(super) fn secured(
        mut socket: Timed,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        by: Instant,
    ) -> Result<Stream, Fault> {
        socket.until(by)?;
        let connection = ClientConnection::new(config, name).map_err(io::Error::other).map_err(handshake_fault)?;
        let mut stream = Box::new(StreamOwned::new(connection, socket));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(handshake_fault)?;
        }
        Ok(Stream::Tls(stream))
    }

    /// Does the handshake over a new socket by the TLS library of the system.
    #[cfg(feature = "tls-native")]
    pub(super) fn natively_secured(mut socket: Timed, host: &str, by: Instant) -> Result<Stream, Fault> {
        let connector = native_tls::TlsConnector::new().map_err(native_fault)?;
        socket.until(by)?;
        match connector.connect(host, socket) {
            Ok(stream) => Ok(Stream::Native(Box::new(stream))),
            Err(native_tls::HandshakeError::Failure(error)) => Err(native_fault(error)),
            Err(native_tls::HandshakeError::WouldBlock(_)) => Err(io::Error::from(io::ErrorKind::TimedOut).into()),
        }
    }

    fn socket(&mut self) -> &mut Timed {
        match self {
            Stream::Plain(socket) => socket,
            #[cfg(feature = "_rustls")]
            Stream::Tls(stream) => &mut stream.sock,
            #[cfg(feature = "tls-native")]
            Stream::Native(stream) => stream.get_mut(),
        }
    }
}

/// The fault of a connection that the TLS library of the system cannot secure.
#[cfg(feature = "tls-native")]
fn native_fault(error: native_tls::Error) -> Fault {
    use std::error::Error as _;
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    match source.map(io::Error::kind) {
        Some(kind) if kind != io::ErrorKind::Other => io::Error::from(kind).into(),
        _ => Fault::new(ErrorKind::Unreachable, Blame::Connection, format!("the TLS handshake failed: {error}")),
    }
}

/// A stream whose replies are text where they have to be.
pub(super) struct Clean {
    stream: Stream,
    sanitizer: Sanitizer,
    /// The reason why a read failed, if it is one of TLS: redis-rs keeps only its text.
    fault: Option<Fault>,
}

impl Clean {
    pub(super) fn of(stream: Stream) -> Clean {
        Clean { stream, sanitizer: Sanitizer::default(), fault: None }
    }

    /// Sets the deadline of the next reads and writes.
    pub(super) fn until(&mut self, by: Instant) -> Result<(), Fault> {
        self.stream.socket().until(by)
    }

    /// The time at which the deadline was set.
    pub(super) fn set_at(&self) -> Instant {
        match &self.stream {
            Stream::Plain(socket) => socket.set_at,
            #[cfg(feature = "_rustls")]
            Stream::Tls(stream) => stream.sock.set_at,
            #[cfg(feature = "tls-native")]
            Stream::Native(stream) => stream.get_ref().set_at,
        }
    }

    /// The length of a large reply that is under way, if bytes of it arrived since the deadline was set.
    pub(super) fn large(&mut self) -> Option<u64> {
        let length = self.sanitizer.under_way() as u64;
        (is_large(length) && self.stream.socket().has_read).then_some(length)
    }

    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }
}

impl Read for Clean {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.stream {
            Stream::Plain(socket) => socket.read(buffer),
            #[cfg(feature = "_rustls")]
            Stream::Tls(stream) => stream.read(buffer).inspect_err(|error| self.fault = tls_fault(error)),
            #[cfg(feature = "tls-native")]
            Stream::Native(stream) => stream.read(buffer),
        };
        if let Ok(read) = read {
            self.sanitizer.pass(buffer.get_mut(..read).unwrap_or_default());
        }
        read
    }
}

impl Write for Clean {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.write(bytes),
            #[cfg(feature = "_rustls")]
            Stream::Tls(stream) => stream.write(bytes),
            #[cfg(feature = "tls-native")]
            Stream::Native(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.stream {
            Stream::Plain(socket) => socket.flush(),
            #[cfg(feature = "_rustls")]
            Stream::Tls(stream) => stream.flush(),
            #[cfg(feature = "tls-native")]
            Stream::Native(stream) => stream.flush(),
        }
    }
}
