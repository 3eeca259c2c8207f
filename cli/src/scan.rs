//! All keys of a cache, in paced steps.
//!
//! `SCAN` returns each key that is there from the start to the end, and some of them twice. Only the first bytes of a value are
//! read, so that a step costs the server the same whatever the sizes of the values.

use std::collections::{HashMap, HashSet};

use redis_cached_runtime::inspect::{
    Cmd, Content, KeyName, NameKind, Node, STAGED, STATS, Servers, Value, content, field_content,
};

use crate::args::Args;
use crate::outcome::{Failure, Outcome};
use crate::progress::Progress;
use crate::redis::{Replies, bytes, command, integer, is_wrong_type, items, refusal, text, time};

/// The keys that the server looks at in one step.
const STEP: &str = "1000";

/// The fields that one step in a hash looks at.
const FIELDS: &str = "256";

/// The last byte of a header.
const HEADER_LAST: &str = "111";

/// The most bytes of a value that is read as a whole, to find out the namespace of its function.
const WHOLE: i64 = 1 << 20;

/// The values of one function that are tried for that.
const TRIES: u32 = 3;

/// The length of the stamp of a tag.
const STAMP: i64 = 16;

/// A key, or a field, that a scan found.
pub(crate) struct Found {
    /// The key; for a field, the hash and the field with a space between them.
    pub(crate) text: String,
    pub(crate) what: What,
    /// The stored bytes.
    pub(crate) size: u64,
    /// What is left of its life in Redis, in milliseconds. `None` for ever.
    pub(crate) left: Option<u64>,
}

pub(crate) enum What {
    /// A lease or a value, by its first bytes.
    Slot(KeyName, Vec<u8>),
    Stamp(KeyName),
    /// A value on its way into a slot.
    Staged,
    Foreign,
}

/// The keys of one step.
pub(crate) struct Batch {
    /// The server's clock.
    pub(crate) now: u64,
    pub(crate) found: Vec<Found>,
}

pub(crate) struct Scan<'a> {
    servers: &'a Servers,
    args: &'a Args,
    pattern: String,
    namespaces: Namespaces,
}

impl<'a> Scan<'a> {
    /// The keys of the namespace that begin with this text.
    pub(crate) fn of_prefix(servers: &'a Servers, args: &'a Args, prefix: &str) -> Scan<'a> {
        Scan::new(servers, args, format!("{}*", literal(prefix)))
    }

    /// The keys that match the pattern, after the namespace.
    pub(crate) fn of_pattern(servers: &'a Servers, args: &'a Args, pattern: &str) -> Scan<'a> {
        Scan::new(servers, args, pattern.to_owned())
    }

    fn new(servers: &'a Servers, args: &'a Args, pattern: String) -> Scan<'a> {
        let pattern = match escaped(&args.namespace) {
            namespace if namespace.is_empty() => pattern,
            namespace => format!("{}:{pattern}", literal(&namespace)),
        };
        Scan { servers, args, pattern, namespaces: Namespaces::default() }
    }

    /// Visits all keys. If slots move to other nodes meanwhile, it begins again.
    pub(crate) fn run(&mut self, visit: &mut dyn FnMut(&Node, Batch) -> Outcome<()>) -> Outcome<()> {
        for _ in 0..5 {
            let nodes = self.servers.nodes()?;
            let changes = self.servers.changes();
            let mut progress = Progress::new(total(&nodes)?);
            for node in &nodes {
                self.run_at(node, &mut progress, visit)?;
            }
            if self.servers.changes() == changes {
                break;
            }
        }
        Ok(())
    }

    fn run_at(
        &mut self,
        node: &Node,
        progress: &mut Progress,
        visit: &mut dyn FnMut(&Node, Batch) -> Outcome<()>,
    ) -> Outcome<()> {
        let mut cursor = "0".to_owned();
        loop {
            let scan = command(&["SCAN", &cursor, "MATCH", &self.pattern, "COUNT", STEP]);
            let mut replies = Replies::of(node.send(&[command(&["TIME"]), scan]))?;
            let now = time(replies.next()).unwrap_or_default();
            let (next, keys) = scanned(replies.next())?;
            // A key may come twice in one step.
            let keys: HashSet<Vec<u8>> = keys.into_iter().collect();
            let found = self.look_at(node, now, keys.into_iter().collect())?;
            progress.advance(1000);
            visit(node, Batch { now, found })?;
            if next == "0" {
                return Ok(());
            }
            cursor = next;
            std::thread::sleep(self.args.pace);
        }
    }

    fn look_at(&mut self, node: &Node, now: u64, keys: Vec<Vec<u8>>) -> Outcome<Vec<Found>> {
        let (mut found, mut slots, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            let foreign = |text| Found { text, what: What::Foreign, size: 0, left: None };
            let Ok(text) = String::from_utf8(key) else {
                found.push(foreign("(not text)".to_owned()));
                continue;
            };
            if is_stats(&text) {
                continue;
            }
            if is_staged(&text) {
                found.push(Found { what: What::Staged, ..foreign(text) });
                continue;
            }
            match self.candidates(&text) {
                names if names.is_empty() => found.push(foreign(text)),
                names if names.iter().any(|name| name.kind() == NameKind::Group) => groups.push(text),
                names => slots.push((text, names)),
            }
        }
        found.extend(self.slots(node, slots)?);
        for hash in groups {
            fields(node, now, &hash, &self.args.namespace, &mut found)?;
        }
        Ok(found)
    }

    /// The names that the key may have. A space separates a field from its hash, and is in no key.
    fn candidates(&self, text: &str) -> Vec<KeyName> {
        let mut names = match &*self.args.namespace {
            "" => KeyName::candidates(text),
            namespace => KeyName::of(namespace, text).into_iter().collect(),
        };
        names.retain(|name| name.kind() != NameKind::Field);
        names
    }

    fn slots(&mut self, node: &Node, slots: Vec<(String, Vec<KeyName>)>) -> Outcome<Vec<Found>> {
        let commands: Vec<Cmd> = slots
            .iter()
            .flat_map(|(key, _)| {
                [command(&["GETRANGE", key, "0", HEADER_LAST]), command(&["STRLEN", key]), command(&["PTTL", key])]
            })
            .collect();
        let mut replies = Replies::of(if commands.is_empty() { Ok(Vec::new()) } else { node.send(&commands) })?;
        let mut seen = Vec::new();
        for (text, names) in slots {
            let (head, length, left) = (replies.next(), replies.next(), replies.next());
            if is_wrong_type(&head) {
                seen.push((Found { text, what: What::Foreign, size: 0, left: None }, Vec::new(), Vec::new()));
                continue;
            }
            // Gone, or moved to another node, meanwhile.
            let (Some(head), Some(length)) = (bytes(head).filter(|head| !head.is_empty()), integer(&length)) else {
                continue;
            };
            let left = integer(&left).and_then(|left| u64::try_from(left).ok());
            let size = u64::try_from(length).unwrap_or_default();
            seen.push((Found { text, what: What::Foreign, size, left }, names, head));
        }
        self.namespaces.learn(node, &seen)?;
        Ok(seen.into_iter().map(|(found, names, head)| self.named(found, names, head)).collect())
    }

    fn named(&self, found: Found, mut names: Vec<KeyName>, head: Vec<u8>) -> Found {
        let is_slot = is_ours(&head);
        let at = if names.len() > 1 { usize::from(self.namespaces.has(&found.text)) } else { 0 };
        let what = match (names.get(at).map(KeyName::kind), is_slot) {
            (Some(NameKind::Entry), true) => What::Slot(names.swap_remove(at), head),
            (Some(NameKind::Stamp), _) if found.size == STAMP as u64 => What::Stamp(names.swap_remove(at)),
            _ => What::Foreign,
        };
        Found { what, ..found }
    }
}

