//! The generated functions. Nothing is decided here: what can be wrong was found before.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, FnArg, Ident, Pat, PatIdent, PatType, Receiver, Signature, Token, Type, parse_quote};

use crate::args::{Codec, Lifetime, Prefix};
use crate::attrs;
use crate::function::{self, Face, Function, Param};
use crate::generics;
use crate::model::{Model, Part, Piece, Uses, Value};
use crate::place::Place;
use crate::returns::{self, Kind};

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
pub(crate) fn expand(model: &Model) -> TokenStream {
    if !model.args.siblings {
        return alone(model);
    }
    let call = caller(model, "call", None);
    let body = body(model);
    let refresh = caller(model, "refresh", Some("refresh"));
    let entry = entry(model);
    quote!(#call #body #refresh #entry)
}

/// What stands in for the siblings where the attribute is wrong, so that their callers are not
/// wrong too.
pub(crate) fn fallback(model: &Model) -> TokenStream {
    if !model.args.siblings || model.place == Place::TraitImpl {
        return TokenStream::new();
    }
    let Function { attrs, vis, sig, .. } = &model.function;
    let (attrs, allow) = (attrs::shared(attrs), attrs::allowances());
    let unreachable = quote!({ ::core::panic!("its attribute does not compile") });
    let same = ["uncached", "refresh"].map(|suffix| {
        let sig = Signature { ident: sibling(&sig.ident, suffix), ..plain_signature(sig, &model.params) };
        quote!(#attrs #allow #vis #sig #unreachable)
    });
    let entry = entry_signature(model);
    quote! {
        #(#same)*
        #attrs #allow #vis #entry #unreachable
    }
}

// Input:
//     async fn user(db: &Db, Path(id): Path<u64>) -> Result<User, Error> { BODY }
//
// Output:
//     async fn user(db: &Db, id: Path<u64>) -> Result<User, Error> {
//         DESCRIPTION: cache, plan, key
//         __private::call_result::<Result<User, Error>, _, _>(cache, plan, key, move || user_uncached(db, id)).await
//     }
fn caller(model: &Model, verb: &str, suffix: Option<&str>) -> TokenStream {
    let Function { attrs, vis, sig, .. } = &model.function;
    let docs = suffix.map(|_| attrs::of_refresh(&sig.ident.unraw()));
    let attrs = attrs::shared(attrs);
    // A function that nobody calls is worth a warning; a sibling is not.
    let allow = attrs::allowances();
    let mut new_sig = plain_signature(sig, &model.params);
    if let Some(suffix) = suffix {
        new_sig.ident = sibling(&sig.ident, suffix);
    }
    let callee = sibling(&sig.ident, "uncached");
    let callee = match model.place {
        Place::Free => quote!(#callee),
        Place::Inherent | Place::Trait | Place::TraitImpl => quote!(Self::#callee),
    };
    let turbofish = generics::turbofish(&sig.generics);
    let receiver = sig.receiver().map(|receiver| receiver.self_token);
    let args = receiver.map(ToTokens::into_token_stream).into_iter();
    let args = args.chain(model.params.iter().map(|param| param.ident.to_token_stream()));
    let description = description(model, sig.receiver(), &model.output, &TokenStream::new());
    let run = run(model, verb, &quote!(move || #callee #turbofish (#(#args),*)));
    let block = block(model.face, &description, &run);
    quote!(#docs #attrs #allow #vis #new_sig #block)
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
        if model.cache.params[index] || (model.args.key.is_some() && model.key.params[index]) {
            param.attrs.push(parse_quote!(#[allow(unused_variables)]));
        }
    }
    let allow = attrs::body_allowances();
    quote!(#docs #(#attrs)* #allow #vis #sig #body)
}

// Input:
//     async fn user<'a, E: Executor<'a>>(db: E, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     fn user_entry(id: u64) -> Entry<<Result<User, Error> as ResultLike>::Ok> {
//         DESCRIPTION: cache, plan, key
//         __private::entry(cache, plan, key)
//     }
fn entry(model: &Model) -> TokenStream {
    let names = Names::new();
    let Names { cache, plan, key, .. } = &names;
    let Function { attrs, vis, sig, .. } = &model.function;
    let docs = attrs::of_entry(&sig.ident.unraw());
    let (attrs, allow) = (attrs::shared(attrs), attrs::allowances());
    let private = private(model);
    let make = if model.face == Face::Plain { quote!(blocking_entry) } else { quote!(entry) };
    let output = returns::without_lifetimes(&model.output);
    let sig = entry_signature(model);
    let description = description(model, sig.receiver(), &output, &TokenStream::new());
    quote! {
        #docs #attrs #allow
        #vis #sig {
            #description
            #private::#make(#cache, #plan, #key)
        }
    }
}

fn entry_signature(model: &Model) -> Signature {
    let sig = &model.function.sig;
    let facade = facade(model);
    let entry = if model.face == Face::Plain { quote!(blocking::Entry) } else { quote!(Entry) };
    let stored = stored(model, &returns::without_lifetimes(&model.output));
    let receiver = sig.receiver().filter(|_| model.key.receiver || model.cache.receiver).map(|receiver| {
        let token = receiver.self_token;
        parse_quote!(&#token)
    });
    let used = |index: usize| model.key.params[index] || model.cache.params[index];
    let params = model.params.iter().enumerate().filter(|&(index, _)| used(index)).map(|(_, param)| plain_param(param));
    let mut entry = Signature {
        asyncness: None,
        ident: sibling(&sig.ident, "entry"),
        generics: generics::without(&sig.generics, &model.not_in_entry),
        inputs: receiver.into_iter().chain(params).collect(),
        output: parse_quote!(-> #facade::#entry<#stored>),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut entry);
    entry
}

// Input:
//     async fn user(&self, Path(id): Path<u64>) -> Result<User, Error> { BODY }
//
// Output:
//     async fn user(&self, id: Path<u64>) -> Result<User, Error> {
//         DESCRIPTION: cache, plan, key
//         __private::call_result::<Result<User, Error>, _, _>(cache, plan, key, move || async move {
//             let Path(id) = id;
//             let ret: Result<User, Error> = { BODY };
//             ret
//         })
//         .await
//     }
fn alone(model: &Model) -> TokenStream {
    let Function { attrs, vis, sig, body } = &model.function;
    let output = &model.output;
    let ret = Ident::new("ret", generated(output.span()));
    let rebind = model.params.iter().filter(|param| needs_rebinding(param)).map(|Param { pat, ident, .. }| {
        let allow = attrs::rebinding_allowances();
        quote!(#allow let #pat = #ident;)
    });
    let receiver = sig.receiver().and_then(|receiver| receiver.mutability.map(|mutability| (mutability, receiver)));
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
            let syn::ReturnType::Type(_, declared) = &sig.output else { unreachable!("checked before") };
            quote!(move || -> #declared { #(#rebind)* #body })
        }
    };
    // `mut self` stays where it is: there is no other place for it.
    let mut new_sig = plain_signature(sig, &model.params);
    if let (Some((mutability, _)), Some(FnArg::Receiver(plain))) = (receiver, new_sig.inputs.first_mut()) {
        plain.mutability = Some(mutability);
    }
    let description = description(model, sig.receiver(), output, &attrs::allowances());
    let run = run(model, "call", &closure);
    let block = block(model.face, &description, &run);
    quote!(#(#attrs)* #vis #new_sig #block)
}

/// Whether the body needs a `let` to see a parameter as its signature says.
fn needs_rebinding(param: &Param) -> bool {
    !matches!(&param.pat, Pat::Ident(PatIdent { by_ref: None, mutability: None, subpat: None, .. }))
}

/// The block of a function that asks the cache.
fn block(face: Face, description: &TokenStream, run: &TokenStream) -> TokenStream {
    match face {
        Face::Boxed => quote! {
            { ::std::boxed::Box::pin(async move { #description #run }) }
        },
        Face::Async | Face::Plain => quote!({ #description #run }),
    }
}

/// The one call into the runtime.
fn run(model: &Model, verb: &str, closure: &TokenStream) -> TokenStream {
    let Names { cache, plan, key, .. } = &Names::new();
    let output = &model.output;
    let span = generated(output.span());
    let private = private_at(model, span);
    let kind = if model.kind == Kind::Result { "result" } else { "value" };
    match model.face {
        Face::Async | Face::Boxed => {
            let function = format_ident!("{verb}_{kind}", span = span);
            let function = quote_spanned!(span=> #private::#function::<#output, _, _>);
            quote_spanned!(span=> #function(#cache, #plan, #key, #closure).await)
        }
        Face::Plain => {
            let function = format_ident!("blocking_{verb}_{kind}", span = span);
            let function = quote_spanned!(span=> #private::#function::<#output>);
            quote_spanned!(span=> #function(#cache, #plan, #key, #closure))
        }
    }
}

/// The variables of generated code, which no name of the user's can meet.
struct Names {
    cache: Ident,
    plan: Ident,
    key: Ident,
    codec: Ident,
    writer: Ident,
    part: Ident,
    value: Ident,
}

impl Names {
    fn new() -> Names {
        let ident = |name| Ident::new(name, Span::mixed_site());
        Names {
            cache: ident("cache"),
            plan: ident("plan"),
            key: ident("key"),
            codec: ident("codec"),
            writer: ident("writer"),
            part: ident("part"),
            value: ident("value"),
        }
    }
}

// Output:
//     let cache = CACHE;
//     let plan = PLAN;
//     let key = KEY;
fn description(model: &Model, receiver: Option<&Receiver>, output: &Type, allow: &TokenStream) -> TokenStream {
    let Names { cache, plan, key, .. } = &Names::new();
    let find_cache = find_cache(model);
    let make_plan = make_plan(model, output);
    let make_key = make_key(model, receiver);
    quote! {
        #allow
        let #cache = #find_cache;
        #allow
        let #plan = #make_plan;
        #allow
        let #key = #make_key;
    }
}

// Input:
//     cache = self.cache
//
// Output:
//     &{
//         let cache = Cache::clone(&self.cache);
//         cache
//     }
//
// A handle of its own, because the body may take `self` away.
fn find_cache(model: &Model) -> TokenStream {
    let private = private(model);
    let Some(expr) = &model.args.cache else { return quote!(#private::installed()) };
    let Names { cache, .. } = &Names::new();
    let span = generated(expr.span());
    let facade = facade_at(model, span);
    let destructure = destructure(model, &model.cache);
    let borrowed = borrowed(expr);
    let clone = quote_spanned!(span=> #facade::Cache::clone(#borrowed));
    quote! {
        &{
            #destructure
            let #cache = #clone;
            #cache
        }
    }
}

// Output:
//     {
//         let codec = CodecFns::<User>::of::<Bincode>();
//         Plan::<User> {
//             function: FUNCTION,
//             codec,
//             nones: storable::<User, _>(Kind::<User>::new().found()),
//             ttl: |_| Ttl::Millis(600_000),
//             none_ttl: None,
//             cache_if: |_| true,
//             jitter: 0.0,
//         }
//     }
fn make_plan(model: &Model, output: &Type) -> TokenStream {
    let Names { codec, value, .. } = &Names::new();
    let private = private(model);
    let stored = stored(model, output);
    // What is wrong with the stored type is reported at the return type.
    let span = generated(output.span());
    let codec_type = codec_type(model, span);
    let at_output = private_at(model, span);
    let codec_fns = quote_spanned!(span=> #at_output::CodecFns::<#stored>::of::<#codec_type>());
    let plan = quote_spanned!(span=> #at_output::Plan::<#stored>);
    let function = make_function(model);
    let nones = match (model.kind, &model.args.none_ttl) {
        (Kind::Anything, _) => quote!(#private::Nones::never()),
        (Kind::Option, _) => quote_spanned!(span=> <#stored as #at_output::OptionLike>::nones()),
        (Kind::Value | Kind::Result, None) => {
            quote_spanned!(span=> #at_output::storable::<#stored, _>(#at_output::Kind::<#stored>::new().found()))
        }
        (Kind::Value | Kind::Result, Some((keyword, _))) => {
            let span = generated(keyword.span());
            let private = private_at(model, span);
            quote_spanned!(span=> #private::storable_option::<#stored, _>(#private::Kind::<#stored>::new().found()))
        }
    };
    let ttl = match &model.args.ttl {
        None => quote! {{
            const __TTL: #private::Ttl = #private::Ttl::from_env(::core::option_env!("REDIS_CACHED_TTL"));
            |_| __TTL
        }},
        Some(Lifetime::Closure(closure)) => {
            let span = generated(closure.span());
            let private = private_at(model, span);
            quote_spanned! {span=>
                |#value| #private::IntoTtl::into_ttl(#private::of_value::<#stored, _>(#closure, #value))
            }
        }
        Some(lifetime) => {
            let lifetime = constant_lifetime(model, lifetime);
            quote!(|_| #lifetime)
        }
    };
    let none_ttl = match &model.args.none_ttl {
        None => quote!(::core::option::Option::None),
        Some((_, lifetime)) => {
            let lifetime = constant_lifetime(model, lifetime);
            quote!(::core::option::Option::Some(#lifetime))
        }
    };
    let cache_if = model.args.cache_if.as_ref().map_or_else(|| quote!(|_| true), ToTokens::to_token_stream);
    let jitter = model.args.jitter;
    quote! {{
        use #private::AnyKind as _;
        let #codec = #codec_fns;
        #plan {
            function: #function,
            codec: #codec,
            nones: #nones,
            ttl: #ttl,
            none_ttl: #none_ttl,
            cache_if: #cache_if,
            jitter: #jitter,
        }
    }}
}

fn constant_lifetime(model: &Model, lifetime: &Lifetime) -> TokenStream {
    let private = private(model);
    match lifetime {
        Lifetime::Milliseconds(milliseconds) => quote!(#private::Ttl::Millis(#milliseconds)),
        Lifetime::Forever => quote!(#private::Ttl::Forever),
        Lifetime::Constant(expr) | Lifetime::Closure(expr) => {
            let span = generated(expr.span());
            let private = private_at(model, span);
            quote_spanned!(span=> #private::IntoTtl::into_ttl(#expr))
        }
    }
}

// Output:
//     {
//         static __SLOT: Slot = Slot::new();
//         const __PREFIX: &str = default_prefix(option_env!("REDIS_CACHED_PREFIX"), module_path!());
//         __SLOT.function(
//             const { &Site { ident: "user", prefix: __PREFIX, name: Name::Path, version: 0 } },
//             path_of(&|| ()),
//             &[&type_name::<T>()],
//             &codec,
//         )
//     }
fn make_function(model: &Model) -> TokenStream {
    let Names { codec, .. } = &Names::new();
    let private = private(model);
    let sig = &model.function.sig;
    let ident = sig.ident.unraw().to_string();
    let (default_prefix, prefix) = match &model.args.prefix {
        Some(Prefix::Literal(prefix)) => (None, quote!(#prefix)),
        Some(Prefix::Constant(prefix)) => (None, quote!(#prefix)),
        None => {
            let find = quote! {
                const __PREFIX: &::core::primitive::str = #private::default_prefix(
                    ::core::option_env!("REDIS_CACHED_PREFIX"),
                    ::core::module_path!(),
                );
            };
            (Some(find), quote!(__PREFIX))
        }
    };
    let name = match (&model.args.key, &model.args.name) {
        (Some(_), _) => quote!(Template),
        (None, Some(name)) => quote!(Given(#name)),
        (None, None) => quote!(Path),
    };
    let version = model.args.version;
    let generics = sig.generics.params.iter().filter_map(|param| match param {
        syn::GenericParam::Type(param) if !model.not_in_name.contains(&param.ident.to_string()) => {
            let ident = &param.ident;
            Some(quote!(&::core::any::type_name::<#ident>()))
        }
        syn::GenericParam::Const(param) if !model.not_in_name.contains(&param.ident.to_string()) => {
            let ident = &param.ident;
            Some(quote!(&#ident))
        }
        _ => None,
    });
    quote! {{
        static __SLOT: #private::Slot = #private::Slot::new();
        #default_prefix
        __SLOT.function(
            const { &#private::Site { ident: #ident, prefix: #prefix, name: #private::Name::#name, version: #version } },
            #private::path_of(&|| ()),
            &[#(#generics),*],
            &#codec,
        )
    }}
}

fn codec_type(model: &Model, output: Span) -> TokenStream {
    let (span, codec) = match &model.args.codec {
        Codec::Default => (output, "Bincode"),
        Codec::Bincode(span) => (generated(*span), "Bincode"),
        Codec::Json(span) => (generated(*span), "Json"),
        Codec::MessagePack(span) => (generated(*span), "MessagePack"),
        Codec::Custom(codec) => return codec.to_token_stream(),
    };
    let facade = facade_at(model, span);
    let codec = Ident::new(codec, span);
    quote_spanned!(span=> #facade::#codec)
}

// Input:
//     key = "user:{id}"
//
// Output:
//     {
//         let writer = key(cache, plan.function);
//         let writer = writer.literal(":user:");
//         let writer = match &id {
//             part => __private::part(writer, "id", part, probe(part).key_part()),
//         };
//         writer.finish()
//     }
fn make_key(model: &Model, receiver: Option<&Receiver>) -> TokenStream {
    let Names { cache, plan, writer, part, .. } = &Names::new();
    let private = private(model);
    let destructure = destructure(model, &model.key);
    let pieces = model.pieces.iter().map(|piece| {
        let Part { label, value } = match piece {
            Piece::Text(text) => return quote!(let #writer = #writer.literal(#text);),
            Piece::Part(part) => part,
        };
        let (span, append, value) = match (value, receiver) {
            (Value::Receiver(span), Some(receiver)) => {
                let value = function::behind(receiver);
                (*span, "self_part", quote_spanned!(*span=> &#value))
            }
            (Value::Receiver(_), None) => unreachable!("checked before"),
            (Value::Expr(expr), _) => (expr.span(), "part", borrowed(expr)),
        };
        let span = generated(span);
        let private = private_at(model, span);
        let append = Ident::new(append, span);
        quote_spanned! {span=>
            let #writer = match #value {
                #part => #private::#append(#writer, #label, #part, #private::probe(#part).key_part()),
            };
        }
    });
    quote! {{
        use #private::NoKeyPart as _;
        #destructure
        let #writer = #private::key(#cache, #plan.function);
        #(#pieces)*
        #writer.finish()
    }}
}

/// A reference to the value of an expression.
fn borrowed(expr: &Expr) -> TokenStream {
    let span = generated(expr.span());
    match expr {
        Expr::Path(_)
        | Expr::Field(_)
        | Expr::MethodCall(_)
        | Expr::Call(_)
        | Expr::Index(_)
        | Expr::Lit(_)
        | Expr::Macro(_)
        | Expr::Paren(_)
        | Expr::Unary(_)
        | Expr::Reference(_) => quote_spanned!(span=> &#expr),
        _ => quote_spanned!(span=> &(#expr)),
    }
}

// Input:
//     (Path(mut id), State(state)): (Path<u64>, State<App>)
//
// Output, where only `id` is used:
//     let (Path(id), State(state)) = &arg0;
fn destructure(model: &Model, uses: &Uses) -> TokenStream {
    struct Peel;
    impl VisitMut for Peel {
        fn visit_pat_mut(&mut self, pat: &mut Pat) {
            // Through a reference `&x` and `ref x` mean something else, or nothing.
            while let Pat::Reference(reference) = pat {
                *pat = (*reference.pat).clone();
            }
            visit_mut::visit_pat_mut(self, pat);
        }
        fn visit_pat_ident_mut(&mut self, pat: &mut PatIdent) {
            pat.by_ref = None;
            pat.mutability = None;
            visit_mut::visit_pat_ident_mut(self, pat);
        }
    }
    let params = model.params.iter().zip(&uses.params).filter(|(param, is_used)| **is_used && !param.is_plain());
    let lets = params.map(|(Param { pat, ident, .. }, _)| {
        let mut pat = pat.clone();
        Peel.visit_pat_mut(&mut pat);
        quote!(let #pat = &#ident;)
    });
    lets.collect()
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

/// `user_entry`, at the place of `user`.
fn sibling(ident: &Ident, suffix: &str) -> Ident {
    format_ident!("{}_{suffix}", ident.unraw(), span = ident.span())
}

/// The type that is stored.
fn stored(model: &Model, output: &Type) -> TokenStream {
    let span = generated(output.span());
    let private = private_at(model, span);
    match model.kind {
        Kind::Result => quote_spanned!(span=> <#output as #private::ResultLike>::Ok),
        Kind::Value | Kind::Anything | Kind::Option => output.to_token_stream(),
    }
}

/// The path of `redis-cached`, in the crate around the function.
fn facade(model: &Model) -> TokenStream {
    model.args.krate.as_ref().map_or_else(|| quote!(::redis_cached), ToTokens::to_token_stream)
}

/// What generated code names, and nobody else.
fn private(model: &Model) -> TokenStream {
    let facade = facade(model);
    quote!(#facade::__private)
}

/// [`facade`], for code whose errors are to be shown at `span`: one token from elsewhere, and they
/// are shown at the attribute.
fn facade_at(model: &Model, span: Span) -> TokenStream {
    match &model.args.krate {
        None => quote_spanned!(span=> ::redis_cached),
        Some(path) => path
            .to_token_stream()
            .into_iter()
            .map(|mut token| {
                token.set_span(token.span().located_at(span));
                token
            })
            .collect(),
    }
}

/// [`private`], as [`facade_at`].
fn private_at(model: &Model, span: Span) -> TokenStream {
    let facade = facade_at(model, span);
    quote_spanned!(span=> #facade::__private)
}

/// The place of the user's code, for code that is not the user's.
fn generated(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}
