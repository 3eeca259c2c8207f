//! The way in which a connection to a server is made, for both faces.
//!
//! Each connection asks [`Server::endpoint`](crate::store::redis::server::Server::endpoint) anew. Over TLS
//! through rustls, both faces apply their deadlines and the sanitizer in the same way as over plain sockets.

use std::io;
use std::net::TcpStream;
#[cfg(unix)]
use std::path::Path;
#[cfg(feature = "_rustls")]
use std::sync::Arc;

use ::redis::io::tcp::{TcpSettings, socket2};
use ::redis::{ConnectionAddr, ConnectionInfo};

use crate::error::ErrorKind;
use crate::store::redis::server::endpoint::Endpoint;
#[cfg(feature = "tokio")]
use crate::store::redis::server::endpoint::Login;
use crate::store::redis::server::fault::{Blame, Fault};
#[cfg(feature = "_rustls")]
use crate::store::tls::{Connector, SHOW_A_CERTIFICATE, fault_text};

/// The target of a connection.
pub(super) enum Way<'a> {
    Tcp {
        host: &'a str,
        port: u16,
        settings: &'a TcpSettings,
    },
    #[cfg(feature = "_rustls")]
    Tls {
        host: &'a str,
        port: u16,
        settings: &'a TcpSettings,
        connector: &'a Arc<Connector>,
    },
    #[cfg(unix)]
    Unix(&'a Path),
    /// The system's TLS library. For async functions, redis-rs connects and logs in.
    RedisRs(&'a ConnectionInfo),
}

impl Way<'_> {
    pub(super) fn to(endpoint: &Endpoint) -> Way<'_> {
        let info = endpoint.info();
        match info.addr() {
            ConnectionAddr::Tcp(host, port) => {
                let (port, settings) = (*port, info.tcp_settings());
                #[cfg(feature = "_rustls")]
                if let Some(connector) = endpoint.tls() {
                    return Way::Tls { host, port, settings, connector };
                }
                Way::Tcp { host, port, settings }
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Way::Unix(path),
            _ => Way::RedisRs(info),
        }
    }

    /// The part of the login that is left to the greeting.
    #[cfg(feature = "tokio")]
    pub(super) fn greeting_login(&self, login: Login) -> Login {
        match self {
            Way::RedisRs(_) => login.of_redis_rs(),
            _ => login,
        }
    }

    /// The fault of a greeting. A server that requires a certificate may have closed the connection before its reason
    /// arrived.
    pub(super) fn greeting_fault(&self, fault: Fault) -> Fault {
        #[cfg(feature = "_rustls")]
        if let Way::Tls { connector, .. } = self
            && fault.blame == Blame::Closed
            && !connector.shows_certificate()
        {
            let why = format!("{}; if it requires a certificate, {SHOW_A_CERTIFICATE}", fault.error.detail());
            return Fault::new(ErrorKind::Unreachable, Blame::Connection, why);
        }
        fault
    }
}

/// The fault of a connection that is secured by rustls, if the error is one of TLS.
#[cfg(feature = "_rustls")]
pub(super) fn tls_fault(error: &io::Error) -> Option<Fault> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let (kind, text) = fault_text(error);
    Some(Fault::new(kind, Blame::Connection, text))
}

/// The fault of a handshake, which the other side may have ended without a word: a server that has no room for one more
/// connection does.
#[cfg(feature = "_rustls")]
pub(super) fn handshake_fault(error: io::Error) -> Fault {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    match tls_fault(&error) {
        Some(fault) => fault,
        None if matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof) => {
            let why = "the server closed the connection during the TLS handshake, as one without room for it does";
            Fault::new(ErrorKind::Unreachable, Blame::Full, why)
        }
        None => error.into(),
    }
}

/// The fault for a host name that resolves to nothing.
pub(super) fn no_address() -> Fault {
    Fault::new(ErrorKind::Unreachable, Blame::Connection, "the host has no address")
}

/// Applies the settings to a socket.
pub(super) fn configured(stream: TcpStream, settings: &TcpSettings) -> io::Result<TcpStream> {
    stream.set_nodelay(settings.nodelay())?;
    let socket = socket2::Socket::from(stream);
    if let Some(keepalive) = settings.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    socket.set_tcp_user_timeout(settings.user_timeout())?;
    Ok(socket.into())
}
