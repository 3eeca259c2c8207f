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

mod methods {
    use super::*;

    struct Repo {
        tenant: &'static str,
        db: Db,
    }

    impl Repo {
        const TTL: u64 = 60;

        fn new(tenant: &'static str) -> Repo {
            Repo { tenant, db: Db::new() }
        }

        #[redis_cached(name = "by_ref", key = "{self.tenant}:{id}", cache = self.db.cache, ttl = Self::TTL)]
        async fn by_ref(&self, id: u64) -> String {
            self.db.runs.count();
            format!("{}{id}", self.tenant)
        }

        #[redis_cached(skip(self), cache = self.db.cache)]
        async fn by_mut(&mut self, id: u64) -> String {
            self.db.runs.count();
            self.tenant = "other";
            format!("{id}")
        }

        #[redis_cached(skip(self), cache = self.db.cache)]
        async fn by_value(self, id: u64) -> String {
            self.db.runs.count();
            format!("{id}")
        }

        #[redis_cached(skip(self), cache = self.db.cache)]
        fn by_mut_value(mut self, id: u64) -> String {
            self.tenant = "other";
            format!("{}{id}", self.tenant)
        }

        #[redis_cached(name = "arc", key = "{self.tenant}", cache = self.db.cache)]
        async fn by_arc(self: Arc<Self>) -> String {
            self.db.runs.count();
            self.tenant.to_owned()
        }

        #[redis_cached(name = "arc_ref", key = "{self.tenant}", cache = self.db.cache)]
        async fn by_arc_ref(self: &Arc<Self>) -> String {
            self.db.runs.count();
            self.tenant.to_owned()
        }

        #[redis_cached(skip(self), cache = self.db.cache)]
        #[expect(clippy::boxed_local, reason = "that is the test")]
        fn by_box(self: Box<Self>, id: u64) -> u64 {
            id
        }

        #[redis_cached(skip(self), cache = self.db.cache)]
        fn by_rc(self: Rc<Self>, id: u64) -> u64 {
            id
        }

        /// Nothing in it says that it stands in an `impl` block.
        #[redis_cached(cache = CACHE)]
        async fn associated(id: u64) -> u64 {
            id + 1
        }

        #[redis_cached(cache = CACHE)]
        fn associated_on_one_line(id: u64) -> u64 {
            id + 2
        }

        /// A function in a method's body is none.
        fn outer(id: u64) -> u64 {
            #[redis_cached(cache = CACHE)]
            fn inner(id: u64) -> u64 {
                id + 3
            }
            inner(id)
        }
    }

    #[tokio::test]
    async fn receivers() {
        let mut repo = Repo::new("acme");
        assert_eq!(is_send(repo.by_ref(1)).await, "acme1");
        assert_eq!(repo.by_ref(1).await, "acme1");
        assert_eq!(repo.db.runs.so_far(), 1);
        assert_eq!(repo.by_ref_entry(1).key().unwrap(), "attribute:by_ref:acme:1");
        assert_eq!(repo.by_ref_uncached(1).await, "acme1");

        assert_eq!(is_send(repo.by_mut(1)).await, "1");
        assert_eq!(repo.by_mut(1).await, "1");
        assert_eq!((repo.db.runs.so_far(), repo.tenant), (3, "other"));
        assert_eq!(repo.by_mut_entry(1).key().unwrap(), "attribute:functions.methods.Repo.by_mut:1");

        assert_eq!(is_send(repo.by_value(1)).await, "1");
        assert_eq!(Repo::new("a").by_mut_value(1), "other1");
        assert_eq!(Box::new(Repo::new("a")).by_box(1), 1);
        assert_eq!(Rc::new(Repo::new("a")).by_rc(1), 1);

        let repo = Arc::new(Repo::new("arc"));
        assert_eq!(is_send(repo.by_arc_ref()).await, "arc");
        assert_eq!(repo.by_arc_ref_entry().key().unwrap(), "attribute:arc_ref:arc");
        assert_eq!(is_send(Arc::clone(&repo).by_arc()).await, "arc");
        assert_eq!(repo.clone().by_arc().await, "arc");
        assert_eq!(repo.db.runs.so_far(), 2);
    }

