//! The arguments about responses of HTTP handlers.

use proc_macro2::Span;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::spanned::Spanned;
use syn::{Expr, Ident, Lit, LitStr, Token, parenthesized};

use super::values::{literal, recover, string, ungrouped};
use crate::errors::Errors;

/// What the attribute says about responses.
#[derive(Default)]
pub(crate) struct Web {
    /// `response`
    pub(crate) response: Option<Ident>,
    pub(crate) max_body: Option<(Ident, Expr)>,
    pub(crate) client: Option<(Ident, LitStr)>,
    pub(crate) vary: Option<(Ident, Vec<Header>)>,
    pub(crate) cache_status: Option<(Ident, bool)>,
    pub(crate) client_may_bypass: Option<(Ident, bool)>,
    /// The parameter of the headers, of which these arguments put a part into the key, and `skip` all.
    pub(crate) headers: Option<Ident>,
}

/// A header of the request that is part of the key.
pub(crate) struct Header {
    /// In lower case.
    pub(crate) name: String,
    pub(crate) span: Span,
}

impl Web {
    /// The arguments that need `response`.
    pub(crate) fn others(&self) -> impl Iterator<Item = &Ident> {
        let max_body = self.max_body.as_ref().map(|(keyword, _)| keyword);
        let client = self.client.as_ref().map(|(keyword, _)| keyword);
        let vary = self.vary.as_ref().map(|(keyword, _)| keyword);
        let cache_status = self.cache_status.as_ref().map(|(keyword, _)| keyword);
        let client_may_bypass = self.client_may_bypass.as_ref().map(|(keyword, _)| keyword);
        [max_body, client, vary, cache_status, client_may_bypass].into_iter().flatten()
    }

    /// `client_may_bypass = on`
    pub(crate) fn bypass(&self) -> Option<&Ident> {
        self.client_may_bypass.as_ref().filter(|(_, is_on)| *is_on).map(|(keyword, _)| keyword)
    }
}

/// A number of bytes.
pub(super) fn max_body(expr: Expr) -> syn::Result<Expr> {
    let expr = ungrouped(expr);
    let is_good = match literal(&expr) {
        Some(Lit::Int(number)) => matches!(number.suffix(), "" | "usize") && number.base10_parse::<u32>().is_ok(),
        Some(_) => false,
        None => !matches!(expr, Expr::Unary(_) | Expr::Closure(_)),
    };
    if is_good {
        return Ok(expr);
    }
    Err(syn::Error::new(expr.span(), "expected the most bytes of a body that is stored: `max_body = 1_048_576`"))
}

/// The value of a `Cache-Control`.
pub(super) fn client(expr: Expr, form: &str) -> syn::Result<LitStr> {
    let literal = string(expr, form)?;
    let text = literal.value();
    let is_good = !text.trim().is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_good {
        return Ok(literal);
    }
    Err(syn::Error::new(literal.span(), format_args!("expected the value of a `Cache-Control` header: `{form}`")))
}

/// The names in `vary(accept_language, "x-tenant")`.
pub(super) fn vary(keyword: &Ident, input: ParseStream<'_>, errors: &Errors) -> syn::Result<Vec<Header>> {
    let content;
    parenthesized!(content in input);
    if content.is_empty() {
        errors.at(keyword.span(), "`vary()` names no header");
    }
    let mut headers: Vec<Header> = Vec::new();
    while !content.is_empty() {
        match header(&content) {
            Ok(header) if headers.iter().any(|known| known.name == header.name) => {
                errors.at(header.span, format_args!("`{}` is named twice", header.name));
            }
            Ok(header) => headers.push(header),
            Err(error) => {
                errors.add(error);
                recover(&content)?;
            }
        }
        content.parse::<Option<Token![,]>>()?;
    }
    Ok(headers)
}

fn header(input: ParseStream<'_>) -> syn::Result<Header> {
    const FORM: &str = "expected the name of a header of the request: `accept_language` or `\"accept-language\"`";
    let (name, span) = if input.peek(LitStr) {
        let literal: LitStr = input.parse()?;
        (literal.value().to_ascii_lowercase(), literal.span())
    } else if input.peek(Ident::peek_any) {
        let ident = input.call(Ident::parse_any)?;
        (ident.unraw().to_string().to_ascii_lowercase().replace('_', "-"), ident.span())
    } else {
        return Err(input.error(FORM));
    };
    let is_ended = input.is_empty() || input.peek(Token![,]);
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if is_ended && !name.is_empty() && name != "*" && name.bytes().all(is_token) {
        return Ok(Header { name, span });
    }
    Err(syn::Error::new(span, FORM))
}
