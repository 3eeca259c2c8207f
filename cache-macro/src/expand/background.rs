//! The call into the runtime of a function that is refreshed in the background.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::Ident;

use super::call::errors;
use super::names::{Names, generated, private};
use super::values::returned;
use super::web;
use crate::model::Model;
use crate::model::background::{Background, Own};
use crate::model::returns::Kind;
use crate::parse::function::Face;

// Input:
//     #[redis_cached(stale_while_revalidate = "30s", skip(db))]
//     async fn user(db: &Db, id: u64) -> Result<User, Error> { BODY }
//
// Output:
//     __rc::call_result_in_background::<Result<User, Error>, _, _, _, _, _>(
//         cache,
//         plan,
//         key,
//         ERRORS,
//         verb,
//         (db, id),
//         |(db, id)| user_uncached(db, id),
//         |(db, id)| {
//             use __rc::NotKept as _;
//             let db = __rc::keep_referent(db, __rc::lent(db).rc_kept());
//             let id = __rc::keep(id, __rc::cloned(id).rc_kept());
//             async move { user_uncached(__rc::lend(&db), id).await }
//         },
//     )
//     .await
//
// The closures capture nothing: all arguments of `user` go through the tuple, and the copies that
// outlive the call are made only when a refresh starts. The compiler shows the error of a copy that
// is not `'static` at the argument that asks for a refresh.
pub(crate) fn run(model: &Model, background: &Background, verb: &TokenStream, callee: &TokenStream) -> TokenStream {
    let Names { cache, plan, key, .. } = &Names::of(model);
    let span = generated(background.keyword.span());
    let rc = private(span);
    let (kind, errors) = match model.kind {
        Kind::Result => ("result", Some(errors(model))),
        _ => ("value", None),
    };
    let face = match model.face {
        Face::Async | Face::Boxed => "",
        Face::Plain => "blocking_",
    };
    let function = format_ident!("{face}call_{kind}_in_background", span = span);
    let any = quote_spanned!(span=> _);
    let any = std::iter::repeat_n(any, if model.face == Face::Plain { 2 } else { 5 });
    let returned = returned(model);
    let function = if web::is_response(model) {
        quote_spanned!(span=> #rc::call_response_in_background)
    } else {
        quote_spanned!(span=> #rc::#function::<#returned, #(#any),*>)
    };
    let rules = web::is_response(model).then(|| web::rules(model)).map(|rules| quote_spanned!(span=> #rules,));

    let arguments: Vec<Argument> = arguments(model, background);
    let given: Vec<_> = arguments.iter().map(|argument| argument.given(model)).collect();
    let names: Vec<_> = arguments.iter().map(|argument| &argument.name).collect();
    let keep = arguments.iter().map(|argument| argument.keep(model.face));
    let lend = arguments.iter().map(Argument::lend);

    let refresh = quote_spanned!(span=> #callee(#(#lend),*));
    let refresh = match model.face {
        Face::Async | Face::Boxed => quote_spanned!(span=> async move { #refresh.await }),
        Face::Plain => quote_spanned!(span=> move || #refresh),
    };
    let own = quote_spanned! {span=>
        |(#(#names,)*)| {
            use #rc::NotKept as _;
            #(#keep)*
            #refresh
        }
    };
    let args = quote_spanned!(span=> (#(#given,)*));
    let body = quote_spanned!(span=> |(#(#names,)*)| #callee(#(#names),*));
    let call = quote_spanned!(span=> #function(#cache, #plan, #key, #errors #verb, #rules #args, #body, #own));
    match model.face {
        Face::Async | Face::Boxed => quote_spanned!(span=> #call.await),
        Face::Plain => call,
    }
}

/// An argument on its way to a refresh.
struct Argument {
    /// Its name in the function.
    given: Ident,
    /// Its name in the closures.
    name: Ident,
    own: Own,
    is_self: bool,
    /// Its position among the parameters.
    index: Option<usize>,
}

fn arguments(model: &Model, background: &Background) -> Vec<Argument> {
    let receiver = model.function.sig.receiver().zip(background.receiver).map(|(receiver, own)| {
        let token = receiver.self_token;
        let (given, name) = (Ident::from(token), Ident::new("__self", generated(token.span)));
        Argument { given, name, own, is_self: true, index: None }
    });
    let params = model.params.iter().zip(&background.params).enumerate().map(|(index, (param, own))| {
        let mut name = param.ident.clone();
        name.set_span(generated(name.span()));
        Argument { given: param.ident.clone(), name, own: *own, is_self: false, index: Some(index) }
    });
    receiver.into_iter().chain(params).collect()
}

impl Argument {
    fn given(&self, model: &Model) -> TokenStream {
        match self.index {
            Some(index) => web::argument(model, index, &self.given),
            None => self.given.to_token_stream(),
        }
    }

    /// All tokens are at the parameter, where the error of one that cannot be kept is shown.
    fn keep(&self, face: Face) -> TokenStream {
        let Argument { name, own, is_self, .. } = self;
        let span = name.span();
        let rc = private(span);
        let ident = |text| Ident::new(text, span);
        let keep = ident(match (own, is_self) {
            (Own::Clone, false) => "keep",
            (Own::Clone, true) => "keep_self",
            (Own::Referent, false) => "keep_referent",
            (Own::Referent, true) => "keep_self_referent",
            (Own::Option, _) => "keep_option",
            (Own::Cow, _) => "keep_cow",
        });
        let probe = ident(match (own, face) {
            (Own::Clone, _) => "cloned",
            (_, Face::Plain) => "lent_by_thread",
            (_, Face::Async | Face::Boxed) => "lent",
        });
        quote_spanned!(span=> let #name = #rc::#keep(#name, #rc::#probe(#name).rc_kept());)
    }

    fn lend(&self) -> TokenStream {
        let Argument { name, own, .. } = self;
        let lend = match own {
            Own::Clone => return quote!(#name),
            Own::Referent => "lend",
            Own::Option => "lend_option",
            Own::Cow => "lend_cow",
        };
        let span = name.span();
        let (rc, lend) = (private(span), Ident::new(lend, span));
        quote_spanned!(span=> #rc::#lend(&#name))
    }
}
