//! The verbs of a cache about several entries.

#[cfg(feature = "tokio")]
use crate::api::cache::Cache;
#[cfg(feature = "tokio")]
use crate::api::entry::Entry;
#[cfg(feature = "tokio")]
use crate::api::group::{Group, group};
#[cfg(feature = "tokio")]
use crate::api::invalidation::{self, Invalidation};
#[cfg(feature = "tokio")]
use crate::engine::Engine;
use crate::engine::context::Context;
use crate::error::Error;
use crate::key::Key;
use crate::plan::function::Plan;

#[cfg(feature = "tokio")]
impl Cache {
    /// Invalidates all entries under a tag, of all functions that use this namespace on the same Redis. The tag is
    /// the text that the attribute makes: `"org:7"` for `tags = ["org:{org_id}"]`.
    ///
    /// ```
    /// # use redis_cached::Cache;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// # let cache = Cache::builder("memory://")?.build();
    /// let was_in_use = cache.invalidate_tag("org:7").await?;
    /// # assert!(!was_in_use);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The result is true if the tag was in use. Computations in flight are voided as by
    /// [`Entry::invalidate`](crate::Entry::invalidate), except for tags that a closure makes of the value, which a
    /// computation does not have before its value is there. This is one command, whatever the number of entries.
    ///
    /// # Errors
    ///
    /// The store could not be asked within its time-out, or refused. The cache then keeps the invalidation: it delivers
    /// it before this process reads an entry under the tag again.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<bool, Error> {
        Ok(Engine::tokio(&self.0).invalidate_all(&[Key::of_tag(self.0.namespace(), tag)]).await? > 0)
    }

    /// Invalidates entries of any functions, groups and tags in one round trip for up to 1,024 of them, and returns how
    /// many of them held something. Each round trip has the time-out, and after a failure the rest is not sent. Entries
    /// and groups of another cache are invalidated there, in round trips of its own.
    /// [`Invalidation`] shows how a transaction collects them.
    ///
    /// ```
    /// use redis_cached::{Cache, Invalidation, redis_cached};
    ///
    /// #[redis_cached(cache = cache, skip(cache))]
    /// async fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// # let cache = &Cache::builder("memory://")?.build();
    /// name(cache, 1).await;
    /// let stale = [name_entry(cache, 1).into(), name_entry(cache, 2).into(), Invalidation::tag("org:7")];
    /// assert_eq!(cache.invalidate_all(stale).await?, 1); // only user 1 was stored
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The first error, after all was tried. The cache keeps what it could not deliver, as
    /// [`Entry::invalidate`](crate::Entry::invalidate) does.
    pub async fn invalidate_all(
        &self,
        invalidations: impl IntoIterator<Item = impl Into<Invalidation>>,
    ) -> Result<u64, Error> {
        let (caches, mut outcome) = invalidation::by_cache(&self.0, invalidations);
        let mut sum = 0;
        for (cache, keys) in caches {
            match Engine::tokio(&cache).invalidate_all(&keys).await {
                Ok(count) => sum += count,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| sum)
    }

    /// The values of entries, in their order, where they are stored and fresh.
    ///
    /// ```
    /// use redis_cached::{Cache, redis_cached};
    ///
    /// #[redis_cached(cache = cache, skip(cache))]
    /// async fn name(cache: &Cache, id: u64) -> String {
    ///     format!("user {id}")
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), redis_cached::Error> {
    /// # let cache = &Cache::builder("memory://")?.build();
    /// name(cache, 2).await;
    /// let names = cache.get_all(&[name_entry(cache, 1), name_entry(cache, 2)]).await?;
    /// assert_eq!(names, [None, Some("user 2".to_owned())]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// This is one `MGET` for up to 1,024 entries, as [`Entry::get`] is one `GET`. Entries of another cache are read
    /// there.
    ///
    /// # Errors
    ///
    /// The first error of any entry: [`ErrorKind::Key`](crate::ErrorKind::Key), or the failure of a read.
    pub async fn get_all<V>(&self, entries: &[Entry<V>]) -> Result<Vec<Option<V>>, Error> {
        let (mut found, parts) = by_cache(&self.0, entries.iter().map(Entry::parts))?;
        for (cache, places, entries) in parts {
            let values = Engine::tokio(cache).get_all(&entries).await?;
            places.into_iter().zip(values).for_each(|(place, value)| found[place] = value);
        }
        Ok(found)
    }

    /// A group by its name: the prefix, a `:`, and what the attribute's `group` makes of the arguments. The key of the
    /// hash, which [`Group::key`] shows, has a `#group:` after the prefix; it may be given here too, without the
    /// namespace. The `…_group` function of a cached function does this by itself. Nothing is sent.
    ///
    /// ```
    /// # use redis_cached::Cache;
    /// # let cache = Cache::builder("memory://")?.build();
    /// assert_eq!(cache.group("shop:class:7").key()?, "shop:#group:class:7");
    /// # Ok::<(), redis_cached::Error>(())
    /// ```
    pub fn group(&self, name: &str) -> Group {
        group(&self.0, Key::of_group(self.0.namespace(), name))
    }
}

/// The entries of one cache: their positions in the caller's list, and what a read needs.
type Part<'a, V> = (&'a Context, Vec<usize>, Vec<(&'a Plan<V>, &'a Key)>);

/// A list for the values of entries, and the entries by their caches. `asked` comes first.
#[expect(clippy::type_complexity, reason = "two results, each used at once")]
pub(crate) fn by_cache<'a, V>(
    asked: &'a Context,
    entries: impl Iterator<Item = Result<(&'a Context, &'a Plan<V>, &'a Key), Error>>,
) -> Result<(Vec<Option<V>>, Vec<Part<'a, V>>), Error> {
    let mut parts: Vec<Part<'a, V>> = vec![(asked, Vec::new(), Vec::new())];
    let mut found = Vec::new();
    for (place, entry) in entries.enumerate() {
        let (cache, plan, key) = entry?;
        found.push(None);
        match parts.iter_mut().find(|(known, ..)| known.is_same(cache)) {
            Some((_, places, entries)) => {
                places.push(place);
                entries.push((plan, key));
            }
            None => parts.push((cache, vec![place], vec![(plan, key)])),
        }
    }
    parts.retain(|(_, places, _)| !places.is_empty());
    Ok((found, parts))
}
