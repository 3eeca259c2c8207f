use std::error::Error;
use std::fmt::Debug;
use std::pin::Pin;

use super::*;

type Result<T, E = Box<dyn Error + Send + Sync>> = core::result::Result<T, E>;

#[derive(Debug, PartialEq)]
struct Located<'a>(&'a str);

#[redis_cached(cache = CACHE)]
async fn elided_error(text: &str) -> Result<usize, Located<'_>> {
    if text.is_empty() { Err(Located(text)) } else { Ok(text.len()) }
}

#[redis_cached(cache = CACHE)]
fn aliased_result(id: u64) -> Result<u64> {
    let text = id.to_string();
    macro_rules! parse {
        ($text:expr) => {
            $text.parse::<u64>()?
        };
    }
    Ok(parse!(text))
}

#[redis_cached(cache = CACHE, skip(find, log))]
async fn trait_objects(find: &(dyn Fn(u64) -> u64 + Sync), log: Box<dyn FnOnce() + Send>, id: u64) -> u64 {
    log();
    tokio::task::yield_now().await;
    find(id)
}

#[redis_cached(cache = CACHE, skip(db))]
async fn lifetimes<'db, 'text>(db: &'db Db, text: &'text str) -> usize
where
    'text: 'db,
{
    db.runs.count();
    text.len()
}

#[redis_cached(cache = CACHE, skip(compute))]
async fn async_closure(id: u64, compute: impl AsyncFnOnce(u64) -> u64) -> u64 {
    compute(id).await
}

#[derive(Serialize)]
struct Shape {
    sides: u64,
}

trait Polygon: Serialize + Sized {
    fn sides(&self) -> u64;

    #[redis_cached(cache = CACHE)]
    fn angles(&self) -> u64
    where
        Self: Debug,
    {
        (self.sides() - 2) * 180
    }
}

impl Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("shape")
    }
}

impl Polygon for Shape {
    fn sides(&self) -> u64 {
        self.sides
    }
}

impl Shape {
    #[redis_cached(cache = CACHE, key = "{self.sides}")]
    fn pinned(self: Pin<&mut Self>) -> u64 {
        self.sides
    }

    #[redis_cached(cache = CACHE)]
    fn triangle() -> Vec<u64> {
        vec![Self { sides: 3 }.sides]
    }
}

struct Stack<T>(Vec<T>);

impl<T: Clone + Serialize + serde::de::DeserializeOwned> IntoIterator for Stack<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.items().into_iter()
    }
}

impl<T: Clone + Serialize + serde::de::DeserializeOwned> Stack<T> {
    #[redis_cached(cache = CACHE, name = "stack", key = "{self.0}")]
    fn items(&self) -> Vec<T> {
        self.0.clone()
    }
}

#[redis_cached(cache = CACHE, name = "boxed", key = "{id}", skip(name))]
fn boxed_future<'a>(id: u64, name: &'a str) -> Pin<Box<dyn Future<Output = Option<String>> + Send + 'a>> {
    if id == 0 {
        return Box::pin(async { None });
    }
    Box::pin(async move { Some(name.to_owned()) })
}

#[tokio::test]
async fn shapes() {
    assert_eq!(elided_error("").await, Err(Located("")));
    assert_eq!(elided_error("ab").await, Ok(2));
    assert_eq!(elided_error_entry("ab").get().await.unwrap(), Some(2));
    assert_eq!(aliased_result(5).unwrap(), 5);
    assert_eq!(aliased_result_entry(5).get().unwrap(), Some(5));
    assert_eq!(is_send(trait_objects(&|id| id + 1, Box::new(|| ()), 1)).await, 2);
    assert_eq!(trait_objects_entry(1).get().await.unwrap(), Some(2));
    assert_eq!(lifetimes(&Db::new(), "abc").await, 3);
    assert_eq!(lifetimes_entry("abc").get().await.unwrap(), Some(3));
    assert_eq!(async_closure(1, async |id| id + 1).await, 2);
    assert_eq!(Shape { sides: 3 }.angles(), 180);
    assert_eq!(Shape { sides: 3 }.angles_entry().get().unwrap(), Some(180));
    assert_eq!(Pin::new(&mut Shape { sides: 5 }).pinned(), 5);
    assert_eq!(Shape { sides: 5 }.pinned_entry().get().unwrap(), Some(5));
    assert_eq!(Shape::triangle(), [3]);
    assert_eq!(Stack(vec![1_u8, 2]).into_iter().count(), 2);
    assert_eq!(is_send(boxed_future(1, "a")).await.as_deref(), Some("a"));
    assert_eq!(boxed_future_entry(1).get().await.unwrap().flatten().as_deref(), Some("a"));
    assert_eq!(boxed_future(0, "a").await, None);
}
