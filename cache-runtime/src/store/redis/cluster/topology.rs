//! The nodes of a cluster and their slots, as nodes tell them.
//!
//! `CLUSTER SLOTS` names the owner of each range first. `CLUSTER SHARDS`, which is newer, does not say which of two
//! masters of a shard has its slots during a failover, and Valkey no longer advises against the older command.

use std::collections::HashMap;

use ::redis::Value;

use super::slots::SLOTS;

/// The address of a node: a host and a port.
pub(super) type Address = (Box<str>, u16);

/// A contiguous range of slots, and the node that has it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) first: u16,
    pub(super) last: u16,
    pub(super) owner: Address,
}

/// The topology as one node sees it: ranges in ascending order, of which neighbours have different owners.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct View(Vec<Range>);

impl View {
    /// Reads the reply to `CLUSTER SLOTS`. `asked` is the host that was asked, which is the one that a node means where it
    /// names none. Over TLS, a name comes before a number, because certificates have names.
    pub(super) fn of(reply: Value, asked: &str, is_tls: bool) -> Option<View> {
        let mut ranges = Vec::new();
        for range in items(reply)? {
            let mut parts = items(range)?.into_iter();
            let (first, last) = (number(&parts.next()?)?, number(&parts.next()?)?);
            if first > last || last >= SLOTS {
                return None;
            }
            // A node that does not know the owner's address knows nothing about this range.
            if let Some(owner) = address(parts.next()?, asked, is_tls) {
                ranges.push(Range { first, last, owner });
            }
        }
        ranges.sort_unstable();
        Some(View(merged(ranges)))
    }

    pub(super) fn ranges(&self) -> &[Range] {
        &self.0
    }

    /// The number of slots that have an owner.
    fn coverage(&self) -> usize {
        self.0.iter().map(|range| usize::from(range.last - range.first) + 1).sum()
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Joins neighbours of one owner. Of ranges that overlap, which no server tells, the first one counts.
fn merged(ranges: Vec<Range>) -> Vec<Range> {
    let mut merged: Vec<Range> = Vec::with_capacity(ranges.len());
    for mut range in ranges {
        if let Some(before) = merged.last_mut() {
            if range.last <= before.last {
                continue;
            }
            range.first = range.first.max(before.last + 1);
            if range.first == before.last + 1 && range.owner == before.owner {
                before.last = range.last;
                continue;
            }
        }
        merged.push(range);
    }
    merged
}

/// The address of a node: its preferred address, the port, its identifier, and further names.
fn address(node: Value, asked: &str, is_tls: bool) -> Option<Address> {
    let mut parts = items(node)?.into_iter();
    let (preferred, port) = (parts.next()?, number(&parts.next()?)?);
    let others = parts.nth(1).map(pairs).unwrap_or_default();
    let known = |name: &str| others.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let is_known = |host: &&str| !host.is_empty() && *host != "?";
    let preferred = match preferred {
        Value::Nil => Some(asked.to_owned()),
        value => text(value),
    };
    let hostname = known("hostname").filter(is_known).filter(|_| is_tls);
    let host = hostname.or(preferred.as_deref().filter(is_known)).or(known("ip").filter(is_known))?;
    (port != 0).then(|| (host.into(), port))
}

/// The view that most nodes share; of several such views, the one with the most slots. `None` if no view has any.
#[derive(Debug, Default)]
pub(super) struct Vote(HashMap<View, usize>);

impl Vote {
    /// Adds the view of a node. Returns true if more than half of the `voters` share it.
    pub(super) fn add(&mut self, view: View, voters: usize) -> bool {
        let count = self.0.entry(view).or_default();
        *count += 1;
        *count * 2 > voters
    }

    /// Returns true if no node has told a view that has slots.
    pub(super) fn is_empty(&self) -> bool {
        self.0.keys().all(View::is_empty)
    }

    pub(super) fn winner(&self) -> Option<View> {
        let views = self.0.iter().filter(|(view, _)| !view.is_empty());
        views.max_by_key(|(view, count)| (**count, view.coverage())).map(|(view, _)| view.clone())
    }
}

fn items(value: Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) | Value::Set(items) => Some(items),
        _ => None,
    }
}

