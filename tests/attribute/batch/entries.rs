//! Each id has an entry of its own: what the body is asked for, and what is stored.

use super::*;

// The ids that bodies were asked for.

#[tokio::test]
async fn the_body_gets_what_is_missing_in_the_order_given() {
    let server = Server::start();
    for face in FACES {
        for cache in caches(&server) {
            cache.invalidate_all((0..10).map(|id| rows_entry(&cache, id))).await.unwrap();
            let source = Source::open();
            assert_eq!(call(face, &cache, &source, [5, 3]).await, source.rows(&[5, 3]));
            assert_eq!(source.asked(), [[5, 3]]);
            let ids = [9, 5, 1, 3, 2];
            assert_eq!(call(face, &cache, &source, ids).await, source.rows(&ids));
            assert_eq!(source.asked(), [[9, 1, 2]]);
            source.version.store(1, SeqCst);
            assert_eq!(call(face, &cache, &source, [2, 9]).await.len(), 2);
            assert_eq!(source.asked(), [[0; 0]; 0], "all hits");
            let stats = cache.stats();
            assert_eq!((stats.misses, stats.hits, stats.stored), (5, 4, 5), "{stats:?}");
        }
    }
}

#[tokio::test]
async fn an_id_that_is_given_twice_is_asked_for_and_returned_once() {
    #[redis_cached(prefix = "batch", name = "pairs", batch(id in ids), cache = cache, skip(cache, source))]
    async fn pairs(cache: &Cache, source: &Source, ids: Vec<u64>) -> Vec<(u64, String)> {
        let rows = source.load(&ids).await;
        ids.into_iter().map(|id| (id, rows[&id].clone())).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            let found = pairs(&cache, &source, vec![7, 1, 7, 7, 2, 1]).await;
            assert_eq!(found.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [7, 1, 2]);
        }
        assert_eq!(source.asked(), [[7, 1, 2]]);
    }
}

#[tokio::test]
async fn without_ids_nothing_is_sent_and_no_body_runs() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let source = Source::open();
    call(Face::Async, &cache, &source, [1]).await; // connects
    call(Face::Plain, &cache, &source, [1]).await;
    source.asked();
    let mut monitor = server.monitor();
    for face in FACES {
        assert_eq!(call(face, &cache, &source, []).await, Rows::new());
    }
    assert!(rows_refresh(&cache, &source, &[]).await.is_empty());
    assert_eq!(monitor.commands(), Vec::<Vec<String>>::new());
    assert_eq!(source.asked(), [[0; 0]; 0]);
}

#[tokio::test]
async fn hits_are_one_mget() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let source = Source::open();
    for face in FACES {
        call(face, &cache, &source, [3, 1, 2]).await;
        let mut monitor = server.monitor();
        call(face, &cache, &source, [2, 3, 1]).await;
        assert_eq!(monitor.commands(), [["MGET", "batch:row:2", "batch:row:3", "batch:row:1"]]);
    }
}

