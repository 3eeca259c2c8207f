//! The user's attributes on each generated function, and those that are added.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::punctuated::Punctuated;
use syn::{Attribute, FnArg, Ident, Meta, Path, Token};

use crate::model::Model;
use crate::model::refused::MARK;
use crate::parse::args::{Args, Lifetime};
use crate::parse::function::Function;
use crate::syntax::mentions::identifiers;

/// The attributes that every sibling gets: those that say what a function is, and not what its body
/// does.
pub(crate) fn shared(attrs: &[Attribute]) -> TokenStream {
    attrs.iter().filter_map(|attr| shared_one(attr, false)).collect()
}

/// The attributes of the function that calls the body, with the lints expected of it alone.
pub(crate) fn of_caller(attrs: &[Attribute]) -> TokenStream {
    attrs.iter().filter_map(|attr| shared_one(attr, true)).collect()
}

/// The attributes of the body: all, where those lints are allowed that are about its caller.
pub(crate) fn all(attrs: &[Attribute]) -> TokenStream {
    let attrs = attrs.iter().map(|attr| match expected(attr) {
        Some(lints) => expectations(lints, |lint| !is_about_item(lint) && !lint.is_ident("unused")),
        None => attr.to_token_stream(),
    });
    attrs.collect()
}

/// The attributes of a hidden function that only its siblings call.
pub(crate) fn of_plan(attrs: &[Attribute]) -> TokenStream {
    let is_kept = |attr: &&Attribute| {
        let of_callers = ["doc", "deprecated", "must_use"];
        !of_callers.iter().any(|name| attr.path().is_ident(name))
    };
    attrs.iter().filter(is_kept).filter_map(|attr| shared_one(attr, false)).collect()
}

fn shared_one(attr: &Attribute, is_caller: bool) -> Option<TokenStream> {
    let name = attr.path().segments.first()?.ident.to_string();
    match name.as_str() {
        "doc" | "cfg" | "deprecated" | "must_use" | "allow" | "warn" | "deny" | "forbid" => {
            Some(attr.to_token_stream())
        }
        "expect" if is_caller => expected(attr).map(|lints| expectations(lints, is_about_item)),
        "expect" => expected(attr).map(|lints| {
            let lints = lints.into_iter().filter(|lint| !is_about_item(lint.path()));
            expectations(lints.collect(), |_| false)
        }),
        "cfg_attr" => {
            let metas = attr.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).ok()?;
            let all_shared = metas.iter().skip(1).all(|meta| {
                let words = ["doc", "deprecated", "must_use", "allow", "warn", "deny", "forbid"];
                words.iter().any(|word| meta.path().is_ident(word))
            });
            all_shared.then(|| attr.to_token_stream())
        }
        _ => None,
    }
}

/// Returns `true` if a lint looks at a function from the outside, and so at the one that has its name.
fn is_about_item(lint: &Path) -> bool {
    ["dead_code", "unreachable_pub", "missing_docs"].iter().any(|word| lint.is_ident(word))
        || lint.segments.last().is_some_and(|last| last.ident == "missing_docs_in_private_items")
}

/// The content of an `#[expect(…)]`.
fn expected(attr: &Attribute) -> Option<Punctuated<Meta, Token![,]>> {
    let is_expect = attr.path().is_ident("expect");
    is_expect.then(|| attr.parse_args_with(Punctuated::parse_terminated).ok()).flatten()
}