/// What is known about the first two parts of keys: whether the first one is a namespace.
#[derive(Default)]
struct Namespaces(HashMap<String, (u32, Option<bool>)>);

impl Namespaces {
    /// Reads a value of each function of which it is not known, as a whole: its checksum fits one of the two.
    fn learn(&mut self, node: &Node, seen: &[(Found, Vec<KeyName>, Vec<u8>)]) -> Outcome<()> {
        let mut asked = Vec::new();
        for (found, names, head) in seen {
            let is_value = matches!(content(head), Content::Value(_));
            if names.len() < 2 || !is_value || found.size > WHOLE as u64 {
                continue;
            }
            let (tries, known) = self.0.entry(pair(&found.text).to_owned()).or_default();
            if known.is_none() && *tries < TRIES {
                *tries += 1;
                asked.push((found, names));
            }
        }
        if asked.is_empty() {
            return Ok(());
        }
        let commands: Vec<Cmd> = asked.iter().map(|(found, _)| command(&["GET", &found.text])).collect();
        for (reply, (found, names)) in node.send(&commands)?.into_iter().zip(asked) {
            let Some(whole) = bytes(reply) else { continue };
            let Content::Value(value) = content(&whole) else { continue };
            if let redis_cached_runtime::inspect::Checked::Intact(name) = value.check(names, &whole) {
                self.0.insert(pair(&found.text).to_owned(), (TRIES, Some(!name.namespace().is_empty())));
            }
        }
        Ok(())
    }

    fn has(&self, text: &str) -> bool {
        self.0.get(pair(text)).and_then(|(_, known)| *known).unwrap_or(false)
    }
}

/// The first two parts of a key.
fn pair(text: &str) -> &str {
    text.match_indices(':').nth(1).map_or(text, |(at, _)| &text[..at])
}

