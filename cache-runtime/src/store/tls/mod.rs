//! The security of connections: certificates, keys and names, by rustls.
//!
//! Nothing is installed for the whole process. Each cache makes one configuration of its own, with the provider of
//! cryptography that the program has installed, or with the one that a feature compiles in.

mod connector;
#[cfg(feature = "tls-rustls-danger")]
mod danger;
mod files;
#[cfg(all(test, feature = "tokio", feature = "blocking"))]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub(crate) use self::connector::{Connector, SHOW_A_CERTIFICATE, fault_text};

/// How a connection to a `rediss://` URL is secured, for [`Builder::tls`](crate::Builder::tls). Without it, the server
/// needs a certificate that the system trusts.
///
/// ```no_run
/// use redis_cached::{Cache, Tls};
///
/// let tls = Tls::new()
///     .ca_file("/etc/redis/ca.pem")
///     .client_files("/etc/redis/client.pem", "/etc/redis/client.key")
///     .reload();
/// let cache = Cache::builder("rediss://redis.internal:6380")?.tls(tls)?.build();
/// # Ok::<(), redis_cached::Error>(())
/// ```
///
/// The parameters of a URL say the same, for programs that are configured by `REDIS_URL`:
/// `rediss://host:6380/0?ca=/etc/ca.pem&cert=/etc/client.pem&key=/etc/client.key&server_name=redis.internal&reload=true`.
/// What is set here comes before a parameter.
#[derive(Clone, Default)]
#[must_use = "it does nothing until it is handed to `Builder::tls`"]
pub struct Tls {
    authorities: Vec<Pem>,
    client: Option<Client>,
    server_name: Option<String>,
    reload: bool,
    /// Set by a method that needs a feature.
    accepts_any_server: bool,
}

/// The certificate of a client, and its key.
#[derive(Clone)]
struct Client {
    certificate: Pem,
    key: Pem,
}

/// PEM, or the place where it is.
#[derive(Clone)]
enum Pem {
    File(PathBuf),
    Text(Vec<u8>),
}

impl Tls {
    /// Trusts the certificates that the system trusts, and shows no certificate to the server.
    pub fn new() -> Tls {
        Tls::default()
    }

    /// Trusts servers whose certificates were issued by an authority in this file of PEM, and no others: not those that
    /// the system trusts. Several files add up.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Tls {
        self.authorities.push(Pem::File(path.into()));
        self
    }

    /// Does what [`ca_file`](Self::ca_file) does, with the content of such a file.
    ///
    /// ```no_run
    /// use redis_cached::{Cache, Tls};
    ///
    /// let pem = std::env::var("REDIS_CA").unwrap_or_default();
    /// let cache = Cache::builder("rediss://redis.internal")?.tls(Tls::new().ca_pem(pem))?.build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn ca_pem(mut self, pem: impl Into<Vec<u8>>) -> Tls {
        self.authorities.push(Pem::Text(pem.into()));
        self
    }

    /// Shows this certificate to the server, which requires one unless its `tls-auth-clients` is off. The first file has
    /// the certificate and its intermediate ones, the second one the private key, both in PEM. They may be the same file.
    pub fn client_files(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Tls {
        self.client = Some(Client { certificate: Pem::File(certificate.into()), key: Pem::File(key.into()) });
        self
    }

    /// Does what [`client_files`](Self::client_files) does, with the content of such files.
    ///
    /// ```no_run
    /// use redis_cached::{Cache, Tls};
    ///
    /// let secret = |name| std::env::var(name).unwrap_or_default();
    /// let tls = Tls::new().client_pem(secret("REDIS_CERT"), secret("REDIS_KEY"));
    /// let cache = Cache::builder("rediss://redis.internal")?.tls(tls)?.build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn client_pem(mut self, certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Tls {
        self.client = Some(Client { certificate: Pem::Text(certificate.into()), key: Pem::Text(key.into()) });
        self
    }

    /// The name that the server's certificate must have, if it is not the host of the URL: for a server that is reached
    /// by its address, or through a tunnel.
    ///
    /// ```no_run
    /// use redis_cached::{Cache, Tls};
    ///
    /// let tls = Tls::new().server_name("redis.internal");
    /// let cache = Cache::builder("rediss://10.0.0.7:6380")?.tls(tls)?.build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn server_name(mut self, name: impl Into<String>) -> Tls {
        self.server_name = Some(name.into());
        self
    }

    /// Reads the files again when they have changed, before each new connection: for certificates that are renewed while
    /// the program runs. Open connections stay as they are. If the new files cannot be used, because they are only half
    /// written for example, the old content is used on, with a warning in the log.
    pub fn reload(mut self) -> Tls {
        self.reload = true;
        self
    }

    /// Accepts every server: its certificate may be expired, self-signed, or one for another name. The traffic is
    /// encrypted, and anyone on the way can read and change it all the same, passwords included, by a server in between.
    /// It is meant for tests alone. [`ca_file`](Self::ca_file) takes a self-signed certificate, too, and is safe.
    ///
    /// ```no_run
    /// use redis_cached::{Cache, Tls};
    ///
    /// let tls = Tls::new().danger_accept_invalid_certificates();
    /// let cache = Cache::builder("rediss://localhost:6380")?.tls(tls)?.build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// No parameter of a URL does this. The log has a warning for each cache that does.
    #[cfg(feature = "tls-rustls-danger")]
    pub fn danger_accept_invalid_certificates(mut self) -> Tls {
        self.accepts_any_server = true;
        self
    }

    /// These settings, and the other ones where these are silent.
    pub(crate) fn or(self, other: &Tls) -> Tls {
        Tls {
            authorities: if self.authorities.is_empty() { other.authorities.clone() } else { self.authorities },
            client: self.client.or_else(|| other.client.clone()),
            server_name: self.server_name.or_else(|| other.server_name.clone()),
            reload: self.reload || other.reload,
            accepts_any_server: self.accepts_any_server || other.accepts_any_server,
        }
    }
}

impl fmt::Debug for Tls {
    /// Paths and names, and no content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tls { authorities, client, server_name, reload, accepts_any_server } = self;
        let client = client.as_ref().map(|Client { certificate, key }| [certificate, key]);
        f.debug_struct("Tls")
            .field("ca", authorities)
            .field("client", &client)
            .field("server_name", server_name)
            .field("reload", reload)
            .field("accepts_any_server", accepts_any_server)
            .finish()
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::File(path) => path.fmt(f),
            Pem::Text(_) => f.write_str("PEM"),
        }
    }
}
