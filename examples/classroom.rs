//! Many entries at once: a batch, a group, a tag, and what a transaction makes stale.
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

/// The school's books. They tell when somebody opens them.
#[derive(Default)]
struct Books {
    names: Mutex<BTreeMap<u64, String>>,
    grades: Mutex<BTreeMap<(u64, u64), u8>>,
}

/// The students of a page: one query for those that no entry is there for.
#[redis_cached(batch(id in ids), name = "student", tags = ["school"], none_ttl = "10s", skip(books))]
async fn students(books: &Books, ids: &[u64]) -> HashMap<u64, String> {
    println!("    SELECT … WHERE id IN {ids:?}");
    let names = books.names.lock().expect("no panic under the lock");
    ids.iter().filter_map(|id| Some((*id, names.get(id)?.clone()))).collect()
}

/// One of them, in the same entry.
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
    // What an earlier run has left.
    cache.invalidate_tag("school").await?;
    let books = Books::default();
    for (id, name) in [(1, "Ada"), (2, "Grace"), (3, "Barbara")] {
        books.names.lock().expect("no panic under the lock").insert(id, name.to_owned());
        books.grades.lock().expect("no panic under the lock").insert((1, id), 1);
    }

    println!("A page with students 1, 2 and 9, of whom one does not exist:");
    println!("    {:?}", sorted(students(&books, &[1, 2, 9]).await));
    println!("The next page has them and one more:");
    println!("    {:?}", sorted(students(&books, &[1, 2, 3, 9]).await));
    println!("One of them alone is there already:");
    println!("    {:?}", student(&books, 2).await);

    println!("The grades of class 1:");
    for id in 1..=3 {
        grade(&books, 1, id).await;
    }
    println!("    {} entries in {}", grade_group(1).len().await?, grade_group(1).key()?);
    println!("All of them are corrected, and one command drops what was cached:");
    books.grades.lock().expect("no panic under the lock").values_mut().for_each(|grade| *grade += 1);
    grade_group(1).invalidate().await?;
    println!("    {:?}", grade(&books, 1, 2).await);

    println!("A transaction renames a student, and collects what that makes stale:");
    let stale: Vec<Invalidation> = vec![students_entry(2).into()];
    println!("    rolled back, so the collection is dropped: {:?}", student(&books, 2).await);
    drop(stale);
    let mut stale: Vec<Invalidation> = Vec::new();
    books.names.lock().expect("no panic under the lock").insert(2, "Rear Admiral Grace".to_owned());
    stale.push(students_entry(2).into());
    stale.push(grade_group(1).into());
    let dropped = cache.invalidate_all(stale).await?;
    println!("    committed, and {dropped} dropped in one round trip:");
    println!("    {:?}", student(&books, 2).await);

    println!("The school closes, and all that is known of it goes with its tag:");
    cache.invalidate_tag("school").await?;
    let entries = [1, 2, 3].map(students_entry);
    println!("    {:?}", cache.get_all(&entries).await?);
    Ok(())
}

fn sorted(students: HashMap<u64, String>) -> BTreeMap<u64, String> {
    students.into_iter().collect()
}
