use redis_cached::redis_cached;

struct Source<Key>(Key);

impl<Key: Clone + Send> Source<Key> {
    #[redis_cached(skip(self))]
    fn parameter_of_the_block(self, id: u64) -> Result<u64, Key> {
        id.checked_add(1).ok_or(self.0)
    }

    #[redis_cached(skip(self), share_errors = off)]
    fn off(self, id: u64) -> Result<u64, Key> {
        id.checked_add(1).ok_or(self.0)
    }
}

fn main() {}
