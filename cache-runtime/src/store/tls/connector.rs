//! The configuration of a cache's connections.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};

use super::Tls;
use super::files::{Files, Stamps, Trusted};
use crate::error::{Error, ErrorKind};

/// The way in which connections to one host are secured.
pub(crate) struct Connector {
    shared: Arc<Shared>,
    name: ServerName<'static>,
}

/// What the connections of one cache have in common. Sessions are resumed across them.
struct Shared {
    settings: Tls,
    state: Mutex<State>,
}

struct State {
    files: Files,
    /// `None` until the first connection: only then is the program's own provider sure to be installed.
    config: Option<Arc<ClientConfig>>,
    /// The state of changed files that could not be used, which was logged.
    refused: Option<Stamps>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shared.settings.fmt(f)
    }
}

impl Connector {
    /// Reads the files of the settings. `host` is the name in the server's certificate if the settings have none.
    pub(crate) fn new(settings: Tls, host: &str) -> Result<Connector, Error> {
        let name = name_of(&settings, host)?;
        let files = Files::read(&settings, &provider())?;
        if settings.accepts_any_server {
            tracing::warn!(name = %name.to_str(), "the server's certificate is not checked: others can read what is sent");
        }
        let state = Mutex::new(State { files, config: None, refused: None });
        Ok(Connector { shared: Arc::new(Shared { settings, state }), name })
    }

    /// The same for another host.
    pub(crate) fn at(&self, host: &str) -> Result<Connector, Error> {
        let shared = Arc::clone(&self.shared);
        Ok(Connector { name: name_of(&shared.settings, host)?, shared })
    }

    pub(crate) fn settings(&self) -> &Tls {
        &self.shared.settings
    }

    /// The name that the server's certificate must have.
    pub(crate) fn name(&self) -> &ServerName<'static> {
        &self.name
    }

    pub(crate) fn shows_certificate(&self) -> bool {
        self.shared.settings.client.is_some()
    }

    /// The configuration, if no file has to be read for it: this does not block.
    #[cfg(feature = "tokio")]
    pub(crate) fn ready(&self) -> Option<Arc<ClientConfig>> {
        match self.shared.state.try_lock() {
            Ok(state) if !self.shared.settings.reload => state.config.clone(),
            _ => None,
        }
    }

    /// The configuration for a new connection. This may read files.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        self.shared.config()
    }
}

/// The name in the certificate of a host.
fn name_of(settings: &Tls, host: &str) -> Result<ServerName<'static>, Error> {
    let name = settings.server_name.as_deref().unwrap_or(host);
    ServerName::try_from(name.to_owned()).map_err(|_| {
        let why = format!("`{name}` is not the name of a server: expected a DNS name or an IP address");
        Error::new(ErrorKind::Config, why)
    })
}

impl Shared {
    fn config(&self) -> Result<Arc<ClientConfig>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if self.settings.reload {
            self.reload(&mut state);
        }
        if let Some(config) = &state.config {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(configured(&state.files)?);
        state.config = Some(Arc::clone(&config));
        Ok(config)
    }

    /// Reads files that have changed.
    fn reload(&self, state: &mut State) {
        let stamps = Stamps::of(&self.settings);
        if stamps == state.files.stamps {
            return;
        }
        match Files::read(&self.settings, &provider()) {
            Ok(files) => {
                *state = State { files, config: None, refused: None };
            }
            Err(error) => {
                if state.refused.as_ref() != Some(&stamps) {
                    tracing::warn!(%error, "the changed certificates cannot be used; connections keep using the earlier ones");
                    state.refused = Some(stamps);
                }
            }
        }
    }
}

/// The provider that the program has installed, or the compiled one.
pub(super) fn provider() -> Arc<CryptoProvider> {
    #[cfg(feature = "tls-rustls-aws-lc-rs")]
    use rustls::crypto::aws_lc_rs as compiled;
    #[cfg(not(feature = "tls-rustls-aws-lc-rs"))]
    use rustls::crypto::ring as compiled;
    CryptoProvider::get_default().map_or_else(|| Arc::new(compiled::default_provider()), Arc::clone)
}

fn configured(files: &Files) -> Result<ClientConfig, Error> {
    let unusable = |error: rustls::Error| Error::new(ErrorKind::Unreachable, error.to_string());
    let builder =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(unusable)?;
    let builder = match &files.trusted {
        Trusted::System => builder.with_root_certificates(of_the_system()?),
        Trusted::Authorities(roots) => builder.with_root_certificates(Arc::clone(roots)),
        #[cfg(feature = "tls-rustls-danger")]
        Trusted::AnyServer => {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(super::danger::AnyServer::new(&provider())))
        }
    };
    match &files.client {
        None => Ok(builder.with_no_client_auth()),
        Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key()).map_err(unusable),
    }
}

/// The authorities that the system trusts. Some may be unreadable, as long as any is found.
fn of_the_system() -> Result<RootCertStore, Error> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let reason = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
    let why = format!("no trusted certificate was found on this system{reason}; {NAME_THE_CA}");
    Err(Error::new(ErrorKind::Unreachable, why))
}

const NAME_THE_CA: &str = "name the certificate of the server's authority by `Tls::ca_file`, or by `?ca=…` in the URL";

/// The kind and the text of a failed handshake: what happened, and what to do about it.
pub(crate) fn fault_text(error: &rustls::Error) -> (ErrorKind, String) {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    let (kind, advice) = match error {
        // An authority that was set up anew has the name of the earlier one, and another signature.
        InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::BadSignature) => {
            (ErrorKind::Unreachable, NAME_THE_CA)
        }
        InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }) => (
            ErrorKind::Unreachable,
            "set the name that the certificate has by `Tls::server_name`, or by `?server_name=…` in the URL",
        ),
        AlertReceived(AlertDescription::CertificateRequired) => (ErrorKind::Auth, SHOW_A_CERTIFICATE),
        AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::AccessDenied,
        ) => (ErrorKind::Auth, "the server refuses the certificate of this client"),
        InvalidMessage(_) => (ErrorKind::Unreachable, "check that this is the port on which the server speaks TLS"),
        _ => return (ErrorKind::Unreachable, error.to_string()),
    };
    (kind, format!("{error}; {advice}"))
}

/// The advice for a server that requires a certificate.
pub(crate) const SHOW_A_CERTIFICATE: &str =
    "show the server a certificate by `Tls::client_files`, or by `?cert=…&key=…` in the URL";
