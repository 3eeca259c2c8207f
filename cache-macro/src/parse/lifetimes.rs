//! The values of arguments that are spans of time.

use syn::spanned::Spanned;
use syn::{Expr, ExprLit, Ident, Lit, LitFloat, LitInt, LitStr, UnOp};

use super::values::ungrouped;
use super::{closures, duration};
use crate::errors::Errors;

/// `ttl = …`, `none_ttl = …`, and other spans of time.
pub(crate) enum Lifetime {
    Milliseconds(u64),
    Forever,
    /// A `Duration` or an integer number of seconds.
    Constant(Expr),
    /// A closure of the value.
    Closure(Expr),
}

impl Lifetime {
    /// The expression that the user wrote, if it is no literal.
    pub(crate) fn expr(&self) -> Option<&Expr> {
        match self {
            Lifetime::Constant(expr) | Lifetime::Closure(expr) => Some(expr),
            Lifetime::Milliseconds(_) | Lifetime::Forever => None,
        }
    }
}

/// The suffix of a number that says its type.
fn is_number_type(suffix: &str) -> bool {
    let types = ["u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize"];
    types.contains(&suffix)
}

/// The messages about a span of time that is refused.
struct Words {
    zero: &'static str,
    too_large: &'static str,
    forms: &'static str,
}

const OF_VALUES: Words = Words {
    zero: "a lifetime of zero stores nothing",
    too_large: "this lifetime is too large; for values that never expire write `forever`",
    forms: "write seconds (`600`), a text (`\"10m\"`), a constant, `forever`, or a closure of the value",
};

const OF_STALE_VALUES: Words = Words {
    zero: "zero means no stale values; leave the argument out",
    too_large: "this span of time is too large; for stale values without a limit write `forever`",
    forms: "write seconds (`600`), a text (`\"10m\"`), a constant, or `forever`",
};

const OF_LEASES: Words = Words {
    zero: "a lease shorter than 100 ms would be lost to a slow reply; write `\"100ms\"` or more",
    too_large: "a lease longer than 10 minutes would keep all callers waiting for one that crashed; write `\"10m\"` or less",
    forms: "write seconds (`10`), a text (`\"10s\"`), or a constant",
};

const OF_WAITS: Words = Words {
    zero: "zero means that calls do not wait for each other; write `single_flight = off`",
    too_large: "a wait longer than an hour would keep calls waiting for a body that hangs; write `\"1h\"` or less",
    forms: "write seconds (`60`), a text (`\"1m\"`), or a constant",
};

/// The lifetime of a value: `ttl = …`.
pub(super) fn lifetime_of_values(expr: Expr, errors: &Errors) -> Option<Lifetime> {
    lifetime(expr, &OF_VALUES, errors)
}

fn lifetime(expr: Expr, words: &Words, errors: &Errors) -> Option<Lifetime> {
    let expr = ungrouped(expr);
    match &expr {
        Expr::Path(path) if path.path.is_ident("forever") => Some(Lifetime::Forever),
        Expr::Closure(_) => {
            closures::check(&expr, errors);
            Some(Lifetime::Closure(expr))
        }
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Int(seconds) => of_seconds(seconds, words, errors),
            Lit::Str(text) => of_text(text, words, errors),
            Lit::Float(number) => {
                errors.at(number.span(), not_whole(number));
                None
            }
            other => {
                errors.at(other.span(), words.forms);
                None
            }
        },
        Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
            errors.at(unary.span(), "a lifetime cannot be negative");
            None
        }
        _ => Some(Lifetime::Constant(expr)),
    }
}

/// `600`
fn of_seconds(seconds: &LitInt, words: &Words, errors: &Errors) -> Option<Lifetime> {
    if !seconds.suffix().is_empty() {
        errors.at(seconds.span(), no_suffix(seconds));
        return None;
    }
    match seconds.base10_parse::<u64>().ok().and_then(|seconds| seconds.checked_mul(1000)) {
        Some(0) => errors.at(seconds.span(), words.zero),
        Some(milliseconds) => return Some(Lifetime::Milliseconds(milliseconds)),
        None => errors.at(seconds.span(), words.too_large),
    }
    None
}

/// The message for `10m` or `600u64`.
fn no_suffix(seconds: &LitInt) -> String {
    let digits = seconds.base10_digits();
    match duration::milliseconds(&seconds.to_string()) {
        Ok(_) => format!("a lifetime with a unit is text: write `\"{seconds}\"`"),
        Err(_) if is_number_type(seconds.suffix()) => format!("a number of seconds has no type: write `{digits}`"),
        Err(_) => format!("unknown unit; write seconds (`{digits}`), or a text with ms, s, m, h or d (`\"10m\"`)"),
    }
}

/// The message for `0.25`.
fn not_whole(number: &LitFloat) -> String {
    let instead = duration::whole(&format!("{}s", number.base10_digits()));
    let instead = instead.unwrap_or_else(|| "250ms".to_owned());
    format!("a number is whole seconds; write fractions as text, such as `\"{instead}\"`")
}

/// `"10m"`
fn of_text(text: &LitStr, words: &Words, errors: &Errors) -> Option<Lifetime> {
    let value = text.value();
    if value == "forever" {
        return Some(Lifetime::Forever);
    }
    let wrong = match duration::milliseconds(&value) {
        Ok(milliseconds) => return Some(Lifetime::Milliseconds(milliseconds)),
        Err(wrong) => wrong,
    };
    match (duration::whole(&value), wrong) {
        (Some(instead), _) => errors.at(
            text.span(),
            format_args!("a span of time has whole numbers of ms, s, m, h or d: write `\"{instead}\"`"),
        ),
        (None, duration::Wrong::Zero) => errors.at(text.span(), words.zero),
        (None, duration::Wrong::TooLarge) => errors.at(text.span(), words.too_large),
        (None, duration::Wrong::Form(message)) => errors.at(text.span(), message),
    }
    None
}

pub(super) fn none_ttl(keyword: Ident, expr: Expr, errors: &Errors) -> Option<(Ident, Lifetime)> {
    match lifetime(expr, &OF_VALUES, errors)? {
        Lifetime::Closure(closure) => {
            let message = "there is nothing in a `None` to look at; write a lifetime, such as `none_ttl = \"30s\"`";
            errors.at(closure.span(), message);
            None
        }
        lifetime => Some((keyword, lifetime)),
    }
}

pub(super) fn stale(keyword: Ident, expr: Expr, form: &str, errors: &Errors) -> Option<(Ident, Lifetime)> {
    match lifetime(expr, &OF_STALE_VALUES, errors)? {
        Lifetime::Closure(closure) => {
            let message = format!("this is the same for every value; write a span of time, such as `{form}`");
            errors.at(closure.span(), message);
            None
        }
        lifetime => Some((keyword, lifetime)),
    }
}

pub(super) fn lease(expr: Expr, errors: &Errors) -> Option<Lifetime> {
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

pub(super) fn wait(keyword: Ident, expr: Expr, errors: &Errors) -> Option<(Ident, Lifetime)> {
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
