//! `rcached top`: the calls of all processes that publish their statistics, as they come.

use std::collections::BTreeMap;
use std::io::{IsTerminal, stdout};
use std::time::Duration;

use redis_cached_runtime::inspect::{STATS, Servers};
use serde::{Deserialize, Serialize};

use super::open;
use crate::args::Args;
use crate::outcome::{Code, Outcome};
use crate::output::screen::{self, Size};
use crate::output::table::Table;
use crate::output::{self, count, counted, time};
use crate::redis::{Replies, bytes, command, is_wrong_type, told};
use crate::scan::{escaped, literal, names_of};

/// The first version of a snapshot.
const VERSION: u32 = 1;

const HEADINGS: [&str; 12] = [
    "FUNCTION", "CALLS/S", "LOCAL/S", "HIT/S", "STALE/S", "SHARED/S", "MISS/S", "BYPASS/S", "RATIO", "SAVED/S",
    "CALLS", "SAVED",
];

/// The columns that a narrow terminal does without, the first of these first.
const LESS: [&str; 10] =
    ["BYPASS/S", "SHARED/S", "STALE/S", "SAVED", "CALLS", "LOCAL/S", "HIT/S", "MISS/S", "SAVED/S", "CALLS/S"];

/// The lines above the rows of the table, and those that stay free below them.
const OTHER_LINES: usize = 4;

/// What a process writes.
#[derive(Debug, Deserialize)]
struct Snapshot {
    version: u32,
    host: String,
    pid: u32,
    program: String,
    recent_ms: u64,
    undelivered: u64,
    functions: Vec<FunctionCounts>,
}

#[derive(Debug, Deserialize)]
struct FunctionCounts {
    function: String,
    total: Counts,
    recent: Counts,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Counts {
    local: u64,
    hit: u64,
    stale: u64,
    shared: u64,
    miss: u64,
    bypass: u64,
    saved_us: u64,
}

/// Calls in a second, over all processes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Rates {
    local: f64,
    hit: f64,
    stale: f64,
    shared: f64,
    miss: f64,
    bypass: f64,
    /// Seconds of bodies that were not run, in a second.
    saved_seconds: f64,
}

/// The document that `--json` prints.
#[derive(Default, Serialize)]
struct Document {
    processes: Vec<Process>,
    functions: BTreeMap<String, Row>,
    all: Row,
}

#[derive(Serialize)]
struct Process {
    host: String,
    pid: u32,
    program: String,
    undelivered: u64,
}

#[derive(Clone, Copy, Default, Serialize)]
struct Row {
    /// All calls in a second.
    calls_per_second: f64,
    per_second: Rates,
    /// The part of the calls that were answered without a body; `None` without a call.
    ratio: Option<f64>,
    /// All calls of the processes so far, and the seconds that they saved.
    calls: u64,
    saved_seconds: f64,
}

pub(super) fn run(args: &Args, once: bool, interval: Duration) -> Outcome {
    let (_cache, servers) = open(args)?;
    if once || args.json || !stdout().is_terminal() {
        let document = read(args, &servers)?;
        match args.json {
            true => output::json(&document)?,
            false => output::print(&document.text(None))?,
        }
        return Ok(Code::Done);
    }
    loop {
        let document = read(args, &servers)?;
        screen::show(interval, |size| document.text(Some(size)))?;
    }
}

fn read(args: &Args, servers: &Servers) -> Outcome<Document> {
    let namespace = escaped(&args.namespace);
    let pattern = match namespace.as_str() {
        "" => format!("{STATS}*"),
        namespace => format!("{}:{STATS}*", literal(namespace)),
    };
    let mut document = Document::default();
    for key in names_of(servers, args, &pattern)? {
        let reply = Replies::of(servers.send(&key, &[command(&["GET", &key])]))?.next();
        if is_wrong_type(&reply) {
            continue;
        }
        // It may have ended meanwhile, be of a later version, or be another program's.
        let snapshot = bytes(told("GET", reply)?).and_then(|text| serde_json::from_slice::<Snapshot>(&text).ok());
        if let Some(snapshot) = snapshot.filter(|snapshot| snapshot.version == VERSION) {
            document.add(snapshot);
        }
    }
    document.processes.sort_by(|one, other| (&one.host, one.pid).cmp(&(&other.host, other.pid)));
    Ok(document)
}

impl Document {
    fn add(&mut self, snapshot: Snapshot) {
        let Snapshot { host, pid, program, recent_ms, undelivered, functions, .. } = snapshot;
        self.processes.push(Process { host, pid, program, undelivered });
        for FunctionCounts { function, total, recent } in functions {
            let row = self.functions.entry(function).or_default();
            for row in [row, &mut self.all] {
                row.add(total, recent, recent_ms);
            }
        }
    }

