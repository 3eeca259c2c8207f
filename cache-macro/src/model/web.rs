//! Checks of HTTP handlers: which can be cached, and what of the request may be in the key.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Expr, Ident, Type, TypePath, parse_quote, parse_quote_spanned};

use super::features::Features;
use super::pieces::{Part, Piece, Value};
use crate::errors::Errors;
use crate::parse::args::{Args, Codec};
use crate::parse::function::{Face, Function, Param};
use crate::syntax::mentions::{Variables, is_all_of};
use crate::syntax::types::{last, spelled, type_args, ungrouped};

/// The handler that a function is.
pub(crate) struct Handler {
    /// The parameter of the request's headers, by position, of which the body sees those that are in the key.
    pub(crate) headers: Option<usize>,
    /// The same parameter, if what the client asks of the cache is in there.
    pub(crate) bypass: Option<usize>,
}

/// Checks what the attribute says about responses. Returns `true` if the function's responses are stored.
pub(super) fn check(args: &Args, function: &Function, features: Features, errors: &Errors) -> bool {
    let Some(keyword) = &args.web.response else {
        for keyword in args.web.others() {
            let message = format!("`{keyword}` is about stored responses; add `response`, or remove `{keyword}`");
            errors.at(keyword.span(), message);
        }
        return false;
    };
    if !features.axum {
        errors.at(keyword.span(), "`response` needs the feature `axum` of `redis-cached`");
    }
    if function.face() != Face::Async {
        errors.at(function.sig.fn_token.span, "a handler whose response is stored is an `async fn`");
    }
    let codec = match &args.codec {
        Codec::Default => None,
        Codec::Auto(span) | Codec::Bincode(span) | Codec::Json(span) | Codec::MessagePack(span) => Some(*span),
        Codec::Custom(path) => Some(path.span()),
    };
    if let Some(span) = codec {
        errors.at(span, "a response is stored in a format of its own; remove `codec`");
    }
    let whole = "all of the response is the value";
    let without_effect = [
        (args.batch.as_ref().map(|batch| batch.keyword.span()), "batch", "a response belongs to one request"),
        (args.returns.as_ref().map(|(keyword, _)| keyword.span()), "returns", whole),
        (args.share_errors.as_ref().map(|(keyword, _)| keyword.span()), "share_errors", whole),
    ];
    for (span, name, reason) in without_effect {
        if let Some(span) = span {
            errors.at(span, format_args!("{reason}; remove `{name}`, or `response`"));
        }
    }
    if !args.siblings {
        let message = "with `siblings = off` there is no function beside this one that returns what the body does; \
                       remove `response`, or `siblings = off`";
        errors.at(keyword.span(), message);
    }
    true
}

/// The type that is stored of a response, in the place of the one that the body returns.
pub(super) fn stored(args: &Args, output: &Type) -> Type {
    let span = output.span().resolved_at(Span::mixed_site());
    match &args.krate {
        Some(krate) => parse_quote_spanned!(span=> #krate::__private::Page),
        None => parse_quote_spanned!(span=> ::redis_cached::__private::Page),
    }
}

/// Returns `true` for a return type spelled as one of axum's wrappers, which handlers return.
pub(super) fn is_wrapper(output: &Type) -> bool {
    let Type::Path(path) = ungrouped(output) else { return false };
    match (last(path).as_str(), type_args(path).first()) {
        ("Json" | "Html", _) => true,
        (name, Some(inner)) if name == "Option" || name.ends_with("Result") => is_wrapper(inner),
        _ => false,
    }
}

/// A parameter that holds more of a request than a key can tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extract {
    /// All of the request, or everything but its body.
    Request,
    /// All headers, or all cookies, with those that identify the client.
    Headers,
    Body,
}

fn extract(ty: &Type) -> Option<Extract> {
    let path = match ungrouped(ty) {
        Type::Path(path) => path,
        Type::Reference(reference) => return extract(&reference.elem).filter(|found| *found != Extract::Body),
        Type::Tuple(tuple) => return tuple.elems.iter().find_map(extract),
        _ => return None,
    };
    match last(path).as_str() {
        "Request" | "Parts" | "RawRequest" => Some(Extract::Request),
        "HeaderMap" | "Extensions" => Some(Extract::Headers),
        _ if is_jar(path) => Some(Extract::Headers),
        "Body" | "Bytes" | "String" | "Multipart" | "Json" | "Form" | "RawForm" => Some(Extract::Body),
        "Option" | "Result" => type_args(path).first().and_then(|inner| extract(inner)),
        // What another extractor holds is no body.
        _ => type_args(path).into_iter().filter_map(extract).find(|found| *found != Extract::Body),
    }
}

