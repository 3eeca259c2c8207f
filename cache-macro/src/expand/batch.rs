//! The call into the runtime of a function of many ids.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;

use super::names::{Names, at_output, generated, private};
use super::values::returned;
use crate::model::Model;
use crate::model::batch::{Batch, Ids};
use crate::model::returns::Kind;
use crate::parse::function::{Face, Param};

// Input:
//     #[redis_cached(batch(id in ids), skip(db))]
//     async fn users(db: Db, ids: &[u64]) -> Result<HashMap<u64, User>, Error> { BODY }
//
// Output:
//     __rc::batch_result::<Result<HashMap<u64, User>, Error>, _, _>(cache, plan, ids, verb, move |ids: Vec<_>| {
//         let db = Clone::clone(&db);
//         async move {
//             let ids = __rc::collect_ids::<[u64], _>(some(ids));
//             users_uncached(db, Borrow::<[u64]>::borrow(&ids)).await
//         }
//     })
//     .await
//
// The body runs as often as it takes, each time with copies of the other arguments. They are made
// before the future, so that it borrows nothing of the closure.
pub(crate) fn run(model: &Model, batch: &Batch, verb: &TokenStream, callee: &TokenStream) -> TokenStream {
    let Names { cache, plan, ids, .. } = &Names::of(model);
    let span = generated(batch.name.span());
    let receiver = model.function.sig.receiver().map(|receiver| {
        let token = receiver.self_token;
        (Ident::from(token), Ident::new("__self", generated(token.span)))
    });
    let params = model.params.iter().map(|param| (param.ident.clone(), in_closure(param)));
    let others = params.enumerate().filter(|(index, _)| *index != batch.index).map(|(_, names)| names);
    let copies = receiver.iter().cloned().chain(others).map(|(given, name)| {
        // All tokens are at the parameter, for the error of one that is not `Clone`.
        quote_spanned!(name.span()=> let #name = ::core::clone::Clone::clone(&#given);)
    });
    let copies: TokenStream = copies.collect();
    let (collect, lend) = collect(model, batch);
    let args =
        model.params.iter().enumerate().map(|(index, param)| {
            if index == batch.index { lend.clone() } else { in_closure(param).into_token_stream() }
        });
    let args = receiver.iter().map(|(_, name)| quote!(#name)).chain(args);
    let call = quote_spanned!(span=> #callee(#(#args),*));
    let run = match model.face {
        Face::Async | Face::Boxed => quote_spanned!(span=> async move { #collect #call.await }),
        Face::Plain => quote_spanned!(span=> #collect #call),
    };
    let body = quote_spanned!(span=> move |#ids: ::std::vec::Vec<_>| { #copies #run });

    let span = at_output(model);
    let (rc, returned) = (private(span), returned(model));
    let kind = if model.kind == Kind::Result { "result" } else { "value" };
    match model.face {
        Face::Async | Face::Boxed => {
            let function = format_ident!("batch_{kind}", span = span);
            quote_spanned!(span=> #rc::#function::<#returned, _, _>(#cache, #plan, #ids, #verb, #body).await)
        }
        Face::Plain => {
            let function = format_ident!("blocking_batch_{kind}", span = span);
            quote_spanned!(span=> #rc::#function::<#returned>(#cache, #plan, #ids, #verb, #body))
        }
    }
}

/// The name of a parameter in the closure.
fn in_closure(param: &Param) -> Ident {
    let mut name = param.ident.clone();
    name.set_span(generated(name.span()));
    name
}

/// Makes the body's collection from some ids, and hands it on.
fn collect(model: &Model, batch: &Batch) -> (TokenStream, TokenStream) {
    let span = generated(batch.name.span());
    let (rc, Names { ids, some, .. }) = (private(span), Names::of(model));
    match &batch.ids {
        Ids::Lent(ty) => (
            quote_spanned!(span=> let #ids = #rc::collect_ids::<#ty, _>(#some(#ids));),
            quote_spanned!(span=> ::core::borrow::Borrow::<#ty>::borrow(&#ids)),
        ),
        Ids::Owned(ty) => (
            quote_spanned!(span=> let #ids = <#ty as ::core::iter::FromIterator<_>>::from_iter(#some(#ids));),
            quote!(#ids),
        ),
    }
}
