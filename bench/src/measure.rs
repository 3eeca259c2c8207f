//! Rounds in which the subjects take turns, and their figures.
//!
//! Absolute times drift with the machine, so the figure of a subject is the median of its ratios to
//! the first subject, round by round.

use std::time::Duration;

use crate::subjects::Result;

/// A subject of a workload: its name, and a turn, which returns the time of one operation.
pub type Turn<'a> = (&'static str, Box<dyn FnMut() -> Result<Duration> + 'a>);

/// A row of a table.
pub struct Row {
    pub workload: String,
    pub cells: Vec<(&'static str, Cell)>,
}

pub enum Cell {
    /// The times of one operation, by round.
    Times(Vec<Duration>),
    /// Another figure than a time, or the reason why there is none.
    Text(String),
}

/// Runs all subjects in turn. Each round has another first subject, and another predecessor for each
/// subject, because a predecessor's effects (a processor that is awake, caches) change the figures.
pub fn rounds(workload: &str, count: usize, mut subjects: Vec<Turn<'_>>) -> Row {
    let mut cells: Vec<Cell> = subjects.iter().map(|_| Cell::Times(Vec::with_capacity(count))).collect();
    eprint!("{workload}: ");
    let many = subjects.len();
    let strides: Vec<usize> = (1..many.max(2)).filter(|stride| is_coprime(*stride, many)).collect();
    // The first round is a warm-up.
    for round in 0..=count {
        let stride = strides[round % strides.len()];
        for turn in 0..many {
            let at = (round + turn * stride) % many;
            let Cell::Times(times) = &mut cells[at] else { continue };
            match subjects[at].1() {
                Ok(time) if round > 0 => times.push(time),
                Ok(_) => {}
                Err(error) => cells[at] = Cell::Text(error.to_string()),
            }
        }
        eprint!(".");
    }
    eprintln!();
    let names = subjects.iter().map(|(name, _)| *name);
    Row { workload: workload.to_owned(), cells: names.zip(cells).collect() }
}

/// Only steps of a coprime length reach all subjects.
fn is_coprime(stride: usize, many: usize) -> bool {
    (2..=stride).all(|divisor| !stride.is_multiple_of(divisor) || !many.is_multiple_of(divisor))
}

/// The lower quartile, the median and the upper quartile.
pub struct Spread {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

pub fn spread(figures: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    let last = figures.len().checked_sub(1)?;
    let quarter = figures.len() / 4;
    Some(Spread { low: figures[quarter], median: figures[figures.len() / 2], high: figures[last - quarter] })
}

impl Row {
    /// The ratio of this subject to the first one.
    pub fn ratio(&self, at: usize) -> Option<Spread> {
        let (Cell::Times(floor), Cell::Times(times)) = (&self.cells.first()?.1, &self.cells.get(at)?.1) else {
            return None;
        };
        spread(times.iter().zip(floor).map(|(time, floor)| time.div_duration_f64(*floor)))
    }
}
