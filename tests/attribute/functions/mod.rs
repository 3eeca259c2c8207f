//! Every shape of function that the attribute takes.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};

static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder("memory://").unwrap().build());

/// Counts the runs of a body.
#[derive(Default)]
struct Runs(AtomicUsize);

impl Runs {
    const fn new() -> Runs {
        Runs(AtomicUsize::new(0))
    }

    fn count(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    fn so_far(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn is_send<T: Send>(value: T) -> T {
    value
}

mod free {
    use super::*;

    static RUNS: Runs = Runs::new();

    /// Its documentation.
    #[redis_cached(cache = CACHE)]
    pub(super) async fn asynchronous(id: u64, name: &str, tags: &[String]) -> String {
        RUNS.count();
        format!("{id}{name}{}", tags.concat())
    }

    #[redis_cached(cache = CACHE)]
    fn plain(id: u64, name: &str, tags: &[String]) -> String {
        RUNS.count();
        format!("{id}{name}{}", tags.concat())
    }

    #[tokio::test]
    async fn are_cached() {
        let tags = ["a".to_owned(), "b".to_owned()];
        for _ in 0..2 {
            assert_eq!(is_send(asynchronous(1, "x", &tags)).await, "1xab");
        }
        assert_eq!(RUNS.so_far(), 1);
        assert_eq!(asynchronous_entry(1, "x", &tags).key().unwrap(), "attribute:functions.free.asynchronous:1:x:[a,b]");
        assert_eq!(asynchronous_uncached(1, "x", &tags).await, "1xab");
        assert_eq!(is_send(asynchronous_refresh(1, "x", &tags)).await, "1xab");
        assert_eq!(RUNS.so_far(), 3);
        for _ in 0..2 {
            assert_eq!(plain(1, "x", &tags), "1xab");
        }
        assert_eq!(plain_refresh(1, "x", &tags), "1xab");
        assert_eq!(RUNS.so_far(), 5);
        assert_eq!(plain_entry(1, "x", &tags).get().unwrap().as_deref(), Some("1xab"));
    }
}

#[tokio::test]
async fn without_parameters() {
    static RUNS: Runs = Runs::new();
    #[redis_cached(cache = CACHE)]
    async fn only() -> u64 {
        RUNS.count();
        7
    }
    assert_eq!((only().await, only().await, RUNS.so_far()), (7, 7, 1));
    assert_eq!(only_entry().key().unwrap(), "attribute:functions.without_parameters.~.only");
}

#[tokio::test]
async fn attribute_alone() {
    #[redis_cached]
    async fn alone(id: u64) -> u64 {
        id
    }
    assert_eq!(alone(3).await, 3);
    assert_eq!(alone_entry(3).get().await.unwrap(), Some(3));
}

/// A type that is no `Serialize`, so that it cannot slip into a key.
struct Db {
    runs: Runs,
    cache: Cache,
}

impl Db {
    fn new() -> Db {
        Db { runs: Runs::default(), cache: Cache::builder("memory://").unwrap().build() }
    }
}

mod methods;

#[derive(Serialize, Clone, Copy)]
struct Tenant(u64);

impl Tenant {
    #[redis_cached(cache = CACHE)]
    async fn whole(&self, id: u64) -> u64 {
        self.0 + id
    }

    #[redis_cached(cache = CACHE)]
    fn whole_behind_an_arc(self: &Arc<Self>) -> u64 {
        self.0
    }
}

#[tokio::test]
async fn a_serializable_self_is_part_of_the_key() {
    assert_eq!(Tenant(1).whole(2).await, 3);
    assert_eq!(Tenant(3).whole(2).await, 5);
    assert_eq!(Tenant(1).whole_entry(2).key().unwrap(), "attribute:functions.Tenant.whole:1:2");
    assert_eq!(Arc::new(Tenant(4)).whole_behind_an_arc(), 4);
    assert_eq!(
        Tenant(5).whole_behind_an_arc_entry().key().unwrap(),
        "attribute:functions.Tenant.whole_behind_an_arc:5"
    );
}

mod generic;

mod patterns {
    use super::*;

    /// The same shape as axum's: no `Serialize`.
    struct Path<T>(T);
    struct State {
        db: Db,
    }
    struct Point {
        x: i32,
        y: i32,
    }

    #[redis_cached(cache = state.db.cache, skip(state))]
    async fn handler(Path((org, mut id)): Path<(u64, u64)>, Path(state): Path<Arc<State>>) -> String {
        state.db.runs.count();
        id += 1;
        format!("{org}{id}")
    }

    #[redis_cached(cache = CACHE)]
    fn mixed(
        (a, &b): (u8, &u8),
        Point { x, y: ref renamed }: Point,
        [first, .., last]: [u8; 3],
        _: Db,
        whole @ Path(_): Path<u8>,
        mut count: u8,
    ) -> String
    where
        Path<u8>: Serialize,
    {
        count += 1;
        format!("{a}{b}{x}{renamed}{first}{last}{}{count}", whole.0)
    }

    impl Serialize for Path<u8> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }

    #[tokio::test]
    async fn what_they_bind_is_the_key() {
        let state = Arc::new(State { db: Db::new() });
        for _ in 0..2 {
            assert_eq!(is_send(handler(Path((1, 2)), Path(state.clone()))).await, "13");
        }
        assert_eq!(state.db.runs.so_far(), 1);
        assert_eq!(handler_entry(Path((1, 2)), Path(state)).key().unwrap(), "attribute:functions.patterns.handler:1:2");

        let point = || Point { x: 3, y: 4 };
        assert_eq!(mixed((1, &2), point(), [5, 6, 7], Db::new(), Path(8), 9), "123457810");
        assert_eq!(
            mixed_entry((1, &2), point(), [5, 6, 7], Path(8), 9).key().unwrap(),
            "attribute:functions.patterns.mixed:1:2:3:4:5:7:8:9"
        );
    }
}

mod names {
    use super::*;

    /// Every name that generated code has for itself.
    #[redis_cached(cache = cache, skip(cache))]
    #[expect(clippy::too_many_arguments, reason = "there are that many")]
    async fn taken(
        cache: &Cache,
        plan: u8,
        key: u8,
        codec: u8,
        writer: u8,
        part: u8,
        value: u8,
        ret: u8,
        arg0: u8,
        r#type: u8,
    ) -> u8 {
        plan + key + codec + writer + part + value + ret + arg0 + r#type
    }

    #[redis_cached(name = "taken", key = "{writer}:{part}:{plan}:{r#type}", cache = cache, skip(cache))]
    fn taken_by_template(cache: &Cache, writer: u8, part: u8, plan: u8, r#type: u8) -> u8 {
        writer + part + plan + r#type
    }

    #[redis_cached(cache = CACHE)]
    fn r#match(r#in: u8) -> u8 {
        r#in
    }

    #[tokio::test]
    async fn do_not_clash() {
        assert_eq!(taken(&CACHE, 1, 1, 1, 1, 1, 1, 1, 1, 1).await, 9);
        assert_eq!(taken_by_template(&CACHE, 1, 2, 3, 4), 10);
        assert_eq!(taken_by_template_entry(&CACHE, 1, 2, 3, 4).key().unwrap(), "attribute:taken:1:2:3:4");
        assert_eq!(r#match(1), 1);
        assert_eq!(match_entry(1).key().unwrap(), "attribute:functions.names.match:1");
    }
}

mod blanket {
    //! Methods that every type has, named as those that generated code calls.

    use super::{CACHE, redis_cached};

    trait Everywhere {
        fn literal(&self, _: &str) {}
        fn field(&self, _: &str) {}
        fn tag(&self) {}
        fn finish(&self) {}
    }
    impl<T: ?Sized> Everywhere for T {}

    #[redis_cached(cache = CACHE, name = "blanket", key = "{id}", group = "blanket:{org}", tags = ["blanket:{org}"])]
    pub(super) fn plain(org: u64, id: u64) -> u64 {
        0_u8.literal("");
        0_u8.field("");
        0_u8.tag();
        0_u8.finish();
        org + id
    }
}

mod shadowed {
    //! Types and constructors named as in the prelude.

    use super::{CACHE, Deserialize, Serialize, redis_cached};

    #[derive(Serialize, Deserialize)]
    pub(super) enum Option {
        None,
        Some,
    }
    use self::Option::{None, Some};

    #[expect(dead_code, reason = "only its name matters")]
    struct Box;
    #[expect(dead_code, reason = "only its name matters")]
    struct Result;
    #[expect(dead_code, reason = "only its name matters")]
    fn drop() {}

    #[redis_cached(cache = CACHE)]
    pub(super) fn plain(id: u64) -> Option {
        if id == 0 { None } else { Some }
    }

    #[redis_cached(cache = CACHE, siblings = off)]
    pub(super) async fn asynchronous(id: u64) -> Option {
        if id == 0 { None } else { Some }
    }
}

#[test]
fn a_trait_of_every_type_leaves_keys_groups_and_tags_alone() {
    assert_eq!(blanket::plain(9, 1), 10);
    let entry = blanket::plain_entry(9, 1);
    assert_eq!(entry.key().unwrap(), "attribute:#group:blanket:9 blanket:1");
    assert_eq!(blanket::plain_group(9).len().unwrap(), 1);
    assert_eq!(entry.get().unwrap(), Some(10));
    CACHE.blocking().invalidate_tag("blanket:9").unwrap();
    assert_eq!(entry.get().unwrap(), None);
}

#[tokio::test]
async fn the_prelude_may_be_shadowed() {
    assert!(matches!(shadowed::plain(0), shadowed::Option::None));
    assert!(matches!(shadowed::asynchronous(0).await, shadowed::Option::None));
}

mod in_traits;

mod boxed {
    use std::pin::Pin;

    use super::*;

    static RUNS: Runs = Runs::new();

    #[redis_cached(cache = CACHE)]
    fn sum(n: u64) -> Pin<Box<dyn Future<Output = Result<u64, String>> + Send>> {
        Box::pin(async move {
            RUNS.count();
            if n == 0 { Ok(0) } else { Ok(n + sum(n - 1).await?) }
        })
    }

    #[redis_cached(cache = CACHE)]
    async fn factorial(n: u64) -> u64 {
        RUNS.count();
        if n == 0 { 1 } else { n * Box::pin(factorial(n - 1)).await }
    }

    #[tokio::test]
    async fn recursion() {
        assert_eq!(is_send(sum(4)).await, Ok(10));
        assert_eq!(RUNS.so_far(), 5);
        assert_eq!(sum(5).await, Ok(15));
        assert_eq!(RUNS.so_far(), 6);
        assert_eq!(sum_entry(5).get().await.unwrap(), Some(15));
        assert_eq!(is_send(factorial(4)).await, 24);
        assert_eq!(RUNS.so_far(), 11);
    }
}

mod attributes;
mod formatting;

#[tokio::test]
async fn a_future_that_is_not_send_stays_usable() {
    #[redis_cached(cache = CACHE, skip(shared))]
    async fn local(shared: Rc<RefCell<u64>>, id: u64) -> u64 {
        tokio::task::yield_now().await;
        *shared.borrow_mut() += id;
        id
    }
    let shared = Rc::new(RefCell::new(0));
    assert_eq!(local(shared.clone(), 1).await + local(shared.clone(), 1).await, 2);
    assert_eq!(*shared.borrow(), 1);
}

#[tokio::test]
async fn values_need_no_clone_and_errors_nothing() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Unique(u64);
    struct Opaque<'a>(#[expect(dead_code, reason = "it only has to be there")] &'a Cell);
    struct Cell;
    #[redis_cached(cache = CACHE, skip(cell))]
    async fn fallible<'a>(cell: &'a Cell, id: u64) -> Result<Unique, Opaque<'a>> {
        if id == 0 { Err(Opaque(cell)) } else { Ok(Unique(id)) }
    }
    let cell = Cell;
    assert!(fallible(&cell, 0).await.is_err());
    assert_eq!(fallible(&cell, 1).await.ok(), Some(Unique(1)));
    assert_eq!(fallible_entry(1).get().await.unwrap(), Some(Unique(1)));
}

