//! Extractors of axum that are kept for a refresh in the background.

use axum::extract::Path;

use crate::expansion::own::{Cloned, Kept, NotKept};

/// The parameter is a [`Path`], which is not `Clone`, around something that is.
#[derive(Debug)]
pub struct KeptPath;

impl<T: Clone + Send> NotKept<Path<T>> for Cloned<Path<T>> {
    type Verdict = KeptPath;
    fn rc_kept(self) -> KeptPath {
        KeptPath
    }
}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send> Kept<Path<T>> for KeptPath {
    fn keep(self, argument: &Path<T>) -> Path<T> {
        Path(argument.0.clone())
    }
}
