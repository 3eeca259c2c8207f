//! The attribute and the function, brought together and checked against each other. What is in a
//! [`Model`] can be quoted without another look.

use std::collections::HashSet;

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Ident, Type};

use self::background::Background;
use self::batch::Batch;
use self::features::Features;
use self::pieces::{Piece, Uses};
use self::returns::Kind;
use self::scope::Scope;
use crate::errors::Errors;
use crate::parse::args::{Args, Codec};
use crate::parse::function::{Face, Function, Param};
use crate::parse::template::{self, Of};
use crate::syntax::mentions::same;
use crate::syntax::place::Place;

pub(crate) mod background;
pub(crate) mod batch;
pub(crate) mod features;
pub(crate) mod pieces;
pub(crate) mod refused;
pub(crate) mod returns;
mod scope;

/// A function that can be cached as its attribute says.
pub(crate) struct Model {
    pub(crate) args: Args,
    pub(crate) face: Face,
    pub(crate) params: Vec<Param>,
    /// The same as an entry has them: with one id in the place of many.
    pub(crate) entry_params: Vec<Param>,
    pub(crate) batch: Option<Batch>,
    /// Without the future around it.
    pub(crate) output: Type,
    pub(crate) kind: Kind,
    pub(crate) background: Option<Background>,
    /// Of the key, or of the field in the group.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) group: Option<Vec<Piece>>,
    /// Those that are templates.
    pub(crate) tags: Vec<Vec<Piece>>,
    /// Which parameters the entry's place needs: its key, group and tags.
    pub(crate) key: Uses,
    pub(crate) in_group: Uses,
    /// Which parameters the templates mention.
    pub(crate) in_templates: Uses,
    pub(crate) cache: Uses,
    /// The positions of parameters that are left out of the key because they seem to be unit structs.
    pub(crate) presumed_units: Vec<usize>,
    /// Generic parameters that the entry does not have.
    pub(crate) not_in_entry: HashSet<String>,
    /// Generic parameters that are no part of the name.
    pub(crate) not_in_name: HashSet<String>,
    /// Generic parameters that the function of the group does not have.
    pub(crate) not_in_group: HashSet<String>,
    pub(crate) place: Place,
    pub(crate) function: Function,
}

