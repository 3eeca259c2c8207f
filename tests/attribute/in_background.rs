//! The shapes of function that can be refreshed in the background. What a refresh does is tested
//! where it is started; here each has to compile, and to return what it did before.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::{self, Display};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, LazyLock};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};

static CACHE: LazyLock<Cache> = LazyLock::new(|| Cache::builder("memory://").unwrap().build());

fn is_send<T: Send>(value: T) -> T {
    value
}

/// A handle, as of a pool of connections.
#[derive(Clone)]
struct Pool {
    cache: Cache,
}

impl Pool {
    fn new() -> Pool {
        Pool { cache: Cache::builder("memory://").unwrap().build() }
    }
}

/// No `Clone`, so that it is never shared with followers.
#[derive(Debug, PartialEq)]
struct Failed;

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}
impl Error for Failed {}

mod asynchronous {
    use super::*;

    #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
    async fn nothing() -> u64 {
        7
    }

    #[redis_cached(cache = CACHE, refresh_ahead = 0.8, stale_while_revalidate = "30s")]
    async fn owned(id: u64, name: String, tags: Vec<String>) -> String {
        format!("{id}{name}{}", tags.concat())
    }

    #[redis_cached(cache = pool.cache, skip(pool), stale_while_revalidate = 30)]
    async fn referents(pool: &Pool, name: &str, tags: &[String], path: &Path, id: &u64) -> Result<String, Failed> {
        let _ = &pool.cache;
        Ok(format!("{name}{}{}{id}", tags.concat(), path.display()))
    }

    #[redis_cached(cache = CACHE, refresh_ahead = 0.5)]
    async fn static_ones(name: &'static str, tags: Vec<&'static str>, cow: Cow<'static, str>) -> String {
        format!("{name}{}{cow}", tags.concat())
    }

