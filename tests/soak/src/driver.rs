//! Rounds over all faults.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use test_support::Server;

use crate::faults::{self, Fault};
use crate::measures::Measures;
use crate::options::{Length, Options};
use crate::place::{Kind, Place};
use crate::processes::Processes;
use crate::report::{Counts, Report};

/// The time that callers run before anything happens to them.
const WARM_UP: Duration = Duration::from_secs(2);
/// The pause between two steps of a fault that happens again and again.
const STEP: Duration = Duration::from_millis(50);
/// After calls hit again, some may still meet a broken connection that is not used often, for this time.
const GRACE: Duration = Duration::from_secs(1);
/// Nothing is excused for so long after that.
const CALM: Duration = Duration::from_secs(2);
/// More rounds than any run has.
const MOST_ROUNDS: u64 = 100_000;

/// True once Ctrl-C was pressed.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

struct Driver<'a> {
    options: &'a Options,
    places: BTreeMap<&'static str, Place>,
    processes: Processes,
    report: Report,
    begun: Instant,
}

/// Runs it, and prints what it found.
pub(crate) fn run(options: &Options) -> ExitCode {
    watch_for_interrupts();
    let origin = Server::start();
    let places = options.kinds.iter().map(|kind| (kind.name(), Place::start(*kind))).collect();
    let processes = Processes::start(options.processes, &origin.url());
    let mut driver = Driver { options, places, processes, report: Report::default(), begun: Instant::now() };
    let rounds = driver.rounds();
    driver.report.print(driver.begun.elapsed(), rounds, options.processes);
    match driver.report.is_clean() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// The first Ctrl-C ends the run with its table, the second one at once. Servers end with this process.
fn watch_for_interrupts() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if INTERRUPTED.swap(true, SeqCst) {
                    std::process::exit(130);
                }
                eprintln!("ending; Ctrl-C again ends it at once");
            }
        });
    });
}

/// Sleeps, unless the run was interrupted.
fn pause(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until && !INTERRUPTED.load(SeqCst) {
        thread::sleep(STEP.min(until - Instant::now()));
    }
}

impl Driver<'_> {
    /// Runs all rounds, and returns how many were begun.
    fn rounds(&mut self) -> u64 {
        for kind in &self.options.kinds {
            self.start(*kind);
            self.stop();
        }
        self.measure();
        self.begun = Instant::now();
        for round in 0..MOST_ROUNDS {
            for kind in &self.options.kinds {
                self.start(*kind);
                for fault in faults::of(*kind) {
                    let is_chosen =
                        self.options.faults.is_empty() || self.options.faults.iter().any(|f| f == fault.name);
                    if is_chosen && !self.is_over(round) {
                        self.fault(*kind, fault);
                    }
                }
                self.stop();
            }
            self.measure();
            if self.is_over(round + 1) {
                return round + 1;
            }
        }
        MOST_ROUNDS
    }

    /// True if no other fault begins. `round` rounds are complete.
    fn is_over(&self, round: u64) -> bool {
        let is_enough = match self.options.length {
            Length::Time(time) => round > 0 && self.begun.elapsed() >= time,
            Length::Rounds(rounds) => round >= rounds,
        };
        is_enough || INTERRUPTED.load(SeqCst)
    }

    fn start(&mut self, kind: Kind) {
        let at = Kind::ALL.iter().position(|known| *known == kind).expect("a kind");
        let url = self.places[kind.name()].url();
        self.processes.ask(&format!("start {at} {url}"));
        pause(WARM_UP);
    }

    fn stop(&mut self) {
        self.processes.ask("close");
        let counts = self.count();
        self.processes.ask("stop");
        self.report.between.add(&counts);
    }

    fn measure(&mut self) {
        let replies = self.processes.ask("measure");
        let measures = replies.iter().map(|reply| Measures::parse(reply).expect("numbers"));
        self.report.measures.push(measures.collect());
    }

    fn count(&mut self) -> Counts {
        let mut sums = Counts::default();
        for reply in self.processes.ask("count") {
            sums.add(&Counts::parse(&reply));
        }
        sums
    }

    fn fault(&mut self, kind: Kind, fault: &'static Fault) {
        let place = &self.places[kind.name()];
        let before = place.masters();
        let between = {
            self.processes.ask(&format!("open {}", fault.harm.word()));
            self.count()
        };
        let place = &self.places[kind.name()];
        (fault.strike)(place);
        let until = Instant::now() + self.options.hold;
        while Instant::now() < until && !INTERRUPTED.load(SeqCst) {
            (fault.meanwhile)(place);
            pause(STEP);
        }
        (fault.heal)(place);
        let back_after = self.await_hits();
        pause(GRACE);
        self.processes.ask("close");
        let healed = self.places[kind.name()].masters();
        pause(CALM);
        let after = self.places[kind.name()].masters();
        let mut counts = self.count();
        let is_planned = healed == after && (fault.moves_masters || before == healed);
        if !is_planned {
            counts.excuse();
        }
        self.report.between.add(&between);
        self.report.add(kind.name(), fault.name, &counts, back_after, is_planned);
        eprintln!("{:>5} s  {}, {}", self.begun.elapsed().as_secs(), kind.name(), fault.name);
    }

    /// The time until the calls of all processes hit again, unless they never do.
    fn await_hits(&mut self) -> Option<Duration> {
        let replies = self.processes.ask("healed");
        let times = replies.iter().map(|reply| reply.parse().ok().map(Duration::from_micros));
        times.max_by_key(|time| time.unwrap_or(Duration::MAX)).flatten()
    }
}