#[test]
fn parameters_that_borrow() {
    #[redis_cached(cache = CACHE, key = "{a}:{b}:{c}:{d}:{*e}:{f}")]
    fn borrowed<'a, 'b: 'a>(
        a: &'a str,
        b: Cow<'b, str>,
        c: Option<&'a [u8]>,
        d: &&u8,
        e: &mut u8,
        f: Box<str>,
    ) -> String {
        *e += 1;
        format!("{a}{b}{c:?}{d}{e}{f}")
    }
    assert_eq!(borrowed("a", "b".into(), Some(&[1]), &&2, &mut 3, "c".into()), "abSome([1])24c");
    assert_eq!(
        borrowed_entry("a", "b".into(), Some(&[1]), &&2, &mut 3, "c".into()).get().unwrap().as_deref(),
        Some("abSome([1])24c")
    );
}

#[test]
fn same_names_in_other_places_share_nothing() {
    mod one {
        use super::*;
        #[redis_cached(cache = CACHE)]
        pub(super) fn same(id: u64) -> u64 {
            id + 1
        }
    }
    mod two {
        use super::*;
        #[redis_cached(cache = CACHE)]
        pub(super) fn same(id: u64) -> u64 {
            id + 2
        }
    }
    assert_eq!((one::same(0), two::same(0)), (1, 2));
}

