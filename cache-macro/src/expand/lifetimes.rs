//! Checks of constants that are lifetimes: what a literal may not be, they may not be either.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Expr, ExprPath, Ident};

use super::names::{generated, private};
use crate::model::Model;
use crate::parse::args::{Args, Lifetime};
use crate::syntax::generics;

// Input:
//     ttl = 60 * MINUTES, lease = Self::LEASE
//
// Output:
//     const _: () = __rc::check_ttl(__rc::Const(60 * MINUTES).rc_ttl());
//     const { __rc::check_lease(__rc::Const(Self::LEASE).rc_ttl()) };
//
// An item is evaluated by `cargo check`, too, but knows no type of the block around it.
pub(crate) fn checks(model: &Model) -> TokenStream {
    let Args { ttl, none_ttl, stale_while_revalidate, stale_if_error, lease, wait, .. } = &model.args;
    let given = [
        (ttl.as_ref().map(constant), "check_ttl"),
        (second(none_ttl.as_ref()), "check_ttl"),
        (second(stale_while_revalidate.as_ref()), "check_stale"),
        (second(stale_if_error.as_ref()), "check_stale"),
        (lease.as_ref().map(constant), "check_lease"),
        (second(wait.as_ref()), "check_wait"),
    ];
    let checks = given.into_iter().filter_map(|(expr, check)| Some((expr??, check))).map(|(expr, check)| {
        let span = generated(expr.span());
        let (rc, check, lifetime) = (private(span), Ident::new(check, span), lifetime(expr));
        if is_known_to_items(expr, model) {
            quote_spanned!(span=> const _: () = #rc::#check(#lifetime);)
        } else {
            quote_spanned!(span=> const { #rc::#check(#lifetime) };)
        }
    });
    let checks: TokenStream = checks.collect();
    let rc = private(Span::mixed_site());
    // The import makes the error of a type that is no lifetime.
    let any = (!checks.is_empty()).then(|| quote!(#[allow(unused_imports)] use #rc::AnyConst as _;));
    quote!(#any #checks)
}

fn second(argument: Option<&(Ident, Lifetime)>) -> Option<Option<&Expr>> {
    argument.map(|(_, lifetime)| constant(lifetime))
}

/// The lifetime that an expression is.
pub(crate) fn lifetime(expr: &Expr) -> TokenStream {
    let span = generated(expr.span());
    let rc = private(span);
    if !is_constant(expr) {
        return quote_spanned!(span=> #rc::IntoTtl::into_ttl(#expr));
    }
    // An expression of literals alone leaves its type open.
    if paths(expr).is_empty() {
        return quote_spanned!(span=> #rc::Const::<i64>(#expr).rc_ttl());
    }
    quote_spanned!(span=> #rc::Const(#expr).rc_ttl())
}

fn constant(lifetime: &Lifetime) -> Option<&Expr> {
    match lifetime {
        Lifetime::Constant(expr) => Some(expr).filter(|expr| is_constant(expr)),
        _ => None,
    }
}

/// Returns `true` if an expression can be evaluated at compile time, as far as its spelling tells.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::Lit(_) | Expr::Path(_) => true,
        Expr::Paren(paren) => is_constant(&paren.expr),
        Expr::Group(group) => is_constant(&group.expr),
        Expr::Unary(unary) => is_constant(&unary.expr),
        Expr::Cast(cast) => is_constant(&cast.expr),
        Expr::Binary(binary) => is_constant(&binary.left) && is_constant(&binary.right),
        Expr::Call(call) => is_duration(&call.func) && call.args.iter().all(is_constant),
        _ => false,
    }
}

/// `Duration::from_secs` and the like, but for those of floating-point numbers.
fn is_duration(function: &Expr) -> bool {
    let Expr::Path(ExprPath { path, .. }) = function else { return false };
    let mut segments = path.segments.iter().rev().map(|segment| segment.ident.to_string());
    let name = segments.next().unwrap_or_default();
    segments.next().is_some_and(|of| of == "Duration") && (name.starts_with("from_") || name == "new")
}

/// Returns `true` if an expression cannot refer to the block around the function, or to a parameter of either.
fn is_known_to_items(expr: &Expr, model: &Model) -> bool {
    paths(expr).iter().all(|path| {
        let Some(first) = path.path.segments.first().map(|first| first.ident.to_string()) else { return false };
        let is_parameter = generics::names(&model.function.sig.generics).any(|name| *name == first);
        // The path is a constant of a type, which may be a parameter of the block around.
        let is_of_type = path.path.segments.len() > 1 && first.starts_with(char::is_uppercase) && first != "Duration";
        path.qself.is_none() && !is_parameter && !is_of_type
    })
}

fn paths(expr: &Expr) -> Vec<&ExprPath> {
    struct Paths<'ast>(Vec<&'ast ExprPath>);
    impl<'ast> Visit<'ast> for Paths<'ast> {
        fn visit_expr_path(&mut self, path: &'ast ExprPath) {
            self.0.push(path);
            visit::visit_expr_path(self, path);
        }
    }
    let mut paths = Paths(Vec::new());
    paths.visit_expr(expr);
    paths.0
}
