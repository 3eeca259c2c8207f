//! The key of an entry, and that of a group.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Expr, FnArg, Ident, Pat, PatIdent, PatType, Receiver, ReturnType, Signature, Token, Type, TypeReference,
    parse_quote,
};

use super::attrs;
use super::names::{Names, facade, generated, private, variable};
use super::plan::{self, prefix};
use super::signature::{inputs, path_with};
use crate::model::Model;
use crate::model::pieces::{Part, Piece, Uses, Value};
use crate::parse::function::{self, Function, Param};
use crate::syntax::generics;

/// Returns `true` if the key has a function of its own, which all siblings call with references to the arguments. Each
/// placeholder then is a parameter, a part of one, or a name in its pattern: any other expression can mean something else
/// where a parameter is a reference.
fn is_shared(model: &Model) -> bool {
    let is_reachable = |piece: &Piece| match piece {
        Piece::Text(_) | Piece::Part(Part { value: Value::Receiver(_), .. }) => true,
        Piece::Part(Part { value: Value::Expr(expr), .. }) => is_place(expr),
        Piece::Part(Part { value: Value::PerhapsUnit(_), .. }) => false,
    };
    let mut pieces = model.pieces.iter().chain(model.group.iter().flatten()).chain(model.tags.iter().flatten());
    let has_inputs = model.needs.key.receiver || model.needs.key.params.contains(&true);
    has_inputs && plan::is_shared(model) && pieces.all(is_reachable)
}

