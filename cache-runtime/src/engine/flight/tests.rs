use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use super::patience::LOOKS;
use super::*;
use crate::key::KeyWriter;
use crate::store::Times;

fn key() -> Key {
    KeyWriter::new("", "flight").finish().expect("a key")
}

fn token() -> Token {
    Token::random().expect("randomness")
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn value(text: &'static str) -> Outcome {
    Outcome::Value(Bytes::from_static(text.as_bytes()))
}

fn is_value(event: Event, expected: &str) -> bool {
    matches!(event, Event::Ended(Outcome::Value(bytes)) if bytes == expected)
}

#[test]
fn followers_of_a_token_get_what_its_leader_publishes_and_others_do_not() {
    let (flights, key, seen) = (Arc::<Flights>::default(), key(), token());
    let leader = flights.lead(&key, seen);
    let follower = flights.follow(&key, seen);
    let stranger = flights.follow(&key, token());
    leader.publish(value("shared"));
    assert!(is_value(follower.block(soon()), "shared"));
    assert!(matches!(stranger.block(soon()), Event::Ask(_)), "another process leads that one");
    // The slot may show the token until the value is in it.
    assert!(is_value(flights.follow(&key, seen).block(soon()), "shared"));
    drop((leader, follower, stranger));
    assert!(flights.is_empty());
}

#[test]
fn a_leader_that_is_gone_is_told() {
    let (flights, key, seen) = (Arc::<Flights>::default(), key(), token());
    let leader = flights.lead(&key, seen);
    let follower = flights.follow(&key, seen);
    drop(leader);
    assert!(matches!(follower.block(soon()), Event::Ended(Outcome::Abandoned)));
    assert!(flights.was_abandoned(seen));

    let seen = token();
    let leader = flights.lead(&key, seen);
    leader.publish(Outcome::Unshared);
    drop(leader);
    assert!(!flights.was_abandoned(seen), "one that ended is not");

    let leader = flights.lead(&key, seen);
    let follower = flights.follow(&key, seen);
    let panicked = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _leader = leader;
        std::panic::resume_unwind(Box::new(()));
    }));
    assert!(panicked.is_err());
    assert!(matches!(follower.block(soon()), Event::Ended(Outcome::Panicked)));
    assert!(!flights.was_abandoned(seen), "it would panic again and again");
    drop(follower);
    assert!(flights.is_empty());
}

#[test]
fn one_follower_asks_and_another_takes_over() {
    let (flights, key, seen) = (Arc::<Flights>::default(), key(), token());
    let (first, second) = (flights.follow(&key, seen), flights.follow(&key, seen));
    let Event::Ask(asking) = first.block(soon()) else { panic!("it is on the first") };
    assert!(matches!(second.block(Instant::now()), Event::TimeUp), "the first one asks");
    drop((asking, first));
    let Event::Ask(asking) = second.block(soon()) else { panic!("it is on the second") };
    let number = asking.number();
    asking.ended(Outcome::Read { number, found: Read::untagged(None, Times::default()) });
    assert!(matches!(second.block(soon()), Event::Ended(Outcome::Read { found: Read { bytes: None, .. }, .. })));
    drop(second);
    assert!(flights.is_empty());
}

#[test]
fn a_read_counts_for_those_who_joined_before_it_was_sent() {
    let (flights, key, seen) = (Arc::<Flights>::default(), key(), token());
    let early = flights.follow(&key, seen);
    let Event::Ask(asking) = early.block(soon()) else { panic!("it is on the first") };
    let number = asking.number();
    let late = flights.follow(&key, seen);
    assert!(early.precedes(number));
    assert!(!late.precedes(number));
    assert!(late.precedes(asking.number()));
}

#[test]
fn a_call_shares_what_began_after_itself() {
    let (flights, key, before) = (Arc::<Flights>::default(), key(), Instant::now());
    let leader = flights.lead(&key, token());
    let join = |since| flights.follow_any_or_lead(&key, Any { since, is_away: false, most: 1 });
    assert!(matches!(join(before), Role::Follower(_)));
    let after = Instant::now();
    let Role::Leader(newer) = join(after) else { panic!("that began before") };
    flights.void(&key);
    assert!(matches!(join(after), Role::Follower(_)), "still after");
    drop((leader, newer));
    assert!(flights.is_empty());
}

#[test]
fn without_a_store_calls_share_what_was_not_invalidated() {
    let (flights, key) = (Arc::<Flights>::default(), key());
    let join = || {
        let since = Instant::now();
        flights.follow_any_or_lead(&key, Any { since, is_away: true, most: 1 })
    };
    let Role::Leader(leader) = join() else { panic!("nothing runs") };
    let Role::Follower(follower) = join() else { panic!("a body runs") };
    flights.void(&key);
    let Role::Leader(newer) = join() else { panic!("it is out of date") };
    let Role::Follower(late) = join() else { panic!("a newer one runs") };
    leader.publish(value("old"));
    newer.publish(value("new"));
    assert!(is_value(follower.block(soon()), "old"));
    assert!(is_value(late.block(soon()), "new"));
    assert!(matches!(join(), Role::Leader(_)), "neither runs any more");
}