/// Returns `true` for the extractors of all cookies, whose names say what they are anywhere.
fn is_jar(path: &TypePath) -> bool {
    matches!(last(path).as_str(), "CookieJar" | "PrivateCookieJar" | "SignedCookieJar" | "Cookies")
}

/// Returns `true` if all that the parameter binds is skipped.
fn is_skipped(args: &Args, param: &Param) -> bool {
    param.bindings.iter().all(|name| args.skips(name))
}

impl Handler {
    /// Finds the headers of the request, if some of them are in the key, or say what the client asks of the cache. The
    /// others are no part of the key.
    pub(super) fn new(args: &mut Args, params: &[Param], errors: &Errors) -> Handler {
        let (vary, bypass) = (args.web.vary.as_ref().map(|(keyword, _)| keyword), args.web.bypass());
        if vary.is_none() && bypass.is_none() {
            return Handler { headers: None, bypass: None };
        }
        let Some(index) = position(params) else {
            for keyword in [vary, bypass].into_iter().flatten() {
                let message = format!("`{keyword}` needs the headers of the request: take `headers: HeaderMap`");
                errors.at(keyword.span(), message);
            }
            return Handler { headers: None, bypass: None };
        };
        let (ident, bypass) = (&params[index].ident, bypass.map(|_| index));
        // If the user skipped the headers, the body sees all of them.
        if args.skips(ident) {
            return Handler { headers: None, bypass };
        }
        args.skip.push(ident.clone());
        args.web.headers = Some(ident.clone());
        Handler { headers: Some(index), bypass }
    }

    /// Checks that no parameter of a function that could be a handler holds all cookies.
    pub(super) fn check_jars(args: &Args, params: &[Param], errors: &Errors) {
        for param in params {
            let is_jar = matches!(ungrouped(&param.ty), Type::Path(path) if is_jar(path));
            if is_jar && !is_skipped(args, param) {
                errors.at(param.ty.span(), refusal(Extract::Headers, &param.ty));
            }
        }
    }

    /// Checks that no parameter holds more of a request than the key, whose pieces are given, can tell, and that the key leaves
    /// nothing out that is not skipped.
    pub(super) fn check<'a>(args: &Args, params: &[Param], pieces: impl Iterator<Item = &'a Piece>, errors: &Errors) {
        let in_key = mentions(pieces);
        for param in params {
            if check_whole(args, param, &in_key, errors)
                && let Some((place, name)) = in_part(args, param, &in_key)
            {
                errors.at(place, left_out(name));
            }
        }
    }

    /// The parameters of which the key, whose pieces are given, has a part alone, although they are not skipped. A reference is
    /// no parameter of a handler.
    pub(super) fn in_part<'a>(
        args: &Args,
        params: &[Param],
        pieces: impl Iterator<Item = &'a Piece>,
    ) -> Vec<(usize, Span)> {
        let in_key = mentions(pieces);
        let values = params.iter().enumerate().filter(|(_, param)| !matches!(ungrouped(&param.ty), Type::Reference(_)));
        values.filter_map(|(index, param)| Some((index, in_part(args, param, &in_key)?.0))).collect()
    }
}

/// The expressions in the key, with what they mention.
fn mentions<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Vec<(&'a Expr, Variables)> {
    let expressions = pieces.filter_map(|piece| match piece {
        Piece::Part(Part { value: Value::Expr(expr) | Value::PerhapsUnit(expr), .. }) => {
            Some((expr, Variables::of(expr)))
        }
        Piece::Part(_) | Piece::Text(_) => None,
    });
    expressions.collect()
}

/// What a parameter binds, if the key has a part of it alone, and where that is mentioned.
fn in_part<'p>(args: &Args, param: &'p Param, in_key: &[(&Expr, Variables)]) -> Option<(Span, &'p Ident)> {
    if is_state(&param.ty) {
        return None;
    }
    param.bindings.iter().filter(|name| !args.skips(name)).find_map(|name| {
        let ty = param.is_plain().then_some(&param.ty);
        let mut mentions = in_key.iter().filter(|(_, variables)| variables.depend_on(name)).peekable();
        let place = mentions.peek()?.1.place(name).unwrap_or(name.span());
        (!mentions.any(|(expr, _)| is_all_of(expr, name, ty))).then_some((place, name))
    })
}

