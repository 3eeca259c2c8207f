//! All keys of a cache, in paced steps.
//!
//! `SCAN` returns each key that is there from the start to the end, and some of them twice. The first bytes of each value are
//! read, and as a whole those that are needed to find out their namespaces.
//!
//! A key that the user may not read is counted, and the scan goes on. Any other refusal ends it.

mod groups;
mod namespaces;

use std::collections::BTreeSet;

use redis_cached_runtime::inspect::{Cmd, Content, KeyName, NameKind, Node, STAGED, STATS, Servers, Value, content};

pub(crate) use self::groups::{Field, Walked, walk};
pub(crate) use self::namespaces::Check;
use self::namespaces::{Namespaces, Seen};
use crate::args::Args;
use crate::outcome::{Failure, Outcome};
use crate::output::counted;
use crate::progress::Progress;
use crate::redis::{
    Replies, bytes, command, has_moved, integer, is_refused_key, is_wrong_type, items, left, refusal, text, time, told,
};

/// The keys that the server looks at in one step.
const STEP: &str = "1000";

/// The last byte of a header.
const HEADER_LAST: &str = "111";

/// The length of the stamp of a tag.
pub(crate) const STAMP: u64 = 16;

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
    /// A lease or a value.
    Slot(Slot),
    Stamp(KeyName),
    /// A value on its way into a slot.
    Staged,
    Foreign,
}

/// A lease or a value, by its first bytes.
pub(crate) struct Slot {
    /// Its name. If that is not known, the one in the namespace of the command line, or without any.
    pub(crate) name: KeyName,
    /// The other name that it may have: neither the key nor what was read of the content tells which one it is.
    pub(crate) other: Option<KeyName>,
    pub(crate) head: Vec<u8>,
}

/// The keys of one step.
pub(crate) struct Batch {
    /// The server's clock.
    pub(crate) now: u64,
    pub(crate) found: Vec<Found>,
}

/// The keys that the user may not read.
#[derive(Default)]
struct Refused {
    keys: u64,
    /// The server's words about the first of them.
    words: String,
}

impl Refused {
    fn note(&mut self, reply: &Value) {
        self.note_words(refusal(reply).unwrap_or_default());
    }

    fn note_words(&mut self, words: String) {
        if self.keys == 0 {
            self.words = words;
        }
        self.keys += 1;
    }
}

pub(crate) struct Scan<'a> {
    servers: &'a Servers,
    args: &'a Args,
    pattern: String,
    /// The namespace of the command line, as keys have it.
    namespace: String,
    namespaces: Namespaces<'a>,
    refused: Refused,
}

impl<'a> Scan<'a> {
    /// The keys of the namespace that begin with this text.
    pub(crate) fn of_prefix(servers: &'a Servers, args: &'a Args, prefix: &str, check: Check<'a>) -> Scan<'a> {
        Scan::of_pattern(servers, args, &format!("{}*", literal(prefix)), check)
    }

    /// The keys that match the pattern, after the namespace.
    pub(crate) fn of_pattern(servers: &'a Servers, args: &'a Args, pattern: &str, check: Check<'a>) -> Scan<'a> {
        let namespace = escaped(&args.namespace);
        let pattern = match namespace.as_str() {
            "" => pattern.to_owned(),
            namespace => format!("{}:{pattern}", literal(namespace)),
        };
        let (namespaces, refused) = (Namespaces::new(check), Refused::default());
        Scan { servers, args, pattern, namespace, namespaces, refused }
    }

    /// The number of keys that the user may not read.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.keys
    }

    /// Ends the command with a failure if the user may not read some of the keys.
    pub(crate) fn end(&self) -> Outcome<()> {
        let Refused { keys, words } = &self.refused;
        match keys {
            0 => Ok(()),
            keys => {
                let keys = counted(*keys, "key that matches", "keys that match");
                Err(Failure::Server(format!("the user may not read {keys}: {words}")))
            }
        }
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
            let now = time(replies.next())?;
            let (next, keys) = scanned(replies.next())?;
            // A key may come twice in one step. In order, the same keys lead to the same choice of what is read.
            let keys: BTreeSet<Vec<u8>> = keys.into_iter().collect();
            let found = self.look_at(node, now, keys)?;
            progress.advance(1000);
            visit(node, Batch { now, found })?;
            if next == "0" {
                return Ok(());
            }
            cursor = next;
            std::thread::sleep(self.args.pace);
        }
    }

    fn look_at(&mut self, node: &Node, now: u64, keys: BTreeSet<Vec<u8>>) -> Outcome<Vec<Found>> {
        let (mut found, mut slots, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
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
            // A space separates a field from its hash, and is in no key.
            let mut names = KeyName::candidates(&text);
            names.retain(|name| name.kind() != NameKind::Field);
            match names.iter().find(|name| name.kind() == NameKind::Group) {
                _ if names.is_empty() => found.push(foreign(text)),
                Some(group) if self.is_elsewhere(group) => {}
                Some(_) => groups.push(text),
                None => slots.push((text, names)),
            }
        }
        found.extend(self.slots(node, slots)?);
        for hash in groups {
            self.fields(node, now, &hash, &mut found)?;
        }
        Ok(found)
    }

