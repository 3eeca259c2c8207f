//! Nothing here is called `redis_cached` but the attribute, and its defaults come from the
//! environment at compile time.

pub use memo;

/// Names the dependency.
#[memo::redis_cached(crate = ::memo, none_ttl = 5)]
pub async fn named(id: u64) -> Option<u64> {
    (id > 0).then_some(id)
}

/// Names a module of this crate.
#[memo::redis_cached(crate = crate::memo, name = "through", key = "{id}", codec = bincode)]
pub fn through_a_module(id: u64) -> Result<u64, String> {
    Ok(id)
}

/// Knows better than the environment.
#[memo::redis_cached(crate = ::memo, prefix = "own", ttl = forever)]
pub fn particular(id: u64) -> u64 {
    id
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn the_crate_is_found() {
        let entry: memo::Entry<Option<u64>> = crate::named_entry(1);
        assert_eq!(entry.key().unwrap(), "from-env:named:1");
        assert_eq!(crate::through_a_module(1), Ok(1));
        let entry: memo::blocking::Entry<u64> = crate::through_a_module_entry(1);
        assert_eq!(entry.get().unwrap(), Some(1));
    }

    #[test]
    fn the_environment_has_the_defaults() {
        crate::through_a_module(2).unwrap();
        let entry = crate::through_a_module_entry(2);
        assert_eq!(entry.key().unwrap(), "from-env:through:2");
        let left = entry.ttl().unwrap().unwrap();
        assert!(left > Duration::from_secs(60) && left <= Duration::from_secs(90), "{left:?}");

        crate::particular(2);
        assert_eq!(crate::particular_entry(2).key().unwrap(), "own:particular:2");
        assert_eq!(crate::particular_entry(2).ttl().unwrap(), Some(Duration::MAX));
    }
}
