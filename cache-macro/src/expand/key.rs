//! The key of an entry, and that of a group.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{Expr, Ident, Pat, PatIdent, Receiver};

use super::names::{Names, facade, generated, private, variable};
use super::plan::find_prefix;
use crate::model::Model;
use crate::model::pieces::{Part, Piece, Uses, Value};
use crate::parse::function::{self, Param};

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
// reference from the start: on a place, a `&self` method that a user's trait gives all types would come first.
// With `group = …` the group comes first, and the key above is the field of its hash.
pub(crate) fn make_key(model: &Model, receiver: Option<&Receiver>) -> TokenStream {
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
pub(crate) fn make_group_key(model: &Model, group: &[Piece], receiver: Option<&Receiver>) -> TokenStream {
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
    let checks = model.presumed_units.iter().map(|&index| {
        let Param { ident, ty, .. } = &model.params[index];
        let span = generated(ident.span());
        quote_spanned!(span=> #facade::__private::unit_struct::<#ty, _>({ let #ident = &#ident; &#ident });)
    });
    checks.collect()
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
    let lets = params.map(|(Param { pat, ident, .. }, _)| {
        let mut pat = pat.clone();
        Peel.visit_pat_mut(&mut pat);
        quote!(let #pat = &#ident;)
    });
    lets.collect()
}
