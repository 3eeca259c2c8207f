//! `rcached leases`: computations and refreshes under way.

use redis_cached_runtime::inspect::{Content, content};
use serde::Serialize;

use super::open;
use crate::args::Args;
use crate::outcome::{Code, Outcome};
use crate::output::table::Table;
use crate::output::{self, hex, time};
use crate::scan::{Check, Found, Scan, What};

/// A lease, or a mark in a value.
#[derive(Serialize)]
struct Held {
    key: String,
    /// `computing` in an empty slot, `refreshing` a value that stays readable, or `pausing` after a refresh that failed.
    state: &'static str,
    /// What is left of it, unless it is renewed. `None` for a lease without an end.
    ends_in_ms: Option<u64>,
    /// The token of the lease, which tells two of them apart.
    token: Option<String>,
}

pub(super) fn run(args: &Args, prefix: &str) -> Outcome {
    let (_cache, servers) = open(args)?;
    let mut all = Vec::new();
    // The namespace is not shown.
    let check = if args.namespace.is_empty() { Check::None } else { Check::Cheap };
    let mut scan = Scan::of_prefix(&servers, args, prefix, check);
    scan.run(&mut |_, batch| {
        all.extend(batch.found.into_iter().filter_map(|found| held(batch.now, found)));
        Ok(())
    })?;
    all.sort_by(|one, other| one.key.cmp(&other.key));
    match (args.json, all.is_empty(), scan.refused()) {
        (true, ..) => output::json(&all)?,
        (_, true, 0) => output::print("nothing is being computed")?,
        (_, true, _) => output::print("no computation is among the keys that may be read")?,
        (_, false, _) => output::print(&in_words(all))?,
    }
    scan.end()?;
    Ok(Code::Done)
}

fn in_words(all: Vec<Held>) -> String {
    let mut table = Table::new(2, &["KEY", "STATE", "ENDS IN", "TOKEN"]);
    for held in all {
        let ends = held.ends_in_ms.map_or_else(|| "never".to_owned(), time::millis);
        // The first bytes tell tokens apart.
        let token = held.token.map_or_else(|| "-".to_owned(), |token| token.chars().take(8).collect());
        table.row(vec![held.key, held.state.to_owned(), ends, token]);
    }
    table.text()
}

fn held(now: u64, found: Found) -> Option<Held> {
    let What::Slot(slot) = &found.what else { return None };
    match content(&slot.head) {
        Content::Lease { token, .. } => {
            Some(Held { key: found.text, state: "computing", ends_in_ms: found.left, token: Some(hex(&token)) })
        }
        Content::Value(value) if value.refresh_until() > now => Some(Held {
            key: found.text,
            state: if value.refresh().is_some() { "refreshing" } else { "pausing" },
            ends_in_ms: Some(value.refresh_until() - now),
            token: value.refresh().map(|token| hex(&token)),
        }),
        _ => None,
    }
}
