//! The items that can be invalidated, also together: entries, groups and tags.

mod text;

use crate::engine::context::Context;
use crate::error::Error;
use crate::key::{self, Key};

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
///
/// # As text
///
/// A process may die after the commit and before the delivery. A transaction can therefore write what it makes stale into
/// a table of its own database, an outbox, as text. Whichever process finds the row delivers it:
///
/// ```
/// use redis_cached::{Cache, Invalidation, redis_cached};
///
/// #[redis_cached(prefix = "shop", cache = cache, skip(cache))]
/// async fn user(cache: &Cache, id: u64) -> String {
///     format!("user {id}")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), redis_cached::Error> {
/// # let cache = &Cache::builder("memory://")?.namespace("staging").build();
/// let row = Invalidation::from(user_entry(cache, 42)).to_string();
/// assert!(row.starts_with("v1 entry@staging shop:") && row.ends_with("user:42"));
/// // … in another process, later …
/// cache.invalidate_all([row.parse::<Invalidation>()?]).await?;
/// # Ok(())
/// # }
/// ```
///
/// The text is one line, and stays readable for later versions of this library:
///
/// ```text
/// text  = "v1 entry" ["@" namespace] " " key            shop:users.user:42
///       | "v1 entry" ["@" namespace] " " hash " " field  shop:#group:class:7 seat:7:1
///       | "v1 group" ["@" namespace] " " hash           shop:#group:class:7
///       | "v1 tag " name                               org:7
///       | "v1 none"
/// ```
///
/// - Keys are written as `redis-cli` shows them, without the namespace, and names of tags as in the key of their stamp.
///   Arguments of more than 200 bytes are a digest, so that a text rarely has more than 500 bytes.
/// - An entry or a group keeps its namespace. A tag has none: it is looked for in that of the cache whose `invalidate_all` is
///   called, as always. The server is not in the text: the cache that delivers it decides.
/// - `none` is an entry whose arguments cannot be made into a key. Its function runs uncached, and there is nothing to
///   deliver.
/// - A later grammar has another version. Text of an unknown version is refused with [`ErrorKind::Text`](crate::ErrorKind::Text):
///   leave such a row to the newer processes.
#[derive(Clone, Debug)]
pub struct Invalidation(Item);

#[derive(Clone, Debug)]
enum Item {
    /// An entry or a group of this cache.
    Key(Context, Result<Key, Error>),
    /// An entry or a group, from its text.
    Read(Key),
    /// A tag, by its name in keys.
    Tag(String),
    /// An entry that is never stored, from its text.
    Nothing,
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
        Invalidation(Item::Tag(key::tag_name(&tag.into())))
    }

    /// The same as from its text.
    #[cfg(feature = "inspect")]
    pub(crate) fn read(key: Key) -> Invalidation {
        Invalidation(Item::Read(key))
    }

    /// A tag by its name in keys.
    #[cfg(feature = "inspect")]
    pub(crate) fn tag_by_name(name: &str) -> Invalidation {
        Invalidation(Item::Tag(name.to_owned()))
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
/// their own cache; tags, and what was read from text, are in `asked`.
pub(crate) fn by_cache(
    asked: &Context,
    invalidations: impl IntoIterator<Item = impl Into<Invalidation>>,
) -> (ByCache, Result<(), Error>) {
    let mut caches = ByCache::new();
    let mut wrong = Ok(());
    for invalidation in invalidations {
        let (cache, key) = match invalidation.into().0 {
            Item::Key(cache, key) => (cache, key),
            Item::Read(key) => (asked.clone(), Ok(key)),
            Item::Tag(name) => (asked.clone(), Ok(Key::of_tag_name(asked.namespace(), &name))),
            Item::Nothing => continue,
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