/// Expects some lints, and allows the others, which nothing may fulfil: each function that the
/// attribute makes of one has a part of what the lints are about.
fn expectations(lints: Punctuated<Meta, Token![,]>, is_expected: impl Fn(&Path) -> bool) -> TokenStream {
    let (reasons, lints): (Vec<_>, Vec<_>) = lints.into_iter().partition(|meta| matches!(meta, Meta::NameValue(_)));
    let (expected, allowed): (Vec<_>, Vec<_>) = lints.into_iter().partition(|meta| is_expected(meta.path()));
    let attribute = |level: TokenStream, lints: Vec<Meta>| {
        (!lints.is_empty()).then(|| quote!(#[#level(#(#lints,)* #(#reasons),*)]))
    };
    [attribute(quote!(expect), expected), attribute(quote!(allow), allowed)].into_iter().flatten().collect()
}

/// The attributes of a parameter that a generated function repeats.
pub(crate) fn of_param(attrs: &[Attribute]) -> Vec<Attribute> {
    let lints = ["allow", "warn", "deny", "forbid"];
    attrs.iter().filter(|attr| lints.iter().any(|lint| attr.path().is_ident(lint))).cloned().collect()
}

/// A paragraph in front of the documentation that a sibling shares with its function.
pub(crate) fn doc(summary: &str) -> TokenStream {
    quote! {
        #[doc = #summary]
        #[doc = ""]
    }
}

pub(crate) fn of_body(ident: &Ident) -> TokenStream {
    doc(&format!(" The body of `{ident}`: computes, and leaves the cache alone."))
}

pub(crate) fn of_refresh(ident: &Ident) -> TokenStream {
    doc(&format!(" Runs the body of `{ident}` now, and stores what it returns."))
}

pub(crate) fn of_entry(ident: &Ident) -> TokenStream {
    doc(&format!(" The cache entry of the call of `{ident}` with the same arguments."))
}

pub(crate) fn of_entry_of_one(ident: &Ident, id: &Ident) -> TokenStream {
    doc(&format!(" The cache entry of one `{id}` behind the call of `{ident}` with the same other arguments."))
}

pub(crate) fn of_clear(ident: &Ident) -> TokenStream {
    doc(&format!(" Empties the cache entries of all calls of `{ident}`."))
}

pub(crate) fn of_group(ident: &Ident) -> TokenStream {
    doc(&format!(" The group that the entry of `{ident}` is in, with the arguments that name it."))
}

/// The lints that are allowed in a function with parameters of the user's, whatever the crate around it says: they are
/// reported once, at the body. Each name costs the compiler time, those of Clippy most, so the list has no more than
/// what fires.
pub(crate) fn allowances(model: &Model) -> TokenStream {
    let Function { attrs, sig, .. } = &model.function;
    let is_capital = |ident: &Ident| ident.to_string().contains(char::is_uppercase);
    let has_capitals = is_capital(&sig.ident) || model.params.iter().any(|param| is_capital(&param.ident));
    let has_patterns = model.entry_params.iter().any(|param| !param.is_plain());
    // The function calls its siblings, which are deprecated like it.
    let deprecated = identifiers(&shared(attrs)).contains("deprecated").then(|| quote!(deprecated,));
    let non_snake_case = has_capitals.then(|| quote!(non_snake_case,));
    // A pattern binds more than the key needs, and looks through the reference that the key has.
    let of_patterns = has_patterns.then(|| quote!(unused_variables, clippy::pattern_type_mismatch,));
    quote!(#[allow(#deprecated #non_snake_case #of_patterns clippy::all, clippy::pedantic)])
}

/// The lints that look at an attribute's closures from within.
pub(crate) fn closure_allowances(model: &Model) -> Option<TokenStream> {
    let Args { ttl, cache_if, tags, .. } = &model.args;
    let has_closures = matches!(ttl, Some(Lifetime::Closure(_))) || cache_if.is_some() || tags.of_value.is_some();
    has_closures.then(|| quote!(#[allow(clippy::redundant_closure, clippy::redundant_closure_for_method_calls)]))
}

/// The lints that are allowed in a sibling with the signature of its function. An unused function is
/// worth a warning, its siblings are not.
pub(crate) fn second_allowances() -> TokenStream {
    // The function itself reports `unreachable_pub`.
    quote!(#[allow(dead_code, unreachable_pub)])
}

/// The lints of a sibling that uses its function if it is used itself. With `allow(dead_code)` the compiler would
/// take it, and so the function, as used in any case.
///
/// The compiler shows no `dead_code` of a macro's functions. But methods of one level are reported together, and if a
/// sibling is among them, nothing is shown. Therefore, the sibling gets a level that few functions have.
///
/// A level cannot be lowered once it is forbidden, not even for a parameter.
pub(crate) fn sibling_allowances(Function { attrs, sig, .. }: &Function) -> TokenStream {
    let of_params = sig.inputs.iter().flat_map(|input| match input {
        FnArg::Receiver(receiver) => of_param(&receiver.attrs),
        FnArg::Typed(typed) => of_param(&typed.attrs),
    });
    let of_function = shared(attrs);
    let words = identifiers(&quote!(#of_function #(#of_params)*));
    let is_said = ["dead_code", "unused", "warnings"].iter().any(|word| words.contains(*word));
    let forbid = (!is_said).then(|| quote!(#[forbid(dead_code)]));
    quote!(#[allow(unreachable_pub)] #forbid)
}

/// The lints that a body fulfils only because of the attribute. This marks the function, too.
pub(crate) fn body_allowances() -> TokenStream {
    quote!(#[allow(clippy::missing_const_for_fn, reason = #MARK)])
}

/// The lints of the `let` that gives a body its parameter back as the signature says.
pub(crate) fn rebinding_allowances() -> TokenStream {
    quote!(#[allow(clippy::shadow_same, clippy::shadow_reuse, clippy::shadow_unrelated)])
}
