//! `local` through failovers. From the moment at which a cache follows a switch, changes at the new master count as ever.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use test_support::{Sentinels, Server, eventually};

use crate::kept::{Keeper, until_new};
use crate::kill::FACES;
use crate::{SWITCHED, hosts, lines};

const BOUND: Duration = Duration::from_millis(500);
const KEY: &str = "k:kept:row:1";

/// Changes the data, and removes the entry at this server.
fn change(sentinels: &Sentinels, master: &Server, origin: &AtomicU64, new: u64) -> Instant {
    origin.store(new, SeqCst);
    sentinels.cli(master, &["DEL", KEY]);
    Instant::now()
}

#[test]
fn ordered_failovers() {
    test_support::log::listen();
    for face in FACES {
        let sentinels = Sentinels::start();
        let (url, origin) = (sentinels.url(), AtomicU64::new(0));
        let keeper = Keeper::new(&url, face, BOUND, &origin);
        for switches in 1..=2 {
            keeper.kept_row(1);
            let master = sentinels.fail_over();
            eventually("the cache follows", || lines(SWITCHED, hosts(&url)).len() == switches);
            let changed = change(&sentinels, master, &origin, switches as u64);
            until_new("another master", switches as u64, changed, || keeper.row(1));
            assert_eq!(keeper.kept_row(1), switches as u64);
        }
    }
}

#[test]
fn a_master_that_is_killed() {
    test_support::log::listen();
    for face in FACES {
        let sentinels = Sentinels::start();
        let (url, origin) = (sentinels.url(), AtomicU64::new(0));
        let keeper = Keeper::new(&url, face, BOUND, &origin);
        keeper.kept_row(1);
        let killed = thread::scope(|scope| {
            let killed = scope.spawn(|| sentinels.kill_master());
            // The connection is lost, and nothing vouches for what is kept.
            let hits = || keeper.cache.stats().local_hits;
            eventually("nothing is served from memory", || {
                let before = hits();
                keeper.row(1);
                hits() == before
            });
            killed.join().unwrap()
        });
        eventually("the cache follows", || lines(SWITCHED, hosts(&url)).len() == 1);
        let changed = change(&sentinels, killed, &origin, 1);
        until_new("another master", 1, changed, || keeper.row(1));
        assert_eq!(keeper.kept_row(1), 1, "{face:?}");
    }
}
