//! The kind of a function's value, and if it can be stored. The compiler finds out, so that a type that cannot be
//! stored is refused in words that say what to write.
//!
//! Generated code asks in two steps: [`Kind`] tells an `Option` and a `Result` from other types, and its result tells
//! if the type is `Serialize` and `DeserializeOwned`. In both, an inherent method wins over that of a trait wherever
//! the type is known. The methods have names that no trait of a user is likely to give to all types.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::plan::codec::{CodecFns, Nones};
use crate::stored::codec::Codecs;

/// Finds what a stored type really is: `Kind::<V>::new().rc_option().rc_found()`. Each step has one
/// inherent method, so that a type which is wrong already is not called ambiguous as well.
#[derive(Debug)]
pub struct Kind<T>(PhantomData<fn() -> T>);

impl<T> Kind<T> {
    /// To be followed by `.rc_option()`.
    #[expect(clippy::new_without_default, reason = "only generated code calls it")]
    pub fn new() -> Kind<T> {
        Kind(PhantomData)
    }
}

/// The type is no `Option`.
#[derive(Debug)]
pub struct NoOption<T>(PhantomData<fn() -> T>);
/// The type is an `Option`.
#[derive(Debug)]
pub struct FoundOption<T>(PhantomData<fn() -> T>);
/// The type is a `Result` that the spelling hid.
#[derive(Clone, Copy, Debug)]
pub struct HiddenResult;
/// The type is neither, as far as the compiler can see.
#[derive(Debug)]
pub struct FoundValue<T>(PhantomData<fn() -> T>);

// A derive would ask for `T: Copy`.
impl<T> Clone for FoundOption<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for FoundOption<T> {}
impl<T> Clone for FoundValue<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for FoundValue<T> {}

impl<T> Kind<Option<T>> {
    /// An `Option`.
    pub fn rc_option(self) -> FoundOption<T> {
        FoundOption(PhantomData)
    }
}

impl<T> FoundOption<T> {
    /// An `Option`.
    pub fn rc_found(self) -> FoundOption<T> {
        self
    }

    /// The same, on the user's word.
    pub fn rc_value(self) -> FoundOption<T> {
        self
    }
}

impl<T> NoOption<T> {
    /// A value, on the user's word, whatever it is.
    pub fn rc_value(self) -> FoundValue<T> {
        FoundValue(PhantomData)
    }
}

impl<T, E> NoOption<Result<T, E>> {
    /// A `Result`.
    pub fn rc_found(self) -> HiddenResult {
        HiddenResult
    }
}

/// The fallback of [`Kind`].
pub trait AnyKind<T>: Sized {
    /// No `Option`.
    fn rc_option(self) -> NoOption<T>;
}

impl<T> AnyKind<T> for Kind<T> {
    fn rc_option(self) -> NoOption<T> {
        NoOption(PhantomData)
    }
}

/// The fallback of [`NoOption`].
pub trait AnyFound<T>: Sized {
    /// Neither.
    fn rc_found(self) -> FoundValue<T>;
}

impl<T> AnyFound<T> for NoOption<T> {
    fn rc_found(self) -> FoundValue<T> {
        FoundValue(PhantomData)
    }
}

/// The verdict on a type that can be stored.
#[derive(Debug)]
pub struct Storable;
/// The verdict on a type that cannot be stored, because of `T`, which is the type or a part of it.
#[derive(Debug)]
pub struct Unstorable<T>(PhantomData<fn() -> T>);

impl<T: Serialize + DeserializeOwned> FoundOption<T> {
    /// It can be stored.
    pub fn rc_verdict(self) -> Storable {
        Storable
    }
}

impl<T: Serialize + DeserializeOwned> FoundValue<T> {
    /// It can be stored.
    pub fn rc_verdict(self) -> Storable {
        Storable
    }
}

impl HiddenResult {
    /// Nothing is said of the type, because it is reported already that it is a `Result`.
    pub fn rc_verdict(self) -> HiddenResult {
        self
    }
}

