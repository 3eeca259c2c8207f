//! The authorities that are trusted. The environment chooses those of the system, so that each test has a process of its
//! own.

use std::path::Path;

use redis_cached::{Cache, Tls};
use test_support::{Certificates, PATIENCE, TlsServer};

use super::{cache, fails, works};

/// The variable that hands a child its URL.
const URL: &str = "REDIS_CACHED_TLS_URL";

/// Runs a test of this module again, in a process where the system trusts the authorities of this file.
fn child(test: &str, url: &str, trusted: &Path) {
    let mut command = test_support::child(module_path!(), test);
    let output =
        command.env(URL, url).env("SSL_CERT_FILE", trusted).env("SSL_CERT_DIR", "/nonexistent").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

fn in_child() -> Option<Cache> {
    let url = std::env::var(URL).ok()?;
    Some(Cache::builder(&url).unwrap().timeout(PATIENCE).build())
}

fn server() -> TlsServer {
    TlsServer::with(&["--tls-auth-clients", "no"])
}

#[test]
fn those_of_the_system_are_the_default() {
    match in_child() {
        Some(cache) => works(&cache),
        None => {
            let server = server();
            child("those_of_the_system_are_the_default", &server.address(), &server.certificates.path("ca.pem"));
        }
    }
}

/// They are not read at each connection: `works` makes new ones.
#[test]
fn those_of_the_system_are_read_once() {
    match in_child() {
        Some(cache) => {
            works(&cache);
            std::fs::remove_file(std::env::var_os("SSL_CERT_FILE").unwrap()).unwrap();
            works(&cache);
        }
        None => {
            let server = server();
            let trusted = server.certificates.path("trusted.pem");
            std::fs::copy(server.certificates.path("ca.pem"), &trusted).unwrap();
            child("those_of_the_system_are_read_once", &server.address(), &trusted);
        }
    }
}

#[test]
fn an_unknown_one_is_refused_with_advice() {
    match in_child() {
        Some(cache) => {
            let error = fails(&cache).to_string();
            assert!(error.contains("UnknownIssuer") && error.contains("`Tls::ca_file`"), "{error}");
        }
        None => {
            let (server, other) = (server(), Certificates::new());
            child("an_unknown_one_is_refused_with_advice", &server.address(), &other.path("ca.pem"));
        }
    }
}

#[test]
fn without_any_the_message_says_so() {
    match in_child() {
        Some(cache) => {
            let error = fails(&cache).to_string();
            assert!(error.contains("no trusted certificate was found on this system"), "{error}");
            assert!(error.contains("`?ca=…`"), "{error}");
        }
        None => child("without_any_the_message_says_so", &server().address(), Path::new("/nonexistent/ca.pem")),
    }
}

/// Those of the system are neither needed nor trusted next to an own one.
#[test]
fn an_own_one_stands_alone() {
    match in_child() {
        Some(cache) => works(&cache),
        None => {
            let server = TlsServer::start();
            child("an_own_one_stands_alone", &server.url(), Path::new("/nonexistent/ca.pem"));
        }
    }
}

#[test]
fn those_of_the_system_are_not_trusted_next_to_an_own_one() {
    match in_child() {
        Some(cache) => assert!(fails(&cache).to_string().contains("UnknownIssuer")),
        None => {
            let (server, other) = (server(), Certificates::new());
            let url = format!("{}?ca={}", server.address(), other.path("ca.pem").display());
            let trusted = server.certificates.path("ca.pem");
            child("those_of_the_system_are_not_trusted_next_to_an_own_one", &url, &trusted);
        }
    }
}

#[test]
fn the_name_must_be_that_of_the_certificate() {
    let server = TlsServer::start();
    let at = |host: &str| server.url().replace("localhost", host);
    works(&cache(&at("127.0.0.1"), Tls::new()));
    server.certificates.issue("server", "DNS:redis.internal");
    server.restart();
    let error = fails(&cache(&server.url(), Tls::new())).to_string();
    assert!(
        error.contains("localhost") && error.contains("redis.internal") && error.contains("server_name"),
        "{error}"
    );
    works(&cache(&server.url(), Tls::new().server_name("redis.internal")));
    works(&cache(&at("127.0.0.1"), Tls::new().server_name("redis.internal")));
    works(&Cache::builder(&format!("{}&server_name=redis.internal", server.url())).unwrap().timeout(PATIENCE).build());
}
