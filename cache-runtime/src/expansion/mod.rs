//! The names that generated code uses. They are no interface for people and change with any release, which is why the
//! facade pins the macro's version.

#[cfg(feature = "axum")]
mod extractors;
mod own;
mod verb;

use std::marker::PhantomData;
use std::panic::Location;

use serde::Serialize;

use crate::api::cache::Cache;
#[cfg(feature = "blocking")]
pub use crate::api::clear::clear_blocking as blocking_clear;
#[cfg(feature = "tokio")]
pub use crate::api::clear::{clear, clear_installed};
pub use crate::api::default_cache::installed;
#[cfg(feature = "blocking")]
pub use crate::api::entry::blocking::entry as blocking_entry;
#[cfg(feature = "tokio")]
pub use crate::api::entry::entry;
#[cfg(feature = "blocking")]
pub use crate::api::group::blocking::group as blocking_group;
#[cfg(feature = "tokio")]
pub use crate::api::group::group;
pub use crate::engine::Verb;
#[cfg(feature = "blocking")]
pub use crate::engine::blocking::{
    batch_result as blocking_batch_result, batch_value as blocking_batch_value, call_result as blocking_call_result,
    call_result_in_background as blocking_call_result_in_background, call_value as blocking_call_value,
    call_value_in_background as blocking_call_value_in_background,
};
pub use crate::engine::context::Context;
pub use crate::engine::ids::{BatchIds, BatchMap, IdOfMap, batch_ids, collect_ids};
#[cfg(feature = "local")]
pub use crate::engine::local::call::{kept_result, kept_result_at, kept_value, kept_value_at};
pub use crate::engine::sharing::{ErrorProbe, Errors, Unshared};
#[cfg(feature = "tokio")]
pub use crate::engine::tokio::{
    batch_result, batch_value, call_result, call_result_in_background, call_value, call_value_in_background,
};
use crate::error::Error;
pub use crate::expansion::own::{
    Cloned, Kept, KeptReferent, KeptSelf, KeptSelfReferent, Lender, Lent, LentByThread, NotKept, Referent, cloned,
    keep, keep_cow, keep_option, keep_referent, keep_self, keep_self_referent, lend, lend_cow, lend_option, lent,
    lent_by_thread,
};
#[cfg(feature = "tokio")]
pub use crate::expansion::verb::refreshing;
pub use crate::expansion::verb::{refresh_next, verb};
pub use crate::key::{Key, KeyWriter};
pub use crate::plan::codec::{CodecFns, Nones};
pub use crate::plan::function::{Function, Name, Plan, Prefix, SingleFlight, Site, Slot, Terms};
pub use crate::plan::local::{Keepable, LocalFns, local_fns};
pub use crate::plan::result::ResultLike;
pub use crate::plan::ttl::{AnyConst, Const, IntoTtl, Ttl, check_lease, check_stale, check_ttl, check_wait};
pub use crate::plan::value::*;
#[cfg(any(feature = "bincode", feature = "messagepack"))]
pub use crate::stored::codec::Auto;
#[cfg(feature = "bincode")]
pub use crate::stored::codec::Bincode;
#[cfg(feature = "json")]
pub use crate::stored::codec::Json;
#[cfg(feature = "messagepack")]
pub use crate::stored::codec::MessagePack;
pub use crate::stored::codec::{Codec, Codecs};
pub use crate::stored::compress::Compression;
#[cfg(feature = "axum")]
pub use crate::web::{
    AnyExtracted, AnyTaken, IsPart, Page, Rules, TakesAll, Varied, asked_verb, asks_not_to_store, call_response,
    call_response_in_background, check_extracted, check_taken, check_type, extracted, is_missing, is_passing, only,
    taken, type_of, unstored_response, varied,
};
#[cfg(all(feature = "axum", feature = "local"))]
pub use crate::web::{kept_response, local_pages};

/// The response of a handler.
#[cfg(feature = "axum")]
pub type Response = ::axum::response::Response;

/// The key of a call, or the reason why its arguments have none.
pub type MadeKey = Result<Key, Error>;

/// A handle of the cache that the attribute names.
pub fn own_cache(cache: &Cache) -> Context {
    cache.0.clone()
}

/// Starts a key: text goes on with `.literal(":")`, parameters with [`part`], and `.finish()` ends it.
pub fn key(cache: &Context, function: &'static Function) -> KeyWriter {
    KeyWriter::new(cache.namespace(), function.head())
}

