//! Copies of a call's arguments that a refresh in the background keeps, and how they are lent to the body.
//!
//! A copy is made as the parameter is spelled: by `Clone`, or by `ToOwned` from its referent. A probe
//! finds out if that works, so that a parameter that cannot be copied fails with our words at the parameter.

use std::borrow::{Borrow, Cow};
use std::marker::PhantomData;

use crate::expansion::{No, Yes};

/// A copy `O` of the `T` that a reference points to.
pub struct Referent<T: ?Sized, O>(O, PhantomData<fn(&T)>);

impl<T: ?Sized, O> std::fmt::Debug for Referent<T, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Referent")
    }
}

/// For a parameter `&T`.
pub fn lend<T: ?Sized, O: Borrow<T>>(kept: &Referent<T, O>) -> &T {
    kept.0.borrow()
}

/// For a parameter `Option<&T>`.
pub fn lend_option<T: ?Sized, O: Borrow<T>>(kept: &Option<Referent<T, O>>) -> Option<&T> {
    kept.as_ref().map(lend)
}

/// For a parameter `Cow<'_, T>`.
pub fn lend_cow<T: ?Sized + ToOwned, O: Borrow<T>>(kept: &Referent<T, O>) -> Cow<'_, T> {
    Cow::Borrowed(lend(kept))
}

macro_rules! probes {
    ($($(#[$doc:meta])* $probe:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $probe<T: ?Sized>(PhantomData<fn(&T)>);

        impl<T: ?Sized> NotKept<T> for &$probe<T> {
            type Verdict = No<T>;
            fn rc_kept(self) -> No<T> {
                No(PhantomData)
            }
        }
    )*};
}
probes! {
    /// The probe for parameters that can be kept by `Clone`: `keep(id, cloned(id).kept())` gets [`Yes`] where it can,
    /// and otherwise fails.
    Cloned;
    /// The probe for the referent of a parameter, for a task, which may lend it from any thread.
    Lent;
    /// This is [`Lent`] for a thread, which does not move.
    LentByThread;
}

impl<T: Clone + Send> Cloned<T> {
    /// The parameter can be kept.
    pub fn rc_kept(&self) -> Yes {
        Yes
    }
}

impl<T: ?Sized + ToOwned<Owned: Send> + Sync> Lent<T> {
    /// The referent can be kept.
    pub fn rc_kept(&self) -> Yes {
        Yes
    }
}

impl<T: ?Sized + ToOwned<Owned: Send>> LentByThread<T> {
    /// The referent can be kept.
    pub fn rc_kept(&self) -> Yes {
        Yes
    }
}

/// The fallback of the probes, one reference further away: types that are kept in a way of their own implement it by
/// value, and are found first.
pub trait NotKept<T: ?Sized> {
    /// How it is kept, or that it cannot be.
    type Verdict;
    /// The verdict.
    fn rc_kept(self) -> Self::Verdict;
}

/// Starts the probe of a parameter `T`.
pub fn cloned<T>(_: &T) -> Cloned<T> {
    Cloned(PhantomData)
}

/// The referent of a parameter: the `T` of `&T`, `Option<&T>` and `Cow<'_, T>`.
pub trait Lender {
    /// The type `T`.
    type Referent: ?Sized;
}

impl<T: ?Sized> Lender for &T {
    type Referent = T;
}
impl<T: ?Sized> Lender for Option<&T> {
    type Referent = T;
}
impl<T: ?Sized + ToOwned> Lender for Cow<'_, T> {
    type Referent = T;
}

/// Starts the probe of a parameter that lends, for an `async fn`.
pub fn lent<L: Lender>(_: &L) -> Lent<L::Referent> {
    Lent(PhantomData)
}

/// Starts the probe of a parameter that lends, for a plain function.
pub fn lent_by_thread<L: Lender>(_: &L) -> LentByThread<L::Referent> {
    LentByThread(PhantomData)
}

