//! Facts that the spelling of Rust code tells.

pub(crate) mod borrows;
pub(crate) mod generics;
pub(crate) mod mentions;
pub(crate) mod place;
pub(crate) mod types;
