//! Works on many entries at once: a batch, a group, a tag, and the invalidations of a transaction.
//!
//! ```sh
//! cargo run --example classroom
//! REDIS_URL=redis://127.0.0.1:6379 cargo run --example classroom
//! ```
//!
//! With a Redis, `redis-cli HKEYS classroom:class:1` lists the entries of a group.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

use redis_cached::{Cache, Error, Invalidation, redis_cached};

/// The school's books, which stand for a database. Each query is printed.
#[derive(Default)]
struct Books {
    names: Mutex<BTreeMap<u64, String>>,
    grades: Mutex<BTreeMap<(u64, u64), u8>>,
}

/// The students of a page. One query asks for all that have no entry.
#[redis_cached(batch(id in ids), name = "student", tags = ["school"], none_ttl = "10s", skip(books))]
async fn students(books: &Books, ids: &[u64]) -> HashMap<u64, String> {
    println!("    SELECT … WHERE id IN {ids:?}");
    let names = books.names.lock().expect("no panic under the lock");
    ids.iter().filter_map(|id| Some((*id, names.get(id)?.clone()))).collect()
}

/// A single student, in the same entry as in a batch.
#[redis_cached(name = "student", tags = ["school"], none_ttl = "10s", skip(books))]
async fn student(books: &Books, id: u64) -> Option<String> {
    println!("    SELECT … WHERE id = {id}");
    books.names.lock().expect("no panic under the lock").get(&id).cloned()
}

/// A grade, in the group of its class.
#[redis_cached(group = "class:{class_id}", key = "{student_id}", tags = ["school"], skip(books))]
async fn grade(books: &Books, class_id: u64, student_id: u64) -> Option<u8> {
    println!("    SELECT grade … WHERE class = {class_id} AND student = {student_id}");
    books.grades.lock().expect("no panic under the lock").get(&(class_id, student_id)).copied()
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let cache = Cache::from_env()?.build();
    cache.install()?;
    // An earlier run may have left entries.
    cache.invalidate_tag("school").await?;
    let books = Books::default();
    for (id, name) in [(1, "Ada"), (2, "Grace"), (3, "Barbara")] {
        books.names.lock().expect("no panic under the lock").insert(id, name.to_owned());
        books.grades.lock().expect("no panic under the lock").insert((1, id), 1);
    }

    println!("A page with students 1, 2 and 9. Student 9 does not exist:");
    println!("    {:?}", sorted(students(&books, &[1, 2, 9]).await));
    println!("The next page has one more student:");
    println!("    {:?}", sorted(students(&books, &[1, 2, 3, 9]).await));
    println!("A single student is already cached:");
    println!("    {:?}", student(&books, 2).await);

    println!("The grades of class 1:");
    for id in 1..=3 {
        grade(&books, 1, id).await;
    }
    println!("    {} entries in {}", grade_group(1).len().await?, grade_group(1).key()?);
    println!("All grades are corrected, and one command invalidates the group:");
    books.grades.lock().expect("no panic under the lock").values_mut().for_each(|grade| *grade += 1);
    grade_group(1).invalidate().await?;
    println!("    {:?}", grade(&books, 1, 2).await);

    println!("A transaction renames a student, and collects the entries that become stale:");
    let stale: Vec<Invalidation> = vec![students_entry(2).into()];
    println!("    rolled back, so nothing is invalidated: {:?}", student(&books, 2).await);
    drop(stale);
    let mut stale: Vec<Invalidation> = Vec::new();
    books.names.lock().expect("no panic under the lock").insert(2, "Rear Admiral Grace".to_owned());
    stale.push(students_entry(2).into());
    stale.push(grade_group(1).into());
    let dropped = cache.invalidate_all(stale).await?;
    println!("    committed, and {dropped} invalidated in one round trip:");
    println!("    {:?}", student(&books, 2).await);

    println!("The school closes, and its tag invalidates all of its entries:");
    cache.invalidate_tag("school").await?;
    let entries = [1, 2, 3].map(students_entry);
    println!("    {:?}", cache.get_all(&entries).await?);
    Ok(())
}

fn sorted(students: HashMap<u64, String>) -> BTreeMap<u64, String> {
    students.into_iter().collect()
}
