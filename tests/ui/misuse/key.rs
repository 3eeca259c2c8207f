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

#[redis_cached(key = "user:{id}")]
fn forgotten(tenant: &str, id: u64) -> String {
    format!("{tenant}{id}")
}

#[redis_cached(key = "user:{{id}}")]
fn doubled_braces(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:{0}")]
fn positional(id: u64) -> u64 {
    id
}

#[redis_cached(key = "user:%d")]
fn printf(id: u64) -> u64 {
    id
}

#[redis_cached(key = "{a}")]
fn name_of_a_pattern((a, b): (u64, u64)) -> u64 {
    a + b
}

#[redis_cached(key = "{ids.iter().map(|id| id + 1).sum::<u64>()}")]
fn bound_within(ids: &[u64], id: u64) -> u64 {
    ids[0] + id
}

#[redis_cached(key = "{id}", tags = "org:{org}")]
fn in_tags_alone(org: u64, id: u64) -> u64 {
    org + id
}

#[redis_cached(key = "{id}", group = "org:{org}")]
fn beside_a_group(org: u64, id: u64, tenant: u64) -> u64 {
    org + id + tenant
}

#[redis_cached(key = "{tenant}", batch(id in ids))]
fn batch(tenant: u64, ids: &[u64], kind: u64) -> Vec<(u64, u64)> {
    ids.iter().map(|id| (*id, tenant + kind)).collect()
}

struct Repo {
    tenant: String,
    cache: redis_cached::Cache,
}

impl Repo {
    #[redis_cached(key = "user:{id}")]
    async fn user(&self, id: u64) -> String {
        format!("{}{id}", self.tenant)
    }

    #[redis_cached(key = "user:{id}", cache = self.cache)]
    async fn cache_alone(&self, id: u64) -> u64 {
        id
    }
}

#[redis_cached(key = "user:{stringify!(id)}")]
fn the_name_alone(id: u64) -> u64 {
    id
}

fn main() {}