    /// The figures, all of them or as many as a terminal has room for.
    fn text(&self, size: Option<Size>) -> String {
        if self.processes.is_empty() {
            return "no process publishes its statistics: programs ask for it by `Builder::publish_stats`".to_owned();
        }
        let undelivered = self.processes.iter().fold(0, |sum: u64, process| sum.saturating_add(process.undelivered));
        let mut summary = format!(
            "{}, {} calls/s, {} without a body, {} of bodies saved each second",
            counted(self.processes.len() as u64, "process", "processes"),
            rate(self.all.calls_per_second),
            percent(self.all.ratio),
            time::duration(time::of_seconds(self.all.per_second.saved_seconds)),
        );
        if undelivered > 0 {
            summary.push_str(&format!(", {} undelivered", counted(undelivered, "invalidation", "invalidations")));
        }
        let mut table = Table::new(1, &HEADINGS);
        let mut rows: Vec<(&String, &Row)> = self.functions.iter().collect();
        rows.sort_by(|(_, one), (_, other)| other.calls_per_second.total_cmp(&one.calls_per_second));
        for (function, row) in rows {
            table.row(row.cells(function));
        }
        let mut left = String::new();
        if let Some(size) = size {
            let rows = size.lines.saturating_sub(OTHER_LINES);
            // The line that says it takes the place of a row.
            let rows = if self.functions.len() > rows { rows.saturating_sub(1) } else { rows };
            match table.shorten(rows) as u64 {
                0 => {}
                more => left = format!("\n… {}", counted(more, "more function", "more functions")),
            }
            table.fit(size.columns, &LESS);
        }
        format!("{summary}\n\n{}{left}", table.text())
    }
}

impl Row {
    fn add(&mut self, total: Counts, recent: Counts, recent_ms: u64) {
        self.calls = self.calls.saturating_add(total.calls());
        self.saved_seconds += total.saved_us as f64 / 1e6;
        // The first snapshot of a process has nothing to compare with.
        if recent_ms == 0 {
            return;
        }
        let per_second = |count: u64| count as f64 * 1000.0 / recent_ms as f64;
        let rates = &mut self.per_second;
        rates.local += per_second(recent.local);
        rates.hit += per_second(recent.hit);
        rates.stale += per_second(recent.stale);
        rates.shared += per_second(recent.shared);
        rates.miss += per_second(recent.miss);
        rates.bypass += per_second(recent.bypass);
        rates.saved_seconds += per_second(recent.saved_us) / 1e6;
        let answered = rates.local + rates.hit + rates.stale + rates.shared;
        self.calls_per_second = answered + rates.miss + rates.bypass;
        self.ratio = (self.calls_per_second > 0.0).then(|| answered / self.calls_per_second);
    }

    fn cells(&self, function: &str) -> Vec<String> {
        let rates = &self.per_second;
        let mut cells = vec![function.to_owned(), rate(self.calls_per_second)];
        cells.extend([rates.local, rates.hit, rates.stale, rates.shared, rates.miss, rates.bypass].map(rate));
        cells.push(percent(self.ratio));
        cells.extend([rates.saved_seconds, self.saved_seconds].map(time::of_seconds).map(time::duration));
        cells.insert(10, count(self.calls));
        cells
    }
}

impl Counts {
    fn calls(&self) -> u64 {
        let Counts { local, hit, stale, shared, miss, bypass, saved_us: _ } = self;
        [local, hit, stale, shared, miss, bypass].into_iter().fold(0, |sum, count| sum.saturating_add(*count))
    }
}

fn rate(per_second: f64) -> String {
    if per_second < 9.95 && per_second > 0.0 { format!("{per_second:.1}") } else { count(per_second.round() as u64) }
}

fn percent(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{:.1} %", ratio * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(pid: u32, recent_ms: u64, hits: u64) -> Snapshot {
        let counts = |hit| Counts { hit, miss: hit / 4, saved_us: hit * 1000, ..Counts::default() };
        let function =
            FunctionCounts { function: "shop:user".to_owned(), total: counts(hits * 10), recent: counts(hits) };
        Snapshot {
            version: VERSION,
            host: "web".to_owned(),
            pid,
            program: "shop".to_owned(),
            recent_ms,
            undelivered: 0,
            functions: vec![function],
        }
    }

    #[test]
    fn processes_are_added_up() {
        let mut document = Document::default();
        document.add(snapshot(1, 10_000, 400));
        document.add(snapshot(2, 5_000, 400));
        document.add(snapshot(3, 0, 400));
        let row = document.functions["shop:user"];
        assert_eq!((row.calls, row.per_second.hit, row.per_second.miss), (15_000, 120.0, 30.0));
        assert_eq!((row.ratio, row.calls_per_second), (Some(0.8), 150.0));
        assert_eq!(
            document.text(None),
            "3 processes, 150 calls/s, 80.0 % without a body, 120 ms of bodies saved each second

FUNCTION   CALLS/S  LOCAL/S  HIT/S  STALE/S  SHARED/S  MISS/S  BYPASS/S   RATIO  SAVED/S   CALLS  SAVED
shop:user      150        0    120        0         0      30         0  80.0 %   120 ms  15,000   12 s"
        );
    }

    #[test]
    fn a_small_terminal_has_fewer_columns_and_rows() {
        let mut document = Document::default();
        document.add(snapshot(1, 10_000, 400));
        for name in ["shop:a", "shop:b"] {
            let mut other = snapshot(2, 10_000, 40);
            other.functions[0].function = name.to_owned();
            document.add(other);
        }
        let text = |columns, lines| document.text(Some(Size { columns, lines }));
        assert_eq!(text(200, 50), document.text(None));
        let small = text(60, 6);
        let lines: Vec<&str> = small.lines().skip(2).collect();
        let expected = [
            "FUNCTION   CALLS/S  LOCAL/S  HIT/S  MISS/S   RATIO  SAVED/S",
            "shop:user       50        0     40      10  80.0 %    40 ms",
            "… 2 more functions",
        ];
        assert_eq!(lines, expected, "{small}");
        assert_eq!(small.lines().count(), 5, "one line stays free");
        assert!(text(20, 6).contains("\nFUNCTION    RATIO\n"), "{}", text(20, 6));
    }

    #[test]
    fn no_process_is_told() {
        assert!(Document::default().text(None).contains("`Builder::publish_stats`"));
    }
}
