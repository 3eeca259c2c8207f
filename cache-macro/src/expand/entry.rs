//! The siblings that make entries and groups.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{ReturnType, Signature, Token, Type};

use super::attrs;
use super::description::{description, description_of_group};
use super::names::{Names, at_output, facade, facade_at, generated, private};
use super::signature::{inputs_with_cache, sibling, uses_function, visibility};
use super::values::stored;
use crate::model::Model;
use crate::model::batch::Batch;
use crate::model::pieces::{Piece, Uses};
use crate::parse::function::{Face, Function};
use crate::syntax::generics;
use crate::syntax::types::without_lifetimes;

// Input:
//     async fn user<'a, E: Executor<'a>>(db: E, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     fn user_entry(id: u64) -> Entry<OkOf<Result<User, Error>>> {
//         DESCRIPTION: cache, plan, key
//         __rc::entry(cache, plan, key)
//     }
pub(crate) fn entry(model: &Model) -> TokenStream {
    let Names { cache, plan, key, .. } = &Names::of(model);
    let Function { attrs, sig, .. } = &model.function;
    let docs = match &model.batch {
        Some(batch) => attrs::of_entry_of_one(&sig.ident.unraw(), &batch.id),
        None => attrs::of_entry(&sig.ident.unraw()),
    };
    let (attrs, allow, allow_sibling) =
        (attrs::shared(attrs), attrs::allowances(model), attrs::sibling_allowances(&model.function));
    let make = if model.face == Face::Plain { quote!(blocking_entry) } else { quote!(entry) };
    let output = without_lifetimes(&model.output);
    let rc = private(at_output(model));
    let (vis, sig) = (visibility(model), entry_signature(model));
    let description = description(model, sig.receiver(), &output, &TokenStream::new(), &TokenStream::new());
    let id_of_entry = id_of_entry(model, &model.needs.key);
    let uses = uses_function(model, &model.needs.not_in_entry);
    // The block is at the return type, because the entry's type is where a wrong one is noticed first.
    let block = quote_spanned!(at_output(model)=> { #uses #id_of_entry #description #rc::#make(#cache, #plan, #key) });
    quote!(#docs #attrs #allow #allow_sibling #vis #sig #block)
}

pub(crate) fn entry_signature(model: &Model) -> Signature {
    let sig = &model.function.sig;
    let output = without_lifetimes(&model.output);
    let span = at_output(model);
    let facade = facade_at(model, span);
    let stored = stored(model, &output, quote_spanned!(span=> #facade::__private));
    let entry = match model.face {
        Face::Async | Face::Boxed => quote_spanned!(span=> Entry<#stored>),
        Face::Plain => quote_spanned!(span=> blocking::Entry<#stored>),
    };
    let output = quote_spanned!(span=> #facade::#entry);
    let mut entry = Signature {
        asyncness: None,
        fn_token: Token![fn](span),
        ident: sibling(&sig.ident, "entry"),
        generics: generics::without(&sig.generics, &model.needs.not_in_entry),
        inputs: inputs_with_cache(model, &model.needs.key),
        output: ReturnType::Type(Token![->](span), Box::new(Type::Verbatim(output))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut entry);
    entry
}

/// Turns an id into the reference that it is in a call, so that a template means the same.
fn id_of_entry(model: &Model, uses: &Uses) -> Option<TokenStream> {
    let Batch { id, index, .. } = model.batch.as_ref()?;
    let allow = attrs::rebinding_allowances();
    uses.params[*index].then(|| quote!(#allow let #id = &#id;))
}

// Input:
//     #[redis_cached(group = "class:{class_id}")]
//     async fn user<'a, E: Executor<'a>>(db: E, class_id: u64, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     fn user_group(class_id: u64) -> Group {
//         DESCRIPTION: cache, key
//         __rc::group(cache, key)
//     }
pub(crate) fn group(model: &Model, pieces: &[Piece]) -> TokenStream {
    let Names { cache, key, .. } = &Names::of(model);
    let Function { attrs, sig, .. } = &model.function;
    let docs = attrs::of_group(&sig.ident.unraw());
    let (attrs, allow, allow_sibling) =
        (attrs::shared(attrs), attrs::allowances(model), attrs::sibling_allowances(&model.function));
    let make = if model.face == Face::Plain { quote!(blocking_group) } else { quote!(group) };
    let rc = private(Span::mixed_site());
    let (vis, sig) = (visibility(model), group_signature(model));
    let description = description_of_group(model, pieces, sig.receiver());
    let id_of_entry = id_of_entry(model, &model.needs.in_group);
    let uses = uses_function(model, &model.needs.not_in_group);
    quote!(#docs #attrs #allow #allow_sibling #vis #sig { #uses #id_of_entry #description #rc::#make(#cache, #key) })
}

pub(crate) fn group_signature(model: &Model) -> Signature {
    let sig = &model.function.sig;
    let facade = facade(model);
    let group = match model.face {
        Face::Async | Face::Boxed => quote!(#facade::Group),
        Face::Plain => quote!(#facade::blocking::Group),
    };
    let mut signature = Signature {
        asyncness: None,
        fn_token: Token![fn](generated(sig.fn_token.span)),
        ident: sibling(&sig.ident, "group"),
        generics: generics::without(&sig.generics, &model.needs.not_in_group),
        inputs: inputs_with_cache(model, &model.needs.in_group),
        output: ReturnType::Type(Token![->](Span::mixed_site()), Box::new(Type::Verbatim(group))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut signature);
    signature
}