    #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
    async fn options<'a>(name: Option<&'a str>, id: Option<u64>, tags: Option<&'a [u8]>) -> Option<String> {
        Some(format!("{}{}{}", name?, id?, tags?.len()))
    }

    #[redis_cached(cache = CACHE, stale_while_revalidate = forever)]
    async fn cows(name: Cow<'_, str>, bytes: Option<Cow<'static, [u8]>>) -> String {
        format!("{name}{}", bytes.iter().len())
    }

    #[redis_cached(cache = CACHE, skip(pool, other), name = "arcs", key = "{&*shown}", stale_while_revalidate = "30s")]
    async fn arcs(pool: &Arc<Pool>, other: Arc<Pool>, shown: Arc<str>) -> String {
        let _ = (pool, other);
        shown.to_string()
    }

    #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
    async fn patterns((a, mut b): (u8, u8), [first, ..]: [u8; 3], _: bool, mut r#type: u8) -> u8 {
        b += 1;
        r#type += 1;
        a + b + first + r#type
    }

    #[redis_cached(cache = CACHE, skip(with), stale_while_revalidate = "30s")]
    async fn impls(
        text: impl Into<String> + Serialize + Clone + Send + 'static,
        shown: &(impl Display + Serialize + Clone + Send + Sync + 'static),
        with: impl Fn(&str) -> usize + Clone + Send + 'static,
    ) -> String {
        let text: String = text.into();
        format!("{text}{shown}{}", with(&text))
    }

    #[redis_cached(cache = CACHE, skip(load), stale_while_revalidate = "30s", single_flight = process)]
    async fn generic<K, F, Fut, const N: usize>(key: &K, keys: &[K], load: F) -> Result<usize, String>
    where
        K: Serialize + Clone + Send + Sync + 'static,
        F: FnOnce(K) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = usize> + Send,
    {
        Ok(load(key.clone()).await + keys.len() + N)
    }

    #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
    async fn only_returned<T: Default + Serialize + serde::de::DeserializeOwned + Send + 'static>(id: u64) -> T {
        let _ = id;
        T::default()
    }

    /// The form that `#[async_trait]` leaves.
    #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
    fn boxed<'life0, 'async_trait>(
        name: &'life0 str,
    ) -> Pin<Box<dyn Future<Output = Result<String, Failed>> + Send + 'async_trait>>
    where
        'life0: 'async_trait,
    {
        Box::pin(async move { Ok(name.to_owned()) })
    }

    const PERIOD: std::time::Duration = std::time::Duration::from_secs(30);

    /// Names that generated code uses, too.
    #[redis_cached(cache = CACHE, stale_while_revalidate = PERIOD, lease = PERIOD)]
    async fn names(cache: &str, plan: u64, key: u64, __self: u64, errors: u64) -> String {
        format!("{cache}{plan}{key}{__self}{errors}")
    }

    macro_rules! function {
        ($name:ident, $ty:ty) => {
            #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
            async fn $name(id: $ty, text: Option<$ty>) -> String {
                format!("{id}{}", text.unwrap_or_default())
            }
        };
    }
    function!(by_macro, &str);

    #[tokio::test]
    async fn parameters() {
        for _ in 0..2 {
            assert_eq!(is_send(nothing()).await, 7);
            assert_eq!(is_send(owned(1, "a".to_owned(), vec!["b".to_owned()])).await, "1ab");
            let (pool, tags) = (Pool::new(), ["b".to_owned()]);
            let read = is_send(referents(&pool, "a", &tags, Path::new("c"), &1)).await;
            assert_eq!(read.as_deref(), Ok("abc1"));
            assert_eq!(is_send(static_ones("a", vec!["b"], "c".into())).await, "abc");
            assert_eq!(is_send(options(Some("a"), Some(1), Some(&[2]))).await.as_deref(), Some("a11"));
            assert_eq!(is_send(cows("a".into(), Some(vec![1].into()))).await, "a1");
            let pool = Arc::new(pool);
            assert_eq!(is_send(arcs(&pool, pool.clone(), "a".into())).await, "a");
            assert_eq!(is_send(patterns((1, 2), [3; 3], true, 4)).await, 12);
            assert_eq!(is_send(impls("a", &1, str::len)).await, "a11");
            assert_eq!(is_send(generic::<usize, _, _, 2>(&1, &[1, 2], async |key| key)).await, Ok(5));
            assert_eq!(is_send(only_returned::<u64>(1)).await, 0);
            assert_eq!(is_send(names("a", 1, 2, 3, 4)).await, "a1234");
            assert_eq!(is_send(by_macro("a", Some("b"))).await, "ab");
            assert_eq!(is_send(boxed("a")).await.as_deref(), Ok("a"));
        }
        assert_eq!(owned_refresh(1, "a".to_owned(), vec![]).await, "1a");
        assert_eq!(owned_entry(2, "a".to_owned(), vec![]).get().await.unwrap(), None);
    }

    /// Errors of which none can be shared, and none needs to be.
    mod errors {
        use super::*;

        #[redis_cached(cache = CACHE, stale_while_revalidate = "30s", stale_if_error = "1h")]
        async fn not_send(id: u64) -> Result<u64, Rc<str>> {
            id.checked_add(1).ok_or_else(|| "overflow".into())
        }

        #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
        async fn not_clone(id: u64) -> Result<u64, Box<dyn Error + Send + Sync>> {
            Ok(id.checked_add(1).ok_or(Failed)?)
        }

        #[tokio::test]
        async fn are_the_callers_own() {
            assert_eq!(is_send(not_send(1)).await, Ok(2));
            assert_eq!(not_send(u64::MAX).await.unwrap_err().as_ref(), "overflow");
            assert_eq!(is_send(not_clone(1)).await.unwrap(), 2);
            assert!(not_clone(u64::MAX).await.is_err());
        }
    }
}

mod plain {
    use super::*;

    #[redis_cached(cache = CACHE, refresh_ahead = 0.8)]
    fn nothing() -> u64 {
        7
    }

    #[redis_cached(cache = pool.cache, skip(pool), stale_while_revalidate = 30)]
    fn referents(
        pool: &Pool,
        name: &str,
        other: Option<&str>,
        cow: Cow<'_, [u8]>,
        mut id: u64,
    ) -> Result<String, Box<dyn Error>> {
        let _ = &pool.cache;
        id += 1;
        Ok(format!("{name}{}{}{id}", other.ok_or(Failed)?, cow.len()))
    }

