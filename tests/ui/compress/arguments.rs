use redis_cached::redis_cached;

#[redis_cached(compress = lz)]
fn near(id: u64) -> u64 {
    id
}

#[redis_cached(compress = gzip)]
fn unknown(id: u64) -> u64 {
    id
}

#[redis_cached(compress = "snappy:100")]
fn unknown_text(id: u64) -> u64 {
    id
}

#[redis_cached(compress = "lz4:4k")]
fn threshold(id: u64) -> u64 {
    id
}

#[redis_cached(compress = "off:100")]
fn off_above(id: u64) -> u64 {
    id
}

#[redis_cached(compress = 4096)]
fn number(id: u64) -> u64 {
    id
}

#[redis_cached(compress = true)]
fn switch(id: u64) -> u64 {
    id
}

#[redis_cached(compress)]
fn nothing(id: u64) -> u64 {
    id
}

#[redis_cached(compress = lz4, compress = zstd)]
fn twice(id: u64) -> u64 {
    id
}

#[redis_cached(compresion = lz4)]
fn misspelled(id: u64) -> u64 {
    id
}

fn main() {}
