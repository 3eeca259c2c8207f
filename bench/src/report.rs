//! Tables in Markdown.

use std::fmt::Write;
use std::time::Duration;

use crate::measure::{Cell, Row, spread};

pub struct Table {
    pub title: &'static str,
    pub about: &'static str,
    pub rows: Vec<Row>,
}

pub fn time(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 1e-6 => format!("{:.0} ns", seconds * 1e9),
        seconds if seconds < 1e-3 => format!("{:.1} µs", seconds * 1e6),
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.1} s"),
    }
}

fn cell(row: &Row, at: usize) -> String {
    match &row.cells[at].1 {
        Cell::Text(text) => text.clone(),
        Cell::Times(times) if at == 0 => {
            spread(times.iter().map(Duration::as_secs_f64)).map_or_else(|| "–".to_owned(), |spread| time(spread.median))
        }
        Cell::Times(times) => match (row.ratio(at), spread(times.iter().map(Duration::as_secs_f64))) {
            (Some(ratio), Some(own)) if ratio.median < 0.1 => {
                format!("{} ({}–{})", time(own.median), time(own.low), time(own.high))
            }
            (Some(ratio), _) => format!("{:.2} × ({:.2}–{:.2})", ratio.median, ratio.low, ratio.high),
            (None, _) => "–".to_owned(),
        },
    }
}

impl Table {
    /// The Markdown of the table. The subjects of its first row are its columns.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n| |", self.title, self.about);
        let Some(first) = self.rows.first() else { return text };
        for (subject, _) in &first.cells {
            let _ = write!(text, " {subject} |");
        }
        text.push_str("\n|---|");
        text.push_str(&"---|".repeat(first.cells.len()));
        text.push('\n');
        for row in &self.rows {
            let _ = write!(text, "| {} |", row.workload);
            for at in 0..row.cells.len() {
                let _ = write!(text, " {} |", cell(row, at));
            }
            text.push('\n');
        }
        text
    }
}