    /// A thread of its own may use what another must not.
    #[redis_cached(cache = CACHE, skip(cell), stale_while_revalidate = 30)]
    fn not_sync(cell: &std::cell::Cell<u64>, id: u64) -> u64 {
        cell.set(id);
        cell.get()
    }

    #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
    fn generic<K: Display + Serialize + Clone + Send + 'static, const N: usize>(
        key: K,
        (a, b): (u8, impl Into<u64> + Serialize + Clone + Send + 'static),
    ) -> Result<String, Rc<str>> {
        Ok(format!("{key}{N}{a}{}", b.into()))
    }

    #[test]
    fn parameters() {
        for _ in 0..2 {
            assert_eq!(nothing(), 7);
            assert_eq!(referents(&Pool::new(), "a", Some("b"), vec![1].into(), 1).unwrap(), "ab12");
            assert!(referents(&Pool::new(), "a", None, vec![1].into(), 1).is_err());
            assert_eq!(not_sync(&std::cell::Cell::new(1), 2), 2);
            assert_eq!(generic::<_, 3>("a", (1, 2_u8)).as_deref(), Ok("a312"));
        }
        assert_eq!(nothing_refresh(), 7);
    }
}

mod methods {
    use super::*;

    #[derive(Clone)]
    struct Repo<Key> {
        prefix: Key,
        cache: Cache,
    }

    impl<Key: Display + Serialize + Clone + Send + Sync + 'static> Repo<Key> {
        #[redis_cached(name = "ref", skip(self), cache = self.cache, stale_while_revalidate = "30s")]
        async fn by_ref(&self, id: &str) -> Result<String, Failed> {
            Ok(format!("{}{id}", self.prefix))
        }

        #[redis_cached(skip(self), cache = self.cache, stale_while_revalidate = "30s")]
        async fn by_value(mut self, id: u64) -> String {
            self.cache = CACHE.clone();
            format!("{}{id}", self.prefix)
        }

        #[redis_cached(skip(self), cache = self.cache, stale_while_revalidate = "30s")]
        async fn by_arc(self: Arc<Self>, key: Key) -> Result<String, Box<dyn Error + Send + Sync>> {
            Ok(format!("{}{key}", self.prefix))
        }

        #[redis_cached(skip(self), cache = self.cache, stale_while_revalidate = "30s")]
        async fn by_arc_ref<'a>(self: &'a Arc<Self>, id: &'a u64) -> String {
            format!("{}{id}", self.prefix)
        }

        #[redis_cached(skip(self), cache = self.cache, stale_while_revalidate = "30s")]
        fn plain(&self, id: u64) -> Result<String, Rc<str>> {
            Ok(format!("{}{id}", self.prefix))
        }

        #[redis_cached(skip(self), cache = self.cache, refresh_ahead = 0.5)]
        #[expect(clippy::boxed_local, reason = "that is the test")]
        fn plain_by_box(self: Box<Self>, id: u64) -> String {
            format!("{}{id}", self.prefix)
        }

        #[redis_cached(cache = CACHE, stale_while_revalidate = "30s")]
        async fn associated<With: Display + Serialize + Clone + Send + 'static>(key: Key, with: With) -> String {
            format!("{key}{with}")
        }
    }

    #[tokio::test]
    async fn receivers() {
        let repo = Repo { prefix: "a".to_owned(), cache: Pool::new().cache };
        for _ in 0..2 {
            assert_eq!(is_send(repo.by_ref("1")).await.as_deref(), Ok("a1"));
            assert_eq!(is_send(repo.clone().by_value(1)).await, "a1");
            let shared = Arc::new(repo.clone());
            assert_eq!(is_send(shared.by_arc_ref(&1)).await, "a1");
            assert_eq!(is_send(shared.by_arc("b".to_owned())).await.unwrap(), "ab");
            assert_eq!(repo.plain(1).as_deref(), Ok("a1"));
            assert_eq!(Box::new(repo.clone()).plain_by_box(1), "a1");
            assert_eq!(is_send(Repo::associated(1, 2)).await, "12");
        }
        assert_eq!(repo.by_ref_entry("1").get().await.unwrap().as_deref(), Some("a1"));
    }
}

