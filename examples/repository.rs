//! Caches the methods of a repository: a struct that contains its database and its cache.
//!
//! ```sh
//! cargo run --example repository
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example repository
//! ```
//!
//! It shows how reads are cached, how each kind of write keeps them correct, and how ids that do not
//! exist and searches without a result are treated. It also shows that a read which an update
//! overtakes stores nothing stale.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    email: String,
}

struct Users {
    db: Db,
    cache: Cache,
}

impl Users {
    /// All repositories read one database, so `self` is not a part of the key. With a database for
    /// each tenant, `key = "{self.tenant}:{id}"` would replace `skip(self)`.
    ///
    /// An unknown id is cached too, but not for long, because it may soon be added.
    #[redis_cached(cache = self.cache, skip(self), ttl = "10m", none_ttl = "30s")]
    async fn find(&self, id: u64) -> Result<Option<User>, DbError> {
        self.db.select(id).await
    }

    /// Without `key`, all parameters except the skipped ones make up the key. A search without a
    /// result is not stored. It is unknown which searches an update changes, so a short lifetime
    /// bounds how long a result may be stale.
    #[redis_cached(cache = self.cache, skip(self), ttl = "1m", cache_if = |found| !found.is_empty())]
    async fn search(&self, name: &str) -> Result<Vec<User>, DbError> {
        self.db.select_by_name(name).await
    }

    /// The usual update: write, then invalidate. In the other order, a read between the two would
    /// store the old row again.
    async fn set_email(&self, id: u64, email: &str) -> Result<(), Box<dyn Error>> {
        self.db.update_email(id, email).await?;
        self.find_entry(id).invalidate().await?;
        Ok(())
    }

    /// If the new row is known, it can be stored immediately, and the next read is a hit. The
    /// result is the database's own, even if the cache fails.
    async fn save(&self, user: User) -> Result<(), DbError> {
        let entry = self.find_entry(user.id);
        let user = Some(user);
        entry.write_through(&user, async || self.db.upsert(user.as_ref()).await).await
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let users = Users { db: Db::new(), cache: Cache::from_env()?.namespace("example").build() };

    // The database is new in each run, so entries of an earlier run in Redis are stale.
    for id in [1, 2, 99] {
        users.find_entry(id).invalidate().await?;
    }
    users.search_entry("Ada").invalidate().await?;

    println!("Reads");
    users.show("find 1", users.find(1)).await?;
    users.show("find 1 again", users.find(1)).await?;

    println!("An id that does not exist (none_ttl)");
    users.show("find 99", users.find(99)).await?;
    users.show("find 99 again", users.find(99)).await?;

    println!("An update, then invalidate");
    users.show("set the e-mail of 1", users.set_email(1, "ada@new.example")).await?;
    users.show("find 1", users.find(1)).await?;

    println!("An update that stores what it wrote (write_through)");
    let grace = User { id: 2, name: "Grace".into(), email: "grace@new.example".into() };
    users.show("save 2", users.save(grace)).await?;
    users.show("find 2", users.find(2)).await?;

    println!("A search without a result runs again, a search with a result does not (cache_if)");
    users.show("search Zoe", users.search("Zoe")).await?;
    users.show("search Zoe again", users.search("Zoe")).await?;
    users.show("search Ada", users.search("Ada")).await?;
    users.show("search Ada again", users.search("Ada")).await?;

    println!("An update overtakes a read: the read has fetched the old row, and is about to store it");
    users.find_entry(1).invalidate().await?;
    let update = async {
        sleep(Db::LATENCY / 4).await;
        users.set_email(1, "ada@newest.example").await
    };
    let (overtaken, updated) = tokio::join!(users.show("find 1, overtaken", users.find(1)), update);
    updated?;
    let after = users.show("find 1, afterwards", users.find(1)).await?;
    let email = |user: Option<User>| user.map(|user| user.email).unwrap_or_default();
    println!("  The overtaken read (one of the two queries is the update's) saw {},", email(overtaken?));
    println!("  and that was not stored: every read after the update sees {}.", email(after));
    Ok(())
}

impl Users {
    /// Runs one call, and prints its time and its number of queries.
    async fn show<T: fmt::Debug, E>(&self, title: &str, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let (start, before) = (Instant::now(), self.db.queries());
        let value = call.await?;
        let (took, queries) = (start.elapsed(), self.db.queries() - before);
        println!("  {title:<20} {:>9}   queries: {queries}   {value:?}", format!("{took:.1?}"));
        Ok(value)
    }
}

/// Stands for a database across a network. A query returns the data of the time at which it arrived.
struct Db {
    rows: Mutex<BTreeMap<u64, User>>,
    queries: AtomicUsize,
}

#[derive(Debug)]
struct DbError;

impl Db {
    const LATENCY: Duration = Duration::from_millis(60);

    fn new() -> Db {
        let row = |id, name: &str| {
            (id, User { id, name: name.into(), email: format!("{}@example.com", name.to_lowercase()) })
        };
        Db { rows: Mutex::new(BTreeMap::from([row(1, "Ada"), row(2, "Grace")])), queries: AtomicUsize::new(0) }
    }

    async fn select(&self, id: u64) -> Result<Option<User>, DbError> {
        self.query(|rows| rows.get(&id).cloned()).await
    }

    async fn select_by_name(&self, name: &str) -> Result<Vec<User>, DbError> {
        self.query(|rows| rows.values().filter(|user| user.name == name).cloned().collect()).await
    }

    async fn update_email(&self, id: u64, email: &str) -> Result<(), DbError> {
        self.query(|rows| {
            if let Some(user) = rows.get_mut(&id) {
                user.email = email.into();
            }
        })
        .await
    }

    async fn upsert(&self, user: Option<&User>) -> Result<(), DbError> {
        self.query(|rows| {
            rows.extend(user.map(|user| (user.id, user.clone())));
        })
        .await
    }

    async fn query<T>(&self, run: impl FnOnce(&mut BTreeMap<u64, User>) -> T) -> Result<T, DbError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        let answer = run(&mut *self.rows.lock().map_err(|_| DbError)?);
        sleep(Db::LATENCY).await;
        Ok(answer)
    }

    fn queries(&self) -> usize {
        self.queries.load(Ordering::Relaxed)
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database is broken")
    }
}

impl Error for DbError {}
