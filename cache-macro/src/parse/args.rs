//! The attribute's arguments, as they are written. Each is checked as far as this is possible without the function.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{Expr, Ident, Lit, LitStr, Path, Token};

use super::argument::Argument;
use super::environment;
pub(crate) use super::lifetimes::Lifetime;
use super::lifetimes::{lease, lifetime_of_values, none_ttl, stale, wait};
pub(crate) use super::values::{Algorithm, Batch, Codec, Compress, Prefix, Returns, SingleFlight, Tags};
use super::values::{
    batch, cache_if, codec, compress, jitter, local, name, prefix, recover, refresh_ahead, skip, string, tags, version,
    word,
};
use super::web::{self, Web};
use crate::errors::Errors;
use crate::syntax::mentions::same;
use crate::syntax::place;

/// All arguments, absent ones included.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) ttl: Option<Lifetime>,
    /// The lifetime that the environment gives to functions without `ttl`.
    pub(crate) default_ttl: Option<Lifetime>,
    pub(crate) prefix: Option<Prefix>,
    pub(crate) name: Option<LitStr>,
    pub(crate) key: Option<LitStr>,
    /// Names of parameters, `self` among them.
    pub(crate) skip: Vec<Ident>,
    pub(crate) version: u32,
    pub(crate) codec: Codec,
    pub(crate) compress: Option<Compress>,
    pub(crate) cache: Option<Expr>,
    pub(crate) cache_if: Option<Expr>,
    pub(crate) none_ttl: Option<(Ident, Lifetime)>,
    pub(crate) jitter: Option<(Ident, f64)>,
    pub(crate) refresh_ahead: Option<(Ident, f64)>,
    pub(crate) stale_while_revalidate: Option<(Ident, Lifetime)>,
    pub(crate) stale_if_error: Option<(Ident, Lifetime)>,
    pub(crate) single_flight: Option<SingleFlight>,
    pub(crate) lease: Option<Lifetime>,
    pub(crate) wait: Option<(Ident, Lifetime)>,
    pub(crate) group: Option<LitStr>,
    pub(crate) tags: Tags,
    pub(crate) batch: Option<Batch>,
    /// How many values the process keeps.
    pub(crate) local: Option<(Ident, Expr)>,
    pub(crate) web: Web,
    pub(crate) share_errors: Option<(Ident, bool)>,
    pub(crate) returns: Option<(Ident, Returns)>,
    pub(crate) siblings: bool,
    pub(crate) krate: Option<Path>,
    /// `true` if `Self` is mentioned anywhere, which is possible only in a block.
    pub(crate) mention_self: bool,
}

impl Args {
    /// Returns `true` if `skip` names this.
    pub(crate) fn skips(&self, name: &Ident) -> bool {
        self.skip.iter().any(|skipped| same(skipped, name))
    }

