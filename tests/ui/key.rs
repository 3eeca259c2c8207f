use redis_cached::redis_cached;

#[redis_cached(key = "")]
fn empty(id: u64) -> u64 {
    id
}

#[redis_cached(key = ":user:{id}")]
fn leading_separator(id: u64) -> u64 {
    id
}

#[redis_cached(key = "#{id}")]
fn reserved(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{id")]
fn unclosed(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:id}")]
fn unopened(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{}")]
fn empty_placeholder(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{id:?}")]
fn format(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{id +}")]
fn no_expression(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{a}{b}")]
fn adjacent(a: u64, b: u64) -> u64 {
    a + b
}

#[redis_cached(key = "user:{a}-{b}")]
fn another_separator(a: u64, b: u64) -> u64 {
    a + b
}

#[redis_cached(key = "user {id}")]
fn white_space(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{idd}:{self.tenant}")]
fn unknown_names(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{id?}")]
fn early_return(id: Option<u64>) -> Option<u64> {
    id
}

#[redis_cached(key = "user:{id}", skip(id))]
fn skipped(id: u64) -> u64 {
    id
}

#[redis_cached(key = 5)]
fn number(id: u64) -> u64 {
    id
}

fn main() {}
