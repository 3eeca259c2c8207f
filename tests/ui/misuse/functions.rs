#![allow(unsafe_code)]

use redis_cached::redis_cached;

#[redis_cached]
unsafe fn is_unsafe(id: u64) -> u64 {
    id
}

#[redis_cached]
extern "C" fn foreign(id: u64) -> u64 {
    id
}

#[redis_cached]
const fn constant(id: u64) -> u64 {
    id
}

#[redis_cached]
async fn nothing(id: u64) {
    let _ = id;
}

#[redis_cached]
fn unit(id: u64) -> () {
    let _ = id;
}

#[redis_cached]
fn never(id: u64) -> ! {
    panic!("{id}")
}

#[redis_cached]
fn opaque(id: u64) -> impl Iterator<Item = u64> {
    [id].into_iter()
}

#[redis_cached]
fn opaque_within(id: u64) -> Option<impl Iterator<Item = u64>> {
    Some([id].into_iter())
}

#[redis_cached]
fn future(id: u64) -> impl Future<Output = u64> {
    async move { id }
}

#[redis_cached]
async fn future_of_a_future(id: u64) -> impl Future<Output = u64> {
    async move { id }
}

#[redis_cached]
fn borrowed(id: &str) -> &str {
    id
}

#[redis_cached]
async fn borrowed_within<'a>(id: &'a str) -> Result<Vec<std::borrow::Cow<'a, str>>, &'a str> {
    Ok(vec![id.into()])
}

#[redis_cached]
fn conditional(id: u64, #[cfg(any())] other: u64) -> u64 {
    id
}

fn main() {
    // The function itself is there, whatever its attribute says.
    let _ = (constant(1), unit(1), opaque(1), borrowed("a"), conditional(1));
}
