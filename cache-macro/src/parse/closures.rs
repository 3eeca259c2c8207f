//! Closures of the attribute, which look at a value: `|user: &User| …`.

use syn::spanned::Spanned;
use syn::{Expr, ExprClosure, Pat, PatType, Type};

use crate::errors::Errors;
use crate::syntax::types::spelled;

/// Reports a closure that does not take a reference to one value.
pub(crate) fn check(expr: &Expr, errors: &Errors) {
    let Expr::Closure(closure) = expr else { return };
    let ExprClosure { inputs, asyncness, .. } = closure;
    if let Some(asyncness) = asyncness {
        errors.at(asyncness.span, "the closure is called while the value is stored, and cannot wait; remove `async`");
        return;
    }
    let Some(param) = inputs.first().filter(|_| inputs.len() == 1) else {
        let at = inputs.iter().nth(1).map_or_else(|| closure.span(), Spanned::span);
        errors.at(at, "the closure sees the value and nothing else: write `|value| …`");
        return;
    };
    if let Pat::Type(PatType { pat, ty, .. }) = param
        && !matches!(&**ty, Type::Reference(_) | Type::Infer(_) | Type::Macro(_))
    {
        let message = format!("the value is only borrowed here: write `|{}: &{}| …`", spelled(pat), spelled(ty));
        errors.at(ty.span(), message);
    }
}
