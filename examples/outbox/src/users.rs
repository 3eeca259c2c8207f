//! The table of users, and the outbox in the same database.

use std::error::Error;
use std::time::Duration;

use redis_cached::{Cache, ErrorKind, Invalidation, redis_cached};
use rusqlite::{Connection, OptionalExtension, Transaction};

/// The number of users in a new database.
pub(crate) const COUNT: i64 = 5;

/// The most rows that are delivered together.
const MOST: i64 = 1_000;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, invalidation TEXT NOT NULL);
    INSERT OR IGNORE INTO users VALUES (1, 'Ada'), (2, 'Grace'), (3, 'Barbara'), (4, 'Frances'), (5, 'Karen');";

/// The connection is not a part of the key. A user that does not exist is not stored.
#[redis_cached(prefix = "outbox", name = "name", ttl = "1h", skip(database))]
fn name(database: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    database.query_row("SELECT name FROM users WHERE id = ?", [id], |row| row.get(0)).optional()
}

pub(crate) struct Users(Connection);

impl Users {
    pub(crate) fn open(path: &str) -> rusqlite::Result<Users> {
        let database = Connection::open(path)?;
        // Several processes write.
        database.busy_timeout(Duration::from_secs(10))?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.execute_batch(SCHEMA)?;
        Ok(Users(database))
    }

    pub(crate) fn name(&self, id: i64) -> rusqlite::Result<Option<String>> {
        name(&self.0, id)
    }

    pub(crate) fn rename(&mut self, cache: &Cache, id: i64, name: &str) -> Result<(), Box<dyn Error>> {
        self.commit(id, name)?;
        self.deliver(cache)?;
        Ok(())
    }

    /// Writes the name, and what that makes stale, in one transaction: after a rollback or a crash, neither is there.
    pub(crate) fn commit(&mut self, id: i64, name: &str) -> rusqlite::Result<()> {
        let transaction = self.0.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        transaction.execute("UPDATE users SET name = ? WHERE id = ?", (name, id))?;
        add_to_outbox(&transaction, &[name_entry(id).into()])?;
        transaction.commit()
    }

    /// Delivers what this process or another one left in the outbox, and returns how many rows it were.
    ///
    /// Rows are removed after the delivery. If the process dies in between, they are delivered once more, which harms
    /// nothing.
    pub(crate) fn deliver(&self, cache: &Cache) -> Result<usize, Box<dyn Error>> {
        let mut delivered = 0;
        let mut after = 0;
        loop {
            let rows = self.outbox(after)?;
            let Some((last, _)) = rows.last() else { return Ok(delivered) };
            after = *last;
            let (mut stale, mut done) = (Vec::new(), Vec::new());
            for (row, text) in rows {
                match text.parse::<Invalidation>() {
                    Ok(invalidation) => {
                        stale.push(invalidation);
                        done.push(row);
                    }
                    // A newer process wrote it, and will deliver it.
                    Err(error) if error.kind() == ErrorKind::Text => eprintln!("row {row} stays: {error}"),
                    Err(error) => return Err(error.into()),
                }
            }
            cache.blocking().invalidate_all(stale)?;
            for row in &done {
                self.0.execute("DELETE FROM outbox WHERE id = ?", [row])?;
            }
            delivered += done.len();
        }
    }

    /// The first rows after this one.
    fn outbox(&self, after: i64) -> rusqlite::Result<Vec<(i64, String)>> {
        let mut rows = self.0.prepare("SELECT id, invalidation FROM outbox WHERE id > ? ORDER BY id LIMIT ?")?;
        rows.query_map((after, MOST), |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}

fn add_to_outbox(transaction: &Transaction<'_>, stale: &[Invalidation]) -> rusqlite::Result<()> {
    let mut insert = transaction.prepare("INSERT INTO outbox (invalidation) VALUES (?)")?;
    for invalidation in stale {
        insert.execute([invalidation.to_string()])?;
    }
    Ok(())
}
