//! The way in which a connection to a server is made, for both faces.
//!
//! Each connection asks [`Server::endpoint`](crate::store::redis::server::Server::endpoint) anew. A stream of rustls
//! becomes a [`Way`] of its own, over which both faces apply their deadlines and the sanitizer in the same way as over
//! plain sockets.

use std::io;
use std::net::TcpStream;
#[cfg(unix)]
use std::path::Path;

use ::redis::io::tcp::{TcpSettings, socket2};
use ::redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};

use crate::error::ErrorKind;
use crate::store::redis::server::endpoint::Endpoint;
use crate::store::redis::server::fault::{Blame, Fault};

/// The target of a connection.
pub(super) enum Way<'a> {
    Tcp {
        host: &'a str,
        port: u16,
        settings: &'a TcpSettings,
    },
    #[cfg(unix)]
    Unix(&'a Path),
    /// TLS: redis-rs connects, and reads.
    RedisRs(&'a ConnectionInfo),
}

impl Way<'_> {
    pub(super) fn to(endpoint: &Endpoint) -> Way<'_> {
        let info = endpoint.info();
        match info.addr() {
            ConnectionAddr::Tcp(host, port) => Way::Tcp { host, port: *port, settings: info.tcp_settings() },
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => Way::Unix(path),
            _ => Way::RedisRs(info),
        }
    }

    /// The login that is left to the greeting.
    pub(super) fn login<'e>(&self, endpoint: &'e Endpoint) -> Option<&'e RedisConnectionInfo> {
        match self {
            // redis-rs logs in.
            Way::RedisRs(_) => None,
            _ => Some(endpoint.login()),
        }
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
