//! The attribute of `redis-cached`, which re-exports it.

use proc_macro2::TokenStream;

use crate::args::Args;
use crate::check::Errors;
use crate::features::Features;
use crate::function::Function;
use crate::model::Model;

mod args;
mod attrs;
mod check;
mod describe;
mod duration;
mod expand;
mod features;
mod function;
mod generics;
mod mentions;
mod model;
mod place;
mod returns;
mod suggest;
mod template;
#[cfg(test)]
mod tests;

/// Docs.
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
