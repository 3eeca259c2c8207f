//! The function under the attribute: parsed as far as its body, and checked for shapes that cannot
//! be cached.

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::visit::{self, Visit};
use syn::{
    Attribute, FnArg, Ident, LitStr, Pat, PatIdent, Receiver, ReceiverKind, ReturnType, Signature, Token, Type,
    TypePath, Visibility,
};

use crate::errors::Errors;
use crate::syntax::mentions::same;
use crate::syntax::place::{self, Place};
use crate::syntax::types::{boxed_output, type_args};

/// A function. Its body stays as it is, so that half-written code reaches the compiler, whose
/// errors are better, and an editor, which can complete it.
pub(crate) struct Function {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    pub(crate) body: Group,
}

/// A parameter that is not `self`.
pub(crate) struct Param {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) pat: Pat,
    pub(crate) ty: Type,
    /// Its name where no pattern can stand.
    pub(crate) ident: Ident,
    /// The names that its pattern binds: all that the body sees of it. A unit struct in a pattern cannot be told from a
    /// name by its spelling, so it is among them.
    pub(crate) bindings: Vec<Ident>,
    /// Those of `bindings` that may be unit structs. The generated code finds out by the type.
    pub(crate) perhaps_units: Vec<Ident>,
}

/// How a function runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    Async,
    /// A plain function that returns a boxed future: what `#[async_trait]` makes of an `async fn`.
    Boxed,
    Plain,
}

impl Function {
    pub(crate) fn parse(item: TokenStream, errors: &Errors) -> Option<Function> {
        errors.keep(Function::parser.parse2(item))
    }

    fn parser(input: ParseStream<'_>) -> syn::Result<Function> {
        let attrs = input.call(Attribute::parse_outer)?;
        let vis: Visibility = input.parse()?;
        if !is_function(&input.fork()) {
            return Err(input.error("`#[redis_cached]` caches what a function returns; put it on a `fn`"));
        }
        let sig: Signature = input.parse()?;
        if input.peek(Token![;]) {
            let message = "a function without a body has nothing to run on a miss; \
                           put `#[redis_cached]` on the implementation, with `siblings = off`";
            return Err(syn::Error::new(sig.ident.span(), message));
        }
        let mut body: TokenTree = input.parse()?;
        // A `$body:block` of a `macro_rules!` has invisible delimiters around it.
        while let TokenTree::Group(group) = &body
            && group.delimiter() == Delimiter::None
            && let Some(inner) = only(group.stream())
        {
            body = inner;
        }
        match body {
            TokenTree::Group(body) if body.delimiter() == Delimiter::Brace => Ok(Function { attrs, vis, sig, body }),
            other => Err(syn::Error::new(other.span(), "expected the body of the function")),
        }
    }

    pub(crate) fn face(&self) -> Face {
        if self.sig.asyncness.is_some() {
            Face::Async
        } else if matches!(&self.sig.output, ReturnType::Type(_, ty) if boxed_output(ty).is_some()) {
            Face::Boxed
        } else {
            Face::Plain
        }
    }

    /// The type of what the function computes, without the future around it.
    pub(crate) fn output(&self) -> Option<&Type> {
        match &self.sig.output {
            ReturnType::Default => None,
            ReturnType::Type(_, ty) => match self.face() {
                Face::Boxed => boxed_output(ty),
                Face::Async | Face::Plain => Some(ty),
            },
        }
    }

    /// The block that the function is in. The attribute's arguments may mention `Self`, too.
    pub(crate) fn place(&self, is_self_in_args: bool) -> Place {
        place::place(&self.vis, &self.sig, &self.body, is_self_in_args)
    }

    pub(crate) fn params(&self) -> Vec<Param> {
        let typed = self.sig.inputs.iter().filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        });
        typed
            .enumerate()
            .map(|(index, typed)| {
                let Bindings { names: bindings, perhaps_units } = Bindings::of(&typed.pat);
                let ident = match bindings.as_slice() {
                    [only] if perhaps_units.is_empty() => only.clone(),
                    _ => Ident::new(&format!("arg{index}"), Span::mixed_site()),
                };
                Param {
                    attrs: typed.attrs.clone(),
                    pat: (*typed.pat).clone(),
                    ty: (*typed.ty).clone(),
                    ident,
                    bindings,
                    perhaps_units,
                }
            })
            .collect()
    }
}

/// The token of a stream that has exactly one.
fn only(tokens: TokenStream) -> Option<TokenTree> {
    let mut tokens = tokens.into_iter();
    tokens.next().filter(|_| tokens.next().is_none())
}

