//! The cached functions: one for each feature, async and plain ones with the same entries.

use std::collections::HashMap;

use redis_cached::{Cache, Entry, Error, blocking, redis_cached};

use super::origin::{Nature, Origin, PlainOrigin, Unavailable};
use super::random;
use super::row::{IDS, Row, TOGETHER, class, first_id};

/// A function for each line: its name, its entries' name, and further arguments of its attribute.
macro_rules! functions {
    (($id:ident, $key:tt) $($function:ident $module:ident $name:literal [$($argument:tt)*];)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Function { $($function),* }

        impl Function {
            pub(super) const ALL: &[Function] = &[$(Function::$function),*];

            /// The entry of an id.
            pub(super) fn entry(self, cache: &Cache, id: u64) -> Entry<Row> {
                match self { $(Function::$function => $module::row_entry(cache, id)),* }
            }

            pub(super) fn plain_entry(self, cache: &Cache, id: u64) -> blocking::Entry<Row> {
                match self { $(Function::$function => $module::plain_entry(cache, id)),* }
            }

            pub(super) async fn call(self, cache: &Cache, origin: &Origin, id: u64) -> Result<Row, Unavailable> {
                match self { $(Function::$function => Box::pin($module::row(cache, origin, id)).await),* }
            }

            pub(super) async fn refresh(self, cache: &Cache, origin: &Origin, id: u64) -> Result<Row, Unavailable> {
                match self { $(Function::$function => Box::pin($module::row_refresh(cache, origin, id)).await),* }
            }

            pub(super) fn call_plain(self, cache: &Cache, origin: &PlainOrigin, id: u64) -> Result<Row, Unavailable> {
                match self { $(Function::$function => $module::plain(cache, origin, id)),* }
            }

            pub(super) fn refresh_plain(
                self,
                cache: &Cache,
                origin: &PlainOrigin,
                id: u64,
            ) -> Result<Row, Unavailable> {
                match self { $(Function::$function => $module::plain_refresh(cache, origin, id)),* }
            }
        }

        $(mod $module {
            use super::*;

            #[redis_cached(prefix = "soak", name = $name, key = $key, cache = cache, skip(cache, origin), $($argument)*)]
            pub(super) async fn row(cache: &Cache, origin: &Origin, $id: u64) -> Result<Row, Unavailable> {
                let mut rows = origin.rows(&[$id], Function::$function.nature()).await?;
                Ok(rows.remove(0))
            }

            #[redis_cached(prefix = "soak", name = $name, key = $key, cache = cache, skip(cache, origin), $($argument)*)]
            pub(super) fn plain(cache: &Cache, origin: &PlainOrigin, $id: u64) -> Result<Row, Unavailable> {
                let mut rows = origin.rows(&[$id], Function::$function.nature())?;
                Ok(rows.remove(0))
            }
        })*
    };
}

functions! {
    (id, "{id}")
    Single single "single" [];
    ShortLived short_lived "short_lived" [ttl = "150ms", jitter = 0.2];
    Large large "large" [];
    Grouped grouped "grouped" [group = "class:{id / TOGETHER}"];
    GroupedShortLived grouped_short_lived "grouped_short_lived" [group = "class:{id / TOGETHER}", ttl = "200ms"];
    Tagged tagged "tagged" [tags = ["class:{id / TOGETHER}", "all"]];
    TaggedRevalidated tagged_revalidated "tagged_revalidated"
        [tags = "class:{id / TOGETHER}", ttl = "150ms", stale_while_revalidate = "1h"];
    Revalidated revalidated "revalidated" [ttl = "150ms", stale_while_revalidate = "1h"];
    RefreshedAhead refreshed_ahead "refreshed_ahead" [ttl = "1s", refresh_ahead = 0.3];
    WithFallback with_fallback "with_fallback" [ttl = "150ms", stale_if_error = "1h"];
}

/// Shares its entries with [`Function::Single`].
#[redis_cached(prefix = "soak", name = "single", key = "{id}", cache = cache, skip(cache, origin), batch(id in ids))]
pub(super) async fn many(cache: &Cache, origin: &Origin, ids: &[u64]) -> Result<HashMap<u64, Row>, Unavailable> {
    let rows = origin.rows(ids, Function::Single.nature()).await?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

#[redis_cached(prefix = "soak", name = "single", key = "{id}", cache = cache, skip(cache, origin), batch(id in ids))]
pub(super) fn many_plain(cache: &Cache, origin: &PlainOrigin, ids: &[u64]) -> Result<HashMap<u64, Row>, Unavailable> {
    let rows = origin.rows(ids, Function::Single.nature())?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

impl Function {
    pub(super) fn random() -> Function {
        Function::ALL[random(Function::ALL.len() as u64) as usize]
    }

    /// Its ids in one kind of Redis.
    pub(super) fn ids(self, kind: u64) -> std::ops::Range<u64> {
        let first = first_id(kind, self as u64);
        first..first + IDS
    }

    pub(super) fn random_id(self, kind: u64) -> u64 {
        self.ids(kind).start + random(IDS)
    }

    pub(super) fn nature(self) -> Nature {
        Nature { is_large: self == Function::Large, fails: self == Function::WithFallback }
    }

    /// Makes the entries of a whole class stale.
    pub(super) async fn invalidate(self, cache: &Cache, ids: &[u64]) -> Result<(), Error> {
        match self {
            Function::Grouped => _ = grouped::row_group(cache, ids[0]).invalidate().await?,
            Function::GroupedShortLived => _ = grouped_short_lived::row_group(cache, ids[0]).invalidate().await?,
            Function::Tagged | Function::TaggedRevalidated => _ = cache.invalidate_tag(&class(ids[0])).await?,
            _ => _ = cache.invalidate_all(ids.iter().map(|id| self.entry(cache, *id))).await?,
        }
        Ok(())
    }

    pub(super) fn invalidate_plain(self, cache: &Cache, ids: &[u64]) -> Result<(), Error> {
        match self {
            Function::Grouped => _ = grouped::plain_group(cache, ids[0]).invalidate()?,
            Function::GroupedShortLived => _ = grouped_short_lived::plain_group(cache, ids[0]).invalidate()?,
            Function::Tagged | Function::TaggedRevalidated => _ = cache.blocking().invalidate_tag(&class(ids[0]))?,
            _ => _ = cache.blocking().invalidate_all(ids.iter().map(|id| self.plain_entry(cache, *id)))?,
        }
        Ok(())
    }
}
