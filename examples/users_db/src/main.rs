//! Reads a table of 100,000 users from the database and from the cache, and compares the times.
//!
//! ```sh
//! cargo run --release -p users_db
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --release -p users_db
//! cargo run --release -p users_db -- mysql://user:password@127.0.0.1/shop
//! cargo run --release -p users_db -- postgres://user:password@127.0.0.1/shop
//! ```
//!
//! The argument or `DATABASE_URL` names the database. Its table `redis_cached_users` is created and
//! filled if it is missing. Without either, the example uses a SQLite file in a temporary directory,
//! and removes it at the end. Add `--features tls` for a server that requires encrypted connections,
//! like MySQL 8 does by default for passwords.
//!
//! Measure in release mode: a hit consists almost entirely of decoding, which is many times slower in
//! a debug build.

mod db;

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use redis_cached::redis_cached;
use sqlx::{AnyPool, AssertSqlSafe};

use crate::db::{Database, USERS};

/// The connection pool does not influence the result, so it is not a part of the key.
#[redis_cached(ttl = "10m", skip(pool))]
async fn all_users(pool: &AnyPool) -> Result<Vec<(i64, String, String)>, sqlx::Error> {
    sqlx::query_as("SELECT id, name, email FROM redis_cached_users ORDER BY id").fetch_all(pool).await
}

#[redis_cached(ttl = "10m", name = "user", skip(pool))]
async fn user(pool: &AnyPool, id: i64) -> Result<Option<(String, String)>, sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let sql = match connection.backend_name() {
        "PostgreSQL" => "SELECT name, email FROM redis_cached_users WHERE id = $1",
        _ => "SELECT name, email FROM redis_cached_users WHERE id = ?",
    };
    sqlx::query_as(sql).bind(id).fetch_optional(&mut *connection).await
}

/// The users of a page, in the entries of [`user`]. One query asks for all that are missing.
#[redis_cached(ttl = "10m", batch(id in ids), name = "user", skip(pool))]
async fn users(pool: &AnyPool, ids: &[i64]) -> Result<HashMap<i64, (String, String)>, sqlx::Error> {
    let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
    let sql = format!("SELECT id, name, email FROM redis_cached_users WHERE id IN ({})", ids.join(", "));
    // The only input from outside in this SQL is numbers.
    let rows: Vec<(i64, String, String)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|(id, name, email)| (id, (name, email))).collect())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).or_else(|| std::env::var("DATABASE_URL").ok());
    let database = Database::open(url).await?;
    println!("{USERS} users in {}", database.kind);

    // With Redis, an earlier run may have left the users there, even those of another database.
    let start = Instant::now();
    if let Some(users) = all_users_entry().get().await? {
        println!("An earlier run left {} users in the cache: read in {:.1?}", users.len(), start.elapsed());
        println!("They are invalidated now, to show how long the database takes.");
    }
    all_users_entry().invalidate().await?;
    user_entry(42).invalidate().await?;

    println!("all_users()");
    let first = timed("first call, from the database", all_users(&database.pool)).await?;
    let second = timed("second call, from the cache", all_users(&database.pool)).await?;
    assert_eq!(first.value, second.value);
    compare(first.took, second.took);

    // The database finds a single row fast by its primary key. The cache saves the query rather than
    // time here, which matters for a database that is busy or far away.
    println!("user(42)");
    let first = timed("first call, from the database", user(&database.pool, 42)).await?;
    let second = timed("second call, from the cache", user(&database.pool, 42)).await?;
    assert_eq!(first.value, second.value);
    compare(first.took, second.took);

    // The page has fifty users, and one of them is cached. A single query asks for the others.
    let page: Vec<i64> = (1..=50).collect();
    for id in page.iter().filter(|id| **id != 42) {
        users_entry(*id).invalidate().await?;
    }
    println!("users(1 to 50)");
    let first = timed("first call, 49 of them missing", users(&database.pool, &page)).await?;
    let second = timed("second call, from the cache", users(&database.pool, &page)).await?;
    assert_eq!(first.value, second.value);
    compare(first.took, second.took);

    database.close().await?;
    Ok(())
}

struct Timed<T> {
    value: T,
    took: Duration,
}

async fn timed<T, E>(title: &str, call: impl Future<Output = Result<T, E>>) -> Result<Timed<T>, E> {
    let start = Instant::now();
    let value = call.await?;
    let took = start.elapsed();
    println!("  {title:<30} {:>10}", format!("{took:.2?}"));
    Ok(Timed { value, took })
}

fn compare(database: Duration, cache: Duration) {
    println!("  the cache took {:.1} times less", database.as_secs_f64() / cache.as_secs_f64());
}
