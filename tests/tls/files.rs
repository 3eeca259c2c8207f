//! Certificates and keys: how they are named, and what is wrong with them.

use std::fs;

use redis_cached::{Cache, ErrorKind, Tls};
use test_support::{Certificates, PATIENCE, TlsServer};

use super::{cache, fails, works};

/// The message of settings that are refused, by a builder.
#[track_caller]
fn refused(tls: Tls) -> String {
    let error = Cache::builder("rediss://localhost").unwrap().tls(tls).expect_err("it must be refused");
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    error.to_string()
}

#[test]
fn an_own_authority_and_a_certificate_of_the_client() {
    let server = TlsServer::start();
    let path = |file| server.certificates.path(file);
    let read = |file| server.certificates.read(file);
    works(&cache(
        &server.address(),
        Tls::new().ca_file(path("ca.pem")).client_files(path("client.pem"), path("client.key")),
    ));
    works(&cache(
        &server.address(),
        Tls::new().ca_pem(read("ca.pem")).client_pem(read("client.pem"), read("client.key")),
    ));
    works(&Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build());
    // The certificate and its key in one file.
    let both = [read("client.key"), read("client.pem")].concat();
    works(&cache(&server.address(), Tls::new().ca_file(path("ca.pem")).client_pem(both.clone(), both)));
}

#[test]
fn settings_of_the_program_come_before_those_of_the_url() {
    let (server, other) = (TlsServer::start(), Certificates::new());
    works(&cache(&server.url(), Tls::new()));
    let wrong = Tls::new().ca_file(other.path("ca.pem"));
    assert!(fails(&cache(&server.url(), wrong)).to_string().contains("UnknownIssuer"));
}

#[test]
fn several_authorities_are_trusted() {
    let (server, other) = (TlsServer::start(), Certificates::new());
    let both = |one: &Certificates, two: &Certificates| {
        let tls = Tls::new().ca_file(one.path("ca.pem")).ca_file(two.path("ca.pem"));
        cache(&server.url(), tls)
    };
    works(&both(&server.certificates, &other));
    works(&both(&other, &server.certificates));
    let bundle = [other.read("ca.pem"), server.certificates.read("ca.pem")].concat();
    works(&cache(&server.url(), Tls::new().ca_pem(bundle)));
}