/// Errors of all kinds, without a refresh in the background.
mod shared_errors {
    use super::*;

    type BoxError = Box<dyn Error + Send + Sync>;
    type Found = Result<u64, Failed>;

    #[redis_cached(cache = CACHE, lease = "5s")]
    async fn of_a_box(id: u64) -> Result<u64, BoxError> {
        Ok(id.checked_add(1).ok_or(Failed)?)
    }

    #[redis_cached(cache = CACHE)]
    async fn of_a_box_that_borrows<'a>(id: &'a str) -> Result<u64, Box<dyn Error + Send + Sync + 'a>> {
        id.parse().map_err(|_| id.into())
    }

    #[redis_cached(cache = CACHE, returns = result, share_errors = on)]
    fn of_an_alias(id: u64) -> Found {
        id.checked_add(1).ok_or(Failed)
    }

    #[redis_cached(cache = CACHE)]
    fn of_an_alias_with_one_argument(id: u64) -> std::io::Result<u64> {
        Ok(id)
    }

    #[redis_cached(cache = CACHE)]
    async fn of_a_parameter<T, E>(value: T, error: E) -> Result<T, E>
    where
        T: Serialize + for<'de> Deserialize<'de> + PartialEq + Default,
        E: Serialize,
    {
        if value == T::default() { Err(error) } else { Ok(value) }
    }

    #[redis_cached(cache = CACHE)]
    async fn of_a_long_parameter<Value, Problem: Serialize>(value: Value, error: Problem) -> Result<Value, Problem>
    where
        Value: Serialize + for<'de> Deserialize<'de> + PartialEq + Default,
    {
        if value == Value::default() { Err(error) } else { Ok(value) }
    }

    #[redis_cached(cache = CACHE, share_errors = off, single_flight = off, stale_if_error = 60)]
    fn off(id: u64) -> Result<u64, String> {
        id.checked_add(1).ok_or_else(String::new)
    }

    #[redis_cached(cache = CACHE, siblings = off, stale_if_error = "1h", single_flight = shared)]
    async fn alone(id: u64) -> Result<u64, &'static str> {
        id.checked_add(1).ok_or("overflow")
    }

    struct Repo<K>(K);

    impl<K: Display + Clone> Repo<K> {
        #[redis_cached(cache = CACHE, skip(self))]
        async fn of_the_block(&self, id: u64) -> Result<u64, K> {
            id.checked_add(1).ok_or_else(|| self.0.clone())
        }
    }

    struct Source<Key>(Key);

    impl<Key: Display> Source<Key> {
        #[redis_cached(cache = CACHE, skip(self))]
        async fn of_the_block(self, id: u64) -> Result<u64, Key> {
            id.checked_add(1).ok_or(self.0)
        }
    }

    #[tokio::test]
    async fn every_error_arrives() {
        let text = String::from("x");
        for _ in 0..2 {
            assert_eq!(is_send(of_a_box(u64::MAX)).await.unwrap_err().to_string(), "failed");
            assert_eq!(is_send(of_a_box_that_borrows(&text)).await.unwrap_err().to_string(), "x");
            assert_eq!(of_an_alias(u64::MAX), Err(Failed));
            assert_eq!(of_an_alias_with_one_argument(1).unwrap(), 1);
            assert_eq!(of_a_parameter(0, &*text).await, Err("x"));
            assert_eq!(of_a_long_parameter(0, &*text).await, Err("x"));
            assert_eq!(off(u64::MAX), Err(String::new()));
            assert_eq!(is_send(alone(u64::MAX)).await, Err("overflow"));
            assert_eq!(Repo(&*text).of_the_block(u64::MAX).await, Err("x"));
            assert_eq!(Source(&*text).of_the_block(u64::MAX).await, Err("x"));
        }
    }
}
