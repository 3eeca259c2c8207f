//! The generated functions. Nothing is decided here: what can be wrong was found before.

use std::collections::HashSet;

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{FnArg, Ident, Pat, PatIdent, PatType, Receiver, ReturnType, Signature, Token, Type, parse_quote};

use crate::describe::{
    Names, check_units, description, description_of_batch, description_of_group, facade, facade_at, generated,
    id_of_map, private, stored,
};
use crate::function::{Face, Function, Param};
use crate::generics;
use crate::ids::Batch;
use crate::mentions::identifiers;
use crate::model::{Model, Piece, Uses};
use crate::place::Place;
use crate::returns::{self, Kind};
use crate::{attrs, batch, behind, constants};

// Input:
//     #[redis_cached(ttl = 600, skip(db))]
//     async fn user(db: &Db, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     async fn user(db: &Db, id: u64) -> Result<User, Error> {
//         CALL of `user_uncached`
//     }
//     async fn user_uncached(db: &Db, id: u64) -> Result<User, Error> { BODY }
//     async fn user_refresh(db: &Db, id: u64) -> Result<User, Error> {
//         REFRESH of `user_uncached`
//     }
//     fn user_entry(id: u64) -> Entry<User> { … }
//     fn user_group(…) -> Group { … }, with `group = …`
pub(crate) fn expand(model: &Model) -> TokenStream {
    if !model.args.siblings {
        return alone(model);
    }
    let call = caller(model, "call", None);
    let body = body(model);
    let refresh = caller(model, "refresh", Some("refresh"));
    let entry = entry(model);
    let group = model.group.as_ref().map(|pieces| group(model, pieces));
    quote!(#call #body #refresh #entry #group)
}

/// What stands in for the siblings where the attribute is wrong, so that their callers are not
/// wrong too.
pub(crate) fn fallback(model: &Model) -> TokenStream {
    if !model.args.siblings || model.place == Place::TraitImpl {
        return TokenStream::new();
    }
    let Function { attrs, vis, sig, .. } = &model.function;
    let (attrs, allow, allow_sibling) = (attrs::shared(attrs), attrs::allowances(), attrs::second_allowances());
    // In code that never runs: a compile error stands beside it.
    let unreachable = quote!({ ::core::panic!("its attribute does not compile") });
    let same = ["uncached", "refresh"].map(|suffix| {
        let sig = Signature { ident: sibling(&sig.ident, suffix), ..plain_signature(sig, &model.params) };
        quote!(#attrs #allow #allow_sibling #vis #sig #unreachable)
    });
    let entry = entry_signature(model);
    let group = model.group.as_ref().map(|_| group_signature(model));
    let others = std::iter::once(entry).chain(group);
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
//         DESCRIPTION: cache, plan, key
//         __rc::call_result::<Result<User, Error>, _, _>(cache, plan, key, move || user_uncached(db, id)).await
//     }
fn caller(model: &Model, verb: &str, suffix: Option<&str>) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &model.function;
    let docs = suffix.map(|_| attrs::of_refresh(&sig.ident.unraw()));
    let allow_sibling = suffix.map(|_| attrs::second_allowances());
    let attrs = if suffix.is_none() { attrs::of_caller(attrs) } else { attrs::shared(attrs) };
    let allow = attrs::allowances();
    let mut new_sig = plain_signature(sig, &model.params);
    if let Some(suffix) = suffix {
        new_sig.ident = sibling(&sig.ident, suffix);
    }
    let callee = path(model, &sibling(&sig.ident, "uncached"));
    let receiver = sig.receiver().map(|receiver| receiver.self_token);
    let args = receiver.map(ToTokens::into_token_stream).into_iter();
    let args = args.chain(model.params.iter().map(|param| param.ident.to_token_stream()));
    let description = match &model.batch {
        Some(batch) => description_of_batch(model, batch, sig.receiver()),
        None => description(model, sig.receiver(), &model.output, &TokenStream::new()),
    };
    let run = match (&model.batch, &model.background) {
        (Some(batch), _) => batch::run(model, batch, verb, &callee),
        (None, Some(background)) if suffix.is_none() => behind::run(model, background, &callee),
        _ => run(model, verb, &quote!(move || #callee (#(#args),*))),
    };
    let check_units = check_units(model);
    // Once is enough.
    let check_constants = suffix.is_none().then(|| constants::checks(model));
    let block = block(model, &quote!(#check_units #check_constants #description), &run, suffix.is_none());
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
        // Unused is not what a parameter is that the attribute mentions.
        if model.cache.params[index] || model.in_templates.params[index] {
            param.attrs.push(parse_quote!(#[allow(unused_variables)]));
        }
    }
    let (attrs, allow, allow_second) = (attrs::all(attrs), attrs::body_allowances(), attrs::second_allowances());
    quote!(#docs #attrs #allow #allow_second #vis #sig #body)
}

// Input:
//     async fn user<'a, E: Executor<'a>>(db: E, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     fn user_entry(id: u64) -> Entry<OkOf<Result<User, Error>>> {
//         DESCRIPTION: cache, plan, key
//         __rc::entry(cache, plan, key)
//     }
fn entry(model: &Model) -> TokenStream {
    let Names { cache, plan, key, .. } = &Names::of(&model.output);
    let Function { attrs, sig, .. } = &model.function;
    let docs = match &model.batch {
        Some(batch) => attrs::of_entry_of_one(&sig.ident.unraw(), &batch.id),
        None => attrs::of_entry(&sig.ident.unraw()),
    };
    let (attrs, allow, allow_sibling) = (attrs::shared(attrs), attrs::allowances(), attrs::sibling_allowances(attrs));
    let make = if model.face == Face::Plain { quote!(blocking_entry) } else { quote!(entry) };
    let output = returns::without_lifetimes(&model.output);
    let rc = private(generated(output.span()));
    let (vis, sig) = (visibility(model), entry_signature(model));
    let description = description(model, sig.receiver(), &output, &TokenStream::new());
    let id_behind = id_behind(model, &model.key);
    let uses = uses_function(model, &model.not_in_entry);
    // At the return type, because the entry's type is where a wrong one is noticed first.
    let block =
        quote_spanned!(generated(output.span())=> { #uses #id_behind #description #rc::#make(#cache, #plan, #key) });
    quote!(#docs #attrs #allow #allow_sibling #vis #sig #block)
}

fn entry_signature(model: &Model) -> Signature {
    let sig = &model.function.sig;
    let output = returns::without_lifetimes(&model.output);
    let span = generated(output.span());
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
        generics: generics::without(&sig.generics, &model.not_in_entry),
        inputs: inputs(model, &model.key),
        output: ReturnType::Type(Token![->](span), Box::new(Type::Verbatim(output))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut entry);
    entry
}

/// The parameters that `uses` and `cache = …` need.
fn inputs(model: &Model, uses: &Uses) -> Punctuated<FnArg, Token![,]> {
    let receiver = model.function.sig.receiver().filter(|_| uses.receiver || model.cache.receiver).map(|receiver| {
        let token = receiver.self_token;
        parse_quote!(&#token)
    });
    let used = |index: usize| uses.params[index] || model.cache.params[index];
    let params = model.entry_params.iter().enumerate().filter(|&(index, _)| used(index));
    let params = params.map(|(index, param)| match &model.batch {
        Some(Batch { index: of_ids, id_type: None, .. }) if index == *of_ids => {
            let output = returns::without_lifetimes(&model.output);
            let facade = facade_at(model, generated(output.span()));
            let ident = &param.ident;
            let ty = id_of_map(model, &output, quote_spanned!(output.span()=> #facade::__private));
            parse_quote!(#ident: #ty)
        }
        _ => plain_param(param),
    });
    receiver.into_iter().chain(params).collect()
}

/// What makes of an id the reference that it is in a call, so that a template means the same.
fn id_behind(model: &Model, uses: &Uses) -> Option<TokenStream> {
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
fn group(model: &Model, pieces: &[Piece]) -> TokenStream {
    let Names { cache, key, .. } = &Names::of(&model.output);
    let Function { attrs, sig, .. } = &model.function;
    let docs = attrs::of_group(&sig.ident.unraw());
    let (attrs, allow, allow_sibling) = (attrs::shared(attrs), attrs::allowances(), attrs::sibling_allowances(attrs));
    let make = if model.face == Face::Plain { quote!(blocking_group) } else { quote!(group) };
    let rc = private(Span::mixed_site());
    let (vis, sig) = (visibility(model), group_signature(model));
    let description = description_of_group(model, pieces, sig.receiver());
    let id_behind = id_behind(model, &model.in_group);
    let uses = uses_function(model, &model.not_in_group);
    quote!(#docs #attrs #allow #allow_sibling #vis #sig { #uses #id_behind #description #rc::#make(#cache, #key) })
}

fn group_signature(model: &Model) -> Signature {
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
        generics: generics::without(&sig.generics, &model.not_in_group),
        inputs: inputs(model, &model.in_group),
        output: ReturnType::Type(Token![->](Span::mixed_site()), Box::new(Type::Verbatim(group))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut signature);
    signature
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
    // Of the user's own braces the compiler says that one line needs none there.
    let body = braced(body.stream(), generated(body.span()));
    let output = &model.output;
    let ret = Ident::new("ret", generated(output.span()));
    let rebind = model.params.iter().filter(|param| needs_rebinding(param)).map(|Param { pat, ident, .. }| {
        let allow = attrs::rebinding_allowances();
        quote!(#allow let #pat = #ident;)
    });
    let closure = match model.face {
        Face::Async => {
            // Tells the compiler the type before it sees the body, for errors in the user's words.
            let announce = quote_spanned! {generated(output.span())=>
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
    let description = description(model, sig.receiver(), output, &attrs::allowances());
    let run = run(model, "call", &closure);
    let check_units = check_units(model);
    let check_constants = constants::checks(model);
    let block = block(model, &quote!(#check_units #check_constants #description), &run, true);
    let mark = attrs::body_allowances();
    quote!(#(#attrs)* #mark #vis #new_sig #block)
}

/// Whether the body needs a `let` to see a parameter as its signature says.
fn needs_rebinding(param: &Param) -> bool {
    !matches!(&param.pat, Pat::Ident(PatIdent { by_ref: None, mutability: None, subpat: None, .. }))
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

/// The return type, all of it at one place, so that what is wrong with it is reported once.
pub(crate) fn returned(output: &Type) -> TokenStream {
    let span = generated(output.span());
    let rc = private(span);
    quote_spanned!(span=> #rc::Returned<#output>)
}

/// The one call into the runtime.
fn run(model: &Model, verb: &str, closure: &TokenStream) -> TokenStream {
    let Names { cache, plan, key, .. } = &Names::of(&model.output);
    let output = &model.output;
    let span = generated(output.span());
    let (rc, returned) = (private(span), returned(output));
    let (kind, errors) = match model.kind {
        Kind::Result => ("result", Some(errors(model))),
        _ => ("value", None),
    };
    match model.face {
        Face::Async | Face::Boxed => {
            let function = format_ident!("{verb}_{kind}", span = span);
            let function = quote_spanned!(span=> #rc::#function::<#returned, _, _>);
            quote_spanned!(span=> #function(#cache, #plan, #key, #errors #closure).await)
        }
        Face::Plain => {
            let function = format_ident!("blocking_{verb}_{kind}", span = span);
            let function = quote_spanned!(span=> #rc::#function::<#returned>);
            quote_spanned!(span=> #function(#cache, #plan, #key, #errors #closure))
        }
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
    let span = generated(output.span());
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

/// The signature with a plain name for each parameter.
fn plain_signature(sig: &Signature, params: &[Param]) -> Signature {
    let receiver = sig.receiver().map(|receiver| {
        // `mut` matters to the body alone.
        let attrs = attrs::of_param(&receiver.attrs);
        FnArg::Receiver(Receiver { attrs, mutability: None, ..receiver.clone() })
    });
    Signature { inputs: receiver.into_iter().chain(params.iter().map(plain_param)).collect(), ..sig.clone() }
}

fn plain_param(param: &Param) -> FnArg {
    let ident = &param.ident;
    FnArg::Typed(PatType {
        attrs: attrs::of_param(&param.attrs),
        pat: parse_quote!(#ident),
        colon_token: Token![:](ident.span()),
        ty: Box::new(param.ty.clone()),
    })
}

/// A function of the same place and type parameters.
fn path(model: &Model, ident: &Ident) -> TokenStream {
    let turbofish = generics::turbofish(&model.function.sig.generics);
    match model.place {
        Place::Free => quote!(#ident #turbofish),
        Place::Inherent | Place::Trait | Place::TraitImpl => quote!(Self::#ident #turbofish),
    }
}

/// The visibility of a function, for one that is not the user's: the compiler tells it by its first token.
fn visibility(model: &Model) -> TokenStream {
    let mut tokens = model.function.vis.to_token_stream().into_iter();
    let first = tokens.next().map(|mut token| {
        token.set_span(generated(token.span()));
        token
    });
    first.into_iter().chain(tokens).collect()
}

/// What tells the compiler that the function is in use where its sibling is, if that has all of its type parameters.
fn uses_function(model: &Model, dropped: &HashSet<String>) -> Option<TokenStream> {
    let sig = &model.function.sig;
    let has_all = dropped.is_empty() && !identifiers(&sig.inputs).contains("impl");
    let function = path(model, &sig.ident);
    has_all.then(|| quote!(let _ = #function;))
}

/// `user_entry`, at the place of `user`.
fn sibling(ident: &Ident, suffix: &str) -> Ident {
    format_ident!("{}_{suffix}", ident.unraw(), span = ident.span())
}
