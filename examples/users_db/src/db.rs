//! The database, its table, and its rows. Nothing in this module uses the cache.

use sqlx::any::{AnyPoolOptions, install_default_drivers};
use sqlx::{AnyPool, AssertSqlSafe, Connection};
use tempfile::TempDir;

/// The number of users in the table.
pub(crate) const USERS: i64 = 100_000;

/// A connection pool, and the directory of its temporary SQLite file, if it has one.
pub(crate) struct Database {
    pub(crate) pool: AnyPool,
    pub(crate) kind: String,
    directory: Option<TempDir>,
}

impl Database {
    /// Connects to `url`, or to a new SQLite file, and creates the table if it is missing.
    pub(crate) async fn open(url: Option<String>) -> Result<Database, Box<dyn std::error::Error>> {
        install_default_drivers();
        let (url, directory) = match url {
            Some(url) => (url, None),
            None => {
                let directory = tempfile::tempdir()?;
                let file = directory.path().join("users.db");
                (format!("sqlite://{}?mode=rwc", file.display()), Some(directory))
            }
        };
        let pool = AnyPoolOptions::new().max_connections(4).connect(&url).await?;
        let kind = pool.acquire().await?.backend_name().to_owned();
        fill(&pool).await?;
        Ok(Database { pool, kind, directory })
    }

    /// Closes the pool, and removes the temporary SQLite file. A table on a server stays, so that the
    /// next run need not fill it.
    pub(crate) async fn close(self) -> Result<(), std::io::Error> {
        self.pool.close().await;
        self.directory.map_or(Ok(()), TempDir::close)
    }
}

/// Creates and fills the table, unless an earlier run did. The SQL is common to all three dialects.
/// It is one transaction, so that no run finds the table half full.
async fn fill(pool: &AnyPool) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS redis_cached_users \
         (id BIGINT PRIMARY KEY, name VARCHAR(100) NOT NULL, email VARCHAR(100) NOT NULL)",
    )
    .execute(&mut *connection)
    .await?;
    let (rows,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM redis_cached_users").fetch_one(&mut *connection).await?;
    if rows == USERS {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    sqlx::query("DELETE FROM redis_cached_users").execute(&mut *transaction).await?;
    let ids: Vec<i64> = (1..=USERS).collect();
    for some in ids.chunks(1_000) {
        let rows: Vec<String> =
            some.iter().map(|id| format!("({id}, '{}', 'user{id}@example.com')", name(*id))).collect();
        let insert = format!("INSERT INTO redis_cached_users (id, name, email) VALUES {}", rows.join(", "));
        // This SQL contains no input from outside.
        sqlx::query(AssertSqlSafe(insert)).execute(&mut *transaction).await?;
    }
    transaction.commit().await
}

fn name(id: i64) -> String {
    const GIVEN: [&str; 8] = ["Ada", "Alan", "Barbara", "Edsger", "Frances", "Grace", "Niklaus", "Tony"];
    const FAMILY: [&str; 7] = ["Allen", "Dijkstra", "Hoare", "Hopper", "Liskov", "Lovelace", "Wirth"];
    let pick = |from: &[&'static str]| from[id.unsigned_abs() as usize % from.len()];
    format!("{} {}", pick(&GIVEN), pick(&FAMILY))
}