/// The fallback of `rc_verdict`, one reference further away: types that are stored in a form of their own implement it
/// by value, and are found first.
pub trait AnyVerdict<T>: Sized {
    /// How it is stored, or that it cannot be.
    type Verdict;
    /// The verdict.
    fn rc_verdict(self) -> Self::Verdict;
}

impl<T> AnyVerdict<T> for &FoundOption<T> {
    type Verdict = Unstorable<T>;
    fn rc_verdict(self) -> Unstorable<T> {
        Unstorable(PhantomData)
    }
}

impl<T> AnyVerdict<T> for &FoundValue<T> {
    type Verdict = Unstorable<T>;
    fn rc_verdict(self) -> Unstorable<T> {
        Unstorable(PhantomData)
    }
}

/// The verdict on a type, where that on a part of it is `P`: the part is to blame, if it cannot be stored.
pub trait Blame<P> {
    /// The verdict with the part in mind.
    type Verdict;
    /// Makes it.
    fn blame(self, part: P) -> Self::Verdict;
}

impl<P> Blame<P> for Storable {
    type Verdict = Storable;
    fn blame(self, _: P) -> Storable {
        self
    }
}

impl<P> Blame<P> for HiddenResult {
    type Verdict = HiddenResult;
    fn blame(self, _: P) -> HiddenResult {
        self
    }
}

impl<T> Blame<Storable> for Unstorable<T> {
    type Verdict = Unstorable<T>;
    fn blame(self, _: Storable) -> Unstorable<T> {
        self
    }
}

impl<T> Blame<HiddenResult> for Unstorable<T> {
    type Verdict = Unstorable<T>;
    fn blame(self, _: HiddenResult) -> Unstorable<T> {
        self
    }
}

impl<T, P> Blame<Unstorable<P>> for Unstorable<T> {
    type Verdict = Unstorable<P>;
    fn blame(self, part: Unstorable<P>) -> Unstorable<P> {
        part
    }
}

/// [`Blame::blame`].
pub fn blame<V: Blame<P>, P>(verdict: V, part: P) -> V::Verdict {
    verdict.blame(part)
}

/// The meaning of a verdict for values of type `V`.
pub trait Verdict<V> {
    /// A type that is [`Stores`] only where values can be stored.
    type Type;
    /// How they are stored.
    fn codec<C: Codecs>(self) -> CodecFns<V>;
}

impl<V: Serialize + DeserializeOwned> Verdict<V> for (FoundValue<V>, Storable) {
    type Type = Storable;
    fn codec<C: Codecs>(self) -> CodecFns<V> {
        CodecFns::<V>::of::<C>()
    }
}

impl<T: Serialize + DeserializeOwned> Verdict<Option<T>> for (FoundOption<T>, Storable) {
    type Type = Storable;
    fn codec<C: Codecs>(self) -> CodecFns<Option<T>> {
        CodecFns::<Option<T>>::of_some::<C>()
    }
}

impl<V> Verdict<V> for (HiddenResult, HiddenResult) {
    type Type = Storable;
    fn codec<C: Codecs>(self) -> CodecFns<V> {
        unreachable!("its type is refused elsewhere")
    }
}

impl<V, K, T> Verdict<V> for (K, Unstorable<T>) {
    type Type = T;
    fn codec<C: Codecs>(self) -> CodecFns<V> {
        unreachable!("its type is refused beside this")
    }
}

/// The types of which values are stored: [`Storable`] alone, so that all others are reported.
#[diagnostic::on_unimplemented(
    message = "the value type `{Self}` cannot be cached: it is not both `Serialize` and `Deserialize`",
    label = "cannot be stored",
    note = "derive both: `#[derive(serde::Serialize, serde::Deserialize)]`; \
            types of other crates have them under a feature, which is often called `serde`"
)]
#[cfg_attr(
    feature = "axum",
    diagnostic::on_unimplemented(note = "any response of a handler of axum is stored with the argument `response`")
)]
pub trait Stores {}
#[diagnostic::do_not_recommend]
impl Stores for Storable {}

