//! Traits of the user's whose methods all types have, in scope: none of them gets in the way.

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
