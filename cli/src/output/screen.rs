//! Text that is drawn again and again on a terminal.

use std::io::{Write, stdout};
use std::thread;
use std::time::{Duration, Instant};

use terminal_size::{Height, Width, terminal_size};

use super::harmless;
use crate::outcome::Outcome;

/// How often the size of the terminal is read.
const SIZED: Duration = Duration::from_millis(100);

/// The columns and lines of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) lines: usize,
}

impl Size {
    fn now() -> Size {
        let (Width(columns), Height(lines)) = terminal_size().unwrap_or((Width(80), Height(24)));
        // A terminal that is being made has none.
        Size { columns: usize::from(columns).max(20), lines: usize::from(lines).max(4) }
    }
}

/// Draws a text for the time, and again when the terminal has another size.
pub(crate) fn show(time: Duration, text: impl Fn(Size) -> String) -> Outcome<()> {
    let begun = Instant::now();
    let mut drawn = None;
    while begun.elapsed() < time || drawn.is_none() {
        let size = Size::now();
        if drawn != Some(size) {
            draw(&text(size), size)?;
            drawn = Some(size);
        }
        thread::sleep(SIZED.min(time.saturating_sub(begun.elapsed())));
    }
    Ok(())
}

/// The screen is written at once, and each line over the old one, so that it does not flicker.
fn draw(text: &str, size: Size) -> Outcome<()> {
    let mut drawing = String::from("\x1b[H");
    for line in harmless(text).lines().take(size.lines - 1) {
        drawing.push_str(&cut(line, size.columns));
        drawing.push_str("\x1b[K\r\n");
    }
    drawing.push_str("\x1b[J");
    stdout().write_all(drawing.as_bytes())?;
    Ok(stdout().flush()?)
}

/// The line without what has no room.
fn cut(line: &str, columns: usize) -> String {
    if line.chars().count() <= columns {
        return line.to_owned();
    }
    line.chars().take(columns - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_at_the_edge() {
        assert_eq!((cut("äöü", 3).as_str(), cut("äöüß", 3).as_str()), ("äöü", "äö…"));
    }
}
