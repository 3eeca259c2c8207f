//! The call into the runtime of a function whose responses are stored.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, ReturnType, Token, Type};

use super::lifetimes;
use super::names::{Names, at_output, facade_at, generated, private, variable};
use crate::model::Model;
use crate::model::pieces::Uses;
use crate::parse::args::Lifetime;
use crate::parse::function::Param;
use crate::syntax::mentions::same;
use crate::syntax::types::{types_within, ungrouped};

/// Returns `true` if the function's responses are stored.
pub(crate) fn is_response(model: &Model) -> bool {
    model.args.web.response.is_some()
}

/// Returns `true` if a client can ask for a new response.
pub(crate) fn may_bypass(model: &Model) -> bool {
    model.handler.as_ref().is_some_and(|handler| handler.bypass.is_some())
}

// Output:
//     -> ::redis_cached::__private::Response
pub(crate) fn output(model: &Model) -> ReturnType {
    let span = at_output(model);
    ReturnType::Type(Token![->](span), Box::new(Type::Verbatim(response_type(model))))
}

/// The type of the responses of the function and its refresh, whatever the body returns.
pub(crate) fn response_type(model: &Model) -> TokenStream {
    let span = at_output(model);
    let facade = facade_at(model, span);
    quote_spanned!(span=> #facade::__private::Response)
}

// Input:
//     #[redis_cached(response, client = "max-age=30")]
//
// Output:
//     const { &__rc::Rules { client: "max-age=30", ..__rc::Rules::DEFAULT } }
pub(crate) fn rules(model: &Model) -> TokenStream {
    let web = &model.args.web;
    let span = at_output(model);
    let rc = private(span);
    let max_body = web.max_body.as_ref().map(|(_, most)| quote!(max_body: #most,));
    let client = web.client.as_ref().map(|(_, policy)| quote!(client: #policy,));
    let vary = web.vary.as_ref().map(|(_, headers)| {
        let names = headers.iter().map(|header| &header.name);
        quote!(vary: &[#(#names),*],)
    });
    let stores_missing = model.args.none_ttl.as_ref().map(|_| quote!(stores_missing: true,));
    let cache_status = web.cache_status.as_ref().map(|(_, is_on)| quote!(cache_status: #is_on,));
    let fields: TokenStream = [max_body, client, vary, stores_missing, cache_status].into_iter().flatten().collect();
    if fields.is_empty() {
        return quote_spanned!(span=> const { &#rc::Rules::DEFAULT });
    }
    quote_spanned!(span=> const { &#rc::Rules { #fields ..#rc::Rules::DEFAULT } })
}

// Output:
//     __rc::call_response(cache, plan, key, verb, RULES, move || page_uncached(id)).await
pub(crate) fn run(model: &Model, verb: &TokenStream, closure: &TokenStream) -> TokenStream {
    let Names { cache, plan, key, .. } = &Names::of(model);
    let span = at_output(model);
    let (rc, rules) = (private(span), rules(model));
    quote_spanned!(span=> #rc::call_response(#cache, #plan, #key, #verb, #rules, #closure).await)
}

// Input:
//     client_may_bypass = on
//
// Output, for the parameter `headers`:
//     let verb = __rc::verb();
//     if __rc::asks_not_to_store(&headers, verb) {
//         return __rc::unstored_response(RULES, move || page_uncached(headers, id)).await;
//     }
//     let verb = __rc::asked_verb(verb, &headers);
pub(crate) fn bypass(model: &Model, let_verb: TokenStream, verb: &TokenStream, closure: &TokenStream) -> TokenStream {
    let Some(index) = model.handler.as_ref().and_then(|handler| handler.bypass) else { return let_verb };
    let headers = &model.params[index].ident;
    let span = generated(headers.span());
    let (rc, rules) = (private(span), rules(model));
    quote_spanned! {span=>
        #let_verb
        if #rc::asks_not_to_store(&#headers, #verb) {
            return #rc::unstored_response(#rules, #closure).await;
        }
        let #verb = #rc::asked_verb(#verb, &#headers);
    }
}

// Output:
//     let key = match __rc::kept_response(cache, &plan, key, verb, RULES) {
//         Ok(response) => return response,
//         Err(key) => key,
//     };
//     CALL
pub(crate) fn behind_local_tier(model: &Model, verb: &TokenStream, call: &TokenStream) -> TokenStream {
    let Names { cache, plan, key, value, .. } = &Names::of(model);
    let span = at_output(model);
    let (rc, rules) = (private(span), rules(model));
    quote_spanned! {span=>
        let #key = match #rc::kept_response(#cache, &#plan, #key, #verb, #rules) {
            ::core::result::Result::Ok(#value) => return #value,
            ::core::result::Result::Err(#key) => #key,
        };
        #call
    }
}

// Input:
//     key = "{whole.len()}"
//
// Output, for the parameter `whole: Result<Headers, Infallible>`:
//     {
//         use __rc::AnyExtracted as _;
//         __rc::check_extracted(&whole, __rc::extracted(&whole).rc_extracted());
//         __rc::check_type::<Headers, _>(__rc::type_of::<Headers>().rc_extracted());
//         __rc::check_type::<Infallible, _>(__rc::type_of::<Infallible>().rc_extracted());
//     }
//
// Output, for the parameter `Own(headers): Own`:
//     {
//         use __rc::AnyExtracted as _;
//         let Own(headers) = &arg0;
//         __rc::check_extracted(headers, __rc::extracted(headers).rc_extracted());
//     }
//
// Output, for `user: User` in `key = "{user.team}"` of a function that may be no handler, in addition:
//     {
//         use __rc::AnyTaken as _;
//         __rc::check_taken(&user, (&&&__rc::taken(&user)).rc_taken());
//     }
//
// Without a template, a parameter has to be `Serialize`, which no whole request is. A reference is not checked: no extractor is
// one. If the return type tells that the function is a handler, the model has checked what its key leaves out.
pub(crate) fn check_params(model: &Model, destructure: impl FnOnce(&Uses) -> TokenStream) -> TokenStream {
    if model.handler.is_some() || !model.could_be_handler || model.args.key.is_none() {
        return TokenStream::new();
    }
    let is_extractor = |param: &Param| !matches!(ungrouped(&param.ty), Type::Reference(_));
    let is_checked = |param: &Param| is_extractor(param) && !param.bindings.iter().all(|name| model.args.skips(name));
    let checks = model.params.iter().filter(|param| is_checked(param)).map(|Param { ident, ty, .. }| {
        let span = generated(ty.span());
        let rc = private(span);
        let within = types_within(ty)
            .into_iter()
            .map(|ty| quote_spanned!(span=> #rc::check_type::<#ty, _>(#rc::type_of::<#ty>().rc_extracted());));
        quote_spanned!(span=> {
            use #rc::AnyExtracted as _;
            #rc::check_extracted(&#ident, #rc::extracted(&#ident).rc_extracted());
            #(#within)*
        })
    });
    // What a pattern takes out of a parameter.
    let uses = Uses { receiver: false, params: model.entry_params.iter().map(is_checked).collect() };
    let patterns = model.entry_params.iter().filter(|param| is_checked(param) && !param.is_plain());
    let bound = patterns.flat_map(|param| {
        let is_unit = |name: &Ident| param.perhaps_units.iter().any(|unit| same(unit, name));
        param.bindings.iter().filter(move |name| !model.args.skips(name) && !is_unit(name))
    });
    let of_bound: TokenStream = bound
        .map(|name| {
            let span = generated(name.span());
            let rc = private(span);
            quote_spanned!(span=> #rc::check_extracted(#name, #rc::extracted(#name).rc_extracted());)
        })
        .collect();
    let in_part = model.in_part.iter().map(|(index, place)| {
        let (ident, span) = (&model.params[*index].ident, generated(*place));
        let rc = private(span);
        quote_spanned!(span=> {
            use #rc::AnyTaken as _;
            #rc::check_taken(&#ident, (&&&#rc::taken(&#ident)).rc_taken());
        })
    });
    let checks: TokenStream = checks.chain(in_part).collect();
    if of_bound.is_empty() {
        return checks;
    }
    let (rc, taken) = (private(Span::mixed_site()), destructure(&uses));
    quote!(#checks { use #rc::AnyExtracted as _; #taken #of_bound })
}

// Input:
//     vary(accept_language)
//
// Output, for the parameter `headers`:
//     __rc::only(headers, &["accept-language"])
pub(crate) fn argument(model: &Model, index: usize, ident: &Ident) -> TokenStream {
    let is_filtered = model.handler.as_ref().is_some_and(|handler| handler.headers == Some(index));
    if !is_filtered {
        return ident.to_token_stream();
    }
    let names = model.args.web.vary.iter().flat_map(|(_, headers)| headers).map(|header| &header.name);
    let span = generated(ident.span());
    let rc = private(span);
    quote_spanned!(span=> #rc::only(#ident, &[#(#names),*]))
}

// Output:
//     if __rc::is_passing(value) { ::std::vec::Vec::new() } else { TAGS }
pub(crate) fn tags(model: &Model, value: &impl ToTokens, tags: TokenStream) -> TokenStream {
    if !is_response(model) {
        return tags;
    }
    let rc = private(Span::mixed_site());
    let span = generated(tags.span());
    quote_spanned!(span=> if #rc::is_passing(#value) { ::std::vec::Vec::new() } else { #tags })
}

// Input:
//     ttl = 60, none_ttl = 5
//
// Output:
//     |value| if __rc::is_missing(value) { __rc::Ttl::Millis(5_000) } else { (|_| __rc::Ttl::Millis(60_000))(value) }
pub(crate) fn ttl(model: &Model, ttl: TokenStream) -> TokenStream {
    let Some((_, none_ttl)) = model.args.none_ttl.as_ref().filter(|_| is_response(model)) else { return ttl };
    let rc = private(Span::mixed_site());
    let value = variable("value");
    let none_ttl = match none_ttl {
        Lifetime::Milliseconds(milliseconds) => quote!(#rc::Ttl::Millis(#milliseconds)),
        Lifetime::Forever => quote!(#rc::Ttl::Forever),
        Lifetime::Constant(expr) | Lifetime::Closure(expr) => lifetimes::lifetime(expr),
    };
    let span = generated(ttl.span());
    quote_spanned!(span=> |#value: &#rc::Page| if #rc::is_missing(#value) { #none_ttl } else { (#ttl)(#value) })
}
