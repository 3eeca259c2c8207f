//! The items that can be invalidated, also together: entries, groups and tags.

use crate::engine::context::Context;
use crate::error::Error;
use crate::key::Key;

/// An item for [`Cache::invalidate_all`](crate::Cache::invalidate_all): the entry of any function, a group, or a tag.
///
/// A transaction collects what it makes stale, and the collection is dropped with the transaction if that is
/// rolled back:
///
/// ```
/// use redis_cached::{Cache, Invalidation, redis_cached};
///
/// #[redis_cached(cache = cache, skip(cache))]
/// async fn user(cache: &Cache, id: u64) -> String {
///     format!("user {id}")
/// }
///
/// #[redis_cached(group = "class:{class_id}", cache = cache, skip(cache))]
/// async fn seat(cache: &Cache, class_id: u64, user_id: u64) -> u64 {
///     class_id + user_id
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), redis_cached::Error> {
/// # let cache = &Cache::builder("memory://")?.build();
/// let mut stale: Vec<Invalidation> = Vec::new();
/// // … UPDATE users …
/// stale.push(user_entry(cache, 42).into());
/// // … DELETE FROM seats …
/// stale.push(seat_group(cache, 7).into());
/// stale.push(Invalidation::tag("org:7"));
/// // … COMMIT …
/// cache.invalidate_all(stale).await?;
/// # Ok(())
/// # }
/// ```
///
/// Nothing is sent before `invalidate_all`.
#[derive(Clone, Debug)]
pub struct Invalidation(Item);

#[derive(Clone, Debug)]
enum Item {
    /// An entry or a group of this cache.
    Key(Context, Result<Key, Error>),
    Tag(String),
}

impl Invalidation {
    /// All entries under a tag, as [`Cache::invalidate_tag`](crate::Cache::invalidate_tag) invalidates them. The tag is looked for in the cache
    /// whose `invalidate_all` is called.
    ///
    /// ```
    /// use redis_cached::{Cache, Invalidation};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// # let cache = Cache::builder("memory://")?.build();
    /// cache.invalidate_all(["org:7", "org:9"].map(Invalidation::tag)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tag(tag: impl Into<String>) -> Invalidation {
        Invalidation(Item::Tag(tag.into()))
    }

    pub(crate) fn new(cache: &Context, key: Result<Key, Error>) -> Invalidation {
        Invalidation(Item::Key(cache.clone(), key))
    }
}

impl From<&Invalidation> for Invalidation {
    fn from(invalidation: &Invalidation) -> Invalidation {
        invalidation.clone()
    }
}

/// The keys to invalidate, by the cache that they are in.
pub(crate) type ByCache = Vec<(Context, Vec<Key>)>;

/// The keys to invalidate in each cache, and the error of the first item that has no key. Entries and groups are in
/// their own cache, tags in `asked`.
pub(crate) fn by_cache(
    asked: &Context,
    invalidations: impl IntoIterator<Item = impl Into<Invalidation>>,
) -> (ByCache, Result<(), Error>) {
    let mut caches = ByCache::new();
    let mut wrong = Ok(());
    for invalidation in invalidations {
        let (cache, key) = match invalidation.into().0 {
            Item::Key(cache, key) => (cache, key),
            Item::Tag(tag) => (asked.clone(), Ok(Key::of_tag(asked.namespace(), &tag))),
        };
        match key {
            Ok(key) => match caches.iter_mut().find(|(known, _)| known.is_same(&cache)) {
                Some((_, keys)) => keys.push(key),
                None => caches.push((cache, vec![key])),
            },
            Err(error) => wrong = wrong.and(Err(error)),
        }
    }
    (caches, wrong)
}
