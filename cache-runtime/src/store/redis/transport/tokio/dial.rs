//! Opens a connection whose replies are fit for redis-rs' parser.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, ProtocolVersion, PushInfo,
    RedisConnectionInfo,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
#[cfg(unix)]
use tokio::net::UnixStream;
use tokio::task::JoinSet;
#[cfg(feature = "_rustls")]
use tokio_rustls::{TlsConnector, rustls::ClientConfig};

use super::super::connect::{Way, configured, no_address};
#[cfg(feature = "_rustls")]
use super::super::connect::{handshake_fault, tls_fault};
use super::driver::Driver;
#[cfg(feature = "_rustls")]
use super::on_blocking_thread;
use crate::store::redis::request::checked;
use crate::store::redis::server::endpoint::Login;
#[cfg(feature = "_rustls")]
use crate::store::redis::server::fault::Blame;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::sanitize::Sanitizer;
use crate::store::redis::transport::arrivals::Arrivals;
#[cfg(feature = "_rustls")]
use crate::store::tls::Connector;

/// Opens a connection in this runtime, and returns its driver unless redis-rs drives it. The system's TLS library stays
/// with redis-rs, and its replies are not inspected. `seen` receives the server's reason for closing the connection.
pub(super) async fn dial(
    way: &Way<'_>,
    login: &Login,
    seen: &Arc<Seen>,
) -> Result<(MultiplexedConnection, Option<Driver>), Fault> {
    // The login is a part of the greeting: redis-rs has nothing to send.
    let settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    opened(way, settings, |info| login.applied_to(info), config(), seen).await
}

/// The same for a connection over which the server may push. redis-rs logs in, because pushes need RESP3. `push` is called
/// while the connection is read, and must not block; it is also called at the end of the connection.
pub(super) async fn dial_with_pushes(
    way: &Way<'_>,
    login: &Login,
    push: impl Fn(PushInfo) + Send + Sync + 'static,
) -> Result<(MultiplexedConnection, Option<Driver>), Fault> {
    let plain = ConnectionAddr::Tcp(String::new(), 0).into_connection_info()?;
    let settings = login.applied_to(&plain).redis_settings().clone();
    let settings = settings.set_skip_set_lib_name().set_protocol(ProtocolVersion::RESP3);
    let config = config().set_push_sender(move |told| {
        push(told);
        Ok::<_, Infallible>(())
    });
    let applied = |info: &ConnectionInfo| info.clone().set_redis_settings(settings.clone());
    opened(way, settings.clone(), applied, config, &Arc::default()).await
}

/// Each exchange has its own deadline; a second timer would only cost.
fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

/// Opens a connection, over which redis-rs sends what `settings` needs; `applied` makes the same of what it reads itself.
async fn opened(
    way: &Way<'_>,
    settings: RedisConnectionInfo,
    applied: impl FnOnce(&ConnectionInfo) -> ConnectionInfo,
    config: AsyncConnectionConfig,
    seen: &Arc<Seen>,
) -> Result<(MultiplexedConnection, Option<Driver>), Fault> {
    match *way {
        Way::Tcp { host, port, settings: tcp } => {
            let stream = connect(host, port, tcp).await?;
            driven(Clean::of(stream, seen), &settings, config).await
        }
        #[cfg(feature = "_rustls")]
        Way::Tls { host, port, settings: tcp, connector } => {
            let tls = configuration(connector).await?;
            let stream = connect(host, port, tcp).await?;
            let stream = TlsConnector::from(tls).connect(connector.name().clone(), stream).await;
            driven(Clean::of(stream.map_err(handshake_fault)?, seen), &settings, config).await
        }
        #[cfg(unix)]
        Way::Unix(path) => {
            let stream = UnixStream::connect(path).await?;
            driven(Clean::of(stream, seen), &settings, config).await
        }
        Way::RedisRs(info) => {
            let client = Client::open(applied(info))?;
            Ok((client.get_multiplexed_async_connection_with_config(&config).await?, None))
        }
    }
}

async fn driven<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: Clean<S>,
    settings: &RedisConnectionInfo,
    config: AsyncConnectionConfig,
) -> Result<(MultiplexedConnection, Option<Driver>), Fault> {
    let (connection, driver) = MultiplexedConnection::new_with_config(settings, stream, config).await?;
    Ok((connection, Some(Driver::spawn(driver))))
}

/// The configuration for TLS, which a thread for blocking work makes if files have to be read for it.
#[cfg(feature = "_rustls")]
async fn configuration(connector: &Arc<Connector>) -> Result<Arc<ClientConfig>, Fault> {
    if let Some(config) = connector.ready() {
        return Ok(config);
    }
    let connector = Arc::clone(connector);
    let made = on_blocking_thread(move || connector.config()).await?;
    made.map_err(|error| Fault { error, blame: Blame::Connection })
}

/// Connects to the first address that accepts: all are tried at once.
async fn connect(host: &str, port: u16, settings: &TcpSettings) -> Result<TcpStream, Fault> {
    let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    let stream = match *addresses {
        [address] => TcpStream::connect(address).await?,
        _ => {
            let mut attempts = JoinSet::new();
            for address in addresses {
                attempts.spawn(TcpStream::connect(address));
            }
            let mut outcome = Err(no_address());
            while let Some(attempt) = attempts.join_next().await {
                outcome = attempt.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(Fault::from);
                if outcome.is_ok() {
                    break;
                }
            }
            outcome?
        }
    };
    Ok(TcpStream::from_std(configured(stream.into_std()?, settings)?)?)
}

/// A stream whose replies are text where they have to be.
struct Clean<S> {
    stream: S,
    sanitizer: Sanitizer,
    seen: Arc<Seen>,
    /// True until something was read.
    is_new: bool,
}

impl<S> Clean<S> {
    fn of(stream: S, seen: &Arc<Seen>) -> Clean<S> {
        Clean { stream, sanitizer: Sanitizer::default(), seen: Arc::clone(seen), is_new: true }
    }
}

/// What is seen of the bytes of a connection.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) refusal: Refusal,
    pub(super) arrivals: Arrivals,
}

/// The reason of a server that ends a new connection: redis-rs reports only that it ended.
pub(super) type Refusal = OnceLock<Fault>;

/// The reason in the first bytes, if the server has no room for the connection.
fn refused(read: &[u8]) -> Option<Fault> {
    if !read.starts_with(b"-ERR max number of clients") {
        return None;
    }
    let line = read.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = [line, b"\r\n"].concat();
    checked(redis::parse_redis_value(&line).ok()?).err()
}

impl<S: AsyncRead + Unpin> AsyncRead for Clean<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let Clean { stream, sanitizer, seen, is_new } = &mut *self;
        let polled = Pin::new(stream).poll_read(context, buffer);
        match &polled {
            Poll::Ready(Ok(())) => {
                let read = buffer.filled_mut().get_mut(before..).unwrap_or_default();
                sanitizer.pass(read);
                seen.arrivals.note(read.len(), sanitizer.under_way());
                if std::mem::take(is_new)
                    && let Some(fault) = refused(read)
                {
                    let _ = seen.refusal.set(fault);
                }
            }
            #[cfg(feature = "_rustls")]
            Poll::Ready(Err(error)) => {
                if std::mem::take(is_new)
                    && let Some(fault) = tls_fault(error)
                {
                    let _ = seen.refusal.set(fault);
                }
            }
            _ => {}
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Clean<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