#[tokio::test]
async fn what_is_missing_is_leased_in_one_pipeline_and_filled_in_another() {
    let server = Server::start();
    let proxy = server.proxy();
    let cache = Cache::builder(&proxy.url()).unwrap().timeout(PATIENCE).build();
    for (face, first) in FACES.into_iter().zip([0, 100]) {
        let source = Source::open();
        let ids: Vec<u64> = (first..first + 50).collect();
        let (missing, warm): (Vec<u64>, Vec<u64>) = ids.iter().partition(|id| *id % 5 == 3);
        call(face, &cache, &source, warm).await;
        source.asked();
        let mut monitor = server.monitor();
        proxy.set(Mode::Delay(Duration::from_millis(100)));
        let begun = Instant::now();
        assert_eq!(call(face, &cache, &source, ids.clone()).await, source.rows(&ids));
        let elapsed = begun.elapsed();
        proxy.set(Mode::Pass);
        assert_eq!(source.asked(), [missing]);
        let commands = monitor.commands();
        assert_eq!((commands[0][0].as_str(), commands[0].len()), ("MGET", 51));
        let names = names(&commands);
        // A read asks now and then for the server's role and time; then come ten leases with the time, and
        // ten fills.
        let first = names.len() - 21;
        assert!(matches!(first, 1 | 2), "{names:?}");
        assert_eq!(names[first + 10], "TIME", "{names:?}");
        let (leases, fills) = (&names[first..first + 10], &names[first + 11..]);
        let is_write = |name: &String| matches!(name.as_str(), "SET" | "EVAL" | "EVALSHA");
        assert!(leases.iter().chain(fills).all(is_write), "{names:?}");
        // Three round trips, on a busy machine; one after another they would be twenty-one.
        assert!(elapsed < Duration::from_millis(1200), "{elapsed:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_ids_are_more_than_a_pipeline_takes() {
    fn text(id: u64) -> String {
        "x".repeat(if id % 500 == 7 { 100_000 } else { 200 + id as usize % 200 })
    }
    #[redis_cached(prefix = "batch", name = "text", key = "{id}", batch(id in ids), cache = cache, skip(cache, asked))]
    async fn texts(cache: &Cache, asked: &AtomicUsize, ids: &[u64]) -> Rows {
        asked.fetch_add(ids.len(), SeqCst);
        ids.iter().map(|id| (*id, text(*id))).collect()
    }
    #[redis_cached(prefix = "batch", name = "text", key = "{id}", batch(id in ids), cache = cache, skip(cache, asked))]
    fn texts_blocking(cache: &Cache, asked: &AtomicUsize, ids: &[u64]) -> Rows {
        asked.fetch_add(ids.len(), SeqCst);
        ids.iter().map(|id| (*id, text(*id))).collect()
    }
    let server = Server::start();
    for cache in ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().timeout(PATIENCE).build()) {
        let asked = AtomicUsize::new(0);
        let ids: Vec<u64> = (0..10_000).collect();
        let is_right = |found: &Rows| found.len() == 10_000 && found.iter().all(|(id, found)| *found == text(*id));
        assert!(is_right(&texts(&cache, &asked, &ids).await));
        assert_eq!(asked.load(SeqCst), 10_000);
        for _ in 0..2 {
            assert!(is_right(&texts_blocking(&cache, &asked, &ids)));
            assert!(is_right(&texts(&cache, &asked, &ids).await));
        }
        assert_eq!(asked.load(SeqCst), 10_000, "all of them are stored");

        cache.invalidate_all((0..10_000).step_by(2).map(|id| texts_entry(&cache, id))).await.unwrap();
        assert!(is_right(&texts_blocking(&cache, &asked, &ids)));
        assert_eq!(asked.load(SeqCst), 15_000);
        assert!(is_right(&texts(&cache, &asked, &ids).await));
        assert_eq!(asked.load(SeqCst), 15_000);
    }
}

// Types.

#[tokio::test]
async fn any_collection_of_ids_and_any_map() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
    struct Id {
        tenant: String,
        number: u32,
    }

    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    async fn tree(cache: &Cache, ids: BTreeSet<u64>) -> BTreeMap<u64, u64> {
        ids.into_iter().map(|id| (id, id * 2)).collect()
    }
    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    fn set(cache: &Cache, ids: &HashSet<u64>) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, id * 2)).collect()
    }
    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    #[allow(clippy::ptr_arg, reason = "what is tested")]
    async fn vec(cache: &Cache, ids: &Vec<u64>) -> Result<Vec<(u64, u64)>, String> {
        Ok(ids.iter().map(|id| (*id, id * 2)).collect())
    }
    #[redis_cached(prefix = "kinds", batch(id in ids), cache = cache, skip(cache))]
    fn strings(cache: &Cache, ids: &[String]) -> Result<BTreeMap<String, usize>, std::io::Error> {
        Ok(ids.iter().map(|id| (id.clone(), id.len())).collect())
    }
    #[redis_cached(prefix = "kinds", name = "user", key = "{id.tenant}:{id.number}", batch(id in ids), cache = cache, skip(cache))]
    async fn structs(cache: &Cache, ids: &[Id]) -> HashMap<Id, String> {
        ids.iter().map(|id| (id.clone(), format!("{}/{}", id.tenant, id.number))).collect()
    }
    #[redis_cached(prefix = "kinds", name = "user", key = "{tenant}:{id}", batch(id in numbers), cache = cache, skip(cache))]
    async fn beside<'a>(cache: &Cache, tenant: Cow<'a, str>, numbers: Vec<u32>) -> HashMap<u32, String> {
        numbers.iter().map(|id| (*id, format!("{tenant}/{id}"))).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..2 {
            assert_eq!(tree(&cache, BTreeSet::from([3, 1])).await, BTreeMap::from([(1, 2), (3, 6)]));
            assert_eq!(set(&cache, &HashSet::from([3, 1])), HashMap::from([(1, 2), (3, 6)]));
            assert_eq!(vec(&cache, &vec![3, 1]).await.unwrap(), [(3, 6), (1, 2)]);
            let names = ["red shoes", "", "é:{}"].map(str::to_owned);
            let lengths = names.iter().map(|name| (name.clone(), name.len())).collect();
            assert_eq!(strings(&cache, &names).unwrap(), lengths);
            let ids = [("a:1", 2), ("a", 12), ("b", 2)].map(|(tenant, number)| Id { tenant: tenant.into(), number });
            let texts = structs(&cache, &ids).await;
            assert_eq!(ids.each_ref().map(|id| texts[id].as_str()), ["a:1/2", "a/12", "b/2"]);
            let texts = beside(&cache, "a".into(), vec![12, 4]).await;
            assert_eq!((texts[&12].as_str(), texts[&4].as_str()), ("a/12", "a/4"));
        }
        assert_eq!(structs_entry(&cache, Id { tenant: "a".into(), number: 4 }).get().await.unwrap().unwrap(), "a/4");
        let stats = cache.stats();
        assert_eq!((stats.misses, stats.hits), (2 + 2 + 2 + 3 + 3 + 1, 2 + 2 + 2 + 3 + 3 + 3), "{stats:?}");
    }
}