    #[tokio::test]
    async fn without_a_receiver() {
        assert_eq!(Repo::associated(1).await, 2);
        assert_eq!(Repo::associated_entry(1).key().unwrap(), "attribute:functions.methods.Repo.associated:1");
        assert_eq!(Repo::associated_on_one_line(1), 3);
        assert_eq!(Repo::outer(1), 4);
    }
}

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

mod generic {
    use super::*;

    pub(super) trait Kind {
        const NAME: &'static str;
    }
    pub(super) struct Red;
    pub(super) struct Blue;
    impl Kind for Red {
        const NAME: &'static str = "red";
    }
    impl Kind for Blue {
        const NAME: &'static str = "blue";
    }

    #[redis_cached(cache = CACHE)]
    async fn name_of<K: Kind, const N: usize>(times: u8) -> String {
        format!("{}{N}{times}", K::NAME)
    }

    #[tokio::test]
    async fn parameters_are_part_of_the_name() {
        assert_eq!(name_of::<Red, 2>(3).await, "red23");
        assert_eq!(name_of::<Blue, 2>(3).await, "blue23");
        assert_eq!(name_of::<Blue, 1>(3).await, "blue13");
        let entry = name_of_entry::<Red, 2>(3);
        assert_eq!(entry.key().unwrap(), "attribute:functions.generic.name_of<attribute.functions.generic.Red,2>:3");
    }

    #[redis_cached(cache = CACHE)]
    fn parsed<T>(text: &str) -> Option<T>
    where
        T: Serialize + for<'de> Deserialize<'de> + std::str::FromStr,
    {
        text.parse().ok()
    }

    #[test]
    fn a_returned_type_is_part_of_the_name() {
        assert_eq!(parsed::<u64>("1"), Some(1));
        assert_eq!(parsed::<String>("1").as_deref(), Some("1"));
        assert_eq!(parsed_entry::<String>("1").get().unwrap().flatten().as_deref(), Some("1"));
    }

    trait Source {
        fn get(&self, id: u64) -> String;
    }
    impl Source for &str {
        fn get(&self, id: u64) -> String {
            format!("{self}{id}")
        }
    }

    #[redis_cached(cache = CACHE, skip(source))]
    async fn read<'a, S: Source + Send + 'a>(source: S, id: u64) -> String {
        source.get(id)
    }

    #[redis_cached(cache = CACHE, skip(fetch))]
    async fn fetched<T, F, Fut>(id: u64, fetch: F) -> Result<T, String>
    where
        T: Serialize + serde::de::DeserializeOwned,
        F: FnOnce(u64) -> Fut,
        Fut: Future<Output = Result<T, String>>,
    {
        fetch(id).await
    }

    #[tokio::test]
    async fn those_of_skipped_parameters_are_not() {
        assert_eq!(is_send(read("a", 1)).await, "a1");
        assert_eq!(read("b", 1).await, "a1");
        assert_eq!(read_entry(1).key().unwrap(), "attribute:functions.generic.read:1");

        assert_eq!(is_send(fetched(1, async |id| Ok(id + 1))).await, Ok(2));
        assert_eq!(fetched::<u64, _, _>(1, async |_| Err(String::new())).await, Ok(2));
        assert_eq!(fetched_entry::<u64>(1).key().unwrap(), "attribute:functions.generic.fetched<u64>:1");
    }

    struct Repo<T>(T);

    impl<T: Display + Send + Sync> Repo<T> {
        #[redis_cached(cache = CACHE, skip(self))]
        async fn shown(&self, id: u64) -> String {
            format!("{}{id}", self.0)
        }

        #[redis_cached(cache = CACHE)]
        fn with_impl(value: impl Display + Serialize, extra: impl Into<u64> + Serialize) -> String {
            format!("{value}{}", extra.into())
        }
    }

