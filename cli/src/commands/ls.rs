//! `rcached ls`: the functions that have something stored.

use std::collections::{BTreeMap, HashMap, HashSet};

use redis_cached_runtime::inspect::{Cmd, Content, KeyName, NameKind, Node, content};
use serde::Serialize;

use super::open;
use crate::args::Args;
use crate::outcome::{Code, Outcome};
use crate::output::table::Table;
use crate::output::{self, count, counted, size, time};
use crate::redis::{command, has_moved, is_unknown, memory};
use crate::scan::{Batch, Check, Found, Scan, What};

/// The keys of one function whose memory is asked for.
const SAMPLED: u64 = 100;

/// The values of one function of which ages, lifetimes and durations are kept.
const MEASURED: usize = 100_000;

/// Everything that a scan has found.
#[derive(Default)]
struct Listing {
    functions: BTreeMap<Id, Function>,
    /// A server has no `MEMORY USAGE`.
    tells_no_memory: bool,
    stamps: u64,
    staged: u64,
    foreign: u64,
}

/// A function, as it is told apart from others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Id {
    namespace: String,
    function: String,
    in_groups: bool,
    /// The namespace and the name that the function may have instead.
    other: Option<(String, String)>,
}

/// What is stored of one function.
#[derive(Default)]
struct Function {
    /// The entries of which it is not known that they are of this function, and not of one in a namespace.
    uncertain: u64,
    values: u64,
    leases: u64,
    refreshing: u64,
    stale: u64,
    negative: u64,
    other_version: u64,
    stored: u64,
    sampled: u64,
    /// The stored bytes and the memory of the sampled keys.
    sample: (u64, u64),
    ages: Vec<u64>,
    left: Vec<u64>,
    bodies: Vec<u64>,
}

/// The document that `--json` prints.
#[derive(Serialize)]
struct Document<'a> {
    functions: Vec<Row<'a>>,
    /// Stamps of tags.
    stamps: u64,
    /// Large values on their way into their slots.
    staged: u64,
    /// Keys that are not this library's.
    foreign: u64,
    /// Keys that the user may not read.
    refused: u64,
}

#[derive(Serialize)]
struct Row<'a> {
    namespace: &'a str,
    function: &'a str,
    in_groups: bool,
    entries: u64,
    /// Those of them that may be of another namespace: neither their keys nor their contents tell.
    namespace_uncertain: u64,
    values: u64,
    leases: u64,
    refreshing: u64,
    stale: u64,
    negative: u64,
    /// Values that another version of this library wrote.
    other_version: u64,
    stored_bytes: u64,
    /// Estimated from a sample. For entries of groups, the stored bytes. `None` if the server does not tell it.
    memory_bytes: Option<u64>,
    age_p50_ms: Option<u64>,
    ttl_left_p50_ms: Option<u64>,
    body_p50_us: Option<u64>,
}

pub(super) fn run(args: &Args, prefix: &str) -> Outcome {
    let (_cache, servers) = open(args)?;
    let mut listing = Listing::default();
    let mut scan = Scan::of_prefix(&servers, args, prefix, Check::Cheap);
    scan.run(&mut |node, batch| listing.add(node, batch))?;
    listing.settle();
    match args.json {
        true => output::json(&listing.document(scan.refused()))?,
        false => output::print(&listing.text(prefix, scan.refused()))?,
    }
    scan.end()?;
    Ok(Code::Done)
}

impl Id {
    fn of(name: &KeyName, other: Option<&KeyName>) -> Id {
        Id {
            namespace: name.namespace().to_owned(),
            function: name.function(),
            in_groups: name.kind() == NameKind::Field,
            other: other.map(|other| (other.namespace().to_owned(), other.function())),
        }
    }
}

