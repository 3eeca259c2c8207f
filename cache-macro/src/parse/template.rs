//! `key = "user:{req.user_id}"`: text with expressions in braces.

use std::fmt::Display;
use std::ops::Range;

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Expr, Ident, LitStr};

use crate::errors::Errors;

/// A part of a template.
pub(crate) enum Piece {
    Text(String),
    Placeholder {
        /// The expression as it is written, for messages.
        text: String,
        expr: Expr,
    },
}

/// The purpose of a template.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Key,
    Group,
    Tag,
}

impl Of {
    /// The name of the purpose in messages, and an example to copy.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Of::Key => ("key", "user:{id}"),
            Of::Group => ("group", "class:{class_id}"),
            Of::Tag => ("tag", "org:{org_id}"),
        }
    }
}

/// Splits a template. An error is reported at the literal, or at the very piece if the compiler can
/// point into the literal.
pub(crate) fn parse(literal: &LitStr, of: Of, errors: &Errors) -> Option<Vec<Piece>> {
    let value = literal.value();
    let mut parser = Parser {
        what: of.words().0,
        value: &value,
        spans: Spans::of(literal, &value),
        errors,
        is_fine: true,
        pieces: Vec::new(),
        text: String::new(),
    };
    parser.check_start(of);
    let mut at = 0;
    while let Some(c) = value[at..].chars().next() {
        at = parser.read(c, at);
    }
    parser.end_text();
    parser.is_fine.then_some(parser.pieces)
}

struct Parser<'a> {
    /// The name of the template's purpose.
    what: &'static str,
    value: &'a str,
    spans: Spans<'a>,
    errors: &'a Errors,
    /// Nothing was refused.
    is_fine: bool,
    pieces: Vec<Piece>,
    /// The text since the last piece.
    text: String,
}

impl Parser<'_> {
    fn refuse(&mut self, span: Span, message: impl Display) {
        self.errors.at(span, message);
        self.is_fine = false;
    }

    fn check_start(&mut self, of: Of) {
        let (what, example) = of.words();
        let all = self.spans.literal.span();
        if self.value.is_empty() {
            self.refuse(all, format_args!("an empty {what}; write one such as \"{example}\""));
        }
        if self.value.starts_with(':') && of != Of::Tag {
            self.refuse(all, "the prefix and a `:` come in front by themselves; remove the leading `:`");
        }
        if self.value.starts_with('#') && of != Of::Tag {
            self.refuse(all, format_args!("a {what} that begins with `#` is reserved; begin with a word"));
        }
    }

    /// Reads what begins with the character at an offset; returns the offset after it.
    fn read(&mut self, c: char, at: usize) -> usize {
        let what = self.what;
        let next = at + c.len_utf8();
        let is_doubled = self.value[next..].starts_with(c);
        match c {
            '{' | '}' if is_doubled => {
                self.text.push(c);
                return next + 1;
            }
            '}' => {
                let message = format_args!("unmatched `}}`; a brace that is part of the {what} is written `}}}}`");
                self.refuse(self.spans.at(at..next), message);
            }
            '{' => {
                if let Some(length) = placeholder_len(&self.value[next..]) {
                    self.placeholder(next..next + length);
                    return next + length + 1;
                }
                let message = format_args!("unclosed `{{`; a brace that is part of the {what} is written `{{{{`");
                self.refuse(self.spans.at(at..next), message);
                return self.value.len();
            }
            _ if c.is_whitespace() || c.is_control() => {
                let message = format_args!("a {what} must not contain white space; write `_` or `-`");
                self.refuse(self.spans.at(at..next), message);
            }
            _ => self.text.push(c),
        }
        next
    }

    /// Reads the placeholder between two braces.
    fn placeholder(&mut self, inner: Range<usize>) {
        let source = &self.value[inner.clone()];
        let span = self.spans.at(inner);
        if matches!(self.pieces.last(), Some(Piece::Placeholder { .. })) && !self.text.contains(':') {
            let what = self.what;
            let message = format_args!(
                "two placeholders need a `:` between them: without it, \
                 `1` and `23` would share a {what} with `12` and `3`"
            );
            self.refuse(span, message);
        }
        self.end_text();
        match expression(source, span) {
            Ok(expr) => self.pieces.push(Piece::Placeholder { text: source.trim().to_owned(), expr }),
            Err(message) => self.refuse(span, message),
        }
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        }
    }
}

/// A further line of a message, about text that looks like a placeholder for `name` and is none.
pub(crate) fn hint(template: &str, name: &Ident) -> String {
    let plain = name.unraw();
    let doubled = format!("{{{{{plain}}}}}");
    let positional = |text: &str| {
        let (inside, _) = text.split_once('}')?;
        (!inside.is_empty() && inside.bytes().all(|byte| byte.is_ascii_digit())).then(|| format!("{{{inside}}}"))
    };
    let printf = template.match_indices('%').find_map(|(at, _)| {
        let letter = template[at + 1..].chars().next()?;
        letter.is_ascii_alphabetic().then(|| format!("%{letter}"))
    });
    let others = ["$", ":", "@"].map(|mark| format!("{mark}{plain}")).into_iter().chain([format!("<{plain}>")]);
    let written = (template.contains(&doubled).then_some(doubled))
        .or_else(|| template.split('{').skip(1).find_map(positional))
        .or(printf)
        .or_else(|| others.into_iter().find(|other| ends_a_word(template, other)));
    written.map_or_else(String::new, |written| format!("\n`{written}` is no placeholder: write `{{{name}}}`"))
}