    #[tokio::test]
    async fn those_of_an_impl_block() {
        assert_eq!(Repo(1_u8).shown(1).await, "11");
        assert_eq!(Repo("x").shown(1).await, "x1");
        assert_eq!(Repo::<u8>::shown_entry(1).key().unwrap(), "attribute:functions.generic.Repo<u8>.shown:1");
        assert_eq!(Repo::<u8>::with_impl("a", 2_u8), "a2");
        assert_eq!(
            Repo::<u8>::with_impl_entry("a", 2_u8).key().unwrap(),
            "attribute:functions.generic.Repo<u8>.with_impl<&str,u8>:a:2"
        );
    }
}

mod patterns {
    use super::*;

    /// As axum's: no `Serialize`.
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

mod in_traits {
    use super::*;

    trait Find {
        async fn find(&self, id: u64) -> Result<String, String>;
        fn count(self, id: u64) -> u64;
        fn make(id: u64) -> u64;
    }

    #[derive(Serialize, Clone, Copy)]
    struct Repo(u64);

    impl Find for Repo {
        #[redis_cached(siblings = off, cache = CACHE)]
        async fn find(&self, id: u64) -> Result<String, String> {
            if id == 0 {
                return Err("zero".into());
            }
            let id: u64 = id.to_string().parse().map_err(|_| "no number".to_owned())?;
            Ok(format!("{}{id}", self.0))
        }

        #[redis_cached(siblings = off, cache = CACHE)]
        fn count(mut self, mut id: u64) -> u64 {
            self.0 += 1;
            id += 1;
            if id > 100 {
                return 0;
            }
            self.0 + id
        }

        #[redis_cached(siblings = off, cache = CACHE)]
        fn make(id: u64) -> u64 {
            id
        }
    }

    trait Provided: Serialize {
        fn base(&self) -> u64;

        #[redis_cached(siblings = off, cache = CACHE)]
        fn doubled(&self) -> u64 {
            self.base() * 2
        }
    }

    impl Provided for Repo {
        fn base(&self) -> u64 {
            self.0
        }
    }

    #[tokio::test]
    async fn alone() {
        for _ in 0..2 {
            assert_eq!(Repo(1).find(2).await, Ok("12".into()));
            assert_eq!(Repo(1).find(0).await, Err("zero".into()));
            assert_eq!(Repo(1).count(2), 5);
            assert_eq!(Repo::make(1), 1);
            assert_eq!(Repo(2).doubled(), 4);
        }
    }

    #[async_trait::async_trait]
    trait FindBoxed: Sync {
        async fn find(&self, id: u64, name: &str, (a, b): (u8, u8)) -> Result<String, String>;
        async fn shared<T: Serialize + Send + Sync>(&self, what: T) -> String;
    }

    #[async_trait::async_trait]
    impl FindBoxed for Db {
        #[redis_cached(siblings = off, skip(self), cache = self.cache, ttl = 60)]
        async fn find(&self, id: u64, name: &str, (a, b): (u8, u8)) -> Result<String, String> {
            self.runs.count();
            if id == 0 {
                return Err("zero".into());
            }
            Ok(format!("{id}{name}{a}{b}"))
        }

        #[redis_cached(siblings = off, skip(self), cache = self.cache)]
        async fn shared<T: Serialize + Send + Sync>(&self, what: T) -> String {
            self.runs.count();
            serde_json::to_string(&what).unwrap()
        }
    }

    #[tokio::test]
    async fn under_async_trait() {
        let db = Db::new();
        for _ in 0..2 {
            assert_eq!(is_send(FindBoxed::find(&db, 1, "a", (2, 3))).await, Ok("1a23".into()));
            assert_eq!(db.shared(true).await, "true");
        }
        assert_eq!(db.runs.so_far(), 2);
        assert!(FindBoxed::find(&db, 0, "a", (2, 3)).await.is_err());
        assert!(FindBoxed::find(&db, 0, "a", (2, 3)).await.is_err());
        assert_eq!(db.runs.so_far(), 4);
    }
}

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

mod attributes {
    use super::*;

