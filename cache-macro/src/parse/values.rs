//! The values of arguments that are no spans of time.

use proc_macro2::{Span, TokenTree};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path, Token, Type, TypePath, parenthesized};

use super::closures;
use super::suggest::did_you_mean;
use crate::errors::Errors;

/// `tags = …`
#[derive(Default)]
pub(crate) struct Tags {
    /// Templates over the parameters.
    pub(crate) templates: Vec<LitStr>,
    pub(crate) of_value: Option<Expr>,
}

/// `batch(id in ids)`
pub(crate) struct Batch {
    pub(crate) keyword: Ident,
    pub(crate) id: Ident,
    pub(crate) ids: Ident,
}

/// `prefix = …`
pub(crate) enum Prefix {
    Literal(LitStr),
    Constant(Path),
}

/// `codec = …`
#[derive(Default)]
pub(crate) enum Codec {
    #[default]
    Default,
    /// `auto`, written out.
    Auto(Span),
    Bincode(Span),
    Json(Span),
    MessagePack(Span),
    /// A type that implements the trait.
    Custom(TypePath),
}

/// `compress = …`
pub(crate) struct Compress {
    pub(crate) algorithm: Algorithm,
    /// Encoded values of fewer bytes are stored as they are.
    pub(crate) threshold: Option<u32>,
    pub(crate) span: Span,
}

/// How values are compressed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Off,
    Lz4,
    Zstd,
}

impl Algorithm {
    const ALL: [Algorithm; 3] = [Algorithm::Lz4, Algorithm::Zstd, Algorithm::Off];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Algorithm::Off => "off",
            Algorithm::Lz4 => "lz4",
            Algorithm::Zstd => "zstd",
        }
    }
}

/// `single_flight = …`
#[derive(Clone, Copy)]
pub(crate) enum SingleFlight {
    Shared,
    Process,
    Off,
}