impl Model {
    pub(crate) fn new(args: Args, function: Function, features: Features, errors: &Errors) -> Option<Model> {
        check_codec(&args.codec, features, errors);
        let (params, mut entry_params) = (function.params(), function.params());
        let given = Scope { receiver: function.sig.receiver(), params: &params, batch: None };
        check_twins(&params, &args, errors);
        given.check_skips(&args, errors);
        let batch = args.batch.as_ref().map(|batch| {
            given.check_batch(batch, errors);
            Batch::new(batch, &args, &function, &params, errors)
        });
        // Nobody knows then what a placeholder means.
        let is_batch_broken = matches!(batch, Some(None));
        let batch = batch.flatten();
        if let Some(batch) = &batch {
            entry_params[batch.index] = batch.element();
        }
        let scope = Scope { params: &entry_params, batch: batch.as_ref(), ..given };
        scope.check_closures(&args, errors);
        scope.check_cache(&args, errors);
        if let Some(cache) = args.cache.as_ref().filter(|cache| template::leaves(cache)) {
            errors.at(cache.span(), "a cache is looked up without `await`, `?` or `return`: an entry needs it too");
        }
        let pieces = match &args.key {
            _ if is_batch_broken => None,
            Some(literal) => scope.template(literal, Of::Key, &args, errors),
            None => Some(scope.all(&args.skip)),
        };
        let group = args.group.as_ref().filter(|_| !is_batch_broken);
        let group = group.map(|literal| scope.template(literal, Of::Group, &args, errors));
        let tags = args.tags.templates.iter().filter(|_| !is_batch_broken);
        let tags: Vec<_> = tags.map(|literal| scope.template(literal, Of::Tag, &args, errors)).collect();
        let is_cacheable = refused::check(&function, features, errors);
        let output = function.output().filter(|_| is_cacheable)?.clone();
        let kind = returns::kind(&output, &args, errors);
        if let Some(batch) = &batch {
            batch.check_map(&output, kind, errors);
        }
        let background = match args.batch {
            None => Background::new(&args, &function, &params, errors),
            Some(_) => None,
        };
        let pieces = pieces?;
        let group = match group {
            Some(group) => Some(group?),
            None => None,
        };
        let tags = tags.into_iter().collect::<Option<Vec<_>>>()?;
        let beside_key = || group.iter().chain(&tags).flatten();
        let key = scope.uses_of(pieces.iter().chain(beside_key()));
        let in_group = scope.uses_of(group.iter().flatten());
        let in_templates = scope.uses_of(pieces.iter().filter(|_| args.key.is_some()).chain(beside_key()));
        let cache = scope.uses(&args.cache);
        let in_place = scope.uses_of(pieces.iter().chain(group.iter().flatten()));
        let presumed_units = (0..entry_params.len())
            .filter(|&index| entry_params[index].names_its_type() && !in_place.params[index])
            .filter(|&index| !args.skip.iter().any(|name| entry_params[index].binds(name)))
            .collect();
        scope.check_mutable(&args, pieces.iter().chain(group.iter().flatten()), errors);
        scope.check_mentions(&args, pieces.iter().chain(group.iter().flatten()), tags.iter().flatten(), errors);
        let not_in_name = scope.dropped(&function, &output, |index| key.params[index]);
        let not_in_entry = scope.dropped(&function, &output, |index| key.params[index] || cache.params[index]);
        let not_in_group = scope.unmentioned(&function, &output, |index| in_group.params[index] || cache.params[index]);

        let place = if args.siblings || args.name.is_some() { function.place(args.mention_self) } else { Place::Free };
        if place == Place::TraitImpl && args.siblings {
            let message = if batch.is_some() {
                "in an `impl … for` block nothing may stand beside a method; \
                 write a method of the type's own, and call it here"
            } else {
                "in an `impl … for` block nothing may stand beside a method; \
                 write `siblings = off`, and reach its entry through a method of the type's own"
            };
            errors.at(function.sig.ident.span(), message);
        }
        let face = function.face();
        Some(Model {
            args,
            face,
            params,
            entry_params,
            batch,
            output,
            kind,
            background,
            pieces,
            group,
            tags,
            key,
            in_group,
            in_templates,
            cache,
            presumed_units,
            not_in_entry,
            not_in_name,
            not_in_group,
            place,
            function,
        })
    }
}

/// Refuses parameters that only the hygiene of a macro tells apart, where the attribute names any: it goes by spelling.
fn check_twins(params: &[Param], args: &Args, errors: &Errors) {
    let names_any = args.key.is_some() || args.group.is_some() || args.batch.is_some() || args.cache.is_some();
    let copies_all = args.refresh_ahead.is_some() || args.stale_while_revalidate.is_some();
    if !names_any && !copies_all && args.skip.is_empty() && args.tags.templates.is_empty() {
        return;
    }
    let names: Vec<&Ident> = params.iter().flat_map(|param| &param.bindings).collect();
    for (index, name) in names.iter().enumerate() {
        if names[..index].iter().any(|before| same(before, name)) {
            let message = format!(
                "a second parameter is spelled `{name}`; give it another name, which the attribute can tell apart"
            );
            errors.at(name.span(), message);
        }
    }
}

fn check_codec(codec: &Codec, features: Features, errors: &Errors) {
    let (span, name, enabled) = match codec {
        Codec::Custom(_) => return,
        Codec::Default | Codec::Auto(_) if features.bincode || features.messagepack => return,
        Codec::Default | Codec::Auto(_) => {
            let message = "without the features `bincode` and `messagepack` of `redis-cached` there is no default codec; \
                           enable one of them, or write `codec = …`";
            let span = if let Codec::Auto(span) = codec { *span } else { Span::call_site() };
            return errors.at(span, message);
        }
        Codec::Bincode(span) => (*span, "bincode", features.bincode),
        Codec::Json(span) => (*span, "json", features.json),
        Codec::MessagePack(span) => (*span, "messagepack", features.messagepack),
    };
    if !enabled {
        errors.at(span, format_args!("`codec = {name}` needs the feature `{name}` of `redis-cached`"));
    }
}
