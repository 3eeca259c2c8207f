//! How values are stored: the check that they can be, which names the type to change.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Ident, Type, TypeFnPtr, TypePath};

use super::names::{generated, private};
use crate::model::Model;
use crate::model::returns::{self, Kind};
use crate::syntax::generics;
use crate::syntax::mentions::identifiers;
use crate::syntax::types::{last, type_args, ungrouped};

// Input:
//     -> Result<Vec<User>, Error>
//
// Output:
//     let kind = __rc::Kind::<Vec<User>>::new().rc_option().rc_found();
//
// All tokens are at the stored type, where an error is shown.
pub(crate) fn kind(model: &Model, output: &Type, stored: &TokenStream) -> TokenStream {
    let span = generated(spelled(model, output).span());
    let kind = Ident::new("kind", span);
    let found = found(model, stored, span);
    quote_spanned!(span=> let #kind = #found;)
}

fn found(model: &Model, ty: &dyn ToTokens, span: Span) -> TokenStream {
    let rc = private(span);
    let step = Ident::new(if model.kind == Kind::Anything { "rc_value" } else { "rc_found" }, span);
    quote_spanned!(span=> #rc::Kind::<#ty>::new().rc_option().#step())
}

// Output:
//     __rc::codec::<Vec<User>, __rc::Bincode, _, _>(
//         kind,
//         __rc::blame(kind.rc_verdict(), __rc::Kind::<User>::new().rc_option().rc_found().rc_verdict()),
//     )
pub(crate) fn codec(model: &Model, output: &Type, stored: &TokenStream, codec: &TokenStream) -> TokenStream {
    let spelled = spelled(model, output);
    let span = generated(spelled.span());
    let rc = private(span);
    let kind = Ident::new("kind", span);
    let verdict = parts(spelled).into_iter().fold(quote_spanned!(span=> #kind.rc_verdict()), |whole, part| {
        let part = found(model, part, span);
        quote_spanned!(span=> #rc::blame(#whole, #part.rc_verdict()))
    });
    let function = Ident::new(advice(model, spelled), span);
    quote_spanned!(span=> #rc::#function::<#stored, #codec, _, _>(#kind, #verdict))
}

/// The part of the return type that spells the stored one; all of it where its name may not be that of a `Result`.
fn spelled<'a>(model: &Model, output: &'a Type) -> &'a Type {
    let is_plain = |path: &TypePath| model.kind != Kind::Result || last(path) == "Result";
    if !matches!(ungrouped(output), Type::Path(path) if is_plain(path)) {
        return output;
    }
    let stored = match &model.batch {
        Some(_) => returns::pair_of_map(output, model.kind).map(|(_, value)| value),
        None => returns::without_result(output, model.kind),
    };
    stored.unwrap_or(output)
}

/// The function of the runtime whose error has the advice that fits.
fn advice(model: &Model, stored: &Type) -> &'static str {
    let words = identifiers(stored);
    let is_parameter = |word: &String| {
        let is_short = word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
        is_short || generics::names(&model.function.sig.generics).any(|name| name == word)
    };
    if words.contains("Arc") || words.contains("Rc") {
        "codec_of_pointer"
    } else if words.contains("Json") || words.contains("Html") {
        "codec_of_json"
    } else if words.iter().any(is_parameter) {
        "codec_of_parameter"
    } else {
        "codec"
    }
}

/// The types within a type that may be the reason why it cannot be stored. Inner types follow those around them.
fn parts(ty: &Type) -> Vec<&Type> {
    struct Parts<'ast>(Vec<&'ast Type>);
    impl<'ast> Visit<'ast> for Parts<'ast> {
        fn visit_type(&mut self, ty: &'ast Type) {
            let is_known = matches!(ty, Type::Path(path) if is_stored_by_serde(path));
            if !is_known && !is_unsized(ty) && !matches!(ty, Type::Infer(_) | Type::Macro(_) | Type::Verbatim(_)) {
                self.0.push(ty);
            }
            visit::visit_type(self, ty);
        }
        fn visit_type_path(&mut self, path: &'ast TypePath) {
            // A `PhantomData` does not store its parameter.
            if last(path) != "PhantomData" {
                visit::visit_type_path(self, path);
            }
        }
        fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    }
    let mut parts = Parts(Vec::new());
    visit::visit_type(&mut parts, ty);
    parts.0
}

/// Returns `true` for an unsized type, such as the `str` of a `Box<str>`. The probes take sized types only.
fn is_unsized(ty: &Type) -> bool {
    match ty {
        Type::Slice(_) | Type::TraitObject(_) => true,
        Type::Path(path) => {
            let name = last(path);
            ["str", "Path", "OsStr", "CStr"].contains(&name.as_str()) && type_args(path).is_empty()
        }
        _ => false,
    }
}

/// Returns `true` for a few types that can be stored for certain.
fn is_stored_by_serde(path: &TypePath) -> bool {
    const WORDS: [&str; 16] = [
        "String", "bool", "char", "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "isize",
        "f32", "f64",
    ];
    path.path.get_ident().is_some_and(|ident| WORDS.iter().any(|word| ident == word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn the_innermost_types_come_last() {
        for (ty, expected) in [
            (parse_quote!(User), vec![]),
            (parse_quote!(Vec<User>), vec!["User"]),
            (parse_quote!(HashMap<String, Vec<(u64, User)>>), vec!["Vec < (u64 , User) >", "(u64 , User)", "User"]),
            (parse_quote!([User; 3]), vec!["User"]),
            (parse_quote!(Id<PhantomData<User>>), vec!["PhantomData < User >"]),
            (parse_quote!(Vec<fn(User)>), vec!["fn (User)"]),
            (
                parse_quote!((Box<str>, Box<[User]>, Arc<std::path::Path>)),
                vec!["Box < str >", "Box < [User] >", "User", "Arc < std :: path :: Path >"],
            ),
            (parse_quote!(Vec<Box<dyn Shape + Send>>), vec!["Box < dyn Shape + Send >"]),
        ] {
            let ty: Type = ty;
            let found: Vec<_> = parts(&ty).iter().map(|part| part.to_token_stream().to_string()).collect();
            assert_eq!(found, expected);
        }
    }
}
