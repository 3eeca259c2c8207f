//! The generic parameters that a function's entry has, and those that are part of its name.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::visit::{self, Visit};
use syn::{GenericParam, Generics, Lifetime, Signature, WherePredicate};

use super::mentions::identifiers;

/// `::<T, N>` for a call of a sibling: lifetimes are inferred, and some cannot be named.
pub(crate) fn turbofish(generics: &Generics) -> Option<TokenStream> {
    let args: Vec<_> = names(generics).collect();
    (!args.is_empty()).then(|| quote::quote!(::<#(#args),*>))
}

/// The type and constant parameters.
pub(crate) fn names(generics: &Generics) -> impl Iterator<Item = &syn::Ident> {
    generics.params.iter().filter_map(name)
}

fn name(param: &GenericParam) -> Option<&syn::Ident> {
    match param {
        GenericParam::Type(param) => Some(&param.ident),
        GenericParam::Const(param) => Some(&param.ident),
        GenericParam::Lifetime(_) => None,
    }
}

/// The names of the type and constant parameters that say nothing about an entry: they occur only
/// in `unused` types, those of parameters that the entry does not have, or are determined by ones
/// that do, like the `Fut` of `F: FnOnce() -> Fut`.
///
/// `used` are the types of the parameters that the entry has, and the return type. A name that occurs
/// in neither is chosen by the caller, and stays.
pub(crate) fn dropped(generics: &Generics, used: &[TokenStream], unused: &[TokenStream]) -> HashSet<String> {
    let used: HashSet<String> = used.iter().flat_map(identifiers).collect();
    let unused: HashSet<String> = unused.iter().flat_map(identifiers).collect();
    let bounds = bounds(generics);
    let all: Vec<String> = names(generics).map(ToString::to_string).collect();
    let mut dropped: HashSet<String> =
        all.iter().filter(|name| unused.contains(*name) && !used.contains(*name)).cloned().collect();
    loop {
        let bound_by = |name: &String, subjects: &dyn Fn(&String) -> bool| {
            bounds.iter().any(|(subject, mentioned)| subject.iter().any(subjects) && mentioned.contains(name))
        };
        let more: Vec<String> = all
            .iter()
            .filter(|name| !used.contains(*name) && !dropped.contains(*name))
            .filter(|name| bound_by(name, &|subject| dropped.contains(subject)))
            .filter(|name| !bound_by(name, &|subject| all.contains(subject) && !dropped.contains(subject)))
            .cloned()
            .collect();
        if more.is_empty() {
            return dropped;
        }
        dropped.extend(more);
    }
}

/// The names of the type and constant parameters that neither `used` types mention, nor the bounds
/// of ones that they do.
pub(crate) fn unmentioned(generics: &Generics, used: &[TokenStream]) -> HashSet<String> {
    let mut mentioned: HashSet<String> = used.iter().flat_map(identifiers).collect();
    let bounds = bounds(generics);
    loop {
        let before = mentioned.len();
        for (subject, more) in &bounds {
            if !subject.is_disjoint(&mentioned) {
                mentioned.extend(more.iter().cloned());
            }
        }
        if mentioned.len() == before {
            break;
        }
    }
    names(generics).map(ToString::to_string).filter(|name| !mentioned.contains(name)).collect()
}

/// For each bound: the identifiers of what is bounded, and of the bounds.
fn bounds(generics: &Generics) -> Vec<(HashSet<String>, HashSet<String>)> {
    let inline = generics.params.iter().filter_map(|param| match param {
        GenericParam::Type(param) => Some((identifiers(&param.ident), identifiers(&param.bounds))),
        _ => None,
    });
    let clauses = generics.where_clause.iter().flat_map(|clause| &clause.predicates);
    let clauses = clauses.filter_map(|predicate| match predicate {
        WherePredicate::Type(predicate) => Some((identifiers(&predicate.bounded_ty), identifiers(&predicate.bounds))),
        _ => None,
    });
    inline.chain(clauses).collect()
}

/// `generics` without the dropped parameters, and without the bounds that mention them.
pub(crate) fn without(generics: &Generics, dropped: &HashSet<String>) -> Generics {
    let mentions = |tokens: &dyn ToTokens| !identifiers(&tokens.to_token_stream()).is_disjoint(dropped);
    let mut kept = generics.clone();
    kept.params = kept
        .params
        .into_iter()
        .filter(|param| name(param).is_none_or(|name| !dropped.contains(&name.to_string())))
        .map(|mut param| {
            if let GenericParam::Type(param) = &mut param {
                param.bounds = std::mem::take(&mut param.bounds).into_iter().filter(|bound| !mentions(bound)).collect();
            }
            param
        })
        .collect();
    if let Some(clause) = &mut kept.where_clause {
        clause.predicates =
            std::mem::take(&mut clause.predicates).into_iter().filter(|predicate| !mentions(predicate)).collect();
    }
    kept
}

/// Drops the lifetime parameters that nothing in the signature mentions any more.
pub(crate) fn drop_unused_lifetimes(sig: &mut Signature) {
    struct Lifetimes(HashSet<String>);
    impl<'ast> Visit<'ast> for Lifetimes {
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.0.insert(lifetime.ident.to_string());
        }
        fn visit_lifetime_param(&mut self, param: &'ast syn::LifetimeParam) {
            // The declaration itself does not count as a use.
            param.bounds.iter().for_each(|bound| self.visit_lifetime(bound));
        }
        fn visit_where_predicate(&mut self, predicate: &'ast WherePredicate) {
            if let WherePredicate::Type(predicate) = predicate {
                visit::visit_predicate_type(self, predicate);
            }
        }
    }
    let mut lifetimes = Lifetimes(HashSet::new());
    lifetimes.visit_signature(sig);
    let is_used = |lifetime: &Lifetime| lifetime.ident == "static" || lifetimes.0.contains(&lifetime.ident.to_string());
    sig.generics.params = std::mem::take(&mut sig.generics.params)
        .into_iter()
        .filter(|param| !matches!(param, GenericParam::Lifetime(param) if !is_used(&param.lifetime)))
        .collect();
    if let Some(clause) = &mut sig.generics.where_clause {
        clause.predicates = std::mem::take(&mut clause.predicates)
            .into_iter()
            .filter(|predicate| match predicate {
                WherePredicate::Lifetime(predicate) => {
                    is_used(&predicate.lifetime) && predicate.bounds.iter().all(is_used)
                }
                _ => true,
            })
            .collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;
    use syn::parse_quote;

    fn dropped_of(sig: &Signature, used: &[TokenStream], unused: &[TokenStream]) -> Vec<String> {
        let mut dropped: Vec<_> = dropped(&sig.generics, used, unused).into_iter().collect();
        dropped.sort();
        dropped
    }

    #[test]
    fn only_what_the_entry_needs_stays() {
        let sig = parse_quote!(fn user<E: Executor>(db: E, id: u64) -> User);
        assert_eq!(dropped_of(&sig, &[quote!(u64), quote!(User)], &[quote!(E)]), ["E"]);

        let sig = parse_quote!(fn load<T: DeserializeOwned>(id: u64) -> T);
        assert_eq!(dropped_of(&sig, &[quote!(u64), quote!(T)], &[]), [""; 0]);

        let sig = parse_quote!(fn kind<T>(id: u64) -> u64);
        assert_eq!(dropped_of(&sig, &[quote!(u64), quote!(u64)], &[]), [""; 0]);

        let sig = parse_quote!(
            fn load<T, F, Fut>(id: u64, fetch: F) -> Option<T>
            where
                F: FnOnce() -> Fut,
                Fut: Future<Output = Option<T>>
        );
        assert_eq!(dropped_of(&sig, &[quote!(u64), quote!(Option<T>)], &[quote!(F)]), ["F", "Fut"]);

        let sig = parse_quote!(fn convert<T: Into<U>, U, D: Use<U>>(db: D, from: T) -> u64);
        assert_eq!(dropped_of(&sig, &[quote!(T), quote!(u64)], &[quote!(D)]), ["D"]);
    }

    #[test]
    fn a_type_brings_its_bounds() {
        let sig: Signature = parse_quote!(
            fn load<T: Into<U>, U, D, const N: usize>(from: T, db: D, bytes: [u8; N]) -> u64
            where
                U: Use<D>
        );
        for (used, expected) in
            [(quote!(T), &["N"][..]), (quote!([u8; N]), &["D", "T", "U"]), (quote!(u64), &["D", "N", "T", "U"])]
        {
            let mut unmentioned: Vec<_> = unmentioned(&sig.generics, &[used]).into_iter().collect();
            unmentioned.sort();
            assert_eq!(unmentioned, expected);
        }
    }
}