impl Listing {
    fn add(&mut self, node: &Node, batch: Batch) -> Outcome<()> {
        let mut sampled: Vec<(Id, String, u64)> = Vec::new();
        let mut asked: HashMap<Id, u64> = HashMap::new();
        for found in batch.found {
            let slot = match &found.what {
                What::Slot(slot) => slot,
                What::Stamp(_) => {
                    self.stamps += 1;
                    continue;
                }
                What::Staged => {
                    self.staged += 1;
                    continue;
                }
                What::Foreign => {
                    self.foreign += 1;
                    continue;
                }
            };
            let id = Id::of(&slot.name, slot.other.as_ref());
            let function = self.functions.entry(id.clone()).or_default();
            function.add(batch.now, &found, &slot.head);
            function.uncertain += u64::from(slot.other.is_some());
            let asked = asked.entry(id.clone()).or_default();
            if !id.in_groups && function.sampled + *asked < SAMPLED {
                *asked += 1;
                sampled.push((id, found.text, found.size));
            }
        }
        self.sample(node, sampled)
    }

    /// Counts the entries whose namespace is not known: in the namespace that their keys may begin with, if other entries
    /// show that it is one for this prefix, and there are none of the function without a namespace.
    fn settle(&mut self) {
        let (certain, uncertain) = std::mem::take(&mut self.functions)
            .into_iter()
            .partition::<BTreeMap<_, _>, _>(|(id, _)| id.other.is_none());
        let known: HashSet<Id> = certain.keys().cloned().collect();
        let prefixes: HashSet<(&str, &str)> = known.iter().map(|id| (&*id.namespace, prefix(&id.function))).collect();
        self.functions = certain;
        for (mut id, function) in uncertain {
            let Some((namespace, name)) = id.other.take() else { continue };
            let is_shown = !namespace.is_empty() && prefixes.contains(&(&*namespace, prefix(&name)));
            if is_shown && !known.contains(&id) {
                (id.namespace, id.function) = (namespace, name);
            }
            self.functions.entry(id).or_default().merge(function);
        }
    }

    fn sample(&mut self, node: &Node, keys: Vec<(Id, String, u64)>) -> Outcome<()> {
        if keys.is_empty() {
            return Ok(());
        }
        let commands: Vec<Cmd> = keys.iter().map(|(_, key, _)| command(&["MEMORY", "USAGE", key])).collect();
        for ((id, _, stored), reply) in keys.into_iter().zip(node.send(&commands)?) {
            if has_moved(&reply) {
                continue;
            }
            self.tells_no_memory |= is_unknown(&reply);
            if let (Some(function), Some(memory)) = (self.functions.get_mut(&id), memory(reply)?) {
                function.sampled += 1;
                function.sample.0 += stored;
                function.sample.1 += memory;
            }
        }
        Ok(())
    }

    fn document(&self, refused: u64) -> Document<'_> {
        let functions = self.functions.iter().map(|(id, function)| function.row(id, self.tells_no_memory));
        Document {
            functions: functions.collect(),
            stamps: self.stamps,
            staged: self.staged,
            foreign: self.foreign,
            refused,
        }
    }

    fn text(&self, prefix: &str, refused: u64) -> String {
        let document = self.document(refused);
        let mut parts = Vec::new();
        if !document.functions.is_empty() {
            let headings = [
                "FUNCTION",
                "ENTRIES",
                "VALUES",
                "LEASES",
                "REFRESHING",
                "STALE",
                "STORED",
                "MEMORY",
                "AGE",
                "TTL LEFT",
                "BODY",
            ];
            let mut table = Table::new(1, &headings);
            document.functions.iter().for_each(|row| table.row(row.cells()));
            parts.push(table.text());
        } else if refused > 0 {
            parts.push("no entry is among the keys that may be read".to_owned());
        } else if prefix.is_empty() {
            parts.push("nothing is stored".to_owned());
        } else {
            parts.push(format!("nothing is stored that begins with `{prefix}`"));
        }
        let mut others = Vec::new();
        let other_version: u64 = self.functions.values().map(|function| function.other_version).sum();
        if other_version > 0 {
            others.push(counted(other_version, "value of another version", "values of another version"));
        }
        if self.stamps > 0 {
            others.push(counted(self.stamps, "tag", "tags"));
        }
        if self.staged > 0 {
            others.push(counted(self.staged, "value on its way", "values on their way"));
        }
        if self.foreign > 0 {
            others.push(counted(self.foreign, "key that is not of redis-cached", "keys that are not of redis-cached"));
        }
        if !others.is_empty() {
            parts.push(others.join(", "));
        }
        parts.join("\n\n")
    }
}