/// The verdict on a parameter that is cloned.
#[diagnostic::on_unimplemented(
    message = "a parameter of type `{T}` cannot be kept for a background refresh",
    label = "not `Clone + Send`",
    note = "make it `Clone + Send`, such as by an `Arc`, or leave `refresh_ahead` and `stale_while_revalidate` out"
)]
pub trait Kept<T> {
    /// Makes the copy.
    fn keep(self, argument: &T) -> T;
}

impl<T: Clone + Send> Kept<T> for Yes {
    fn keep(self, argument: &T) -> T {
        argument.clone()
    }
}

/// The verdict on a `self` that is cloned.
#[diagnostic::on_unimplemented(
    message = "`self` of type `{T}` cannot be kept for a background refresh",
    label = "not `Clone + Send`",
    note = "make it `Clone + Send`, such as by an `Arc`, or leave `refresh_ahead` and `stale_while_revalidate` out"
)]
pub trait KeptSelf<T>: Kept<T> {}
impl<T: Clone + Send> KeptSelf<T> for Yes {}

/// The verdict on a parameter that lends.
#[diagnostic::on_unimplemented(
    message = "a parameter that lends a `{T}` cannot be kept for a background refresh",
    label = "not `Clone + Send + Sync`",
    note = "make it `Clone + Send + Sync`, such as by an `Arc`, or leave `refresh_ahead` and `stale_while_revalidate` out"
)]
pub trait KeptReferent<T: ?Sized> {
    /// The type of the copy.
    type Kept;
    /// Makes the copy.
    fn keep(self, referent: &T) -> Self::Kept;
}

impl<T: ?Sized + ToOwned> KeptReferent<T> for Yes {
    type Kept = T::Owned;
    fn keep(self, referent: &T) -> T::Owned {
        referent.to_owned()
    }
}

/// The verdict on `&self`.
#[diagnostic::on_unimplemented(
    message = "`self` of type `{T}` cannot be kept for a background refresh",
    label = "not `Clone + Send + Sync`",
    note = "make it `Clone + Send + Sync`, such as by an `Arc`, or leave `refresh_ahead` and `stale_while_revalidate` out"
)]
pub trait KeptSelfReferent<T: ?Sized>: KeptReferent<T> {}
impl<T: ?Sized + ToOwned> KeptSelfReferent<T> for Yes {}

/// Keeps a parameter by `Clone`.
pub fn keep<T, K: Kept<T>>(argument: &T, verdict: K) -> T {
    verdict.keep(argument)
}

/// Keeps a `self` by `Clone`.
pub fn keep_self<T, K: KeptSelf<T>>(argument: &T, verdict: K) -> T {
    verdict.keep(argument)
}

/// Keeps the referent of a `&T`.
pub fn keep_referent<T: ?Sized, K: KeptReferent<T>>(argument: &&T, verdict: K) -> Referent<T, K::Kept> {
    Referent(verdict.keep(argument), PhantomData)
}

/// Keeps the referent of `&self`.
pub fn keep_self_referent<T: ?Sized, K: KeptSelfReferent<T>>(argument: &&T, verdict: K) -> Referent<T, K::Kept> {
    Referent(verdict.keep(argument), PhantomData)
}

/// Keeps the referent of an `Option<&T>`.
pub fn keep_option<T: ?Sized, K: KeptReferent<T>>(argument: &Option<&T>, verdict: K) -> Option<Referent<T, K::Kept>> {
    argument.map(|referent| Referent(verdict.keep(referent), PhantomData))
}

/// Keeps the referent of a `Cow<'_, T>`.
#[expect(clippy::ptr_arg, reason = "that is how the parameter is spelled")]
pub fn keep_cow<T: ?Sized + ToOwned, K: KeptReferent<T>>(argument: &Cow<'_, T>, verdict: K) -> Referent<T, K::Kept> {
    Referent(verdict.keep(argument), PhantomData)
}
