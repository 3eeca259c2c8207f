//! The names in generated code, and their places.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Ident;

use crate::model::Model;

/// The variables of generated code, which cannot collide with the user's names.
pub(crate) struct Names {
    pub(crate) cache: Ident,
    pub(crate) plan: Ident,
    pub(crate) key: Ident,
    /// What the stored type is.
    pub(crate) kind: Ident,
    pub(crate) codec: Ident,
    pub(crate) value: Ident,
    /// The ids of a batch, which have the type that the map has.
    pub(crate) ids: Ident,
    /// The function that makes, from some ids, those that the body takes.
    pub(crate) some: Ident,
}

impl Names {
    /// Those with the type of values are at the return type.
    pub(crate) fn of(model: &Model) -> Names {
        let span = at_output(model);
        let typed = |name| Ident::new(name, span);
        Names {
            cache: variable("cache"),
            plan: typed("plan"),
            key: variable("key"),
            kind: typed("kind"),
            codec: typed("codec"),
            value: variable("value"),
            ids: typed("ids"),
            some: typed("some"),
        }
    }
}

pub(crate) fn variable(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The place of the user's code, for code that is not the user's.
pub(crate) fn generated(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}

/// The place of the return type.
pub(crate) fn at_output(model: &Model) -> Span {
    generated(model.output_span)
}

/// The module that only generated code names: `use ::redis_cached::__private as __rc`.
///
/// An error is shown at `span` only if all tokens of the code in question have it; with one from
/// elsewhere among them it is shown at the attribute.
pub(crate) fn private(span: Span) -> Ident {
    Ident::new("__rc", span)
}

/// The path of `redis-cached`, in the crate around the function.
pub(crate) fn facade(model: &Model) -> TokenStream {
    model.args.krate.as_ref().map_or_else(|| quote!(::redis_cached), ToTokens::to_token_stream)
}

/// [`facade`], with all tokens at `span`.
pub(crate) fn facade_at(model: &Model, span: Span) -> TokenStream {
    let Some(path) = &model.args.krate else { return quote_spanned!(span=> ::redis_cached) };
    let tokens = path.to_token_stream().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    tokens.collect()
}
