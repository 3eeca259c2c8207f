//! The writes that have returned, with their times, which all processes of a race share: in a file, because a look at it
//! takes no longer than a hit of a process that keeps its values.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The last so many writes of each id are there.
const RECORDS: usize = 128;

/// A version, the time of its write, and a sum that shows a record which is being written.
const RECORD: usize = 24;

/// The file, as the parent of the processes makes it.
pub(crate) struct Shared(pub(crate) PathBuf);

impl Shared {
    pub(crate) fn create() -> Shared {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("redis-cached-race-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        File::create(&path).unwrap();
        Shared(path)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The file, as a process of the race has it.
pub(crate) struct Written {
    file: File,
    /// By id: the number of writes. Each id has one writer.
    counts: Vec<AtomicU64>,
}

/// What is known of an id's writes.
pub(crate) struct Known {
    /// The last version that was written the bound ago, or earlier.
    pub(crate) settled: u64,
    /// The last version, and the time since its write returned.
    pub(crate) latest: (u64, Duration),
}

impl Written {
    pub(crate) fn open(path: &Path, ids: u64) -> Written {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        file.set_len(ids * (RECORDS * RECORD) as u64).unwrap();
        Written { file, counts: (0..ids).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes that the write of a version has returned.
    pub(crate) fn note(&self, id: u64, version: u64) {
        let (time, count) = (now(), self.counts[id as usize].fetch_add(1, Relaxed));
        let mut record = [0; RECORD];
        for (part, number) in record.chunks_mut(8).zip([version, time, sum(version, time)]) {
            part.copy_from_slice(&number.to_le_bytes());
        }
        let at = id * RECORDS as u64 + count % RECORDS as u64;
        self.file.write_all_at(&record, at * RECORD as u64).unwrap();
    }

    pub(crate) fn known(&self, id: u64, bound: Duration) -> Known {
        let mut bytes = [0; RECORDS * RECORD];
        self.file.read_exact_at(&mut bytes, id * (RECORDS * RECORD) as u64).unwrap();
        let (now, bound) = (now(), bound.as_nanos() as u64);
        let mut known = Known { settled: 0, latest: (0, Duration::ZERO) };
        for record in bytes.chunks(RECORD) {
            let mut numbers = record.chunks(8).map(|part| u64::from_le_bytes(part.try_into().unwrap()));
            let [version, time, check] = std::array::from_fn(|_| numbers.next().unwrap());
            if check != sum(version, time) || version == 0 {
                continue;
            }
            let age = now.saturating_sub(time);
            if age > bound {
                known.settled = known.settled.max(version);
            }
            if version > known.latest.0 {
                known.latest = (version, Duration::from_nanos(age));
            }
        }
        known
    }
}

fn sum(version: u64, time: u64) -> u64 {
    version.rotate_left(32) ^ time ^ 0x9e37_79b9_7f4a_7c15
}

/// Nanoseconds, by a clock that all processes have.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64
}
