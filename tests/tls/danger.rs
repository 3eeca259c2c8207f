//! The acceptance of any server, which only a feature makes possible.

use redis_cached::{Cache, Tls};
use test_support::{Certificates, PATIENCE, TlsServer, log};

use super::{cache, fails, works};

#[test]
fn any_server_is_accepted_if_asked_for() {
    log::listen();
    let (server, other) = (TlsServer::with(&["--tls-auth-clients", "no"]), Certificates::new());
    let wrong = || Tls::new().ca_file(other.path("ca.pem")).server_name("unchecked.internal");
    assert!(fails(&cache(&server.address(), wrong())).to_string().contains("certificate"));
    assert_eq!(warnings(), 0, "{:?}", log::lines_about("unchecked.internal"));

    // Neither its authority nor its name matters, whatever else is set.
    works(&cache(&server.address(), Tls::new().danger_accept_invalid_certificates()));
    works(&cache(&server.address(), wrong().danger_accept_invalid_certificates()));
    let url = format!("{}?ca={}", server.address(), other.path("ca.pem").display());
    works(&cache(&url, Tls::new().danger_accept_invalid_certificates()));
    assert_eq!(warnings(), 1, "{:?}", log::lines_about("unchecked.internal"));
}

fn warnings() -> usize {
    log::lines_about("unchecked.internal").iter().filter(|line| line.text.contains("is not checked")).count()
}

#[test]
fn a_client_still_shows_its_certificate() {
    let server = TlsServer::start();
    let path = |file| server.certificates.path(file);
    let tls = Tls::new().danger_accept_invalid_certificates();
    assert!(fails(&cache(&server.address(), tls.clone())).to_string().contains("`Tls::client_files`"));
    works(&cache(&server.address(), tls.client_files(path("client.pem"), path("client.key"))));
}

#[test]
fn no_url_asks_for_it() {
    let server = TlsServer::with(&["--tls-auth-clients", "no"]);
    for url in [format!("{}#insecure", server.address()), format!("{}/0?insecure=true", server.address())] {
        let error = Cache::builder(&url).map(|builder| builder.timeout(PATIENCE)).expect_err(&url);
        let advice = url.ends_with("#insecure").then_some("`Tls::danger_accept_invalid_certificates`");
        assert!(error.to_string().contains(advice.unwrap_or("is not known")), "{error}");
    }
}
