use redis_cached::redis_cached;

#[redis_cached(group = "")]
fn empty(id: u64) -> u64 {
    id
}

#[redis_cached(group = ":class:{id}")]
fn leading_separator(id: u64) -> u64 {
    id
}

#[redis_cached(group = "#{id}")]
fn reserved(id: u64) -> u64 {
    id
}

#[redis_cached(group = "class:{id")]
fn unclosed(id: u64) -> u64 {
    id
}

#[redis_cached(group = "class:id}")]
fn unopened(id: u64) -> u64 {
    id
}

#[redis_cached(group = "{a}-{b}")]
fn adjacent(a: u64, b: u64) -> u64 {
    a + b
}

#[redis_cached(group = "class {id}")]
fn white_space(id: u64) -> u64 {
    id
}

#[redis_cached(group = "class:{class}:{self.tenant}")]
fn unknown_names(class_id: u64) -> u64 {
    class_id
}

#[redis_cached(group = "class:{class_id}", skip(class_id))]
fn skipped(class_id: u64, id: u64) -> u64 {
    class_id + id
}

#[redis_cached(group = CLASSES)]
fn constant(id: u64) -> u64 {
    id
}

#[redis_cached(group("class"))]
fn another_form(id: u64) -> u64 {
    id
}

fn main() {
    // What is wrong with an attribute is no reason for the siblings to be missing.
    let _: redis_cached::blocking::Group = skipped_group(1);
}
