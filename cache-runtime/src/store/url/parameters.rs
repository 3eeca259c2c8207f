//! The parameters of a URL.

use super::refuse;
use crate::error::Error;
#[cfg(feature = "_rustls")]
use crate::store::tls::Tls;

const TLS: [&str; 5] = ["ca", "cert", "key", "server_name", "reload"];

/// The parameters, decoded.
pub(super) struct Parameters(Vec<(String, String)>);

/// The parameters that a kind of URL has.
pub(super) struct Known {
    pub(super) names: &'static [&'static str],
    /// True if there are those for TLS, too.
    pub(super) has_tls: bool,
    /// The schemes that have those for TLS.
    pub(super) tls_schemes: &'static str,
    /// Where other things stand, for a message.
    pub(super) elsewhere: &'static str,
}

impl Parameters {
    pub(super) fn of(query: &str) -> Parameters {
        let parsed = redis::parse_redis_url(&format!("redis://host?{query}"));
        let pairs = parsed.iter().flat_map(|parsed| parsed.query_pairs());
        Parameters(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Refuses parameters that would be left unread.
    pub(super) fn check(&self, url: &str, known: &Known) -> Result<(), Error> {
        let tls: &[&str] = if known.has_tls && cfg!(feature = "_rustls") { &TLS } else { &[] };
        let names: Vec<&str> = known.names.iter().chain(tls).copied().collect();
        let mut seen = Vec::new();
        for (name, value) in &self.0 {
            if names.contains(&name.as_str()) {
                if seen.contains(&name) {
                    return Err(refuse(url, format_args!("the parameter `{name}` is given twice")));
                }
                seen.push(name);
                continue;
            }
            let elsewhere = if name.contains("timeout") {
                "; the time-out is set by `.timeout(…)` of the cache's builder".into()
            } else if TLS.contains(&name.as_str()) {
                let schemes = known.tls_schemes;
                format!("; parameters for TLS need {schemes}, and the feature `tls-rustls` of redis-cached")
            } else {
                known.elsewhere.to_owned()
            };
            // A parameter without a value may be the rest of a password.
            let name = if value.is_empty() { "a parameter".into() } else { format!("the parameter `{name}`") };
            return Err(refuse(url, format_args!("{name} is not known; there is {}{elsewhere}", list(&names))));
        }
        Ok(())
    }

    /// The settings for TLS.
    #[cfg(feature = "_rustls")]
    pub(super) fn tls(&self, url: &str) -> Result<Tls, Error> {
        let mut tls = Tls::new();
        if let Some(path) = self.get("ca") {
            tls = tls.ca_file(path);
        }
        if let Some(name) = self.get("server_name") {
            tls = tls.server_name(name);
        }
        match self.get("reload") {
            Some("true") => tls = tls.reload(),
            Some("false") | None => {}
            Some(_) => return Err(refuse(url, format_args!("the parameter `reload` is `true` or `false`"))),
        }
        match (self.get("cert"), self.get("key")) {
            (Some(certificate), Some(key)) => Ok(tls.client_files(certificate, key)),
            (None, None) => Ok(tls),
            (Some(_), None) => Err(refuse(url, format_args!("`cert` needs `key`, the file with its private key"))),
            (None, Some(_)) => Err(refuse(url, format_args!("`key` needs `cert`, the file with its certificate"))),
        }
    }
}

fn list(names: &[&str]) -> String {
    let quoted = |name: &&str| format!("`{name}`");
    match names {
        [] => "none".to_owned(),
        [name] => quoted(name),
        [names @ .., last] => {
            format!("{} and {}", names.iter().map(quoted).collect::<Vec<_>>().join(", "), quoted(last))
        }
    }
}