    pub(crate) fn parse(tokens: TokenStream, errors: &Errors) -> Args {
        let mention_self = place::mentioned_in_args(&tokens);
        let mut args = Args { siblings: true, mention_self, ..Args::default() };
        let parser = |input: ParseStream<'_>| {
            let mut seen: Vec<Argument> = Vec::new();
            while !input.is_empty() {
                if errors.keep(args.one(input, &mut seen, errors)).is_none() {
                    recover(input)?;
                }
                if !input.is_empty() && errors.keep(separator(input)).is_none() {
                    recover(input)?;
                    input.parse::<Option<Token![,]>>()?;
                }
            }
            Ok(())
        };
        errors.keep(parser.parse2(tokens));
        if let (Some(SingleFlight::Off), Some((keyword, _))) = (args.single_flight, &args.wait) {
            errors.at(keyword.span(), "with `single_flight = off` no call waits for another; remove `wait`");
        }
        args.check_forever(errors);
        args.add_defaults(errors);
        args
    }

    /// Reads what the environment gives to a crate in place of arguments.
    fn add_defaults(&mut self, errors: &Errors) {
        if self.prefix.is_none() {
            environment::check_prefix(errors);
        }
        if self.ttl.is_none() {
            self.default_ttl = environment::ttl(errors);
        }
    }

    /// Reports arguments that have no effect on values without an end.
    fn check_forever(&self, errors: &Errors) {
        // A `None` has a lifetime of its own.
        let ends = |(_, lifetime): &(Ident, Lifetime)| !matches!(lifetime, Lifetime::Forever);
        if !matches!(self.ttl, Some(Lifetime::Forever)) || self.none_ttl.as_ref().is_some_and(ends) {
            return;
        }
        let without_effect = [
            self.jitter.as_ref().map(|(keyword, _)| keyword),
            self.refresh_ahead.as_ref().map(|(keyword, _)| keyword),
            self.stale_while_revalidate.as_ref().map(|(keyword, _)| keyword),
            self.stale_if_error.as_ref().map(|(keyword, _)| keyword),
        ];
        for keyword in without_effect.into_iter().flatten() {
            let message = format!("with `ttl = forever` no value expires; give a lifetime, or remove `{keyword}`");
            errors.at(keyword.span(), message);
        }
    }

    /// Parses one argument. An error that it returns leaves the rest of the argument unread.
    fn one(&mut self, input: ParseStream<'_>, seen: &mut Vec<Argument>, errors: &Errors) -> syn::Result<()> {
        let keyword = keyword(input)?;
        let argument = Argument::named(&keyword)?;
        if seen.contains(&argument) {
            errors.at(keyword.span(), format_args!("`{keyword}` is given twice"));
        }
        let has_value = if argument.is_list() {
            input.peek(syn::token::Paren)
        } else if argument.is_flag() {
            input.is_empty() || input.peek(Token![,])
        } else {
            input.parse::<Option<Token![=]>>()?.is_some() && !input.is_empty() && !input.peek(Token![,])
        };
        if !has_value {
            return Err(syn::Error::new(keyword.span(), format_args!("write `{}`", argument.form())));
        }
        self.set(argument, keyword, input, errors)?;
        seen.push(argument);
        Ok(())
    }

    fn set(&mut self, argument: Argument, keyword: Ident, input: ParseStream<'_>, errors: &Errors) -> syn::Result<()> {
        let form = argument.form();
        match argument {
            Argument::Ttl => self.ttl = lifetime_of_values(input.parse()?, errors),
            Argument::Prefix => self.prefix = prefix(input.parse()?, errors),
            Argument::Name => self.name = name(input.parse()?, form, errors),
            Argument::Key => self.key = errors.keep(string(input.parse()?, form)),
            Argument::Skip => self.skip.append(&mut skip(&keyword, input, errors)?),
            Argument::Version => self.version = errors.keep(version(input.parse()?)).unwrap_or_default(),
            Argument::Codec => self.codec = codec(input)?,
            Argument::Compress => self.compress = errors.keep(compress(input.parse()?)),
            Argument::Cache => self.cache = Some(input.parse()?),
            Argument::CacheIf => self.cache_if = errors.keep(cache_if(input.parse()?, errors)),
            Argument::NoneTtl => self.none_ttl = none_ttl(keyword, input.parse()?, errors),
            Argument::Jitter => self.jitter = errors.keep(jitter(input.parse()?)).map(|part| (keyword, part)),
            Argument::RefreshAhead => {
                self.refresh_ahead = errors.keep(refresh_ahead(input.parse()?)).map(|part| (keyword, part));
            }
            Argument::StaleWhileRevalidate => {
                self.stale_while_revalidate = stale(keyword, input.parse()?, form, errors);
            }
            Argument::StaleIfError => self.stale_if_error = stale(keyword, input.parse()?, form, errors),
            Argument::SingleFlight => self.single_flight = Some(word(input, &SingleFlight::WORDS)?),
            Argument::Lease => self.lease = lease(input.parse()?, errors),
            Argument::Wait => self.wait = wait(keyword, input.parse()?, errors),
            Argument::Group => self.group = errors.keep(string(input.parse()?, form)),
            Argument::Tags => self.tags = tags(input.parse()?, form, errors),
            Argument::Batch => self.batch = batch(keyword, input, form, errors)?,
            Argument::Local => self.local = errors.keep(local(input.parse()?)).map(|most| (keyword, most)),
            Argument::Response => self.web.response = Some(keyword),
            Argument::MaxBody => {
                self.web.max_body = errors.keep(web::max_body(input.parse()?)).map(|most| (keyword, most));
            }
            Argument::Client => {
                self.web.client = errors.keep(web::client(input.parse()?, form)).map(|policy| (keyword, policy));
            }
            Argument::Vary => {
                let names = web::vary(&keyword, input, errors)?;
                self.web.vary = Some((keyword, names));
            }
            Argument::CacheStatus => self.web.cache_status = Some((keyword, word(input, &SWITCH)?)),
            Argument::ClientMayBypass => self.web.client_may_bypass = Some((keyword, word(input, &SWITCH)?)),
            Argument::ShareErrors => self.share_errors = Some((keyword, word(input, &SWITCH)?)),
            Argument::Returns => self.returns = Some((keyword, word(input, &Returns::WORDS)?)),
            Argument::Siblings => self.siblings = word(input, &SWITCH)?,
            Argument::Crate => self.krate = Some(path(input, form)?),
        }
        Ok(())
    }
}

const SWITCH: [(&str, bool); 2] = [("on", true), ("off", false)];

/// The name of an argument.
fn keyword(input: ParseStream<'_>) -> syn::Result<Ident> {
    if input.peek(Ident::peek_any) {
        return input.call(Ident::parse_any);
    }
    let forms = "expected `argument = value`, such as `ttl = 600` or `ttl = \"10m\"`";
    let given = input.fork().parse::<Lit>().ok().filter(|lit| matches!(lit, Lit::Int(_) | Lit::Str(_)));
    Err(match given {
        Some(given) => input.error(format_args!("{forms}; is `ttl = {}` meant?", given.to_token_stream())),
        None => input.error(forms),
    })
}

fn path(input: ParseStream<'_>, form: &str) -> syn::Result<Path> {
    let span = input.span();
    let path = input.call(Path::parse_mod_style);
    path.map_err(|_| syn::Error::new(span, format_args!("expected a path: `{form}`")))
}

/// The `,` after an argument.
fn separator(input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![,]) {
        return input.parse::<Token![,]>().map(drop);
    }
    Err(input.error("expected `,`"))
}
