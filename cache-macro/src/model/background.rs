//! The arguments of a refresh in the background, which outlives the call that starts it. The spelling
//! of the parameters decides how they are copied.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{Generics, Ident, Receiver, ReceiverKind, Type, TypeReference};

use crate::errors::Errors;
use crate::parse::args::Args;
use crate::parse::function::{Function, Param};
use crate::syntax::borrows;
use crate::syntax::types::{is_of_call, last, lifetime_of, spelled, type_args, ungrouped};

/// A function that is refreshed in the background.
pub(crate) struct Background {
    /// The argument that asks for it.
    pub(crate) keyword: Ident,
    pub(crate) receiver: Option<Own>,
    /// By position.
    pub(crate) params: Vec<Own>,
}

/// How an argument is kept, and lent to the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Own {
    /// The argument is copied by `Clone`, and given away.
    Clone,
    /// `&T` is copied by `ToOwned`.
    Referent,
    /// `Option<&T>`
    Option,
    /// `Cow<'_, T>`
    Cow,
}

/// The reason why an argument cannot be kept, at the token that shows it.
enum Refusal {
    Mutable(Span),
    Borrows(Span),
}

impl Background {
    /// Returns `None` if the attribute asks for no refresh, or for an impossible one.
    pub(crate) fn new(args: &Args, function: &Function, params: &[Param], errors: &Errors) -> Option<Background> {
        let refresh_ahead = args.refresh_ahead.as_ref().map(|(keyword, _)| keyword);
        let stale = args.stale_while_revalidate.as_ref().map(|(keyword, _)| keyword);
        let keywords: Vec<&Ident> = refresh_ahead.into_iter().chain(stale).collect();
        let keyword = (*keywords.first()?).clone();
        if !args.siblings {
            for keyword in keywords {
                let message = format!(
                    "with `siblings = off` there is no function beside this one to run in the background; \
                     remove `{keyword}`, or `siblings = off`"
                );
                errors.at(keyword.span(), message);
            }
            return None;
        }
        let leave_out = keywords.iter().map(|keyword| format!("`{keyword}`")).collect::<Vec<_>>().join(" and ");
        let refuse = |name: &str, ty: &dyn ToTokens, refusal: Refusal| match refusal {
            Refusal::Mutable(span) => {
                let instead = if name == "self" { "`&self`" } else { "it by value" };
                let message = format!(
                    "a background refresh must own its arguments, and what it did to `{name}` nobody would see; \
                     take {instead}, or leave {leave_out} out"
                );
                errors.at(span, message);
            }
            Refusal::Borrows(span) => {
                let ty = spelled(ty);
                let message = format!(
                    "a background refresh must own its arguments; `{name}` borrows within `{ty}`: \
                     take an owned type, or leave {leave_out} out"
                );
                errors.at(span, message);
            }
        };
        let generics = &function.sig.generics;
        let receiver = function.sig.receiver().map(|receiver| {
            of_receiver(receiver, generics).map_err(|refusal| refuse("self", &receiver_type(receiver), refusal))
        });
        let params: Vec<_> = params
            .iter()
            .map(|param| {
                let name = match param.bindings.as_slice() {
                    [only] => only.to_string(),
                    _ => spelled(&param.pat),
                };
                of_type(&param.ty, generics).map_err(|refusal| refuse(&name, &param.ty, refusal))
            })
            .collect();
        let receiver = receiver.transpose().ok()?;
        let params = params.into_iter().collect::<Result<_, _>>().ok()?;
        Some(Background { keyword, receiver, params })
    }
}

fn receiver_type(receiver: &Receiver) -> Box<dyn ToTokens + '_> {
    match &receiver.kind {
        ReceiverKind::Typed(_, ty) => Box::new(ty),
        _ => Box::new(receiver),
    }
}

