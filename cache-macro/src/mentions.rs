//! Which names an expression or a type mentions.

use std::collections::HashSet;

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Expr, ExprCall, ExprPath, Macro, PatIdent, Token};

use crate::function::same;

/// The variables that an expression uses, as far as one can tell without resolving names.
pub(crate) struct Variables {
    /// Names in the place of a variable, in order.
    used: Vec<Ident>,
    /// Names that a closure, a `let` or a `match` in the expression binds.
    bound: Vec<Ident>,
    /// The words inside of macros, which may be anything where the macro is none of the known ones.
    inside_macros: HashSet<String>,
}

impl Variables {
    pub(crate) fn of(expr: &Expr) -> Variables {
        let mut variables = Variables { used: Vec::new(), bound: Vec::new(), inside_macros: HashSet::new() };
        variables.visit_expr(expr);
        variables
    }

    /// Whether `name` occurs. One that is bound again in the expression counts: too much does no
    /// harm here, too little would.
    pub(crate) fn mention(&self, name: &Ident) -> bool {
        self.used.iter().any(|used| same(used, name)) || self.inside_macros.contains(&name.to_string())
    }

    /// Where `name` occurs, if that is not inside of a macro.
    pub(crate) fn place(&self, name: &Ident) -> Option<Span> {
        self.used.iter().find(|used| same(used, name)).map(Ident::span)
    }

    /// The names that look like a variable and come from the outside.
    pub(crate) fn free(&self) -> impl Iterator<Item = &Ident> {
        self.used
            .iter()
            .filter(|ident| ident.unraw().to_string().starts_with(|c: char| c == '_' || c.is_lowercase()))
            .filter(|ident| !self.bound.contains(ident))
    }
}

impl<'ast> Visit<'ast> for Variables {
    fn visit_expr_path(&mut self, path: &'ast ExprPath) {
        self.used.extend(path.path.get_ident().cloned());
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
        self.bound.push(pat.ident.clone());
        visit::visit_pat_ident(self, pat);
    }

    fn visit_macro(&mut self, mac: &'ast Macro) {
        words(mac.tokens.clone(), &mut self.inside_macros);
        // Of these it is known what they take.
        let is_known = mac.path.segments.last().is_some_and(|last| last.ident == "vec" || last.ident == "format");
        let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
        let args = is_known.then(|| mac.parse_body_with(parser).ok()).flatten();
        for arg in args.into_iter().flatten() {
            let arg = match arg {
                // `format!("{a}", a = b)`
                Expr::Assign(named) => *named.right,
                other => other,
            };
            let inside = Variables::of(&arg);
            self.used.extend(inside.used);
            self.bound.extend(inside.bound);
            self.inside_macros.extend(inside.inside_macros);
        }
    }
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
