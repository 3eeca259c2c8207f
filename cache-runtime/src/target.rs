//! What several functions' entries, groups and tags have in common: they can be invalidated.

use crate::cache::Cache;
use crate::error::Error;
use crate::key::Key;

/// What [`Cache::invalidate_all`] invalidates: the entry of any function, a group, or a tag.
///
/// A transaction collects what it makes stale, and the collection is dropped with it if it is rolled
/// back:
///
/// ```
/// use redis_cached::{Cache, Target, redis_cached};
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
/// let mut stale: Vec<Target> = Vec::new();
/// // … UPDATE users …
/// stale.push(user_entry(cache, 42).into());
/// // … DELETE FROM seats …
/// stale.push(seat_group(cache, 7).into());
/// stale.push(Target::tag("org:7"));
/// // … COMMIT …
/// cache.invalidate_all(stale).await?;
/// # Ok(())
/// # }
/// ```
///
/// Making one asks nobody.
#[derive(Clone, Debug)]
pub struct Target(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Key(Cache, Result<Key, Error>),
    Tag(String),
}

impl Target {
    /// All entries under a tag, of the cache that is asked: as [`Cache::invalidate_tag`].
    pub fn tag(tag: impl Into<String>) -> Target {
        Target(Kind::Tag(tag.into()))
    }

    pub(crate) fn new(cache: &Cache, key: Result<Key, Error>) -> Target {
        Target(Kind::Key(cache.clone(), key))
    }
}

impl From<&Target> for Target {
    fn from(target: &Target) -> Target {
        target.clone()
    }
}

/// What is to be invalidated in one cache each.
pub(crate) type ByCache = Vec<(Cache, Vec<Key>)>;

/// The keys to invalidate in each cache, and what is wrong with the first target that has none. An
/// entry or a group is in a cache of its own, a tag in `asked`.
pub(crate) fn by_cache(
    asked: &Cache,
    targets: impl IntoIterator<Item = impl Into<Target>>,
) -> (ByCache, Result<(), Error>) {
    let mut caches = ByCache::new();
    let mut wrong = Ok(());
    for target in targets {
        let (cache, key) = match target.into().0 {
            Kind::Key(cache, key) => (cache, key),
            Kind::Tag(tag) => (asked.clone(), Ok(Key::of_tag(asked.namespace(), &tag))),
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