fn of_receiver(receiver: &Receiver, generics: &Generics) -> Result<Own, Refusal> {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, Some(mutability)) => Err(Refusal::Mutable(mutability.span)),
        ReceiverKind::Reference(_, Some(lifetime), None) if lifetime.ident == "static" => Ok(Own::Clone),
        ReceiverKind::Reference(..) => Ok(Own::Referent),
        ReceiverKind::Typed(_, ty) => of_type(ty, generics),
        _ => Ok(Own::Clone),
    }
}

fn of_type(ty: &Type, generics: &Generics) -> Result<Own, Refusal> {
    let lends = |reference: &TypeReference| {
        let lifetime = reference.lifetime.as_ref();
        reference.mutability.is_none() && lifetime.is_none_or(|lifetime| is_of_call(lifetime, generics))
    };
    let (own, owned) = match ungrouped(ty) {
        Type::Reference(reference) if lends(reference) => (Own::Referent, &*reference.elem),
        Type::Path(path) => match (last(path).as_str(), &*type_args(path)) {
            ("Option", [inner]) => match ungrouped(inner) {
                Type::Reference(reference) if lends(reference) => (Own::Option, &*reference.elem),
                _ => (Own::Clone, ty),
            },
            ("Cow", [referent]) if lifetime_of(path).is_none_or(|lifetime| is_of_call(lifetime, generics)) => {
                (Own::Cow, *referent)
            }
            _ => (Own::Clone, ty),
        },
        _ => (Own::Clone, ty),
    };
    if let Some(span) = borrows::mutably(ty) {
        return Err(Refusal::Mutable(span));
    }
    borrows::at_all(owned).map_or(Ok(own), |span| Err(Refusal::Borrows(span)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn spelling_decides() {
        let generics = parse_quote!(<'a, T>);
        for (ty, expected) in [
            (parse_quote!(u64), Some(Own::Clone)),
            (parse_quote!(Path<T>), Some(Own::Clone)),
            (parse_quote!(&'static str), Some(Own::Clone)),
            (parse_quote!(Vec<&'static [&'static str]>), Some(Own::Clone)),
            (parse_quote!(Option<&'static str>), Some(Own::Clone)),
            (parse_quote!(Cow<'static, str>), Some(Own::Clone)),
            (parse_quote!(fn(&mut u8) -> &u8), Some(Own::Clone)),
            (parse_quote!(impl Fn(&str) -> &str + Clone + Send + 'static), Some(Own::Clone)),
            (parse_quote!(Arc<dyn for<'b> Fn(Page<'b>) -> u8>), Some(Own::Clone)),
            (parse_quote!(impl for<'b> Find<'b, Page = &'b u8>), Some(Own::Clone)),
            (parse_quote!(&str), Some(Own::Referent)),
            (parse_quote!(&'a [T]), Some(Own::Referent)),
            (parse_quote!(&'_ impl Display), Some(Own::Referent)),
            (parse_quote!(&Arc<Cow<'static, str>>), Some(Own::Referent)),
            (parse_quote!(Option<&'a str>), Some(Own::Option)),
            (parse_quote!(std::borrow::Cow<'_, [u8]>), Some(Own::Cow)),
            (parse_quote!(Cow<str>), Some(Own::Cow)),
            (parse_quote!(&mut T), None),
            (parse_quote!(Option<&mut T>), None),
            (parse_quote!(&&mut T), None),
            (parse_quote!(&&T), None),
            (parse_quote!(&[&str]), None),
            (parse_quote!((&str, u32)), None),
            (parse_quote!(Page<'a>), None),
            (parse_quote!(Option<Cow<'_, str>>), None),
            (parse_quote!(Cow<'_, Page<'a>>), None),
            // `'b` is a lifetime of the block around the function.
            (parse_quote!(&'b str), None),
            (parse_quote!(Cow<'b, str>), None),
            (parse_quote!(impl Iterator<Item = &'a str>), None),
        ] {
            let ty: Type = ty;
            assert_eq!(of_type(&ty, &generics).ok(), expected, "{}", spelled(&ty));
        }
    }
}