    #[redis_cached(cache = CACHE)]
    #[tracing_attributes::instrument(skip(db), ret)]
    #[must_use]
    #[expect(unused_mut, reason = "goes with the body")]
    async fn instrumented_below(#[allow(unused_variables)] db: &str, mut id: u64) -> u64 {
        id
    }

    #[tracing_attributes::instrument(skip(db), ret)]
    #[redis_cached(cache = CACHE)]
    async fn instrumented_above(db: &str, id: u64) -> u64 {
        let _ = db;
        id
    }

    #[redis_cached(cache = CACHE)]
    #[cfg(any())]
    fn conditional(id: NoSuchType) -> NoSuchType {
        id
    }

    #[redis_cached(cache = CACHE)]
    #[deprecated = "use another one"]
    #[inline]
    fn old(id: u64) -> u64 {
        id
    }

    #[tokio::test]
    async fn stay() {
        assert_eq!(instrumented_below("a", 1).await, 1);
        assert_eq!(instrumented_above("a", 1).await, 1);
        #[expect(deprecated, reason = "that is the test")]
        let old = (old(1), old_refresh(1));
        assert_eq!(old, (1, 1));
    }
}

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

mod rarer {
    use std::error::Error;
    use std::fmt::Debug;
    use std::pin::Pin;

    use super::*;

    type Result<T, E = Box<dyn Error + Send + Sync>> = core::result::Result<T, E>;

    #[derive(Debug, PartialEq)]
    struct Located<'a>(&'a str);

    #[redis_cached(cache = CACHE)]
    async fn elided_error(text: &str) -> Result<usize, Located<'_>> {
        if text.is_empty() { Err(Located(text)) } else { Ok(text.len()) }
    }

    #[redis_cached(cache = CACHE)]
    fn aliased_result(id: u64) -> Result<u64> {
        let text = id.to_string();
        macro_rules! parse {
            ($text:expr) => {
                $text.parse::<u64>()?
            };
        }
        Ok(parse!(text))
    }

    #[redis_cached(cache = CACHE, skip(find, log))]
    async fn trait_objects(find: &(dyn Fn(u64) -> u64 + Sync), log: Box<dyn FnOnce() + Send>, id: u64) -> u64 {
        log();
        tokio::task::yield_now().await;
        find(id)
    }

    #[redis_cached(cache = CACHE, skip(db))]
    async fn lifetimes<'db, 'text>(db: &'db Db, text: &'text str) -> usize
    where
        'text: 'db,
    {
        db.runs.count();
        text.len()
    }

    #[redis_cached(cache = CACHE, skip(compute))]
    async fn async_closure(id: u64, compute: impl AsyncFnOnce(u64) -> u64) -> u64 {
        compute(id).await
    }

    #[derive(Serialize)]
    struct Shape {
        sides: u64,
    }

    trait Polygon: Serialize + Sized {
        fn sides(&self) -> u64;

        #[redis_cached(cache = CACHE)]
        fn angles(&self) -> u64
        where
            Self: Debug,
        {
            (self.sides() - 2) * 180
        }
    }

    impl Debug for Shape {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("shape")
        }
    }

    impl Polygon for Shape {
        fn sides(&self) -> u64 {
            self.sides
        }
    }

    impl Shape {
        #[redis_cached(cache = CACHE, key = "{self.sides}")]
        fn pinned(self: Pin<&mut Self>) -> u64 {
            self.sides
        }

        #[redis_cached(cache = CACHE)]
        fn triangle() -> Vec<u64> {
            vec![Self { sides: 3 }.sides]
        }
    }

    struct Stack<T>(Vec<T>);

    impl<T: Clone + Serialize + serde::de::DeserializeOwned> IntoIterator for Stack<T> {
        type Item = T;
        type IntoIter = std::vec::IntoIter<T>;

        fn into_iter(self) -> Self::IntoIter {
            self.items().into_iter()
        }
    }

    impl<T: Clone + Serialize + serde::de::DeserializeOwned> Stack<T> {
        #[redis_cached(cache = CACHE, name = "stack", key = "{self.0}")]
        fn items(&self) -> Vec<T> {
            self.0.clone()
        }
    }

    #[redis_cached(cache = CACHE, name = "boxed", key = "{id}", skip(name))]
    fn boxed_future<'a>(id: u64, name: &'a str) -> Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>> {
        if id == 0 {
            return Box::pin(async { None });
        }
        Box::pin(async move { Some(name.to_owned()) })
    }

    #[tokio::test]
    async fn shapes() {
        assert_eq!(elided_error("").await, Err(Located("")));
        assert_eq!(elided_error("ab").await, Ok(2));
        assert_eq!(elided_error_entry("ab").get().await.unwrap(), Some(2));
        assert_eq!(aliased_result(5).unwrap(), 5);
        assert_eq!(aliased_result_entry(5).get().unwrap(), Some(5));
        assert_eq!(is_send(trait_objects(&|id| id + 1, Box::new(|| ()), 1)).await, 2);
        assert_eq!(trait_objects_entry(1).get().await.unwrap(), Some(2));
        assert_eq!(lifetimes(&Db::new(), "abc").await, 3);
        assert_eq!(lifetimes_entry("abc").get().await.unwrap(), Some(3));
        assert_eq!(async_closure(1, async |id| id + 1).await, 2);
        assert_eq!(Shape { sides: 3 }.angles(), 180);
        assert_eq!(Shape { sides: 3 }.angles_entry().get().unwrap(), Some(180));
        assert_eq!(Pin::new(&mut Shape { sides: 5 }).pinned(), 5);
        assert_eq!(Shape { sides: 5 }.pinned_entry().get().unwrap(), Some(5));
        assert_eq!(Shape::triangle(), [3]);
        assert_eq!(Stack(vec![1_u8, 2]).into_iter().count(), 2);
        assert_eq!(is_send(boxed_future(1, "a")).await.as_deref(), Some("a"));
        assert_eq!(boxed_future_entry(1).get().await.unwrap().flatten().as_deref(), Some("a"));
        assert_eq!(boxed_future(0, "a").await, None);
    }
}

