//! Functions that cannot be cached, because of their other attributes or their shape.

use proc_macro2::Span;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, FnArg, Meta, Pat, Path, Receiver, ReturnType, Safety, Token, Type};

use super::features::Features;
use crate::errors::Errors;
use crate::parse::function::{Face, Function};
use crate::syntax::place::Place;
use crate::syntax::types::{boxed_output, impl_trait, is_bound_by, is_future};

/// The text by which a second attribute on the same function recognizes the first, under any name.
pub(crate) const MARK: &str = "cached by `redis-cached`, which a `const fn` cannot be";

const TWICE: &str = "the function is cached already, and an invalidation would reach one of two entries; \
                     remove one of the two attributes";

const TEST: &str = "a hit would skip what a test does; cache a function that it calls";

const MAIN: &str = "`main` runs once, for its effects, and a hit would skip them; cache a function that it calls";

/// Refuses functions that cannot be cached. Returns `true` if the function can be.
pub(crate) fn check(function: &Function, is_response: bool, features: Features, errors: &Errors) -> bool {
    let sig = &function.sig;
    let mut fine = true;
    let mut refuse = |span: Span, message: &str| {
        errors.at(span, message);
        fine = false;
    };
    if let Some(constness) = &sig.constness {
        refuse(constness.span, "a `const fn` cannot ask a cache; remove `const`");
    }
    if let Safety::Unsafe(unsafety) = &sig.safety {
        let message = "an `unsafe fn` cannot be cached: nobody checks its contract before a hit; \
                       cache a safe function that calls it";
        refuse(unsafety.span, message);
    }
    if let Some(abi) = &sig.abi {
        let message = "a function with a foreign ABI cannot be cached; cache a Rust function, and call that one";
        refuse(abi.extern_token.span, message);
    }
    if let Some(variadic) = &sig.variadic {
        refuse(variadic.span(), "a variadic function cannot be cached: its arguments cannot be made into a key");
    }
    for input in &sig.inputs {
        let (FnArg::Receiver(Receiver { attrs, .. }) | FnArg::Typed(syn::PatType { attrs, .. })) = input;
        if let Some(cfg) = attrs.iter().find(|attr| attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr")) {
            let message = "a parameter of a cached function cannot be conditional; \
                           write the function twice, each with a `#[cfg]` of its own";
            refuse(cfg.span(), message);
        }
        if let FnArg::Typed(typed) = input
            && let Some(span) = opaque(&typed.pat)
        {
            refuse(span, "the names that this binds cannot be seen, so the key would miss them; write the pattern out");
        }
    }
    let face = function.face();
    if face == Face::Plain && !features.blocking {
        refuse(sig.fn_token.span, "caching a plain `fn` needs the feature `blocking` of `redis-cached`");
    }
    if face != Face::Plain && !features.tokio {
        let span = sig.asyncness.map_or(sig.fn_token.span, |asyncness| asyncness.span);
        refuse(span, "caching an `async fn` needs the feature `tokio` of `redis-cached`");
    }
    if !check_attributes(function, &mut refuse) {
        check_shape(function, is_response, features, &mut refuse);
    }
    fine
}

/// Reports attributes that conflict with this one, and functions that run for their effects. Returns `true` if any.
fn check_attributes(function: &Function, refuse: &mut impl FnMut(Span, &str)) -> bool {
    let mut is_refused = false;
    let mut refuse = |span: Span, message: &str| {
        refuse(span, message);
        is_refused = true;
    };
    // The attribute has processed the function before, under another name.
    if function.attrs.iter().any(is_mark) {
        refuse(Span::call_site(), TWICE);
    }
    let mut is_main = false;
    for attr in &function.attrs {
        each(&attr.meta, &mut |path| {
            let message = message(path);
            is_main |= message.as_deref() == Some(MAIN);
            if let Some(message) = message {
                refuse(span(path), &message);
            }
        });
    }
    let sig = &function.sig;
    let is_named_main = sig.ident == "main" && sig.inputs.is_empty();
    if is_named_main && !is_main && function.place(false) == Place::Free {
        refuse(sig.ident.span(), MAIN);
    }
    is_refused
}