/// Returns `true` if a `fn` comes next, after its modifiers.
fn is_function(input: ParseStream<'_>) -> bool {
    while let Ok(modifier) = input.call(Ident::parse_any) {
        match modifier.to_string().as_str() {
            "fn" => return true,
            "extern" => drop(input.parse::<Option<LitStr>>()),
            "const" | "async" | "unsafe" => {}
            _ => return false,
        }
    }
    false
}

/// The identifiers that a pattern binds, in order.
#[derive(Default)]
struct Bindings {
    names: Vec<Ident>,
    perhaps_units: Vec<Ident>,
}

impl Bindings {
    fn of(pat: &Pat) -> Bindings {
        let mut bindings = Bindings::default();
        match pat {
            // A constant in the place of the whole pattern is refutable, so this is a name, whatever its case, or a unit
            // struct; `Param::names_its_type` tells about that one.
            Pat::Ident(pat) if pat.subpat.is_none() => bindings.names.push(pat.ident.clone()),
            _ => bindings.visit_pat(pat),
        }
        bindings
    }
}

impl<'ast> Visit<'ast> for Bindings {
    fn visit_pat_ident(&mut self, pat: &'ast PatIdent) {
        // Each side of `Ok(id) | Err(id)` binds the same names.
        if !self.names.contains(&pat.ident) {
            self.names.push(pat.ident.clone());
            // Types begin with a capital; any other spelling is taken for a name, which is sound for any.
            let is_capital = pat.ident.unraw().to_string().starts_with(char::is_uppercase);
            if is_capital && pat.by_ref.is_none() && pat.mutability.is_none() && pat.subpat.is_none() {
                self.perhaps_units.push(pat.ident.clone());
            }
        }
        visit::visit_pat_ident(self, pat);
    }
}

impl Param {
    /// The pattern is a plain name.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(&self.pat, Pat::Ident(pat) if pat.subpat.is_none())
    }

    /// The parameter is written `Unit: path::Unit`: its pattern is a unit struct, which says nothing, or a name that
    /// is spelled like its type. It is taken for a unit struct, and the generated code does not compile where it is none.
    pub(crate) fn names_its_type(&self) -> bool {
        match (&self.pat, &self.ty) {
            (Pat::Ident(PatIdent { by_ref: None, mutability: None, subpat: None, ident, .. }), Type::Path(ty)) => {
                ty.path.segments.last().is_some_and(|last| last.ident == *ident)
            }
            _ => false,
        }
    }

    /// The type of the part of its pattern called `name`, or of a part around it.
    pub(crate) fn type_around(&self, name: &Ident) -> &Type {
        let (mut pat, mut ty) = (&self.pat, &self.ty);
        while let (Pat::Tuple(pats), Type::Tuple(types)) = (pat, ty)
            && pats.elems.len() == types.elems.len()
            && !pats.elems.iter().any(|pat| matches!(pat, Pat::Rest(_)))
            && let Some(within) =
                pats.elems.iter().zip(&types.elems).find(|(pat, _)| Bindings::of(pat).names.contains(name))
        {
            (pat, ty) = within;
        }
        ty
    }

    pub(crate) fn binds(&self, name: &Ident) -> bool {
        self.bindings.iter().any(|binding| same(binding, name))
    }
}

/// The expression for the `Self` that a receiver points to.
pub(crate) fn behind(receiver: &Receiver) -> TokenStream {
    /// How many pointers stand around `Self`.
    fn depth(ty: &Type) -> usize {
        match ty {
            Type::Reference(reference) => 1 + depth(&reference.elem),
            Type::Path(path) => match path.path.segments.last().map(|last| last.ident.to_string()).as_deref() {
                Some("Box" | "Rc" | "Arc") => 1 + within(path),
                // It hides the pointer within.
                Some("Pin") => within(path),
                // The name does not matter: no other types can be there.
                _ => 0,
            },
            _ => 0,
        }
    }
    fn within(path: &TypePath) -> usize {
        type_args(path).first().map_or(0, |ty| depth(ty))
    }
    let token = receiver.self_token;
    let depth = match &receiver.kind {
        ReceiverKind::Reference(..) => 1,
        ReceiverKind::Typed(_, ty) => depth(ty),
        _ => 0,
    };
    let stars = std::iter::repeat_n(Token![*](token.span), depth);
    quote::quote_spanned!(token.span=> #(#stars)* #token)
}
