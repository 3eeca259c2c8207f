//! The sibling that empties all entries of a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{ReturnType, Signature, Token, Type};

use super::attrs;
use super::description::cache_and_plan;
use super::entry::inputs;
use super::names::{Names, facade, generated, private};
use super::plan::opaque;
use super::signature::{sibling, uses_function, visibility};
use crate::model::Model;
use crate::model::pieces::Uses;
use crate::parse::function::{Face, Function};
use crate::syntax::generics;
use crate::syntax::types::without_lifetimes;

// Input:
//     async fn user<'a, E: Executor<'a>>(db: E, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     async fn user_clear() -> Result<u64, ::redis_cached::Error> {
//         DESCRIPTION: cache, plan
//         __rc::clear(cache, plan.function, false).await
//     }
pub(crate) fn clear(model: &Model) -> Option<TokenStream> {
    let Names { cache, plan, .. } = &Names::of(&model.output);
    let Function { attrs, sig, .. } = &model.function;
    let clear_sig = clear_signature(model)?;
    let docs = attrs::of_clear(&sig.ident.unraw());
    let (attrs, allow, allow_sibling) = (attrs::shared(attrs), attrs::allowances(), attrs::sibling_allowances(attrs));
    let vis = visibility(model);
    let output = without_lifetimes(&model.output);
    let cache_and_plan = cache_and_plan(model, &output, &TokenStream::new());
    let rc = private(Span::mixed_site());
    let is_in_group = model.group.is_some();
    let run = match model.face {
        Face::Async | Face::Boxed => quote!(#rc::clear(#cache, #plan.function, #is_in_group).await),
        Face::Plain => quote!(#rc::blocking_clear(#cache, #plan.function, #is_in_group)),
    };
    let uses = uses_function(model, &model.not_in_entry);
    // The block is at the return type, like that of the entry.
    let block = quote_spanned!(generated(output.span())=> { #uses #cache_and_plan #run });
    Some(quote!(#docs #attrs #allow #allow_sibling #vis #clear_sig #block))
}

/// `None` where the type of an argument is part of the function's name and has none itself.
pub(crate) fn clear_signature(model: &Model) -> Option<Signature> {
    if opaque(model).next().is_some() {
        return None;
    }
    let sig = &model.function.sig;
    let facade = facade(model);
    let asyncness = match model.face {
        Face::Async | Face::Boxed => Some(Token![async](generated(sig.fn_token.span))),
        Face::Plain => None,
    };
    let output = quote!(::core::result::Result<::core::primitive::u64, #facade::Error>);
    let nothing = Uses { receiver: false, params: vec![false; model.entry_params.len()] };
    let mut clear = Signature {
        asyncness,
        fn_token: Token![fn](generated(sig.fn_token.span)),
        ident: sibling(&sig.ident, "clear"),
        generics: generics::without(&sig.generics, &model.not_in_entry),
        inputs: inputs(model, &nothing),
        output: ReturnType::Type(Token![->](Span::mixed_site()), Box::new(Type::Verbatim(output.into_token_stream()))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut clear);
    Some(clear)
}
