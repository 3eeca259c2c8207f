//! Snapshots of the statistics of this process in the store, for `rcached top`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use crate::api::cache::{Builder, Cache};
use crate::engine::context::Context;
use crate::key::{STATS, escape_part};

/// The version of the document.
const VERSION: u32 = 1;

/// A process that has missed this number of writes is taken for gone.
const MISSED: u32 = 3;

impl Builder {
    /// Writes what [`Cache::functions`] counts into the store at this interval, for `rcached top`, which adds up all
    /// processes. Nothing is written unless this is set. Between a second and an hour; ten seconds are a good start.
    ///
    /// ```
    /// use std::time::Duration;
    /// use redis_cached::Cache;
    ///
    /// let cache = Cache::builder("redis://127.0.0.1:6379")?.publish_stats(Duration::from_secs(10)).build();
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    ///
    /// The key is `[namespace:]#stats:{host}:{process}`, and lives for three intervals. A thread of its own writes it, over a
    /// connection of plain functions, and no call waits for it. The names of functions and their counts are in it, and no
    /// keys of entries. A process that was forked does not write. `memory://` and `off://` have no place for it.
    pub fn publish_stats(mut self, interval: Duration) -> Builder {
        self.settings.publish = Some(interval.clamp(Duration::from_secs(1), Duration::from_secs(60 * 60)));
        self
    }
}

/// Starts the thread that writes the snapshots of a cache. It ends with the cache.
pub(super) fn start(cache: &Context, program: &str, interval: Duration) {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    if !cache.may_hold_foreign_keys() {
        return;
    }
    // A process may have several caches.
    let number = NEXT.fetch_add(1, Relaxed);
    let mut publisher = Publisher { host: host(), program: program.to_owned(), number, interval, last: None };
    let cache = cache.downgrade();
    let publish = move || {
        loop {
            thread::sleep(interval);
            let Some(cache) = cache.upgrade() else { return };
            publisher.publish(&Cache(cache));
        }
    };
    // Without a thread, `rcached top` does not see this process.
    let _ = thread::Builder::new().name("redis-cached stats".to_owned()).spawn(publish);
}

struct Publisher {
    host: String,
    program: String,
    number: u32,
    interval: Duration,
    /// The counts of the last snapshot, by function, and its time.
    last: Option<(Instant, HashMap<String, Counts>)>,
}

/// What is written of one function: the calls by their results, and the microseconds that were saved.
type Counts = [u64; 7];

const NAMES: [&str; 7] = ["local", "hit", "stale", "shared", "miss", "bypass", "saved_us"];

impl Publisher {
    fn publish(&mut self, cache: &Cache) {
        let now = Instant::now();
        let counts: HashMap<String, Counts> = cache
            .functions()
            .into_iter()
            .map(|stats| {
                let calls = &stats.calls;
                let saved = (stats.saved_seconds * 1e6) as u64;
                let counts = [calls.local, calls.hit, calls.stale, calls.shared, calls.miss, calls.bypass, saved];
                (stats.function, counts)
            })
            .collect();
        let document = self.document(cache, now, &counts);
        self.last = Some((now, counts));
        let pid = std::process::id();
        let process = if self.number == 0 { pid.to_string() } else { format!("{pid}-{}", self.number) };
        let name = format!("{STATS}{}:{process}", escape_part(&self.host));
        // The next one may succeed; a server that is away is told by others.
        if let Err(error) = cache.0.write_note(&name, &document, self.interval * MISSED) {
            tracing::debug!(%error, "the statistics were not published");
        }
    }

    fn document(&self, cache: &Cache, now: Instant, counts: &HashMap<String, Counts>) -> String {
        let recent = self.last.as_ref().map_or(Duration::ZERO, |(last, _)| now.saturating_duration_since(*last));
        let mut text = String::new();
        let head = format_args!(
            "{{\"version\":{VERSION},\"host\":{},\"pid\":{},\"program\":{},\"interval_ms\":{},\"recent_ms\":{},\"undelivered\":{},\"functions\":[",
            quoted(&self.host),
            std::process::id(),
            quoted(&self.program),
            self.interval.as_millis(),
            recent.as_millis(),
            cache.undelivered(),
        );
        // Writing to a string does not fail.
        let _ = text.write_fmt(head);
        let mut names: Vec<&String> = counts.keys().collect();
        names.sort_unstable();
        for (at, name) in names.into_iter().enumerate() {
            let now = counts.get(name).copied().unwrap_or_default();
            let before = self.last.as_ref().and_then(|(_, last)| last.get(name)).copied().unwrap_or_default();
            let since = std::array::from_fn(|at| now[at].saturating_sub(before[at]));
            let comma = if at == 0 { "" } else { "," };
            let _ = write!(text, "{comma}{{\"function\":{},\"total\":{}", quoted(name), object(&now));
            let _ = write!(text, ",\"recent\":{}}}", object(&since));
        }
        text.push_str("]}");
        text
    }
}

fn object(counts: &Counts) -> String {
    let fields: Vec<String> = NAMES.iter().zip(counts).map(|(name, count)| format!("\"{name}\":{count}")).collect();
    format!("{{{}}}", fields.join(","))
}

/// The text as JSON has it.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// The name of this machine. The standard library does not know it.
fn host() -> String {
    let file = |path| std::fs::read_to_string(path).ok();
    let variable = |name| std::env::var(name).ok();
    let found = file("/proc/sys/kernel/hostname")
        .or_else(|| file("/etc/hostname"))
        .or_else(|| variable("HOSTNAME"))
        .or_else(|| variable("COMPUTERNAME"));
    found.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_quoted() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }

    #[test]
    fn there_is_a_host() {
        assert!(!host().is_empty() && !host().contains('\n'));
    }
}
