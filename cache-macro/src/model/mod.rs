//! The attribute and the function, checked against each other. The contents of a [`Model`] can be
//! quoted without another check.

use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Ident, Type};

use self::background::Background;
use self::batch::Batch;
use self::features::Features;
use self::needs::Needs;
use self::pieces::Piece;
use self::returns::Kind;
use self::scope::Scope;
use self::templates::Templates;
use self::web::Handler;
use crate::errors::Errors;
use crate::parse::args::{Algorithm, Args, Codec};
use crate::parse::function::{Face, Function, Param};
use crate::syntax::mentions::same;
use crate::syntax::place::Place;

pub(crate) mod background;
pub(crate) mod batch;
pub(crate) mod features;
mod needs;
pub(crate) mod pieces;
pub(crate) mod refused;
pub(crate) mod returns;
mod scope;
mod templates;
pub(crate) mod web;

/// A function that can be cached as its attribute says.
pub(crate) struct Model {
    pub(crate) args: Args,
    pub(crate) face: Face,
    pub(crate) params: Vec<Param>,
    /// The parameters of an entry: a single id replaces all ids of a batch.
    pub(crate) entry_params: Vec<Param>,
    pub(crate) batch: Option<Batch>,
    /// The return type without the future around it.
    pub(crate) output: Type,
    /// The place of `output`, which takes time to find.
    pub(crate) output_span: Span,
    pub(crate) kind: Kind,
    pub(crate) background: Option<Background>,
    /// Present if the function is an HTTP handler, as far as its spelling tells.
    pub(crate) handler: Option<Handler>,
    /// Whether a router could take the function, whatever it returns.
    pub(crate) could_be_handler: bool,
    /// The parameters of such a function of which the key has a part alone, by position, and where it is mentioned.
    pub(crate) in_part: Vec<(usize, Span)>,
    /// The pieces of the key, or of the field in the group.
    pub(crate) pieces: Vec<Piece>,
    pub(crate) group: Option<Vec<Piece>>,
    /// The tags that are templates.
    pub(crate) tags: Vec<Vec<Piece>>,
    pub(crate) needs: Needs,
    pub(crate) place: Place,
    pub(crate) function: Function,
}

impl Model {
    pub(crate) fn new(mut args: Args, function: Function, features: Features, errors: &Errors) -> Option<Model> {
        check_features(&args, features, errors);
        let is_response = web::check(&args, &function, features, errors);
        let params = function.params();
        let given = Scope { receiver: function.sig.receiver(), params: &params, batch: None };
        check_twins(&params, &args, errors);
        given.check_skips(&args, errors);
        let is_handler = is_response || features.axum && function.output().is_some_and(web::is_wrapper);
        let handler = is_handler.then(|| Handler::new(&mut args, &params, errors));
        let batch = args.batch.as_ref().map(|batch| {
            given.check_batch(batch, errors);
            Batch::new(batch, &args, &function, &params, errors)
        });
        // Without the ids of the batch, the meaning of a placeholder is unknown.
        let is_batch_broken = matches!(batch, Some(None));
        let batch = batch.flatten();
        let entry_params = entry_params(&function, batch.as_ref());
        let scope = Scope { params: &entry_params, batch: batch.as_ref(), ..given };
        scope.check_expressions(&args, errors);
        let templates = if is_batch_broken { None } else { Templates::new(&scope, &args, errors) };
        let is_cacheable = refused::check(&function, is_response, features, errors) && (features.axum || !is_response);
        let output = function.output().filter(|_| is_cacheable)?;
        let output = if is_response { web::stored(&args, output) } else { output.clone() };
        let kind = returns::kind(&output, &args, errors);
        if let Some(batch) = &batch {
            batch.check_map(&output, kind, errors);
        }
        let background = match args.batch {
            None => Background::new(&args, &function, &params, errors),
            Some(_) => None,
        };
        let templates = templates?;
        scope.check_mutable(&args, templates.of_key(), errors);
        scope.check_mentions(&args, templates.of_key(), templates.tags.iter().flatten(), errors);
        let could_be_handler = is_handler || features.axum && batch.is_none() && is_async_function(&function);
        let mut in_part = Vec::new();
        if is_handler {
            Handler::check(&args, &params, templates.of_key(), errors);
        } else if could_be_handler {
            Handler::check_jars(&args, &params, errors);
            in_part = Handler::in_part(&args, &params, templates.of_key());
        }
        Some(Model {
            face: function.face(),
            needs: Needs::new(&scope, &templates, &args, &function, &output),
            place: place(&args, &function, errors),
            pieces: templates.key,
            group: templates.group,
            tags: templates.tags,
            entry_params,
            params,
            batch,
            output_span: output.span(),
            output,
            kind,
            background,
            handler,
            could_be_handler,
            in_part,
            args,
            function,
        })
    }
}

/// Returns `true` for an async function that is no method.
fn is_async_function(function: &Function) -> bool {
    function.face() == Face::Async && function.sig.receiver().is_none()
}

/// The parameters of the function, with one id in the place of all ids of a batch.
fn entry_params(function: &Function, batch: Option<&Batch>) -> Vec<Param> {
    let mut params = function.params();
    if let Some(batch) = batch {
        params[batch.index] = batch.element();
    }
    params
}

/// The block around the function, as far as it matters.
fn place(args: &Args, function: &Function, errors: &Errors) -> Place {
    if !args.siblings && args.name.is_none() {
        return Place::Free;
    }
    let place = function.place(args.mention_self);
    if place == Place::TraitImpl && args.siblings {
        let instead = match args.batch {
            Some(_) => "write a method of the type's own, and call it here",
            None => "write `siblings = off`, and reach its entry through a method of the type's own",
        };
        let message = format!("an `impl … for` block has no room for the siblings of a method; {instead}");
        errors.at(function.sig.ident.span(), message);
    }
    place
}

/// Refuses parameters that only macro hygiene tells apart, if the attribute names any: it compares spellings.
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

/// Reports arguments that cannot be, without some features or beside others.
fn check_features(args: &Args, features: Features, errors: &Errors) {
    check_codec(&args.codec, features, errors);
    check_compress(args, features, errors);
    check_local(args, features, errors);
}

/// Reports a local tier that cannot be.
fn check_local(args: &Args, features: Features, errors: &Errors) {
    let Some((keyword, _)) = &args.local else { return };
    if !features.local {
        errors.at(keyword.span(), "`local` needs the feature `local` of `redis-cached`");
    }
    if args.group.is_some() {
        errors.at(
            keyword.span(),
            "`local` cannot be combined with `group`: each write into a group would suspend all of its entries\n\
             remove one of them; `tags` invalidate many entries together, too",
        );
    }
}

fn check_compress(args: &Args, features: Features, errors: &Errors) {
    let Some(compress) = &args.compress else { return };
    let enabled = match compress.algorithm {
        Algorithm::Off => true,
        Algorithm::Lz4 => features.lz4,
        Algorithm::Zstd => features.zstd,
    };
    if !enabled {
        let name = compress.algorithm.name();
        errors.at(compress.span, format_args!("`compress = {name}` needs the feature `{name}` of `redis-cached`"));
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