/// Starts the key of an entry in a group, whose name comes first: text and parameters as in [`key`],
/// then `.field(function.name())`.
pub fn key_in_group(cache: &Context, function: &'static Function) -> KeyWriter {
    KeyWriter::of_group(cache.namespace(), function.prefix())
}

/// Starts the name of a group, as [`key_in_group`] does.
pub fn group_key(cache: &Context, prefix: &Prefix) -> KeyWriter {
    KeyWriter::of_group(cache.namespace(), &prefix.escaped())
}

/// The types that a closure of the attribute may return as tags.
#[diagnostic::on_unimplemented(
    message = "tags of a value are a collection of texts, and `{Self}` is none",
    label = "not a collection of `String`s",
    note = "write a collection of texts: `tags = |value| vec![format!(\"org:{{}}\", value.org)]`"
)]
pub trait IntoTags {
    /// The conversion.
    fn into_tags(self) -> Vec<String>;
}

#[diagnostic::do_not_recommend]
impl<T: IntoIterator<Item: Into<String>>> IntoTags for T {
    fn into_tags(self) -> Vec<String> {
        self.into_iter().map(Into::into).collect()
    }
}

/// The tags that a closure of the attribute made.
pub fn into_tags<T: IntoTags>(tags: T) -> Vec<String> {
    tags.into_tags()
}

/// The path of the function around the closure `|| ()`.
pub fn path_of<F>(_: &F) -> &'static str {
    std::any::type_name::<F>()
}

/// The place of the call in the source.
#[inline]
#[track_caller]
pub fn place() -> &'static Location<'static> {
    Location::caller()
}

/// Applies a closure of the attribute. With this signature it needs no annotations, may be a path to a function, and
/// sees nothing but the value.
pub fn of_value<V, R>(closure: fn(&V) -> R, value: &V) -> R {
    closure(value)
}

/// The return type of a function.
pub type Returned<R> = R;
/// The type that is stored of `R`. It goes by another name, so that every part of a projection has the same place,
/// where an error is shown once.
pub type OkOf<R> = <R as ResultLike>::Ok;
/// The error type, which is not stored.
pub type ErrOf<R> = <R as ResultLike>::Err;
/// The type of the ids of a map.
pub type IdOf<M> = <M as BatchMap>::Id;
/// The type of the values of a map.
pub type ValueOf<M> = <M as BatchMap>::Value;

/// For `returns = option`.
#[diagnostic::on_unimplemented(
    message = "`returns = option`, but the function returns `{Self}`",
    note = "remove `returns = option`"
)]
pub trait OptionLike: Sized {
    /// The functions that recognize and make its `None`.
    fn nones() -> Nones<Self>;
}

impl<T> OptionLike for Option<T> {
    fn nones() -> Nones<Option<T>> {
        Nones::option()
    }
}

/// The probe for parameters that can be part of a key: `part(writer, "id", &id, probe(&id).rc_key_part())` gets [`Yes`]
/// where the type is `Serialize`, and otherwise fails with our words at the parameter.
#[derive(Debug)]
pub struct Probe<'a, T: ?Sized>(&'a T);

/// The type of the parameter is `Serialize`.
#[derive(Debug)]
pub struct Yes;
/// The type of the parameter is not `Serialize`.
#[derive(Debug)]
pub struct No<T: ?Sized>(pub(crate) PhantomData<T>);

/// Starts the probe.
pub fn probe<T: ?Sized>(parameter: &T) -> Probe<'_, T> {
    Probe(parameter)
}

impl<T: ?Sized + Serialize> Probe<'_, T> {
    /// The parameter can be part of a key.
    pub fn rc_key_part(&self) -> Yes {
        Yes
    }
}

/// The fallback of [`Probe`].
pub trait NoKeyPart<T: ?Sized> {
    /// The parameter cannot be part of a key.
    fn rc_key_part(&self) -> No<T>;
}

impl<T: ?Sized> NoKeyPart<T> for Probe<'_, T> {
    fn rc_key_part(&self) -> No<T> {
        No(PhantomData)
    }
}

/// The verdict of [`Probe`] on a parameter, as a bound.
#[diagnostic::on_unimplemented(
    message = "a parameter of type `{T}` cannot be part of a cache key",
    label = "not `Serialize`",
    note = "leave it out with `skip(…)` if the result does not depend on it, or say what it means to the key with `key = \"…{{param.field}}…\"`",
    note = "or derive `Serialize` for it; `Arc` and `Rc` have it with serde's feature `rc`, and of a wrapper such as `Json(id)` the pattern takes what is inside"
)]
pub trait KeyPart<T: ?Sized> {
    /// Appends the parameter.
    fn append(self, writer: &mut KeyWriter, parameter: &'static str, value: &T);
}

impl<T: ?Sized + Serialize> KeyPart<T> for Yes {
    fn append(self, writer: &mut KeyWriter, parameter: &'static str, value: &T) {
        writer.placeholder(parameter, value);
    }
}

/// The value of a pattern's `Name`, as the key sees it: a reference if it is a name, and a unit struct itself if it is
/// one.
#[derive(Debug)]
pub struct NameProbe<'a, T>(PhantomData<&'a T>);