/// Why a function with this attribute is not cached.
fn message(path: &Path) -> Option<String> {
    let last = path.segments.last()?.ident.to_string();
    let message = match last.as_str() {
        "redis_cached" => TWICE,
        "test" | "bench" | "rstest" | "test_case" | "wasm_bindgen_test" => TEST,
        // `#[tokio::main]`
        "main" => MAIN,
        _ if path.segments.len() > 1 => return None,
        "no_mangle" | "export_name" | "link_section" => {
            return Some(format!(
                "`{last}` is about one function, and this attribute makes several of it; \
                 write `{last}` on a function that calls this one"
            ));
        }
        "naked" | "target_feature" => {
            return Some(format!(
                "a function with `{last}` cannot be called by the one that asks the cache; \
                 cache a function that calls this one"
            ));
        }
        "track_caller" => {
            "the body also runs for other calls than the one that it sees, so it cannot tell who called; \
             take the `Location` as a parameter, or remove `track_caller`"
        }
        _ => return None,
    };
    Some(message.to_owned())
}

/// Visits the path of an attribute, and of those inside `cfg_attr(…)` and `unsafe(…)`.
fn each(meta: &Meta, visit: &mut impl FnMut(&Path)) {
    let (is_conditional, is_unsafe) = (meta.path().is_ident("cfg_attr"), meta.path().is_ident("unsafe"));
    if !is_conditional && !is_unsafe {
        return visit(meta.path());
    }
    let Meta::List(list) = meta else { return };
    let Ok(inside) = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated) else { return };
    for meta in inside.iter().skip(usize::from(is_conditional)) {
        each(meta, visit);
    }
}

/// The span of the last segment of a path.
fn span(path: &Path) -> Span {
    path.segments.last().map_or_else(Span::call_site, |last| last.ident.span())
}

/// Returns `true` for the attribute that marks a function as an expansion of this crate.
fn is_mark(attr: &Attribute) -> bool {
    attr.path().is_ident("allow") && attr.meta.to_token_stream().to_string().contains(MARK)
}

const NOTHING: &str = "this function returns nothing, so there is nothing to cache; \
                       where it is called for its effects, a hit would skip them";

/// Reports return types that cannot be stored, whatever the arguments say.
fn check_shape(function: &Function, is_response: bool, features: Features, refuse: &mut impl FnMut(Span, &str)) {
    let ReturnType::Type(_, ty) = &function.sig.output else {
        refuse(function.sig.ident.span(), NOTHING);
        return;
    };
    // The body's type is its own affair where its response is stored.
    if let Some(future) = impl_trait(ty)
        && (!is_response || is_future(future))
    {
        let message = match (function.face(), is_future(future)) {
            (Face::Async, true) => "an `async fn` that returns a future cannot be cached; await it in the body",
            (_, true) => "write `async fn` instead of returning `impl Future`",
            _ if features.axum && is_bound_by(future, "IntoResponse") => {
                "a type behind `impl Trait` cannot be read back from a cache; `response` as an argument of the attribute \
                 stores any response"
            }
            _ => "a type behind `impl Trait` cannot be read back from a cache; name the type",
        };
        refuse(future.span(), message);
        return;
    }
    if function.face() == Face::Async && boxed_output(ty).is_some() {
        refuse(ty.span(), "an `async fn` that returns a future cannot be cached; await it in the body");
        return;
    }
    match function.output() {
        Some(Type::Tuple(tuple)) if tuple.elems.is_empty() => refuse(tuple.span(), NOTHING),
        Some(Type::Never(never)) => refuse(never.span(), "a function that never returns has nothing to cache"),
        _ => {}
    }
}

/// The first part of a pattern that binds names out of sight.
fn opaque(pat: &Pat) -> Option<Span> {
    struct Find(Option<Span>);
    impl<'ast> Visit<'ast> for Find {
        fn visit_pat(&mut self, pat: &'ast Pat) {
            if matches!(pat, Pat::Macro(_) | Pat::Verbatim(_)) {
                self.0.get_or_insert(pat.span());
            }
            visit::visit_pat(self, pat);
        }
    }
    let mut find = Find(None);
    find.visit_pat(pat);
    find.0
}
