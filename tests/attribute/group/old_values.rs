//! Old values in a group, refreshed in the background or served on an error.

use super::*;

#[redis_cached(prefix = "grp", name = "old", group = "class:{class}", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
async fn old(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass().await as u64
}

#[redis_cached(prefix = "grp", name = "old_plain", group = "class:{class}", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, gate))]
fn old_plain(cache: &Cache, gate: Arc<Gate>, class: u64, id: u64) -> u64 {
    assert_eq!(class, 7);
    id + gate.pass_blocking() as u64
}

#[tokio::test]
async fn an_old_value_is_served_at_once_and_refreshed_once_behind() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let gate = open();
        assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
        expired(old_entry(&cache, 7, 10)).await;
        gate.close();
        for _ in 0..50 {
            assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
        }
        gate.wait_for(2).await;
        other.ping().await.unwrap(); // connects
        let mut monitor = server.monitor();
        for _ in 0..50 {
            assert_eq!(old(&other, gate.clone(), 7, 10).await, 11, "nobody waits");
        }
        let sent = asked(&mut monitor);
        if is_remote {
            // The companion names the refresh.
            assert!(names(&sent).iter().all(|name| name == "HMGET"), "{sent:?}");
            let field = field_of(&old_entry(&cache, 7, 10));
            assert_eq!(fields(&server), [field.clone(), format!("{field}\0r")]);
        }
        assert_eq!(gate.entered(), 2, "one refresh at a time");
        gate.open();
        in_time("the new value is there", async || old(&other, gate.clone(), 7, 10).await == 12).await;
        grade_group(&cache, 7).invalidate().await.unwrap();
    }
}

#[test]
fn plain_functions_are_refreshed_on_a_thread_behind() {
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(old_plain(&cache, gate.clone(), 7, 10), 11);
        eventually("it expires", || old_plain_entry(&cache, 7, 10).get().unwrap().is_none());
        gate.close();
        for _ in 0..50 {
            assert_eq!(old_plain(&cache, gate.clone(), 7, 10), 11);
        }
        eventually("a refresh begins", || gate.entered() == 2);
        gate.open();
        eventually("the new value is stored", || old_plain(&cache, gate.clone(), 7, 10) == 12);
    }
}

/// However the old value goes, the refresh does not bring back what it read before.
#[tokio::test]
async fn a_refresh_overtaken_by_an_invalidation_is_not_stored() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let is_remote = format!("{cache:?}").contains("redis://");
        let ways = if is_remote { 0..6 } else { 0..4 };
        for way in ways {
            let refused = cache.stats().refused;
            let gate = open();
            assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
            expired(old_entry(&cache, 7, 10)).await;
            gate.close();
            assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
            gate.wait_for(2).await;
            let mut stored = None;
            match way {
                0 => assert!(old_entry(&other, 7, 10).invalidate().await.unwrap()),
                1 => assert!(old_group(&other, 7).invalidate().await.unwrap()),
                2 => {
                    old_group(&other, 7).invalidate().await.unwrap();
                    assert_eq!(old(&other, open(), 7, 10).await, 11);
                    stored = Some(11);
                }
                3 => {
                    assert!(old_entry(&other, 7, 10).put(&99).await.unwrap());
                    stored = Some(99);
                }
                // A program in another language knows no companion.
                4 => drop(server.cli(&["HDEL", HASH, &field_of(&old_entry(&cache, 7, 10))])),
                _ => drop(server.cli(&["UNLINK", HASH])),
            }
            gate.open();
            in_time("the refresh ends", async || cache.stats().refused == refused + 1).await;
            let got = old_entry(&other, 7, 10).get().await.unwrap();
            assert!(got == stored || got.is_none() && stored.is_some(), "way {way}: {got:?}");
            // The value that was put is old by now, too.
            let next = old(&other, gate.clone(), 7, 10).await;
            assert!(next >= 13 || Some(next) == stored, "way {way}: {next}");
            grade_group(&cache, 7).invalidate().await.unwrap();
        }
    }
}

