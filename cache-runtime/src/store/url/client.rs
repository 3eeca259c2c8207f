//! The server of a client of redis-rs.

use redis::{Client, ConnectionAddr};

use super::{RedisTarget, Target};
use crate::error::{Error, ErrorKind};
#[cfg(feature = "_rustls")]
use crate::store::tls::{Connector, Tls};

/// The server that a client connects to, with the client's login. Messages name it without its password.
pub(crate) fn of_client(client: &Client) -> Result<Target, Error> {
    let target = RedisTarget::of_info(client.get_connection_info().clone());
    let refuse = |why: &str| Err(Error::new(ErrorKind::Config, format!("`{target}`: {why}")));
    if target.is_without_password() {
        // The user may be a password whose `:` was forgotten.
        let why = "the client has a user without a password, which is not logged in";
        return Err(Error::new(ErrorKind::Config, why));
    }
    let target = match target.info.addr() {
        ConnectionAddr::TcpTls { insecure, tls_params, .. } => {
            if let Some(why) = why_unusable(*insecure, tls_params.is_some()) {
                return refuse(why);
            }
            secured(target)?
        }
        _ => target,
    };
    Ok(Target::Redis(Box::new(target)))
}

/// What a client says about TLS and a cache cannot take over.
fn why_unusable(is_insecure: bool, has_certificates: bool) -> Option<&'static str> {
    if !cfg!(any(feature = "_rustls", feature = "tls-native")) {
        Some("TLS needs the feature `tls-rustls` or `tls-native` of redis-cached")
    } else if is_insecure {
        Some(
            "the client trusts any server; open it without `#insecure`, and name the certificate of the server's \
             authority by `Tls::ca_file`",
        )
    } else if has_certificates {
        Some(
            "redis-rs does not hand out the certificates of the client; pass a client without any, and name them by \
             `Tls::ca_file` and `Tls::client_files`",
        )
    } else {
        None
    }
}

/// The same server through rustls, and not through redis-rs.
#[cfg(feature = "_rustls")]
fn secured(target: RedisTarget) -> Result<RedisTarget, Error> {
    let ConnectionAddr::TcpTls { host, port, .. } = target.info.addr() else { return Ok(target) };
    let connector = Connector::new(Tls::new(), host)?;
    let address = ConnectionAddr::Tcp(host.clone(), *port);
    Ok(RedisTarget::of_info(target.info.set_addr(address)).secured(connector))
}

/// redis-rs speaks TLS.
#[cfg(not(feature = "_rustls"))]
fn secured(target: RedisTarget) -> Result<RedisTarget, Error> {
    Ok(target)
}

#[cfg(test)]
mod tests {
    use redis::IntoConnectionInfo;

    use super::*;

    fn client(url: &str, address: Option<ConnectionAddr>) -> Client {
        let info = url.into_connection_info().expect("a URL");
        Client::open(match address {
            Some(address) => info.set_addr(address),
            None => info,
        })
        .expect("a client")
    }

    fn over_tls(url: &str, insecure: bool) -> Client {
        let address = ConnectionAddr::TcpTls { host: "h".to_owned(), port: 6380, insecure, tls_params: None };
        client(url, Some(address))
    }

    #[test]
    fn the_server_of_a_client_is_that_of_its_url() {
        for (url, shown) in [
            ("redis://localhost", "redis://localhost:6379"),
            ("redis://user:secret@[::1]:7/3", "redis://user@[::1]:7/3"),
            ("redis://:secret@h?protocol=resp3", "redis://h:6379"),
            ("unix:///run/redis.sock?db=1", "redis+unix:///run/redis.sock/1"),
        ] {
            match of_client(&client(url, None)) {
                Ok(Target::Redis(target)) => assert_eq!(target.to_string(), shown),
                other => panic!("{url}: {other:?}"),
            }
        }
        let error = of_client(&client("redis://user@h", None)).expect_err("no password").to_string();
        assert!(error.contains("a user without a password") && !error.contains("user@"), "{error}");
    }

    #[test]
    fn what_cannot_be_taken_over_is_refused() {
        let secure = of_client(&over_tls("redis://user:secret@x/2", false));
        let insecure = of_client(&over_tls("redis://user:secret@x/2", true)).expect_err("insecure").to_string();
        assert!(insecure.contains("`rediss://user@h:6380/2`: "), "{insecure}");
        if cfg!(any(feature = "_rustls", feature = "tls-native")) {
            assert!(matches!(secure, Ok(Target::Redis(target)) if target.to_string() == "rediss://user@h:6380/2"));
            assert!(insecure.contains("`Tls::ca_file`"), "{insecure}");
            assert!(why_unusable(false, true).is_some_and(|why| why.contains("`Tls::client_files`")));
        } else {
            assert!(secure.is_err() && insecure.contains("`tls-rustls`"), "{insecure}");
        }
    }
}