    /// Returns true for a name that is not in the namespace of the command line, if that has one.
    fn is_elsewhere(&self, name: &KeyName) -> bool {
        !self.namespace.is_empty() && name.namespace() != self.namespace
    }

    fn slots(&mut self, node: &Node, slots: Vec<(String, Vec<KeyName>)>) -> Outcome<Vec<Found>> {
        let read = |key: &str| {
            [command(&["GETRANGE", key, "0", HEADER_LAST]), command(&["STRLEN", key]), command(&["PTTL", key])]
        };
        let commands: Vec<Cmd> = slots.iter().flat_map(|(key, _)| read(key)).collect();
        let mut replies = Replies::of(if commands.is_empty() { Ok(Vec::new()) } else { node.send(&commands) })?;
        let (mut seen, mut found) = (Vec::new(), Vec::new());
        for (text, names) in slots {
            let all = [replies.next(), replies.next(), replies.next()];
            if all.iter().any(is_wrong_type) {
                found.push(foreign(text));
                continue;
            }
            if let Some(reply) = all.iter().find(|reply| is_refused_key(reply)) {
                self.refused.note(reply);
                continue;
            }
            if all.iter().any(has_moved) {
                continue;
            }
            let [head, length, life] = all;
            let head = bytes(told("GETRANGE", head)?).unwrap_or_default();
            let length = integer(&told("STRLEN", length)?).unwrap_or_default();
            let left = left(life)?;
            // It may be gone meanwhile.
            if !head.is_empty() {
                seen.push(Seen { text, names, head, size: u64::try_from(length).unwrap_or_default(), left });
            }
        }
        let seen = self.namespaces.decide(node, self.args.pace, seen, &mut self.refused)?;
        found.extend(seen.into_iter().filter_map(|seen| self.named(seen)));
        Ok(found)
    }

    /// What is there. `None` if it is known to be of another namespace than that of the command line.
    fn named(&self, seen: Seen) -> Option<Found> {
        let Seen { text, mut names, head, size, left } = seen;
        let is_stamp = names.iter().any(|name| name.kind() == NameKind::Stamp) && size == STAMP;
        if !is_stamp && !is_ours(&head) {
            return Some(Found { text, what: What::Foreign, size, left });
        }
        // Without a namespace in the command line, the first name is the one without a namespace.
        let at = names.iter().position(|name| !self.is_elsewhere(name))?;
        let name = names.swap_remove(at);
        let what = match name.kind() {
            NameKind::Stamp if is_stamp => What::Stamp(name),
            NameKind::Entry => What::Slot(Slot { name, other: names.pop(), head }),
            NameKind::Stamp | NameKind::Group | NameKind::Field => What::Foreign,
        };
        Some(Found { text, what, size, left })
    }

    /// Appends the fields of a group. A hash that is no group is foreign.
    fn fields(&mut self, node: &Node, now: u64, hash: &str, found: &mut Vec<Found>) -> Outcome<()> {
        let mut send = |step: Cmd| Ok(Replies::of(node.send(&[step]))?.next());
        let walked = walk(hash, self.args.pace, &mut send, &mut |field| {
            found.extend(field_found(now, hash, field));
            Ok(())
        })?;
        match walked {
            // A group that moved to another node meanwhile is found there.
            Walked::All | Walked::Moved => {}
            Walked::NoHash => found.push(foreign(hash.to_owned())),
            Walked::Refused(words) => self.refused.note_words(words),
        }
        Ok(())
    }
}

fn foreign(text: String) -> Found {
    Found { text, what: What::Foreign, size: 0, left: None }
}

/// What is in a field. `None` if it is over.
fn field_found(now: u64, hash: &str, field: Field) -> Option<Found> {
    let (size, text) = (field.size, format!("{hash} {}", String::from_utf8_lossy(&field.name)));
    // The first part of the key of a group shows if it is a namespace.
    let name = KeyName::candidates(&text).into_iter().next();
    let Some(((head, end), name)) = field.slot().zip(name) else { return Some(Found { size, ..foreign(text) }) };
    let left = end.checked_sub(now).filter(|left| *left > 0)?;
    Some(Found { text, what: What::Slot(Slot { name, other: None, head }), size, left: Some(left) })
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
        // A user without the right to ask gets no percentage, and nothing else depends on it.
        let size = node.send(&[command(&["DBSIZE"])])?.into_iter().next().unwrap_or(Value::Nil);
        sum += integer(&size).and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
    }
    Ok(sum)
}

fn scanned(reply: Value) -> Outcome<(String, Vec<Vec<u8>>)> {
    let mut parts = items(told("SCAN", reply)?).into_iter();
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
    fn a_literal_matches_itself_alone() {
        assert_eq!(literal("p:f<[u8]>?"), "p:f<\\[u8\\]>\\?");
    }
}
