//! What a generated function knows before it asks the cache: which one, its plan, and the key.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, GenericParam, Ident, Pat, PatIdent, Receiver, Type};

use crate::args::{Codec, Lifetime, Prefix, SingleFlight};
use crate::function::{self, Param};
use crate::ids::{Batch, Ids};
use crate::model::{Model, Part, Piece, Uses, Value};
use crate::place::Place;
use crate::returns::{self, Kind};
use crate::storage;
use crate::{batch, constants};

/// The variables of generated code, which no name of the user's can meet.
pub(crate) struct Names {
    pub(crate) cache: Ident,
    pub(crate) plan: Ident,
    pub(crate) key: Ident,
    codec: Ident,
    writer: Ident,
    value: Ident,
}

impl Names {
    /// The variables of a function that returns `output`: what has the type of values stands there.
    pub(crate) fn of(output: &Type) -> Names {
        let typed = |name| Ident::new(name, generated(output.span()));
        Names {
            cache: variable("cache"),
            plan: typed("plan"),
            key: variable("key"),
            codec: typed("codec"),
            writer: variable("writer"),
            value: variable("value"),
        }
    }
}

fn variable(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The place of the user's code, for code that is not the user's.
pub(crate) fn generated(span: Span) -> Span {
    span.resolved_at(Span::mixed_site())
}

/// The path of `redis-cached`, in the crate around the function.
pub(crate) fn facade(model: &Model) -> TokenStream {
    model.args.krate.as_ref().map_or_else(|| quote!(::redis_cached), ToTokens::to_token_stream)
}

/// [`facade`], all of it at `span`.
pub(crate) fn facade_at(model: &Model, span: Span) -> TokenStream {
    let Some(path) = &model.args.krate else { return quote_spanned!(span=> ::redis_cached) };
    let tokens = path.to_token_stream().into_iter().map(|mut token| {
        token.set_span(token.span().located_at(span));
        token
    });
    tokens.collect()
}

/// What generated code names, and nobody else: `use ::redis_cached::__private as __rc`.
///
/// An error is shown at `span` only if all tokens of the code in question have it; with one from
/// elsewhere among them it is shown at the attribute.
pub(crate) fn private(span: Span) -> Ident {
    Ident::new("__rc", span)
}

/// The type that is stored.
pub(crate) fn stored(model: &Model, output: &Type, private: impl ToTokens) -> TokenStream {
    match &model.batch {
        Some(_) if model.kind != Kind::Option => of_map(model, output, &private, "ValueOf"),
        _ => returned(model, output, &private),
    }
}

/// The type of one id, of a batch.
pub(crate) fn id_of_map(model: &Model, output: &Type, private: impl ToTokens) -> TokenStream {
    of_map(model, output, &private, "IdOf")
}

fn of_map(model: &Model, output: &Type, private: &impl ToTokens, what: &str) -> TokenStream {
    let span = generated(output.span());
    let (map, what) = (returned(model, output, private), Ident::new(what, span));
    quote_spanned!(span=> #private::#what<#map>)
}

/// The type that the function returns, without a `Result` around it.
fn returned(model: &Model, output: &Type, private: &impl ToTokens) -> TokenStream {
    let span = generated(output.span());
    match model.kind {
        Kind::Result => quote_spanned!(span=> #private::OkOf<#output>),
        Kind::Value | Kind::Anything | Kind::Option => output.to_token_stream(),
    }
}

// Output:
//     use ::redis_cached::__private as __rc;
//     let cache = CACHE;
//     let plan = PLAN;
//     let key = KEY;
//
// `receiver` is the one of the function that is generated.
pub(crate) fn description(
    model: &Model,
    receiver: Option<&Receiver>,
    output: &Type,
    allow: &TokenStream,
) -> TokenStream {
    let Names { key, .. } = &Names::of(&model.output);
    let cache_and_plan = cache_and_plan(model, output, allow);
    let make_key = make_key(model, receiver);
    quote! {
        #cache_and_plan
        #allow
        let #key = #make_key;
    }
}

fn cache_and_plan(model: &Model, output: &Type, allow: &TokenStream) -> TokenStream {
    let Names { cache, plan, .. } = &Names::of(&model.output);
    let rc = private(Span::mixed_site());
    let facade = facade(model);
    let find_cache = find_cache(model);
    let make_plan = make_plan(model, output);
    let make_plan = quote_spanned!(generated(output.span())=> let #plan = #make_plan;);
    quote! {
        use #facade::__private as #rc;
        #allow
        let #cache = #find_cache;
        #allow
        #make_plan
    }
}

// Input:
//     batch(id in ids)
//
// Output:
//     use ::redis_cached::__private as __rc;
//     let cache = CACHE;
//     let plan = PLAN;
//     let (ids, some) = __rc::batch_ids::<HashMap<u64, User>, _>(ids, |id: &_| KEY);
pub(crate) fn description_of_batch(model: &Model, batch: &Batch, receiver: Option<&Receiver>) -> TokenStream {
    let cache_and_plan = cache_and_plan(model, &model.output, &TokenStream::new());
    let make_key = make_key(model, receiver);
    let Batch { id, name, .. } = batch;
    // What cannot be looked through is reported at the parameter.
    let span = generated(name.span());
    let rc = private(span);
    let given = match batch.ids {
        Ids::Lent(_) => quote!(#name),
        Ids::Owned(_) => quote_spanned!(span=> &#name),
    };
    let output = generated(model.output.span());
    let names = [batch::ids(&model.output), batch::some(&model.output)];
    let names = quote_spanned!(output=> (#(#names),*));
    let rc_output = private(output);
    let map = returned(model, &model.output, &rc_output);
    let map = quote_spanned!(output=> #rc_output::Returned<#map>);
    let make_ids = quote_spanned!(span=> let #names = #rc::batch_ids::<#map, _>(#given, |#id: &_| #make_key););
    quote!(#cache_and_plan #make_ids)
}

// Output:
//     use ::redis_cached::__private as __rc;
//     let cache = CACHE;
//     let key = KEY of the group;
pub(crate) fn description_of_group(model: &Model, group: &[Piece], receiver: Option<&Receiver>) -> TokenStream {
    let Names { cache, key, .. } = &Names::of(&model.output);
    let rc = private(Span::mixed_site());
    let facade = facade(model);
    let find_cache = find_cache(model);
    let make_key = make_group_key(model, group, receiver);
    quote! {
        use #facade::__private as #rc;
        let #cache = #find_cache;
        let #key = #make_key;
    }
}

// Input:
//     cache = self.cache
//
// Output:
//     &{
//         let cache = __rc::own_cache(&self.cache);
//         cache
//     }
//
// A handle of its own, because the body may take `self` away.
fn find_cache(model: &Model) -> TokenStream {
    let Some(expr) = &model.args.cache else {
        let rc = private(Span::mixed_site());
        return quote!(#rc::installed());
    };
    let Names { cache, .. } = &Names::of(&model.output);
    let span = generated(expr.span());
    let rc = private(span);
    let destructure = destructure(model, &model.cache);
    let borrowed = borrowed(expr);
    let clone = quote_spanned!(span=> #rc::own_cache(#borrowed));
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
//         use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
//         let codec = CODEC;
//         let plan = __rc::Plan::<User>::new(FUNCTION, codec, NONES, |_| __rc::Ttl::Millis(600_000));
//         __rc::Plan::<User> { jitter: 0.1, ..plan }
//     }
fn make_plan(model: &Model, output: &Type) -> TokenStream {
    let Names { codec, value, plan, .. } = &Names::of(&model.output);
    // What is wrong with the stored type is reported at the return type.
    let span = generated(output.span());
    let (rc, rc_output) = (private(Span::mixed_site()), private(span));
    let stored = stored(model, output, &rc_output);
    let codec_type = codec_type(model, span);
    let codec_fns = storage::codec(model, output, &stored, &codec_type);
    let function = make_function(model);
    let storable = || quote_spanned!(span=> #rc_output::storable::<#stored, _>(#rc_output::Kind::<#stored>::new().rc_option().rc_found()));
    let nones = match (model.kind, &model.args.none_ttl) {
        // There `none_ttl` is for ids that the body has nothing for.
        _ if model.batch.is_some() => storable(),
        (Kind::Anything, _) => quote!(#rc::Nones::never()),
        (Kind::Option, _) => quote_spanned!(span=> <#stored as #rc_output::OptionLike>::nones()),
        (Kind::Value | Kind::Result, None) => storable(),
        (Kind::Value | Kind::Result, Some((keyword, _))) => {
            let span = generated(keyword.span());
            let rc = private(span);
            quote_spanned!(span=> #rc::storable_option::<#stored, _>(#rc::Kind::<#stored>::new().rc_option().rc_found()))
        }
    };
    let ttl = match &model.args.ttl {
        None => {
            let constant = quote!(const __TTL: #rc::Ttl = #rc::Ttl::from_env(::core::option_env!("REDIS_CACHED_TTL")););
            quote_spanned!(span=> { #constant |_| __TTL })
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
    };
    let none_ttl = model.args.none_ttl.as_ref().map(|(_, lifetime)| {
        let lifetime = constant_lifetime(lifetime);
        quote!(none_ttl: ::core::option::Option::Some(#lifetime),)
    });
    let cache_if = model.args.cache_if.as_ref().map(|expr| quote!(cache_if: #expr,));
    let tags = model.args.tags.of_value.as_ref().map(|closure| {
        let span = generated(closure.span());
        let rc = private(span);
        let tags = quote_spanned!(span=> |#value| #rc::into_tags(#rc::of_value::<#stored, _>(#closure, #value)));
        quote!(tags: ::core::option::Option::Some(#tags),)
    });
    let jitter = model.args.jitter.as_ref().map(|(_, jitter)| quote!(jitter: #jitter,));
    let fields: TokenStream = [none_ttl, cache_if, tags, jitter].into_iter().flatten().chain(protocol(model)).collect();
    let new = quote_spanned!(span=> #rc_output::Plan::<#stored>::new);
    let finish = if fields.is_empty() { quote!(#plan) } else { quote!(#rc::Plan::<#stored> { #fields ..#plan }) };
    quote_spanned! {span=> {
        use #rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let #codec = #codec_fns;
        let #plan = #new(#function, #codec, #nones, #ttl);
        #finish
    }}
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
        Lifetime::Constant(expr) | Lifetime::Closure(expr) => constants::lifetime(expr),
    }
}

// Output:
//     {
//         static __SLOT: __rc::Slot = __rc::Slot::new();
//         const __PREFIX: &str = __rc::default_prefix(option_env!("REDIS_CACHED_PREFIX"), module_path!());
//         __rc::Slot::function(
//             &__SLOT,
//             const {
//                 &__rc::Site {
//                     ident: "user",
//                     prefix: __PREFIX,
//                     name: __rc::Name::Path,
//                     shape: ":{}",
//                     version: 0,
//                     place: concat!(file!(), ":", line!(), ":", column!()),
//                 }
//             },
//             __rc::path_of(&|| ()),
//             &[&type_name::<T>()],
//             &codec,
//         )
//     }
fn make_function(model: &Model) -> TokenStream {
    let Names { codec, .. } = &Names::of(&model.output);
    let rc = private(Span::mixed_site());
    let sig = &model.function.sig;
    let ident = sig.ident.unraw().to_string();
    let (default_prefix, prefix) = find_prefix(model);
    let name = match (&model.args.name, model.place) {
        (Some(name), Place::Trait) => quote!(GivenInTrait(#name)),
        (Some(name), _) => quote!(Given(#name)),
        (None, _) => quote!(Path),
    };
    let shape = shape(model);
    let version = model.args.version;
    let place = quote_spanned! {sig.ident.span()=>
        ::core::concat!(::core::file!(), ":", ::core::line!(), ":", ::core::column!())
    };
    let generics = sig.generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some((&param.ident, true)),
        GenericParam::Const(param) => Some((&param.ident, false)),
        GenericParam::Lifetime(_) => None,
    });
    let generics = generics.filter(|(ident, _)| !model.not_in_name.contains(&ident.to_string()));
    let generics = generics.map(
        |(ident, is_type)| {
            if is_type { quote!(&::core::any::type_name::<#ident>()) } else { quote!(&#ident) }
        },
    );
    let generics = generics.chain(opaque(model));
    let site = quote! {
        const {
            &#rc::Site {
                ident: #ident,
                prefix: #prefix,
                name: #rc::Name::#name,
                shape: #shape,
                version: #version,
                place: #place,
            }
        }
    };
    // It has the type of the values.
    let span = generated(model.output.span());
    let rc_output = private(span);
    let find = quote_spanned! {span=>
        #rc_output::Slot::function(&__SLOT, #site, #rc_output::path_of(&|| ()), &[#(#generics),*], &#codec)
    };
    quote! {{
        static __SLOT: #rc::Slot = #rc::Slot::new();
        #default_prefix
        #find
    }}
}

// Input:
//     shape: &impl Shape
//
// Output:
//     &::core::any::type_name_of_val(&*shape)
//
// The type of an `impl Trait` has no name here, and is part of the function's as that of a `T: Trait` is.
fn opaque(model: &Model) -> impl Iterator<Item = TokenStream> + '_ {
    let params = model.entry_params.iter().zip(&model.key.params).filter(|(_, is_used)| **is_used);
    let params = params.map(|(param, _)| param).filter(|param| returns::impl_trait(&param.ty).is_some());
    params.map(|Param { ident, ty, .. }| {
        let value = if matches!(ty, Type::Reference(_)) { quote!(&*#ident) } else { quote!(&#ident) };
        quote!(&::core::any::type_name_of_val(#value))
    })
}

/// What follows the name, without the arguments' values.
fn shape(model: &Model) -> String {
    let piece = |piece: &Piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Part(Part { value: Value::PerhapsUnit(_), .. }) => ":{}".to_owned(),
        Piece::Part(_) => "{}".to_owned(),
    };
    let group = model.group.iter().flatten().map(piece).chain(model.group.as_ref().map(|_| " ".to_owned()));
    group.chain(model.pieces.iter().map(piece)).collect()
}

/// The prefix, and what has to stand in front of it.
fn find_prefix(model: &Model) -> (Option<TokenStream>, TokenStream) {
    match &model.args.prefix {
        Some(Prefix::Literal(prefix)) => (None, quote!(#prefix)),
        Some(Prefix::Constant(prefix)) => (None, quote!(#prefix)),
        None => {
            let rc = private(Span::mixed_site());
            let find = quote! {
                const __PREFIX: &::core::primitive::str =
                    #rc::default_prefix(::core::option_env!("REDIS_CACHED_PREFIX"), ::core::module_path!());
            };
            (Some(find), quote!(__PREFIX))
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

// Input:
//     key = "user:{id}:{req.page()}", tags = ["org:{org_id}"]
//
// Output:
//     {
//         use __rc::NoKeyPart as _;
//         let writer = &mut __rc::key(cache, plan.function);
//         writer.literal(":user:");
//         __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
//         writer.literal(":");
//         match &req.page() {
//             part => __rc::part(writer, "req.page()", part, __rc::probe(part).rc_key_part()),
//         };
//         writer.tag();
//         writer.literal("org:");
//         __rc::part(writer, "org_id", &org_id, __rc::probe(&org_id).rc_key_part());
//         writer.finish()
//     }
//
// The `match` keeps a temporary of the expression for as long as it is needed, and runs it once. The writer is a
// reference from the start: on a place, a method that a trait of the user's gives all types by `&self` came first.
// With `group = …` the group comes first, and what is the key above is the field of its hash.
fn make_key(model: &Model, receiver: Option<&Receiver>) -> TokenStream {
    let Names { cache, plan, writer, .. } = &Names::of(&model.output);
    let rc = private(Span::mixed_site());
    let destructure = destructure(model, &model.key);
    let pieces = append(&model.pieces, receiver);
    let has_names =
        model.pieces.iter().any(|piece| matches!(piece, Piece::Part(Part { value: Value::PerhapsUnit(_), .. })));
    let use_no_name = has_names.then(|| quote!(use #rc::NoName as _;));
    let start = match &model.group {
        None => quote!(let #writer = &mut #rc::key(#cache, #plan.function);),
        Some(group) => {
            let group = append(group, receiver);
            quote! {
                let #writer = &mut #rc::key_in_group(#cache, #plan.function);
                #group
                #writer.field(#plan.function.name());
            }
        }
    };
    let tags = model.tags.iter().map(|tag| {
        let tag = append(tag, receiver);
        quote! {
            #writer.tag();
            #tag
        }
    });
    quote! {{
        use #rc::NoKeyPart as _;
        #use_no_name
        #destructure
        #start
        #pieces
        #(#tags)*
        #writer.finish()
    }}
}

// Input:
//     group = "class:{class_id}"
//
// Output:
//     {
//         use __rc::NoKeyPart as _;
//         const __PREFIX: &str = __rc::default_prefix(option_env!("REDIS_CACHED_PREFIX"), module_path!());
//         let writer = &mut __rc::group_key(cache, __PREFIX);
//         writer.literal(":class:");
//         __rc::part(writer, "class_id", &class_id, __rc::probe(&class_id).rc_key_part());
//         writer.finish()
//     }
fn make_group_key(model: &Model, group: &[Piece], receiver: Option<&Receiver>) -> TokenStream {
    let Names { cache, writer, .. } = &Names::of(&model.output);
    let rc = private(Span::mixed_site());
    let destructure = destructure(model, &model.in_group);
    let (default_prefix, prefix) = find_prefix(model);
    let pieces = append(group, receiver);
    quote! {{
        use #rc::NoKeyPart as _;
        #default_prefix
        #destructure
        let #writer = &mut #rc::group_key(#cache, #prefix);
        #pieces
        #writer.finish()
    }}
}

/// Appends the pieces of a key, a group or a tag to the writer.
fn append(pieces: &[Piece], receiver: Option<&Receiver>) -> TokenStream {
    let (writer, part) = &(variable("writer"), variable("part"));
    let pieces = pieces.iter().map(|piece| {
        let Part { label, value } = match piece {
            Piece::Text(text) => return quote!(#writer.literal(#text);),
            Piece::Part(Part { label, value: Value::PerhapsUnit(name) }) => return append_name(label, name),
            Piece::Part(part) => part,
        };
        let (span, append, reference, is_place) = match (value, receiver) {
            (Value::Receiver(span), Some(receiver)) => {
                let place = function::behind(receiver);
                (*span, "self_part", quote_spanned!(*span=> &#place), true)
            }
            (Value::Receiver(_), None) => unreachable!("checked before"),
            (Value::Expr(expr) | Value::PerhapsUnit(expr), _) => (expr.span(), "part", borrowed(expr), is_place(expr)),
        };
        let span = generated(span);
        let rc = private(span);
        let append = Ident::new(append, span);
        let append = |reference: &dyn ToTokens| {
            quote_spanned!(span=> #rc::#append(#writer, #label, #reference, #rc::probe(#reference).rc_key_part()))
        };
        let append = if is_place {
            append(&reference)
        } else {
            let append = append(part);
            quote_spanned!(span=> match #reference { #part => #append })
        };
        quote!(#append;)
    });
    pieces.collect()
}

// Input:
//     (Shard, id): (Shard, u64)
//
// Output, for `Shard`:
//     __rc::name_part(writer, "Shard", &Shard, (&__rc::name(&Shard)).rc_key_part());
//
// What a pattern binds is a reference here, which tells it from a unit struct.
fn append_name(label: &str, name: &Expr) -> TokenStream {
    let writer = &variable("writer");
    let span = generated(name.span());
    let rc = private(span);
    quote_spanned!(span=> #rc::name_part(#writer, #label, &#name, (&#rc::name(&#name)).rc_key_part());)
}

// Input:
//     Shard: Shard
//
// Output:
//     __rc::unit_struct::<Shard, _>({ let Shard = &Shard; &Shard });
pub(crate) fn check_units(model: &Model) -> TokenStream {
    let facade = facade(model);
    let checks = model.presumed_units.iter().map(|&index| {
        let Param { ident, ty, .. } = &model.params[index];
        let span = generated(ident.span());
        quote_spanned!(span=> #facade::__private::unit_struct::<#ty, _>({ let #ident = &#ident; &#ident });)
    });
    checks.collect()
}

/// Whether naming an expression twice is as good as once.
fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Path(_) => true,
        Expr::Field(field) => is_place(&field.base),
        _ => false,
    }
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
    let params = model.entry_params.iter().zip(&uses.params).filter(|(param, is_used)| **is_used && !param.is_plain());
    let lets = params.map(|(Param { pat, ident, .. }, _)| {
        let mut pat = pat.clone();
        Peel.visit_pat_mut(&mut pat);
        quote!(let #pat = &#ident;)
    });
    lets.collect()
}
