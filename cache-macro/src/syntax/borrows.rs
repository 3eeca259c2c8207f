//! The places where a type borrows for less than `'static`, as far as its spelling shows.

use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{
    BoundLifetimes, Lifetime, ParenthesizedGenericArguments, Receiver, ReceiverKind, TraitBound, Type, TypeFnPtr,
    TypeReference,
};

/// The first place where a type mentions a lifetime, or leaves one out.
pub(crate) fn at_all(ty: &Type) -> Option<Span> {
    find(ty).any
}

/// The first place where a type borrows mutably.
pub(crate) fn mutably(ty: &Type) -> Option<Span> {
    find(ty).mutable
}

fn find(ty: &Type) -> Find {
    let mut find = Find::default();
    find.visit_type(ty);
    find
}

#[derive(Default)]
struct Find {
    any: Option<Span>,
    mutable: Option<Span>,
    /// The lifetimes of the `for<'a>` around.
    bound: Vec<Lifetime>,
}

impl<'ast> Visit<'ast> for Find {
    fn visit_type_reference(&mut self, ty: &'ast TypeReference) {
        if let Some(mutability) = &ty.mutability {
            self.mutable.get_or_insert(mutability.span);
        }
        match &ty.lifetime {
            Some(lifetime) => self.visit_lifetime(lifetime),
            None => {
                self.any.get_or_insert(ty.and_token.span);
            }
        }
        self.visit_type(&ty.elem);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" && !self.bound.contains(lifetime) {
            self.any.get_or_insert(lifetime.span());
        }
    }

    fn visit_trait_bound(&mut self, bound: &'ast TraitBound) {
        let outside = self.bound.len();
        let lifetimes = bound.lifetimes.iter().flat_map(|BoundLifetimes { lifetimes, .. }| lifetimes);
        self.bound.extend(lifetimes.filter_map(|param| match param {
            syn::GenericParam::Lifetime(param) => Some(param.lifetime.clone()),
            _ => None,
        }));
        visit::visit_trait_bound(self, bound);
        self.bound.truncate(outside);
    }

    // A function pointer does not hold its parameters.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}
}

/// The first place where a type says that it borrows.
pub(crate) fn stored(ty: &Type) -> Option<Span> {
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
        // The parameters of a function pointer are not stored.
        fn visit_type_fn_ptr(&mut self, _: &'ast syn::TypeFnPtr) {}
    }
    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}

/// The place where a receiver borrows mutably.
pub(crate) fn receiver_mutably(receiver: &Receiver) -> Option<Span> {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.as_ref().map(|mutability| mutability.span),
        ReceiverKind::Typed(_, ty) => mutably(ty),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

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
            assert_eq!(stored(&ty).is_some(), expected);
        }
    }
}
