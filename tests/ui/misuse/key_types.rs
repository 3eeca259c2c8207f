use redis_cached::redis_cached;

struct Request {
    db: Db,
}

struct Db;

#[redis_cached(key = "user:{req.db}")]
fn not_serializable(req: &Request) -> u64 {
    let _ = &req.db;
    1
}

#[redis_cached(key = "user:{req.id}")]
fn no_such_field(req: &Request) -> u64 {
    let _ = req;
    1
}

fn main() {}
