//! Generated code passes under every lint that a crate is likely to deny, and without a prelude.

#![deny(warnings, clippy::all, clippy::pedantic, clippy::nursery)]
#![deny(missing_docs, missing_debug_implementations, unreachable_pub, unused, let_underscore)]
#![deny(
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unused_lifetimes,
    unused_qualifications,
    unused_results,
    variant_size_differences
)]
#![deny(
    clippy::absolute_paths,
    clippy::allow_attributes_without_reason,
    clippy::default_numeric_fallback,
    clippy::expect_used,
    clippy::missing_docs_in_private_items,
    clippy::pattern_type_mismatch,
    clippy::semicolon_inside_block,
    clippy::shadow_reuse,
    clippy::shadow_same,
    clippy::shadow_unrelated,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]
#![forbid(unsafe_code)]
#![no_implicit_prelude]

use ::core::clone::Clone;
use ::core::convert::From;
use ::core::future::ready;
use ::core::iter::{IntoIterator, Iterator};
use ::core::marker::Send;
use ::core::mem::drop;
use ::core::option::Option;
use ::core::prelude::rust_2024::{derive, test};
use ::core::result::Result;
use ::redis_cached::redis_cached;
use ::serde::{Deserialize, Serialize};
use ::std::collections::BTreeMap;
use ::std::string::{String, ToString};
use ::std::sync::Arc;
use ::std::vec::Vec;

/// A parameter that is no part of a key.
#[derive(Debug)]
struct Db;

/// A value.
#[derive(Debug, Serialize, Deserialize)]
struct User {
    /// Its number.
    id: u64,
}

/// Everything at once.
#[redis_cached(
    ttl = |user: &User| user.id,
    prefix = "lints",
    version = 2,
    jitter = 0.5,
    cache_if = |user| user.id > 1,
    skip(db)
)]
async fn user(db: &Db, id: u64, _tag: &str) -> Result<User, String> {
    let _db = ready(db).await;
    Result::Ok(User { id })
}

/// A plain one.
#[redis_cached(none_ttl = "5s", name = "plain", key = "{id}:{(a, b)}", ttl = 60 * 60)]
fn plain(id: u64, (a, b): (u8, &u8)) -> Option<u64> {
    id.checked_add(u64::from(a))?.checked_add(u64::from(*b))
}

/// An error that is shared, of a function that runs in the background.
#[redis_cached(
    stale_while_revalidate = "30s",
    stale_if_error = "1h",
    refresh_ahead = 0.5,
    single_flight = process,
    lease = 5,
    skip(db)
)]
async fn behind(db: &Arc<Db>, text: &str, id: Option<&u64>, (a, _b): (u8, u8)) -> Result<User, String> {
    let _db = ready(db).await;
    let found = id.copied().ok_or_else(|| String::from(text))?;
    Result::Ok(User { id: found.saturating_add(u64::from(a)) })
}

/// A plain one.
#[redis_cached(refresh_ahead = 0.5)]
fn plain_behind<T: Serialize + Clone + Send + 'static>(text: &str, _with: T) -> Result<usize, String> {
    text.len().checked_add(1).ok_or_else(String::new)
}

/// A function with generic parameters of its own.
#[redis_cached(skip(_with))]
fn generic<T: Serialize, const N: usize>(text: &str, _with: T) -> usize {
    text.len().saturating_add(N)
}

/// A function in a group, with tags.
#[redis_cached(group = "class:{class}", tags = ["org:{org}", "all", |user| [user.id.to_string()]], skip(db))]
async fn grouped(db: &Db, class: &str, org: u64, id: u64) -> Result<User, String> {
    let _db = ready(db).await;
    Result::Ok(User { id })
}

/// A function of many ids.
#[redis_cached(batch(id in ids), skip(db), none_ttl = "5s", group = "shard:{id % 16}", tags = "all")]
async fn batch(db: &Arc<Db>, (a, _b): (u8, String), ids: &[u64]) -> Result<BTreeMap<u64, User>, String> {
    let _db = ready(db).await;
    let id = u64::from(a);
    Result::Ok(ids.iter().map(|key| (*key, User { id })).collect())
}

/// A plain one.
#[redis_cached(batch(id in ids), key = "{kind}:{id}")]
fn plain_batch<T: Serialize + Clone>(kind: T, mut ids: Vec<u64>) -> Vec<(u64, String)> {
    let _kind = kind;
    ids.sort_unstable();
    ids.into_iter().map(|id| (id, String::new())).collect()
}

impl Db {
    /// A method.
    #[redis_cached(skip(self))]
    async fn method(self: &Arc<Self>, id: u64) -> u64 {
        ready(id).await
    }

    /// A method that is refreshed in the background.
    #[redis_cached(skip(self), stale_while_revalidate = 1)]
    async fn method_behind(self: Arc<Self>, id: u64) -> u64 {
        ready(id).await
    }

    /// An associated function.
    #[redis_cached]
    fn associated(id: u64) -> u64 {
        id
    }
}

/// Has one method.
trait Find {
    /// The method.
    fn find(&self, id: u64) -> u64;
    /// Another.
    fn try_find(&self, id: u64) -> Result<u64, String>;
}

impl Find for Db {
    #[redis_cached(siblings = off, skip(self))]
    fn find(&self, mut id: u64) -> u64 {
        id = id.saturating_add(1);
        id
    }

    #[redis_cached(siblings = off, skip(self), stale_if_error = 5)]
    fn try_find(&self, id: u64) -> Result<u64, String> {
        id.checked_add(1).ok_or_else(String::new)
    }
}

#[test]
fn it_compiles() {
    drop(user(&Db, 1, "a"));
    ::std::assert_eq!(plain(1, (2, &3)), Option::Some(6));
    ::std::assert_eq!(generic::<_, 3>("a", 'x'), 4);
    ::std::assert_eq!(Db::associated(1), 1);
    ::std::assert_eq!(plain_batch('a', Vec::new()), Vec::new());
    drop(grouped(&Db, "a", 1, 2));
    drop(grouped_group("a"));
    drop(batch(&Arc::new(Db), (1, String::new()), &[]));
    drop(batch_entry((1, String::new()), 2));
    ::std::assert_eq!(plain_behind("a", 'x'), Result::Ok(2));
    ::std::assert_eq!(Db.try_find(1), Result::Ok(2));
    drop(behind(&Arc::new(Db), "a", Option::Some(&1), (1, 2)));
    drop(Arc::new(Db).method_behind(1));
    ::std::assert_eq!(Db.find(1), 2);
    drop(Arc::new(Db).method(1));
}
