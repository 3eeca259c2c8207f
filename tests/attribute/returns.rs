//! Which part of a returned value is stored, and `returns = …` for a spelling that misleads.

use std::io;
use std::path::Path;

use redis_cached::redis_cached;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct User {
    id: u64,
}

type Found = Option<User>;
type Outcome = Result<User, String>;
type QueryResult<T> = Result<T, String>;

/// A value, whatever its name.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct SearchResult(u64);

/// Spelled like a `Result`.
#[derive(Serialize, Deserialize, Debug, PartialEq)]
struct PageResult<T>(T);

#[redis_cached]
async fn result(id: u64) -> Result<User, String> {
    if id == 0 { Err("zero".into()) } else { Ok(User { id }) }
}

#[redis_cached]
fn io_result(id: u64) -> io::Result<User> {
    if id == 0 { Err(io::ErrorKind::NotFound.into()) } else { Ok(User { id }) }
}

#[redis_cached]
fn alias_of_result(id: u64) -> QueryResult<Option<User>> {
    if id == 0 { Err("zero".into()) } else { Ok((id > 1).then_some(User { id })) }
}

#[redis_cached(returns = result)]
fn hidden_result(id: u64) -> Outcome {
    if id == 0 { Err("zero".into()) } else { Ok(User { id }) }
}

#[redis_cached]
fn hidden_option(id: u64) -> Found {
    (id > 0).then_some(User { id })
}

#[redis_cached(returns = option)]
fn said_option(id: u64) -> Found {
    (id > 0).then_some(User { id })
}

#[redis_cached]
fn named_like_a_result(id: u64) -> SearchResult {
    SearchResult(id)
}

#[redis_cached(returns = value)]
fn spelled_like_a_result(id: u64) -> PageResult<u64> {
    PageResult(id)
}

#[redis_cached(returns = value)]
fn option_as_it_is(id: u64) -> Vec<Option<User>> {
    vec![(id > 0).then_some(User { id })]
}

#[redis_cached(returns = result)]
async fn unit() -> Result<(), String> {
    Ok(())
}

#[tokio::test]
async fn errors_are_not_stored() {
    assert!(result(0).await.is_err());
    assert_eq!(result_entry(0).get().await.unwrap(), None);
    assert!(io_result(0).is_err());
    assert_eq!(io_result_entry(0).get().unwrap(), None);
    assert!(alias_of_result(0).is_err());
    assert_eq!(alias_of_result_entry(0).get().unwrap(), None);
    assert!(hidden_result(0).is_err());
    assert_eq!(hidden_result_entry(0).get().unwrap(), None);
}

#[tokio::test]
async fn of_a_result_the_ok_is_stored() {
    result(1).await.unwrap();
    assert_eq!(result_entry(1).get().await.unwrap(), Some(User { id: 1 }));
    io_result(1).unwrap();
    assert_eq!(io_result_entry(1).get().unwrap(), Some(User { id: 1 }));
    alias_of_result(2).unwrap();
    assert_eq!(alias_of_result_entry(2).get().unwrap(), Some(Some(User { id: 2 })));
    hidden_result(1).unwrap();
    assert_eq!(hidden_result_entry(1).get().unwrap(), Some(User { id: 1 }));
    unit().await.unwrap();
    assert_eq!(unit_entry().get().await.unwrap(), Some(()));
}

#[test]
fn none_is_not_stored() {
    alias_of_result(1).unwrap();
    assert_eq!(alias_of_result_entry(1).get().unwrap(), None);
    hidden_option(0);
    assert_eq!(hidden_option_entry(0).get().unwrap(), None);
    said_option(0);
    assert_eq!(said_option_entry(0).get().unwrap(), None);
    hidden_option(1);
    assert_eq!(hidden_option_entry(1).get().unwrap(), Some(Some(User { id: 1 })));
    said_option(1);
    assert_eq!(said_option_entry(1).get().unwrap(), Some(Some(User { id: 1 })));
}

#[test]
fn values_are_stored_as_they_are() {
    spelled_like_a_result(1);
    assert_eq!(spelled_like_a_result_entry(1).get().unwrap(), Some(PageResult(1)));
    named_like_a_result(1);
    assert_eq!(named_like_a_result_entry(1).get().unwrap(), Some(SearchResult(1)));
    option_as_it_is(0);
    assert_eq!(option_as_it_is_entry(0).get().unwrap(), Some(vec![None]));
}

