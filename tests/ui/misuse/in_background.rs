use std::borrow::Cow;
use std::pin::Pin;

use redis_cached::redis_cached;

struct Page<'a>(&'a str);

#[redis_cached(stale_while_revalidate = "30s", skip(buffer))]
fn mutable(buffer: &mut Vec<u8>, id: u64) -> u64 {
    buffer.push(1);
    id
}

#[redis_cached(stale_while_revalidate = "30s", refresh_ahead = 0.8)]
async fn inside_of_a_tuple((name, id): (&str, u64)) -> u64 {
    id + name.len() as u64
}

#[redis_cached(refresh_ahead = 0.8, skip(page, pages))]
async fn inside_of_others(page: Page<'_>, pages: &[Page<'_>], names: &&str, cow: Option<Cow<'_, str>>) -> usize {
    page.0.len() + pages.len() + names.len() + cow.iter().len()
}

struct Repo<'a>(&'a str);

impl<'a> Repo<'a> {
    #[redis_cached(refresh_ahead = 0.8, skip(self))]
    fn by_mut(&mut self, id: u64) -> u64 {
        self.0 = "";
        id
    }

    #[redis_cached(refresh_ahead = 0.8, skip(self))]
    fn by_pin(self: Pin<&Self>, id: u64) -> u64 {
        id
    }

    #[redis_cached(refresh_ahead = 0.8)]
    fn lifetime_of_the_block(name: &'a str) -> Option<Self> {
        let _ = Self(name);
        None
    }
}

fn main() {}
