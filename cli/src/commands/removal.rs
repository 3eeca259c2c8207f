//! Removing many entries, which a scan finds: first what would be removed, and then, if told so, the removal.

use std::collections::BTreeMap;

use redis_cached_runtime::inspect::{KeyName, NameKind};
use redis_cached_runtime::{Cache, Invalidation};
use serde::Serialize;

use crate::args::Args;
use crate::outcome::{Code, Failure, Outcome};
use crate::output::{self, count, counted};
use crate::scan::{Scan, What};

/// The keys that are shown as examples.
const EXAMPLES: usize = 5;

/// The keys that are removed together.
const STEP: usize = 1000;

/// Which of the keys that a scan finds are removed.
pub(super) struct Selection<'a> {
    pub(super) scan: Scan<'a>,
    pub(super) covers: &'a dyn Fn(&KeyName) -> bool,
    /// Entries go, too, of which it is not known if they are of another namespace.
    pub(super) with_uncertain: bool,
    /// Stamps of tags go, too.
    pub(super) with_stamps: bool,
    pub(super) yes: bool,
}

/// What was found, and what was done. `--json` prints it.
#[derive(Default, Serialize)]
struct Report {
    dry_run: bool,
    /// The number of entries of each function.
    functions: BTreeMap<String, u64>,
    stamps: u64,
    examples: Vec<String>,
    /// Keys that match and are not this library's: they are left alone.
    foreign: u64,
    /// Entries that may be of another namespace: they are left alone.
    uncertain: u64,
    uncertain_examples: Vec<String>,
    /// Keys that the user may not read: they are left alone.
    refused: u64,
    /// Entries and stamps.
    removed: u64,
    removed_stamps: u64,
}

pub(super) fn remove(args: &Args, cache: &Cache, selection: Selection<'_>) -> Outcome {
    let Selection { mut scan, covers, with_uncertain, with_stamps, yes } = selection;
    let mut report = Report { dry_run: !yes, ..Report::default() };
    scan.run(&mut |_, batch| {
        let (mut stale, mut stamps) = (Vec::new(), Vec::new());
        for found in batch.found {
            match found.what {
                What::Slot(slot) if covers(&slot.name) => {
                    if slot.other.is_some() && !with_uncertain {
                        report.uncertain += 1;
                        example(&mut report.uncertain_examples, found.text);
                        continue;
                    }
                    *report.functions.entry(function(&slot.name)).or_default() += 1;
                    stale.push(slot.name.invalidation());
                    example(&mut report.examples, found.text);
                }
                What::Stamp(name) if with_stamps => {
                    report.stamps += 1;
                    stamps.push(name.invalidation());
                    example(&mut report.examples, found.text);
                }
                What::Foreign => report.foreign += 1,
                What::Slot(..) | What::Stamp(_) | What::Staged => {}
            }
        }
        if yes {
            let removed_stamps = invalidate(cache, stamps)?;
            report.removed_stamps += removed_stamps;
            report.removed += removed_stamps + invalidate(cache, stale)?;
        }
        Ok(())
    })?;
    report.examples.sort_unstable();
    report.uncertain_examples.sort_unstable();
    report.refused = scan.refused();
    match args.json {
        true => output::json(&report)?,
        false => output::print(&report.text())?,
    }
    scan.end()?;
    Ok(Code::Done)
}

/// Invalidates, and returns how many entries there were.
pub(super) fn invalidate(cache: &Cache, stale: Vec<Invalidation>) -> Outcome<u64> {
    let mut removed = 0;
    for part in stale.chunks(STEP) {
        removed += cache.blocking().invalidate_all(part).map_err(Failure::Cache)?;
    }
    Ok(removed)
}

fn function(name: &KeyName) -> String {
    let text = match name.namespace() {
        "" => name.function(),
        namespace => format!("{namespace}:{}", name.function()),
    };
    if name.kind() == NameKind::Field { format!("{text} (in groups)") } else { text }
}

fn example(examples: &mut Vec<String>, text: String) {
    if examples.len() < EXAMPLES {
        examples.push(text);
    }
}

impl Report {
    fn text(&self) -> String {
        let mut lines = Vec::new();
        let entries: u64 = self.functions.values().sum();
        let found = counted(entries, "entry", "entries");
        let of = |removed| if self.dry_run { String::new() } else { format!("{} of ", count(removed)) };
        let stamps = match self.stamps {
            0 => String::new(),
            stamps => format!(", {}{}", of(self.removed_stamps), counted(stamps, "tag", "tags")),
        };
        match (self.dry_run, entries + self.stamps) {
            (true, 0) if self.uncertain + self.refused > 0 => lines.push("nothing would be removed".to_owned()),
            (false, 0) if self.uncertain + self.refused > 0 => lines.push("nothing was removed".to_owned()),
            (_, 0) => lines.push("nothing of redis-cached matches".to_owned()),
            (true, _) => lines.push(format!("{found}{stamps} would be removed:")),
            (false, _) => lines.push(format!("{}{found}{stamps} removed:", of(self.removed - self.removed_stamps))),
        }
        lines.extend(self.functions.iter().map(|(function, entries)| format!("  {function}  {}", count(*entries))));
        if self.dry_run && !self.examples.is_empty() {
            lines.push("for example:".to_owned());
            lines.extend(self.examples.iter().map(|key| format!("  {key}")));
            lines.push("this was a dry run; --yes carries it out".to_owned());
        }
        if self.uncertain > 0 {
            let left = counted(self.uncertain, "entry is", "entries are");
            let why = "the first part of the key may be a namespace, and the content does not tell";
            lines.push(format!("{left} left alone: {why}."));
            lines.push(
                "`invalidate` removes what it names, and `invalidate --match` all that matches. For example:"
                    .to_owned(),
            );
            lines.extend(self.uncertain_examples.iter().map(|key| format!("  {key}")));
        }
        if self.foreign > 0 {
            let foreign = counted(self.foreign, "other key is", "other keys are");
            lines.push(format!("{foreign} not of redis-cached, and left alone"));
        }
        lines.join("\n")
    }
}