#[redis_cached]
fn boxed_text(id: u64) -> Box<str> {
    id.to_string().into()
}

#[redis_cached]
async fn boxed_users(id: u64) -> Result<Option<Box<[User]>>, String> {
    Ok((id > 0).then(|| [User { id }].into()))
}

#[redis_cached]
async fn boxed_paths(id: u64) -> Vec<(Box<Path>, u64)> {
    vec![(Path::new("etc").join(id.to_string()).into(), id)]
}

#[tokio::test]
async fn what_has_no_size_is_stored_behind_a_pointer() {
    let computed = boxed_text(1);
    assert_eq!(boxed_text_entry(1).get().unwrap(), Some(computed));
    let computed = boxed_users(1).await.unwrap();
    assert_eq!(boxed_users_entry(1).get().await.unwrap(), Some(computed));
    let computed = boxed_paths(1).await;
    assert_eq!(boxed_paths_entry(1).get().await.unwrap(), Some(computed));
}

mod within {
    use super::{PageResult, redis_cached};

    type Errors = std::collections::BTreeMap<u8, Result<u64, String>>;

    #[redis_cached(returns = value)]
    pub(super) fn option(id: u64) -> Option<Result<u64, String>> {
        Some(Err(id.to_string()))
    }

    #[redis_cached(returns = value)]
    pub(super) fn vec(id: u64) -> Vec<Result<u64, String>> {
        vec![Ok(id), Err(id.to_string())]
    }

    #[redis_cached(returns = value)]
    pub(super) async fn result(id: u64) -> Result<Result<u64, String>, u64> {
        Ok(Err(id.to_string()))
    }

    #[redis_cached(batch(id in ids), returns = value)]
    pub(super) fn batch(ids: &[u64]) -> Vec<(u64, Vec<Result<u64, String>>)> {
        ids.iter().map(|id| (*id, vec![Err(id.to_string())])).collect()
    }

    #[redis_cached(returns = result)]
    pub(super) fn named_like_a_result(id: u64) -> Result<Vec<PageResult<u64>>, String> {
        Ok(vec![PageResult(id)])
    }

    /// The spellings that the errors advise.
    #[redis_cached]
    pub(super) fn flat(id: u64) -> Result<Option<Vec<u64>>, String> {
        let found: Option<Result<u64, String>> = Some(Ok(id));
        let all: Result<Vec<u64>, String> = vec![Ok(id)].into_iter().collect();
        found.transpose()?.map(|_| all).transpose()
    }

    #[redis_cached]
    pub(super) fn flattened(id: u64) -> Result<u64, Box<dyn std::error::Error + Send + Sync>> {
        let both: Result<Result<u64, String>, std::fmt::Error> = Ok(Ok(id));
        Ok(both??)
    }

    #[redis_cached]
    pub(super) fn alias(_id: u64) -> Errors {
        Errors::new()
    }

    #[redis_cached]
    pub(super) fn exists(id: u64) -> Result<Option<()>, String> {
        Ok((id > 0).then_some(()))
    }
}

#[tokio::test]
async fn errors_within_are_stored_where_it_is_said() {
    for _ in 0..2 {
        assert_eq!(within::option(1), Some(Err("1".into())));
        assert_eq!(within::vec(1), [Ok(1), Err("1".into())]);
        assert_eq!(within::result(1).await, Ok(Err("1".into())));
        assert_eq!(within::batch(&[1]), [(1, vec![Err("1".into())])]);
        assert_eq!(within::named_like_a_result(1), Ok(vec![PageResult(1)]));
        assert_eq!(within::flat(1), Ok(Some(vec![1])));
        assert_eq!(within::flattened(1).unwrap(), 1);
        assert_eq!(within::exists(1), Ok(Some(())));
        assert!(within::alias(1).is_empty());
    }
    assert_eq!(within::option_entry(1).get().unwrap(), Some(Some(Err("1".into()))));
    assert_eq!(within::vec_entry(1).get().unwrap(), Some(vec![Ok(1), Err("1".into())]));
    assert_eq!(within::batch_entry(1).get().unwrap(), Some(vec![Err("1".into())]));
    assert_eq!(within::exists_entry(1).get().unwrap(), Some(Some(())));
}
