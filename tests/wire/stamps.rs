//! A fill extends a stamp only if the stamp is not known to outlive the entry.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use redis_cached::{Cache, redis_cached};
use test_support::{Monitor, PATIENCE, Server};

const HOUR: u64 = 3_600;

const ALL: &str = "#tag:all";

/// A function with a lifetime in seconds, under a tag of its own and one of all.
#[redis_cached(prefix = "s", name = "async", key = "{org}:{id}", tags = ["all", "org:{org}"], ttl = |row: &Row| Duration::from_secs(row.1), cache = cache, skip(seconds, cache))]
async fn row(cache: &Cache, org: u64, id: u64, seconds: u64) -> Row {
    assert!(org > 0);
    (id, seconds)
}

#[redis_cached(prefix = "s", name = "plain", key = "{org}:{id}", tags = ["all", "org:{org}"], ttl = |row: &Row| Duration::from_secs(row.1), cache = cache, skip(seconds, cache))]
fn row_plain(cache: &Cache, org: u64, id: u64, seconds: u64) -> Row {
    assert!(org > 0);
    (id, seconds)
}

#[redis_cached(prefix = "s", name = "batch", batch(id in ids), key = "{id}", tags = ["all", "org:{id}"], ttl = "2h", cache = cache, skip(cache))]
async fn rows(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
    ids.iter().map(|id| (*id, *id)).collect()
}

#[redis_cached(prefix = "s", name = "own", key = "{id}", tags = |row: &Row| vec![format!("own:{}", row.0 % 2)], ttl = "2h", cache = cache, skip(cache))]
async fn own(cache: &Cache, id: u64) -> Row {
    (id, 0)
}

#[redis_cached(prefix = "s", name = "grouped", group = "rows", key = "{id}", tags = ["all"], ttl = "2h", cache = cache, skip(cache))]
async fn grouped(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "s", name = "old", key = "{id}", tags = ["all"], ttl = "1s", stale_while_revalidate = "30d", cache = cache, skip(cache))]
async fn old(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "s", name = "forever", key = "{id}", tags = ["all"], ttl = forever, cache = cache, skip(cache))]
async fn forever(cache: &Cache, id: u64) -> u64 {
    id
}

type Row = (u64, u64);

fn remote(server: &Server) -> Cache {
    Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build()
}

fn left(server: &Server, stamp: &str) -> u64 {
    server.cli(&["PTTL", stamp]).parse().unwrap()
}

/// The commands that extend stamps, and read them for it.
fn extensions(monitor: &mut Monitor) -> Vec<Vec<String>> {
    let extends = |command: &Vec<String>| {
        let is_of_a_stamp = command.iter().any(|word| word.starts_with("#tag:"));
        // Servers before Redis 7.0 make a stamp by a script, too, which has fewer arguments.
        let makes = command[0].starts_with("EVAL") && command.len() == 6;
        is_of_a_stamp && !makes && ["EVAL", "EVALSHA", "GET", "PEXPIRE", "PERSIST"].contains(&&*command[0])
    };
    monitor.commands().into_iter().filter(extends).collect()
}

/// The tags of extensions by a script, and the times that they name.
fn told(monitor: &mut Monitor) -> Vec<(String, String, String)> {
    let told = extensions(monitor).into_iter().map(|command| match &command[..] {
        [eval, _, one, tag, least, life, _] if eval == "EVAL" && one == "1" => {
            (tag.clone(), least.clone(), life.clone())
        }
        _ => panic!("{command:?}"),
    });
    told.collect()
}

fn told_of(tag: &str, seconds: u64) -> (String, String, String) {
    let least = (seconds + 60) * 1_000;
    (tag.to_owned(), least.to_string(), (2 * least).to_string())
}

/// A stamp lives for an hour at first.
#[tokio::test(flavor = "multi_thread")]
async fn a_stamp_is_extended_where_it_has_less_left_than_the_entry_and_then_to_twice_of_it() {
    let server = Server::start();
    let cache = remote(&server);
    let mut monitor = server.monitor();
    for id in 0..10 {
        row(&cache, 1, id, HOUR - 70).await;
    }
    assert_eq!(told(&mut monitor), [], "they are known to live for an hour, and a minute is the margin");
    row(&cache, 1, 10, HOUR).await;
    assert_eq!(told(&mut monitor), [told_of(ALL, HOUR), told_of("#tag:org:1", HOUR)]);
    for stamp in [ALL, "#tag:org:1"] {
        assert!((7_300_000..=7_320_000).contains(&left(&server, stamp)), "{}", left(&server, stamp));
    }
    for id in 11..20 {
        row(&cache, 1, id, 2 * HOUR - 70).await;
        tokio::task::block_in_place(|| row_plain(&cache, 1, id, 2 * HOUR - 70));
    }
    assert_eq!(told(&mut monitor), [], "both faces know it");
    row(&cache, 2, 20, 2 * HOUR - 70).await;
    assert_eq!(told(&mut monitor), [told_of("#tag:org:2", 2 * HOUR - 70)], "only the tag that is new");
    tokio::task::block_in_place(|| row_plain(&cache, 2, 21, 5 * HOUR));
    assert_eq!(told(&mut monitor), [told_of(ALL, 5 * HOUR), told_of("#tag:org:2", 5 * HOUR)]);
    row(&cache, 1, 22, 10).await;
    assert_eq!(told(&mut monitor), []);
}

