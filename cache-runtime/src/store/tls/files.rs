//! The certificates and keys in PEM, checked.

use std::borrow::Cow;
use std::fs;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::{Client, Pem, Tls};
use crate::error::{Error, ErrorKind};

/// The content of all PEM that the settings name.
pub(super) struct Files {
    pub(super) trusted: Trusted,
    pub(super) client: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    pub(super) stamps: Stamps,
}

/// The servers that are accepted, by what their certificates show.
pub(super) enum Trusted {
    /// The authorities that the system trusts.
    System,
    Authorities(Arc<RootCertStore>),
    #[cfg(feature = "tls-rustls-danger")]
    AnyServer,
}

/// The times and lengths by which a changed file is noticed. `None` stands for a file that cannot be looked at.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<(SystemTime, u64)>>);

impl Stamps {
    pub(super) fn of(settings: &Tls) -> Stamps {
        let client = settings.client.iter().flat_map(|client| [&client.certificate, &client.key]);
        let stamps = settings.authorities.iter().chain(client).map(|pem| {
            let Pem::File(path) = pem else { return None };
            let file = fs::metadata(path).ok()?;
            Some((file.modified().ok()?, file.len()))
        });
        Stamps(stamps.collect())
    }
}

impl Files {
    /// Reads and checks everything.
    pub(super) fn read(settings: &Tls, provider: &CryptoProvider) -> Result<Files, Error> {
        // The stamps come first: what is written meanwhile counts as a change.
        let stamps = Stamps::of(settings);
        let mut roots = RootCertStore::empty();
        for pem in &settings.authorities {
            for certificate in certificates(pem, "the certificate of an authority")? {
                roots.add(certificate).map_err(|error| {
                    let why = format!("a certificate in it cannot be that of an authority: {error}");
                    refuse(pem, &why)
                })?;
            }
        }
        let trusted = match settings {
            #[cfg(feature = "tls-rustls-danger")]
            Tls { accepts_any_server: true, .. } => Trusted::AnyServer,
            Tls { authorities, .. } if authorities.is_empty() => Trusted::System,
            _ => Trusted::Authorities(Arc::new(roots)),
        };
        let client = settings.client.as_ref().map(|client| identity(client, provider)).transpose()?;
        Ok(Files { trusted, client, stamps })
    }
}

fn identity(
    client: &Client,
    provider: &CryptoProvider,
) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let chain = certificates(&client.certificate, "the certificate of the client")?;
    let key = private_key(&client.key)?;
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), provider) {
        Ok(_) => Ok((chain, key)),
        Err(rustls::Error::InconsistentKeys(_)) => {
            let certificate = client.certificate.name();
            Err(refuse(
                &client.key,
                &format!("the private key in it does not belong to the certificate in {certificate}"),
            ))
        }
        Err(rustls::Error::InvalidCertificate(error)) => {
            Err(refuse(&client.certificate, &format!("the certificate in it cannot be used: {error:?}")))
        }
        Err(error) => Err(refuse(&client.key, &format!("the private key in it cannot be used: {error}"))),
    }
}

/// The certificates in the PEM, of which there is at least one.
fn certificates(pem: &Pem, what: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = pem.text(what)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    // Its error quotes the text, which may be a key.
    let certificates = read.map_err(|_| refuse(pem, "this is not well-formed PEM"))?;
    if certificates.is_empty() {
        return Err(refuse(
            pem,
            &format!("expected {what} (`-----BEGIN CERTIFICATE-----`), and found {}", found(&text)),
        ));
    }
    Ok(certificates)
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, Error> {
    let text = pem.text("the private key of the client")?;
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            let advice = match found(&text) {
                found if found.contains("ENCRYPTED") => format!("{found}, which has to be decrypted"),
                found => found,
            };
            refuse(
                pem,
                &format!("expected the private key of the client (`-----BEGIN PRIVATE KEY-----`), and found {advice}"),
            )
        }
        _ => refuse(pem, "this is not well-formed PEM"),
    })
}

/// The labels in the text: only these, because the rest may be a key.
fn found(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let labels = text.lines().filter_map(|line| line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----"));
    let mut labels: Vec<_> = labels.filter(|label| label.len() < 40).map(|label| format!("`{label}`")).collect();
    labels.dedup();
    match labels.as_slice() {
        [] => "no PEM".to_owned(),
        labels => format!("only {}", labels.join(", ")),
    }
}

impl Pem {
    /// The name for messages.
    fn name(&self) -> String {
        match self {
            Pem::File(path) => format!("`{}`", path.display()),
            Pem::Text(_) => "the given PEM".to_owned(),
        }
    }

    fn text(&self, what: &str) -> Result<Cow<'_, [u8]>, Error> {
        match self {
            Pem::File(path) => match fs::read(path) {
                Ok(text) => Ok(text.into()),
                Err(error) => Err(refuse(self, &format!("{what} cannot be read: {error}"))),
            },
            Pem::Text(text) => Ok(text.as_slice().into()),
        }
    }
}

fn refuse(pem: &Pem, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("{}: {why}", pem.name()))
}