#[tokio::test]
async fn a_batch_is_send_where_its_parts_are() {
    // Neither the values nor the error need to be `Sync`, and the error not even `Send`.
    #[redis_cached(prefix = "send", batch(id in ids), tags = |_| ["cell"], cache = cache, skip(cache))]
    async fn cells(cache: &Cache, ids: &[u64]) -> Result<HashMap<u64, Cell<u64>>, std::rc::Rc<str>> {
        tokio::task::yield_now().await;
        Ok(ids.iter().map(|id| (*id, Cell::new(*id))).collect())
    }
    let server = Server::start();
    for cache in caches(&server) {
        for _ in 0..2 {
            let cache = cache.clone();
            let sum = tokio::spawn(async move {
                let cells = cells(&cache, &[1, 2]).await.unwrap_or_default();
                cells.values().map(Cell::get).sum::<u64>()
            });
            assert_eq!(sum.await.unwrap(), 3);
        }
        assert_eq!((cache.stats().misses, cache.stats().hits), (2, 2));
    }
}

// The pairs that the body returns.

/// A function whose bodies return these pairs.
#[redis_cached(prefix = "batch", name = "given", batch(id in ids), cache = cache, skip(cache, source, pairs))]
async fn given(cache: &Cache, source: &Source, pairs: &[(u64, u64)], ids: &[u64]) -> Vec<(u64, u64)> {
    source.load(ids).await;
    pairs.to_vec()
}

#[tokio::test]
async fn what_was_not_asked_for_is_returned_and_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let found = given(&cache, &source, &[(5, 50), (1, 10), (6, 60), (2, 20)], &[1, 2]).await;
        assert_eq!(found, [(1, 10), (2, 20), (5, 50), (6, 60)]);
        assert_eq!(given_entry(&cache, 5).get().await.unwrap(), None);
        assert_eq!(given_entry(&cache, 2).get().await.unwrap(), Some(20));
        // The stored value counts for an id that was found.
        let found = given(&cache, &source, &[(1, 11), (3, 30)], &[1, 3]).await;
        assert_eq!(found, [(1, 10), (3, 30)]);
        assert_eq!(source.asked(), [vec![1, 2], vec![3]]);
        assert_eq!(cache.stats().stored, 3);
    }
}

#[tokio::test]
async fn an_id_with_two_pairs_is_returned_twice_and_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            let found = given(&cache, &source, &[(1, 10), (2, 20), (1, 11)], &[1, 2]).await;
            assert_eq!(sorted(found), [(1, 10), (1, 11), (2, 20)]);
        }
        assert_eq!(given_entry(&cache, 1).get().await.unwrap(), None);
        assert_eq!(given_entry(&cache, 2).get().await.unwrap(), Some(20));
        assert_eq!(source.asked(), [vec![1, 2], vec![1]]);
    }
}

