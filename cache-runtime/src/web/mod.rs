//! Handlers of axum: the wrappers that may be return types, and whole responses.

mod body;
mod bypass;
mod call;
mod codec;
mod conditional;
mod extracted;
mod freshness;
mod lists;
mod page;
mod rules;
mod serve;
mod taken;
mod unstored;
mod vary;
mod wrappers;

pub use self::bypass::{asked_verb, asks_not_to_store, unstored_response};
#[cfg(feature = "local")]
pub use self::call::kept_response;
pub use self::call::{call_response, call_response_in_background, is_missing, is_passing};
pub use self::conditional::conditional;
pub use self::extracted::{AnyExtracted, IsPart, check_extracted, check_type, extracted, type_of};
pub use self::page::Page;
#[cfg(feature = "local")]
pub use self::page::local_pages;
pub use self::rules::Rules;
pub use self::taken::{AnyTaken, TakesAll, check_taken, taken};
pub use self::vary::{Varied, only, varied};
