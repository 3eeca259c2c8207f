use redis_cached::redis_cached;
use serde::Serialize;

#[redis_cached]
fn argument(buffer: &mut Vec<u8>, id: u64) -> u64 {
    buffer.push(1);
    id
}

#[redis_cached]
async fn within(buffer: Option<&mut Vec<u8>>, (count, id): (&mut u64, u64)) -> u64 {
    *count += buffer.map_or(0, |buffer| buffer.len() as u64);
    id
}

#[redis_cached(key = "{buffer}:{id}")]
fn mentioned(buffer: &mut Vec<u8>, id: u64) -> u64 {
    buffer.push(1);
    id
}

#[derive(Serialize)]
struct Counter(u64);

impl Counter {
    #[redis_cached]
    fn count(&mut self, id: u64) -> u64 {
        self.0 += 1;
        id
    }
}

// These say that it is meant.

#[redis_cached(skip(buffer))]
fn skipped(buffer: &mut Vec<u8>, id: u64) -> u64 {
    buffer.push(1);
    id
}

#[redis_cached(skip(count))]
fn a_name_of_it((count, id): (&mut u64, u64)) -> u64 {
    *count += 1;
    id
}

#[redis_cached(key = "{buffer.len()}:{id}")]
fn a_part_of_it(buffer: &mut Vec<u8>, id: u64) -> u64 {
    buffer.push(1);
    id
}

fn main() {}
