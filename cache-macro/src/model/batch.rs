//! The parameter of a batch: many ids, each with an entry. The body gets a new collection of the
//! missing ones, and the spelling of the parameter's type decides how that is made.

use proc_macro2::{Span, TokenStream};
use syn::spanned::Spanned;
use syn::{Generics, Ident, Pat, Type, parse_quote};

use super::returns::{self, Kind};
use crate::errors::Errors;
use crate::parse::args::{self, Args, Returns};
use crate::parse::function::{Function, Param};
use crate::syntax::borrows;
use crate::syntax::mentions::same;
use crate::syntax::types::{is_of_call, last, spelled, type_args, ungrouped};

/// A function of many ids.
pub(crate) struct Batch {
    /// The name of a single id.
    pub(crate) id: Ident,
    /// The type of one, if that of the parameter spells it.
    pub(crate) id_type: Option<Type>,
    pub(crate) ids: Ids,
    /// The name of the parameter that holds all ids.
    pub(crate) name: Ident,
    /// The position of their parameter.
    pub(crate) index: usize,
}

/// The way in which the body takes the ids.
pub(crate) enum Ids {
    /// `&T`
    Lent(Type),
    Owned(Type),
}

impl Ids {
    /// The type of the collection.
    pub(crate) fn ty(&self) -> &Type {
        let (Ids::Lent(ty) | Ids::Owned(ty)) = self;
        ty
    }
}

impl Batch {
    pub(crate) fn new(
        batch: &args::Batch,
        args: &Args,
        function: &Function,
        params: &[Param],
        errors: &Errors,
    ) -> Option<Batch> {
        let args::Batch { keyword, id, ids } = batch;
        refuse_others(keyword, args, errors);
        refuse_mutable(ids, function, params, errors);
        if params.iter().any(|param| param.binds(id)) {
            let message = format!("`{id}` is a parameter already; give one of `{ids}` a name of its own");
            errors.at(id.span(), message);
            return None;
        }
        if let Some(skipped) = args.skip.iter().find(|name| same(name, ids)) {
            let message = format!("each of `{ids}` has an entry of its own; remove `{ids}` from `skip`");
            errors.at(skipped.span(), message);
        }
        // A name that no parameter has was reported where the names are known.
        let index = params.iter().position(|param| param.binds(ids))?;
        let Param { pat, ty, ident, .. } = &params[index];
        if !matches!(pat, Pat::Ident(pat) if pat.subpat.is_none()) {
            errors.at(ids.span(), format_args!("the ids of a batch have a plain name: `{ids}: {}`", spelled(ty)));
            return None;
        }
        let ids_of = Ids::of(ids, ty, &function.sig.generics, errors)?;
        Some(Batch { id: id.clone(), id_type: one_of(ids_of.ty()), ids: ids_of, name: ident.clone(), index })
    }

    /// Reports ids that cannot be those of the map.
    pub(crate) fn check_map(&self, output: &Type, kind: Kind, errors: &Errors) {
        let Some((key, _)) = returns::pair_of_map(output, kind) else { return };
        if let (Some(Type::Reference(reference)), Type::Path(_)) = (&self.id_type, key) {
            let message = format!(
                "the ids of a batch and of the map that it returns have one type; take a collection of `{}`",
                spelled(key)
            );
            errors.at(reference.and_token.span, message);
        }
    }

