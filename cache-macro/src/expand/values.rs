//! The types of values in generated code.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote_spanned};
use syn::{Ident, Type};

use super::names::{at_output, private};
use crate::model::Model;
use crate::model::returns::Kind;

/// The type that is stored.
pub(crate) fn stored(model: &Model, output: &Type, private: impl ToTokens) -> TokenStream {
    match &model.batch {
        Some(_) if model.kind != Kind::Option => of_map(model, output, &private, "ValueOf"),
        _ => without_result(model, output, &private),
    }
}

/// The type of one id, of a batch.
pub(crate) fn id_of_map(model: &Model, output: &Type, private: impl ToTokens) -> TokenStream {
    of_map(model, output, &private, "IdOf")
}

fn of_map(model: &Model, output: &Type, private: &impl ToTokens, what: &str) -> TokenStream {
    let span = at_output(model);
    let (map, what) = (without_result(model, output, private), Ident::new(what, span));
    quote_spanned!(span=> #private::#what<#map>)
}

/// The type that the function returns, without a `Result` around it.
pub(crate) fn without_result(model: &Model, output: &Type, private: &impl ToTokens) -> TokenStream {
    let span = at_output(model);
    match model.kind {
        Kind::Result => quote_spanned!(span=> #private::OkOf<#output>),
        Kind::Value | Kind::Anything | Kind::Option => output.to_token_stream(),
    }
}

/// The return type, all of it at one place, so that its errors are reported once.
pub(crate) fn returned(model: &Model) -> TokenStream {
    let output = &model.output;
    let span = at_output(model);
    let rc = private(span);
    quote_spanned!(span=> #rc::Returned<#output>)
}
