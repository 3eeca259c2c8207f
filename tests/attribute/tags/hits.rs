//! How many round trips a call takes.

use super::*;

/// How long each reply takes.
const DELAY: Duration = Duration::from_millis(100);

/// Waits for the server that often: never less, and more only where the machine is busy. The call is
/// handed a new number each time.
async fn round_trips<T>(expected: u128, mut call: impl AsyncFnMut(u64) -> T) {
    for attempt in 0..10 {
        let begun = Instant::now();
        call(attempt).await;
        let waits = begun.elapsed().as_millis() / DELAY.as_millis();
        assert!(waits >= expected, "{waits} round trips");
        if waits == expected {
            return;
        }
    }
    panic!("more than {expected} round trips");
}

#[tokio::test]
async fn a_hit_takes_one_round_trip_and_a_miss_as_many_as_without_tags() {
    let server = Server::start();
    let proxy = server.proxy();
    let (cache, runs) = (cache(&proxy.url()), AtomicUsize::new(0));
    user(&cache, &runs, 1, 1).await; // connects, and makes scripts known
    seat(&cache, &runs, 3, 1).await;
    both(&cache, &runs, 7, "a b").await;
    user(&cache, &runs, 7, 2).await;
    seat(&cache, &runs, 3, 7).await;
    proxy.set(Mode::Delay(DELAY));
    // The tag gets its stamp.
    round_trips(4, async |new| user(&cache, &runs, 1_000 + new, 1).await).await;
    round_trips(3, async |new| user(&cache, &runs, 7, 1_000 + new).await).await;
    round_trips(1, async |_| user(&cache, &runs, 7, 2).await).await;
    round_trips(1, async |_| both(&cache, &runs, 7, "a b").await).await;
    round_trips(1, async |_| seat(&cache, &runs, 3, 7).await).await;
    round_trips(1, async |_| user_entry(&cache, 7, 2).get().await.unwrap()).await;
    round_trips(1, async |_| cache.invalidate_tag("org:1").await.unwrap()).await;
    proxy.set(Mode::Pass);

    let mut monitor = server.monitor();
    user(&cache, &runs, 7, 3).await;
    let miss = asked(&mut monitor);
    assert_eq!(miss[..2], [vec!["GET", "tags:user:7:3"], vec!["MGET", STAMP]], "{miss:?}");
    assert!(miss.iter().filter(|command| command.contains(&STAMP.to_owned())).count() <= 2, "{miss:?}");
    user(&cache, &runs, 7, 3).await;
    assert_eq!(asked(&mut monitor), [vec!["GET", "tags:user:7:3"], vec!["MGET", STAMP]]);
    both(&cache, &runs, 7, "a b").await;
    assert_eq!(asked(&mut monitor)[1], ["MGET", "#tag:kind:a%20b", STAMP]);
    seat(&cache, &runs, 3, 7).await;
    let hit = asked(&mut monitor);
    assert_eq!(hit, [vec!["HMGET", "tags:#group:room:3", "seat:3:7", "seat:3:7\0r"], vec!["MGET", STAMP]]);
    assert!(cache.invalidate_tag("org:7").await.unwrap());
    assert_eq!(asked(&mut monitor), [["UNLINK", STAMP]]);
}

#[test]
fn a_hit_of_a_plain_function_is_one_pipeline_too() {
    let server = Server::start();
    let (cache, runs) = (remote(&server), AtomicUsize::new(0));
    total(&cache, &runs, 7);
    let mut monitor = server.monitor();
    assert_eq!(total(&cache, &runs, 7), 70_000);
    assert_eq!(asked(&mut monitor), [vec!["GET", "tags:total:7"], vec!["MGET", STAMP]]);
    assert!(cache.blocking().invalidate_tag("org:7").unwrap());
    assert!(!cache.blocking().invalidate_tag("org:7").unwrap());
    assert_eq!(asked(&mut monitor), [["UNLINK", STAMP], ["UNLINK", STAMP]]);
    assert_eq!(total(&cache, &runs, 7), 70_001);
}

#[tokio::test]
async fn a_hit_by_the_tags_of_its_value_takes_two_round_trips() {
    let server = Server::start();
    let proxy = server.proxy();
    let (cache, runs) = (cache(&proxy.url()), AtomicUsize::new(0));
    member(&cache, &runs, &texts(&["red", "blue"]), 7, 1).await;
    member(&cache, &runs, &[], 7, 2).await;
    proxy.set(Mode::Delay(DELAY));
    round_trips(2, async |_| assert_eq!(member(&cache, &runs, &[], 7, 1).await.run, 0)).await;
    // The hit of a value without tags.
    round_trips(1, async |_| assert_eq!(member(&cache, &runs, &[], 7, 2).await.run, 1)).await;
    proxy.set(Mode::Pass);
    let mut monitor = server.monitor();
    member(&cache, &runs, &[], 7, 1).await;
    let sent = asked(&mut monitor);
    assert_eq!(sent[..2], [vec!["GET", "tags:member:7:1"], vec!["MGET", STAMP]]);
    assert_eq!(sent[2..], [["MGET", "#tag:team:blue", "#tag:team:red"]]);
}