#[tokio::test]
async fn every_kind_of_fill_knows_the_lives_of_stamps() {
    let server = Server::start();
    let cache = remote(&server);
    let mut monitor = server.monitor();
    rows(&cache, &[1, 2, 3]).await;
    let tags = [ALL, "#tag:org:1", "#tag:org:2", "#tag:org:3"];
    assert_eq!(told(&mut monitor), tags.map(|tag| told_of(tag, 2 * HOUR)), "each once");
    rows(&cache, &[1, 2, 3, 4]).await;
    assert_eq!(told(&mut monitor), [told_of("#tag:org:4", 2 * HOUR)]);
    grouped(&cache, 1).await;
    assert_eq!(told(&mut monitor), []);
    rows_entry(&cache, 1).put(&1).await.unwrap();
    assert_eq!(told(&mut monitor), []);

    own(&cache, 1).await;
    own(&cache, 2).await;
    assert_eq!(told(&mut monitor), [told_of("#tag:own:1", 2 * HOUR), told_of("#tag:own:0", 2 * HOUR)]);
    for id in 3..9 {
        own(&cache, id).await;
    }
    assert_eq!(told(&mut monitor), []);

    old(&cache, 1).await;
    let windows = 30 * 24 * HOUR + 1;
    assert_eq!(told(&mut monitor), [told_of(ALL, windows)], "the whole time that the value is kept counts");
    old_refresh(&cache, 1).await;
    old(&cache, 2).await;
    assert_eq!(told(&mut monitor), []);

    forever(&cache, 1).await;
    assert_eq!(told(&mut monitor), [(ALL.to_owned(), String::new(), String::new())]);
    assert_eq!(server.cli(&["PTTL", ALL]), "-1");
    forever(&cache, 2).await;
    old(&cache, 3).await;
    assert_eq!(told(&mut monitor), []);
}

/// Another process, or this one after a restart, asks once, which changes nothing.
#[tokio::test]
async fn a_process_that_does_not_know_a_stamp_asks_once_and_changes_nothing() {
    let server = Server::start();
    let [one, other] = [remote(&server), remote(&server)];
    row(&one, 1, 1, 2 * HOUR).await;
    let mut monitor = server.monitor();
    let mut tracker = Tracker::of(&server, ALL);
    row(&other, 1, 2, 2 * HOUR).await;
    assert_eq!(told(&mut monitor), [told_of(ALL, 2 * HOUR), told_of("#tag:org:1", 2 * HOUR)]);
    row(&other, 1, 3, 2 * HOUR).await;
    assert_eq!(told(&mut monitor), []);
    assert_eq!(tracker.pushes(), 0);
}

/// The memory of one stamp is not that of the next one under the same tag.
#[tokio::test]
async fn a_stamp_that_vanished_is_noticed_however_it_vanished() {
    let server = Server::start();
    let cache = remote(&server);
    let mut number = 0;
    for lose in
        [&["UNLINK", ALL][..], &["FLUSHALL"], &["PEXPIRE", ALL, "0"], &["RENAME", ALL, "elsewhere"], &["FLUSHDB"]]
    {
        let mut next = || {
            number += 1;
            number
        };
        forever(&cache, next()).await;
        let id = next();
        row(&cache, 1, id, 2 * HOUR).await;
        server.cli(lose);
        assert_eq!(row_entry(&cache, 1, id).get().await.unwrap(), None, "{lose:?}");
        let mut monitor = server.monitor();
        row(&cache, 1, id, 2 * HOUR).await;
        assert!(told(&mut monitor).contains(&told_of(ALL, 2 * HOUR)), "{lose:?}");
        assert!(left(&server, ALL) > 4 * HOUR * 1_000, "{lose:?}");
        assert_eq!(row_entry(&cache, 1, id).get().await.unwrap(), Some((id, 2 * HOUR)), "{lose:?}");
        row(&cache, 1, next(), 2 * HOUR).await;
        assert_eq!(told(&mut monitor), [], "{lose:?}");
    }
}

