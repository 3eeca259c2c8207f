//! The provider of cryptography, which belongs to a process: each test has one of its own.

use rustls::crypto::CryptoProvider;
use test_support::{PATIENCE, TlsServer};

use super::connector::provider;
use crate::api::cache::Cache;
use crate::error::Error;

/// The variable that hands a child its URL.
const URL: &str = "REDIS_CACHED_TLS_URL";

/// Runs the test again in a process of its own, where it gets the URL of a server.
fn in_child(test: &str) -> Option<String> {
    if let Ok(url) = std::env::var(URL) {
        return Some(url);
    }
    let server = TlsServer::start();
    let output = test_support::child(module_path!(), test).env(URL, server.url()).output().expect("a child");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
    None
}

fn cache(url: &str) -> Cache {
    Cache::builder(url).expect("a URL").timeout(PATIENCE).build()
}

fn pings(cache: &Cache) -> [Result<(), Error>; 2] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    [runtime.block_on(cache.ping()), cache.blocking().ping()]
}

#[test]
fn a_program_that_installs_none_has_none_afterwards() {
    let Some(url) = in_child("a_program_that_installs_none_has_none_afterwards") else { return };
    assert!(pings(&cache(&url)).iter().all(Result::is_ok));
    assert!(CryptoProvider::get_default().is_none(), "it is left to the program");
}

#[test]
fn the_one_of_the_program_comes_first() {
    let Some(url) = in_child("the_one_of_the_program_comes_first") else { return };
    let cache = cache(&url);
    // It is installed after the cache was built, and cannot encrypt anything.
    let useless = CryptoProvider { cipher_suites: Vec::new(), ..(*provider()).clone() };
    useless.install_default().expect("nothing is installed");
    for pinged in pings(&cache) {
        let error = pinged.expect_err("nothing is encrypted").to_string();
        assert!(error.contains("no usable cipher suites"), "{error}");
    }
}

#[test]
fn a_program_may_install_its_own_afterwards() {
    let Some(url) = in_child("a_program_may_install_its_own_afterwards") else { return };
    let before = cache(&url);
    assert!(pings(&before).iter().all(Result::is_ok));
    (*provider()).clone().install_default().expect("nothing is installed");
    assert!(pings(&before).iter().all(Result::is_ok));
    assert!(pings(&cache(&url)).iter().all(Result::is_ok));
}
