use redis_cached::redis_cached;

struct Config {
    size: u64,
}

struct Db;

// A pattern of a unit struct would look like this.
#[redis_cached]
fn spelled_like_its_type(Config: Config) -> u64 {
    Config.size
}

#[redis_cached]
fn not_serializable((N, Pool): (u64, Db)) -> u64 {
    let _ = Pool;
    N
}

macro_rules! pair {
    ($first:ident, $second:ident) => {
        ($first, $second)
    };
}

#[redis_cached]
fn bound_by_a_macro(pair!(a, b): (u64, u64)) -> u64 {
    a + b
}

macro_rules! twins {
    ($name:ident) => {
        #[redis_cached(skip(id))]
        fn twins(id: u64, $name: u64) -> u64 {
            id + $name
        }
    };
}
twins!(id);

#[redis_cached(skip(db))]
fn another_case(DB: u64, id: u64) -> u64 {
    DB + id
}

fn main() {}