impl SingleFlight {
    pub(super) const WORDS: [(&'static str, SingleFlight); 3] =
        [("shared", SingleFlight::Shared), ("process", SingleFlight::Process), ("off", SingleFlight::Off)];
}

/// `returns = …`
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    Value,
    Option,
    Result,
}

impl Returns {
    pub(super) const WORDS: [(&'static str, Returns); 3] =
        [("value", Returns::Value), ("option", Returns::Option), ("result", Returns::Result)];
}

/// The expression inside the invisible delimiters of a macro.
pub(super) fn ungrouped(mut expr: Expr) -> Expr {
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    expr
}

pub(super) fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

pub(super) fn string(expr: Expr, form: &str) -> syn::Result<LitStr> {
    match ungrouped(expr) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => Err(syn::Error::new(other.span(), format_args!("expected a string literal: `{form}`"))),
    }
}

/// A part of a key, as text: it cannot hold the separator.
fn part(text: LitStr, errors: &Errors) -> Option<LitStr> {
    let value = text.value();
    if value.is_empty() {
        errors.at(text.span(), "this text is empty; leave the argument out to get the default");
        return None;
    }
    if value.contains(':') {
        errors.at(text.span(), "`:` separates the parts of a key; use `.` or `-` within one");
        return None;
    }
    Some(text)
}

pub(super) fn prefix(expr: Expr, errors: &Errors) -> Option<Prefix> {
    match ungrouped(expr) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => part(text, errors).map(Prefix::Literal),
        Expr::Path(path) if path.qself.is_none() => Some(Prefix::Constant(path.path)),
        other => {
            errors.at(other.span(), "expected a string literal or the path of a `&'static str` constant");
            None
        }
    }
}

pub(super) fn name(expr: Expr, form: &str, errors: &Errors) -> Option<LitStr> {
    part(errors.keep(string(expr, form))?, errors)
}

pub(super) fn version(expr: Expr) -> syn::Result<u32> {
    let expr = ungrouped(expr);
    if let Some(Lit::Int(number)) = literal(&expr)
        && let Ok(number) = number.base10_parse()
    {
        return Ok(number);
    }
    Err(syn::Error::new(expr.span(), "expected an integer from 0 to 4294967295"))
}

/// The number of entries of a local tier: a literal, or a constant.
pub(super) fn local(expr: Expr) -> syn::Result<Expr> {
    let expr = ungrouped(expr);
    let is_good = match literal(&expr) {
        Some(Lit::Int(number)) => {
            matches!(number.suffix(), "" | "usize") && number.base10_parse::<u32>().is_ok_and(|most| most > 0)
        }
        Some(_) => false,
        None => !matches!(expr, Expr::Unary(_) | Expr::Closure(_)),
    };
    if is_good {
        return Ok(expr);
    }
    Err(syn::Error::new(expr.span(), "expected the most entries that a process keeps: `local = 10_000`"))
}

/// A number that is not negative, if the expression is a literal of one.
fn number(expr: &Expr) -> Option<f64> {
    match literal(expr) {
        Some(Lit::Float(number)) => number.base10_parse().ok(),
        Some(Lit::Int(number)) => number.base10_parse().ok(),
        _ => None,
    }
}

pub(super) fn jitter(expr: Expr) -> syn::Result<f64> {
    let expr = ungrouped(expr);
    number(&expr).filter(|part| (0.0..=1.0).contains(part)).ok_or_else(|| {
        let message = "expected the part of a lifetime that may be taken off, from 0.0 to 1.0: `0.1` is up to 10 %";
        syn::Error::new(expr.span(), message)
    })
}

pub(super) fn refresh_ahead(expr: Expr) -> syn::Result<f64> {
    let expr = ungrouped(expr);
    number(&expr).filter(|&part| part > 0.0 && part < 1.0).ok_or_else(|| {
        let message = "expected the part of a lifetime after which a hit starts a refresh, \
                       between 0.0 and 1.0: `0.8` is its last fifth";
        syn::Error::new(expr.span(), message)
    })
}

pub(super) fn codec(input: ParseStream<'_>) -> syn::Result<Codec> {
    let span = input.span();
    let mut ty = input.parse();
    while let Ok(Type::Group(group)) = ty {
        ty = Ok(*group.elem);
    }
    let Ok(Type::Path(path)) = ty else {
        let message = "expected a codec: auto, bincode, json, messagepack, or a path to a type that implements `Codec`";
        return Err(syn::Error::new(span, message));
    };
    let Some(ident) = path.path.get_ident().filter(|_| path.qself.is_none()) else {
        return Ok(Codec::Custom(path));
    };
    let text = ident.to_string();
    match text.as_str() {
        "auto" => Ok(Codec::Auto(ident.span())),
        "bincode" => Ok(Codec::Bincode(ident.span())),
        "json" => Ok(Codec::Json(ident.span())),
        "messagepack" => Ok(Codec::MessagePack(ident.span())),
        _ if let Some(known) = known_codec(&text) => {
            let message = format!("write `codec = {known}`; for a type of your own write its path: `self::{text}`");
            Err(syn::Error::new(ident.span(), message))
        }
        // Types begin with a capital.
        _ if text.starts_with(char::is_lowercase) => {
            let message = format!(
                "unknown codec `{text}`{}\nknown codecs: auto, bincode, json, messagepack, or a path to a type that implements `Codec`",
                did_you_mean(&text, ["auto", "bincode", "json", "messagepack"]),
            );
            Err(syn::Error::new(ident.span(), message))
        }
        _ => Ok(Codec::Custom(path)),
    }
}

/// An algorithm, with the least bytes of a value that is compressed where text names both.
pub(super) fn compress(expr: Expr) -> syn::Result<Compress> {
    const FORMS: &str =
        "`lz4`, `zstd`, `off`, or an algorithm and the least bytes of a value that it compresses: \"lz4:4096\"";
    let expr = ungrouped(expr);
    let span = expr.span();
    let text = match &expr {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident().map(Ident::to_string),
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
        _ => None,
    };
    let Some(text) = text else { return Err(syn::Error::new(span, format_args!("expected {FORMS}"))) };
    let (name, threshold) = match text.split_once(':') {
        Some((name, threshold)) => (name, Some(threshold)),
        None => (&*text, None),
    };
    let Some(algorithm) = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == name) else {
        let nearest = did_you_mean(name, Algorithm::ALL.map(Algorithm::name));
        return Err(syn::Error::new(span, format_args!("unknown compression `{name}`{nearest}\nexpected {FORMS}")));
    };
    let threshold = match threshold {
        Some(_) if algorithm == Algorithm::Off => {
            return Err(syn::Error::new(span, "`off` compresses nothing; write `compress = off`"));
        }
        Some(threshold) => Some(threshold.parse().map_err(|_| {
            syn::Error::new(span, format_args!("`{threshold}` is no number of bytes below 4 GiB; expected {FORMS}"))
        })?),
        None => None,
    };
    Ok(Compress { algorithm, threshold, span })
}

/// The codec that another spelling, or the name of its type, stands for.
fn known_codec(text: &str) -> Option<&'static str> {
    let codec = match text.to_ascii_lowercase().replace('_', "").as_str() {
        "auto" => "auto",
        "bincode" => "bincode",
        "json" | "serdejson" => "json",
        "messagepack" | "msgpack" | "rmp" | "rmpserde" => "messagepack",
        _ => return None,
    };
    Some(codec)
}