/// Traits of the user's whose methods all types have, in scope: none of them gets in the way.
mod with_traits_for_all_types {
    use std::collections::HashMap;
    use std::sync::Arc;

    use redis_cached::redis_cached;

    macro_rules! of_all_types {
        ($name:ident: $($self:tt)*) => {
            #[expect(dead_code, reason = "its methods are in scope, which is all")]
            #[allow(clippy::wrong_self_convention, reason = "the names are those that generated code calls")]
            trait $name {
                fn codec($($self)*) {}
                fn found($($self)*) {}
                fn kept($($self)*) {}
                fn key_part($($self)*) {}
                fn errors($($self)*) {}
                fn nones($($self)*) {}
                fn finish($($self)*) {}
                fn literal($($self)*) {}
                fn tag($($self)*) {}
                fn field($($self)*) {}
                fn function($($self)*) {}
                fn name($($self)*) {}
                fn clone($($self)*) {}
                fn into_ttl($($self)*) {}
                fn borrow($($self)*) {}
            }
            impl<T: ?Sized> $name for T {}
        };
    }
    of_all_types!(ByReference: &self);
    of_all_types!(Mutably: &mut self);

    #[derive(Clone)]
    pub(super) struct Db;

    #[redis_cached(skip(db), tags = "all", group = "of:{id}")]
    pub(super) async fn value(db: &Db, id: u64) -> Option<u64> {
        let _ = db;
        Some(id)
    }

    #[redis_cached(skip(db), stale_while_revalidate = 5)]
    pub(super) async fn behind(db: &Db, text: &str, option: Option<&u64>) -> Result<Vec<u64>, String> {
        let _ = (db, text);
        Ok(option.copied().into_iter().collect())
    }

    #[redis_cached(skip(db), refresh_ahead = 0.5, ttl = |_: &u64| 5)]
    pub(super) fn plain(db: Arc<Db>, (a, b): (u64, u64)) -> u64 {
        let _ = db;
        a + b
    }

