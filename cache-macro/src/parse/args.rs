//! The attribute's arguments, as they are written: each is checked as far as that takes no look
//! at the function.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitStr, Path, Token, Type, TypePath, UnOp, parenthesized};

use super::suggest::did_you_mean;
use super::{closures, duration, rivals};
use crate::errors::Errors;
use crate::syntax::place;

/// All arguments, absent ones included.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) ttl: Option<Lifetime>,
    pub(crate) prefix: Option<Prefix>,
    pub(crate) name: Option<LitStr>,
    pub(crate) key: Option<LitStr>,
    /// Names of parameters, `self` among them.
    pub(crate) skip: Vec<Ident>,
    pub(crate) version: u32,
    pub(crate) codec: Codec,
    pub(crate) cache: Option<Expr>,
    pub(crate) cache_if: Option<Expr>,
    pub(crate) none_ttl: Option<(Ident, Lifetime)>,
    pub(crate) jitter: Option<(Ident, f64)>,
    pub(crate) refresh_ahead: Option<(Ident, f64)>,
    pub(crate) stale_while_revalidate: Option<(Ident, Lifetime)>,
    pub(crate) stale_if_error: Option<(Ident, Lifetime)>,
    pub(crate) single_flight: Option<SingleFlight>,
    pub(crate) lease: Option<Lifetime>,
    pub(crate) wait: Option<(Ident, Lifetime)>,
    pub(crate) group: Option<LitStr>,
    pub(crate) tags: Tags,
    pub(crate) batch: Option<Batch>,
    pub(crate) share_errors: Option<(Ident, bool)>,
    pub(crate) returns: Option<(Ident, Returns)>,
    pub(crate) siblings: bool,
    pub(crate) krate: Option<Path>,
    /// Whether `Self` is mentioned anywhere, as it can be in a block alone.
    pub(crate) mention_self: bool,
}

/// `ttl = …`, `none_ttl = …`, and other spans of time.
pub(crate) enum Lifetime {
    Milliseconds(u64),
    Forever,
    /// A `Duration` or an integer number of seconds.
    Constant(Expr),
    /// Of the value.
    Closure(Expr),
}

impl Lifetime {
    /// What the user wrote, where it is no literal.
    pub(crate) fn expr(&self) -> Option<&Expr> {
        match self {
            Lifetime::Constant(expr) | Lifetime::Closure(expr) => Some(expr),
            Lifetime::Milliseconds(_) | Lifetime::Forever => None,
        }
    }
}

/// `tags = …`
#[derive(Default)]
pub(crate) struct Tags {
    /// Over the parameters.
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
    /// What the default is, written out.
    Auto(Span),
    Bincode(Span),
    Json(Span),
    MessagePack(Span),
    /// A type that implements the trait.
    Custom(TypePath),
}

/// `single_flight = …`
#[derive(Clone, Copy)]
pub(crate) enum SingleFlight {
    Shared,
    Process,
    Off,
}

/// `returns = …`
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Returns {
    Value,
    Option,
    Result,
}

/// How each argument is written, for messages.
const FORMS: [(&str, &str); 24] = [
    ("ttl", "ttl = 600"),
    ("prefix", "prefix = \"shop\""),
    ("name", "name = \"user\""),
    ("key", "key = \"user:{id}\""),
    ("skip", "skip(db)"),
    ("version", "version = 2"),
    ("codec", "codec = json"),
    ("cache", "cache = self.cache"),
    ("cache_if", "cache_if = |value| …"),
    ("none_ttl", "none_ttl = \"30s\""),
    ("jitter", "jitter = 0.1"),
    ("refresh_ahead", "refresh_ahead = 0.8"),
    ("stale_while_revalidate", "stale_while_revalidate = \"30s\""),
    ("stale_if_error", "stale_if_error = \"1h\""),
    ("single_flight", "single_flight = process"),
    ("lease", "lease = \"10s\""),
    ("wait", "wait = \"1m\""),
    ("group", "group = \"class:{class_id}\""),
    ("tags", "tags = [\"org:{org_id}\"]"),
    ("batch", "batch(id in ids)"),
    ("share_errors", "share_errors = off"),
    ("returns", "returns = result"),
    ("siblings", "siblings = off"),
    ("crate", "crate = ::path"),
];

