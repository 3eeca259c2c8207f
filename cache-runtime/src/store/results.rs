//! The results of an operation on many slots.

use std::ops::{Deref, DerefMut};
use std::{iter, option, slice, vec};

/// One result for each request, in their order. The result of a single request takes no allocation, so that the
/// operations on one slot can be provided by those on many.
#[derive(Debug)]
pub(crate) enum Results<R> {
    One(R),
    Many(Vec<R>),
}

impl<R> Results<R> {
    /// The result of the only request; `None` if there are none.
    pub(crate) fn only(self) -> Option<R> {
        self.into_iter().next()
    }

    /// Appends the results of further requests.
    pub(crate) fn append(&mut self, more: impl IntoIterator<Item = R>) {
        let mut all = match std::mem::replace(self, Results::Many(Vec::new())) {
            Results::One(result) => vec![result],
            Results::Many(results) => results,
        };
        all.extend(more);
        *self = Results::Many(all);
    }
}

impl<R> Deref for Results<R> {
    type Target = [R];

    fn deref(&self) -> &[R] {
        match self {
            Results::One(result) => slice::from_ref(result),
            Results::Many(results) => results,
        }
    }
}

impl<R> DerefMut for Results<R> {
    fn deref_mut(&mut self) -> &mut [R] {
        match self {
            Results::One(result) => slice::from_mut(result),
            Results::Many(results) => results,
        }
    }
}

impl<R> FromIterator<R> for Results<R> {
    fn from_iter<I: IntoIterator<Item = R>>(results: I) -> Results<R> {
        let mut results = results.into_iter();
        let Some(first) = results.next() else { return Results::Many(Vec::new()) };
        let Some(second) = results.next() else { return Results::One(first) };
        let mut all = Vec::with_capacity(2 + results.size_hint().0);
        all.extend([first, second]);
        all.extend(results);
        Results::Many(all)
    }
}

impl<R> IntoIterator for Results<R> {
    type Item = R;
    type IntoIter = iter::Chain<option::IntoIter<R>, vec::IntoIter<R>>;

    fn into_iter(self) -> Self::IntoIter {
        let (one, many) = match self {
            Results::One(result) => (Some(result), Vec::new()),
            Results::Many(results) => (None, results),
        };
        one.into_iter().chain(many)
    }
}