/// It is a unit struct.
#[derive(Debug)]
pub struct UnitStruct;

/// Starts the probe: `(&name(&Name)).rc_key_part()` finds [`Yes`] for a name whose type is `Serialize`, [`No`] for any other
/// name, and else [`UnitStruct`], one reference further away.
pub fn name<T>(_: &T) -> NameProbe<'_, T> {
    NameProbe(PhantomData)
}

impl<T: ?Sized + Serialize> NameProbe<'_, &T> {
    /// The name can be part of a key.
    pub fn rc_key_part(&self) -> Yes {
        Yes
    }
}

impl<T: ?Sized> NoKeyPart<T> for NameProbe<'_, &T> {
    fn rc_key_part(&self) -> No<T> {
        No(PhantomData)
    }
}

/// The fallback of [`NameProbe`].
pub trait NoName {
    /// There is nothing to add.
    fn rc_key_part(&self) -> UnitStruct;
}

impl<T> NoName for &NameProbe<'_, T> {
    fn rc_key_part(&self) -> UnitStruct {
        UnitStruct
    }
}

/// The verdict of [`NameProbe`], as a bound.
#[diagnostic::on_unimplemented(
    message = "a parameter of type `{T}` cannot be part of a cache key",
    label = "not `Serialize`",
    note = "leave it out with `skip(…)` if the result does not depend on it, or say what it means to the key with `key = \"…{{param.field}}…\"`",
    note = "or derive `Serialize` for it; `Arc` and `Rc` have it with serde's feature `rc`, and of a wrapper such as `Json(id)` the pattern takes what is inside"
)]
pub trait NamePart<T> {
    /// Appends it, and what separates it from the part before.
    fn append_name(self, writer: &mut KeyWriter, parameter: &'static str, value: &T);
}

impl<T: ?Sized + Serialize> NamePart<&T> for Yes {
    fn append_name(self, writer: &mut KeyWriter, parameter: &'static str, value: &&T) {
        writer.literal(":").placeholder(parameter, *value);
    }
}

impl<T> NamePart<T> for UnitStruct {
    fn append_name(self, _: &mut KeyWriter, _: &'static str, _: &T) {}
}

/// Appends the value that a pattern calls by a name, unless that is a unit struct.
pub fn name_part<T, K: NamePart<T>>(writer: &mut KeyWriter, parameter: &'static str, value: &T, verdict: K) {
    verdict.append_name(writer, parameter, value);
}

/// The name in a pattern is a unit struct, and no parameter.
#[diagnostic::on_unimplemented(
    message = "this parameter is spelled like its type `{T}`, as the pattern of a unit struct is, which is no part of a key",
    label = "it is not in the key",
    note = "name it in lower case, mention it in `key`, or leave it out with `skip(…)`"
)]
pub trait IsUnitStruct<T> {}
impl<T> IsUnitStruct<T> for T {}

/// Compiles where `value` is a `T`, and not a reference to one.
pub fn unit_struct<T, V: IsUnitStruct<T>>(_: &V) {}

/// The verdict of [`Probe`] on `self`.
#[diagnostic::on_unimplemented(
    message = "`self` of type `{T}` cannot be part of a cache key",
    label = "not `Serialize`",
    note = "leave it out with `skip(self)` if the result does not depend on it, or say what it means to the key with `key = \"…{{self.field}}…\"`"
)]
pub trait SelfPart<T: ?Sized>: KeyPart<T> {}
impl<T: ?Sized + Serialize> SelfPart<T> for Yes {}

/// Appends a parameter to a key, or the text that a template makes of some parameters.
pub fn part<T: ?Sized, K: KeyPart<T>>(writer: &mut KeyWriter, parameter: &'static str, value: &T, verdict: K) {
    verdict.append(writer, parameter, value);
}

/// Appends `self` to a key.
pub fn self_part<T: ?Sized, K: SelfPart<T>>(writer: &mut KeyWriter, parameter: &'static str, value: &T, verdict: K) {
    verdict.append(writer, parameter, value);
}
