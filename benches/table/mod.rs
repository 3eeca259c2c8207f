//! Subjects that take turns, round by round, and the table of their times.

use std::time::Duration;

/// The figures of subjects that took turns.
pub(crate) struct Table {
    pub(crate) names: Vec<&'static str>,
    pub(crate) times: Vec<Vec<Duration>>,
}

impl Table {
    pub(crate) fn new(title: &str, names: &[&'static str]) -> Table {
        println!("\n{title}");
        Table { names: names.to_vec(), times: names.iter().map(|_| Vec::new()).collect() }
    }

    /// Times are those of one of so many operations.
    pub(crate) fn print(&self, operations: u32) {
        for (name, times) in self.names.iter().zip(&self.times) {
            let micros = times.iter().map(|time| time.as_secs_f64() * 1e6 / f64::from(operations));
            let ratios = times.iter().zip(&self.times[0]).map(|(time, first)| time.div_duration_f64(*first));
            let (_, micros, _) = middle(micros.collect());
            let (low, ratio, high) = middle(ratios.collect());
            println!("  {name:44} {micros:11.2} µs   ratio {ratio:7.3} (middle half {low:.3} to {high:.3})");
        }
    }
}

/// The median, between the bounds of the middle half.
pub(crate) fn middle(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    let quarter = figures.len() / 4;
    (figures[quarter], figures[figures.len() / 2], figures[figures.len() - 1 - quarter])
}

/// Times pieces of work in turns, and prints a row for each.
macro_rules! compare {
    ($title:expr, $rounds:expr, $operations:expr, { $($name:literal => $work:expr,)+ }) => {{
        let names = [$($name),+];
        let mut table = $crate::table::Table::new($title, &names);
        for turn in 0..$rounds * names.len() {
            // Each begins a round in its turn.
            let name = names[(turn + turn / names.len()) % names.len()];
            $(
                if name == $name {
                    let started = std::time::Instant::now();
                    for _ in 0..$operations {
                        std::hint::black_box($work);
                    }
                    let at = names.iter().position(|other| *other == name).expect("one of them");
                    table.times[at].push(started.elapsed());
                }
            )+
        }
        table.print($operations);
    }};
}

pub(crate) use compare;
