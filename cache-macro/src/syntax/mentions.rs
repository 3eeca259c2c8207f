//! The names that an expression or a type mentions.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{
    Arm, Block, Expr, ExprCall, ExprClosure, ExprField, ExprForLoop, ExprIf, ExprLet, ExprPath, ExprUnary, ExprWhile,
    Index, Item, LitStr, Local, Macro, Member, PatIdent, Token, Type, UnOp,
};

use super::types::{last, ungrouped};

/// Returns `true` if both are the same identifier: `r#id` is `id`, but `r#type` is not the keyword.
pub(crate) fn same(left: &Ident, right: &Ident) -> bool {
    left == right || left.unraw() == right.unraw() && syn::parse_str::<Ident>(&left.unraw().to_string()).is_ok()
}

/// Returns `true` if the expression is all of the variable `name`, as far as one can tell without resolving types. `ty` is its
/// type, if that is spelled. A field, a method or a `Deref` of any other type may be a part of it.
pub(crate) fn is_all_of(expr: &Expr, name: &Ident, ty: Option<&Type>) -> bool {
    let is_variable = |expr: &Expr| match expr {
        Expr::Path(path) => path.path.get_ident().is_some_and(|ident| same(ident, name)),
        _ => false,
    };
    match expr {
        Expr::Paren(inner) => is_all_of(&inner.expr, name, ty),
        Expr::Group(inner) => is_all_of(&inner.expr, name, ty),
        Expr::Reference(inner) => is_all_of(&inner.expr, name, ty),
        Expr::MethodCall(call) => {
            (call.method == "clone" || call.method == "to_owned") && is_all_of(&call.receiver, name, ty)
        }
        Expr::Unary(ExprUnary { op: UnOp::Deref(_), expr, .. }) => ty.is_some_and(holds_one_value) && is_variable(expr),
        Expr::Field(ExprField { base, member: Member::Unnamed(Index { index: 0, .. }), .. }) => {
            ty.is_some_and(holds_one_value) && is_variable(base)
        }
        _ => is_variable(expr),
    }
}

/// Returns `true` for a reference, and for the wrappers of axum, which have one field.
fn holds_one_value(ty: &Type) -> bool {
    match ungrouped(ty) {
        Type::Reference(_) => true,
        Type::Path(path) => matches!(last(path).as_str(), "Extension" | "Form" | "Json" | "Path" | "Query"),
        _ => false,
    }
}

/// The variables that an expression uses, as far as one can tell without resolving names.
#[derive(Default)]
pub(crate) struct Variables {
    /// Names in the place of a variable, in order, and whether they come from the outside.
    used: Vec<(Ident, bool)>,
    /// Names that the closures, blocks and arms around bind, from the outside in.
    scopes: Vec<Vec<Ident>>,
    /// The words inside of macros that take anything.
    inside_macros: HashSet<String>,
}

impl Variables {
    pub(crate) fn of(expr: &Expr) -> Variables {
        let mut variables = Variables::default();
        variables.visit_expr(expr);
        variables
    }

    /// Returns `true` if `name` occurs, even where the expression binds it again: a false positive
    /// does no harm here, a false negative would.
    pub(crate) fn mention(&self, name: &Ident) -> bool {
        self.used.iter().any(|(used, _)| same(used, name)) || self.inside_macros.contains(&name.to_string())
    }

    /// Returns `true` if `name` occurs as that of something outside.
    pub(crate) fn depend_on(&self, name: &Ident) -> bool {
        self.free_names().any(|free| same(free, name)) || self.inside_macros.contains(&name.to_string())
    }

    /// Where `name` occurs, if that is not inside of a macro.
    pub(crate) fn place(&self, name: &Ident) -> Option<Span> {
        self.used.iter().find(|(used, _)| same(used, name)).map(|(used, _)| used.span())
    }

    /// The names that look like a variable and come from the outside.
    pub(crate) fn free(&self) -> impl Iterator<Item = &Ident> {
        self.free_names().filter(|ident| ident.unraw().to_string().starts_with(|c: char| c == '_' || c.is_lowercase()))
    }

