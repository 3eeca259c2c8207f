//! The address of a server, and what a connection to it needs.

#[cfg(feature = "_rustls")]
use std::sync::Arc;
use std::time::Duration;

use ::redis::{ConnectionInfo, RedisConnectionInfo};

#[cfg(feature = "_rustls")]
use crate::store::tls::Connector;
use crate::store::url::RedisTarget;

/// What a new connection is made from. A server's endpoint is replaced as a whole: see
/// [`Server::replace_endpoint`](super::Server::replace_endpoint).
pub(crate) struct Endpoint {
    info: ConnectionInfo,
    /// Set for TLS through rustls.
    #[cfg(feature = "_rustls")]
    tls: Option<Arc<Connector>>,
}

impl Endpoint {
    pub(crate) fn new(target: RedisTarget) -> Endpoint {
        Endpoint {
            info: tuned(target.info),
            #[cfg(feature = "_rustls")]
            tls: target.tls,
        }
    }

    #[cfg(feature = "_rustls")]
    pub(crate) fn tls(&self) -> Option<&Arc<Connector>> {
        self.tls.as_ref()
    }

    pub(crate) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The user, the password, the database and the protocol.
    pub(crate) fn login(&self) -> &RedisConnectionInfo {
        self.info.redis_settings()
    }
}

/// Applies settings that redis-rs leaves off.
fn tuned(info: ConnectionInfo) -> ConnectionInfo {
    use ::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
    // This detects a vanished peer within 30 s even without calls.
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15)).with_interval(Duration::from_secs(5));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(Duration::from_secs(30));
    let redis = info.redis_settings().clone().set_skip_set_lib_name();
    info.set_tcp_settings(settings).set_redis_settings(redis)
}
