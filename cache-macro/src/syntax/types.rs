//! Facts that the spelling of a type tells.

use proc_macro2::Span;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::visit_mut::{self, VisitMut};
use syn::{
    GenericArgument, Generics, Lifetime, PathArguments, TraitBound, Type, TypeImplTrait, TypeParamBound, TypePath,
    TypeReference,
};

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

pub(crate) fn is_future(ty: &TypeImplTrait) -> bool {
    ty.bounds.iter().any(|bound| future_output(bound).is_some())
}

/// Returns `true` for `impl` of a trait with this name.
pub(crate) fn is_bound_by(ty: &TypeImplTrait, name: &str) -> bool {
    let is_named = |bound: &TraitBound| bound.path.segments.last().is_some_and(|last| last.ident == name);
    ty.bounds.iter().any(|bound| matches!(bound, TypeParamBound::Trait(bound) if is_named(bound)))
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

/// The types that a type spells inside of it: the elements of tuples and the arguments of paths, at any depth. Those with
/// `impl` are left out.
pub(crate) fn types_within(ty: &Type) -> Vec<&Type> {
    let direct: Vec<&Type> = match ungrouped(ty) {
        Type::Path(path) => type_args(path),
        Type::Tuple(tuple) => tuple.elems.iter().collect(),
        Type::Reference(reference) => return types_within(&reference.elem),
        _ => Vec::new(),
    };
    let direct = direct.into_iter().filter(|ty| impl_trait(ty).is_none());
    direct.flat_map(|ty| [ty].into_iter().chain(types_within(ty))).collect()
}

/// `Result`, `io::Result<T>`, `QueryResult<T>`. Not `SearchResult`: a type of that name may well be a
/// value, and if it hides a `Result`, its real type will tell.
pub(crate) fn is_spelled_result(ty: &Type) -> bool {
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

/// The first `Result` in a type, itself included; also one that may be an alias, unless `is_exact`.
pub(crate) fn result_within(ty: &Type, is_exact: bool) -> Option<Span> {
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
        // The parameters and the result of a function pointer are not stored.
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(&mut self, _: &'ast syn::ParenthesizedGenericArguments) {}
    }
    let mut find = Find { is_exact, found: None };
    find.visit_type(ty);
    find.found
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
        // `for<'a> fn(&'a u8)` declares its own lifetimes.
        fn visit_type_fn_ptr_mut(&mut self, _: &mut syn::TypeFnPtr) {}
    }
    let mut ty = ty.clone();
    Replace.visit_type_mut(&mut ty);
    ty
}

/// The type within parentheses, or within the invisible ones of a macro.
pub(crate) fn ungrouped(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Group(group) => &group.elem,
            Type::Paren(paren) => &paren.elem,
            _ => return ty,
        };
    }
}

pub(crate) fn last(path: &TypePath) -> String {
    path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default()
}

/// The `'a` of `Cow<'a, T>`.
pub(crate) fn lifetime_of(path: &TypePath) -> Option<&Lifetime> {
    let PathArguments::AngleBracketed(args) = &path.path.segments.last()?.arguments else { return None };
    args.args.iter().find_map(|arg| match arg {
        GenericArgument::Lifetime(lifetime) => Some(lifetime),
        _ => None,
    })
}

/// Returns `true` if a lifetime is elided or one of `generics`, so that it need not outlive a call.
pub(crate) fn is_of_call(lifetime: &Lifetime, generics: &Generics) -> bool {
    lifetime.ident == "_" || generics.lifetimes().any(|param| param.lifetime == *lifetime)
}

/// Tokens for a message.
pub(crate) fn spelled(tokens: &dyn ToTokens) -> String {
    let text = tokens.to_token_stream().to_string();
    // The tokens of types get the spaces that people write.
    [("& ", "&"), (" <", "<"), ("< ", "<"), (" >", ">"), (" ,", ","), (" :: ", "::"), ("( ", "("), (" )", ")")]
        .iter()
        .fold(text, |text, (tokens, people)| text.replace(tokens, people))
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
    fn messages_spell_types_as_people_do() {
        let ty: Type = parse_quote!((&'a str, Vec<Option<io::Page<'_, u8>>>));
        assert_eq!(spelled(&ty), "(&'a str, Vec<Option<io::Page<'_, u8>>>)");
    }
}