#[test]
fn a_file_that_is_not_what_is_expected_is_refused_by_its_name() {
    let certificates = Certificates::new();
    let path = |file: &str| certificates.path(file);
    let write = |file: &str, text: &str| {
        fs::write(path(file), text).unwrap();
        path(file)
    };
    let named = |message: String, file: &str, says: &str| {
        assert!(message.contains(&format!("`{}`", path(file).display())) && message.contains(says), "{message}");
    };
    named(refused(Tls::new().ca_file(path("none.pem"))), "none.pem", "cannot be read: No such file");
    let empty = write("empty.pem", "");
    named(refused(Tls::new().ca_file(&empty)), "empty.pem", "expected the certificate of an authority");
    named(refused(Tls::new().ca_file(&empty)), "empty.pem", "found no PEM");
    let key = refused(Tls::new().ca_file(path("ca.key")));
    named(key.clone(), "ca.key", "found only `PRIVATE KEY`");
    let secret = String::from_utf8(certificates.read("ca.key")).unwrap();
    assert!(secret.lines().all(|line| line.is_empty() || line.starts_with("---") || !key.contains(line)), "{key}");
    let broken = write("broken.pem", "-----BEGIN CERTIFICATE-----\nsecret\n");
    let message = refused(Tls::new().ca_file(&broken));
    assert!(!message.contains("secret"));
    named(message, "broken.pem", "not well-formed PEM");
    let junk = write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    named(refused(Tls::new().ca_file(&junk)), "junk.pem", "a certificate in it cannot be that of an authority");

    let client = |certificate: &str, key: &str| refused(Tls::new().client_files(path(certificate), path(key)));
    named(client("none.pem", "client.key"), "none.pem", "the certificate of the client cannot be read");
    named(client("client.pem", "none.key"), "none.key", "the private key of the client cannot be read");
    named(client("client.key", "client.pem"), "client.key", "expected the certificate of the client");
    named(client("client.pem", "client.pem"), "client.pem", "found only `CERTIFICATE`");
    named(client("client.pem", "server.key"), "server.key", "does not belong to the certificate in");
    named(client("client.pem", "server.key"), "client.pem", "does not belong");
    named(client("junk.pem", "client.key"), "junk.pem", "cannot be used");
    write("junk.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    named(client("client.pem", "junk.key"), "junk.key", "the private key in it cannot be used");
    write("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    named(client("client.pem", "locked.key"), "locked.key", "has to be decrypted");
}

#[test]
fn urls_are_refused_for_the_same_reasons() {
    let certificates = Certificates::new();
    let path = |file: &str| certificates.path(file).display().to_string();
    for (parameters, says) in [
        (format!("ca={}", path("ca.key")), "expected the certificate of an authority"),
        (format!("cert={}", path("client.pem")), "`cert` needs `key`"),
        (format!("key={}", path("client.key")), "`key` needs `cert`"),
        (format!("cert={}&key={}", path("client.pem"), path("server.key")), "does not belong"),
        ("reload=yes".to_owned(), "`reload` is `true` or `false`"),
        ("reload".to_owned(), "`reload` is `true` or `false`"),
        ("server_name=not%20a%20name".to_owned(), "`not a name` is not the name of a server"),
        ("sslrootcert=x".to_owned(), "there is `protocol`, `ca`, `cert`, `key`, `server_name` and `reload`"),
        (format!("ca={0}&ca={0}", path("ca.pem")), "given twice"),
    ] {
        let error = Cache::builder(&format!("rediss://:secret@localhost/?{parameters}")).map(drop).expect_err(says);
        assert_eq!(error.kind(), ErrorKind::Config);
        let message = error.to_string();
        assert!(message.contains(says) && !message.contains("secret"), "{message}");
    }
}

#[test]
fn settings_without_tls_are_refused() {
    for url in ["redis://localhost", "redis+unix:///run/redis.sock"] {
        let error = Cache::builder(url).unwrap().tls(Tls::new()).expect_err(url);
        assert!(error.kind() == ErrorKind::Config && error.to_string().contains("rediss://"), "{error}");
    }
    // A program under test has no server, and perhaps not its files either.
    for url in ["memory://", "off://"] {
        drop(Cache::builder(url).unwrap().tls(Tls::new().ca_file("/nonexistent/ca.pem")).expect(url));
    }
}

#[test]
fn nothing_shows_a_key() {
    let certificates = Certificates::new();
    let read = |file| certificates.read(file);
    let tls = Tls::new().ca_pem(read("ca.pem")).client_pem(read("client.pem"), read("client.key"));
    let shown = format!("{tls:?}");
    let builder = Cache::builder("rediss://:hunter2@localhost").unwrap().tls(tls).unwrap();
    let shown = format!("{shown} {builder:?}") + &format!("{:?}", builder.build());
    let key = String::from_utf8(read("client.key")).unwrap();
    let line = key.lines().nth(1).unwrap();
    let bytes = format!("{:?}", &line.as_bytes()[..8]);
    let bytes = bytes.trim_matches(['[', ']']);
    assert!(!shown.contains(line) && !shown.contains(bytes) && !shown.contains("hunter2"), "{shown}");
}

/// A server whose certificates are replaced, and a cache with these settings.
fn rotated(settings: impl Fn(Tls) -> Tls) -> (TlsServer, Cache) {
    let server = TlsServer::start();
    let path = |file| server.certificates.path(file);
    let tls = Tls::new().ca_file(path("ca.pem")).client_files(path("client.pem"), path("client.key"));
    let cache = cache(&server.address(), settings(tls));
    works(&cache);
    (server, cache)
}

/// Another authority in place of the one of the server, and the server on its certificates.
fn replace_all(server: &TlsServer) {
    let new = Certificates::new();
    for file in ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"] {
        fs::copy(new.path(file), server.certificates.path(file)).unwrap();
    }
    server.restart();
}

#[test]
fn files_that_are_replaced_are_read_again_if_asked_for() {
    let (server, cache) = rotated(Tls::reload);
    replace_all(&server);
    works(&cache);

    let (server, cache) = rotated(|tls| tls);
    replace_all(&server);
    assert!(fails(&cache).to_string().contains("invalid peer certificate"));
}

#[test]
fn a_url_asks_for_it_too() {
    for (parameter, is_read_again) in [("&reload=true", true), ("&reload=false", false), ("", false)] {
        let server = TlsServer::start();
        let cache = Cache::builder(&(server.url() + parameter)).unwrap().timeout(PATIENCE).build();
        works(&cache);
        replace_all(&server);
        if is_read_again {
            works(&cache);
        } else {
            fails(&cache);
        }
    }
}

#[test]
fn files_that_are_half_written_are_not_used() {
    let (server, cache) = rotated(Tls::reload);
    let pem = server.certificates.read("client.pem");
    for broken in [&pem[..pem.len() / 2], b""] {
        fs::write(server.certificates.path("client.pem"), broken).unwrap();
        server.restart();
        works(&cache);
    }
    // A key of another certificate is there for a moment, too.
    server.certificates.issue("client", "DNS:client");
    fs::write(server.certificates.path("client.key"), server.certificates.read("server.key")).unwrap();
    server.restart();
    works(&cache);
}
