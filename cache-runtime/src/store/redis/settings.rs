//! The settings of a server's connections and of its breaker.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use super::server::breaker::Limits;
use crate::observe::Listener;

/// The user and the password of a connection, from a provider: see [`Builder::credentials`](crate::Builder::credentials).
///
/// ```
/// use redis_cached::{Cache, Credentials};
///
/// let by_name = Credentials::new("shop", "secret"); // a user of the server's ACL
/// let by_password = Credentials::password("secret"); // the user `default`
/// assert!(!format!("{by_name:?} {by_password:?}").contains("secret"));
///
/// let cache = Cache::builder("redis://redis.internal")?
///     .credentials(move || Ok::<_, std::io::Error>(by_name.clone()))
///     .build();
/// # Ok::<(), redis_cached::Error>(())
/// ```
#[derive(Clone)]
pub struct Credentials {
    pub(crate) user: Option<String>,
    pub(crate) password: String,
}

impl Credentials {
    /// A user and its password.
    pub fn new(user: impl Into<String>, password: impl Into<String>) -> Credentials {
        Credentials { user: Some(user.into()), password: password.into() }
    }

    /// The password of the default user.
    pub fn password(password: impl Into<String>) -> Credentials {
        Credentials { user: None, password: password.into() }
    }
}

impl fmt::Debug for Credentials {
    /// Shows the user, and not the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// The most calls of a provider that run at the same time. Each attempt to connect makes one, and a provider that does not
/// return would otherwise take more and more threads.
const MOST_CALLS: usize = 256;

/// A closure that returns the current credentials, or the reason why there are none.
#[derive(Clone)]
pub(crate) struct Provider {
    provide: Arc<dyn Fn() -> Result<Credentials, String> + Send + Sync>,
    /// The number of calls that run.
    calls: Arc<AtomicUsize>,
}

impl Provider {
    pub(crate) fn new<E: fmt::Display>(
        provide: impl Fn() -> Result<Credentials, E> + Send + Sync + 'static,
    ) -> Provider {
        Provider { provide: Arc::new(move || provide().map_err(|error| error.to_string())), calls: Arc::default() }
    }

    /// Calls the closure, which may block, and may panic.
    pub(crate) fn credentials(&self) -> Result<Credentials, String> {
        let more = |calls| (calls < MOST_CALLS).then_some(calls + 1);
        if self.calls.fetch_update(Relaxed, Relaxed, more).is_err() {
            return Err(format!("{MOST_CALLS} calls of it have not returned"));
        }
        let provided = catch_unwind(AssertUnwindSafe(|| (self.provide)()));
        self.calls.fetch_sub(1, Relaxed);
        provided.unwrap_or_else(|_| Err("it panicked".to_owned()))
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Provider")
    }
}

/// What a program may set about a server.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The time that an operation may take, connecting included.
    pub(crate) timeout: Duration,
    pub(crate) credentials: Option<Provider>,
    /// The interval at which the statistics of this process are written.
    #[cfg(feature = "blocking")]
    pub(crate) publish: Option<Duration>,
    /// The name of each connection; empty for none.
    pub(crate) client_name: Cow<'static, str>,
    /// The most connections for plain functions.
    #[cfg_attr(not(feature = "blocking"), expect(dead_code, reason = "async callers share connections"))]
    pub(crate) blocking_connections: usize,
    /// The time without traffic after which a connection is checked.
    pub(crate) keep_alive: Duration,
    pub(crate) breaker: Limits,
    /// What is told of single observations of the cache.
    pub(crate) listener: Listener,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            timeout: Duration::from_millis(250),
            credentials: None,
            #[cfg(feature = "blocking")]
            publish: None,
            client_name: client_name(&program()).into(),
            blocking_connections: 16,
            keep_alive: Duration::from_secs(15),
            breaker: Limits::default(),
            listener: Listener::default(),
        }
    }
}

impl Settings {
    #[cfg(test)]
    pub(crate) fn with_timeout(timeout: Duration) -> Settings {
        Settings { timeout, ..Settings::default() }
    }
}

/// The longest name of a connection.
const LONGEST_NAME: usize = 100;

/// The name in a form that Redis accepts: visible ASCII without spaces.
pub(crate) fn client_name(name: &str) -> String {
    let visible = |letter: char| if letter.is_ascii_graphic() { letter } else { '-' };
    name.chars().take(LONGEST_NAME).map(visible).collect()
}

/// The name of this program's file.
fn program() -> String {
    let path = std::env::current_exe().ok().or_else(|| std::env::args_os().next().map(Into::into));
    path.and_then(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, Mutex, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn calls_that_do_not_return_have_a_bound() {
        let (release, released) = mpsc::channel::<()>();
        let (begun, released) = (Arc::new(Barrier::new(MOST_CALLS + 1)), Mutex::new(released));
        let begins = Arc::clone(&begun);
        let provider = Provider::new(move || {
            begins.wait();
            let _ = released.lock().unwrap().recv();
            Err::<Credentials, _>("released")
        });
        let says = |provider: &Provider| provider.credentials().unwrap_err();
        thread::scope(|scope| {
            let calls: Vec<_> = (0..MOST_CALLS).map(|_| scope.spawn(|| says(&provider))).collect();
            begun.wait();
            let refused = says(&provider);
            drop(release);
            assert_eq!(refused, "256 calls of it have not returned");
            assert!(calls.into_iter().all(|call| call.join().unwrap() == "released"));
        });
        assert_eq!(provider.calls.load(Relaxed), 0);
    }

    #[test]
    fn names_are_visible_ascii() {
        for (name, cleaned) in [("shop", "shop"), ("my shop\n", "my-shop-"), ("größe", "gr--e"), ("", "")] {
            assert_eq!(client_name(name), cleaned);
        }
        assert_eq!(client_name(&"x".repeat(1_000)).len(), LONGEST_NAME);
        assert!(!program().is_empty());
    }
}