/// Appends the fields of a group. A hash that is no group is foreign.
fn fields(node: &Node, now: u64, hash: &str, namespace: &str, found: &mut Vec<Found>) -> Outcome<()> {
    let mut cursor = "0".to_owned();
    loop {
        let script = command(&["EVAL", include_str!("fields.lua"), "1", hash, &cursor, FIELDS]);
        let reply = node.send(&[script])?.into_iter().next().unwrap_or(Value::Nil);
        if is_foreign_group(&reply) {
            found.push(Found { text: hash.to_owned(), what: What::Foreign, size: 0, left: None });
            return Ok(());
        }
        if let Some(refusal) = refusal(&reply) {
            // A group that moved to another node meanwhile is found there.
            return if refusal.starts_with("MOVED") || refusal.starts_with("ASK") {
                Ok(())
            } else {
                Err(Failure::Server(format!("the fields of {hash} cannot be read: {refusal}")))
            };
        }
        let mut parts = items(reply).into_iter();
        let (next, rows) = (parts.next().and_then(text).unwrap_or_else(|| "0".to_owned()), parts.next());
        for row in rows.map(items).unwrap_or_default() {
            found.extend(field(now, hash, namespace, items(row)));
        }
        if next == "0" {
            return Ok(());
        }
        cursor = next;
    }
}

fn is_foreign_group(reply: &Value) -> bool {
    refusal(reply).is_some_and(|refusal| refusal.contains("WRONGTYPE"))
}

fn field(now: u64, hash: &str, namespace: &str, row: Vec<Value>) -> Option<Found> {
    let mut row = row.into_iter();
    let (name, head, size, companion) = (row.next()?, row.next()?, row.next()?, row.next()?);
    let size = integer(&size).and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    let field = String::from_utf8_lossy(&bytes(name)?).into_owned();
    let text = format!("{hash} {field}");
    let foreign = |text| Some(Found { text, what: What::Foreign, size, left: None });
    let Some((head, end)) = field_content(bytes(head)?, bytes(companion).as_deref()) else { return foreign(text) };
    if end <= now {
        return None;
    }
    let names = if namespace.is_empty() {
        KeyName::candidates(&text)
    } else {
        KeyName::of(namespace, &text).into_iter().collect()
    };
    match names.into_iter().next() {
        Some(name) if is_ours(&head) => Some(Found { text, what: What::Slot(name, head), size, left: Some(end - now) }),
        _ => foreign(text),
    }
}

/// The names of all keys that match the pattern, which includes the namespace.
pub(crate) fn names_of(servers: &Servers, args: &Args, pattern: &str) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for node in servers.nodes()? {
        let mut cursor = "0".to_owned();
        loop {
            let scan = command(&["SCAN", &cursor, "MATCH", pattern, "COUNT", STEP]);
            let (next, keys) = scanned(node.send(&[scan])?.into_iter().next().unwrap_or(Value::Nil))?;
            names.extend(keys.into_iter().filter_map(|key| String::from_utf8(key).ok()));
            if next == "0" {
                break;
            }
            cursor = next;
            std::thread::sleep(args.pace);
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(names)
}

/// The number of keys of all nodes.
fn total(nodes: &[Node]) -> Outcome<u64> {
    let mut sum = 0;
    for node in nodes {
        // A user without the right to ask gets no percentage.
        let size = node.send(&[command(&["DBSIZE"])])?.into_iter().next().unwrap_or(Value::Nil);
        sum += integer(&size).and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    }
    Ok(sum)
}

fn scanned(reply: Value) -> Outcome<(String, Vec<Vec<u8>>)> {
    if let Some(refusal) = refusal(&reply) {
        return Err(Failure::Server(format!("the server refuses SCAN: {refusal}")));
    }
    let mut parts = items(reply).into_iter();
    let cursor = parts.next().and_then(text).unwrap_or_else(|| "0".to_owned());
    let keys = parts.next().map(items).unwrap_or_default();
    Ok((cursor, keys.into_iter().filter_map(bytes).collect()))
}

/// Returns true for a lease or a value, of whatever version of this library.
fn is_ours(head: &[u8]) -> bool {
    !matches!(content(head), Content::Foreign)
}

/// Returns true for the key of the statistics of a process.
fn is_stats(text: &str) -> bool {
    text.starts_with(STATS) || text.split_once(':').is_some_and(|(_, rest)| rest.starts_with(STATS))
}

/// Returns true for the key of a value on its way into a slot.
fn is_staged(text: &str) -> bool {
    let token = text.rsplit_once(STAGED).map(|(_, token)| token);
    token.is_some_and(|token| token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The text as a pattern that matches it alone.
pub(crate) fn literal(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

/// The namespace as keys have it.
pub(crate) fn escaped(namespace: &str) -> String {
    redis_cached_runtime::inspect::escaped(namespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn staged_writes_are_known() {
        assert!(is_staged("{shop:user:1}:ahead:00112233445566778899aabbccddeeff"));
        assert!(!is_staged("shop:user:ahead:1") && !is_staged("shop:ahead"));
    }

    #[test]
    fn two_parts_of_a_key() {
        assert_eq!((pair("a:b:c:d"), pair("a:b"), pair("a")), ("a:b", "a:b", "a"));
    }

    #[test]
    fn a_literal_matches_itself_alone() {
        assert_eq!(literal("p:f<[u8]>?"), "p:f<\\[u8\\]>\\?");
    }
}