/// Returns `true` if `part` occurs in `text` with no letter after it.
fn ends_a_word(text: &str, part: &str) -> bool {
    text.match_indices(part)
        .any(|(at, _)| !text[at + part.len()..].starts_with(|c: char| c == '_' || c.is_alphanumeric()))
}

/// The bytes up to the `}` that closes a placeholder.
fn placeholder_len(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn expression(source: &str, span: Span) -> Result<Expr, &'static str> {
    if source.trim().is_empty() {
        return Err("an empty placeholder; name a parameter, as in `{id}`");
    }
    let Ok(expr) = LitStr::new(source, span).parse::<Expr>() else {
        let is_format = source.split_once(':').is_some_and(|(_, rest)| !rest.starts_with(':'));
        return Err(if is_format {
            "a placeholder takes no format: each type has one way into a key"
        } else {
            "expected an expression over the parameters, as in `{id}` or `{req.user_id}`"
        });
    };
    if leaves(&expr) {
        return Err("a placeholder cannot return, break or await: it only looks at the parameters");
    }
    Ok(expr)
}

/// Returns `true` if an expression does more than yield a value.
pub(crate) fn leaves(expr: &Expr) -> bool {
    struct Leaves(bool);
    impl<'ast> Visit<'ast> for Leaves {
        fn visit_expr(&mut self, expr: &'ast Expr) {
            self.0 |= matches!(
                expr,
                Expr::Try(_) | Expr::Await(_) | Expr::Return(_) | Expr::Break(_) | Expr::Continue(_) | Expr::Yield(_)
            );
            visit::visit_expr(self, expr);
        }
    }
    let mut leaves = Leaves(false);
    leaves.visit_expr(expr);
    leaves.0
}

/// Where the pieces of a literal stand.
struct Spans<'a> {
    literal: &'a LitStr,
    /// The text between plain quotes is the value itself, so that offsets are the same.
    is_plain: bool,
}

impl<'a> Spans<'a> {
    fn of(literal: &'a LitStr, value: &str) -> Spans<'a> {
        Spans { literal, is_plain: literal.token().to_string() == format!("\"{value}\"") }
    }

    /// The span of a range, as close as the compiler allows.
    fn at(&self, range: Range<usize>) -> Span {
        let within = self.literal.token().subspan(range.start + 1..range.end + 1).filter(|_| self.is_plain);
        within.unwrap_or_else(|| self.literal.span())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(template: &str) -> Result<Vec<String>, String> {
        parsed_of(template, Of::Key)
    }

    fn parsed_of(template: &str, of: Of) -> Result<Vec<String>, String> {
        let errors = Errors::new();
        let pieces = parse(&LitStr::new(template, Span::call_site()), of, &errors);
        errors.finish().map_err(|tokens| tokens.to_string())?;
        let shown = pieces.into_iter().flatten().map(|piece| match piece {
            Piece::Text(text) => format!("'{text}'"),
            Piece::Placeholder { text, .. } => text,
        });
        Ok(shown.collect())
    }

    #[test]
    fn templates_are_split() {
        for (template, expected) in [
            ("user:{id}", vec!["'user:'", "id"]),
            ("{ a.b() }:{c[0]}:x", vec!["a.b()", "':'", "c[0]", "':x'"]),
            ("{{user:{id}}}", vec!["'{user:'", "id", "'}'"]),
            ("all", vec!["'all'"]),
            ("{match x { _ => 1 }}", vec!["match x { _ => 1 }"]),
        ] {
            assert_eq!(parsed(template), Ok(expected.into_iter().map(String::from).collect()), "{template}");
        }
    }

    #[test]
    fn broken_templates_are_refused() {
        for (template, reason) in [
            ("", "an empty key"),
            (":a", "leading"),
            ("#a", "reserved"),
            ("{a}{b}", "between them"),
            ("{a}-{b}", "between them"),
            ("{a", "unclosed"),
            ("a}", "unmatched"),
            ("a b", "white space"),
            ("{}", "empty placeholder"),
            ("{id:?}", "takes no format"),
            ("{a +}", "expected an expression"),
            ("{a?}", "cannot return"),
        ] {
            let error = parsed(template).expect_err(template);
            assert!(error.contains(reason), "{template}: {error}");
        }
    }

    #[test]
    fn what_other_templates_take_for_placeholders_is_explained() {
        for (template, expected) in [
            ("user:{{id}}", "`{{id}}`"),
            ("user:{0}", "`{0}`"),
            ("user:%d", "`%d`"),
            ("user:$id", "`$id`"),
            ("user/:id", "`:id`"),
            ("user:<id>", "`<id>`"),
            ("user:id2", ""),
            ("user:{other}", ""),
            ("user:100%", ""),
        ] {
            let hint = hint(template, &Ident::new("id", Span::call_site()));
            assert!(if expected.is_empty() { hint.is_empty() } else { hint.contains(expected) }, "{template}: {hint}");
        }
    }

    #[test]
    fn a_template_is_called_what_it_makes() {
        for (of, template, reason) in [
            (Of::Group, "", "an empty group; write one such as \\\"class:{class_id}\\\""),
            (Of::Group, ":a", "leading"),
            (Of::Group, "#a", "a group that begins with `#`"),
            (Of::Tag, "a b", "a tag must not contain white space"),
            (Of::Tag, "{a}{b}", "share a tag"),
        ] {
            let error = parsed_of(template, of).expect_err(template);
            assert!(error.contains(reason), "{template}: {error}");
        }
        // Nothing comes in front of a tag, so any text is allowed.
        assert!(parsed_of("#a", Of::Tag).is_ok());
        assert!(parsed_of(":a", Of::Tag).is_ok());
    }
}