    fn free_names(&self) -> impl Iterator<Item = &Ident> {
        self.used.iter().filter(|(_, is_free)| *is_free).map(|(ident, _)| ident)
    }

    fn use_of(&mut self, ident: &Ident) {
        let is_free = !self.scopes.iter().flatten().any(|bound| same(bound, ident));
        self.used.push((ident.clone(), is_free));
    }

    /// Visits an expression that binds names for itself alone.
    fn scoped(&mut self, visit: impl FnOnce(&mut Self)) {
        self.scopes.push(Vec::new());
        visit(self);
        self.scopes.pop();
    }
}

impl<'ast> Visit<'ast> for Variables {
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        if let Some(ident) = path.path.get_ident() {
            self.use_of(ident);
        }
        visit::visit_expr_path(self, path);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        // `f(id)` uses no variable `f`.
        if !matches!(&*call.func, Expr::Path(path) if path.path.get_ident().is_some()) {
            self.visit_expr(&call.func);
        }
        call.args.iter().for_each(|arg| self.visit_expr(arg));
    }

    fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(pat.ident.clone());
        }
        visit::visit_pat_ident(self, pat);
    }

    fn visit_expr_closure(&mut self, closure: &'ast ExprClosure) {
        self.scoped(|inside| visit::visit_expr_closure(inside, closure));
    }

    fn visit_block(&mut self, block: &'ast Block) {
        self.scoped(|inside| visit::visit_block(inside, block));
    }

    fn visit_arm(&mut self, arm: &'ast Arm) {
        self.scoped(|inside| visit::visit_arm(inside, arm));
    }

    fn visit_expr_if(&mut self, branch: &'ast ExprIf) {
        self.scoped(|inside| {
            inside.visit_expr(&branch.cond);
            inside.visit_block(&branch.then_branch);
        });
        if let Some((_, otherwise)) = &branch.else_branch {
            self.visit_expr(otherwise);
        }
    }

    fn visit_expr_while(&mut self, repeat: &'ast ExprWhile) {
        self.scoped(|inside| visit::visit_expr_while(inside, repeat));
    }

    fn visit_expr_for_loop(&mut self, repeat: &'ast ExprForLoop) {
        self.visit_expr(&repeat.expr);
        self.scoped(|inside| {
            inside.visit_pat(&repeat.pat);
            inside.visit_block(&repeat.body);
        });
    }

    // A variable is in scope after its own value.
    fn visit_local(&mut self, local: &'ast Local) {
        if let Some(init) = &local.init {
            self.visit_local_init(init);
        }
        self.visit_pat(&local.pat);
    }

    fn visit_expr_let(&mut self, bind: &'ast ExprLet) {
        self.visit_expr(&bind.expr);
        self.visit_pat(&bind.pat);
    }

    // An item sees no variables.
    fn visit_item(&mut self, _: &'ast Item) {}

    fn visit_macro(&mut self, mac: &'ast Macro) {
        // `stringify!` yields text, whatever the values.
        if mac.path.segments.last().is_some_and(|last| last.ident == "stringify") {
            return;
        }
        let captured = captures(mac.tokens.clone());
        // The arguments of these macros are known to be expressions.
        let is_known = mac.path.segments.last().is_some_and(|last| last.ident == "vec" || last.ident == "format");
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        let Some(args) = is_known.then(|| mac.parse_body_with(parser).ok()).flatten() else {
            self.inside_macros.extend(captured.iter().map(ToString::to_string));
            return words(mac.tokens.clone(), &mut self.inside_macros);
        };
        let mut named = Vec::new();
        for arg in args {
            let arg = match arg {
                // `format!("{a}", a = b)`
                Expr::Assign(assign) => {
                    named.extend(identifiers(&assign.left));
                    *assign.right
                }
                other => other,
            };
            Visit::visit_expr(self, &arg);
        }
        for name in captured.into_iter().filter(|name| !named.contains(&name.to_string())) {
            self.use_of(&name);
        }
    }
}