impl Args {
    pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Args {
        let mention_self = place::mentioned_in_args(&tokens);
        let mut args = Args { siblings: true, mention_self, ..Args::default() };
        let parser = |input: ParseStream<'_>| {
            let mut seen: Vec<String> = Vec::new();
            while !input.is_empty() {
                if errors.keep(args.one(input, &mut seen, errors)).is_none() {
                    recover(input)?;
                }
                if !input.is_empty() && errors.keep(separator(input)).is_none() {
                    recover(input)?;
                    input.parse::<Option<Token![,]>>()?;
                }
            }
            Ok(())
        };
        errors.keep(parser.parse2(tokens));
        if let (Some(SingleFlight::Off), Some((keyword, _))) = (args.single_flight, &args.wait) {
            errors.at(keyword.span(), "with `single_flight = off` no call waits for another; remove `wait`");
        }
        args.check_forever(errors);
        args
    }

    /// What has no effect on values that live for ever.
    fn check_forever(&self, errors: &Errors) {
        // A `None` has a lifetime of its own.
        let ends = |(_, lifetime): &(Ident, Lifetime)| !matches!(lifetime, Lifetime::Forever);
        if !matches!(self.ttl, Some(Lifetime::Forever)) || self.none_ttl.as_ref().is_some_and(ends) {
            return;
        }
        let without_effect = [
            self.jitter.as_ref().map(|(keyword, _)| keyword),
            self.refresh_ahead.as_ref().map(|(keyword, _)| keyword),
            self.stale_while_revalidate.as_ref().map(|(keyword, _)| keyword),
            self.stale_if_error.as_ref().map(|(keyword, _)| keyword),
        ];
        for keyword in without_effect.into_iter().flatten() {
            let message = format!("with `ttl = forever` no value expires; give a lifetime, or remove `{keyword}`");
            errors.at(keyword.span(), message);
        }
    }

    /// Parses one argument. An error that it returns leaves the rest of the argument unread.
    fn one(&mut self, input: ParseStream<'_>, seen: &mut Vec<String>, errors: &Errors) -> syn::Result<()> {
        if !input.peek(Ident::peek_any) {
            let forms = "expected `argument = value`, such as `ttl = 600` or `ttl = \"10m\"`";
            let given = input.fork().parse::<Lit>().ok().filter(|lit| matches!(lit, Lit::Int(_) | Lit::Str(_)));
            let message = given.map_or_else(
                || forms.to_owned(),
                |lit| format!("{forms}; is `ttl = {}` meant?", lit.to_token_stream()),
            );
            return Err(input.error(message));
        }
        let keyword = input.call(Ident::parse_any)?;
        let text = keyword.to_string();
        let Some(&(_, form)) = FORMS.iter().find(|(known, _)| *known == text) else {
            let known = FORMS.map(|(known, _)| known);
            if let Some(advice) = rivals::advice(&text) {
                return Err(syn::Error::new(keyword.span(), format_args!("unknown argument `{text}`: {advice}")));
            }
            let message = format!(
                "unknown argument `{text}`{}\nknown arguments: {}",
                did_you_mean(&text, known),
                known.join(", ")
            );
            return Err(syn::Error::new(keyword.span(), message));
        };
        if seen.contains(&text) {
            errors.at(keyword.span(), format_args!("`{text}` is given twice"));
        }
        if ["skip", "batch"].contains(&text.as_str()) {
            if !input.peek(syn::token::Paren) {
                return Err(syn::Error::new(keyword.span(), format_args!("write `{form}`")));
            }
            if text == "skip" {
                self.skip.append(&mut skip(&keyword, input, errors)?);
            } else {
                self.batch = batch(keyword, input, form, errors)?;
            }
            seen.push(text);
            return Ok(());
        }
        if !input.peek(Token![=]) {
            return Err(syn::Error::new(keyword.span(), format_args!("write `{form}`")));
        }
        input.parse::<Token![=]>()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(syn::Error::new(keyword.span(), format_args!("write `{form}`")));
        }
        match text.as_str() {
            "ttl" => self.ttl = lifetime(input.parse()?, &OF_VALUES, errors),
            "prefix" => self.prefix = prefix(input.parse()?, errors),
            "name" => self.name = name(input.parse()?, errors),
            "key" => self.key = errors.keep(string(input.parse()?, form)),
            "version" => self.version = errors.keep(version(input.parse()?)).unwrap_or_default(),
            "codec" => self.codec = codec(input)?,
            "cache" => self.cache = Some(input.parse()?),
            "cache_if" => self.cache_if = errors.keep(cache_if(input.parse()?, errors)),
            "none_ttl" => self.none_ttl = none_ttl(keyword, input.parse()?, errors),
            "jitter" => self.jitter = errors.keep(jitter(input.parse()?)).map(|part| (keyword, part)),
            "refresh_ahead" => {
                self.refresh_ahead = errors.keep(refresh_ahead(input.parse()?)).map(|part| (keyword, part));
            }
            "stale_while_revalidate" => self.stale_while_revalidate = stale(keyword, input.parse()?, form, errors),
            "stale_if_error" => self.stale_if_error = stale(keyword, input.parse()?, form, errors),
            "single_flight" => {
                let words =
                    [("shared", SingleFlight::Shared), ("process", SingleFlight::Process), ("off", SingleFlight::Off)];
                self.single_flight = Some(word(input, &words)?);
            }
            "lease" => self.lease = lease(input.parse()?, errors),
            "wait" => self.wait = wait(keyword, input.parse()?, errors),
            "group" => self.group = errors.keep(string(input.parse()?, form)),
            "tags" => self.tags = tags(input.parse()?, form, errors),
            "share_errors" => {
                let on = word(input, &[("on", true), ("off", false)])?;
                self.share_errors = Some((keyword, on));
            }
            "returns" => {
                let words = [("value", Returns::Value), ("option", Returns::Option), ("result", Returns::Result)];
                let returns = word(input, &words)?;
                self.returns = Some((keyword, returns));
            }
            "siblings" => self.siblings = word(input, &[("on", true), ("off", false)])?,
            _ => {
                let span = input.span();
                let path = input.call(Path::parse_mod_style);
                self.krate = Some(path.map_err(|_| syn::Error::new(span, format_args!("expected a path: `{form}`")))?);
            }
        }
        seen.push(text);
        Ok(())
    }
}

