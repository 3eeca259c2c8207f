//! Nothing here is called `redis_cached` but the attribute.

pub use memo;

/// Names the dependency.
#[memo::redis_cached(crate = ::memo, ttl = 60, none_ttl = 5)]
pub async fn named(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

/// Names a module of this crate.
#[memo::redis_cached(crate = crate::memo, key = "through:{id}", codec = bincode)]
pub fn through_a_module(id: u64) -> Result<u64, String> {
    Ok(id)
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_are_found() {
        let entry: memo::Entry<Option<u64>> = crate::named_entry(1);
        assert_eq!(entry.key().unwrap(), "renamed:named:1");
        assert_eq!(crate::through_a_module(1), Ok(1));
        let entry: memo::blocking::Entry<u64> = crate::through_a_module_entry(1);
        assert_eq!(entry.get().unwrap(), Some(1));
    }
}