impl Function {
    fn add(&mut self, now: u64, found: &Found, head: &[u8]) {
        self.stored += found.size;
        let value = match content(head) {
            Content::Value(value) => value,
            Content::Lease { .. } => {
                self.leases += 1;
                return;
            }
            Content::OtherVersion | Content::Foreign => {
                self.other_version += 1;
                return;
            }
        };
        self.values += 1;
        self.negative += u64::from(value.is_negative());
        self.refreshing += u64::from(value.refresh().is_some() && value.refresh_until() > now);
        self.stale += u64::from(value.fresh_until().is_some_and(|until| until <= now));
        if self.ages.len() < MEASURED {
            self.ages.push(now.saturating_sub(value.filled_at()));
            self.left.extend(value.fresh_until().map(|until| until.saturating_sub(now)));
            self.bodies.push(u64::try_from(value.body().as_micros()).unwrap_or(u64::MAX));
        }
    }

    fn merge(&mut self, other: Function) {
        let Function { uncertain, values, leases, refreshing, stale, negative, other_version, stored, .. } = other;
        self.uncertain += uncertain;
        self.values += values;
        self.leases += leases;
        self.refreshing += refreshing;
        self.stale += stale;
        self.negative += negative;
        self.other_version += other_version;
        self.stored += stored;
        self.sampled += other.sampled;
        self.sample.0 += other.sample.0;
        self.sample.1 += other.sample.1;
        self.ages.extend(other.ages);
        self.left.extend(other.left);
        self.bodies.extend(other.bodies);
    }

    fn row<'a>(&'a self, id: &'a Id, tells_no_memory: bool) -> Row<'a> {
        // What the sample has per stored byte, all have.
        let memory = match self.sample {
            (0, _) if tells_no_memory && !id.in_groups => None,
            (0, _) => Some(self.stored),
            (stored, memory) => Some((self.stored as f64 * memory as f64 / stored as f64) as u64),
        };
        Row {
            namespace: &id.namespace,
            function: &id.function,
            in_groups: id.in_groups,
            entries: self.values + self.leases + self.other_version,
            namespace_uncertain: self.uncertain,
            values: self.values,
            leases: self.leases,
            refreshing: self.refreshing,
            stale: self.stale,
            negative: self.negative,
            other_version: self.other_version,
            stored_bytes: self.stored,
            memory_bytes: memory,
            age_p50_ms: median(&self.ages),
            ttl_left_p50_ms: median(&self.left),
            body_p50_us: median(&self.bodies),
        }
    }
}

impl Row<'_> {
    fn cells(&self) -> Vec<String> {
        let name = match (self.namespace, self.in_groups) {
            ("", false) => self.function.to_owned(),
            ("", true) => format!("{} (in groups)", self.function),
            (namespace, false) => format!("{namespace}:{}", self.function),
            (namespace, true) => format!("{namespace}:{} (in groups)", self.function),
        };
        let optional = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let body = self.body_p50_us.map(std::time::Duration::from_micros).map(time::duration);
        vec![
            name,
            count(self.entries),
            count(self.values),
            count(self.leases),
            count(self.refreshing),
            count(self.stale),
            size(self.stored_bytes),
            optional(self.memory_bytes.map(size)),
            optional(self.age_p50_ms.map(time::millis)),
            optional(self.ttl_left_p50_ms.map(time::millis)),
            optional(body),
        ]
    }
}

/// The prefix of a function.
fn prefix(function: &str) -> &str {
    function.split(':').next().unwrap_or_default()
}

/// Half of the values are smaller, or as large.
fn median(values: &[u64]) -> Option<u64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_one_of_the_values() {
        assert_eq!((median(&[]), median(&[7]), median(&[3, 1, 2]), median(&[4, 1])), (None, Some(7), Some(2), Some(1)));
    }
}