/// What is remembered of a stamp that another program shortens is wrong: its entries end with it, and no later.
#[tokio::test]
async fn a_stamp_that_ends_early_ends_its_entries_and_nothing_brings_them_back() {
    let server = Server::start();
    let cache = remote(&server);
    row(&cache, 1, 1, 2 * HOUR).await;
    server.cli(&["PEXPIRE", ALL, "1"]);
    test_support::in_time("it ends", async || row_entry(&cache, 1, 1).get().await.unwrap().is_none()).await;
    row(&cache, 1, 2, 2 * HOUR).await;
    assert_eq!(row_entry(&cache, 1, 1).get().await.unwrap(), None, "under another stamp");
    assert!(left(&server, ALL) > 4 * HOUR * 1_000);
    assert!(cache.invalidate_tag("all").await.unwrap());
    for id in [1, 2] {
        assert_eq!(row_entry(&cache, 1, id).get().await.unwrap(), None);
    }
}

/// Without the right to compare in a script, a stamp is read and then extended.
#[tokio::test]
async fn without_a_script_a_stamp_is_read_before_it_is_extended() {
    let server = Server::start();
    if !server.knows(&["PEXPIRE", "any", "1", "GT"]) {
        return;
    }
    let rights = ["on", ">secret", "~*", "&*", "+@all", "-pttl"];
    server.cli(&[&["ACL", "SETUSER", "limited"], &rights[..]].concat());
    let url = format!("redis://limited:secret@127.0.0.1:{}", server.port());
    let cache = Cache::builder(&url).unwrap().timeout(PATIENCE).build();
    let mut monitor = server.monitor();
    let words = |command: &[&str]| command.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    row(&cache, 1, 1, 2 * HOUR).await;
    let life = (2 * (2 * HOUR + 60) * 1_000).to_string();
    let expected = [ALL, "#tag:org:1"].map(|tag| [words(&["GET", tag]), words(&["PEXPIRE", tag, &life, "GT"])]);
    assert_eq!(extensions(&mut monitor), expected.concat());
    for id in 2..9 {
        row(&cache, 1, id, 2 * HOUR).await;
    }
    assert_eq!(extensions(&mut monitor), Vec::<Vec<String>>::new());
    forever(&cache, 1).await;
    assert_eq!(extensions(&mut monitor), [words(&["GET", ALL]), words(&["PERSIST", ALL])]);
    forever(&cache, 2).await;
    assert_eq!(extensions(&mut monitor), Vec::<Vec<String>>::new());
}

/// Each extension of a stamp is a push to all clients that track it.
#[tokio::test]
async fn a_thousand_fills_under_a_tag_are_hardly_a_push_to_a_client_that_tracks_it() {
    let server = Server::start();
    let cache = remote(&server);
    row(&cache, 1, 0, 2 * HOUR).await;
    let mut tracker = Tracker::of(&server, ALL);
    let (mut pushes, mut monitor) = (0, server.monitor());
    for id in 1..=1_000 {
        row(&cache, 1, id, 2 * HOUR).await;
        pushes += tracker.pushes();
    }
    let sent = monitor.commands();
    let counted = ["GET", "MGET", "SET", "EVAL", "EVALSHA", "PEXPIRE"]
        .map(|name| (name, sent.iter().filter(|command| command[0] == name).count()));
    println!("{pushes} pushes for 1,000 fills under two tags: {counted:?}");
    assert_eq!(pushes, 0);
    assert_eq!(server.cli(&["SETRANGE", ALL, "0", ""]), "16", "no change");
    server.cli(&["PEXPIRE", ALL, "100000"]);
    assert_eq!(tracker.pushes(), 1, "the tracker works");
}

/// A client that tracks one key.
struct Tracker {
    stream: TcpStream,
    lines: BufReader<TcpStream>,
    key: &'static str,
}

impl Tracker {
    fn of(server: &Server, key: &'static str) -> Tracker {
        let stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
        let lines = BufReader::new(stream.try_clone().unwrap());
        let mut tracker = Tracker { stream, lines, key };
        tracker.stream.write_all(b"HELLO 3\r\nCLIENT TRACKING ON\r\n").unwrap();
        while tracker.line() != "+OK" {}
        assert_eq!(tracker.pushes(), 0);
        tracker
    }

    /// The number of pushes since the last call. The key is tracked again.
    fn pushes(&mut self) -> usize {
        self.stream.write_all(format!("STRLEN {}\r\n", self.key).as_bytes()).unwrap();
        let mut pushes = 0;
        loop {
            match &*self.line() {
                "invalidate" => pushes += 1,
                line if line.starts_with(':') => return pushes,
                _ => {}
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert!(self.lines.read_line(&mut line).unwrap() > 0, "the connection is open");
        line.trim_end().to_owned()
    }
}