// Input:
//     #[redis_cached(skip(db))]
//     async fn user(db: &Db, id: u64, Path(slug): Path<String>) -> Result<User, Error> { BODY }
//
// Output:
//     fn __user_key(cache: &Context, function: &'static Function, id: &u64, slug: &Path<String>) -> MadeKey {
//         use ::redis_cached::__private as __rc;
//         KEY
//     }
pub(crate) fn key_function(model: &Model) -> Option<TokenStream> {
    if !is_shared(model) {
        return None;
    }
    let Function { attrs, sig, .. } = &model.function;
    let (attrs, allow, allow_second) = (attrs::of_plan(attrs), attrs::allowances(model), attrs::second_allowances());
    let (rc, facade) = (private(Span::mixed_site()), facade(model));
    let [cache, function] = ["cache", "function"].map(variable);
    let mut inputs = inputs(model, model.needs.key.receiver, |index| model.needs.key.params[index]);
    for input in &mut inputs {
        if let FnArg::Typed(PatType { ty, .. }) = input
            && !is_lent(ty)
        {
            *ty = parse_quote!(&#ty);
        }
    }
    let at = usize::from(model.needs.key.receiver);
    inputs.insert(at, parse_quote!(#function: &'static #facade::__private::Function));
    inputs.insert(at, parse_quote!(#cache: &#facade::__private::Context));
    let output = quote!(#facade::__private::MadeKey);
    let mut signature = Signature {
        asyncness: None,
        fn_token: Token![fn](Span::mixed_site()),
        ident: key_ident(model),
        generics: generics::without(&sig.generics, &model.needs.not_in_entry),
        inputs,
        output: ReturnType::Type(Token![->](Span::mixed_site()), Box::new(Type::Verbatim(output))),
        ..sig.clone()
    };
    generics::drop_unused_lifetimes(&mut signature);
    let make_key = make_key(model, signature.receiver(), Given::ByReference);
    Some(
        quote!(#[doc(hidden)] #attrs #allow #allow_second #[inline] #signature { use #facade::__private as #rc; #make_key }),
    )
}

/// Returns `true` for the type of a parameter that is handed on as it is.
fn is_lent(ty: &Type) -> bool {
    matches!(ty, Type::Reference(TypeReference { mutability: None, .. }))
}

fn key_ident(model: &Model) -> Ident {
    format_ident!("__{}_key", model.function.sig.ident.unraw(), span = Span::mixed_site())
}

/// The key, as an expression. `receiver` is that of the function around.
pub(crate) fn key(model: &Model, receiver: Option<&Receiver>) -> TokenStream {
    if !is_shared(model) {
        let Names { plan, .. } = &Names::of(model);
        let function = variable("function");
        let make_key = make_key(model, receiver, Given::Itself);
        return quote!({ let #function = #plan.terms.function; #make_key });
    }
    let Names { cache, plan, .. } = &Names::of(model);
    let generics = generics::without(&model.function.sig.generics, &model.needs.not_in_entry);
    let function = path_with(model, &key_ident(model), &generics);
    let of_self = receiver.filter(|_| model.needs.key.receiver).map(|receiver| {
        let token = receiver.self_token;
        quote!(&#token,)
    });
    let params = model.entry_params.iter().enumerate().filter(|(index, _)| model.needs.key.params[*index]);
    let args = params.map(|(index, Param { ident, ty, .. })| match &model.batch {
        // One id of a batch is a reference already.
        Some(batch) if batch.index == index => quote!(#ident),
        _ if is_lent(ty) => quote!(#ident),
        _ => quote!(&#ident),
    });
    quote!(#function(#of_self #cache, #plan.terms.function, #(#args),*))
}

/// How a function that makes a key has the parameters of the user's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Given {
    Itself,
    ByReference,
}

// Input:
//     key = "user:{id}:{req.page()}", tags = ["org:{org_id}"]
//
// Output:
//     {
//         use __rc::NoKeyPart as _;
//         let writer = &mut __rc::key(cache, function);
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
// reference from the start: on a place, a `&self` method that a user's trait gives all types would come first.
// With `group = …` the group comes first, and the key above is the field of its hash.
fn make_key(model: &Model, receiver: Option<&Receiver>, given: Given) -> TokenStream {
    let [cache, function, writer] = ["cache", "function", "writer"].map(variable);
    let rc = private(Span::mixed_site());
    let destructure = destructure_given(model, &model.needs.key, given);
    let append = |pieces| append(model, pieces, receiver, given);
    let pieces = append(&model.pieces);
    let has_names =
        model.pieces.iter().any(|piece| matches!(piece, Piece::Part(Part { value: Value::PerhapsUnit(_), .. })));
    let use_no_name = has_names.then(|| quote!(use #rc::NoName as _;));
    let start = match &model.group {
        None => quote!(let #writer = &mut #rc::key(#cache, #function);),
        Some(group) => {
            let group = append(group);
            quote! {
                let #writer = &mut #rc::key_in_group(#cache, #function);
                #group
                #writer.field(#function.name());
            }
        }
    };
    let tags = model.tags.iter().map(|tag| {
        let tag = append(tag);
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

/// Returns `true` if the key can be written for the local tier alone, and written again if that has no value: it has no tags,
/// and no code of the user's runs twice but that of `Serialize`.
pub(crate) fn can_be_written_twice(model: &Model) -> bool {
    is_shared(model) && model.tags.is_empty() && model.group.is_none()
}

// Output:
//     |writer| {
//         use __rc::NoKeyPart as _;
//         writer.literal(":");
//         __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
//     }
pub(crate) fn write_key(model: &Model, receiver: Option<&Receiver>) -> TokenStream {
    let (rc, writer) = (private(Span::mixed_site()), variable("writer"));
    let destructure = destructure(model, &model.needs.key);
    let pieces = append(model, &model.pieces, receiver, Given::Itself);
    quote! {
        |#writer| {
            use #rc::NoKeyPart as _;
            #destructure
            #pieces
        }
    }
}

// Input:
//     group = "class:{class_id}"
//
// Output:
//     {
//         use __rc::NoKeyPart as _;
//         let writer = &mut __rc::group_key(
//             cache,
//             &__rc::Prefix::OfCrate(option_env!("REDIS_CACHED_PREFIX"), module_path!()),
//         );
//         writer.literal(":class:");
//         __rc::part(writer, "class_id", &class_id, __rc::probe(&class_id).rc_key_part());
//         writer.finish()
//     }
pub(crate) fn make_group_key(model: &Model, group: &[Piece], receiver: Option<&Receiver>) -> TokenStream {
    let (Names { cache, .. }, writer) = (&Names::of(model), variable("writer"));
    let rc = private(Span::mixed_site());
    let destructure = destructure(model, &model.needs.in_group);
    let prefix = prefix(model);
    let pieces = append(model, group, receiver, Given::Itself);
    quote! {{
        use #rc::NoKeyPart as _;
        #destructure
        let #writer = &mut #rc::group_key(#cache, &#prefix);
        #pieces
        #writer.finish()
    }}
}

/// Appends the pieces of a key, a group or a tag to the writer.
fn append(model: &Model, pieces: &[Piece], receiver: Option<&Receiver>, given: Given) -> TokenStream {
    let (writer, part) = &(variable("writer"), variable("part"));
    let is_reference = |expr: &Expr| given == Given::ByReference && is_made_reference(model, expr);
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
            (Value::Expr(expr), _) if is_reference(expr) => (expr.span(), "part", expr.to_token_stream(), true),
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
// A variable of a pattern is a reference here, which tells it from a unit struct.
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
    let checks = model.needs.presumed_units.iter().map(|&index| {
        let Param { ident, ty, .. } = &model.params[index];
        let span = generated(ident.span());
        quote_spanned!(span=> #facade::__private::unit_struct::<#ty, _>({ let #ident = &#ident; &#ident });)
    });
    checks.collect()
}

/// Returns `true` for a parameter by itself that the function of the key has by reference.
fn is_made_reference(model: &Model, expr: &Expr) -> bool {
    let Expr::Path(path) = expr else { return false };
    let Some(ident) = path.path.get_ident() else { return false };
    model.entry_params.iter().any(|param| param.is_plain() && param.binds(ident) && !is_lent(&param.ty))
}

/// Returns `true` if naming an expression twice is as good as once.
fn is_place(expr: &Expr) -> bool {
    match expr {
        Expr::Path(_) => true,
        Expr::Field(field) => is_place(&field.base),
        _ => false,
    }
}

/// A reference to the value of an expression.
pub(crate) fn borrowed(expr: &Expr) -> TokenStream {
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
pub(crate) fn destructure(model: &Model, uses: &Uses) -> TokenStream {
    destructure_given(model, uses, Given::Itself)
}

fn destructure_given(model: &Model, uses: &Uses, given: Given) -> TokenStream {
    struct Peel;
    impl VisitMut for Peel {
        fn visit_pat_mut(&mut self, pat: &mut Pat) {
            // `&x` and `ref x` mean something else through a reference, or nothing.
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
    let lets = params.map(|(Param { pat, ident, ty, .. }, _)| {
        let mut pat = pat.clone();
        Peel.visit_pat_mut(&mut pat);
        if given == Given::ByReference && !is_lent(ty) {
            quote!(let #pat = #ident;)
        } else {
            quote!(let #pat = &#ident;)
        }
    });
    lets.collect()
}
