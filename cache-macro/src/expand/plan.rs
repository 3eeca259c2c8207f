//! The plan of a function.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{GenericParam, Ident, ReturnType, Signature, Token, Type};

use super::attrs;
use super::names::{Names, at_output, facade, facade_at, generated, private};
use super::signature::path_with;
use super::values::stored;
use super::{codec, lifetimes, web};
use crate::model::Model;
use crate::model::pieces::{Part, Piece, Value};
use crate::model::returns::Kind;
use crate::parse::args::{Algorithm, Codec, Compress, Lifetime, Prefix, SingleFlight};
use crate::parse::function::{Function, Param};
use crate::syntax::generics;
use crate::syntax::place::Place;
use crate::syntax::types::{impl_trait, without_lifetimes};

/// Returns `true` if the plan has a function of its own. In a trait, that would be a provided method, which could be
/// overridden and would need a receiver for `dyn`. With `siblings = off` nothing stands next to the function. The types
/// of `impl Trait` parameters in the key, which tell instances of the function apart, have no names to hand on.
pub(crate) fn is_shared(model: &Model) -> bool {
    let is_place = matches!(model.place, Place::Free | Place::Inherent);
    model.args.siblings && is_place && opaque(model).next().is_none()
}

// Output:
//     fn __user_plan<T>() -> ::redis_cached::__private::Plan<User> {
//         use ::redis_cached::__private as __rc;
//         PLAN
//     }
//
// All siblings call it, so that they share what is found out once about a function, and the plan is compiled once.
pub(crate) fn plan_function(model: &Model) -> Option<TokenStream> {
    if !is_shared(model) {
        return None;
    }
    let Function { attrs, sig, .. } = &model.function;
    let (attrs, allow, allow_second) =
        (attrs::of_plan(attrs), attrs::closure_allowances(model), attrs::second_allowances());
    let output = without_lifetimes(&model.output);
    let span = at_output(model);
    let (rc, facade_at, facade) = (private(Span::mixed_site()), facade_at(model, span), facade(model));
    let stored = stored(model, &output, quote_spanned!(span=> #facade_at::__private));
    let plan = quote_spanned!(span=> #facade_at::__private::Plan<#stored>);
    let mut signature = Signature {
        asyncness: None,
        fn_token: Token![fn](span),
        ident: plan_ident(model),
        generics: generics::without(&sig.generics, &model.needs.not_in_entry),
        inputs: Punctuated::new(),
        output: ReturnType::Type(Token![->](span), Box::new(Type::Verbatim(plan))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut signature);
    let make_plan = make_plan(model, &output);
    let block = quote_spanned!(span=> { use #facade::__private as #rc; #make_plan });
    Some(quote!(#[doc(hidden)] #attrs #allow #allow_second #[inline] #signature #block))
}

/// The name of the plan's function, at the return type, where errors of the value's type are shown.
fn plan_ident(model: &Model) -> Ident {
    format_ident!("__{}_plan", model.function.sig.ident.unraw(), span = at_output(model))
}

/// The plan, as an expression.
pub(crate) fn plan(model: &Model, output: &Type) -> TokenStream {
    if !is_shared(model) {
        return make_plan(model, output);
    }
    let generics = generics::without(&model.function.sig.generics, &model.needs.not_in_entry);
    let function = path_with(model, &plan_ident(model), &generics);
    quote_spanned!(at_output(model)=> #function())
}

// Output:
//     {
//         use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
//         let kind = __rc::Kind::<User>::new().rc_option().rc_found();
//         let codec = CODEC;
//         let plan = __rc::Plan::new(FUNCTION, codec, NONES, |_| __rc::Ttl::Millis(600_000));
//         __rc::Plan { terms: __rc::Terms { jitter: 0.1, ..plan.terms }, ..plan }
//     }
fn make_plan(model: &Model, output: &Type) -> TokenStream {
    let Names { codec, value, plan, .. } = &Names::of(model);
    // An error about the stored type is shown at the return type.
    let span = at_output(model);
    let (rc, rc_output) = (private(Span::mixed_site()), private(span));
    let stored = stored(model, output, &rc_output);
    let codec_type = codec_type(model, span);
    let find_kind = codec::kind(model, output, &stored);
    let codec_fns = codec::codec(model, output, &stored, &codec_type);
    let function = make_function(model);
    let nones = nones(model, &stored, span);
    let ttl = web::ttl(model, ttl(model, &stored, span));
    // That of a response is a part of its lifetime.
    let none_ttl = model.args.none_ttl.as_ref().filter(|_| !web::is_response(model)).map(|(_, lifetime)| {
        let lifetime = constant_lifetime(lifetime);
        quote!(none_ttl: ::core::option::Option::Some(#lifetime),)
    });
    let cache_if = model.args.cache_if.as_ref().map(|expr| quote!(cache_if: #expr,));
    let tags = model.args.tags.of_value.as_ref().map(|closure| {
        let span = generated(closure.span());
        let rc = private(span);
        let tags = quote_spanned!(span=> #rc::into_tags(#rc::of_value::<#stored, _>(#closure, #value)));
        let tags = web::tags(model, &value, tags);
        let tags = quote_spanned!(span=> |#value| #tags);
        quote!(tags: ::core::option::Option::Some(#tags),)
    });
    let kept = match web::is_response(model) {
        true => quote_spanned!(span=> #rc_output::local_pages()),
        false => quote_spanned!(span=> #rc_output::local_fns::<#stored>()),
    };
    let local = model.args.local.as_ref().map(|_| quote!(local: ::core::option::Option::Some(#kept),));
    let most = model.args.local.as_ref().map(|(_, most)| quote!(local: #most,));
    let compress = model.args.compress.as_ref().map(compression);
    let jitter = model.args.jitter.as_ref().map(|(_, jitter)| quote!(jitter: #jitter,));
    let has_own_tags = tags.as_ref().map(|_| quote!(has_own_tags: true,));
    let terms: TokenStream =
        [none_ttl, jitter, has_own_tags, most, compress].into_iter().flatten().chain(protocol(model)).collect();
    let terms = (!terms.is_empty()).then(|| quote!(terms: #rc::Terms { #terms ..#plan.terms },));
    let fields: TokenStream = [terms, cache_if, tags, local].into_iter().flatten().collect();
    let new = quote_spanned!(span=> #rc_output::Plan::new(#function, #codec, #nones, #ttl));
    let finish =
        if fields.is_empty() { new } else { quote_spanned!(span=> let #plan = #new; #rc::Plan { #fields ..#plan }) };
    quote_spanned! {span=> {
        use #rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        #find_kind
        let #codec = #codec_fns;
        #finish
    }}
}

// Input:
//     compress = "lz4:4096"
//
// Output:
//     compress: Option::Some(__rc::Compression::LZ4.threshold(4096usize)),
fn compression(compress: &Compress) -> TokenStream {
    let rc = private(Span::mixed_site());
    let algorithm = match compress.algorithm {
        Algorithm::Off => quote!(OFF),
        Algorithm::Lz4 => quote!(LZ4),
        Algorithm::Zstd => quote!(ZSTD),
    };
    let threshold = compress.threshold.map(|bytes| {
        let bytes = bytes as usize;
        quote!(.threshold(#bytes))
    });
    quote!(compress: ::core::option::Option::Some(#rc::Compression::#algorithm #threshold),)
}

/// How `None` is recognized and made. All tokens are at the return type.
fn nones(model: &Model, stored: &TokenStream, span: Span) -> TokenStream {
    let Names { kind, .. } = &Names::of(model);
    let (rc, rc_output) = (private(Span::mixed_site()), private(span));
    let storable = || quote_spanned!(span=> #rc_output::storable::<#stored, _>(#kind));
    match (model.kind, &model.args.none_ttl) {
        // The `none_ttl` of a batch is for ids without a value.
        _ if model.batch.is_some() || web::is_response(model) => storable(),
        (Kind::Anything, _) => quote!(#rc::Nones::never()),
        (Kind::Option, _) => quote_spanned!(span=> <#stored as #rc_output::OptionLike>::nones()),
        (Kind::Value | Kind::Result, None) => storable(),
        (Kind::Value | Kind::Result, Some((keyword, _))) => {
            let span = generated(keyword.span());
            let rc = private(span);
            quote_spanned!(span=> #rc::storable_option::<#stored, _>(#kind))
        }
    }
}

/// The function of a value's lifetime.
fn ttl(model: &Model, stored: &TokenStream, span: Span) -> TokenStream {
    let Names { value, .. } = &Names::of(model);
    match &model.args.ttl {
        None => {
            let rc = private(span);
            let default = match &model.args.default_ttl {
                Some(lifetime) => constant_lifetime(lifetime),
                None => quote_spanned!(span=> #rc::Ttl::DEFAULT),
            };
            // A change of the variable compiles the function again.
            quote_spanned!(span=> |_| #rc::Ttl::of_environment(::core::option_env!("REDIS_CACHED_TTL"), #default))
        }
        Some(Lifetime::Closure(closure)) => {
            let span = generated(closure.span());
            let rc = private(span);
            quote_spanned!(span=> |#value| #rc::IntoTtl::into_ttl(#rc::of_value::<#stored, _>(#closure, #value)))
        }
        Some(lifetime) => {
            let lifetime = constant_lifetime(lifetime);
            quote_spanned!(span=> |_| #lifetime)
        }
    }
}

// Input:
//     single_flight = process, lease = "5s", wait = "30s", refresh_ahead = 0.8
//
// Output:
//     single_flight: __rc::SingleFlight::Process,
//     lease: __rc::Ttl::Millis(5_000),
//     wait: Option::Some(__rc::Ttl::Millis(30_000)),
//     refresh_ahead: Option::Some(0.8),
fn protocol(model: &Model) -> Option<TokenStream> {
    let rc = private(Span::mixed_site());
    let args = &model.args;
    let single_flight = args.single_flight.map(|reach| {
        let reach = match reach {
            SingleFlight::Shared => quote!(Shared),
            SingleFlight::Process => quote!(Process),
            SingleFlight::Off => quote!(Off),
        };
        quote!(single_flight: #rc::SingleFlight::#reach,)
    });
    let lease = args.lease.as_ref().map(|lifetime| {
        let lifetime = constant_lifetime(lifetime);
        quote!(lease: #lifetime,)
    });
    let wait = args.wait.as_ref().map(|(_, lifetime)| {
        let lifetime = constant_lifetime(lifetime);
        quote!(wait: ::core::option::Option::Some(#lifetime),)
    });
    let refresh_ahead =
        args.refresh_ahead.as_ref().map(|(_, part)| quote!(refresh_ahead: ::core::option::Option::Some(#part),));
    let stale_while_revalidate = args.stale_while_revalidate.as_ref().map(|(_, lifetime)| {
        let lifetime = constant_lifetime(lifetime);
        quote!(stale_while_revalidate: #lifetime,)
    });
    let stale_if_error = args.stale_if_error.as_ref().map(|(_, lifetime)| {
        let lifetime = constant_lifetime(lifetime);
        quote!(stale_if_error: #lifetime,)
    });
    let fields = quote!(#single_flight #lease #wait #refresh_ahead #stale_while_revalidate #stale_if_error);
    (!fields.is_empty()).then_some(fields)
}

fn constant_lifetime(lifetime: &Lifetime) -> TokenStream {
    let rc = private(Span::mixed_site());
    match lifetime {
        Lifetime::Milliseconds(milliseconds) => quote!(#rc::Ttl::Millis(#milliseconds)),
        Lifetime::Forever => quote!(#rc::Ttl::Forever),
        Lifetime::Constant(expr) | Lifetime::Closure(expr) => lifetimes::lifetime(expr),
    }
}

// Output:
//     {
//         static __SLOT: __rc::Slot = __rc::Slot::new();
//         __rc::Slot::function(
//             &__SLOT,
//             &__rc::Site {
//                 ident: "user",
//                 prefix: __rc::Prefix::OfCrate(option_env!("REDIS_CACHED_PREFIX"), module_path!()),
//                 name: __rc::Name::Path,
//                 shape: ":{}",
//                 version: 0,
//             },
//             __rc::place(),
//             __rc::path_of(&|| ()),
//             &[&type_name::<T>()],
//             &codec,
//         )
//     }
fn make_function(model: &Model) -> TokenStream {
    let Names { codec, .. } = &Names::of(model);
    let rc = private(Span::mixed_site());
    let sig = &model.function.sig;
    let ident = sig.ident.unraw().to_string();
    let prefix = prefix(model);
    let name = match (&model.args.name, model.place) {
        (Some(name), Place::Trait) => quote!(GivenInTrait(#name)),
        (Some(name), _) => quote!(Given(#name)),
        (None, _) => quote!(Path),
    };
    let shape = shape(model);
    let version = model.args.version;
    let rc_ident = private(sig.ident.span());
    let place = quote_spanned!(sig.ident.span()=> #rc_ident::place());
    let generics = sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some((&param.ident, true)),
        GenericParam::Const(param) => Some((&param.ident, false)),
        GenericParam::Lifetime(_) => None,
    });
    let generics = generics.filter(|(ident, _)| !model.needs.not_in_name.contains(&ident.to_string()));
    let generics = generics.map(
        |(ident, is_type)| {
            if is_type { quote!(&::core::any::type_name::<#ident>()) } else { quote!(&#ident) }
        },
    );
    let generics = generics.chain(opaque(model));
    let site = quote! {
        &#rc::Site { ident: #ident, prefix: #prefix, name: #rc::Name::#name, shape: #shape, version: #version }
    };
    // It has the type of the values.
    let span = at_output(model);
    let rc_output = private(span);
    let function = Ident::new(if model.args.local.is_some() { "function_at_once" } else { "function" }, span);
    let find = quote_spanned! {span=>
        #rc_output::Slot::#function(&__SLOT, #site, #place, #rc_output::path_of(&|| ()), &[#(#generics),*], &#codec)
    };
    quote! {{
        static __SLOT: #rc::Slot = #rc::Slot::new();
        #find
    }}
}

// Input:
//     shape: &impl Shape
//
// Output:
//     &::core::any::type_name_of_val(&*shape)
//
// The type of an `impl Trait` has no name here, but is part of the function's name like that of a `T: Trait`.
pub(crate) fn opaque(model: &Model) -> impl Iterator<Item = TokenStream> + '_ {
    let params = model.entry_params.iter().zip(&model.needs.key.params).filter(|(_, is_used)| **is_used);
    let params = params.map(|(param, _)| param).filter(|param| impl_trait(&param.ty).is_some());
    params.map(|Param { ident, ty, .. }| {
        let value = if matches!(ty, Type::Reference(_)) { quote!(&*#ident) } else { quote!(&#ident) };
        quote!(&::core::any::type_name_of_val(#value))
    })
}

/// The key after the name, without the arguments' values.
fn shape(model: &Model) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Part(Part { value: Value::PerhapsUnit(_), .. }) => ":{}".to_owned(),
        Piece::Part(_) => "{}".to_owned(),
    };
    let group = model.group.iter().flatten().map(piece).chain(model.group.as_ref().map(|_| " ".to_owned()));
    group.chain(model.pieces.iter().map(piece)).collect()
}

/// The first part of the keys.
pub(crate) fn prefix(model: &Model) -> TokenStream {
    let rc = private(Span::mixed_site());
    match &model.args.prefix {
        Some(Prefix::Literal(prefix)) => quote!(#rc::Prefix::Given { text: #prefix }),
        Some(Prefix::Constant(prefix)) => quote!(#rc::Prefix::Given { text: #prefix }),
        None => {
            quote!(#rc::Prefix::OfCrate(::core::option_env!("REDIS_CACHED_PREFIX"), ::core::module_path!()))
        }
    }
}

fn codec_type(model: &Model, output: Span) -> TokenStream {
    let (span, codec) = match &model.args.codec {
        Codec::Default => (output, "Auto"),
        Codec::Auto(span) => (generated(*span), "Auto"),
        Codec::Bincode(span) => (generated(*span), "Bincode"),
        Codec::Json(span) => (generated(*span), "Json"),
        Codec::MessagePack(span) => (generated(*span), "MessagePack"),
        Codec::Custom(codec) => return codec.to_token_stream(),
    };
    let rc = private(span);
    let codec = Ident::new(codec, span);
    quote_spanned!(span=> #rc::#codec)
}
