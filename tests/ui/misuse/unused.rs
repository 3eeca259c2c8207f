//! What nobody uses is reported as it is without the attribute: once, at the function.
#![deny(dead_code, unreachable_pub)]

use redis_cached::redis_cached;

mod shop {
    use redis_cached::redis_cached;

    #[redis_cached]
    pub fn plain(id: u64) -> u64 {
        id
    }

    #[redis_cached(group = "class:{id}")]
    pub(crate) async fn asynchronous(id: u64) -> Result<u64, String> {
        Ok(id)
    }

    #[redis_cached(siblings = off)]
    pub async fn alone(id: u64) -> u64 {
        id
    }
}

#[redis_cached(batch(id in ids))]
async fn batch(ids: &[u64]) -> Vec<(u64, u64)> {
    ids.iter().map(|id| (*id, 1)).collect()
}

struct Repo;

impl Repo {
    #[redis_cached(skip(self))]
    fn method(&self, id: u64) -> u64 {
        id
    }

    #[redis_cached(siblings = off)]
    fn associated(id: u64) -> u64 {
        id
    }
}

macro_rules! of_macro {
    ($name:ident) => {
        #[redis_cached]
        pub(crate) fn $name(id: u64) -> u64 {
            id
        }
    };
}

of_macro!(made);

// The calls of their siblings are uses.
#[redis_cached]
fn by_entry(id: u64) -> u64 {
    id
}

#[redis_cached]
async fn by_generic_entry<T: serde::Serialize>(id: T) -> u64 {
    let _ = id;
    1
}

fn main() {
    let _ = (Repo, by_entry_entry(1), by_generic_entry_entry(1));
}