#[tokio::test]
async fn an_id_without_a_value_is_remembered_with_none_ttl() {
    #[redis_cached(prefix = "batch", name = "absent", batch(id in ids), none_ttl = "1h", cache = cache, skip(cache, source))]
    async fn remembered(cache: &Cache, source: &Source, ids: &[u64]) -> Result<Rows, String> {
        Ok(source.load(ids).await.into_iter().filter(|(id, _)| id % 2 == 0).collect())
    }
    #[redis_cached(prefix = "batch", name = "asked", batch(id in ids), cache = cache, skip(cache, source))]
    fn asked_again(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load_blocking(ids).into_iter().filter(|(id, _)| id % 2 == 0).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..3 {
            assert_eq!(remembered(&cache, &source, &[1, 2, 3]).await, Ok(source.rows(&[2])));
        }
        assert_eq!(source.asked(), [[1, 2, 3]]);
        assert_eq!(remembered_entry(&cache, 1).get().await.unwrap(), None, "an entry has values alone");
        assert!(remembered_entry(&cache, 1).invalidate().await.unwrap());
        assert_eq!(remembered(&cache, &source, &[1, 2, 3]).await, Ok(source.rows(&[2])));
        assert_eq!(source.asked(), [[1]]);

        for _ in 0..2 {
            assert_eq!(asked_again(&cache, &source, &[1, 2, 3]), source.rows(&[2]));
        }
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![1, 3]]);
    }
}

#[tokio::test]
async fn values_may_be_options() {
    type Found = HashMap<u64, Option<u64>>;

    // 0 is left out, odd ones are `None`.
    fn found(ids: &[u64]) -> Found {
        ids.iter().filter(|id| **id > 0).map(|id| (*id, (id % 2 == 0).then_some(*id))).collect()
    }
    #[redis_cached(prefix = "options", batch(id in ids), none_ttl = 60, cache = cache, skip(cache, source))]
    async fn with(cache: &Cache, source: &Source, ids: &[u64]) -> Found {
        source.load(ids).await;
        found(ids)
    }
    #[redis_cached(prefix = "options", batch(id in ids), cache = cache, skip(cache, source))]
    fn without(cache: &Cache, source: &Source, ids: &[u64]) -> Result<Found, ()> {
        source.load_blocking(ids);
        Ok(found(ids))
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        let expected = Found::from([(1, None), (2, Some(2))]);
        for _ in 0..2 {
            assert_eq!(with(&cache, &source, &[0, 1, 2]).await, expected);
        }
        // An id that is left out is not one that is `None`, and is not remembered.
        assert_eq!(source.asked(), [vec![0, 1, 2], vec![0]]);
        assert_eq!(with_entry(&cache, 1).get().await.unwrap(), Some(None));
        assert_eq!(with_entry(&cache, 0).get().await.unwrap(), None);
        for _ in 0..2 {
            assert_eq!(without(&cache, &source, &[0, 1, 2]).unwrap(), expected);
        }
        assert_eq!(source.asked(), [vec![0, 1, 2], vec![0, 1]]);
    }
}

// Settings, each for each id.

#[tokio::test]
async fn lifetimes_and_conditions_are_those_of_each_value() {
    #[redis_cached(
        prefix = "each", batch(id in ids), cache = cache, skip(cache, source),
        ttl = |n: &u64| Duration::from_secs(*n), cache_if = |n: &u64| n.is_multiple_of(2),
    )]
    async fn each(cache: &Cache, source: &Source, ids: &[u64]) -> HashMap<u64, u64> {
        source.load(ids).await;
        ids.iter().map(|id| (*id, *id)).collect()
    }
    #[redis_cached(prefix = "each", batch(id in ids), ttl = 1000, jitter = 0.5, cache = cache, skip(cache))]
    fn jittered(cache: &Cache, ids: &[u64]) -> HashMap<u64, u64> {
        ids.iter().map(|id| (*id, *id)).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        for _ in 0..2 {
            // 0 has no lifetime, and odd ones are not stored.
            assert_eq!(each(&cache, &source, &[0, 1, 60, 61, 600]).await.len(), 5);
        }
        assert_eq!(source.asked(), [vec![0, 1, 60, 61, 600], vec![0, 1, 61]]);
        for (id, most) in [(60, 60), (600, 600)] {
            let left = each_entry(&cache, id).ttl().await.unwrap().unwrap();
            assert!(left <= Duration::from_secs(most) && left > Duration::from_secs(most / 2), "{left:?}");
        }
        let ids: Vec<u64> = (0..50).collect();
        jittered(&cache, &ids);
        let left = ids.iter().map(|id| jittered_entry(&cache, *id).ttl().unwrap().unwrap().as_secs());
        let left: HashSet<u64> = left.collect();
        assert!(left.len() > 10 && left.iter().all(|left| (490..=1000).contains(left)), "{left:?}");
    }
}

