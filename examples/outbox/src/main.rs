//! Invalidations that survive a process that dies between its commit and their delivery.
//!
//! ```sh
//! REDIS_URL=redis://127.0.0.1:6379 cargo run -p outbox
//! ```
//!
//! A transaction writes what it makes stale into a table of its own database, the outbox. After the commit, the process
//! delivers the rows and removes them. If it dies in between, the rows are still there, and another process delivers them.
//!
//! Without arguments, the example plays the whole story: it starts a process that commits, kills it before the delivery,
//! and delivers in its place. The other commands are the parts of the story:
//!
//! ```text
//! outbox DATABASE show ID            the user's name: from the cache, or else from the database
//! outbox DATABASE rename ID NAME     renames the user
//! outbox DATABASE commit ID NAME     renames the user, and waits for its death between the commit and the delivery
//! outbox DATABASE work               renames users until it is killed
//! outbox DATABASE deliver            delivers what others left
//! ```

mod story;
mod users;

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use redis_cached::Cache;

use crate::users::Users;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let url = std::env::var("REDIS_URL").map_err(|_| "two processes share results by a server: set REDIS_URL")?;
    let cache = Cache::builder(&url)?.build();
    cache.install()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => story::play(),
        [database, "show", id] => {
            let name = Users::open(database)?.name(id.parse()?)?;
            println!("{}", name.as_deref().unwrap_or("no such user"));
            Ok(())
        }
        [database, "rename", id, name] => Users::open(database)?.rename(&cache, id.parse()?, name),
        [database, "commit", id, name] => {
            Users::open(database)?.commit(id.parse()?, name)?;
            println!("committed");
            std::io::stdout().flush()?;
            // The delivery would come now.
            std::thread::sleep(Duration::from_secs(60));
            Err("it was not killed".into())
        }
        [database, "work"] => work(&cache, &mut Users::open(database)?),
        [database, "deliver"] => {
            println!("{} delivered", Users::open(database)?.deliver(&cache)?);
            Ok(())
        }
        _ => Err("unknown command; the documentation of src/main.rs lists them".into()),
    }
}

fn work(cache: &Cache, users: &mut Users) -> Outcome {
    for round in 0_u64.. {
        for id in 1..=users::COUNT {
            users.rename(cache, id, &format!("name {round} of {id}"))?;
        }
        println!("round {round}");
    }
    Ok(())
}
