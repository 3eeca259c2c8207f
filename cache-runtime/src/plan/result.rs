//! Functions that return a `Result`, of which the `Ok` is stored.

/// The `Result` behind a function's return type, whatever it is called.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no `Result`",
    label = "no `Result`",
    note = "a type whose name ends in `Result` is taken for one: write `returns = value` to store it as it is",
    note = "where `returns = result` says that it is one, remove that"
)]
pub trait ResultLike {
    /// What is stored.
    type Ok;
    /// What is not.
    type Err;
    /// The identity, to the compiler's eye.
    fn into_result(self) -> Result<Self::Ok, Self::Err>;
    /// And back.
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