/// The names that format strings among `tokens` capture: `{id}`, and both of `{id:width$}`.
fn captures(tokens: TokenStream) -> Vec<Ident> {
    let mut found = Vec::new();
    for token in tokens {
        let TokenTree::Literal(literal) = token else {
            if let TokenTree::Group(group) = token {
                found.extend(captures(group.stream()));
            }
            continue;
        };
        let Ok(text) = syn::parse2::<LitStr>(literal.to_token_stream()) else { continue };
        let value = text.value().replace("{{", "").replace("}}", "");
        for placeholder in value.split('{').skip(1).filter_map(|rest| rest.split('}').next()) {
            let (name, format) = placeholder.split_once(':').unwrap_or((placeholder, ""));
            let in_format = format.split('$').rev().skip(1).map(last_word);
            let names = std::iter::once(name.trim()).chain(in_format);
            found.extend(names.filter_map(|name| {
                let mut ident = syn::parse_str::<Ident>(name).ok()?;
                ident.set_span(text.span());
                Some(ident)
            }));
        }
    }
    found
}

/// The identifier at the end of a text.
fn last_word(text: &str) -> &str {
    text.rsplit(|c: char| c != '_' && !c.is_alphanumeric()).next().unwrap_or_default()
}

/// All identifiers in `tokens`.
pub(crate) fn identifiers(tokens: &impl ToTokens) -> HashSet<String> {
    let mut found = HashSet::new();
    words(tokens.to_token_stream(), &mut found);
    found
}

fn words(tokens: TokenStream, found: &mut HashSet<String>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                found.insert(ident.to_string());
            }
            TokenTree::Group(group) => words(group.stream(), found),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::parse_quote;

    #[test]
    fn what_an_expression_binds_is_not_from_the_outside() {
        for (expr, expected) in [
            (parse_quote!(id), true),
            (parse_quote!(req.id), false),
            (parse_quote!(ids.iter().map(|id| id + 1)), false),
            (parse_quote!((|x| x + id)(1)), true),
            (
                parse_quote!({
                    let id = id + 1;
                    id
                }),
                true,
            ),
            (
                parse_quote!({
                    let id = 1;
                    id
                }),
                false,
            ),
            (
                parse_quote!((
                    {
                        let id = 1;
                        id
                    },
                    id
                )),
                true,
            ),
            (
                parse_quote!(match x {
                    Some(id) => id,
                    None => 0,
                }),
                false,
            ),
            (
                parse_quote!(match x {
                    Some(_) => id,
                    None => 0,
                }),
                true,
            ),
            (parse_quote!(if let Some(id) = x { id } else { 0 }), false),
            (parse_quote!(if let Some(id) = x { id } else { id }), true),
            (parse_quote!(if let Some(y) = id { y } else { 0 }), true),
            (
                parse_quote!({
                    fn f(id: u64) -> u64 {
                        id
                    }
                    f(1)
                }),
                false,
            ),
            (parse_quote!(vec![1, id]), true),
            (parse_quote!(x.map(|id| vec![id])), false),
            (parse_quote!(json!({ "id": id })), true),
            (parse_quote!(id()), false),
        ] {
            let expr: Expr = expr;
            let variables = Variables::of(&expr);
            assert_eq!(variables.depend_on(&parse_quote!(id)), expected, "{}", quote::quote!(#expr));
        }
    }

    #[test]
    fn format_strings_capture() {
        for (expr, expected) in [
            (parse_quote!(format!("{id}")), vec!["id"]),
            (parse_quote!(format!("{{id}}{other:?}-{}", third)), vec!["third", "other"]),
            (parse_quote!(format!("{id:>width$.precision$}")), vec!["id", "precision", "width"]),
            (parse_quote!(format!("{x}", x = id)), vec!["id"]),
            (parse_quote!(format!("{0}", id)), vec!["id"]),
            (parse_quote!("{id}"), vec![]),
        ] {
            let variables = Variables::of(&expr);
            let used: Vec<_> = variables.used.iter().map(|(used, _)| used.to_string()).collect();
            assert_eq!(used, expected, "{}", expr.to_token_stream());
        }
    }
}
