//! `crate = ::path`: where generated code finds the facade. `tests/renamed` is a crate that has it
//! under another name.

mod outer {
    pub(crate) mod cache {
        pub(crate) use redis_cached::*;
    }
}

mod inner {
    #[redis_cached::redis_cached(crate = crate::crate_path::outer::cache)]
    pub(super) fn absolute(id: u64) -> u64 {
        id
    }

    #[redis_cached::redis_cached(crate = super::outer::cache, siblings = off)]
    pub(super) async fn relative(id: u64) -> Result<u64, String> {
        Ok(id)
    }
}

#[tokio::test]
async fn any_path_to_it_will_do() {
    assert_eq!(inner::absolute(1), 1);
    let entry: redis_cached::blocking::Entry<u64> = inner::absolute_entry(1);
    assert_eq!(entry.get().unwrap(), Some(1));
    assert_eq!(inner::relative(1).await, Ok(1));
}