#[tokio::test]
async fn what_another_version_stored_is_asked_for_again() {
    #[redis_cached(prefix = "versions", name = "row", key = "{id}", batch(id in ids), cache = cache, skip(cache, source))]
    async fn old(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "versions", name = "row", key = "{id}", version = 2, batch(id in ids), cache = cache, skip(cache, source))]
    async fn new(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await
    }
    #[redis_cached(prefix = "versions", name = "row", key = "{id}", version = 2, batch(id in ids), cache = cache, skip(cache, source))]
    async fn of_another_type(cache: &Cache, source: &Source, ids: &[u64]) -> HashMap<u64, (u64, String)> {
        source.load(ids).await.into_iter().map(|(id, row)| (id, (id, row))).collect()
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        old(&cache, &source, &[1, 2, 3]).await;
        for _ in 0..2 {
            assert_eq!(new(&cache, &source, &[2, 4]).await, source.rows(&[2, 4]));
        }
        assert_eq!(source.asked(), [vec![1, 2, 3], vec![2, 4]]);
        for _ in 0..2 {
            assert_eq!(of_another_type(&cache, &source, &[3, 4]).await[&4], (4, source.row(4)));
        }
        assert_eq!(source.asked(), [[3, 4]]);
        assert_eq!(old(&cache, &source, &[1, 2, 3, 4]).await, source.rows(&[1, 2, 3, 4]));
        assert_eq!(source.asked(), [[2, 3, 4]]);
        // A single invalidation for all of them.
        assert!(new_entry(&cache, 1).invalidate().await.unwrap());
        old(&cache, &source, &[1, 2]).await;
        assert_eq!(source.asked(), [[1]]);
    }
}

#[tokio::test]
async fn functions_of_one_id_share_the_entries() {
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", none_ttl = "1h", batch(id in ids), cache = cache, skip(cache, source))]
    async fn many(cache: &Cache, source: &Source, ids: &[u64]) -> Rows {
        source.load(ids).await.into_iter().filter(|(id, _)| *id > 0).collect()
    }
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", cache = cache, skip(cache, source))]
    async fn one(cache: &Cache, source: &Source, id: u64) -> String {
        source.load(&[id]).await.remove(&id).unwrap()
    }
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", cache = cache, skip(cache, source))]
    fn one_or_error(cache: &Cache, source: &Source, id: u64) -> Result<String, String> {
        source.load_blocking(&[id]).remove(&id).filter(|_| id > 0).ok_or_else(|| "not there".to_owned())
    }
    #[redis_cached(prefix = "shared", name = "row", key = "{id}", none_ttl = "1h", cache = cache, skip(cache, source))]
    async fn one_or_none(cache: &Cache, source: &Source, id: u64) -> Option<String> {
        source.load(&[id]).await.remove(&id).filter(|_| id > 0)
    }
    let server = Server::start();
    for cache in caches(&server) {
        let source = Source::open();
        many(&cache, &source, &[0, 1, 2]).await;
        assert_eq!(one(&cache, &source, 1).await, source.row(1));
        assert_eq!(one_or_error(&cache, &source, 2), Ok(source.row(2)));
        assert_eq!(one_or_none(&cache, &source, 2).await, Some(source.row(2)));
        assert_eq!(one_or_none(&cache, &source, 0).await, None, "that it is not there");
        assert_eq!(source.asked(), [[0, 1, 2]]);
        // A function that returns no `None` cannot use that answer.
        assert_eq!(one_or_error(&cache, &source, 0), Err("not there".to_owned()));
        assert_eq!(source.asked(), [[0]]);

        one(&cache, &source, 3).await;
        one_or_error(&cache, &source, 4).unwrap();
        one_or_none(&cache, &source, 5).await;
        one_or_none(&cache, &source, 0).await;
        source.asked();
        assert_eq!(many(&cache, &source, &[0, 3, 4, 5]).await, source.rows(&[3, 4, 5]));
        assert_eq!(source.asked(), [[0; 0]; 0]);

        assert!(one_or_error_entry(&cache, 3).invalidate().unwrap());
        assert!(one_or_none_entry(&cache, 0).invalidate().await.unwrap());
        assert_eq!(many(&cache, &source, &[0, 3, 4]).await, source.rows(&[3, 4]));
        assert_eq!(source.asked(), [[0, 3]]);
        assert!(many_entry(&cache, 4).invalidate().await.unwrap());
        assert_eq!(one(&cache, &source, 4).await, source.row(4));
        assert_eq!(source.asked(), [[4]]);
        // A call may wait for an id that another call leads.
        assert_eq!(many_entry(&cache, 4).key().unwrap(), one_entry(&cache, 4).key().unwrap());
    }
}