/// The `,` behind an argument.
fn separator(input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![,]) {
        return input.parse::<Token![,]>().map(drop);
    }
    Err(input.error("expected `,`"))
}

/// Goes on behind a broken argument.
fn recover(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(())
}

/// What a macro put between invisible delimiters.
fn ungrouped(mut expr: Expr) -> Expr {
    while let Expr::Group(group) = expr {
        expr = *group.expr;
    }
    expr
}

fn literal(expr: &Expr) -> Option<&Lit> {
    match expr {
        Expr::Lit(ExprLit { lit, .. }) => Some(lit),
        _ => None,
    }
}

fn string(expr: Expr, form: &str) -> syn::Result<LitStr> {
    match ungrouped(expr) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Ok(text),
        other => Err(syn::Error::new(other.span(), format_args!("expected a string literal: `{form}`"))),
    }
}

/// The suffix of a number that says its type.
fn is_number_type(suffix: &str) -> bool {
    let types = ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize"];
    types.contains(&suffix)
}

/// What to say of a span of time that cannot be.
struct Words {
    zero: &'static str,
    too_large: &'static str,
    forms: &'static str,
}

const OF_VALUES: Words = Words {
    zero: "a lifetime of zero stores nothing",
    too_large: "too large; for values that never expire write `forever`",
    forms: "write seconds (`600`), a text (`\"10m\"`), a constant, `forever`, or a closure of the value",
};

const OF_STALE_VALUES: Words = Words {
    zero: "for no stale values leave the argument out",
    too_large: "too large; for stale values without a limit write `forever`",
    forms: "write seconds (`600`), a text (`\"10m\"`), a constant, or `forever`",
};

const OF_LEASES: Words = Words {
    zero: "shorter than 100 ms would be lost to a slow reply; write `\"100ms\"` or more",
    too_large: "longer than 10 minutes would keep all callers waiting for one that crashed; write `\"10m\"` or less",
    forms: "write seconds (`10`), a text (`\"10s\"`), or a constant",
};

const OF_WAITS: Words = Words {
    zero: "for calls that wait for no other write `single_flight = off`",
    too_large: "longer than an hour would keep calls waiting for a body that hangs; write `\"1h\"` or less",
    forms: "write seconds (`60`), a text (`\"1m\"`), or a constant",
};