#[test]
fn without_a_store_nobody_shares_a_body_that_has_returned() {
    let (flights, key, before) = (Arc::<Flights>::default(), key(), Instant::now());
    let join = |since| flights.follow_any_or_lead(&key, Any { since, is_away: true, most: 1 });
    let Role::Leader(leader) = join(before) else { panic!("nothing runs") };
    crate::poll::block_on::block_on(within(leader.flight(), async {
        assert!(matches!(join(Instant::now()), Role::Follower(_)), "it runs");
    }));
    assert!(matches!(join(Instant::now()), Role::Leader(_)), "it has returned, and its value is not published yet");
    assert!(matches!(join(before), Role::Follower(_)), "it began after this call did");
}

#[test]
fn calls_that_gave_up_are_spread_over_some_bodies() {
    let (flights, key, before) = (Arc::<Flights>::default(), key(), Instant::now());
    let mut patience = Patience::new(before, before, Duration::from_secs(20));
    let join = |patience: &Patience| flights.follow_any_or_lead(&key, patience.any(false));
    let Role::Leader(slow) = join(&patience) else { panic!("nothing runs") };
    assert!(matches!(join(&patience), Role::Follower(_)));
    for most in [2, 4] {
        let known = flights.all().get(&key).and_then(|flights| flights.last().cloned()).expect("one runs");
        patience.give_up(&known);
        let roles: Vec<Role> = (0..20).map(|_| join(&patience)).collect();
        let leaders = roles.iter().filter(|role| matches!(role, Role::Leader(_)));
        assert_eq!(leaders.count(), most);
        let followers = |role: &Role| matches!(role, Role::Leader(leader) if leader.flight().followers() >= 16 / most);
        assert_eq!(roles.iter().filter(|role| followers(role)).count(), most, "all have some");
    }
    drop(slow);
    assert!(matches!(join(&patience), Role::Leader(_)));
}

#[test]
fn a_call_inside_of_a_body_does_not_wait_for_it() {
    let flights = Arc::<Flights>::default();
    let keys = ["a", "b", "c"].map(|name| KeyWriter::new("", name).finish().expect("a key"));
    let [a, b, c] = [0, 1, 2].map(|at| flights.lead(&keys[at], token()));
    let inside =
        |flight: &Leader, work: &dyn Fn()| crate::poll::block_on::block_on(within(flight.flight(), async { work() }));
    inside(&a, &|| assert!(Edge::waiting(a.flight()).is_err(), "its own"));
    inside(&a, &|| {
        let to_b = Edge::waiting(b.flight()).expect("b waits for nobody").expect("inside of a body");
        inside(&b, &|| {
            let to_c = Edge::waiting(c.flight()).expect("c waits for nobody");
            inside(&c, &|| assert!(Edge::waiting(a.flight()).is_err(), "a waits for b, and b for c"));
            drop(to_c);
            inside(&c, &|| assert!(Edge::waiting(a.flight()).is_ok(), "b waits no more"));
        });
        drop(to_b);
    });
    // A body waits for every flight that it leads, too.
    inside(&a, &|| {
        let inner = flights.lead(&keys[1], token());
        inside(&inner, &|| assert!(Edge::waiting(a.flight()).is_err(), "a waits for what it leads"));
    });
    assert!(matches!(Edge::waiting(a.flight()), Ok(None)), "outside of all bodies");
}

#[test]
fn a_call_waits_for_two_tokens_and_forgives_the_abandoned() {
    let (first, second, third) = (token(), token(), token());
    let now = Instant::now();
    let mut patience = Patience::new(now, now, Duration::from_secs(20));
    assert!(patience.allows(first, now) && patience.allows(second, now) && patience.allows(first, now));
    assert!(!patience.allows(third, now));
    assert!((0..LOOKS).all(|_| patience.take_look()) && !patience.take_look());
    patience.forgive(second);
    assert!(patience.allows(third, now) && patience.take_look());
    patience.fail();
    assert!(patience.allows(first, now) && !patience.has_enough(), "another body may do better");
    for most in [2, 4, 8] {
        patience.fail();
        assert!(!patience.allows(first, now) && !patience.is_alone());
        assert_eq!(patience.any(false).most, most, "bodies at the same time");
    }
    assert!(!Patience::new(now, now, Duration::ZERO).allows(first, now));
}

#[test]
fn those_cancelled_last_are_remembered() {
    let (flights, key) = (Arc::<Flights>::default(), key());
    let seen: Vec<Token> = (0..=ABANDONED).map(|_| token()).collect();
    seen.iter().for_each(|token| drop(flights.lead(&key, *token)));
    assert!(!flights.was_abandoned(seen[0]));
    assert!(seen[1..].iter().all(|token| flights.was_abandoned(*token)));
}

#[test]
fn of_calls_for_many_keys_one_leads_all() {
    let keys: Vec<Key> = (0..50)
        .map(|id| {
            let mut writer = KeyWriter::new("", "flight");
            writer.arg("id", &id);
            writer.finish().expect("a key")
        })
        .collect();
    let any = Any { since: Instant::now(), is_away: false, most: 1 };
    for _ in 0..200 {
        let flights = Arc::<Flights>::default();
        let barrier = std::sync::Barrier::new(4);
        let join = || {
            barrier.wait();
            let roles = flights.follow_or_lead_all(keys.iter().map(|key| (key, Joinable::Any(any))));
            let led = roles.iter().filter(|role| matches!(role, Role::Leader(_))).count();
            // No flight ends before each thread has its roles.
            barrier.wait();
            led
        };
        let mut led = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(join)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
        });
        led.sort_unstable();
        assert_eq!(led, [0, 0, 0, 50]);
    }
}
