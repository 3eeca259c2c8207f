//! How far a long scan is: one line on standard error, if that is a terminal.

use std::io::{IsTerminal, Write, stderr};
use std::time::{Duration, Instant};

use crate::output::count;

/// The interval at which the line is written.
const INTERVAL: Duration = Duration::from_millis(100);

pub(crate) struct Progress {
    /// The number of keys of all servers, as of the start. Zero if the user may not ask for it.
    total: u64,
    scanned: u64,
    is_shown: bool,
    written: Option<Instant>,
}

impl Progress {
    pub(crate) fn new(total: u64) -> Progress {
        Progress { total, scanned: 0, is_shown: stderr().is_terminal(), written: None }
    }

    /// Notes that the server has looked at more keys.
    pub(crate) fn advance(&mut self, keys: u64) {
        self.scanned += keys;
        if !self.is_shown || self.written.is_some_and(|written| written.elapsed() < INTERVAL) {
            return;
        }
        self.written = Some(Instant::now());
        if self.total == 0 {
            let _ = write!(stderr(), "\r\x1b[Kscanned {} keys", count(self.scanned));
            return;
        }
        let scanned = self.scanned.min(self.total);
        let percent = scanned * 100 / self.total;
        let _ = write!(stderr(), "\r\x1b[Kscanned {} of {} keys ({percent} %)", count(scanned), count(self.total));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.written.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
