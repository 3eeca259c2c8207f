//! Connections over TLS: the same as plain ones.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo as _};
use redis_cached::{Cache, ErrorKind, Tls, redis_cached};
use test_support::{Certificates, Mode, PATIENCE, Stopwatch, TlsServer, eventually};

use super::{cache, fails, in_runtime, pings, square, square_plain, square_plain_entry, works};

#[test]
fn a_server_that_requires_a_certificate_says_so() {
    let server = TlsServer::start();
    let ca = || Tls::new().ca_file(server.certificates.path("ca.pem"));
    let cache = cache(&server.address(), ca());
    for pinged in pings(&cache) {
        let error = pinged.expect_err("it shows no certificate").to_string();
        assert!(error.contains("certificate") && error.contains("`Tls::client_files`"), "{error}");
    }
}

#[test]
fn a_certificate_of_another_authority_is_refused() {
    let (server, other) = (TlsServer::start(), Certificates::new());
    let tls = Tls::new()
        .ca_file(server.certificates.path("ca.pem"))
        .client_files(other.path("client.pem"), other.path("client.key"));
    for pinged in pings(&cache(&server.address(), tls)) {
        assert!(matches!(pinged.unwrap_err().kind(), ErrorKind::Auth | ErrorKind::Unreachable));
    }
}

#[test]
fn a_port_that_answers_without_tls_is_recognized() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("rediss://localhost:{}", listener.local_addr().unwrap().port());
    let certificates = Certificates::new();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            _ = stream.and_then(|mut stream| stream.write_all(b"-ERR Protocol error\r\n"));
        }
    });
    let error = fails(&cache(&url, Tls::new().ca_file(certificates.path("ca.pem")))).to_string();
    assert!(error.contains("check that this is the port on which the server speaks TLS"), "{error}");
}

#[test]
fn the_password_and_the_database_are_those_of_the_url() {
    let server = TlsServer::start();
    server.cli(&["ACL", "SETUSER", "shop", "on", ">pass:word", "~*", "&*", "+@all"]);
    let url = |login: &str| server.url().replace("rediss://", &format!("rediss://{login}@")).replace('?', "/3?");
    let cache = cache(&url("shop:pass%3Aword"), Tls::new());
    assert_eq!(in_runtime(square(&cache, &AtomicUsize::new(0), 7)), 49);
    assert_eq!(square_plain(&cache, &AtomicUsize::new(0), 8), 64);
    assert_eq!(server.cli(&["INFO", "keyspace"]).lines().filter(|line| line.starts_with("db")).count(), 1);
    assert!(server.cli(&["INFO", "keyspace"]).contains("db3:keys=2"));
    let error = fails(&super::cache(&url("shop:wrong"), Tls::new()));
    assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
}

/// redis-rs knows that the server speaks TLS, and the certificates are settings of the cache.
#[test]
fn a_client_of_redis_rs_names_the_server() {
    let server = TlsServer::start();
    let port = server.tls_port();
    let info = "redis://localhost".into_connection_info().unwrap();
    let address = ConnectionAddr::TcpTls { host: "localhost".to_owned(), port, insecure: false, tls_params: None };
    let client = redis::Client::open(info.set_addr(address)).unwrap();
    let path = |file| server.certificates.path(file);
    let tls = Tls::new().ca_file(path("ca.pem")).client_files(path("client.pem"), path("client.key"));
    works(&Cache::from_client(&client).unwrap().tls(tls).unwrap().timeout(PATIENCE).build());
    let alone = Tls::new().ca_file(path("ca.pem"));
    let shows_none = Cache::from_client(&client).unwrap().tls(alone).unwrap().timeout(PATIENCE).build();
    assert!(fails(&shows_none).to_string().contains("`Tls::client_files`"));
}

/// The deadline of a call is one of the whole call, and not of each read.
#[test]
fn replies_that_trickle_in_meet_the_deadline() {
    const TIMEOUT: Duration = Duration::from_millis(200);
    let server = TlsServer::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&server.url_at(proxy.port())).unwrap().timeout(TIMEOUT).build();
    eventually("a hit", || {
        square_plain(&cache, &AtomicUsize::new(0), 1);
        in_runtime(square(&cache, &AtomicUsize::new(0), 1));
        square_plain_entry(&cache, 1).get().is_ok_and(|value| value.is_some())
    });
    proxy.set(Mode::Trickle { bytes: 1, pause: Duration::from_millis(50) });
    for face in ["plain", "async"] {
        let stopwatch = Stopwatch::start();
        match face {
            "plain" => assert_eq!(square_plain(&cache, &AtomicUsize::new(0), 1), 1),
            _ => assert_eq!(in_runtime(square(&cache, &AtomicUsize::new(0), 1)), 1),
        }
        let took = stopwatch.took().own();
        assert!(took < TIMEOUT * 2 + Duration::from_millis(300), "{face}: {took:?}");
    }
}

/// Calls share the connections that are open, as they do without TLS.
#[test]
fn a_server_without_room_for_more_connections_is_no_outage() {
    let server = TlsServer::start();
    let cache = cache(&server.url(), Tls::new());
    assert_eq!(square_plain(&cache, &AtomicUsize::new(0), 3), 9);
    let mut held = server.connection();
    let mut ask = |command: &[&str]| redis::cmd(command[0]).arg(&command[1..]).query::<String>(&mut held).unwrap();
    // The server counts a connection of this test until it has seen its end. Those of the cache have a name.
    eventually("the test's connections are closed", || {
        ask(&["CLIENT", "LIST"]).lines().filter(|client| client.contains(" name= ")).count() == 1
    });
    let clients = ask(&["CLIENT", "LIST"]).lines().count();
    ask(&["CONFIG", "SET", "maxclients", &clients.to_string()]);
    let another = redis::Client::open(server.server.url()).unwrap().get_connection_with_timeout(PATIENCE);
    assert!(another.is_err(), "the server has no room");
    let runs = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| assert_eq!(square_plain(&cache, &runs, 3), 9));
        }
    });
    assert_eq!(runs.load(std::sync::atomic::Ordering::SeqCst), 0, "{:?}", cache.stats());
}

#[redis_cached(prefix = "tls", name = "unstored", cache = cache, skip(cache), cache_if = |_| false)]
async fn unstored(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "tls", name = "unstored", cache = cache, skip(cache), cache_if = |_| false)]
fn unstored_plain(cache: &Cache, id: u64) -> u64 {
    id
}

/// The lease of a value that is not stored is given back while the call returns, so a process may end right after it.
#[test]
fn a_process_that_ends_after_a_call_leaves_no_lease() {
    const URL: &str = "REDIS_CACHED_TLS_URL";
    match std::env::var(URL) {
        Ok(url) => {
            let cache = Cache::builder(&url).unwrap().timeout(PATIENCE).build();
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                assert_eq!(unstored(&cache, 1).await, 1);
                assert_eq!(unstored_plain(&cache, 2), 2);
                std::process::exit(0);
            });
        }
        Err(_) => {
            let server = TlsServer::start();
            for _ in 0..10 {
                let test = "a_process_that_ends_after_a_call_leaves_no_lease";
                let output = test_support::child(module_path!(), test).env(URL, server.url()).output().unwrap();
                assert!(output.status.success(), "{output:?}");
                eventually("the requests of the process have arrived", || {
                    !server.cli(&["CLIENT", "LIST"]).contains("tls:unstored")
                });
                assert_eq!(server.cli(&["KEYS", "tls:unstored:*"]), "", "no lease is left");
            }
        }
    }
}
