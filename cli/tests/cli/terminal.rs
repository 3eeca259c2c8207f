//! In a terminal, which the program `script` of util-linux makes.

use std::process::{Command, Stdio};

use test_support::Server;

use crate::rcached;
use crate::seed::{cache, price};

/// Runs the program in a terminal. Standard output and standard error arrive together.
fn in_terminal(url: &str, arguments: &str) -> String {
    let program = env!("CARGO_BIN_EXE_rcached");
    let output = Command::new("script")
        .args(["--quiet", "--return", "--command", &format!("{program} {arguments}"), "/dev/null"])
        .env("REDIS_URL", url)
        .stdin(Stdio::null())
        .output()
        .expect("these tests need the program `script`, of the package util-linux or bsdutils: run scripts/install");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_long_scan_shows_its_progress_on_a_terminal() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    for id in 0..2500 {
        price(&cache, id);
    }
    let shown = in_terminal(&url, "ls --pace 120");
    assert!(shown.contains("scanned 1,000 of 2,500 keys (40 %)"), "{shown:?}");
    assert!(shown.contains("scanned 2,500 of 2,500 keys (100 %)"), "{shown:?}");
    // The line is removed before the table is printed.
    let table = shown.find("FUNCTION").unwrap();
    assert!(shown[..table].ends_with("\r\x1b[K"), "{shown:?}");
    assert!(!shown[table..].contains("scanned"), "{shown:?}");

    // A script that reads the output gets the table alone.
    let output = rcached(&url, &["ls", "--pace", "120"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}
