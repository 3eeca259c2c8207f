use redis_cached::redis_cached;

#[redis_cached(skip(database))]
fn misspelled(databse: &str, id: u64) -> u64 {
    databse.len() as u64 + id
}

#[redis_cached(skip(self))]
fn no_self(id: u64) -> u64 {
    id
}

#[redis_cached(skip(Self))]
fn another_keyword(id: u64) -> u64 {
    id
}

#[redis_cached(skip(db))]
fn no_parameters() -> u64 {
    1
}

#[redis_cached(skip(id, id))]
fn twice(id: u64) -> u64 {
    id
}

#[redis_cached(skip())]
fn none(id: u64) -> u64 {
    id
}

#[redis_cached(skip = id)]
fn another_form(id: u64) -> u64 {
    id
}

#[redis_cached(skip(req.db))]
fn expression(req: u64) -> u64 {
    req
}

fn main() {}
