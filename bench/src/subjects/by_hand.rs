//! The floor: `GET` and decode, and on a miss `SET … EX`, without any other promise.

use std::sync::{Arc, Mutex};

use redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
use redis::{AsyncCommands, Client, Commands, Connection};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{BlockingSubject, Coherent, Result, Subject};
use crate::data::{self, Item, Users};

const TTL: u64 = 3600;

fn encoded<T: Serialize>(value: &T) -> Result<Vec<u8>> {
    Ok(bincode::serde::encode_to_vec(value, bincode::config::standard())?)
}

fn decoded<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    Ok(bincode::serde::decode_from_slice(bytes, bincode::config::standard())?.0)
}

/// A multiplexed connection, which never reconnects.
#[derive(Clone)]
pub struct ByHand(MultiplexedConnection);

/// A connection that redis-rs reopens when it breaks.
#[derive(Clone)]
pub struct ByHandManaged(ConnectionManager);

async fn get_or_set<T, C, F>(mut connection: C, key: String, body: impl FnOnce() -> F) -> Result<T>
where
    T: Serialize + DeserializeOwned,
    C: ConnectionLike + Send + Sync,
    F: Future<Output = T>,
{
    let found: Option<Vec<u8>> = connection.get(&key).await?;
    if let Some(bytes) = found {
        return decoded(&bytes);
    }
    let value = body().await;
    let () = connection.set_ex(&key, encoded(&value)?, TTL).await?;
    Ok(value)
}

macro_rules! subject {
    ($subject:ident, $name:literal, $prefix:literal, |$client:ident| $connect:expr) => {
        impl Subject for $subject {
            const NAME: &'static str = $name;

            async fn connect(url: &str) -> Result<Self> {
                let $client = Client::open(url)?;
                Ok($subject($connect))
            }

            async fn item(&self, size: u32, id: u64) -> Result<Item> {
                let body = || async { data::item(size, id) };
                get_or_set(self.0.clone(), format!(concat!($prefix, ":item:{}:{}"), size, id), body).await
            }

            async fn users(&self, count: u64) -> Result<Users> {
                get_or_set(self.0.clone(), format!(concat!($prefix, ":users:{}"), count), || async {
                    data::users(count)
                })
                .await
            }

            async fn slow(&self, id: u64) -> Result<u64> {
                get_or_set(self.0.clone(), format!(concat!($prefix, ":slow:{}"), id), || data::slow(id)).await
            }

            /// Sends one `MGET`. All keys are hits.
            async fn items(&self, size: u32, ids: &[u64]) -> Result<Vec<Item>> {
                let keys: Vec<String> =
                    ids.iter().map(|id| format!(concat!($prefix, ":item:{}:{}"), size, id)).collect();
                let found: Vec<Vec<u8>> = self.0.clone().mget(keys).await?;
                found.iter().map(|bytes| decoded(bytes)).collect()
            }
        }
    };
}

subject!(ByHand, "by hand", "by_hand", |client| client.get_multiplexed_async_connection().await?);
subject!(ByHandManaged, "by hand, ConnectionManager", "managed", |client| client.get_connection_manager().await?);

/// A held connection, for one thread at a time.
#[derive(Clone)]
pub struct ByHandBlocking(Arc<Mutex<Connection>>);

impl ByHandBlocking {
    fn get_or_set<T: Serialize + DeserializeOwned>(&self, key: String, body: impl FnOnce() -> T) -> Result<T> {
        let found: Option<Vec<u8>> = self.connection().get(&key)?;
        if let Some(bytes) = found {
            return decoded(&bytes);
        }
        let value = body();
        let () = self.connection().set_ex(&key, encoded(&value)?, TTL)?;
        Ok(value)
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        self.0.lock().expect("no panic under the lock")
    }
}

impl BlockingSubject for ByHandBlocking {
    const NAME: &'static str = "by hand";

    fn connect(url: &str) -> Result<Self> {
        Ok(ByHandBlocking(Arc::new(Mutex::new(Client::open(url)?.get_connection()?))))
    }

    fn item(&self, size: u32, id: u64) -> Result<Item> {
        self.get_or_set(format!("plain:item:{size}:{id}"), || data::item(size, id))
    }

    fn users(&self, count: u64) -> Result<Users> {
        self.get_or_set(format!("plain:users:{count}"), || data::users(count))
    }

    fn slow(&self, id: u64) -> Result<u64> {
        self.get_or_set(format!("plain:slow:{id}"), || data::slow_blocking(id))
    }
}

impl Coherent for ByHand {
    async fn version(&self, id: u64) -> Result<u64> {
        get_or_set(self.0.clone(), format!("byhand:version:{id}"), || data::version(id)).await
    }

    async fn invalidate(&self, id: u64) -> Result<()> {
        Ok(self.0.clone().del(format!("byhand:version:{id}")).await?)
    }
}
