//! The namespaces of keys that may be of two: `a:b:c` is an entry of the function `a:b`, or one of `b:c` in the namespace
//! `a`. The checksum of a value fits one of the two.

use std::collections::HashMap;
use std::time::Duration;

use redis_cached_runtime::inspect::{Checked, Cmd, Content, KeyName, Node, content};

use super::Refused;
use crate::outcome::Outcome;
use crate::redis::{bytes, command, has_moved, is_refused_key, is_wrong_type, told};

/// How many values a scan reads as a whole, to find out the namespaces of their keys.
#[derive(Clone, Copy)]
pub(crate) enum Check<'a> {
    /// None.
    None,
    /// Small ones, and a few of the others.
    Cheap,
    /// All but giant ones, if one of their names is meant.
    Whole(&'a dyn Fn(&KeyName) -> bool),
}

/// The most bytes of a small value.
const SMALL: u64 = 16 << 10;

/// Of larger values, so many are tried among those with the same first two parts of the key, up to a size.
const TRIES: u32 = 3;
const TRIED: u64 = 4 << 20;

/// The most bytes of a value that is read to be removed.
const WHOLE: u64 = 64 << 20;

/// The bytes of values that are read in one round trip, unless a single one has more.
const TOGETHER: u64 = 4 << 20;

/// A key whose first bytes were read.
pub(super) struct Seen {
    pub(super) text: String,
    /// The names that it may have. Two are both entries: first without a namespace, then with one.
    pub(super) names: Vec<KeyName>,
    pub(super) head: Vec<u8>,
    pub(super) size: u64,
    pub(super) left: Option<u64>,
}

/// The choice of values that are read as a whole.
pub(super) struct Namespaces<'a> {
    check: Check<'a>,
    /// The larger values that were tried, by the first two parts of their keys.
    tries: HashMap<String, u32>,
}

impl<'a> Namespaces<'a> {
    pub(super) fn new(check: Check<'a>) -> Namespaces<'a> {
        Namespaces { check, tries: HashMap::new() }
    }

    /// Leaves to each key the names that it can have. Keys that are gone meanwhile are taken away.
    pub(super) fn decide(
        &mut self,
        node: &Node,
        pace: Duration,
        seen: Vec<Seen>,
        refused: &mut Refused,
    ) -> Outcome<Vec<Seen>> {
        let (asked, mut decided): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|seen| self.asks(seen));
        let mut asked = asked.into_iter().peekable();
        let mut is_first = true;
        while asked.peek().is_some() {
            if !std::mem::take(&mut is_first) {
                std::thread::sleep(pace);
            }
            let (mut part, mut size) = (Vec::new(), 0);
            while let Some(next) = asked.next_if(|next| part.is_empty() || size + next.size <= TOGETHER) {
                size += next.size;
                part.push(next);
            }
            let commands: Vec<Cmd> = part.iter().map(|seen| command(&["GET", &seen.text])).collect();
            for (reply, mut seen) in node.send(&commands)?.into_iter().zip(part) {
                if has_moved(&reply) {
                    continue;
                }
                if is_refused_key(&reply) {
                    refused.note(&reply);
                    continue;
                }
                // Something else may be there now.
                let whole = if is_wrong_type(&reply) { Some(Vec::new()) } else { bytes(told("GET", reply)?) };
                if let Some(whole) = whole {
                    seen.learn(&whole);
                    decided.push(seen);
                }
            }
        }
        Ok(decided)
    }

    fn asks(&mut self, seen: &Seen) -> bool {
        if seen.names.len() < 2 || !matches!(content(&seen.head), Content::Value(_)) {
            return false;
        }
        match self.check {
            Check::None => false,
            Check::Whole(is_meant) => seen.size <= WHOLE && seen.names.iter().any(is_meant),
            Check::Cheap if seen.size <= SMALL => true,
            Check::Cheap if seen.size > TRIED => false,
            Check::Cheap => {
                let tries = self.tries.entry(pair(&seen.text).to_owned()).or_default();
                *tries += 1;
                *tries <= TRIES
            }
        }
    }
}

impl Seen {
    fn learn(&mut self, whole: &[u8]) {
        let checked = match content(whole) {
            Content::Value(value) => value.check(&self.names, whole),
            _ => Checked::Damaged,
        };
        if let Checked::Intact(name) = checked {
            self.names = vec![name];
        }
        self.head = whole.get(..self.head.len()).unwrap_or(whole).to_vec();
        self.size = whole.len() as u64;
    }
}

/// The first two parts of a key.
fn pair(text: &str) -> &str {
    text.match_indices(':').nth(1).map_or(text, |(at, _)| &text[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_parts_of_a_key() {
        assert_eq!((pair("a:b:c:d"), pair("a:b"), pair("a")), ("a:b", "a:b", "a"));
    }
}
