//! What the user may do: the commands of this library and of this program, and the keys.

use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use redis_cached_runtime::inspect::{Cmd, STAGED, STATS, Value};

use super::{Examination, Status};
use crate::outcome::Outcome;
use crate::redis::{command, is_refused_key, refusal};
use crate::scan::{escaped, literal};

/// Commands that the library itself does not need for calls, in a form without an effect on a key that does not exist, and
/// what they are needed for.
const OWN: [(&str, &[&str], &str); 4] = [
    ("SCAN", &["SCAN", "0", "MATCH", "k", "COUNT", "1"], "`ls`, `leases`, `top`, `clear`, `--match`, `…_clear`"),
    (
        "HSCAN",
        &["HSCAN", "k", "0"],
        "`ls`, `leases`, `clear`, `--match`, `--group` and `…_clear` where there are groups",
    ),
    ("MEMORY USAGE", &["MEMORY", "USAGE", "k"], "`ls`, `show`"),
    ("DBSIZE", &["DBSIZE"], "the progress of a scan"),
];

/// Keys of one kind.
struct Keys {
    /// What they are for.
    of: &'static str,
    /// All of them, as a rule of an ACL has it.
    pattern: String,
    /// One of them that does not exist.
    key: String,
    /// Without them, nothing can be stored.
    is_vital: bool,
}

impl Examination<'_> {
    pub(super) fn permissions(&mut self, namespace: &str) -> Outcome<()> {
        self.commands_of_library()?;
        self.commands_of_program()?;
        self.keys(namespace)
    }

    fn commands_of_library(&mut self) -> Outcome<()> {
        let commands = self.node.commands()?;
        let refused: Vec<&str> = commands.iter().filter(|(_, allowed)| !allowed).map(|(name, _)| *name).collect();
        if refused.is_empty() {
            let text = format!("the user may run all {} commands that are asked about", commands.len());
            self.note("permissions", Status::Ok, text);
            return Ok(());
        }
        // Without these, nothing can be stored at all, or nothing be read.
        let is_fatal = refused.iter().any(|name| matches!(*name, "SET" | "GET" | "UNLINK"));
        let status = if is_fatal { Status::Fault } else { Status::Warning };
        self.note("permissions", status, format!("the user may not run {}", refused.join(", ")));
        Ok(())
    }

    /// Asks for the commands of `rcached` that no call of a function needs.
    fn commands_of_program(&mut self) -> Outcome<()> {
        let key = unused();
        let question = |words: &[&str]| {
            let words: Vec<&str> = words.iter().map(|word| if *word == "k" { &*key } else { *word }).collect();
            command(&words)
        };
        let questions: Vec<Cmd> = OWN.iter().map(|(_, words, _)| question(words)).collect();
        let replies = self.node.send(&questions)?;
        let refused: Vec<String> = OWN
            .iter()
            .zip(&replies)
            .filter(|(_, reply)| is_refused_command(reply))
            .map(|((name, _, needed_for), _)| format!("{name} ({needed_for})"))
            .collect();
        match refused.is_empty() {
            true => self.note("rcached", Status::Ok, "the user may run the other commands that rcached needs"),
            false => self.note("rcached", Status::Warning, format!("the user may not run {}", refused.join(", "))),
        }
        Ok(())
    }

    fn keys(&mut self, namespace: &str) -> Outcome<()> {
        let (mut lacking, mut is_fatal) = (Vec::new(), false);
        for keys in keys_of(namespace) {
            let key = &keys.key;
            let questions =
                [command(&["GET", key]), command(&["SET", key, "", "XX", "PX", "1"]), command(&["UNLINK", key])];
            if self.node.send(&questions)?.iter().any(is_refused_key) {
                is_fatal |= keys.is_vital;
                lacking.push(format!("`~{}` ({})", keys.pattern, keys.of));
            }
        }
        let status = if is_fatal { Status::Fault } else { Status::Warning };
        match (lacking.is_empty(), namespace) {
            (true, "") => self.note(
                "keys",
                Status::Ok,
                "the user may access tags and statistics; with --namespace, entries are asked about, too",
            ),
            (true, _) => self.note("keys", Status::Ok, "the user may access all keys of the namespace"),
            (false, _) => self.note("keys", status, format!("the user lacks {}", lacking.join(", "))),
        }
        Ok(())
    }
}

/// The kinds of keys of a namespace. Without one, entries begin with the prefixes of functions, which are not known.
fn keys_of(namespace: &str) -> Vec<Keys> {
    let namespace = match escaped(namespace) {
        namespace if namespace.is_empty() => namespace,
        namespace => format!("{namespace}:"),
    };
    let unused = unused();
    let keys = |of, begin: &str, end: &str| Keys {
        of,
        pattern: format!("{}*", literal(begin)),
        key: format!("{begin}{unused}{end}"),
        is_vital: false,
    };
    let mut all = Vec::new();
    if !namespace.is_empty() {
        all.push(Keys { is_vital: true, ..keys("entries", &namespace, "") });
        all.push(keys("large entries on their way", &format!("{{{namespace}"), &format!("}}{STAGED}0")));
    }
    all.push(keys("tags", &format!("{namespace}#tag:"), ""));
    all.push(keys("statistics", &format!("{namespace}{STATS}"), ""));
    all
}

/// A key, or the end of one, that nobody uses.
fn unused() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("redis-cached:permissions:{:x}-{nanos:x}", process::id())
}

/// Returns true for a command that the user may not run, or that the server does not know. A key that may not be accessed,
/// or that is at another node, does not mean that.
fn is_refused_command(reply: &Value) -> bool {
    refusal(reply).is_some_and(|refusal| refusal.starts_with("NOPERM") || refusal.contains("unknown"))
        && !is_refused_key(reply)
}