fn lifetime(expr: Expr, words: &Words, errors: &Errors) -> Option<Lifetime> {
    let expr = ungrouped(expr);
    match &expr {
        Expr::Path(path) if path.path.is_ident("forever") => Some(Lifetime::Forever),
        Expr::Closure(_) => {
            closures::check(&expr, errors);
            Some(Lifetime::Closure(expr))
        }
        Expr::Lit(ExprLit { lit: Lit::Int(seconds), .. }) if !seconds.suffix().is_empty() => {
            let (digits, suffix) = (seconds.base10_digits(), seconds.suffix());
            let message = match duration::milliseconds(&seconds.to_string()) {
                Ok(_) => format!("a lifetime with a unit is text: write `\"{seconds}\"`"),
                Err(_) if is_number_type(suffix) => format!("a number of seconds has no type: write `{digits}`"),
                Err(_) => {
                    format!("unknown unit; write seconds (`{digits}`), or a text with ms, s, m, h or d (`\"10m\"`)")
                }
            };
            errors.at(seconds.span(), message);
            None
        }
        Expr::Lit(ExprLit { lit: Lit::Int(seconds), .. }) => {
            match seconds.base10_parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000)) {
                Some(0) => errors.at(seconds.span(), words.zero),
                Some(milliseconds) => return Some(Lifetime::Milliseconds(milliseconds)),
                None => errors.at(seconds.span(), words.too_large),
            }
            None
        }
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => match text.value().as_str() {
            "forever" => Some(Lifetime::Forever),
            value => match duration::milliseconds(value) {
                Ok(milliseconds) => Some(Lifetime::Milliseconds(milliseconds)),
                Err(wrong) => {
                    let message = match wrong {
                        duration::Wrong::Zero => words.zero,
                        duration::Wrong::TooLarge => words.too_large,
                        duration::Wrong::Form(message) => message,
                    };
                    match duration::whole(value) {
                        Some(instead) => errors.at(
                            text.span(),
                            format_args!("a span of time has whole numbers of ms, s, m, h or d: write `\"{instead}\"`"),
                        ),
                        None => errors.at(text.span(), message),
                    }
                    None
                }
            },
        },
        Expr::Lit(ExprLit { lit: Lit::Float(float), .. }) => {
            let instead = duration::whole(&format!("{}s", float.base10_digits()));
            let instead = instead.unwrap_or_else(|| "250ms".to_owned());
            let message = format!("a number is whole seconds; write fractions as text, such as `\"{instead}\"`");
            errors.at(float.span(), message);
            None
        }
        Expr::Lit(other) => {
            errors.at(other.span(), words.forms);
            None
        }
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            errors.at(unary.span(), "a lifetime cannot be negative");
            None
        }
        _ => Some(Lifetime::Constant(expr)),
    }
}

fn none_ttl(keyword: Ident, expr: Expr, errors: &Errors) -> Option<(Ident, Lifetime)> {
    match lifetime(expr, &OF_VALUES, errors)? {
        Lifetime::Closure(closure) => {
            let message = "there is nothing in a `None` to look at; write a lifetime, such as `none_ttl = \"30s\"`";
            errors.at(closure.span(), message);
            None
        }
        lifetime => Some((keyword, lifetime)),
    }
}

fn stale(keyword: Ident, expr: Expr, form: &str, errors: &Errors) -> Option<(Ident, Lifetime)> {
    match lifetime(expr, &OF_STALE_VALUES, errors)? {
        Lifetime::Closure(closure) => {
            let message = format!("this is the same for every value; write a span of time, such as `{form}`");
            errors.at(closure.span(), message);
            None
        }
        lifetime => Some((keyword, lifetime)),
    }
}

fn lease(expr: Expr, errors: &Errors) -> Option<Lifetime> {
    let span = expr.span();
    let message = match lifetime(expr, &OF_LEASES, errors)? {
        Lifetime::Milliseconds(..100) => OF_LEASES.zero,
        Lifetime::Milliseconds(600_001..) => OF_LEASES.too_large,
        Lifetime::Forever => "a lease that never ends would outlive a caller that crashed; write `\"10m\"` or less",
        Lifetime::Closure(_) => "there is no value yet to look at; write a span of time, such as `lease = \"10s\"`",
        lifetime => return Some(lifetime),
    };
    errors.at(span, message);
    None
}

fn wait(keyword: Ident, expr: Expr, errors: &Errors) -> Option<(Ident, Lifetime)> {
    let span = expr.span();
    let message = match lifetime(expr, &OF_WAITS, errors)? {
        Lifetime::Milliseconds(3_600_001..) => OF_WAITS.too_large,
        Lifetime::Forever => "calls would wait without end for a body that hangs; write `\"1h\"` or less",
        Lifetime::Closure(_) => "there is no value yet to look at; write a span of time, such as `wait = \"1m\"`",
        lifetime => return Some((keyword, lifetime)),
    };
    errors.at(span, message);
    None
}

