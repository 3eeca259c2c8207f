//! Groups with many fields: no verb keeps the server from its other clients.

use super::*;

/// Adds so many values to the group of class 7, and one lease.
fn fill(server: &Server, values: usize) {
    let script = "for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], 'grade:s' .. i, string.rep('v', 200)) end
        redis.call('HSET', KEYS[1], 'grade:leased', string.rep('l', 34))";
    server.cli(&["EVAL", script, "1", HASH, &values.to_string()]);
}

/// How often the server ran a command, inside of scripts, too.
fn calls(server: &Server, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|line| line.split(',').next()).map_or(0, |calls| calls.parse().unwrap())
}

const VALUES: usize = 30_000;

/// A step looks at this many fields, and at few more.
const STEP: u64 = 512;

#[tokio::test]
async fn are_counted_in_steps() {
    let server = Server::start();
    fill(&server, VALUES);
    let cache = remote(&server);
    let group = grade_group(&cache, 7);
    assert!(!group.is_empty().await.unwrap());
    assert_eq!(calls(&server, "hscan"), 1, "the first step finds a value");
    assert!(!plain_group(&cache, 7).is_empty().unwrap());
    assert_eq!(group.len().await.unwrap(), VALUES as u64);
    let steps = calls(&server, "hscan");
    assert!(steps > VALUES as u64 / STEP, "{steps} steps");
    assert_eq!(plain_group(&cache, 7).len().unwrap(), VALUES as u64);
    assert_eq!(calls(&server, "hkeys"), 0);
}

/// Where the server cannot leave values out, it copies them: a step copies about a quarter of a megabyte.
#[tokio::test]
async fn of_large_values_are_counted_in_smaller_steps() {
    const LARGE: usize = 400;
    let server = Server::start();
    let script =
        "for i = 1, tonumber(ARGV[1]) do redis.call('HSET', KEYS[1], 'grade:s' .. i, string.rep('v', 100000)) end";
    server.cli(&["EVAL", script, "1", HASH, &LARGE.to_string()]);
    let cache = remote(&server);
    assert_eq!(grade_group(&cache, 7).len().await.unwrap(), LARGE as u64);
    let copies = server.cli(&["HSCAN", HASH, "0", "COUNT", "1", "NOVALUES"]).starts_with("ERR");
    let steps = calls(&server, "hscan");
    assert!(!copies || steps > 50, "{steps} steps");
}

#[tokio::test]
async fn are_cleared_in_steps() {
    let server = Server::start();
    fill(&server, VALUES);
    let runs = AtomicUsize::new(0);
    let cache = remote(&server);
    grade(&cache, &runs, 7, "Ada").await;
    assert_eq!(grade_clear(&cache).await.unwrap(), VALUES as u64 + 2);
    assert_eq!(calls(&server, "hkeys"), 0);
    assert_eq!(server.cli(&["EXISTS", HASH]), "0");
}
