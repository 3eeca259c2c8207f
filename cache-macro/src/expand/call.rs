//! The call into the runtime.

use proc_macro2::TokenStream;
use quote::{format_ident, quote_spanned};
use syn::Receiver;

use super::key::{can_be_written_twice, write_key};
use super::names::{Names, at_output, private};
use super::values::returned;
use super::web;
use crate::model::Model;
use crate::model::returns::{self, Kind};
use crate::parse::function::Face;

/// The one call into the runtime.
pub(crate) fn run(model: &Model, verb: &TokenStream, closure: &TokenStream) -> TokenStream {
    if web::is_response(model) {
        return web::run(model, verb, closure);
    }
    let Names { cache, plan, key, .. } = &Names::of(model);
    let span = at_output(model);
    let (rc, returned) = (private(span), returned(model));
    let (kind, errors) = match model.kind {
        Kind::Result => ("result", Some(errors(model))),
        _ => ("value", None),
    };
    match model.face {
        Face::Async | Face::Boxed => {
            let function = format_ident!("call_{kind}", span = span);
            let function = quote_spanned!(span=> #rc::#function::<#returned, _, _>);
            quote_spanned!(span=> #function(#cache, #plan, #key, #errors #verb, #closure).await)
        }
        Face::Plain => {
            let function = format_ident!("blocking_call_{kind}", span = span);
            let function = quote_spanned!(span=> #rc::#function::<#returned>);
            quote_spanned!(span=> #function(#cache, #plan, #key, #errors #verb, #closure))
        }
    }
}

// Output, before the key is made:
//     if let Some(value) = __rc::kept_result_at::<Result<User, Error>>(cache, &plan, verb, |writer| WRITE) {
//         return value;
//     }
//
// A hit of the local tier needs no more of the key than its text. If the key cannot be written twice, there is nothing here.
pub(crate) fn local_tier_at_text(model: &Model, verb: &TokenStream, receiver: Option<&Receiver>) -> TokenStream {
    if !asks_at_text(model) {
        return TokenStream::new();
    }
    let Names { cache, plan, value, .. } = &Names::of(model);
    let span = at_output(model);
    let (rc, returned, write) = (private(span), returned(model), write_key(model, receiver));
    let function = format_ident!("{}_at", kept(model), span = span);
    quote_spanned! {span=>
        if let ::core::option::Option::Some(#value) = #rc::#function::<#returned>(#cache, &#plan, #verb, #write) {
            return #value;
        }
    }
}

fn asks_at_text(model: &Model) -> bool {
    model.args.local.is_some() && !web::is_response(model) && can_be_written_twice(model)
}

fn kept(model: &Model) -> &'static str {
    if model.kind == Kind::Result { "kept_result" } else { "kept_value" }
}

// Output, if it was not asked before:
//     let key = match __rc::kept_result::<Result<User, Error>>(cache, &plan, key, verb) {
//         Ok(value) => return value,
//         Err(key) => key,
//     };
//     CALL
//
// The local tier is asked in front of the call, which takes the plan and the key to itself. Nothing of the answer lives
// during the call: an error type need not be `Send`.
pub(crate) fn behind_local_tier(model: &Model, verb: &TokenStream, call: TokenStream) -> TokenStream {
    if model.args.local.is_none() || asks_at_text(model) {
        return call;
    }
    if web::is_response(model) {
        return web::behind_local_tier(model, verb, &call);
    }
    let Names { cache, plan, key, value, .. } = &Names::of(model);
    let span = at_output(model);
    let (rc, returned) = (private(span), returned(model));
    let function = format_ident!("{}", kept(model), span = span);
    quote_spanned! {span=>
        let #key = match #rc::#function::<#returned>(#cache, &#plan, #key, #verb) {
            ::core::result::Result::Ok(#value) => return #value,
            ::core::result::Result::Err(#key) => #key,
        };
        #call
    }
}

// Input:
//     -> Result<User, Error>
//
// Output:
//     {
//         use __rc::Unshared as _;
//         __rc::ErrorProbe::<__rc::ErrOf<Result<User, Error>>>::new().rc_errors()
//     },
pub(crate) fn errors(model: &Model) -> TokenStream {
    let output = &model.output;
    let span = at_output(model);
    let rc = private(span);
    let is_off = matches!(model.args.share_errors, Some((_, false)));
    if is_off || !returns::is_askable(output, &model.function.sig.generics) {
        return quote_spanned!(span=> #rc::Errors::never(),);
    }
    quote_spanned! {span=>
        {
            #[allow(unused_imports)]
            use #rc::Unshared as _;
            #rc::ErrorProbe::<#rc::ErrOf<#output>>::new().rc_errors()
        },
    }
}
