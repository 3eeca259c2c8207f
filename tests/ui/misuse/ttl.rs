use redis_cached::redis_cached;

#[redis_cached(ttl = 0)]
fn zero(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = "10x")]
fn unknown_unit(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = 10m)]
fn unit_without_quotes(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = 1h30m)]
fn units_without_quotes(id: u64) -> u64 {
    id
}

#[redis_cached("10m")]
fn value_alone(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = "")]
fn empty(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = 0.5)]
fn fraction(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = -1)]
fn negative(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = true)]
fn another_type(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = 99999999999999999999)]
fn too_large(id: u64) -> u64 {
    id
}

#[redis_cached(ttl)]
fn no_value(id: u64) -> u64 {
    id
}

#[redis_cached(ttl(600))]
fn parentheses(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = seconds * 60)]
fn of_a_parameter(id: u64, seconds: u64) -> u64 {
    id + seconds
}

#[redis_cached(ttl = |value| value + seconds)]
fn of_a_parameter_in_a_closure(id: u64, seconds: u64) -> u64 {
    id + seconds
}

#[redis_cached(ttl = 60u64)]
fn number_with_a_type(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = "1.5h")]
fn fraction_of_a_unit(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = "10 minutes")]
fn words(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = |value: u64| value)]
fn by_value(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = |value, id| value)]
fn two_values(id: u64) -> u64 {
    id
}

#[redis_cached(ttl = async |value| 5)]
fn waiting(id: u64) -> u64 {
    id
}

fn main() {
    // Errors of arguments hide no sibling.
    let _ = (zero(1), zero_uncached(1), zero_refresh(1), zero_entry(1).key());
}
