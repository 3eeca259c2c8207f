//! The sibling that empties all entries of a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{ReturnType, Signature, Token, Type, parse_quote};

use super::attrs;
use super::description::{cache_and_plan, find_plan};
use super::names::{Names, at_output, facade, generated, private};
use super::plan::opaque;
use super::signature::{inputs_with_cache, sibling, uses_function, visibility};
use crate::model::Model;
use crate::model::pieces::Uses;
use crate::parse::function::{Face, Function};
use crate::syntax::generics;
use crate::syntax::types::without_lifetimes;

// Input:
//     async fn user<'a, E: Executor<'a>>(db: E, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     fn user_clear() -> impl Future<Output = Result<u64, ::redis_cached::Error>> + Send {
//         let plan = PLAN;
//         __rc::clear_installed(plan.terms.function, false)
//     }
//
// With `cache = …`:
//     async fn user_clear() -> Result<u64, ::redis_cached::Error> {
//         DESCRIPTION: cache, plan
//         __rc::clear(cache, plan.terms.function, false).await
//     }
//
// A future that is made here costs the compiler more than the rest of the function.
pub(crate) fn clear(model: &Model) -> Option<TokenStream> {
    let Names { cache, plan, .. } = &Names::of(model);
    let Function { attrs, sig, .. } = &model.function;
    let mut clear_sig = clear_signature(model)?;
    if let (true, ReturnType::Type(_, output)) = (finds_cache_itself(model), &mut clear_sig.output) {
        clear_sig.asyncness = None;
        *output = parse_quote!(impl ::core::future::Future<Output = #output> + ::core::marker::Send);
    }
    let docs = attrs::of_clear(&sig.ident.unraw());
    let (attrs, allow, allow_sibling) =
        (attrs::shared(attrs), attrs::allowances(model), attrs::sibling_allowances(&model.function));
    let vis = visibility(model);
    let output = without_lifetimes(&model.output);
    let description = if finds_cache_itself(model) {
        find_plan(model, &output)
    } else {
        cache_and_plan(model, &output, &TokenStream::new())
    };
    let rc = private(Span::mixed_site());
    let is_in_group = model.group.is_some();
    let run = match model.face {
        _ if finds_cache_itself(model) => quote!(#rc::clear_installed(#plan.terms.function, #is_in_group)),
        Face::Async | Face::Boxed => quote!(#rc::clear(#cache, #plan.terms.function, #is_in_group).await),
        Face::Plain => quote!(#rc::blocking_clear(#cache, #plan.terms.function, #is_in_group)),
    };
    let uses = uses_function(model, &model.needs.not_in_entry);
    // The block is at the return type, like that of the entry.
    let block = quote_spanned!(at_output(model)=> { #uses #description #run });
    Some(quote!(#docs #attrs #allow #allow_sibling #vis #clear_sig #block))
}

/// Returns `true` if the function returns a future of the runtime, which looks for the cache when it runs.
fn finds_cache_itself(model: &Model) -> bool {
    model.face != Face::Plain && model.args.cache.is_none()
}

/// `None` where the type of an argument is part of the function's name and has none itself.
pub(crate) fn clear_signature(model: &Model) -> Option<Signature> {
    if opaque(model).next().is_some() {
        return None;
    }
    let sig = &model.function.sig;
    let facade = facade(model);
    let asyncness = (model.face != Face::Plain).then(|| Token![async](generated(sig.fn_token.span)));
    let output = quote!(::core::result::Result<::core::primitive::u64, #facade::Error>);
    let nothing = Uses { receiver: false, params: vec![false; model.entry_params.len()] };
    let mut clear = Signature {
        asyncness,
        fn_token: Token![fn](generated(sig.fn_token.span)),
        ident: sibling(&sig.ident, "clear"),
        generics: generics::without(&sig.generics, &model.needs.not_in_entry),
        inputs: inputs_with_cache(model, &nothing),
        output: ReturnType::Type(Token![->](Span::mixed_site()), Box::new(Type::Verbatim(output.into_token_stream()))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut clear);
    Some(clear)
}