/// One part of a key, as text: it cannot hold the separator.
fn part(text: LitStr, errors: &Errors) -> Option<LitStr> {
    let value = text.value();
    if value.is_empty() {
        errors.at(text.span(), "empty; leave the argument out to get the default");
        return None;
    }
    if value.contains(':') {
        errors.at(text.span(), "`:` separates the parts of a key; use `.` or `-` within one");
        return None;
    }
    Some(text)
}

fn prefix(expr: Expr, errors: &Errors) -> Option<Prefix> {
    match ungrouped(expr) {
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => part(text, errors).map(Prefix::Literal),
        Expr::Path(path) if path.qself.is_none() => Some(Prefix::Constant(path.path)),
        other => {
            errors.at(other.span(), "expected a string literal or the path of a `&'static str` constant");
            None
        }
    }
}

fn name(expr: Expr, errors: &Errors) -> Option<LitStr> {
    part(errors.keep(string(expr, "name = \"user\""))?, errors)
}

fn version(expr: Expr) -> syn::Result<u32> {
    let expr = ungrouped(expr);
    if let Some(Lit::Int(number)) = literal(&expr)
        && let Ok(number) = number.base10_parse()
    {
        return Ok(number);
    }
    Err(syn::Error::new(expr.span(), "expected an integer from 0 to 4294967295"))
}

/// A number from zero up, as far as it is written as one.
fn number(expr: &Expr) -> Option<f64> {
    match literal(expr) {
        Some(Lit::Float(number)) => number.base10_parse().ok(),
        Some(Lit::Int(number)) => number.base10_parse().ok(),
        _ => None,
    }
}

fn jitter(expr: Expr) -> syn::Result<f64> {
    let expr = ungrouped(expr);
    number(&expr).filter(|part| (0.0..=1.0).contains(part)).ok_or_else(|| {
        let message = "expected the part of a lifetime that may be taken off, from 0.0 to 1.0: `0.1` is up to 10 %";
        syn::Error::new(expr.span(), message)
    })
}

fn refresh_ahead(expr: Expr) -> syn::Result<f64> {
    let expr = ungrouped(expr);
    number(&expr).filter(|&part| part > 0.0 && part < 1.0).ok_or_else(|| {
        let message = "expected the part of a lifetime after which a hit starts a refresh, \
                       between 0.0 and 1.0: `0.8` is its last fifth";
        syn::Error::new(expr.span(), message)
    })
}

fn codec(input: ParseStream<'_>) -> syn::Result<Codec> {
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

/// The codec that a type is called by, or another spelling.
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

fn cache_if(expr: Expr, errors: &Errors) -> syn::Result<Expr> {
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

fn tags(expr: Expr, form: &str, errors: &Errors) -> Tags {
    let mut tags = Tags::default();
    let given = match ungrouped(expr) {
        Expr::Array(array) if array.elems.is_empty() => {
            errors.at(array.span(), format_args!("no tag; write one, as in `{form}`, or leave the argument out"));
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

/// One of the words of `known`.
fn word<T: Copy>(input: ParseStream<'_>, known: &[(&str, T)]) -> syn::Result<T> {
    let span = input.span();
    let found = input.call(Ident::parse_any).ok().and_then(|ident| known.iter().find(|(word, _)| ident == word));
    found.map(|&(_, value)| value).ok_or_else(|| {
        let words = known.iter().map(|(word, _)| format!("`{word}`")).collect::<Vec<_>>();
        syn::Error::new(span, format_args!("expected {}", words.join(" or ")))
    })
}

/// A name as its parameter has it, raw or not: `type` is `r#type` there.
fn as_parameter(name: &Ident) -> Ident {
    let text = name.unraw().to_string();
    // These have no raw form.
    let is_path = ["self", "Self", "super", "crate", "_"].contains(&text.as_str());
    let is_keyword = !is_path && syn::parse_str::<Ident>(&text).is_err();
    if is_keyword { Ident::new_raw(&text, name.span()) } else { Ident::new(&text, name.span()) }
}

fn skip(keyword: &Ident, input: ParseStream<'_>, errors: &Errors) -> syn::Result<Vec<Ident>> {
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

fn batch(keyword: Ident, input: ParseStream<'_>, form: &str, errors: &Errors) -> syn::Result<Option<Batch>> {
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
        content.parse::<proc_macro2::TokenTree>()?;
    }
    Ok(errors.keep(names).map(|(id, ids)| Batch { keyword, id, ids }))
}
