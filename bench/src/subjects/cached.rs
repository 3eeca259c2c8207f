//! `cached` with its Redis stores. The functions must return a `Result`, and two arguments need a
//! hand-written key.

use std::sync::OnceLock;

use cached::RedisCache;
use cached::macros::concurrent_cached;
use cached::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BlockingSubject, Result};
use crate::data::{self, Item, Users};

/// The stores are statics, which the first call initializes.
static URL: OnceLock<String> = OnceLock::new();

const TTL: Duration = Duration::from_secs(3600);

#[derive(Debug, Clone)]
pub struct Failed(String);

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

fn url() -> &'static str {
    URL.get().map_or("", String::as_str)
}

/// A subject and its functions. Each function has a store with these settings.
macro_rules! subject {
    ($module:ident, $subject:ident, $name:literal $(, $setting:ident)?) => {
        pub use self::$module::$subject;

        mod $module {
            use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

            use cached::AsyncRedisCache;
            use cached::macros::concurrent_cached;
            use serde::Serialize;
            use serde::de::DeserializeOwned;

            use super::{Failed, TTL, URL};
            use crate::data::{self, Item, Users};
            use crate::subjects::{Coherent, Result, Subject};

            /// A store belongs to the runtime of its first call, so each further runtime needs another store.
            static IS_AGAIN: AtomicBool = AtomicBool::new(false);

            async fn store<K, V>(function: &str) -> AsyncRedisCache<K, V>
            where
                K: std::fmt::Display + Send + Sync,
                V: Serialize + DeserializeOwned + Send + Sync,
            {
                let builder = AsyncRedisCache::builder(format!("{}:{function}", stringify!($module))).ttl(TTL);
                let builder = builder.connection_string(super::url())$(.$setting(true))?;
                // If a store cannot be made, the first call panics, like in the examples of `cached`.
                builder.build().await.expect("a store")
            }

            #[concurrent_cached(
                map_error = r##"|e| Failed(e.to_string())"##,
                ty = "AsyncRedisCache<String, Item>",
                key = "String",
                convert = r##"{ format!("{size}:{id}") }"##,
                create = r##"{ store("item").await }"##
            )]
            async fn item(size: u32, id: u64) -> std::result::Result<Item, Failed> {
                Ok(data::item(size, id))
            }

            /// The same function with another store.
            #[concurrent_cached(
                map_error = r##"|e| Failed(e.to_string())"##,
                ty = "AsyncRedisCache<String, Item>",
                key = "String",
                convert = r##"{ format!("{size}:{id}") }"##,
                create = r##"{ store("item_again").await }"##
            )]
            async fn item_again(size: u32, id: u64) -> std::result::Result<Item, Failed> {
                Ok(data::item(size, id))
            }

            #[concurrent_cached(
                map_error = r##"|e| Failed(e.to_string())"##,
                ty = "AsyncRedisCache<u64, Users>",
                create = r##"{ store("users").await }"##
            )]
            async fn users(count: u64) -> std::result::Result<Users, Failed> {
                Ok(data::users(count))
            }

            #[concurrent_cached(
                map_error = r##"|e| Failed(e.to_string())"##,
                ty = "AsyncRedisCache<u64, u64>",
                create = r##"{ store("slow").await }"##
            )]
            async fn slow(id: u64) -> std::result::Result<u64, Failed> {
                Ok(data::slow(id).await)
            }

            #[concurrent_cached(
                map_error = r##"|e| Failed(e.to_string())"##,
                ty = "AsyncRedisCache<u64, u64>",
                create = r##"{ store("version").await }"##
            )]
            async fn version(id: u64) -> std::result::Result<u64, Failed> {
                Ok(data::version(id).await)
            }

            impl Coherent for $subject {
                async fn version(&self, id: u64) -> Result<u64> {
                    Ok(version(id).await?)
                }

                async fn invalidate(&self, _: u64) -> Result<()> {
                    Ok(data::delete_stored().await?)
                }
            }

            #[derive(Clone)]
            pub struct $subject {
                is_again: bool,
            }

            impl Subject for $subject {
                const NAME: &'static str = $name;

                async fn connect(url: &str) -> Result<Self> {
                    URL.get_or_init(|| url.to_owned());
                    Ok($subject { is_again: IS_AGAIN.swap(true, Relaxed) })
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
        }
    };
}

subject!(on_redis, Cached, "cached");
// This store keeps replies in this process until the server reports that their keys changed. It needs RESP3.
subject!(client_side, CachedLocal, "cached, client-side caching", client_side_caching);

fn store<K, V>(function: &str) -> RedisCache<K, V>
where
    K: std::fmt::Display + Send + Sync,
    V: Serialize + DeserializeOwned + Send + Sync,
{
    // The first call panics here too if the store cannot be made.
    RedisCache::builder(function).ttl(TTL).connection_string(url()).build().expect("a store")
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "RedisCache<String, Item>",
    key = "String",
    convert = r##"{ format!("{size}:{id}") }"##,
    create = r##"{ store("item_blocking") }"##
)]
fn item_blocking(size: u32, id: u64) -> std::result::Result<Item, Failed> {
    Ok(data::item(size, id))
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "RedisCache<u64, Users>",
    create = r##"{ store("users_blocking") }"##
)]
fn users_blocking(count: u64) -> std::result::Result<Users, Failed> {
    Ok(data::users(count))
}

#[concurrent_cached(
    map_error = r##"|e| Failed(e.to_string())"##,
    ty = "RedisCache<u64, u64>",
    create = r##"{ store("slow_blocking") }"##
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