    /// The parameter of an entry in the place of the function's.
    pub(crate) fn element(&self) -> Param {
        let id = &self.id;
        Param {
            attrs: Vec::new(),
            pat: parse_quote!(#id),
            ty: self.id_type.clone().unwrap_or_else(|| Type::Verbatim(TokenStream::new())),
            ident: id.clone(),
            bindings: vec![id.clone()],
            perhaps_units: Vec::new(),
        }
    }
}

impl Ids {
    /// Returns `None` if `ty` is no collection that can be made again.
    fn of(name: &Ident, ty: &Type, generics: &Generics, errors: &Errors) -> Option<Ids> {
        let (reference, collection) = match ungrouped(ty) {
            Type::Reference(reference) => (Some(reference), ungrouped(&reference.elem)),
            other => (None, other),
        };
        let refuse = |span: Span, message: &str| {
            errors.at(span, message);
            None
        };
        if let Some(mutability) = borrows::mutably(ty) {
            let message =
                format!("the body gets ids of its own, and what it did to `{name}` nobody would see; remove `mut`");
            return refuse(mutability, &message);
        }
        match collection {
            Type::Slice(_) if reference.is_some() => {}
            Type::Path(path) if !["Option", "Cow"].contains(&last(path).as_str()) => {}
            Type::Array(array) => {
                let message = format!(
                    "an array has room for all ids, and the body gets only those that are missing; take `&[{}]`",
                    spelled(&array.elem)
                );
                return refuse(array.span(), &message);
            }
            Type::ImplTrait(opaque) => {
                let message = "the body gets the ids that are missing in a collection of their own, which \
                               `impl Trait` does not name; take one such as `&[u64]` or `Vec<u64>`";
                return refuse(opaque.span(), message);
            }
            other => return refuse(other.span(), "expected a collection of ids, such as `&[u64]` or `Vec<u64>`"),
        }
        let Some(reference) = reference else { return Some(Ids::Owned(collection.clone())) };
        if let Some(lifetime) = reference.lifetime.as_ref().filter(|lifetime| !is_of_call(lifetime, generics)) {
            let message = format!("the body gets ids that live as long as it runs; remove `{lifetime}`");
            return refuse(lifetime.span(), &message);
        }
        Some(Ids::Lent(collection.clone()))
    }
}

/// `K` of `[K]`, `Vec<K>`, `HashSet<K>` and `Box<[K]>`.
fn one_of(ty: &Type) -> Option<Type> {
    match ungrouped(ty) {
        Type::Slice(slice) => Some((*slice.elem).clone()),
        Type::Path(path) => match ungrouped(type_args(path).first()?) {
            Type::Slice(slice) => Some((*slice.elem).clone()),
            one => Some(one.clone()),
        },
        _ => None,
    }
}

/// Refuses arguments that a batch cannot be combined with.
fn refuse_others(keyword: &Ident, args: &Args, errors: &Errors) {
    if !args.siblings {
        let message = "with `siblings = off` there is no function beside this one to run for the ids that are \
                       missing; remove `batch`, or `siblings = off`";
        errors.at(keyword.span(), message);
    }
    let of_one_value = [
        args.refresh_ahead.as_ref().map(|(keyword, _)| keyword),
        args.stale_while_revalidate.as_ref().map(|(keyword, _)| keyword),
        args.stale_if_error.as_ref().map(|(keyword, _)| keyword),
    ];
    for keyword in of_one_value.into_iter().flatten() {
        let message = format!(
            "`{keyword}` cannot be combined with `batch`: it takes an old value to fall back on for every id; remove it"
        );
        errors.at(keyword.span(), message);
    }
    if let Some((keyword, _)) = &args.share_errors {
        let message = "not with `batch`: the error of a body that ran for other ids as well goes to its own caller \
                       alone; remove `share_errors`";
        errors.at(keyword.span(), message);
    }
    if let Some((keyword, Returns::Option)) = &args.returns {
        errors.at(keyword.span(), "a batch returns a map, or a `Result` of one; remove `returns = option`");
    }
}

/// Refuses arguments that a second run of the body would not have, apart from `ids`.
fn refuse_mutable(ids: &Ident, function: &Function, params: &[Param], errors: &Errors) {
    let refuse = |span: Span, name: &str, instead: &str| {
        let message =
            format!("the body of a batch may run more than once, each time with a copy of `{name}`; {instead}");
        errors.at(span, message);
    };
    if let Some(span) = function.sig.receiver().and_then(borrows::receiver_mutably) {
        refuse(span, "self", "take `&self`");
    }
    for param in params.iter().filter(|param| !param.binds(ids)) {
        if let Some(span) = borrows::mutably(&param.ty) {
            let name = match param.bindings.as_slice() {
                [only] => only.to_string(),
                _ => spelled(&param.pat),
            };
            refuse(span, &name, "take it by `&`, or by value");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::{ToTokens, quote};

    #[test]
    fn spelling_decides() {
        let generics = parse_quote!(<'a, T>);
        for (ty, expected) in [
            (parse_quote!(&[u64]), Some("& u64")),
            (parse_quote!(&'a [&'a str]), Some("& & 'a str")),
            (parse_quote!(&Vec<T>), Some("& T")),
            (parse_quote!(&std::collections::HashSet<u64, S>), Some("& u64")),
            (parse_quote!(&T), Some("&")),
            (parse_quote!(Vec<(u64, u64)>), Some("(u64 , u64)")),
            (parse_quote!(Box<[u64]>), Some("u64")),
            (parse_quote!(Ids), Some("")),
            (parse_quote!([u64; 3]), None),
            (parse_quote!(&[u64; 3]), None),
            (parse_quote!(&mut [u64]), None),
            (parse_quote!(Vec<&mut u64>), None),
            (parse_quote!(impl IntoIterator<Item = u64>), None),
            (parse_quote!(&impl Ids), None),
            (parse_quote!(Option<&[u64]>), None),
            (parse_quote!(Cow<'_, [u64]>), None),
            (parse_quote!((u64, u64)), None),
            (parse_quote!(&'static [u64]), None),
            (parse_quote!(&'b [u64]), None),
        ] {
            let ty: Type = ty;
            let errors = Errors::new();
            let ids = Ids::of(&parse_quote!(ids), &ty, &generics, &errors);
            let found = ids.map(|ids| {
                let (lent, one) = (matches!(ids, Ids::Lent(_)).then(|| quote!(&)), one_of(ids.ty()));
                quote!(#lent #one).to_string()
            });
            assert_eq!(found.as_deref(), expected, "{}", ty.to_token_stream());
            assert_eq!(errors.finish().is_ok(), expected.is_some());
        }
    }
}
