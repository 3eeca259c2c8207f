//! The return type of a function, and the part of it that is stored.

use syn::spanned::Spanned;
use syn::{Generics, Type};

use crate::errors::Errors;
use crate::parse::args::{self, Args};
use crate::syntax::mentions::identifiers;
use crate::syntax::types::{is_spelled_result, result_within, type_args};
use crate::syntax::{borrows, generics};

/// The part of a returned value that is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All of it, but only `Some` if its type turns out to be an `Option`.
    Value,
    /// Like `Value`, on the user's word, without a look at the type.
    Anything,
    /// `Some`, on the user's word.
    Option,
    /// `Ok`.
    Result,
}

/// The kind of a return type, and an error if the stored part of it borrows.
pub(crate) fn kind(ty: &Type, args: &Args, errors: &Errors) -> Kind {
    let kind = match args.returns {
        Some((_, args::Returns::Value)) => Kind::Anything,
        Some((_, args::Returns::Option)) => Kind::Option,
        Some((_, args::Returns::Result)) => Kind::Result,
        None if is_spelled_result(ty) => Kind::Result,
        None => Kind::Value,
    };
    let stored = match args.batch {
        Some(_) => pair_of_map(ty, kind).map(|(_, value)| value),
        None => without_result(ty, kind),
    };
    if let Some(span) = stored.and_then(borrows::stored) {
        errors.at(
            span,
            "a value that borrows cannot be read back from a cache; return an owned type, such as `String` for `&str`",
        );
    }
    if let Some(stored) = stored {
        check_results_within(stored, kind, args, errors);
    }
    if args.batch.is_some() {
        // The rest is about a single value.
        return kind;
    }
    if let (Kind::Result, None, Some(Type::Tuple(unit))) = (kind, &args.returns, stored)
        && unit.elems.is_empty()
    {
        let message = "a function that returns no value is called for its effects, and a hit would skip them; \
                       write `returns = result` if it is meant to be cached all the same";
        errors.at(unit.span(), message);
    }
    if let (Kind::Anything, Some((keyword, _))) = (kind, &args.none_ttl) {
        errors.at(keyword.span(), "with `returns = value` a `None` is a value like any other; remove `none_ttl`");
    }
    if args.web.response.is_some() {
        // A status from 500 on is the error of a response.
        return kind;
    }
    check_settings_of_errors(kind, args, errors);
    kind
}

/// Reports settings about errors where there are none.
fn check_settings_of_errors(kind: Kind, args: &Args, errors: &Errors) {
    let of_errors = [
        args.stale_if_error.as_ref().map(|(keyword, _)| keyword),
        args.share_errors.as_ref().map(|(keyword, _)| keyword),
    ];
    for keyword in of_errors.into_iter().flatten() {
        match kind {
            Kind::Result => {}
            Kind::Anything => errors.at(
                keyword.span(),
                format_args!("with `returns = value` an error is a value like any other; remove `{keyword}`"),
            ),
            Kind::Value | Kind::Option => errors.at(
                keyword.span(),
                format_args!(
                    "a function that returns no `Result` has no error; remove `{keyword}`, \
                     or write `returns = result` if an alias hides the `Result`"
                ),
            ),
        }
    }
}

/// Reports a `Result` inside of what is stored: its errors would be.
fn check_results_within(stored: &Type, kind: Kind, args: &Args, errors: &Errors) {
    let is_exact = match args.returns {
        // Each id of a batch has a value or none, whatever is said of the map.
        Some((_, args::Returns::Value)) if args.batch.is_none() || !is_spelled_result(stored) => return,
        // It says what the outer type is, so that a type that ends in `Result` is taken for a value.
        Some(_) => true,
        None => false,
    };
    let Some(span) = result_within(stored, is_exact) else { return };
    let message = if args.batch.is_some() {
        "the error of one id would be cached as a value; leave such an id out of the map, \
         or return a `Result` of the whole map"
    } else if kind == Kind::Result && is_spelled_result(stored) {
        "the inner error would be cached as a value; return one `Result`, as `?` on the inner one makes it, \
         or write `returns = value` to cache both errors"
    } else if kind == Kind::Result {
        "this error would be cached within the value; use `?` on it, so that it is the error of the function, \
         or write `returns = value` to cache all errors"
    } else {
        "this error would be cached within the value; return a `Result` of the whole, as `transpose` of an `Option` \
         or `collect` makes it, or write `returns = value` to cache errors, too"
    };
    errors.at(span, message);
}

/// A return type without the `Result` around it; `None` if an alias hides it.
pub(crate) fn without_result(ty: &Type, kind: Kind) -> Option<&Type> {
    match (kind, ty) {
        (Kind::Result, Type::Path(path)) => type_args(path).first().copied(),
        _ => Some(ty),
    }
}

/// `K` and `V` of a return type `HashMap<K, V>` or `Vec<(K, V)>`.
pub(crate) fn pair_of_map(ty: &Type, kind: Kind) -> Option<(&Type, &Type)> {
    let Type::Path(path) = without_result(ty, kind)? else { return None };
    match *type_args(path) {
        [Type::Tuple(pair)] if pair.elems.len() == 2 => Some((&pair.elems[0], &pair.elems[1])),
        [key, value, ..] => Some((key, value)),
        _ => None,
    }
}

/// Returns `true` if the error of a `Result` may be asked whether it is `Clone + Send`. It must have no
/// lifetime, which the answer would ignore, and no type parameter, which may have one. The parameters of
/// a block around the function are unknown, but often have a single letter.
pub(crate) fn is_askable(ty: &Type, generics: &Generics) -> bool {
    let error = match ty {
        // An alias with fewer arguments hides the error.
        Type::Path(path) => type_args(path).get(1).copied().unwrap_or(ty),
        _ => ty,
    };
    let is_parameter = |word: &String| {
        let is_short =
            word.starts_with(|c: char| c.is_ascii_uppercase()) && word[1..].bytes().all(|c| c.is_ascii_digit());
        is_short || word == "Self" || word == "impl" || generics::names(generics).any(|name| name == word)
    };
    borrows::at_all(error).is_none() && !identifiers(error).iter().any(is_parameter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn errors_that_may_depend_on_a_parameter_are_not_asked() {
        let generics = parse_quote!(<'a, Key, const LEN: usize>);
        for (ty, expected) in [
            (parse_quote!(Result<User, sqlx::Error>), true),
            (parse_quote!(Result<T, Arc<Error>>), true),
            (parse_quote!(Result<Key, &'static str>), true),
            (parse_quote!(Result<u8, Box<dyn Error>>), true),
            (parse_quote!(io::Result<User>), true),
            (parse_quote!(Found), true),
            (parse_quote!(Result<u8, Box<dyn Error + Send + '_>>), false),
            (parse_quote!(Result<u8, &str>), false),
            (parse_quote!(Result<u8, Key>), false),
            (parse_quote!(Result<u8, Short<LEN>>), false),
            (parse_quote!(Result<u8, E>), false),
            (parse_quote!(Result<u8, Failed<T1>>), false),
            (parse_quote!(Result<u8, <E as Load>::Error>), false),
            (parse_quote!(Result<u8, Self::Error>), false),
            (parse_quote!(io::Result<T>), false),
        ] {
            let ty: Type = ty;
            assert_eq!(is_askable(&ty, &generics), expected, "{}", quote::quote!(#ty));
        }
    }
}
