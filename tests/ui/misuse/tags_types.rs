use redis_cached::redis_cached;

struct Org {
    id: u64,
}

#[redis_cached(tags = ["org:{org}"], key = "user:{id}:{org.id}")]
fn not_in_a_tag(org: &Org, id: u64) -> u64 {
    org.id + id
}

#[redis_cached(tags = |value: &u64| *value)]
fn no_tags(id: u64) -> u64 {
    id
}

#[redis_cached(tags = |value| vec![*value])]
fn no_text(id: u64) -> u64 {
    id
}

#[redis_cached(tags = |value: &String| vec![value.clone()])]
fn of_another_type(id: u64) -> u64 {
    id
}

const ALL: &str = "all";

#[redis_cached(tags = [ALL])]
fn constant(id: u64) -> u64 {
    id
}

#[redis_cached(tags = |value| format!("of:{value}"))]
fn one_text(id: u64) -> u64 {
    id
}

#[redis_cached(tags = |value: &u64| "all")]
fn one_literal(id: u64) -> u64 {
    id
}

fn main() {}
