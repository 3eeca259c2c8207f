use redis_cached::redis_cached;

#[redis_cached]
struct Struct;

#[redis_cached]
const CONSTANT: u64 = 1;

#[redis_cached]
mod module {}

trait Find {
    #[redis_cached]
    fn find(&self, id: u64) -> u64;
}

#[redis_cached]
impl Struct {}

fn main() {
    let _ = (Struct, CONSTANT);
}
