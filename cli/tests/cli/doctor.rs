use test_support::{Server, eventually};

use crate::{json, run};

/// The status and the text of a check.
fn finding(url: &str, check: &str) -> (String, String) {
    let findings = json(url, &["doctor"]);
    let of_check = findings.as_array().unwrap().iter().find(|finding| finding["check"] == check);
    let of_check = of_check.unwrap_or_else(|| panic!("no {check} in {findings}"));
    (of_check["status"].as_str().unwrap().to_owned(), of_check["text"].as_str().unwrap().to_owned())
}

#[test]
fn a_sound_server_is_well() {
    let server = Server::with(&["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]);
    let (printed, code) = run(&server.url(), &["doctor"]);
    println!("{printed}");
    assert_eq!(code, 0, "{printed}");
    for part in ["role", "master, with 0 replicas", "permissions", "allkeys-lru, 0 keys evicted", "tracking"] {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert!(printed.contains(&server.program()), "{printed}");
    assert!(!printed.contains("FAULT"), "{printed}");
}

#[test]
fn memory_without_a_limit_is_a_warning() {
    let server = Server::start();
    let (status, text) = finding(&server.url(), "memory");
    assert!(status == "warning" && text.contains("set maxmemory"), "{text}");
    server.cli(&["CONFIG", "SET", "maxmemory", "1gb"]);
    let (status, text) = finding(&server.url(), "memory");
    assert!(status == "warning" && text.contains("noeviction"), "{text}");
}

#[test]
fn a_full_server_is_a_fault() {
    let server = Server::start();
    server.cli(&["SET", "ballast", &"x".repeat(1 << 20)]);
    server.cli(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let (status, text) = finding(&server.url(), "memory");
    assert!(status == "fault" && text.contains("it is full"), "{text}");
    assert_eq!(run(&server.url(), &["doctor"]).1, 1);
}

#[test]
fn missing_permissions_are_named() {
    let server = Server::start();
    server.cli(&["ACL", "SETUSER", "shop", "on", ">secret", "+@all", "-eval", "-setrange", "-client|tracking", "~*"]);
    let url = server.url().replace("redis://", "redis://shop:secret@");
    assert_eq!(finding(&url, "permissions"), ("warning".to_owned(), "the user may not run EVAL, SETRANGE".to_owned()));
    assert_eq!(finding(&url, "tracking").0, "warning");
    server.cli(&["ACL", "SETUSER", "shop", "-set"]);
    assert_eq!(finding(&url, "permissions").0, "fault");
}

#[test]
fn a_master_with_replicas_is_told() {
    let (server, replica) = (Server::start(), Server::start());
    replica.replica_of(&server);
    eventually("it is counted", || finding(&server.url(), "role").1 == "master, with 1 replica");
}
