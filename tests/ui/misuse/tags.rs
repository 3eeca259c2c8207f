use redis_cached::redis_cached;

#[redis_cached(tags = [])]
fn none(id: u64) -> u64 {
    id
}

#[redis_cached(tags = ["", "a b", "{a}{b}", "org:{a"])]
fn broken(a: u64, b: u64) -> u64 {
    a + b
}

#[redis_cached(tags = ["org:{org}", "{self.tenant}"])]
fn unknown_names(org_id: u64) -> u64 {
    org_id
}

#[redis_cached(tags = ["all", "org:{org_id}", "all"])]
fn twice(org_id: u64) -> u64 {
    org_id
}

#[redis_cached(tags = ["org:{db.org}", "{id}", "{format!(\"{}\", db)}"], skip(db))]
fn skipped(db: String, id: u64) -> u64 {
    db.len() as u64 + id
}

#[redis_cached(tags = [|value| vec![value.to_string()], tags_of])]
fn two_functions(id: u64) -> u64 {
    id
}

#[redis_cached(tags = |value| vec![value.to_string(), id.to_string()])]
fn out_of_reach(id: u64) -> u64 {
    id
}

#[redis_cached(tags = [5, format!("org:{id}"), &"all"])]
fn other_expressions(id: u64) -> u64 {
    id
}

#[redis_cached(tags = vec!["all"])]
fn no_array(id: u64) -> u64 {
    id
}

#[redis_cached(tags("all"))]
fn another_form(id: u64) -> u64 {
    id
}

fn tags_of(value: &u64) -> Vec<String> {
    vec![value.to_string()]
}

fn main() {
    tags_of(&1);
}
