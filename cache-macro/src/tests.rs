//! Expansions of whole files: `tests/expand/*.rs`, each next to its expansion.
//!
//! `REDIS_CACHED_EXPAND=overwrite cargo test --package redis-cached-macro` rewrites them.

use std::fs;
use std::path::Path;

use proc_macro2::TokenStream;
use quote::quote;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, File, ImplItem, Item, ItemImpl, Meta};

use crate::attribute;
use crate::model::features::Features;

const ALL: Features = Features {
    tokio: true,
    blocking: true,
    bincode: true,
    json: true,
    messagepack: true,
    local: true,
    lz4: true,
    zstd: true,
    axum: true,
};

/// Replaces each function under the attribute by its expansion.
struct Expand;

impl Expand {
    fn one(attrs: &mut Vec<Attribute>, item: impl FnOnce(Vec<Attribute>) -> TokenStream) -> Option<TokenStream> {
        let at = attrs.iter().position(|attr| attr.path().is_ident("redis_cached"))?;
        let attr = attrs.remove(at);
        let args = match attr.meta {
            Meta::List(list) => list.tokens,
            _ => TokenStream::new(),
        };
        Some(attribute(args, item(std::mem::take(attrs)), ALL))
    }
}

impl VisitMut for Expand {
    fn visit_file_mut(&mut self, file: &mut File) {
        for item in std::mem::take(&mut file.items) {
            match item {
                Item::Fn(mut function) => {
                    let mut attrs = std::mem::take(&mut function.attrs);
                    match Expand::one(&mut attrs, |attrs| quote!(#(#attrs)* #function)) {
                        Some(expanded) => {
                            let expanded: File = syn::parse2(expanded).expect("items");
                            file.items.extend(expanded.items);
                        }
                        None => file.items.push(Item::Fn(syn::ItemFn { attrs, ..function })),
                    }
                }
                item => file.items.push(item),
            }
        }
        visit_mut::visit_file_mut(self, file);
    }

    fn visit_item_impl_mut(&mut self, block: &mut ItemImpl) {
        for item in std::mem::take(&mut block.items) {
            match item {
                ImplItem::Fn(mut function) => {
                    let mut attrs = std::mem::take(&mut function.attrs);
                    match Expand::one(&mut attrs, |attrs| quote!(#(#attrs)* #function)) {
                        Some(expanded) => {
                            let expanded: ItemImpl = syn::parse2(quote!(impl X { #expanded })).expect("items");
                            block.items.extend(expanded.items);
                        }
                        None => block.items.push(ImplItem::Fn(syn::ImplItemFn { attrs, ..function })),
                    }
                }
                item => block.items.push(item),
            }
        }
        visit_mut::visit_item_impl_mut(self, block);
    }

    // The allowances are the same everywhere, and long.
    fn visit_attributes_mut(&mut self, attrs: &mut Vec<Attribute>) {
        attrs.retain(|attr| {
            let attr = quote!(#attr).to_string();
            !attr.contains("clippy") && !attr.contains("dead_code")
        });
    }
}

#[test]
fn expansions() {
    let overwrite = std::env::var_os("REDIS_CACHED_EXPAND").is_some_and(|what| what == "overwrite");
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/expand");
    let mut inputs: Vec<_> = fs::read_dir(&directory)
        .expect("the directory of expansions")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.to_string_lossy().ends_with(".expanded.rs"))
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    for input in inputs {
        let mut file = syn::parse_file(&fs::read_to_string(&input).expect("an input")).expect("Rust");
        Expand.visit_file_mut(&mut file);
        let expanded = prettyplease::unparse(&file);
        let output = input.with_extension("expanded.rs");
        if overwrite {
            fs::write(&output, &expanded).expect("an output");
        }
        let expected = fs::read_to_string(&output).unwrap_or_default();
        assert!(expanded == expected, "{} expands to something else:\n{expanded}", input.display());
    }
}

#[test]
fn what_a_missing_feature_cannot_do_names_it() {
    let none = Features {
        tokio: false,
        blocking: false,
        bincode: false,
        json: false,
        messagepack: false,
        local: false,
        lz4: false,
        zstd: false,
        axum: false,
    };
    for (args, function, features, expected) in [
        (
            quote!(),
            quote!(
                async fn f() -> u8 {
                    1
                }
            ),
            Features { tokio: false, ..ALL },
            "needs the feature `tokio`",
        ),
        (
            quote!(),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            Features { blocking: false, ..ALL },
            "needs the feature `blocking`",
        ),
        (
            quote!(),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            Features { bincode: false, messagepack: false, ..ALL },
            "without the features `bincode` and `messagepack`",
        ),
        (
            quote!(local = 100),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            Features { local: false, ..ALL },
            "needs the feature `local`",
        ),
        (
            quote!(compress = lz4),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            Features { lz4: false, ..ALL },
            "`compress = lz4` needs the feature `lz4` of `redis-cached`",
        ),
        (
            quote!(compress = "zstd:4096"),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            Features { zstd: false, ..ALL },
            "`compress = zstd` needs the feature `zstd` of `redis-cached`",
        ),
        (
            quote!(response),
            quote!(
                async fn f() -> impl IntoResponse {
                    "one"
                }
            ),
            Features { axum: false, ..ALL },
            "needs the feature `axum`",
        ),
        (
            quote!(codec = auto),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            none,
            "without the features `bincode` and `messagepack`",
        ),
        (
            quote!(codec = bincode),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            none,
            "needs the feature `bincode`",
        ),
        (
            quote!(codec = json),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            none,
            "needs the feature `json`",
        ),
        (
            quote!(codec = messagepack),
            quote!(
                fn f() -> u8 {
                    1
                }
            ),
            none,
            "needs the feature `messagepack`",
        ),
    ] {
        let expanded = attribute(args.clone(), function.clone(), features).to_string();
        assert!(expanded.contains(expected), "{args} {function}: {expanded}");
        assert!(expanded.starts_with(&function.to_string()), "the function is there all the same: {expanded}");
    }
    let custom = attribute(
        quote!(codec = Mine),
        quote!(
            fn f() -> u8 {
                1
            }
        ),
        Features { blocking: true, ..none },
    );
    assert!(!custom.to_string().contains("compile_error"), "{custom}");
    for one in [Features { bincode: false, ..ALL }, Features { messagepack: false, ..ALL }] {
        let function = quote!(
            fn f() -> u8 {
                1
            }
        );
        let expanded = attribute(quote!(), function, one).to_string();
        assert!(!expanded.contains("compile_error"), "either codec is a default: {expanded}");
    }
}