#[test]
fn made_by_macros() {
    macro_rules! repo {
        ($name:ident, $method:ident, $ttl:expr, $key:literal, $param:ident: $type:ty => $body:expr) => {
            struct $name;
            impl $name {
                #[redis_cached(cache = CACHE, ttl = $ttl, key = $key)]
                fn $method($param: $type) -> $type {
                    $body
                }
                #[redis_cached(cache = CACHE)]
                fn fixed(id: u64) -> u64 {
                    id
                }
            }
        };
    }
    repo!(Users, double, 60, "double:{x}", x: u64 => x * 2);
    assert_eq!(Users::double(2), 4);
    assert_eq!(Users::double_entry(2).key().unwrap(), "attribute:functions.made_by_macros.Users.double:double:2");
    assert_eq!(Users::fixed(2), 2);
}

#[test]
fn maps_as_parameters() {
    #[redis_cached(cache = CACHE)]
    fn total(of: &BTreeMap<String, u64>) -> u64 {
        of.values().sum()
    }
    assert_eq!(total(&BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)])), 3);
}

mod rarer;

mod with_traits_for_all_types;

#[tokio::test]
async fn traits_for_all_types_are_not_in_the_way() {
    use with_traits_for_all_types::{Db, alone, batch, behind, plain, value};
    assert_eq!(value(&Db, 9001).await, Some(9001));
    assert_eq!(behind(&Db, "text", Some(&1)).await, Ok(vec![1]));
    assert_eq!(plain(std::sync::Arc::new(Db), (9001, 1)), 9002);
    assert_eq!(batch(Db, &[9001]).await.len(), 1);
    assert_eq!(alone("9001".to_owned()), 4);
}
