//! The names that the attribute's expressions can use, and the checks of what they mention.

use std::collections::HashSet;

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, Ident, LitStr, Receiver, Type};

use super::batch::Batch;
use super::pieces::{Part, Piece, Uses, Value};
use crate::errors::Errors;
use crate::parse::args::{self, Args, Lifetime};
use crate::parse::function::{Function, Param};
use crate::parse::suggest::did_you_mean;
use crate::parse::template::{self, Of};
use crate::syntax::mentions::{Variables, is_all_of, same};
use crate::syntax::{borrows, generics};

/// The names that expressions of the attribute can use.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) receiver: Option<&'a Receiver>,
    pub(super) params: &'a [Param],
    /// The batch that has one of its ids among `params`.
    pub(super) batch: Option<&'a Batch>,
}

impl Scope<'_> {
    pub(super) fn bindings(&self) -> impl Iterator<Item = &Ident> {
        self.params.iter().flat_map(|param| &param.bindings)
    }

    pub(super) fn knows(&self, name: &Ident) -> bool {
        if name == "self" { self.receiver.is_some() } else { self.params.iter().any(|param| param.binds(name)) }
    }

    /// The message for a name that no parameter has.
    pub(super) fn unknown(&self, name: &Ident) -> String {
        if name == "self" {
            return "this function has no `self`".to_owned();
        }
        let receiver = self.receiver.map(|_| "self".to_owned());
        let known: Vec<String> =
            receiver.into_iter().chain(self.bindings().map(|name| name.unraw().to_string())).collect();
        if known.is_empty() {
            return format!("`{name}` is not a parameter; this function has none");
        }
        let nearest = did_you_mean(&name.to_string(), known.iter().map(String::as_str));
        format!("`{name}` is not a parameter{nearest}\nparameters: {}", known.join(", "))
    }

    pub(super) fn check_skips(&self, args: &Args, errors: &Errors) {
        for name in args.skip.iter().filter(|name| !self.knows(name)) {
            match &args.batch {
                Some(batch) if same(&batch.id, name) => {
                    let message =
                        format!("each of `{}` has an entry of its own; remove `{name}` from `skip`", batch.ids);
                    errors.at(name.span(), message);
                }
                _ => errors.at(name.span(), self.unknown(name)),
            }
        }
    }

    pub(super) fn check_batch(&self, batch: &args::Batch, errors: &Errors) {
        if !self.knows(&batch.ids) {
            errors.at(batch.ids.span(), self.unknown(&batch.ids));
        }
    }

    /// The name of all ids, in the scope of one.
    pub(super) fn is_of_many(&self, name: &Ident) -> bool {
        self.batch.is_some_and(|batch| same(&batch.name, name))
    }

    /// Checks the expressions of all arguments but the templates.
    pub(super) fn check_expressions(&self, args: &Args, errors: &Errors) {
        self.check_closures(args, errors);
        self.check_cache(args, errors);
        if let Some(cache) = args.cache.as_ref().filter(|cache| template::leaves(cache)) {
            errors.at(cache.span(), "a cache is looked up without `await`, `?` or `return`: an entry needs it too");
        }
    }

    fn check_cache(&self, args: &Args, errors: &Errors) {
        let (Some(batch), Some(cache)) = (self.batch, &args.cache) else { return };
        let variables = Variables::of(cache);
        if let Some(name) = [&batch.name, &batch.id].into_iter().find(|name| variables.mention(name)) {
            let place = variables.place(name).unwrap_or_else(|| cache.span());
            errors.at(place, format_args!("one cache is asked for all of a batch, whatever `{name}` is"));
        }
    }

    /// Closures run where only the value is available, and constants where not even that is.
    fn check_closures(&self, args: &Args, errors: &Errors) {
        let given = [&args.none_ttl, &args.stale_while_revalidate, &args.stale_if_error, &args.wait];
        let given = given.into_iter().flatten().map(|(_, lifetime)| lifetime);
        let given = given.chain(&args.lease).filter_map(Lifetime::expr);
        let message = "a parameter is out of reach here: write a span of time, or a constant";
        self.check_without_parameters(given, message, errors);
        let of_value = args.ttl.iter().filter_map(Lifetime::expr).chain(&args.cache_if);
        let message = "a parameter is out of reach here: the value alone decides, as in `|value| …`";
        self.check_without_parameters(of_value, message, errors);
        let message = "a parameter is out of reach here: a tag of one is text, as in `\"org:{org_id}\"`";
        self.check_without_parameters(args.tags.of_value.iter(), message, errors);
    }

    pub(super) fn check_without_parameters<'a>(
        &self,
        exprs: impl Iterator<Item = &'a Expr>,
        message: &str,
        errors: &Errors,
    ) {
        for expr in exprs {
            let variables = Variables::of(expr);
            if let Some(param) = variables.free().find(|name| self.knows(name) || self.is_of_many(name)) {
                errors.at(param.span(), message);
            }
        }
    }

    /// Every parameter that is not skipped, in order.
    pub(super) fn all(&self, skip: &[Ident]) -> Vec<Piece> {
        let separated = |part| [Piece::Text(":".to_owned()), Piece::Part(part)];
        let receiver = self
            .receiver
            .filter(|_| !skip.iter().any(|name| name == "self"))
            .map(|receiver| Part { label: "self".to_owned(), value: Value::Receiver(receiver.self_token.span) });
        let mut pieces: Vec<Piece> = receiver.into_iter().flat_map(separated).collect();
        for param in self.params.iter().filter(|param| !param.names_its_type()) {
            for name in param.bindings.iter().filter(|name| !skip.iter().any(|skipped| same(skipped, name))) {
                let label = name.unraw().to_string();
                let expr = Expr::Path(syn::ExprPath { attrs: Vec::new(), qself: None, path: name.clone().into() });
                if param.perhaps_units.contains(name) {
                    pieces.push(Piece::Part(Part { label, value: Value::PerhapsUnit(expr) }));
                } else {
                    pieces.extend(separated(Part { label, value: Value::Expr(expr) }));
                }
            }
        }
        pieces
    }

    pub(super) fn template(&self, literal: &LitStr, of: Of, args: &Args, errors: &Errors) -> Option<Vec<Piece>> {
        let mut pieces = match of {
            Of::Key | Of::Group => vec![Piece::Text(":".to_owned())],
            Of::Tag => Vec::new(),
        };
        for piece in template::parse(literal, of, errors)? {
            match piece {
                template::Piece::Text(text) => match pieces.last_mut() {
                    Some(Piece::Text(before)) => before.push_str(&text),
                    _ => pieces.push(Piece::Text(text)),
                },
                template::Piece::Placeholder { text, expr } => {
                    let variables = Variables::of(&expr);
                    for name in variables.free().filter(|name| !self.knows(name) && !self.is_of_many(name)) {
                        errors.at(name.span(), self.unknown(name));
                    }
                    if let Some(batch) = self.batch.filter(|batch| variables.mention(&batch.name)) {
                        let place = variables.place(&batch.name).unwrap_or_else(|| expr.span());
                        let message = format!("an entry belongs to one of `{}`; write `{}`", batch.name, batch.id);
                        errors.at(place, message);
                    }
                    self.check_skipped(&expr, &variables, of, args, errors);
                    let is_receiver = matches!(&expr, Expr::Path(path) if path.path.is_ident("self"));
                    let value = if is_receiver { Value::Receiver(expr.span()) } else { Value::Expr(expr) };
                    pieces.push(Piece::Part(Part { label: text, value }));
                }
            }
        }
        Some(pieces)
    }

    /// Reports what is skipped, and in a template all the same. The key may have a part of it, and the rest is left out.
    fn check_skipped(&self, expr: &Expr, variables: &Variables, of: Of, args: &Args, errors: &Errors) {
        for name in args.skip.iter().filter(|name| variables.mention(name)) {
            let place = || variables.place(name).unwrap_or_else(|| expr.span());
            let part_of = match of {
                Of::Key if args.web.headers.as_ref().is_some_and(|headers| same(headers, name)) => {
                    let message = format!(
                        "headers get into the key by `vary(…)`: name the header there, and leave `{name}` out of `key`"
                    );
                    errors.at(place(), message);
                    continue;
                }
                Of::Tag if is_in_key(args, name) => continue,
                Of::Tag => {
                    let message = format_args!(
                        "`{name}` is skipped, so an entry cannot know this tag; remove it from `skip`, or leave the tag out"
                    );
                    errors.at(place(), message);
                    continue;
                }
                Of::Key => "key",
                Of::Group => "group",
            };
            let param = self.params.iter().find(|param| param.binds(name));
            let is_all = |param: &Param| is_all_of(expr, name, param.is_plain().then_some(&param.ty));
            if param.is_none_or(is_all) {
                errors.at(name.span(), format_args!("`{name}` is skipped, and part of `{part_of}` all the same"));
            }
        }
    }

    /// A hit does not run the body, so that it changes no argument: one that the body may change is no part of a key.
    pub(super) fn check_mutable<'a>(&self, args: &Args, pieces: impl Iterator<Item = &'a Piece>, errors: &Errors) {
        // These arguments refuse it already.
        if args.batch.is_some() || args.refresh_ahead.is_some() || args.stale_while_revalidate.is_some() {
            return;
        }
        let refuse = |span: Span, name: &str, instead: &str| {
            let way_out = match args.key {
                Some(_) => format!("mention what matters of it, as in `{{{name}.id}}`"),
                None => format!("write `skip({name})` if it need not"),
            };
            errors.at(
                span,
                format_args!("a hit would not change `{name}` as the body does: take {instead}, or {way_out}"),
            );
        };
        for piece in pieces {
            match piece {
                Piece::Part(Part { value: Value::Receiver(_), .. }) => {
                    if let Some(span) = self.receiver.and_then(borrows::receiver_mutably) {
                        refuse(span, "self", "`&self`");
                    }
                }
                Piece::Part(Part {
                    value: Value::Expr(Expr::Path(path)) | Value::PerhapsUnit(Expr::Path(path)),
                    ..
                }) => {
                    let Some(name) = path.path.get_ident() else { continue };
                    let param = self.params.iter().find(|param| param.binds(name));
                    if let Some(span) = param.and_then(|param| borrows::mutably(param.type_around(name))) {
                        refuse(span, &name.to_string(), "it by `&`, or by value");
                    }
                }
                Piece::Text(_) | Piece::Part(_) => {}
            }
        }
    }

    /// Reports parameters that are neither in the template of the key or of the group nor skipped: calls that differ in
    /// one of them would share an entry.
    pub(super) fn check_mentions<'a>(
        &self,
        args: &Args,
        pieces: impl Iterator<Item = &'a Piece>,
        of_tags: impl Iterator<Item = &'a Piece>,
        errors: &Errors,
    ) {
        let Some(template) = &args.key else { return };
        let mentions = Mentions::new(args, pieces, of_tags);
        let templates = if args.group.is_some() { "`key` or `group`" } else { "`key`" };
        if let Some(receiver) = self.receiver.filter(|_| !mentions.receiver) {
            let name = Ident::new("self", receiver.self_token.span);
            if mentions.leave_out(&name) {
                let message = format!(
                    "calls that differ in `self` would share an entry: mention what matters of it in {templates}, \
                     as in `{{self.id}}`{}",
                    mentions.or_skip(&name)
                );
                errors.at(name.span(), message);
            }
        }
        let names = self.params.iter().filter(|param| !param.names_its_type()).flat_map(|param| &param.bindings);
        for name in names.filter(|name| mentions.leave_out(name)) {
            let hint = template::hint(&template.value(), name);
            let (name, message) = match self.batch.filter(|batch| same(&batch.id, name)) {
                // A template that names all ids in place of one was reported already.
                Some(batch) if mentions.in_key.iter().any(|expr| expr.mention(&batch.name)) => continue,
                Some(batch) => {
                    let message = format!(
                        "all of `{}` would share an entry: mention one of them in {templates}, as in `{{{name}}}`",
                        batch.name
                    );
                    (&batch.name, message)
                }
                None => {
                    let message = format!(
                        "calls that differ in `{name}` would share an entry: mention it in {templates}, \
                         as in `{{{name}}}`{}",
                        mentions.or_skip(name)
                    );
                    (name, message)
                }
            };
            errors.at(name.span(), format_args!("{message}{hint}"));
        }
    }

    pub(super) fn uses_of<'a>(&self, pieces: impl Iterator<Item = &'a Piece>) -> Uses {
        let (mut receiver, mut exprs, mut names) = (false, Vec::new(), Vec::new());
        for piece in pieces {
            match piece {
                Piece::Text(_) => {}
                Piece::Part(Part { value: Value::Receiver(_), .. }) => receiver = true,
                Piece::Part(Part { value: Value::Expr(expr), .. }) => exprs.push(expr),
                Piece::Part(Part { value: Value::PerhapsUnit(name), .. }) => names.push(name),
            }
        }
        let mut uses = self.uses(exprs);
        let in_patterns = self.uses(names);
        for (index, param) in self.params.iter().enumerate() {
            // The unit struct of one pattern can have the name of another's.
            uses.params[index] |= in_patterns.params[index] && !param.perhaps_units.is_empty();
        }
        Uses { receiver: receiver || uses.receiver, ..uses }
    }

    pub(super) fn uses<'a>(&self, exprs: impl IntoIterator<Item = &'a Expr>) -> Uses {
        let variables: Vec<_> = exprs.into_iter().map(Variables::of).collect();
        let mention = |name: &Ident| variables.iter().any(|variables| variables.mention(name));
        Uses {
            receiver: mention(&Ident::new("self", Span::call_site())),
            params: self.params.iter().map(|param| param.bindings.iter().any(mention)).collect(),
        }
    }

    pub(super) fn dropped(
        &self,
        function: &Function,
        output: &Type,
        is_used: impl Fn(usize) -> bool,
    ) -> HashSet<String> {
        let (mut used, mut unused) = (vec![output.to_token_stream()], Vec::new());
        for (index, param) in self.params.iter().enumerate() {
            let types = if is_used(index) { &mut used } else { &mut unused };
            types.push(param.ty.to_token_stream());
        }
        // An entry has at most a single id of the collection.
        unused.extend(self.batch.map(|batch| batch.ids.ty().to_token_stream()));
        generics::dropped(&function.sig.generics, &used, &unused)
    }

    pub(super) fn unmentioned(
        &self,
        function: &Function,
        output: &Type,
        is_used: impl Fn(usize) -> bool,
    ) -> HashSet<String> {
        let used = self.params.iter().enumerate().filter(|(index, _)| is_used(*index));
        let used = used.map(|(index, param)| match self.batch {
            // The map says what an id is.
            Some(Batch { index: of_ids, id_type: None, .. }) if index == *of_ids => output.to_token_stream(),
            _ => param.ty.to_token_stream(),
        });
        let used: Vec<_> = used.collect();
        generics::unmentioned(&function.sig.generics, &used)
    }
}

