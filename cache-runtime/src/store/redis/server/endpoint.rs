//! The address of a server, and what a connection to it needs.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{ConnectionAddr, ConnectionInfo};

use super::fault::{Blame, Fault};
use crate::error::ErrorKind;
use crate::observe::{Exchanges, Listener};
use crate::store::redis::settings::{Provider, Settings};
#[cfg(feature = "_rustls")]
use crate::store::tls::Connector;
use crate::store::url::RedisTarget;

/// What a new connection is made from. A server's endpoint is replaced as a whole: see
/// [`Server::replace_endpoint`](super::Server::replace_endpoint).
pub(crate) struct Endpoint {
    info: ConnectionInfo,
    /// It comes before the credentials of `info`.
    credentials: Option<Provider>,
    client_name: Cow<'static, str>,
    /// Set for TLS through rustls.
    #[cfg(feature = "_rustls")]
    tls: Option<Arc<Connector>>,
    /// The exchanges over connections to it.
    exchanges: Arc<Exchanges>,
}

/// The first commands of a connection.
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    /// `None` if no password is needed, or the connection is logged in already.
    pub(crate) password: Option<String>,
    pub(crate) db: i64,
    pub(crate) is_resp3: bool,
    /// Empty for none.
    pub(crate) client_name: Cow<'static, str>,
}

#[cfg(feature = "tokio")]
impl Login {
    /// The rest of the login where redis-rs has sent the user, the password, the database and the protocol.
    pub(crate) fn of_redis_rs(self) -> Login {
        Login { user: None, password: None, db: 0, is_resp3: false, ..self }
    }

    /// The information with this user and password.
    pub(crate) fn applied_to(&self, info: &ConnectionInfo) -> ConnectionInfo {
        let mut redis = info.redis_settings().clone();
        if let Some(user) = &self.user {
            redis = redis.set_username(user);
        }
        if let Some(password) = &self.password {
            redis = redis.set_password(password);
        }
        info.clone().set_redis_settings(redis)
    }
}

impl Endpoint {
    pub(crate) fn new(target: RedisTarget, settings: &Settings) -> Endpoint {
        Endpoint {
            exchanges: Arc::new(exchanges(target.info.addr(), settings.listener.clone())),
            info: tuned(target.info, settings.keep_alive),
            credentials: settings.credentials.clone(),
            client_name: settings.client_name.clone(),
            #[cfg(feature = "_rustls")]
            tls: target.tls,
        }
    }

    #[cfg(feature = "_rustls")]
    pub(crate) fn tls(&self) -> Option<&Arc<Connector>> {
        self.tls.as_ref()
    }

    /// Returns true if connections are secured.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_tls(&self) -> bool {
        #[cfg(feature = "_rustls")]
        if self.tls.is_some() {
            return true;
        }
        matches!(self.info.addr(), ConnectionAddr::TcpTls { .. })
    }

    pub(crate) fn exchanges(&self) -> &Arc<Exchanges> {
        &self.exchanges
    }

    pub(crate) fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Returns true if [`login`](Self::login) runs code of the program, which may block.
    #[cfg(feature = "tokio")]
    pub(crate) fn asks_for_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    /// The login of a new connection.
    pub(crate) fn login(&self) -> Result<Login, Fault> {
        let settings = self.info.redis_settings();
        let (user, password) = match &self.credentials {
            None => (settings.username().map(str::to_owned), settings.password().map(str::to_owned)),
            Some(provider) => {
                let provided = provider.credentials().map_err(|why| {
                    let why = format!("the provider of credentials failed: {why}");
                    Fault::new(ErrorKind::Auth, Blame::Connection, why)
                })?;
                (provided.user, Some(provided.password))
            }
        };
        let (db, is_resp3) = (settings.db(), settings.protocol().supports_resp3());
        Ok(Login { user, password, db, is_resp3, client_name: self.client_name.clone() })
    }
}

/// No exchanges yet, with this address as their label.
fn exchanges(address: &ConnectionAddr, listener: Listener) -> Exchanges {
    let (address, port) = match address {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host.clone(), Some(*port)),
        ConnectionAddr::Unix(path) => (path.display().to_string(), None),
        other => (other.to_string(), None),
    };
    Exchanges::new(address, port, listener)
}

/// Applies settings that redis-rs leaves off. With 15 s, a vanished peer is detected within 30 s even without calls.
fn tuned(info: ConnectionInfo, keep_alive: Duration) -> ConnectionInfo {
    use ::redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
    // Systems count whole seconds.
    let interval = (keep_alive / 3).max(Duration::from_secs(1));
    let keepalive = TcpKeepalive::new().with_time(keep_alive).with_interval(interval);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
    let settings = settings.set_user_timeout(keep_alive * 2);
    let redis = info.redis_settings().clone().set_skip_set_lib_name();
    info.set_tcp_settings(settings).set_redis_settings(redis)
}
