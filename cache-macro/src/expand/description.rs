//! The variables of a generated function before it asks the cache: the cache, the plan, and the key.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Receiver, Type};

use super::key::{borrowed, destructure, key as find_key, make_group_key};
use super::names::{Names, at_output, facade, generated, private};
use super::plan;
use super::values::without_result;
use crate::model::Model;
use crate::model::batch::{Batch, Ids};
use crate::model::pieces::Piece;

// Output:
//     use ::redis_cached::__private as __rc;
//     let cache = CACHE;
//     let plan = PLAN;
//     BEFORE_KEY
//     let key = KEY;
//
// `receiver` is that of the generated function.
pub(crate) fn description(
    model: &Model,
    receiver: Option<&Receiver>,
    output: &Type,
    allow: &TokenStream,
    before_key: &TokenStream,
) -> TokenStream {
    let Names { key, .. } = &Names::of(model);
    let cache_and_plan = cache_and_plan(model, output, allow);
    let find_key = find_key(model, receiver);
    quote! {
        #cache_and_plan
        #before_key
        #allow
        let #key = #find_key;
    }
}

pub(crate) fn cache_and_plan(model: &Model, output: &Type, allow: &TokenStream) -> TokenStream {
    let Names { cache, .. } = &Names::of(model);
    let (rc, facade) = (private(Span::mixed_site()), facade(model));
    let find_cache = find_cache(model);
    let find_plan = let_plan(model, output);
    quote! {
        use #facade::__private as #rc;
        #allow
        let #cache = #find_cache;
        #allow
        #find_plan
    }
}

// Output:
//     use ::redis_cached::__private as __rc;
//     let plan = PLAN;
pub(crate) fn find_plan(model: &Model, output: &Type) -> TokenStream {
    let (rc, facade) = (private(Span::mixed_site()), facade(model));
    let find_plan = let_plan(model, output);
    quote!(use #facade::__private as #rc; #find_plan)
}

fn let_plan(model: &Model, output: &Type) -> TokenStream {
    let Names { plan, .. } = &Names::of(model);
    let find_plan = plan::plan(model, output);
    quote_spanned!(at_output(model)=> let #plan = #find_plan;)
}

// Input:
//     batch(id in ids)
//
// Output:
//     use ::redis_cached::__private as __rc;
//     let cache = CACHE;
//     let plan = PLAN;
//     let (ids, some) = __rc::batch_ids::<HashMap<u64, User>, _>(ids, |id: &_| KEY);
pub(crate) fn description_of_batch(model: &Model, batch: &Batch, receiver: Option<&Receiver>) -> TokenStream {
    let cache_and_plan = cache_and_plan(model, &model.output, &TokenStream::new());
    let find_key = find_key(model, receiver);
    let Batch { id, name, .. } = batch;
    // A type that cannot be iterated over is reported at the parameter.
    let span = generated(name.span());
    let rc = private(span);
    let given = match batch.ids {
        Ids::Lent(_) => quote!(#name),
        Ids::Owned(_) => quote_spanned!(span=> &#name),
    };
    let output = at_output(model);
    let Names { ids, some, .. } = Names::of(model);
    let names = quote_spanned!(output=> (#ids, #some));
    let rc_output = private(output);
    let map = without_result(model, &model.output, &rc_output);
    let map = quote_spanned!(output=> #rc_output::Returned<#map>);
    let make_ids = quote_spanned!(span=> let #names = #rc::batch_ids::<#map, _>(#given, |#id: &_| #find_key););
    quote!(#cache_and_plan #make_ids)
}

// Output:
//     use ::redis_cached::__private as __rc;
//     let cache = CACHE;
//     let key = KEY of the group;
pub(crate) fn description_of_group(model: &Model, group: &[Piece], receiver: Option<&Receiver>) -> TokenStream {
    let Names { cache, key, .. } = &Names::of(model);
    let rc = private(Span::mixed_site());
    let facade = facade(model);
    let find_cache = find_cache(model);
    let make_key = make_group_key(model, group, receiver);
    quote! {
        use #facade::__private as #rc;
        let #cache = #find_cache;
        let #key = #make_key;
    }
}

// Input:
//     cache = self.cache
//
// Output:
//     &{
//         let cache = __rc::own_cache(&self.cache);
//         cache
//     }
//
// This clones the handle, because the body may move `self`.
fn find_cache(model: &Model) -> TokenStream {
    let Some(expr) = &model.args.cache else {
        let rc = private(Span::mixed_site());
        return quote!(&#rc::installed());
    };
    let Names { cache, .. } = &Names::of(model);
    let span = generated(expr.span());
    let rc = private(span);
    let destructure = destructure(model, &model.needs.cache);
    let borrowed = borrowed(expr);
    let clone = quote_spanned!(span=> #rc::own_cache(#borrowed));
    quote! {
        &{
            #destructure
            let #cache = #clone;
            #cache
        }
    }
}
