#[redis_cached(
    ttl = |token: &Token| token.expires_in,
    prefix = SHOP,
    name = "token",
    version = 2,
    codec = json,
    compress = "lz4:4096",
    cache_if = Option::is_some,
    none_ttl = "30s",
    jitter = 0.1
)]
fn token<'a, T: Kind, D>(client: &'a str, kind: T, mut count: u8, db: D) -> Option<Token>
where
    D: Find<T>,
{
    db.find(client, kind, count)
}
