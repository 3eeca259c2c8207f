//! What goes over the wire: a hit is one `GET`, a miss one round trip more than reading and
//! writing by hand.

mod support;

use redis_cached::{Cache, redis_cached};
use support::Server;

#[redis_cached(prefix = "wire", name = "double", cache = cache, skip(cache))]
async fn double(cache: &Cache, n: u64) -> u64 {
    n * 2
}

#[redis_cached(prefix = "wire", name = "triple", cache = cache, skip(cache))]
fn triple(cache: &Cache, n: u64) -> u64 {
    n * 3
}

struct Repository {
    cache: Cache,
    factor: u64,
}

impl Repository {
    #[redis_cached(prefix = "wire", key = "times:{self.factor}:{n}", cache = self.cache)]
    async fn times(&self, n: u64) -> u64 {
        self.factor * n
    }
}

/// The commands that clients sent, by name, those of connecting left out.
fn names(commands: &[Vec<String>]) -> Vec<String> {
    commands
        .iter()
        .map(|command| command[0].to_uppercase())
        .filter(|name| !matches!(name.as_str(), "CLIENT" | "HELLO" | "INFO" | "TIME" | "ROLE" | "SELECT" | "AUTH"))
        .collect()
}

#[tokio::test]
async fn a_miss_reads_leases_and_fills_and_a_hit_is_one_get() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    double(&cache, 1).await; // connects

    let mut monitor = server.monitor();
    double(&cache, 2).await;
    let miss = monitor.commands();
    let commands = names(&miss);
    assert_eq!(commands.len(), 3, "{miss:?}");
    assert_eq!(miss[0], ["GET", "wire:double:2"]);
    // Older servers lease in a script, which runs commands of its own, and so do all but the newest
    // when they compare the lease at the fill.
    for command in &commands[1..] {
        assert!(matches!(command.as_str(), "EVALSHA" | "EVAL" | "SET"), "{miss:?}");
    }

    double(&cache, 2).await;
    let hit = monitor.commands();
    assert_eq!(hit, [["GET", "wire:double:2"]]);
}

#[test]
fn a_hit_of_a_plain_function_is_one_get() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    triple(&cache, 2);
    let mut monitor = server.monitor();
    triple(&cache, 2);
    assert_eq!(monitor.commands(), [["GET", "wire:triple:2"]]);
}

#[tokio::test]
async fn a_hit_of_a_method_is_one_get() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let repository = Repository { cache, factor: 5 };
    repository.times(2).await;
    let mut monitor = server.monitor();
    repository.times(2).await;
    assert_eq!(monitor.commands(), [["GET", "wire:times:5:2"]]);
}

#[tokio::test]
async fn an_invalidation_is_one_unlink() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    double(&cache, 3).await;
    let mut monitor = server.monitor();
    assert!(double_entry(&cache, 3).invalidate().await.unwrap());
    assert_eq!(monitor.commands(), [["UNLINK", "wire:double:3"]]);
}

#[tokio::test]
async fn building_and_installing_sends_nothing() {
    let server = Server::start();
    let mut monitor = server.monitor();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let entry = double_entry(&cache, 1);
    assert_eq!(entry.key().unwrap(), "wire:double:1");
    assert_eq!(monitor.commands(), Vec::<Vec<String>>::new());
}
