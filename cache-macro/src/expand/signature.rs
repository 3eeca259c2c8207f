//! Signatures and paths of generated functions.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{FnArg, Generics, Ident, Pat, PatIdent, PatType, Receiver, Signature, Token, parse_quote};

use super::attrs;
use super::names::{at_output, facade_at, generated};
use super::values::id_of_map;
use crate::model::Model;
use crate::model::batch::Batch;
use crate::model::pieces::Uses;
use crate::parse::function::Param;
use crate::syntax::generics;
use crate::syntax::mentions::identifiers;
use crate::syntax::place::Place;
use crate::syntax::types::without_lifetimes;

/// The signature with a plain name for each parameter.
pub(crate) fn plain_signature(sig: &Signature, params: &[Param]) -> Signature {
    let receiver = sig.receiver().map(|receiver| {
        // `mut` matters to the body alone.
        let attrs = attrs::of_param(&receiver.attrs);
        FnArg::Receiver(Receiver { attrs, mutability: None, ..receiver.clone() })
    });
    Signature { inputs: receiver.into_iter().chain(params.iter().map(plain_param)).collect(), ..sig.clone() }
}

pub(crate) fn plain_param(param: &Param) -> FnArg {
    let ident = &param.ident;
    FnArg::Typed(PatType {
        attrs: attrs::of_param(&param.attrs),
        pat: parse_quote!(#ident),
        colon_token: Token![:](ident.span()),
        ty: Box::new(param.ty.clone()),
    })
}

/// The parameters that `uses` and `cache = …` need.
pub(crate) fn inputs_with_cache(model: &Model, uses: &Uses) -> Punctuated<FnArg, Token![,]> {
    inputs(model, uses.receiver || model.needs.cache.receiver, |index| {
        uses.params[index] || model.needs.cache.params[index]
    })
}

/// Some of the parameters, with `&self` for the receiver.
pub(crate) fn inputs(
    model: &Model,
    with_receiver: bool,
    is_used: impl Fn(usize) -> bool,
) -> Punctuated<FnArg, Token![,]> {
    let receiver = model.function.sig.receiver().filter(|_| with_receiver).map(|receiver| {
        let token = receiver.self_token;
        parse_quote!(&#token)
    });
    let params = model.entry_params.iter().enumerate().filter(|(index, _)| is_used(*index));
    let params = params.map(|(index, param)| match &model.batch {
        Some(Batch { index: of_ids, id_type: None, .. }) if index == *of_ids => {
            let output = without_lifetimes(&model.output);
            let facade = facade_at(model, at_output(model));
            let ident = &param.ident;
            let ty = id_of_map(model, &output, quote_spanned!(output.span()=> #facade::__private));
            parse_quote!(#ident: #ty)
        }
        _ => plain_param(param),
    });
    receiver.into_iter().chain(params).collect()
}

/// Returns `true` if the body needs a `let` to see a parameter as its signature says.
pub(crate) fn needs_rebinding(param: &Param) -> bool {
    !matches!(&param.pat, Pat::Ident(PatIdent { by_ref: None, mutability: None, subpat: None, .. }))
}

/// A function of the same place and type parameters.
pub(crate) fn path(model: &Model, ident: &Ident) -> TokenStream {
    path_with(model, ident, &model.function.sig.generics)
}

/// A function of the same place, with these type parameters.
pub(crate) fn path_with(model: &Model, ident: &Ident, generics: &Generics) -> TokenStream {
    let turbofish = generics::turbofish(generics);
    match model.place {
        Place::Free => quote!(#ident #turbofish),
        Place::Inherent | Place::Trait | Place::TraitImpl => quote!(Self::#ident #turbofish),
    }
}

/// The visibility of a function, for one that is not the user's: the compiler tells it by its first token.
pub(crate) fn visibility(model: &Model) -> TokenStream {
    let mut tokens = model.function.vis.to_token_stream().into_iter();
    let first = tokens.next().map(|mut token| {
        token.set_span(generated(token.span()));
        token
    });
    first.into_iter().chain(tokens).collect()
}

/// Tells the compiler that the function is in use where its sibling is, if that has all of its type parameters.
pub(crate) fn uses_function(model: &Model, dropped: &HashSet<String>) -> Option<TokenStream> {
    let sig = &model.function.sig;
    let has_all = dropped.is_empty() && !identifiers(&sig.inputs).contains("impl");
    let function = path(model, &sig.ident);
    has_all.then(|| quote!(let _ = #function;))
}

/// `user_entry`, at the place of `user`.
pub(crate) fn sibling(ident: &Ident, suffix: &str) -> Ident {
    format_ident!("{}_{suffix}", ident.unraw(), span = ident.span())
}
