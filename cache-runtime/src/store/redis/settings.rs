//! The settings of a server's connections and of its breaker.

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::server::breaker::Limits;

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

/// A closure that returns the current credentials, or the reason why there are none.
#[derive(Clone)]
pub(crate) struct Provider(Arc<dyn Fn() -> Result<Credentials, String> + Send + Sync>);

impl Provider {
    pub(crate) fn new<E: fmt::Display>(
        provide: impl Fn() -> Result<Credentials, E> + Send + Sync + 'static,
    ) -> Provider {
        Provider(Arc::new(move || provide().map_err(|error| error.to_string())))
    }

    /// Calls the closure, which may block, and may panic.
    pub(crate) fn credentials(&self) -> Result<Credentials, String> {
        catch_unwind(AssertUnwindSafe(|| (self.0)())).unwrap_or_else(|_| Err("it panicked".to_owned()))
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
    /// The name of each connection; empty for none.
    pub(crate) client_name: Cow<'static, str>,
    /// The most connections for plain functions.
    #[cfg_attr(not(feature = "blocking"), expect(dead_code, reason = "async callers share connections"))]
    pub(crate) blocking_connections: usize,
    /// The time without traffic after which a connection is checked.
    pub(crate) keep_alive: Duration,
    pub(crate) breaker: Limits,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            timeout: Duration::from_millis(250),
            credentials: None,
            client_name: client_name(&program()).into(),
            blocking_connections: 16,
            keep_alive: Duration::from_secs(15),
            breaker: Limits::default(),
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
    use super::*;

    #[test]
    fn names_are_visible_ascii() {
        for (name, cleaned) in [("shop", "shop"), ("my shop\n", "my-shop-"), ("größe", "gr--e"), ("", "")] {
            assert_eq!(client_name(name), cleaned);
        }
        assert_eq!(client_name(&"x".repeat(1_000)).len(), LONGEST_NAME);
        assert!(!program().is_empty());
    }
}
