use test_support::{Server, free_port};

use crate::seed::{cache, fill};
use crate::{prints, run};

#[test]
fn each_outcome_has_a_code() {
    let server = Server::start();
    let url = server.url();
    fill(&cache(&url, ""));
    for (arguments, code) in [
        (&["show", "shop:price:1"][..], 0),
        (&["show", "shop:price:9"], 1),
        (&["show"], 2),
        (&["invalidate"], 2),
        (&["invalidate", "shop:price:1", "--match", "x*"], 2),
        (&["invalidate", "--group", "no prefix"], 2),
        (&["invalidate", "#tag:org:7"], 2),
        (&["unknown"], 2),
        (&["ls", "--url", "http://localhost"], 2),
        (&["ls", "--url", "memory://"], 2),
        (&["ls", "--url", "off://"], 2),
        (&["ls", "--timeout", "0"], 2),
        (&["--version"], 0),
    ] {
        let (printed, ended) = run(&url, arguments);
        assert_eq!(ended, code, "{arguments:?}: {printed}");
    }
    let nowhere = format!("redis://127.0.0.1:{}", free_port());
    for arguments in [&["ls"][..], &["show", "shop:price:1"], &["doctor"], &["leases"], &["invalidate", "shop:price:1"]]
    {
        let (printed, ended) = run(&nowhere, arguments);
        assert!(
            ended == 3 && printed.starts_with("rcached: Redis cannot be reached"),
            "{arguments:?} ({ended}): {printed}"
        );
    }
}

#[test]
fn nothing_stored_is_told() {
    let server = Server::start();
    prints(&server.url(), &["show", "shop:price:9"], 1, "shop:price:9\n  nothing is stored");
}

#[test]
fn a_user_without_scan_is_told() {
    let server = Server::start();
    server.cli(&["ACL", "SETUSER", "shop", "on", ">secret", "+@all", "-scan", "~*"]);
    let url = server.url().replace("redis://", "redis://shop:secret@");
    let (printed, code) = run(&url, &["ls"]);
    assert!(code == 3 && printed.contains("the server refuses SCAN: NOPERM"), "{code}: {printed}");
    assert!(!printed.contains("secret"), "{printed}");
}
