//! Users that may not do all: what the server refuses is told in its words, and is not taken for an empty key.

use test_support::Server;

use crate::seed::{cache, fill};
use crate::{json, run};

/// The URL of a user with these rules.
fn limited(server: &Server, rules: &[&str]) -> String {
    server.cli(&[&["ACL", "SETUSER", "limited", "reset", "on", ">secret"], rules].concat());
    server.url().replace("redis://", "redis://limited:secret@")
}

/// The whole content of the server, as far as a scan could change it.
fn size(server: &Server) -> String {
    server.cli(&["DBSIZE"])
}

#[test]
fn what_may_not_be_read_is_told() {
    let server = Server::start();
    fill(&cache(&server.url(), ""));
    server.cli(&["SET", "#stats:host:1", r#"{"version":1,"host":"h","pid":1,"program":"p"}"#]);
    let before = size(&server);
    let scans: [&[&str]; 5] = [
        &["ls"],
        &["leases"],
        &["invalidate", "--match", "shop:user:*", "--yes"],
        &["clear", "shop", "--yes"],
        &["clear", "shop:seat"],
    ];
    let [ls, leases, pattern, clear, _] = scans;
    let (value, seat): (&[&str], &[&str]) = (&["show", "shop:user:7:1"], &["show", "shop:#group:class:1", "seat:1:1"]);
    let tags: [&[&str]; 2] = [&["show", "shop:user:7:1", "--tag", "org:7"], &["show", "#tag:org:7"]];
    let group: &[&str] = &["invalidate", "--group", "shop:class:1"];
    for (rules, commands) in [
        (&["~shop:*", "+@all"][..], &tags[..]),
        (&["~zzz:*", "+@all"], &scans),
        (&["~zzz:*", "+@all"], &[&["top"], value, seat, group, &["invalidate", "shop:user:7:1", "--tag", "org:7"]]),
        (&["~*", "+@all", "-getrange", "-strlen"], &[ls, leases, pattern, clear]),
        (&["~*", "+@all", "-strlen"], &[ls, leases, pattern, clear, &["invalidate", "--tag", "org:7"]]),
        (&["~*", "+@all", "-scan"], &[ls, leases, pattern, clear, &["top"]]),
        (&["~*", "+@all", "-time"], &[ls, leases, pattern, clear, value, seat]),
        (&["~*", "+@all", "-pttl"], &[ls, leases, pattern, clear, value, &["show", "#tag:org:7"]]),
        (&["~*", "+@all", "-memory"], &[ls, value]),
        (&["~*", "+@all", "-get"], &[&["top"], value, tags[0], tags[1], clear]),
        (&["~*", "+@all", "-hmget", "-hget"], &[seat, &["invalidate", "shop:#group:class:1 seat:1:1"]]),
        (&["~*", "+@all", "-eval"], &[ls, group]),
        (&["~*", "+@all", "-hscan"], &[ls, group]),
    ] {
        let url = limited(&server, rules);
        for arguments in commands {
            let (printed, code) = run(&url, arguments);
            assert_eq!(code, 3, "{rules:?} {arguments:?}: {printed}");
            assert!(
                printed.contains("NOPERM") || printed.contains("can't run this command"),
                "{arguments:?}: {printed}"
            );
            for fact in ["nothing is", "nothing of", "nothing was there", "invalidated", "fresh for", "removed:"] {
                assert!(!printed.contains(fact), "{rules:?} {arguments:?} tells `{fact}`: {printed}");
            }
        }
    }
    assert_eq!(size(&server), before);
}

/// In a database that others share, a scan goes on with what may be read.
#[test]
fn a_scan_goes_on_and_counts_what_may_not_be_read() {
    let server = Server::start();
    fill(&cache(&server.url(), ""));
    for id in 0..3 {
        server.cli(&["SET", &format!("other:session:{id}"), "x"]);
    }
    let url = limited(&server, &["~shop:*", "+@all"]);
    let (printed, code) = run(&url, &["ls"]);
    // Those, and three stamps.
    assert!(code == 3 && printed.contains("shop:price "), "{code}: {printed}");
    assert!(printed.contains("\nrcached: the user may not read 6 keys that match: NOPERM "), "{printed}");
    let listed = rcached_json(&url, &["ls", "--json"]);
    assert_eq!((&listed["refused"], &listed["foreign"]), (&6.into(), &0.into()), "{listed}");
    assert_eq!(run(&url, &["ls", "shop:"]).1, 0);

    let (printed, code) = run(&url, &["invalidate", "--match", "*", "--yes"]);
    assert!(code == 3 && printed.starts_with("13 of 13 entries removed:"), "{code}: {printed}");
    assert_eq!(size(&server), "6");
    let (printed, code) = run(&url, &["invalidate", "--match", "*", "--yes"]);
    assert!(code == 3 && printed.starts_with("nothing was removed\n"), "{code}: {printed}");
    // The number of keys is for the progress alone.
    let url = limited(&server, &["~*", "+@all", "-dbsize"]);
    assert_eq!(json(&url, &["ls"])["stamps"], 3);
}

/// Some servers do not tell what a key takes.
#[test]
fn memory_that_the_server_does_not_tell_is_left_out() {
    let server = Server::with(&["--rename-command", "MEMORY", ""]);
    let url = server.url();
    fill(&cache(&url, ""));
    let listed = json(&url, &["ls", "shop:price"]);
    assert_eq!(listed["functions"][0]["memory_bytes"], serde_json::Value::Null, "{listed}");
    let (printed, code) = run(&url, &["ls", "shop:price"]);
    let row: Vec<&str> = printed.lines().nth(1).unwrap().split_whitespace().collect();
    assert!(code == 0 && row[8] == "-", "{printed}");
    let (shown, code) = run(&url, &["show", "shop:price:1"]);
    assert!(code == 0 && !shown.contains("of memory"), "{shown}");
}

/// The document, without what standard error has.
fn rcached_json(url: &str, arguments: &[&str]) -> serde_json::Value {
    let output = crate::rcached(url, arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}
