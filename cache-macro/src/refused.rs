//! Functions that cannot be cached for what their other attributes say of them.

use proc_macro2::Span;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Path, Token};

use crate::attrs;
use crate::function::Function;
use crate::place::{self, Place};

const TWICE: &str = "the function is cached already, and an invalidation would reach one of two entries; \
                     remove one of the two attributes";

const TEST: &str = "a hit would skip what a test does; cache a function that it calls";

const MAIN: &str = "`main` runs once, for its effects, and a hit would skip them; cache a function that it calls";

/// Reports attributes that do not go with this one, and functions that run for their effects. True if there is any.
pub(crate) fn check(function: &Function, refuse: &mut impl FnMut(Span, &str)) -> bool {
    let mut is_refused = false;
    let mut refuse = |span: Span, message: &str| {
        refuse(span, message);
        is_refused = true;
    };
    // The attribute under another name, which has seen the function before.
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
    if is_named_main && !is_main && place::place(function, false) == Place::Free {
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

/// All of a path where the compiler can tell, else its first token.
fn span(path: &Path) -> Span {
    path.segments.last().map_or_else(Span::call_site, |last| last.ident.span())
}

/// Whether the attribute is the one that marks what this crate has made of a function.
fn is_mark(attr: &Attribute) -> bool {
    attr.path().is_ident("allow") && attr.meta.to_token_stream().to_string().contains(attrs::MARK)
}
