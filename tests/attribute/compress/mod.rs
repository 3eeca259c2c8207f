//! `compress = …` and `Builder::compress`: how values are stored, and which builds can read them.

mod forms;
mod stored;

use redis_cached::Cache;
use serde::{Deserialize, Serialize};
use test_support::{PATIENCE, Server};

/// A value whose encoding takes some kilobytes, and compresses well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Report {
    id: u64,
    rows: Vec<String>,
}

fn report_of(id: u64) -> Report {
    Report { id, rows: (0..100).map(|row| format!("row {row} of report {id}")).collect() }
}

/// Text that does not compress.
fn noise(len: usize) -> String {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + (state >> 32) as u8 % 93)
    };
    (0..len).map(|_| next()).collect()
}

fn cache(server: &Server) -> Cache {
    Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build()
}

fn stored(server: &Server, key: &str) -> Vec<u8> {
    redis::cmd("GET").arg(key).query(&mut server.connection()).unwrap()
}

fn store(server: &Server, key: &str, bytes: &[u8]) {
    redis::cmd("SET").arg(key).arg(bytes).arg("EX").arg(600).exec(&mut server.connection()).unwrap();
}

/// The flag of the header, which `docs/PROTOCOL.md` has.
fn is_compressed(value: &[u8]) -> bool {
    value[102] & 4 != 0
}