pub(super) fn cache_if(expr: Expr, errors: &Errors) -> syn::Result<Expr> {
    match ungrouped(expr) {
        expr @ (Expr::Closure(_) | Expr::Path(_)) => {
            closures::check(&expr, errors);
            Ok(expr)
        }
        other => Err(syn::Error::new(
            other.span(),
            "expected a closure of the value, or the path of a function: `cache_if = |value| …`",
        )),
    }
}

pub(super) fn tags(expr: Expr, form: &str, errors: &Errors) -> Tags {
    let mut tags = Tags::default();
    let given = match ungrouped(expr) {
        Expr::Array(array) if array.elems.is_empty() => {
            errors.at(
                array.span(),
                format_args!("the list has no tag; write one, as in `{form}`, or leave the argument out"),
            );
            return tags;
        }
        Expr::Array(array) => array.elems.into_iter().map(ungrouped).collect(),
        one => vec![one],
    };
    for tag in given {
        match tag {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
                if tags.templates.iter().any(|before| before.value() == text.value()) {
                    errors.at(text.span(), "this tag is given twice");
                }
                tags.templates.push(text);
            }
            Expr::Closure(_) | Expr::Path(_) if tags.of_value.is_some() => {
                errors.at(tag.span(), "a second function of the value; one is enough, it returns any number of tags");
            }
            Expr::Closure(_) | Expr::Path(_) => {
                closures::check(&tag, errors);
                tags.of_value = Some(tag);
            }
            other => {
                let message = format!(
                    "expected a string literal, as in `{form}`, a closure of the value that returns its tags, \
                     or the path of such a function"
                );
                errors.at(other.span(), message);
            }
        }
    }
    tags
}

/// Parses a word of `known`.
pub(super) fn word<T: Copy>(input: ParseStream<'_>, known: &[(&str, T)]) -> syn::Result<T> {
    let span = input.span();
    let found = input.call(Ident::parse_any).ok().and_then(|ident| known.iter().find(|(word, _)| ident == word));
    found.map(|&(_, value)| value).ok_or_else(|| {
        let words = known.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>();
        syn::Error::new(span, format_args!("expected {}", words.join(" or ")))
    })
}

/// A name as a parameter spells it, raw or not: `type` is `r#type` there.
fn as_parameter(name: &Ident) -> Ident {
    let text = name.unraw().to_string();
    // These have no raw form.
    let is_path = ["self", "Self", "super", "crate", "_"].contains(&text.as_str());
    let is_keyword = !is_path && syn::parse_str::<Ident>(&text).is_err();
    if is_keyword { Ident::new_raw(&text, name.span()) } else { Ident::new(&text, name.span()) }
}

pub(super) fn skip(keyword: &Ident, input: ParseStream<'_>, errors: &Errors) -> syn::Result<Vec<Ident>> {
    let content;
    parenthesized!(content in input);
    let mut names: Vec<Ident> = Vec::new();
    if content.is_empty() {
        errors.at(keyword.span(), "`skip()` names no parameter");
    }
    while !content.is_empty() {
        let name = content.call(Ident::parse_any).ok().filter(|_| content.is_empty() || content.peek(Token![,]));
        match name {
            Some(name) if names.contains(&as_parameter(&name)) => {
                errors.at(name.span(), format_args!("`{name}` is skipped twice"))
            }
            Some(name) => names.push(as_parameter(&name)),
            None => {
                errors.add(content.error("expected the name of a parameter"));
                recover(&content)?;
            }
        }
        content.parse::<Option<Token![,]>>()?;
    }
    Ok(names)
}

pub(super) fn batch(keyword: Ident, input: ParseStream<'_>, form: &str, errors: &Errors) -> syn::Result<Option<Batch>> {
    let content;
    parenthesized!(content in input);
    let names = (|| {
        let id = content.parse()?;
        content.parse::<Token![in]>()?;
        let ids = content.parse()?;
        if content.is_empty() { Ok((id, ids)) } else { Err(content.error("")) }
    })();
    let names = names.map_err(|error: syn::Error| {
        let message = format!("expected a name for one, `in`, and the parameter that holds many: `{form}`");
        syn::Error::new(error.span(), message)
    });
    while !content.is_empty() {
        content.parse::<TokenTree>()?;
    }
    Ok(errors.keep(names).map(|(id, ids)| Batch { keyword, id, ids }))
}

/// Skips the rest of a broken argument.
pub(super) fn recover(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}
