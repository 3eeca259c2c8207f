//! The tables that are printed at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::measures::Measures;
use crate::worker::COLUMNS;

/// The sums over all processes, in the order of the worker's columns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts([u64; COLUMNS.len()]);

impl Counts {
    pub(crate) fn parse(words: &str) -> Counts {
        let mut counts = Counts::default();
        for (count, word) in counts.0.iter_mut().zip(words.split(' ')) {
            *count = word.parse().expect("a count");
        }
        counts
    }

    pub(crate) fn add(&mut self, other: &Counts) {
        for ((sum, count), name) in self.0.iter_mut().zip(other.0).zip(COLUMNS) {
            *sum = if name == "slowest" { count.max(*sum) } else { *sum + count };
        }
    }

    fn of(&self, name: &str) -> u64 {
        self.0[COLUMNS.iter().position(|column| *column == name).expect("a column")]
    }

    /// Counts what is stale as lost: an election that nobody ordered may lose invalidations.
    pub(crate) fn excuse(&mut self) {
        let at = |name| COLUMNS.iter().position(|column| *column == name).expect("a column");
        self.0[at("lost")] += std::mem::take(&mut self.0[at("stale")]);
    }

    fn findings(&self) -> u64 {
        ["failed", "wrong", "stale", "hung"].map(|name| self.of(name)).iter().sum()
    }
}

/// The outcome of a fault, over all rounds.
#[derive(Debug, Default)]
struct Row {
    counts: Counts,
    rounds: u64,
    back_after: Duration,
    never_back: u64,
    unplanned: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Report {
    /// The order of the rows.
    order: Vec<(&'static str, &'static str)>,
    rows: BTreeMap<(&'static str, &'static str), Row>,
    /// Counted between faults: while callers start and end.
    pub(crate) between: Counts,
    /// By process, after the warm-up and after each round.
    pub(crate) measures: Vec<Vec<Measures>>,
}

impl Report {
    /// Adds a round of one fault. `back_after` is `None` if calls did not hit again.
    pub(crate) fn add(
        &mut self,
        kind: &'static str,
        fault: &'static str,
        counts: &Counts,
        back_after: Option<Duration>,
        is_planned: bool,
    ) {
        let row = self.rows.entry((kind, fault)).or_insert_with(|| {
            self.order.push((kind, fault));
            Row::default()
        });
        row.rounds += 1;
        row.counts.add(counts);
        row.unplanned += u64::from(!is_planned);
        match back_after {
            Some(time) => row.back_after = row.back_after.max(time),
            None => row.never_back += 1,
        }
    }

    fn totals(&self) -> Counts {
        let mut totals = self.between;
        for row in self.rows.values() {
            totals.add(&row.counts);
        }
        totals
    }

    /// True if all calls were right, and ended.
    pub(crate) fn is_clean(&self) -> bool {
        let all = self.rows.values();
        self.totals().findings() == 0 && all.clone().all(|row| row.never_back == 0) && all.count() > 0
    }

    pub(crate) fn print(&self, lasted: Duration, rounds: u64, processes: u64) {
        println!("| kind | fault | calls | hits | failures | slowest | back after | stale | stale as documented |");
        println!("|---|---|---|---|---|---|---|---|---|");
        for (kind, fault) in &self.order {
            let row = &self.rows[&(*kind, *fault)];
            let counts = &row.counts;
            let failures = ["failed", "wrong", "hung"].map(|name| counts.of(name)).iter().sum::<u64>();
            let back = match row.never_back {
                0 => shown(row.back_after),
                _ => "never".to_owned(),
            };
            println!(
                "| {kind} | {fault} | {} | {} | {failures} | {} | {back} | {} | {} |",
                counts.of("calls"),
                counts.of("hits"),
                shown(Duration::from_micros(counts.of("slowest"))),
                counts.of("stale"),
                documented(counts),
            );
        }
        println!();
        for (kind, fault) in &self.order {
            let row = &self.rows[&(*kind, *fault)];
            if row.unplanned > 0 {
                println!("{kind}, {fault}: another server became a master without an order, {} times.", row.unplanned);
            }
        }
        self.print_totals(lasted, rounds, processes);
    }

    fn print_totals(&self, lasted: Duration, rounds: u64, processes: u64) {
        let totals = self.totals();
        println!("{rounds} rounds in {} s, {processes} processes with callers.", lasted.as_secs());
        println!();
        println!("| count | |");
        println!("|---|---|");
        for name in ["calls", "hits", "bodies", "failed", "wrong", "hung", "stale"] {
            println!("| {name} | {} |", totals.of(name));
        }
        println!("| stale as documented | {} |", documented(&totals));
        println!("| slowest call | {} |", shown(Duration::from_micros(totals.of("slowest"))));
        let (Some(first), Some(last)) = (self.measures.first(), self.measures.last()) else { return };
        for (process, (start, end)) in first.iter().zip(last).enumerate() {
            println!("| process {process}, after the warm-up | {start} |");
            println!("| process {process}, at the end | {end} |");
        }
        let memory = |all: &Vec<Measures>| {
            let of_each = all.iter().map(|one| format!("{:.1}", one.kilobytes as f64 / 1024.0));
            of_each.collect::<Vec<_>>().join("/")
        };
        let course = self.measures.iter().map(memory).collect::<Vec<_>>().join(", ");
        println!("| resident memory after each round, MB | {course} |");
    }
}

/// Stale reads with a reason that the documentation names, by reason.
fn documented(counts: &Counts) -> String {
    match (counts.of("lost"), counts.of("shared")) {
        (0, 0) => "0".to_owned(),
        (lost, shared) => format!("{lost} by lost writes, {shared} by shared bodies"),
    }
}

fn shown(time: Duration) -> String {
    match time.as_millis() {
        0 => format!("{} µs", time.as_micros()),
        millis @ ..10_000 => format!("{millis} ms"),
        millis => format!("{:.1} s", millis as f64 / 1000.0),
    }
}
