//! The messages of the compiler for each misuse of the attribute.
//!
//! The words of the compiler change between its versions, so that whole messages are compared on one of them alone,
//! [`EXACT`]. On every other, each case is checked for the project's own sentences, at their lines.
//!
//! `TRYBUILD=overwrite cargo test --package ui` rewrites the expected messages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The version of the compiler whose messages are in the `.stderr` files.
const EXACT: &str = "1.95.0";

#[test]
fn misuse() {
    check("misuse");
}

/// Messages that list the codecs there are.
#[test]
fn misuse_of_codecs() {
    check("features");
}

#[test]
fn misuse_of_the_local_tier() {
    check("local");
}

/// Messages that lack the ones about features.
#[test]
fn misuse_of_compression() {
    check("compress");
}

#[test]
fn misuse_of_handlers() {
    check("axum");
}

/// The source of the standard library, which some toolchains quote, makes no difference.
#[test]
fn no_message_quotes_the_standard_library() {
    let directories = ["misuse", "features", "local", "compress", "axum"];
    for case in directories.into_iter().flat_map(cases) {
        let expected = fs::read_to_string(case.with_extension("stderr")).expect("the expected messages");
        assert!(!expected.contains("$RUST"), "{} shows a place in the standard library", case.display());
    }
}

fn check(directory: &str) {
    let version = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("--version").output();
    let version = String::from_utf8(version.expect("rustc").stdout).expect("a version");
    if version.split(' ').nth(1) == Some(EXACT) && std::env::var_os("REDIS_CACHED_SENTENCES").is_none() {
        trybuild::TestCases::new().compile_fail(format!("{directory}/*.rs"));
    } else {
        println!("whole messages are those of Rust {EXACT}, and this is {version}");
        check_sentences(&cases(directory), directory);
    }
}

fn cases(directory: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(directory).expect("cases").map(|file| file.expect("a case").path());
    let mut cases: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs")).collect();
    cases.sort();
    assert!(!cases.is_empty(), "{directory}");
    cases
}

/// An error, as far as it is compared between versions.
#[derive(Debug, PartialEq)]
struct Sentence {
    line: u64,
    /// None where the words are the compiler's.
    text: Option<String>,
}

/// Compiles all cases, and compares the sentences of each with those in its file.
fn check_sentences(cases: &[PathBuf], directory: &str) {
    let found = compile(cases, &directory.replace('/', "-"));
    let mut wrong = Vec::new();
    for case in cases {
        let expected = expected(&fs::read_to_string(case.with_extension("stderr")).expect("the expected messages"));
        assert!(!expected.is_empty(), "{} has no error", case.display());
        let name = name(case);
        let of_case: Vec<_> = found.iter().filter(|(of, _)| *of == name).map(|(_, sentence)| sentence).collect();
        for sentence in expected {
            let is_there = of_case
                .iter()
                .any(|found| found.line == sentence.line && (sentence.text.is_none() || found.text == sentence.text));
            if !is_there {
                wrong.push(format!("{}: {sentence:?} is not among {of_case:?}", case.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The errors of a `.stderr` file.
fn expected(stderr: &str) -> Vec<Sentence> {
    let mut lines = stderr.lines();
    let mut sentences = Vec::new();
    while let Some(line) = lines.next() {
        let Some(header) = line.strip_prefix("error") else { continue };
        let (code, text) = header.split_once(": ").expect("a message");
        let place = lines.by_ref().find_map(|line| line.trim_start().strip_prefix("--> ")).expect("a place");
        let line = place.rsplit(':').nth(1).and_then(|line| line.parse().ok()).expect("a line");
        sentences.push(Sentence { line, text: is_ours(code, text).then(|| text.to_owned()) });
    }
    sentences
}

/// True if the words of an error are the project's: those of the macro have no code, and those of its traits are in
/// place of the compiler's about a bound.
fn is_ours(code: &str, text: &str) -> bool {
    match code {
        "" => !["function", "associated", "unreachable"].iter().any(|word| text.starts_with(word)),
        "[E0277]" => !text.starts_with("the trait bound") && !text.contains("iterator"),
        "[E0080]" => true,
        _ => false,
    }
}

/// The errors of all cases, each with the name of its case.
fn compile(cases: &[PathBuf], name_of_all: &str) -> Vec<(String, Sentence)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name_of_all);
    fs::create_dir_all(&package).expect("a folder");
    fs::copy(root.join("../../Cargo.lock"), package.join("Cargo.lock")).expect("a lock file");
    let features = ["json", "local", "lz4", "zstd", "axum"];
    let mut manifest = format!(
        "[package]\nname = {name_of_all:?}\nversion = \"0.0.0\"\nedition = \"2024\"\n[workspace]\n[dependencies]\n\
         serde = {{ version = \"1\", features = [\"derive\"] }}\n\
         axum = {{ version = \"0.8\", default-features = false, features = [\"json\", \"query\"] }}\n\
         redis-cached = {{ path = {:?}, features = {features:?} }}\n",
        root.join("../.."),
    );
    for case in cases {
        manifest.push_str(&format!("[[bin]]\nname = {:?}\npath = {:?}\n", name(case), root.join(case)));
    }
    fs::write(package.join("Cargo.toml"), manifest).expect("a manifest");
    let output = Command::new(env!("CARGO"))
        .args(["check", "--offline", "--quiet", "--keep-going", "--bins", "--message-format=json"])
        .arg("--target-dir")
        .arg(package.join("target"))
        .current_dir(&package)
        .output()
        .expect("cargo");
    let text = String::from_utf8(output.stdout).expect("messages");
    let messages: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("a message")).collect();
    let errors = messages.iter().filter(|message| message["message"]["level"] == "error");
    let sentences = errors.filter_map(|error| {
        let spans = error["message"]["spans"].as_array()?;
        let line = spans.iter().find(|span| span["is_primary"] == true)?["line_start"].as_u64()?;
        let text = error["message"]["message"].as_str()?.lines().next()?.to_owned();
        Some((error["target"]["name"].as_str()?.to_owned(), Sentence { line, text: Some(text) }))
    });
    let sentences: Vec<_> = sentences.collect();
    assert!(!sentences.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    sentences
}

fn name(case: &Path) -> String {
    case.file_stem().expect("a name").to_string_lossy().into_owned()
}
