//! `cached` with its Redis stores: the functions must return a `Result`, and two arguments need a
//! key made by hand.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use cached::macros::concurrent_cached;
use cached::time::Duration;
use cached::{AsyncRedisCache, RedisCache};

use super::{BlockingSubject, Result, Subject};
use crate::data::{self, Item, Users};

/// The stores are statics, made at the first call.
static URL: OnceLock<String> = OnceLock::new();

/// And live on the runtime of that call: each further runtime needs another store.
static IS_AGAIN: AtomicBool = AtomicBool::new(false);

#[derive(Debug, Clone)]
pub struct Failed(String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

macro_rules! store {
    ($store:ident, $name:literal) => {
        $store::builder($name)
            .ttl(Duration::from_secs(3600))
            .connection_string(URL.get().map_or("", String::as_str))
            .build()
    };
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "AsyncRedisCache<String, Item>",
    key = "String",
    convert = r##"{ format!("{size}:{id}") }"##,
    create = r##"{ store!(AsyncRedisCache, "item").await.expect("a store") }"##
)]
async fn item(size: u32, id: u64) -> std::result::Result<Item, Failed> {
    Ok(data::item(size, id))
}

/// The same, with a store of its own.
#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "AsyncRedisCache<String, Item>",
    key = "String",
    convert = r##"{ format!("{size}:{id}") }"##,
    create = r##"{ store!(AsyncRedisCache, "item_again").await.expect("a store") }"##
)]
async fn item_again(size: u32, id: u64) -> std::result::Result<Item, Failed> {
    Ok(data::item(size, id))
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "AsyncRedisCache<u64, Users>",
    create = r##"{ store!(AsyncRedisCache, "users").await.expect("a store") }"##
)]
async fn users(count: u64) -> std::result::Result<Users, Failed> {
    Ok(data::users(count))
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "AsyncRedisCache<u64, u64>",
    create = r##"{ store!(AsyncRedisCache, "slow").await.expect("a store") }"##
)]
async fn slow(id: u64) -> std::result::Result<u64, Failed> {
    Ok(data::slow(id).await)
}

#[derive(Clone)]
pub struct Cached {
    is_again: bool,
}

impl Subject for Cached {
    const NAME: &'static str = "cached";

    async fn connect(url: &str) -> Result<Self> {
        URL.get_or_init(|| url.to_owned());
        Ok(Cached { is_again: IS_AGAIN.swap(true, Relaxed) })
    }

    async fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(if self.is_again { item_again(size, id).await } else { item(size, id).await }?)
    }

    async fn users(&self, count: u64) -> Result<Users> {
        Ok(users(count).await?)
    }

    async fn slow(&self, id: u64) -> Result<u64> {
        Ok(slow(id).await?)
    }
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "RedisCache<String, Item>",
    key = "String",
    convert = r##"{ format!("{size}:{id}") }"##,
    create = r##"{ store!(RedisCache, "item_blocking").expect("a store") }"##
)]
fn item_blocking(size: u32, id: u64) -> std::result::Result<Item, Failed> {
    Ok(data::item(size, id))
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "RedisCache<u64, Users>",
    create = r##"{ store!(RedisCache, "users_blocking").expect("a store") }"##
)]
fn users_blocking(count: u64) -> std::result::Result<Users, Failed> {
    Ok(data::users(count))
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "RedisCache<u64, u64>",
    create = r##"{ store!(RedisCache, "slow_blocking").expect("a store") }"##
)]
fn slow_blocking(id: u64) -> std::result::Result<u64, Failed> {
    Ok(data::slow_blocking(id))
}

#[derive(Clone)]
pub struct CachedBlocking;

impl BlockingSubject for CachedBlocking {
    const NAME: &'static str = "cached";

    fn connect(url: &str) -> Result<Self> {
        URL.get_or_init(|| url.to_owned());
        Ok(CachedBlocking)
    }

    fn item(&self, size: u32, id: u64) -> Result<Item> {
        Ok(item_blocking(size, id)?)
    }

    fn users(&self, count: u64) -> Result<Users> {
        Ok(users_blocking(count)?)
    }

    fn slow(&self, id: u64) -> Result<u64> {
        Ok(slow_blocking(id)?)
    }
}
