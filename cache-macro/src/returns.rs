//! What a function returns, and what of it is stored.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericArgument, Generics, Lifetime, PathArguments, ReturnType, Type, TypeImplTrait, TypeParamBound, TypePath,
    TypeReference,
};

use crate::args::{self, Args};
use crate::check::Errors;
use crate::function::{Face, Function};
use crate::mentions::identifiers;
use crate::{borrows, generics};

/// What of a returned value is stored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// All of it; of an `Option` only `Some`, as its type will tell.
    Value,
    /// As `Value`, on the user's word, without a look at the type.
    Anything,
    /// `Some`, on the user's word.
    Option,
    /// `Ok`.
    Result,
}

/// Reports return types that cannot be stored, whatever the arguments say.
pub(crate) fn check_shape(function: &Function, refuse: &mut impl FnMut(Span, &str)) {
    let ReturnType::Type(_, ty) = &function.sig.output else {
        refuse(function.sig.ident.span(), NOTHING);
        return;
    };
    if let Some(future) = impl_trait(ty) {
        let message = match (function.face(), is_future(future)) {
            (Face::Async, true) => "an `async fn` that returns a future cannot be cached; await it in the body",
            (_, true) => "write `async fn` instead of returning `impl Future`",
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

const NOTHING: &str = "this function returns nothing, so there is nothing to cache; \
                       where it is called for its effects, a hit would skip them";

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
    if let Some(span) = stored.and_then(borrowed) {
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
    kind
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

/// The first `Result` in a type, itself included; also one that may be an alias, unless `is_exact`.
fn result_within(ty: &Type, is_exact: bool) -> Option<Span> {
    struct Find {
        is_exact: bool,
        found: Option<Span>,
    }
    impl<'ast> Visit<'ast> for Find {
        fn visit_type_path(&mut self, path: &'ast TypePath) {
            if let Some(last) = path.path.segments.last()
                && is_result(path)
                && (!self.is_exact || last.ident == "Result")
            {
                self.found.get_or_insert(last.ident.span());
            }
            visit::visit_type_path(self, path);
        }
        // What a function takes or returns is not stored.
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
    }
    let mut find = Find { is_exact, found: None };
    find.visit_type(ty);
    find.found
}

/// `X` of `Pin<Box<dyn Future<Output = X> + …>>`, or of `BoxFuture<'_, X>`, as which crates name it.
pub(crate) fn boxed_output(ty: &Type) -> Option<&Type> {
    fn argument<'ast>(ty: &'ast Type, of: &str) -> Option<&'ast Type> {
        match ty {
            Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == of) => {
                type_args(path).first().copied()
            }
            _ => None,
        }
    }
    if let Some(output) = argument(ty, "BoxFuture").or_else(|| argument(ty, "LocalBoxFuture")) {
        return Some(output);
    }
    match argument(argument(ty, "Pin")?, "Box")? {
        Type::TraitObject(object) => object.bounds.iter().find_map(future_output),
        _ => None,
    }
}

/// `X` of `Future<Output = X>`.
fn future_output(bound: &TypeParamBound) -> Option<&Type> {
    let TypeParamBound::Trait(bound) = bound else { return None };
    let last = bound.path.segments.last().filter(|last| last.ident == "Future")?;
    let PathArguments::AngleBracketed(args) = &last.arguments else { return None };
    args.args.iter().find_map(|arg| match arg {
        GenericArgument::AssocType(output) if output.ident == "Output" => Some(&output.ty),
        _ => None,
    })
}

fn is_future(ty: &TypeImplTrait) -> bool {
    ty.bounds.iter().any(|bound| future_output(bound).is_some())
}

/// The types between the angle brackets of a path's last segment.
pub(crate) fn type_args(path: &TypePath) -> Vec<&Type> {
    let Some(PathArguments::AngleBracketed(args)) = path.path.segments.last().map(|last| &last.arguments) else {
        return Vec::new();
    };
    let types = args.args.iter().filter_map(|arg| match arg {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// A return type without the `Result` around it; behind an alias it is out of sight.
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

/// Whether the error of a `Result` may be asked whether it is `Clone + Send`: without a lifetime, of
/// which the answer would know nothing, and without a type parameter, which may have one. Of a block
/// around the function no more is known than that parameters often have a single letter.
pub(crate) fn is_askable(ty: &Type, generics: &Generics) -> bool {
    let error = match ty {
        // Behind an alias with fewer arguments the error is out of sight.
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

/// `Result`, `io::Result<T>`, `QueryResult<T>`. Not `SearchResult`: a type of that name may well be a
/// value, and if it hides a `Result`, its real type will tell.
fn is_spelled_result(ty: &Type) -> bool {
    match ty {
        Type::Path(path) => is_result(path),
        Type::Group(group) => is_spelled_result(&group.elem),
        Type::Paren(paren) => is_spelled_result(&paren.elem),
        _ => false,
    }
}

fn is_result(path: &TypePath) -> bool {
    path.path.segments.last().is_some_and(|last| {
        let name = last.ident.to_string();
        name == "Result" || (name.ends_with("Result") && !last.arguments.is_none())
    })
}

/// The first `impl Trait` in a type.
pub(crate) fn impl_trait(ty: &Type) -> Option<&TypeImplTrait> {
    struct Find<'ast>(Option<&'ast TypeImplTrait>);
    impl<'ast> Visit<'ast> for Find<'ast> {
        fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
            self.0.get_or_insert(ty);
        }
    }
    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}

/// Where a type says that it borrows.
fn borrowed(ty: &Type) -> Option<Span> {
    struct Find(Option<Span>);
    impl<'ast> Visit<'ast> for Find {
        fn visit_type_reference(&mut self, ty: &'ast TypeReference) {
            self.0.get_or_insert(ty.and_token.span);
        }
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            if lifetime.ident != "static" {
                self.0.get_or_insert(lifetime.span());
            }
        }
        // What a function takes is not stored.
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
    }
    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}

/// The type with each lifetime replaced by `'static`, for a place where the function's own
/// lifetimes are unknown. The stored part of a type has none, so it stays the same.
pub(crate) fn without_lifetimes(ty: &Type) -> Type {
    struct Replace;
    impl VisitMut for Replace {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
        fn visit_type_reference_mut(&mut self, ty: &mut TypeReference) {
            ty.lifetime.get_or_insert_with(|| Lifetime::new("'static", ty.and_token.span));
            visit_mut::visit_type_reference_mut(self, ty);
        }
        // `for<'a> fn(&'a u8)` brings its own.
        fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}
    }
    let mut ty = ty.clone();
    Replace.visit_type_mut(&mut ty);
    ty
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn boxed_futures_are_seen_through() {
        let ty: Type = parse_quote!(::core::pin::Pin<Box<dyn ::core::future::Future<Output = u8> + Send + 'a>>);
        assert!(boxed_output(&ty).is_some_and(|output| quote::quote!(#output).to_string() == "u8"));
        assert!(boxed_output(&parse_quote!(futures::future::BoxFuture<'a, u8>)).is_some());
        assert!(boxed_output(&parse_quote!(Pin<Box<u8>>)).is_none());
        assert!(boxed_output(&parse_quote!(Box<dyn Future<Output = u8>>)).is_none());
    }

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

    #[test]
    fn results_are_found_wherever_they_are() {
        for (ty, is_exact, expected) in [
            (parse_quote!(Option<Result<u8, E>>), false, true),
            (parse_quote!(Vec<io::Result<u8>>), false, true),
            (parse_quote!((u8, std::result::Result<u8, E>)), false, true),
            (parse_quote!([Result<u8, E>; 3]), false, true),
            (parse_quote!(HashMap<u8, Vec<QueryResult<u8>>>), false, true),
            (parse_quote!(HashMap<u8, Vec<QueryResult<u8>>>), true, false),
            (parse_quote!(Vec<Result<u8, E>>), true, true),
            (parse_quote!(Vec<SearchResult>), false, false),
            (parse_quote!(PhantomData<fn() -> Result<u8, E>>), false, false),
            (parse_quote!(Option<User>), false, false),
        ] {
            let ty: Type = ty;
            assert_eq!(result_within(&ty, is_exact).is_some(), expected, "{}", quote::quote!(#ty));
        }
    }

    #[test]
    fn borrowing_types_are_told() {
        for (ty, expected) in [
            (parse_quote!(&str), true),
            (parse_quote!(Cow<'_, str>), true),
            (parse_quote!(Vec<Page<'a>>), true),
            (parse_quote!(Cow<'static, str>), false),
            (parse_quote!(PhantomData<fn(&u8)>), false),
            (parse_quote!(String), false),
        ] {
            assert_eq!(borrowed(&ty).is_some(), expected);
        }
    }
}