/// How values are stored, for a type of which the verdict is given.
pub fn codec<V, C: Codecs, F, W>(found: F, verdict: W) -> CodecFns<V>
where
    (F, W): Verdict<V, Type: Stores>,
{
    (found, verdict).codec::<C>()
}

/// This is [`Stores`] for types with a type parameter.
#[diagnostic::on_unimplemented(
    message = "the value type `{Self}` cannot be cached: it is not both `Serialize` and `Deserialize`",
    label = "cannot be stored",
    note = "a type parameter needs the bounds `serde::Serialize + serde::de::DeserializeOwned`; \
            a type of your own derives both: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait StoresParameter {}
#[diagnostic::do_not_recommend]
impl StoresParameter for Storable {}

/// This is [`codec`] for such types.
pub fn codec_of_parameter<V, C: Codecs, F, W>(found: F, verdict: W) -> CodecFns<V>
where
    (F, W): Verdict<V, Type: StoresParameter>,
{
    (found, verdict).codec::<C>()
}

/// This is [`Stores`] for types with an `Arc` or `Rc`.
#[diagnostic::on_unimplemented(
    message = "the value type `{Self}` cannot be cached: it is not both `Serialize` and `Deserialize`",
    label = "cannot be stored",
    note = "`Arc` and `Rc` need the feature `rc` of serde: `features = [\"derive\", \"rc\"]`; \
            a type of your own derives both: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait StoresPointer {}
#[diagnostic::do_not_recommend]
impl StoresPointer for Storable {}

/// This is [`codec`] for such types.
pub fn codec_of_pointer<V, C: Codecs, F, W>(found: F, verdict: W) -> CodecFns<V>
where
    (F, W): Verdict<V, Type: StoresPointer>,
{
    (found, verdict).codec::<C>()
}

/// This is [`Stores`] for types with a `Json` or `Html`.
#[diagnostic::on_unimplemented(
    message = "the value type `{Self}` cannot be cached: it is not both `Serialize` and `Deserialize`",
    label = "cannot be stored",
    note = "what is in axum's `Json` and `Html` is stored with the feature `axum` of `redis-cached`, and any other response \
            of axum with its argument `response`; of another `Json`, return what is in it",
    note = "a type of your own derives both: `#[derive(serde::Serialize, serde::Deserialize)]`"
)]
pub trait StoresJson {}
#[diagnostic::do_not_recommend]
impl StoresJson for Storable {}

/// This is [`codec`] for such types.
pub fn codec_of_json<V, C: Codecs, F, W>(found: F, verdict: W) -> CodecFns<V>
where
    (F, W): Verdict<V, Type: StoresJson>,
{
    (found, verdict).codec::<C>()
}

/// The kinds that are stored.
#[diagnostic::on_unimplemented(
    message = "this return type is a `Result` under another name: its errors would be cached as values",
    label = "an alias of a `Result`",
    note = "write `returns = result` in `#[redis_cached(…)]` to store only `Ok`"
)]
pub trait Stored<V> {
    /// How to tell and make a `None`.
    fn nones(self) -> Nones<V>;
}

impl<T> Stored<Option<T>> for FoundOption<T> {
    fn nones(self) -> Nones<Option<T>> {
        Nones::option()
    }
}

impl<V> Stored<V> for FoundValue<V> {
    fn nones(self) -> Nones<V> {
        Nones::never()
    }
}

/// The kinds that have a `None`.
#[diagnostic::on_unimplemented(
    message = "`none_ttl` needs a function that returns an `Option`",
    label = "never `None`",
    note = "remove `none_ttl`, or write `returns = option` if an alias hides the `Option`"
)]
pub trait StoredOption<V>: Stored<V> {}
impl<T> StoredOption<Option<T>> for FoundOption<T> {}

/// For functions without `none_ttl`: `storable(Kind::<V>::new().rc_option().rc_found())`.
pub fn storable<V, K: Stored<V>>(kind: K) -> Nones<V> {
    kind.nones()
}

/// For functions with `none_ttl`.
pub fn storable_option<V, K: StoredOption<V>>(kind: K) -> Nones<V> {
    kind.nones()
}
