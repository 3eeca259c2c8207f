//! What a cache is asked about many entries at once.

use crate::cache::Cache;
use crate::engine::Engine;
#[cfg(feature = "blocking")]
use crate::entry;
#[cfg(feature = "tokio")]
use crate::entry::Entry;
use crate::error::Error;
use crate::function::Plan;
use crate::group;
#[cfg(feature = "tokio")]
use crate::group::Group;
use crate::key::Key;
#[cfg(feature = "blocking")]
use crate::once::once;
use crate::target::{self, Target};

impl Cache {
    /// Invalidates all entries under a tag, of all functions that use this namespace on the same
    /// Redis: one command, whatever their number. The tag is its text:
    /// `cache.invalidate_tag("org:7")` for `tags = ["org:{org_id}"]`.
    ///
    /// True if the tag was in use. Computations in flight are voided as by
    /// [`Entry::invalidate`](crate::Entry::invalidate), but for tags that a closure makes of the
    /// value, which no computation has before its value is there.
    ///
    /// Where this fails, the tag is kept in mind and invalidated before this process reads an entry
    /// under it again.
    #[cfg(feature = "tokio")]
    pub async fn invalidate_tag(&self, tag: &str) -> Result<bool, Error> {
        Ok(Engine::tokio(self).invalidate_all(&[Key::of_tag(self.namespace(), tag)]).await? > 0)
    }

    /// [`invalidate_tag`](Self::invalidate_tag) for programs without async.
    #[cfg(feature = "blocking")]
    pub fn invalidate_tag_blocking(&self, tag: &str) -> Result<bool, Error> {
        Ok(once(Engine::blocking(self).invalidate_all(&[Key::of_tag(self.namespace(), tag)]))? > 0)
    }

    /// Invalidates entries of any functions, groups and tags in one round trip; how many of them held
    /// something. Entries and groups of another cache are invalidated there, in a round trip of its
    /// own. See [`Target`] for an example.
    ///
    /// # Errors
    ///
    /// The first that comes up, after all was tried. What could not be delivered is kept in mind, as
    /// by [`Entry::invalidate`](crate::Entry::invalidate).
    #[cfg(feature = "tokio")]
    pub async fn invalidate_all(&self, targets: impl IntoIterator<Item = impl Into<Target>>) -> Result<u64, Error> {
        let (caches, mut outcome) = target::by_cache(self, targets);
        let mut sum = 0;
        for (cache, keys) in caches {
            match Engine::tokio(&cache).invalidate_all(&keys).await {
                Ok(count) => sum += count,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| sum)
    }

    /// [`invalidate_all`](Self::invalidate_all) for programs without async.
    #[cfg(feature = "blocking")]
    pub fn invalidate_all_blocking(&self, targets: impl IntoIterator<Item = impl Into<Target>>) -> Result<u64, Error> {
        let (caches, mut outcome) = target::by_cache(self, targets);
        let mut sum = 0;
        for (cache, keys) in caches {
            match once(Engine::blocking(&cache).invalidate_all(&keys)) {
                Ok(count) => sum += count,
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome.map(|()| sum)
    }

    /// The values of entries, in their order, where they are stored and fresh: one `MGET` for up to
    /// 1,024 of them, as [`Entry::get`] is one `GET`. Entries of another cache are read there.
    #[cfg(feature = "tokio")]
    pub async fn get_all<V>(&self, entries: &[Entry<V>]) -> Result<Vec<Option<V>>, Error> {
        let (mut found, parts) = by_cache(self, entries.iter().map(Entry::parts))?;
        for (cache, places, entries) in parts {
            let values = Engine::tokio(cache).get_all(&entries).await?;
            places.into_iter().zip(values).for_each(|(place, value)| found[place] = value);
        }
        Ok(found)
    }

    /// [`get_all`](Self::get_all) for programs without async.
    #[cfg(feature = "blocking")]
    pub fn get_all_blocking<V>(&self, entries: &[entry::blocking::Entry<V>]) -> Result<Vec<Option<V>>, Error> {
        let (mut found, parts) = by_cache(self, entries.iter().map(entry::blocking::Entry::parts))?;
        for (cache, places, entries) in parts {
            let values = once(Engine::blocking(cache).get_all(&entries))?;
            places.into_iter().zip(values).for_each(|(place, value)| found[place] = value);
        }
        Ok(found)
    }

    /// A group by the key of its hash without the namespace, as [`Group::key`] shows it: prefix, a
    /// `:`, and what the attribute's `group` makes of the arguments. The `…_group` function beside a
    /// cached one knows it by itself.
    #[cfg(feature = "tokio")]
    pub fn group(&self, name: &str) -> Group {
        group::group(self, Key::of_group(self.namespace(), name))
    }

    /// [`group`](Self::group) for programs without async.
    #[cfg(feature = "blocking")]
    pub fn group_blocking(&self, name: &str) -> group::blocking::Group {
        group::blocking::group(self, Key::of_group(self.namespace(), name))
    }
}

/// One cache's share in some entries: their places, and what it takes to read them.
type Part<'a, V> = (&'a Cache, Vec<usize>, Vec<(&'a Plan<V>, &'a Key)>);

/// Room for the values of entries, and the entries by their caches. `asked` comes first.
#[expect(clippy::type_complexity, reason = "two results, each used at once")]
fn by_cache<'a, V>(
    asked: &'a Cache,
    entries: impl Iterator<Item = Result<(&'a Cache, &'a Plan<V>, &'a Key), Error>>,
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
