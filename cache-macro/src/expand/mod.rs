//! The generated functions. Nothing is decided here: all errors were found before.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::{FnArg, Ident, ReturnType, Signature, Token, Type, parse_quote};

use self::clear::{clear, clear_signature};
use self::description::{description, description_of_batch};
use self::entry::{entry, entry_signature, group, group_signature};
use self::key::check_units;
use self::names::{at_output, facade, generated, private, variable};
use self::signature::{needs_rebinding, path, plain_signature, sibling, visibility};
use crate::model::Model;
use crate::parse::function::{Face, Function, Param};
use crate::syntax::mentions::same;
use crate::syntax::place::Place;
use crate::syntax::types;

mod attrs;
mod background;
mod batch;
mod call;
mod clear;
mod codec;
mod description;
mod entry;
mod key;
mod lifetimes;
mod names;
mod plan;
mod signature;
mod values;
mod web;

// Input:
//     #[redis_cached(ttl = 600, skip(db))]
//     async fn user(db: &Db, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     async fn user(db: &Db, id: u64) -> Result<User, Error> {
//         CALL of `user_uncached`
//     }
//     async fn user_uncached(db: &Db, id: u64) -> Result<User, Error> { BODY }
//     fn user_refresh(db: &Db, id: u64) -> impl Future<Output = Result<User, Error>> {
//         REFRESH by `user`
//     }
//     fn user_entry(id: u64) -> Entry<User> { … }
//     fn user_group(…) -> Group { … }, with `group = …`
//     async fn user_clear() -> Result<u64, Error> { … }
//     fn __user_plan() -> Plan<User> { … }
//     fn __user_key(…) -> Result<Key, Error> { … }
pub(crate) fn expand(model: &Model) -> TokenStream {
    if !model.args.siblings {
        return alone(model);
    }
    let call = caller(model, false);
    let body = body(model);
    let refresh = if refreshes_by_call(model) { refresh(model) } else { caller(model, true) };
    let entry = entry(model);
    let group = model.group.as_ref().map(|pieces| group(model, pieces));
    let clear = clear(model);
    let plan = plan::plan_function(model);
    let key = key::key_function(model);
    quote!(#call #body #refresh #entry #group #clear #plan #key)
}

/// The replacement of the siblings where the attribute is wrong, so that their callers cause no
/// further errors.
pub(crate) fn fallback(model: &Model) -> TokenStream {
    if !model.args.siblings || model.place == Place::TraitImpl {
        return TokenStream::new();
    }
    let Function { attrs, vis, sig, .. } = &model.function;
    let (attrs, allow, allow_sibling) = (attrs::shared(attrs), attrs::allowances(model), attrs::second_allowances());
    let allow = quote!(#allow #[allow(unused_variables)]);
    // This code never runs: a compile error accompanies it.
    let unreachable = quote!({ ::core::panic!("its attribute does not compile") });
    let same_body = match &sig.output {
        // Only the function itself tells this type.
        ReturnType::Type(_, ty) if types::impl_trait(ty).is_some() => {
            let (function, args) = (path(model, &sig.ident), arguments(model, |_, ident| ident.to_token_stream()));
            let wait = sig.asyncness.map(|_| quote!(.await));
            quote!({ #function(#args) #wait })
        }
        _ => unreachable.clone(),
    };
    let same = ["uncached", "refresh"].map(|suffix| {
        let sig = Signature { ident: sibling(&sig.ident, suffix), ..plain_signature(sig, &model.params) };
        quote!(#attrs #allow #allow_sibling #vis #sig #same_body)
    });
    let entry = entry_signature(model);
    let group = model.group.as_ref().map(|_| group_signature(model));
    let others = std::iter::once(entry).chain(group).chain(clear_signature(model));
    quote! {
        #(#same)*
        #(#attrs #allow #allow_sibling #vis #others #unreachable)*
    }
}

// Input:
//     async fn user(db: &Db, Path(id): Path<u64>) -> Result<User, Error> { BODY }
//
// Output:
//     async fn user(db: &Db, id: Path<u64>) -> Result<User, Error> {
//         let verb = __rc::verb();
//         DESCRIPTION: cache, plan, key
//         __rc::call_result::<Result<User, Error>, _, _>(cache, plan, key, verb, move || user_uncached(db, id)).await
//     }
//
// It is `user`, or a `user_refresh` that cannot call it.
fn caller(model: &Model, is_refresh: bool) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &model.function;
    let docs = is_refresh.then(|| attrs::of_refresh(&sig.ident.unraw()));
    let allow_sibling = is_refresh.then(attrs::second_allowances);
    let attrs = if is_refresh { attrs::shared(attrs) } else { attrs::of_caller(attrs) };
    let allow = attrs::allowances(model);
    let mut new_sig = plain_signature(sig, &model.params);
    if is_refresh {
        new_sig.ident = sibling(&sig.ident, "refresh");
    }
    if web::is_response(model) {
        new_sig.output = web::output(model);
    }
    let callee = path(model, &sibling(&sig.ident, "uncached"));
    let args = arguments(model, |index, ident| web::argument(model, index, ident));
    let rc = private(Span::mixed_site());
    let closure = quote!(move || #callee (#args));
    let (let_verb, verb) = if refreshes_by_call(model) || web::may_bypass(model) {
        let verb = variable("verb").into_token_stream();
        let first = match is_refresh {
            _ if refreshes_by_call(model) => quote!(#rc::verb()),
            true => quote!(#rc::Verb::Refresh),
            false => quote!(#rc::Verb::Call),
        };
        (web::bypass(model, quote!(let #verb = #first;), &verb, &closure), verb)
    } else {
        (TokenStream::new(), if is_refresh { quote!(#rc::Verb::Refresh) } else { quote!(#rc::Verb::Call) })
    };
    let description = match &model.batch {
        Some(batch) => description_of_batch(model, batch, sig.receiver()),
        None => {
            let before_key = call::local_tier_at_text(model, &verb, sig.receiver());
            description(model, sig.receiver(), &model.output, &TokenStream::new(), &before_key)
        }
    };
    let run = match (&model.batch, &model.background) {
        (Some(batch), _) => batch::run(model, batch, &verb, &callee),
        (None, Some(background)) if !is_refresh => {
            call::behind_local_tier(model, &verb, background::run(model, background, &verb, &callee))
        }
        _ => call::behind_local_tier(model, &verb, call::run(model, &verb, &closure)),
    };
    let check_units = check_units(model);
    // The constants are checked once.
    let check_constants = (!is_refresh).then(|| lifetimes::checks(model));
    let check_params = (!is_refresh).then(|| web::check_params(model, |uses| key::destructure(model, uses)));
    let before = quote!(#let_verb #check_units #check_constants #description #check_params);
    let block = block(model, &before, &run, !is_refresh);
    quote!(#docs #attrs #allow #allow_sibling #vis #new_sig #block)
}

/// The parameters, as arguments of a call.
fn arguments(model: &Model, argument: impl Fn(usize, &Ident) -> TokenStream) -> TokenStream {
    let receiver = model.function.sig.receiver().map(|receiver| receiver.self_token.to_token_stream());
    let params = model.params.iter().enumerate().map(|(index, param)| argument(index, &param.ident));
    let args = receiver.into_iter().chain(params);
    quote!(#(#args),*)
}

/// Returns `true` if `user_refresh` calls `user`. In a trait, another function can take the place of that one; and a
/// parameter may have its name.
fn refreshes_by_call(model: &Model) -> bool {
    let ident = &model.function.sig.ident;
    model.place != Place::Trait && !model.params.iter().any(|param| same(&param.ident, ident))
}

// Input:
//     async fn user(db: &Db, Path(id): Path<u64>) -> Result<User, Error> { BODY }
//
// Output:
//     fn user_refresh(db: &Db, id: Path<u64>) -> impl Future<Output = Result<User, Error>> {
//         __rc::refreshing(user(db, id))
//     }
//
// Like the function, the future borrows from all arguments: the tokens of `impl` have the edition of this crate, not that
// of the user's.
fn refresh(model: &Model) -> TokenStream {
    let Function { attrs, sig, .. } = &model.function;
    let docs = attrs::of_refresh(&sig.ident.unraw());
    let (attrs, allow, allow_sibling) =
        (attrs::shared(attrs), attrs::allowances(model), attrs::sibling_allowances(&model.function));
    let mut new_sig = plain_signature(sig, &model.params);
    new_sig.ident = sibling(&sig.ident, "refresh");
    new_sig.fn_token = Token![fn](generated(sig.fn_token.span));
    let vis = visibility(model);
    let (rc, facade) = (private(Span::mixed_site()), facade(model));
    let args = arguments(model, |_, ident| ident.to_token_stream());
    let callee = path(model, &sig.ident);
    let call = quote!(#callee(#args));
    let run = match model.face {
        Face::Async => {
            let span = Span::mixed_site();
            let output =
                if web::is_response(model) { web::response_type(model) } else { model.output.to_token_stream() };
            new_sig.asyncness = None;
            let output = quote_spanned!(span=> impl ::core::future::Future<Output = #output>);
            new_sig.output = ReturnType::Type(Token![->](span), Box::new(Type::Verbatim(output)));
            quote!(#rc::refreshing(#call))
        }
        Face::Boxed => quote!(::std::boxed::Box::pin(#rc::refreshing(#call))),
        Face::Plain => quote!(#rc::refresh_next(); #call),
    };
    let block = braced(quote!(use #facade::__private as #rc; #run), generated(model.function.body.span()));
    quote!(#docs #attrs #allow #allow_sibling #vis #new_sig #block)
}

// Input:
//     #[instrument]
//     async fn user(db: &Db, Path(id): Path<u64>) -> Result<User, Error> { BODY }
//
// Output:
//     #[instrument]
//     async fn user_uncached(db: &Db, Path(id): Path<u64>) -> Result<User, Error> { BODY }
fn body(model: &Model) -> TokenStream {
    let Function { attrs, vis, sig, body } = &model.function;
    let docs = attrs::of_body(&sig.ident.unraw());
    let mut sig = Signature { ident: sibling(&sig.ident, "uncached"), ..sig.clone() };
    let typed = sig.inputs.iter_mut().filter_map(|input| match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    });
    for (index, param) in typed.enumerate() {
        // A parameter that the attribute mentions is not unused.
        if model.needs.cache.params[index] || model.needs.in_templates.params[index] {
            param.attrs.push(parse_quote!(#[allow(unused_variables)]));
        }
    }
    let (attrs, allow, allow_second) = (attrs::all(attrs), attrs::body_allowances(), attrs::second_allowances());
    quote!(#docs #attrs #allow #allow_second #vis #sig #body)
}

// Input:
//     async fn user(&self, Path(id): Path<u64>) -> Result<User, Error> { BODY }
//
// Output:
//     async fn user(&self, id: Path<u64>) -> Result<User, Error> {
//         DESCRIPTION: cache, plan, key
//         __rc::call_result::<Result<User, Error>, _, _>(cache, plan, key, move || async move {
//             let Path(id) = id;
//             let ret: Result<User, Error> = { BODY };
//             ret
//         })
//         .await
//     }
fn alone(model: &Model) -> TokenStream {
    let Function { attrs, vis, sig, body } = &model.function;
    // The compiler would warn that a single line needs none of the user's own braces.
    let body = braced(body.stream(), generated(body.span()));
    let output = &model.output;
    let ret = Ident::new("ret", at_output(model));
    let rebind = model.params.iter().filter(|param| needs_rebinding(param)).map(|Param { pat, ident, .. }| {
        let allow = attrs::rebinding_allowances();
        quote!(#allow let #pat = #ident;)
    });
    let closure = match model.face {
        Face::Async => {
            // This tells the compiler the type before it sees the body, for errors in the user's words.
            let announce = quote_spanned! {at_output(model)=>
                if let ::core::option::Option::Some(#ret) = ::core::option::Option::None::<#output> {
                    #[allow(unreachable_code)]
                    return #ret;
                }
            };
            quote! {
                move || async move {
                    #announce
                    #(#rebind)*
                    let #ret: #output = #body;
                    #[allow(unreachable_code)]
                    #ret
                }
            }
        }
        Face::Boxed | Face::Plain => {
            let ReturnType::Type(_, declared) = &sig.output else { unreachable!("checked before") };
            quote!(move || -> #declared { #(#rebind)* #body })
        }
    };
    let mut new_sig = plain_signature(sig, &model.params);
    // `mut self` stays where it is: there is no other place for it.
    if let (Some(receiver), Some(FnArg::Receiver(plain))) = (sig.receiver(), new_sig.inputs.first_mut()) {
        plain.mutability = receiver.mutability;
    }
    let rc = private(Span::mixed_site());
    let verb = quote!(#rc::Verb::Call);
    let before_key = call::local_tier_at_text(model, &verb, sig.receiver());
    let description = description(model, sig.receiver(), output, &attrs::allowances(model), &before_key);
    let run = call::behind_local_tier(model, &verb, call::run(model, &verb, &closure));
    let check_units = check_units(model);
    let check_constants = lifetimes::checks(model);
    let block = block(model, &quote!(#check_units #check_constants #description), &run, true);
    let mark = attrs::body_allowances();
    quote!(#(#attrs)* #mark #vis #new_sig #block)
}

/// The block of a function that asks the cache.
fn block(model: &Model, description: &TokenStream, run: &TokenStream, is_users: bool) -> Group {
    let content = match model.face {
        Face::Boxed => quote!(::std::boxed::Box::pin(async move { #description #run })),
        Face::Async | Face::Plain => quote!(#description #run),
    };
    let braces = model.function.body.span();
    // An unused function is reported if its braces are the user's, and silently accepted if they are a macro's.
    braced(content, if is_users { braces } else { generated(braces) })
}

fn braced(content: TokenStream, span: Span) -> Group {
    let mut group = Group::new(Delimiter::Brace, content);
    group.set_span(span);
    group
}
