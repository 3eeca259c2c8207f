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

/// What the program itself needs is asked for, and is no fault of the cache.
#[test]
fn missing_permissions_of_rcached_are_named() {
    let server = Server::start();
    let url = server.url().replace("redis://", "redis://shop:secret@");
    let mut rules = vec!["ACL", "SETUSER", "shop", "on", ">secret", "~*", "+@all"];
    server.cli(&rules);
    assert_eq!(finding(&url, "rcached").0, "ok");
    let missing = ["SCAN", "HSCAN", "DBSIZE", "MEMORY"];
    rules.extend(["-scan", "-hscan", "-dbsize", "-memory", "-pttl"]);
    server.cli(&rules);
    assert_eq!(finding(&url, "permissions"), ("warning".to_owned(), "the user may not run PTTL".to_owned()));
    let (status, text) = finding(&url, "rcached");
    assert!(status == "warning" && missing.iter().all(|name| text.contains(name)), "{text}");
    assert!(text.contains("SCAN (`ls`, `leases`, `top`, `clear`, `--match`, `…_clear`)"), "{text}");
    assert_eq!(run(&url, &["doctor"]).1, 0);
}

#[test]
fn keys_that_may_not_be_accessed_are_named() {
    let server = Server::start();
    let url = server.url().replace("redis://", "redis://shop:secret@");
    let of = |namespace: &str| {
        let findings = json(&url, &["doctor", "-n", namespace]);
        let keys = findings.as_array().unwrap().iter().find(|finding| finding["check"] == "keys").unwrap().clone();
        (keys["status"].as_str().unwrap().to_owned(), keys["text"].as_str().unwrap().to_owned())
    };
    let allow = |patterns: &[&str]| {
        let rules = ["ACL", "SETUSER", "shop", "reset", "on", ">secret", "+@all"];
        server.cli(&[&rules, patterns].concat());
    };
    allow(&["~*"]);
    assert_eq!((of("").0.as_str(), of("eu-1").0.as_str()), ("ok", "ok"));
    allow(&["~shop:*"]);
    let lacking = "the user lacks `~#tag:*` (tags), `~#stats:*` (statistics)";
    assert_eq!(of(""), ("warning".to_owned(), lacking.to_owned()));
    let (status, text) = of("eu-1");
    assert!(status == "fault" && text.contains("`~eu\\-1:*` (entries)"), "{text}");
    allow(&["~#tag:*", "~#stats:*"]);
    assert_eq!(of("").0, "ok");
    allow(&["~eu\\-1:*"]);
    let lacking = "the user lacks `~{eu\\-1:*` (large entries on their way)";
    assert_eq!(of("eu-1"), ("warning".to_owned(), lacking.to_owned()));
    allow(&["~eu\\-1:*", "~{eu\\-1:*"]);
    assert_eq!(of("eu-1").0, "ok");
    // Nothing is left of the questions.
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[test]
fn a_master_with_replicas_is_told() {
    let (server, replica) = (Server::start(), Server::start());
    replica.replica_of(&server);
    eventually("it is counted", || finding(&server.url(), "role").1 == "master, with 1 replica");
}