    #[redis_cached(skip(db), batch(id in ids))]
    pub(super) async fn batch(db: Db, ids: &[u64]) -> HashMap<u64, Vec<String>> {
        let _ = db;
        ids.iter().map(|id| (*id, vec![id.to_string()])).collect()
    }

    #[redis_cached(siblings = off)]
    pub(super) fn alone(text: String) -> usize {
        text.len()
    }
}

#[tokio::test]
async fn traits_for_all_types_are_not_in_the_way() {
    use with_traits_for_all_types::{Db, alone, batch, behind, plain, value};
    assert_eq!(value(&Db, 9001).await, Some(9001));
    assert_eq!(behind(&Db, "text", Some(&1)).await, Ok(vec![1]));
    assert_eq!(plain(std::sync::Arc::new(Db), (9001, 1)), 9002);
    assert_eq!(batch(Db, &[9001]).await.len(), 1);
    assert_eq!(alone("9001".to_owned()), 4);
}

/// What a formatter would indent.
mod not_formatted {
    use std::sync::Arc;

    use redis_cached::redis_cached;

    pub(super) struct Repo;

    #[rustfmt::skip]
impl Repo {
#[redis_cached]
pub(super) fn associated(id: u64) -> u64 {
    id
}
#[redis_cached]
pub(super) async fn later(id: u64) -> u64 { id }
    // `self` by the name of its type.
    #[redis_cached(skip(self))] pub(super) fn by_name(self: Repo, id: u64) -> u64 { id }
}

    #[derive(serde::Serialize)]
    pub(super) struct Tenant {
        pub(super) number: u64,
    }

    impl Tenant {
        #[redis_cached]
        pub(super) fn by_value(self: Tenant, id: u64) -> u64 {
            self.number + id
        }

        #[redis_cached]
        pub(super) fn by_reference(self: &Tenant, id: u64) -> u64 {
            self.number + id
        }

        #[redis_cached]
        pub(super) fn by_pointer(self: Arc<Tenant>, id: u64) -> u64 {
            self.number + id
        }
    }

    macro_rules! function {
        ($name:ident $body:block) => {
            #[redis_cached]
            pub(super) fn $name(_id: u64) -> u64 $body

            pub(super) mod $name {
                #[redis_cached::redis_cached(siblings = off)]
                pub(in super::super) async fn later(_id: u64) -> u64 $body
            }
        };
    }

    function!(of_a_block { 9005 });

    #[redis_cached(skip(type))]
    pub(super) fn raw(r#type: &str, r#id: u64) -> u64 {
        let _ = r#type;
        id
    }
}

#[tokio::test]
async fn other_spellings_are_the_same() {
    use not_formatted::{Repo, Tenant, of_a_block, raw};
    assert_eq!(Repo::associated(9002), 9002);
    assert!(Repo::associated_entry(9002).key().unwrap().ends_with("Repo.associated:9002"));
    assert_eq!(Repo::later(9003).await, 9003);
    assert_eq!(Repo.by_name(9004), 9004);
    let keys = [
        Tenant { number: 1 }.by_value_entry(2).key().unwrap().to_owned(),
        Tenant { number: 1 }.by_reference_entry(2).key().unwrap().to_owned(),
        std::sync::Arc::new(Tenant { number: 1 }).by_pointer_entry(2).key().unwrap().to_owned(),
    ];
    assert!(keys.iter().all(|key| key.ends_with(":(number=1):2")), "{keys:?}");
    assert_eq!(Tenant { number: 1 }.by_value(2) + Tenant { number: 1 }.by_reference(2), 6);
    assert_eq!(std::sync::Arc::new(Tenant { number: 1 }).by_pointer(2), 3);
    assert_eq!((of_a_block(1), of_a_block::later(1).await), (9005, 9005));
    assert_eq!(raw("a", 9006), 9006);
    assert!(not_formatted::raw_entry(9006).key().unwrap().ends_with("raw:9006"));
}
