//! A race in several processes, each of which is this very test.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis_cached::Cache;

use crate::course::{COLUMNS, Counts, Course, HITS, WRITES};
use crate::subject::Subject;
use crate::{One, Setup, Write, part};
use test_support::{Server, TlsServer, child};

pub(crate) const PROCESSES: u64 = 3;

/// A child finds its number, the cache's URL, its server and the origin's here.
const CHILD: &str = "REDIS_CACHED_RACE_CHILD";
const SECONDS: &str = "REDIS_CACHED_RACE_SECONDS";

/// The place of a race's entries.
enum Place {
    Plain(Server),
    Tls(Box<TlsServer>),
}

impl Place {
    fn start(over_tls: bool) -> Place {
        match over_tls {
            true => Place::Tls(Box::new(TlsServer::start())),
            false => Place::Plain(Server::start()),
        }
    }

    /// The server, and the URL by which the cache reaches it.
    fn server(&self) -> (&Server, String) {
        match self {
            Place::Plain(server) => (server, server.url()),
            Place::Tls(server) => (server, server.url()),
        }
    }
}

/// Runs one race, in processes that run this very test.
pub(crate) fn race<S: Subject>(setup: Setup) {
    if let Ok(part) = std::env::var(CHILD) {
        return take_part::<S>(setup, &part);
    }
    // The races run one at a time: each has more to do than the machine can.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);

    let (place, origin) = (Place::start(setup.over_tls), Server::start());
    let (server, url) = place.server();
    let children = (0..PROCESSES).map(|process| {
        child("race", S::TEST)
            .env(CHILD, format!("{process} {url} {} {}", server.url(), origin.url()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    });
    let children: Vec<_> = children.collect();
    let mut sums = [0; COLUMNS.len()];
    for child in children {
        let output = child.wait_with_output().unwrap();
        let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{errors}");
        eprint!("{errors}");
        let (_, row) = text.split_once("counted:").unwrap_or_else(|| panic!("no counts: {text}\n{errors}"));
        for (sum, number) in sums.iter_mut().zip(row.lines().next().unwrap().split_whitespace()) {
            *sum += number.parse::<u64>().unwrap();
        }
    }
    let counts: Vec<_> = sums.iter().zip(COLUMNS).map(|(sum, column)| format!("{sum} {column}")).collect();
    let counts = format!("| {} | {} | {} |", server.program(), S::TEST, counts.join(" | "));
    println!("{counts}");
    let [reads, hits, bodies, cancelled, invalidations, through, _, stale] = sums;
    assert_eq!(stale, 0, "{counts}");
    assert!(invalidations >= PROCESSES * WRITES && hits >= PROCESSES * HITS, "{counts}");
    assert!(reads > 0 && bodies > 0 && cancelled > 0, "{counts}");
    let writes_through = setup.writes.iter().any(|write| matches!(write, Write::Single(One::Through)));
    assert!(through > 0 || !writes_through, "{counts}");
}

fn take_part<S: Subject>(setup: Setup, part: &str) {
    let mut words = part.split(' ');
    let mut word = || words.next().unwrap().to_owned();
    let (process, url, server, origin) = (word().parse().unwrap(), word(), word(), word());
    let seconds = std::env::var(SECONDS).map_or(setup.seconds, |seconds| seconds.parse().unwrap());
    let cache = Cache::builder(&url).unwrap().timeout(setup.timeout);
    let cache = if setup.namespace.is_empty() { cache } else { cache.namespace(setup.namespace) };
    let course = Arc::new(Course {
        cache: cache.build(),
        server,
        origin,
        process,
        until: Instant::now() + Duration::from_secs(seconds),
        setup,
        counts: Counts::default(),
    });
    part::run::<S>(&course);
    println!("counted: {}", course.row().map(|count| count.to_string()).join(" "));
}