/// Names and values: a map, or a list in which they alternate.
fn pairs(value: Value) -> Vec<(String, String)> {
    let flat = match value {
        Value::Map(pairs) => pairs.into_iter().flat_map(|(name, value)| [name, value]).collect(),
        value => items(value).unwrap_or_default(),
    };
    let texts: Vec<String> = flat.into_iter().map(|value| text(value).unwrap_or_default()).collect();
    texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn node(host: Value, port: i64, others: &[&str]) -> Value {
        let others = others.iter().map(|text| bulk(text)).collect();
        Value::Array(vec![host, Value::Int(port), bulk("id"), Value::Array(others)])
    }

    fn range(first: i64, last: i64, owner: Value) -> Value {
        let replica = node(bulk("10.0.0.9"), 1, &[]);
        Value::Array(vec![Value::Int(first), Value::Int(last), owner, replica])
    }

    fn view(ranges: Vec<Value>) -> View {
        View::of(Value::Array(ranges), "asked", false).expect("a view")
    }

    fn shown(view: &View) -> Vec<(u16, u16, &str, u16)> {
        view.ranges().iter().map(|range| (range.first, range.last, &*range.owner.0, range.owner.1)).collect()
    }

    #[test]
    fn the_owner_of_each_range_is_its_first_node() {
        let one = || node(bulk("10.0.0.1"), 7000, &[]);
        let two = || node(bulk("10.0.0.2"), 7000, &[]);
        let seen = view(vec![range(8192, 16383, two()), range(0, 99, one()), range(100, 8191, one())]);
        assert_eq!(shown(&seen), [(0, 8191, "10.0.0.1", 7000), (8192, 16383, "10.0.0.2", 7000)]);
        assert_eq!(seen.coverage(), 16_384);
        assert_eq!(view(vec![range(0, 9, one()), range(5, 12, two())]).coverage(), 13);
    }

    #[test]
    fn hosts_may_be_unknown() {
        let host = |host: Value, others: &[&str], is_tls| {
            let ranges = Value::Array(vec![range(0, 1, node(host, 7000, others))]);
            let seen = View::of(ranges, "asked", is_tls).expect("a view");
            seen.ranges().first().map(|range| range.owner.0.to_string())
        };
        assert_eq!(host(Value::Nil, &[], false).as_deref(), Some("asked"));
        assert_eq!(host(bulk("?"), &[], false), None);
        assert_eq!(host(bulk(""), &[], false), None);
        assert_eq!(host(bulk("?"), &["ip", "10.0.0.1"], false).as_deref(), Some("10.0.0.1"));
        assert_eq!(host(bulk("10.0.0.1"), &["hostname", "redis-1"], false).as_deref(), Some("10.0.0.1"));
        assert_eq!(host(bulk("10.0.0.1"), &["hostname", "redis-1"], true).as_deref(), Some("redis-1"));
        assert_eq!(host(bulk("10.0.0.1"), &["hostname", ""], true).as_deref(), Some("10.0.0.1"));
        assert_eq!(host(Value::Nil, &["hostname", "redis-1"], true).as_deref(), Some("redis-1"));
    }

    #[test]
    fn what_is_no_topology_is_no_view() {
        for reply in [
            Value::Nil,
            Value::Array(vec![Value::Nil]),
            Value::Array(vec![range(5, 4, node(bulk("h"), 1, &[]))]),
            Value::Array(vec![range(0, 16_384, node(bulk("h"), 1, &[]))]),
            Value::Array(vec![range(-1, 4, node(bulk("h"), 1, &[]))]),
        ] {
            assert_eq!(View::of(reply.clone(), "asked", false), None, "{reply:?}");
        }
        assert!(view(Vec::new()).is_empty());
        assert!(view(vec![range(0, 1, node(bulk("h"), 0, &[]))]).is_empty());
    }

    #[test]
    fn one_of_three_that_lies_is_outvoted() {
        let seen = |host: &str, last| view(vec![range(0, last, node(bulk(host), 7000, &[]))]);
        let mut vote = Vote::default();
        assert!(!vote.add(seen("liar", 16_383), 3));
        assert!(!vote.add(seen("true", 16_383), 3));
        assert!(vote.add(seen("true", 16_383), 3));
        assert_eq!(vote.winner(), Some(seen("true", 16_383)));

        let mut vote = Vote::default();
        assert!(!vote.add(seen("a part", 99), 3));
        assert!(!vote.add(seen("all", 16_383), 3));
        assert_eq!(vote.winner(), Some(seen("all", 16_383)), "coverage breaks a tie");

        let mut vote = Vote::default();
        vote.add(View::default(), 2);
        vote.add(View::default(), 2);
        assert_eq!(vote.winner(), None);
    }
}