/// Returns `true` if the template of the key, or of the group, mentions the name.
fn is_in_key(args: &Args, name: &Ident) -> bool {
    let templates = [(&args.key, Of::Key), (&args.group, Of::Group)];
    templates.into_iter().filter_map(|(literal, of)| Some((literal.as_ref()?, of))).any(|(literal, of)| {
        let errors = Errors::new();
        let pieces = template::parse(literal, of, &errors).unwrap_or_default();
        // They are reported where the template is used.
        let _ = errors.finish();
        pieces.iter().any(|piece| match piece {
            template::Piece::Placeholder { expr, .. } => Variables::of(expr).depend_on(name),
            template::Piece::Text(_) => false,
        })
    })
}

/// The names that the templates mention.
struct Mentions<'a> {
    args: &'a Args,
    /// The whole receiver is part of the key.
    receiver: bool,
    in_key: Vec<Variables>,
    in_tags: Vec<Variables>,
}

impl<'a> Mentions<'a> {
    fn new<'b>(
        args: &'a Args,
        pieces: impl Iterator<Item = &'b Piece>,
        of_tags: impl Iterator<Item = &'b Piece>,
    ) -> Mentions<'a> {
        let variables_of = |piece: &Piece| match piece {
            Piece::Text(_) | Piece::Part(Part { value: Value::Receiver(_), .. }) => None,
            Piece::Part(Part { value: Value::Expr(expr) | Value::PerhapsUnit(expr), .. }) => Some(Variables::of(expr)),
        };
        let mut receiver = false;
        let pieces = pieces.inspect(|piece| {
            receiver |= matches!(piece, Piece::Part(Part { value: Value::Receiver(_), .. }));
        });
        let in_key = pieces.filter_map(variables_of).collect();
        Mentions { args, receiver, in_key, in_tags: of_tags.filter_map(variables_of).collect() }
    }

    /// Returns `true` if a name is neither part of the key nor skipped.
    fn leave_out(&self, name: &Ident) -> bool {
        !self.args.skips(name) && !self.in_key.iter().any(|expr| expr.depend_on(name))
    }

    /// The advice to skip a parameter. A tag has to follow from the key, so its parameters cannot be skipped.
    fn or_skip(&self, name: &Ident) -> String {
        if self.in_tags.iter().any(|expr| expr.depend_on(name)) {
            "; a tag that mentions it does not tell entries apart".to_owned()
        } else {
            format!(", or leave it out with `skip({name})`")
        }
    }
}
