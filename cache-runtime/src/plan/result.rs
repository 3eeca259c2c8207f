//! Functions that return a `Result`, of which the `Ok` is stored.

/// The `Result` that a function's return type stands for, whatever it is called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Result`",
    label = "no `Result`",
    note = "a type whose name ends in `Result` is taken for one: write `returns = value` to store it as it is",
    note = "where `returns = result` says that it is one, remove that"
)]
pub trait ResultLike {
    /// The type that is stored.
    type Ok;
    /// The type that is not stored.
    type Err;
    /// The identity, as the compiler sees it.
    fn into_result(self) -> Result<Self::Ok, Self::Err>;
    /// The inverse of `into_result`.
    fn from_result(result: Result<Self::Ok, Self::Err>) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, E> ResultLike for Result<T, E> {
    type Ok = T;
    type Err = E;
    fn into_result(self) -> Result<T, E> {
        self
    }
    fn from_result(result: Result<T, E>) -> Self {
        result
    }
}
