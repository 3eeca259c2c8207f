//! A race in several processes, each of which is this very test.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis_cached::Cache;

use crate::course::{COLUMNS, Course, HITS, WRITES};
use crate::place::Kind;
use crate::subject::Subject;
use crate::written::Shared;
use crate::{One, Setup, Write, part};
use test_support::{PATIENCE, Server, child};

pub(crate) const PROCESSES: u64 = 3;

/// A child finds its number, the cache's URL, its server's and the origin's, and the file of writes here.
const CHILD: &str = "REDIS_CACHED_RACE_CHILD";
const SECONDS: &str = "REDIS_CACHED_RACE_SECONDS";

/// Runs one race, in processes that run this very test.
pub(crate) fn race<S: Subject>(setup: Setup, test: &str, kind: Kind) {
    let setup = kind.adapt(setup);
    if let Ok(part) = std::env::var(CHILD) {
        return take_part::<S>(setup, &part);
    }
    // The races run one at a time: each has more to do than the machine can.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);

    let (place, origin, written) = (kind.start(setup.over_tls), Server::start(), Shared::create());
    let test = format!("{}::{test}", S::NAME);
    let children = (0..PROCESSES).map(|process| {
        child("race", &test)
            .env(
                CHILD,
                format!(
                    "{process} {} {} {} {}",
                    place.url(),
                    place.plain_url(),
                    origin.url(),
                    written.0.to_str().expect("a path of ASCII")
                ),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let children: Vec<_> = children.collect();
    let disturbance = place.disturb();
    let (mut sums, mut ages) = ([0; COLUMNS.len()], Vec::new());
    for child in children {
        let output = child.wait_with_output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{errors}");
        eprint!("{errors}");
        let (_, row) = text.split_once("counted:").unwrap_or_else(|| panic!("no counts: {text}\n{errors}"));
        for (sum, number) in sums.iter_mut().zip(row.lines().next().unwrap().split_whitespace()) {
            *sum += number.parse::<u64>().unwrap();
        }
        let late = text.split_once("ages:").map_or("", |(_, ages)| ages.lines().next().unwrap_or_default());
        ages.extend(late.split_whitespace().map(|age| Duration::from_micros(age.parse().unwrap())));
    }
    let counts: Vec<_> = sums.iter().zip(COLUMNS).map(|(sum, column)| format!("{sum} {column}")).collect();
    let counts = format!("| {} | {test} | {} |", place.program(), counts.join(" | "));
    let disturbed = disturbance.end();
    println!("{counts}{disturbed}{}", told(ages));
    let [reads, hits, bodies, cancelled, invalidations, through, undelivered, unstored, stale, local_hits, _] = sums;
    assert_eq!(stale, 0, "{counts}");
    // Nothing is away, and a cache that has patience reaches it.
    assert!(undelivered == 0 || setup.timeout < PATIENCE, "{counts}");
    // A node that takes over may be down for a moment, and its circuit breaker does not let a `put` wait for it.
    assert!(unstored == 0 || setup.timeout < PATIENCE || matches!(kind, Kind::Cluster), "{counts}");
    assert!(invalidations >= PROCESSES * WRITES && hits >= PROCESSES * HITS, "{counts}");
    assert!(local_hits >= PROCESSES * HITS || setup.bound.is_none(), "{counts}");
    assert!(reads > 0 && bodies > 0 && cancelled > 0, "{counts}");
    let writes_through = setup.writes.iter().any(|write| matches!(write, Write::Single(One::Through)));
    assert!(through > 0 || !writes_through, "{counts}");
}

/// The ages of late values.
fn told(mut ages: Vec<Duration>) -> String {
    ages.sort();
    let Some(longest) = ages.last() else { return String::new() };
    format!(" late by {:?} (median), {longest:?} (longest) |", ages[ages.len() / 2])
}

fn take_part<S: Subject>(setup: Setup, part: &str) {
    let mut words = part.split(' ');
    let mut word = || words.next().unwrap().to_owned();
    let (process, url, places) = (word().parse().unwrap(), word(), [word(), word(), word()]);
    let seconds = std::env::var(SECONDS).map_or(setup.seconds, |seconds| seconds.parse().unwrap());
    let cache = Cache::builder(&url).unwrap().timeout(setup.timeout);
    let cache = if setup.namespace.is_empty() { cache } else { cache.namespace(setup.namespace) };
    #[cfg(feature = "local")]
    let cache = if let Some(bound) = setup.bound { cache.local_bound(bound) } else { cache };
    let until = Instant::now() + Duration::from_secs(seconds);
    let course = Arc::new(Course::new(places, process, cache.build(), until, setup));
    part::run::<S>(&course);
    println!("ages: {}", course.ages().iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
    println!("counted: {}", course.row().map(|count| count.to_string()).join(" "));
}