/// A companion that is left after its value went stops no call.
#[tokio::test]
async fn a_companion_without_its_value_is_of_no_consequence() {
    let server = Server::start();
    let (cache, gate) = (remote(&server), open());
    let field = field_of(&old_entry(&cache, 7, 10));
    let mark = [&[9; 16][..], b"9999999999999999"].concat();
    let mut connection = server.connection();
    redis::cmd("HSET").arg(HASH).arg(format!("{field}\0r")).arg(mark).exec(&mut connection).unwrap();
    assert_eq!(old_entry(&cache, 7, 10).get().await.unwrap(), None);
    assert!(old_group(&cache, 7).is_empty().await.unwrap());
    assert_eq!(old(&cache, gate.clone(), 7, 10).await, 11);
    assert_eq!(fields(&server), [field], "it went with the lease");
    expired(old_entry(&cache, 7, 10)).await;
    in_time("it is refreshed", async || old(&cache, gate.clone(), 7, 10).await > 11).await;
}

#[tokio::test]
async fn a_failed_refresh_pauses_and_leaves_the_old_value() {
    #[redis_cached(prefix = "grp", name = "flaky", group = "class:{class}", ttl = "30ms", stale_while_revalidate = "1h", cache = cache, skip(cache, runs, fails))]
    async fn flaky(cache: &Cache, runs: &Arc<AtomicUsize>, fails: bool, class: u64) -> Result<u64, String> {
        let run = runs.fetch_add(1, SeqCst) as u64 + 1;
        if fails { Err(format!("run {run} fails")) } else { Ok(class + run) }
    }
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let runs = Arc::new(AtomicUsize::new(0));
        assert_eq!(flaky(&cache, &runs, false, 7).await, Ok(8));
        expired(flaky_entry(&cache, 7)).await;
        let begun = Instant::now();
        assert_eq!(flaky(&cache, &runs, true, 7).await, Ok(8));
        in_time("a refresh fails", async || runs.load(SeqCst) == 2).await;
        tokio::time::sleep(Duration::from_millis(20)).await;
        for cache in [&cache, &other].repeat(20) {
            assert_eq!(flaky(cache, &runs, true, 7).await, Ok(8));
        }
        if begun.elapsed() < Duration::from_millis(900) {
            assert_eq!(runs.load(SeqCst), 2, "not tried by every call, of any process");
        }
        in_time("it is tried again", async || flaky(&other, &runs, false, 7).await != Ok(8)).await;
        assert!(begun.elapsed() >= Duration::from_millis(900), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn refreshed_ahead_in_a_group() {
    #[redis_cached(prefix = "grp", name = "ahead", group = "class:{class}", ttl = "2s", refresh_ahead = 0.05, cache = cache, skip(cache, gate))]
    async fn ahead(cache: &Cache, gate: Arc<Gate>, class: u64) -> u64 {
        class + gate.pass().await as u64
    }
    let server = Server::start();
    for cache in caches(&server) {
        let gate = open();
        assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
        gate.close();
        in_time("it is refreshed", async || {
            assert_eq!(ahead(&cache, gate.clone(), 7).await, 8);
            gate.entered() == 2
        })
        .await;
        assert!(ahead_entry(&cache, 7).ttl().await.unwrap().is_some(), "it is still fresh");
        gate.open();
        in_time("it is stored", async || ahead_entry(&cache, 7).get().await.unwrap() == Some(9)).await;
    }
}

#[tokio::test]
async fn where_the_body_fails_the_old_value_is_served() {
    #[redis_cached(prefix = "grp", name = "kept", group = "class:{class}", ttl = "30ms", stale_if_error = "1h", cache = cache, skip(cache, runs, fails))]
    async fn kept(cache: &Cache, runs: &AtomicUsize, fails: bool, class: u64) -> Result<u64, String> {
        let run = runs.fetch_add(1, SeqCst) as u64 + 1;
        if fails { Err(format!("run {run} fails")) } else { Ok(class + run) }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        assert_eq!(kept(&cache, &runs, false, 7).await, Ok(8));
        expired(kept_entry(&cache, 7)).await;
        let begun = Instant::now();
        for _ in 0..50 {
            assert_eq!(kept(&cache, &runs, true, 7).await, Ok(8));
        }
        if begun.elapsed() < Duration::from_millis(900) {
            assert_eq!(runs.load(SeqCst), 2, "not tried by every call");
        }
        in_time("it is tried again", async || kept(&cache, &runs, false, 7).await != Ok(8)).await;
        expired(kept_entry(&cache, 7)).await;
        kept_group(&cache, 7).invalidate().await.unwrap();
        assert!(kept(&cache, &runs, true, 7).await.is_err(), "nothing old after an invalidation");
    }
}
