use std::fs::File;
use std::io::pipe;

use crate::{rcached, run};

/// Each command that only prints.
const PRINTING: [&[&str]; 7] = [
    &["completions", "bash"],
    &["completions", "zsh"],
    &["completions", "fish"],
    &["completions", "elvish"],
    &["completions", "powershell"],
    &["man"],
    &["show", "shop:price:9"],
];

#[test]
fn there_are_completions_for_each_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let (script, code) = run("redis://127.0.0.1", &["completions", shell]);
        assert!(code == 0 && script.contains("rcached") && script.contains("invalidate"), "{shell}: {script}");
    }
}

#[test]
fn there_is_a_manual_page() {
    let (page, code) = run("redis://127.0.0.1", &["man"]);
    assert!(code == 0 && page.contains(".TH rcached 1") && page.contains("Exit codes:"), "{page}");
    let directory = std::env::temp_dir().join(format!("rcached-man-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (_, code) = run("redis://127.0.0.1", &["man", directory.to_str().unwrap()]);
    let pages: Vec<String> =
        std::fs::read_dir(&directory).unwrap().map(|page| page.unwrap().file_name().into_string().unwrap()).collect();
    std::fs::remove_dir_all(&directory).unwrap();
    assert_eq!(code, 0);
    for page in ["rcached.1", "rcached-ls.1", "rcached-show.1", "rcached-doctor.1"] {
        assert!(pages.iter().any(|known| known == page), "{page} is not in {pages:?}");
    }
}

#[test]
fn a_reader_that_closes_its_end_is_no_failure() {
    let server = test_support::Server::start();
    for arguments in PRINTING {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        let output = rcached(&server.url(), arguments).stdout(writer).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)) && errors.is_empty(), "{arguments:?}: {errors}");
    }
}

#[test]
fn a_full_disk_is_told() {
    let server = test_support::Server::start();
    for arguments in PRINTING {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let output = rcached(&server.url(), arguments).stdout(full()).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {errors}");
        assert!(errors.starts_with("rcached: ") && errors.lines().count() == 1, "{arguments:?}: {errors}");
        // Nor is it a panic if that cannot be told.
        let output = rcached(&server.url(), arguments).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(output.code(), Some(3), "{arguments:?}");
    }
}

/// The password of a URL in the environment is not shown.
#[test]
fn the_help_shows_no_secret() {
    for arguments in [&["--help"][..], &["-h"], &["ls", "--help"], &["show"]] {
        let (help, _) = run("redis://shop:secret@redis.internal", arguments);
        assert!(!help.contains("secret"), "{help}");
    }
}
