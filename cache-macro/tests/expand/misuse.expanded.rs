async fn user<T>(id: u64, kind: T) -> User {
    load(id, kind).await
}
#[allow(unused_variables)]
async fn user_uncached<T>(id: u64, kind: T) -> User {
    ::core::panic!("its attribute does not compile")
}
#[allow(unused_variables)]
async fn user_refresh<T>(id: u64, kind: T) -> User {
    ::core::panic!("its attribute does not compile")
}
#[allow(unused_variables)]
fn user_entry<T>(id: u64, kind: T) -> ::redis_cached::Entry<User> {
    ::core::panic!("its attribute does not compile")
}
#[allow(unused_variables)]
async fn user_clear<T>() -> ::core::result::Result<
    ::core::primitive::u64,
    ::redis_cached::Error,
> {
    ::core::panic!("its attribute does not compile")
}
::core::compile_error! {
    "a lifetime of zero stores nothing"
}
