//! The attribute of `redis-cached`, which re-exports it.
//!
//! Modules depend one way: each row uses only rows above it.
//!
//! | modules | concern |
//! |---|---|
//! | `errors` | all errors of one expansion |
//! | `syntax::borrows`, `syntax::mentions`, `syntax::place`, `syntax::types` | what the spelling of Rust tells |
//! | `syntax::generics` | which generic parameters an entry has |
//! | `parse::duration`, `parse::rivals`, `parse::suggest`, `parse::template`, `parse::closures` | words, templates, closures |
//! | `parse::argument`, `parse::values` | the names of the arguments, and their values |
//! | `parse::web` | what is said about responses |
//! | `parse::lifetimes`, `parse::environment` | spans of time, and the defaults of a crate |
//! | `parse::args`, `parse::function` | the attribute and the function, as they are written |
//! | `model::features`, `model::pieces` | what the model is made of |
//! | `model::returns`, `model::background`, `model::refused` | checks of the return type, the arguments and the function |
//! | `model::batch`, `model::web` | checks of a function of many ids, and of a handler |
//! | `model::scope` | checks of what the attribute's expressions mention |
//! | `model::templates` | the pieces of the key, the group and the tags |
//! | `model::needs` | which parameters each part of the generated code needs |
//! | `model` | the attribute and the function, checked against each other |
//! | `expand::attrs`, `expand::names` | words of generated code |
//! | `expand::values`, `expand::lifetimes`, `expand::codec`, `expand::signature` | types, constants and signatures of generated code |
//! | `expand::web` | the types and the call of a handler |
//! | `expand::plan` | the plan of a function |
//! | `expand::key` | the keys of entries and groups |
//! | `expand::description`, `expand::call` | what a function looks up, and its call into the runtime |
//! | `expand::background`, `expand::batch`, `expand::entry` | calls with a refresh in the background, of many ids, and of no body |
//! | `expand` | the generated functions |

#![cfg_attr(not(test), warn(clippy::too_many_lines))]

use proc_macro2::TokenStream;

use crate::errors::Errors;
use crate::model::Model;
use crate::model::features::Features;
use crate::parse::args::Args;
use crate::parse::function::Function;

mod errors;
mod expand;
mod model;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;

#[doc = include_str!("attribute.md")]
#[proc_macro_attribute]
pub fn redis_cached(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    attribute(args.into(), item.into(), Features::ENABLED).into()
}

/// The attribute, as a function that tests can call.
fn attribute(args: TokenStream, item: TokenStream, features: Features) -> TokenStream {
    let errors = Errors::new();
    let args = Args::parse(args, &errors);
    let function = Function::parse(item.clone(), &errors);
    let model = function.and_then(|function| Model::new(args, function, features, &errors));
    match (errors.finish(), model) {
        (Ok(()), Some(model)) => expand::expand(&model),
        (Ok(()), None) => unreachable!("a model that is missing left an error"),
        (Err(errors), model) => {
            let siblings = model.as_ref().map(expand::fallback);
            quote::quote!(#item #siblings #errors)
        }
    }
}