/// Checks that a parameter does not hold more of a request than the key can tell.
fn check_whole(args: &Args, param: &Param, in_key: &[(&Expr, Variables)], errors: &Errors) -> bool {
    let Some(found) = extract(&param.ty) else { return true };
    let is_mentioned = |name: &Ident| in_key.iter().any(|(_, variables)| variables.mention(name));
    let is_fine = match found {
        _ if is_skipped(args, param) => true,
        Extract::Request | Extract::Headers => false,
        Extract::Body => args.key.is_some() && param.bindings.iter().all(|name| args.skips(name) || is_mentioned(name)),
    };
    if !is_fine {
        errors.at(param.ty.span(), refusal(found, &param.ty));
    }
    is_fine
}

/// Returns `true` for the state of the router, which is the same for all clients.
fn is_state(ty: &Type) -> bool {
    matches!(ungrouped(ty), Type::Path(path) if last(path) == "State")
}

fn left_out(name: &Ident) -> String {
    format!(
        "the key of this handler has a part of `{name}` alone, and requests that differ in the rest share a response; mention \
         all of it, as `{{{name}}}`, or say with `skip({name})` that the response does not depend on the rest"
    )
}

/// The parameter of the request's headers.
fn position(params: &[Param]) -> Option<usize> {
    let is_header_map = |ty: &Type| matches!(ungrouped(ty), Type::Path(path) if last(path) == "HeaderMap");
    params.iter().position(|param| param.is_plain() && is_header_map(&param.ty))
}

fn refusal(found: Extract, ty: &Type) -> String {
    let name = match ungrouped(ty) {
        Type::Path(path) => last(path),
        _ => spelled(ty),
    };
    match found {
        Extract::Request => format!(
            "a handler that takes the request cannot be cached, because its key cannot tell what of `{name}` the \
             response depends on; take that alone: with `Path`, `Query`, or an extractor of your own"
        ),
        Extract::Headers => format!(
            "`{name}` identifies the client, and a key would not; name the headers that the response depends on with `response` \
             and `vary(accept_language)`, or take what matters with an extractor of your own"
        ),
        Extract::Body => format!(
            "`{name}` as a parameter of a handler is the body of the request, which is no part of the address of a \
             response; take `Path` or `Query`, or mention it in `key`"
        ),
    }
}

/// The pieces of the key that `vary` adds.
pub(super) fn pieces(args: &Args, params: &[Param]) -> Vec<Piece> {
    let Some((_, names)) = &args.web.vary else { return Vec::new() };
    let Some(ident) = position(params).map(|index| &params[index].ident) else { return Vec::new() };
    let facade: syn::Path = args.krate.clone().unwrap_or_else(|| parse_quote!(::redis_cached));
    let pieces = names.iter().flat_map(|header| {
        let name = &header.name;
        let span = header.span.resolved_at(Span::mixed_site());
        let expr: Expr = parse_quote_spanned!(span=> #facade::__private::varied(&#ident, #name));
        [Piece::Text(":".to_owned()), Piece::Part(Part { label: name.clone(), value: Value::Expr(expr) })]
    });
    pieces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    #[test]
    fn the_return_types_of_handlers() {
        for (ty, expected) in [
            (parse_quote!(Json<User>), true),
            (parse_quote!(axum::response::Html<String>), true),
            (parse_quote!(Option<Json<User>>), true),
            (parse_quote!(Result<Json<User>, Error>), true),
            (parse_quote!(ApiResult<Json<User>>), true),
            (parse_quote!(Result<Option<Json<User>>, Error>), true),
            (parse_quote!(Vec<Json<User>>), false),
            (parse_quote!(Result<User, Json<Error>>), false),
            (parse_quote!(User), false),
        ] {
            let ty: Type = ty;
            assert_eq!(is_wrapper(&ty), expected, "{}", quote!(#ty));
        }
    }

    #[test]
    fn the_parameters_of_handlers() {
        for (ty, expected) in [
            (parse_quote!(axum::extract::Request), Some(Extract::Request)),
            (parse_quote!(Request<Body>), Some(Extract::Request)),
            (parse_quote!(&Request), Some(Extract::Request)),
            (parse_quote!(HeaderMap), Some(Extract::Headers)),
            (parse_quote!(Bytes), Some(Extract::Body)),
            (parse_quote!(String), Some(Extract::Body)),
            (parse_quote!(Option<Json<Filter>>), Some(Extract::Body)),
            (parse_quote!(Result<Form<Filter>, FormRejection>), Some(Extract::Body)),
            (parse_quote!(&str), None),
            (parse_quote!(&String), None),
            (parse_quote!(Path<String>), None),
            (parse_quote!(Query<Filter>), None),
            (parse_quote!(Extension<User>), None),
        ] {
            let ty: Type = ty;
            assert!(extract(&ty) == expected, "{}", quote!(#ty));
        }
    }
}
