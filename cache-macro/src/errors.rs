//! Collects errors, so that a user sees all of them at once.

use std::cell::RefCell;
use std::fmt::Display;
use std::thread;

use proc_macro2::{Span, TokenStream};

/// The errors found so far. [`finish`](Errors::finish) must be called, because dropping this without
/// it would swallow them.
pub(crate) struct Errors(RefCell<Option<Vec<syn::Error>>>);

impl Errors {
    pub(crate) fn new() -> Errors {
        Errors(RefCell::new(Some(Vec::new())))
    }

    /// An error at one token.
    pub(crate) fn at(&self, span: Span, message: impl Display) {
        self.add(syn::Error::new(span, message));
    }

    pub(crate) fn add(&self, error: syn::Error) {
        if let Some(errors) = &mut *self.0.borrow_mut() {
            errors.push(error);
        }
    }

    /// Adds the error of `result`, if it is one.
    pub(crate) fn keep<T>(&self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.add(error)).ok()
    }

    /// Nothing, or the errors as tokens that make the compiler report them.
    pub(crate) fn finish(self) -> Result<(), TokenStream> {
        let errors = self.0.take().unwrap_or_default();
        if errors.is_empty() {
            return Ok(());
        }
        Err(errors.iter().map(syn::Error::to_compile_error).collect())
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        if !thread::panicking() && self.0.borrow().is_some() {
            // This is a bug in this crate, which would compile code that has to be refused.
            panic!("the errors of an expansion were not reported");
        }
    }
}
