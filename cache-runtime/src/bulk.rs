//! What a cache is asked about many entries at once.

use crate::cache::Cache;
use crate::engine::Engine;
use crate::error::Error;
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
