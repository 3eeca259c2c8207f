//! The place of a function: by itself, or in an `impl` block.
//!
//! A method reaches a sibling as `Self::sibling`, a free function as `sibling`, and an attribute sees only the function.
//! A receiver or a `Self` shows that it is a method. Without them, `fn parse(text: &str) -> u64` looks the same in both
//! places, and its source file tells them apart. The compiler splits the file into tokens; all that matters is the header
//! of the innermost block around a position, also within `macro_rules!`.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::time::SystemTime;

use proc_macro2::{Delimiter, Group, Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Signature, Visibility};

/// The block around a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A module, or another function.
    Free,
    /// `impl Type`.
    Inherent,
    /// `impl Trait for Type`.
    TraitImpl,
    /// `trait Trait`.
    Trait,
}

/// The place of a function, from its own tokens where they tell, else from its file. The attribute's arguments may
/// tell, too.
pub(crate) fn place(vis: &Visibility, sig: &Signature, body: &Group, is_self_in_args: bool) -> Place {
    let is_method = is_self_in_args
        || sig.receiver().is_some()
        || mentions_self(sig.to_token_stream())
        || mentions_self(sig.generics.where_clause.to_token_stream())
        || mentions_self(body.to_token_stream());
    // In an `impl Trait for` block nothing is `pub`.
    if is_method && !matches!(vis, Visibility::Inherited) {
        return Place::Inherent;
    }
    match in_file(sig.fn_token.span) {
        Some(Place::Free) | None if is_method => Place::Inherent,
        Some(place) => place,
        None => Place::Free,
    }
}

/// Returns `true` if arguments of the attribute mention `Self`, in a template or outside.
pub(crate) fn mentioned_in_args(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Literal(literal) => literal.to_string().contains("{Self::"),
        TokenTree::Group(group) => mentioned_in_args(&group.stream()),
        other => mentions_self(other.into()),
    })
}

/// Returns `true` if `Self` is mentioned, apart from blocks that have a `Self` of their own.
fn mentions_self(tokens: TokenStream) -> bool {
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => return true,
            TokenTree::Ident(ident) if ["impl", "trait", "struct", "enum"].iter().any(|word| ident == word) => {
                // Up to the end of the item, its header included.
                let _ = tokens.find(|token| match token {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(punct) => punct.as_char() == ';',
                    _ => false,
                });
            }
            TokenTree::Group(group) if mentions_self(group.stream()) => return true,
            _ => {}
        }
    }
    false
}

/// The place according to the source file; `None` if the file cannot be read, as in an editor.
fn in_file(keyword: Span) -> Option<Place> {
    if !proc_macro::is_available() {
        return None;
    }
    // This is no `Option`: it gives the compiler's own span, which exists, as asked above.
    let span = keyword.unwrap();
    let path = span.local_file()?;
    let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok()?;
    READ.with_borrow_mut(|read| {
        // Attributes of one file are expanded one after another.
        if read.as_ref().is_none_or(|read| read.path != path || read.modified != modified) {
            let places = places(&std::fs::read_to_string(&path).ok()?)?;
            *read = Some(Read { path, modified, places });
        }
        read.as_ref()?.places.get(&(span.line(), span.column())).copied()
    })
}

thread_local! {
    /// The file that was read last.
    static READ: RefCell<Option<Read>> = const { RefCell::new(None) };
}

struct Read {
    path: PathBuf,
    modified: SystemTime,
    places: HashMap<Position, Place>,
}

/// A line and a column, both counted from one.
type Position = (usize, usize);

/// A word that stands for the `fn` at an index, in front of it.
const MARKER: &str = "__redis_cached_fn_";

// Input:
//     impl Users { fn parse(text: &str) -> u64 { BODY } }
//
// Output:
//     impl Users { __redis_cached_fn_0 fn parse(text: &str) -> u64 { BODY } }
//
/// The place of each `fn` of a source text; `None` if the text is not Rust.
///
/// The tokens of a text have no positions, so a marker in front of each `fn` says which one it is. Markers inside of texts
/// and comments do no harm.
fn places(source: &str) -> Option<HashMap<Position, Place>> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let is_script = source.starts_with("#!") && !source[2..].trim_start().starts_with('[');
    let (mut marked, mut positions) = (String::with_capacity(source.len()), Vec::new());
    for (index, line) in source.split_inclusive('\n').enumerate() {
        if index == 0 && is_script {
            marked.push('\n');
            continue;
        }
        let mut rest = 0;
        for (at, _) in line.match_indices("fn").filter(|(at, _)| is_word(line, *at..at + 2)) {
            marked.push_str(&line[rest..at]);
            marked.push_str(&format!("{MARKER}{} ", positions.len()));
            positions.push((index + 1, line[..at].chars().count() + 1));
            rest = at;
        }
        marked.push_str(&line[rest..]);
    }
    let mut places = HashMap::new();
    visit(marked.parse().ok()?, Place::Free, Header::Empty, &mut |marker, place| {
        if let Some(position) = marker.parse::<usize>().ok().and_then(|index| positions.get(index)) {
            places.insert(*position, place);
        }
    });
    Some(places)
}

fn is_word(line: &str, at: Range<usize>) -> bool {
    let is_part = |c: char| c == '_' || c == '#' || c.is_alphanumeric();
    !line[..at.start].ends_with(is_part) && !line[at.end..].starts_with(is_part)
}

/// Tells the place of each marker: the innermost block around it.
fn visit(tokens: TokenStream, place: Place, start: Header, tell: &mut dyn FnMut(&str, Place)) {
    let mut header = start;
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        let mut is_next = |c: char| matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == c);
        match token {
            TokenTree::Ident(word) => {
                let word = word.to_string();
                match word.strip_prefix(MARKER) {
                    Some(marker) => tell(marker, place),
                    None => header = header.read(&word, is_next('<')),
                }
            }
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                // The `{ N }` of `impl Find for Array<{ N }>` ends nothing.
                let goes_on = is_next('>') || is_next(',');
                visit(group.stream(), header.place(), Header::Empty, tell);
                if !goes_on && header != Header::Ignored {
                    header = Header::Empty;
                }
            }
            TokenTree::Group(group) => visit(group.stream(), Place::Free, Header::Ignored, tell),
            TokenTree::Punct(punct) if punct.as_char() == ';' && header != Header::Ignored => header = Header::Empty,
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// The header that has been read since the last item ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    /// Nothing, or modifiers.
    Empty,
    Impl,
    ImplFor,
    Trait,
    Other,
    /// Parentheses or brackets are around.
    Ignored,
}

impl Header {
    fn read(self, word: &str, is_generic: bool) -> Header {
        match (self, word) {
            (Header::Empty, "pub" | "unsafe" | "default" | "const" | "async" | "auto") => Header::Empty,
            (Header::Empty, "impl") => Header::Impl,
            (Header::Empty, "trait") => Header::Trait,
            (Header::Empty, _) => Header::Other,
            // This is not the `for` of `for<'a> Fn(&'a u8)`.
            (Header::Impl, "for") if !is_generic => Header::ImplFor,
            _ => self,
        }
    }

    fn place(self) -> Place {
        match self {
            Header::Impl => Place::Inherent,
            Header::ImplFor => Place::TraitImpl,
            Header::Trait => Place::Trait,
            Header::Empty | Header::Other | Header::Ignored => Place::Free,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of the `fn` of the function `target`.
    fn place_of_target(source: &str) -> Option<Place> {
        let at = source.find("fn target").expect("a target");
        let line = source[..at].matches('\n').count() + 1;
        let column = source[..at].chars().rev().take_while(|&c| c != '\n').count() + 1;
        places(source).map(|places| places[&(line, column)])
    }

    #[test]
    fn the_innermost_block_decides() {
        for (source, expected) in [
            ("fn target() {}", Place::Free),
            ("mod a { pub async fn target() {} }", Place::Free),
            ("impl A { fn target() {} }", Place::Inherent),
            ("unsafe impl<T: for<'a> Fn(&'a u8)> A<T> { fn target() {} }", Place::Inherent),
            ("impl A { fn other() { fn target() {} } }", Place::Free),
            ("impl A { fn other() { if x { 1 } else { 2 }; impl B { fn target() {} } } }", Place::Inherent),
            ("impl A for B { #[x(impl)] pub fn target() {} }", Place::TraitImpl),
            ("impl A for B<{ N }, { M }> { fn target() {} }", Place::TraitImpl),
            ("impl<const N: usize> A<{ N }> for B { fn target() {} }", Place::TraitImpl),
            ("pub trait A: B where for<'a> Self: C<'a> { fn target() {} }", Place::Trait),
            ("impl A { fn a(x: impl B) -> impl C { y } } fn target() {}", Place::Free),
            ("fn a() -> impl C { y } impl A { fn b(x: impl B) {} fn target() {} }", Place::Inherent),
            ("const X: &str = \"}\"; impl A { const Y: char = '}'; fn target() {} }", Place::Inherent),
            (
                "impl A { const Y: char = '\\''; /* } /* } */ } */ // }\n fn a(x: &'a u8) {} fn target() {} }",
                Place::Inherent,
            ),
            ("impl A { const Y: &str = r#\"}\"#; const Z: [u8; 2] = *br\"}\"; fn target() {} }", Place::Inherent),
            ("macro_rules! m { ($t:ty) => { impl $t { pub fn target() {} } } }", Place::Inherent),
            ("f({ impl A { fn target() {} } })", Place::Inherent),
            ("impl A { fn a() { f(|| { x }) } const B: u8 = { 1 }; fn target() {} }", Place::Inherent),
            ("impl Größe { fn target() {} }", Place::Inherent),
            ("impl A {\nfn target() {}\n}", Place::Inherent),
            ("impl A for B {\n}\nfn target() {}\nimpl C {\n}", Place::Free),
            ("#!/usr/bin/env run-cargo-script\nimpl A { fn target() {} }", Place::Inherent),
            (
                "#![allow(x)] // fn\nimpl A { const T: &str = \"fn x() {\"; fn r#fn() {} fn target() {} }",
                Place::Inherent,
            ),
            ("impl A { /* é */ fn target() {} }", Place::Inherent),
        ] {
            assert_eq!(place_of_target(source), Some(expected), "{source}");
        }
    }

    #[test]
    fn text_that_is_not_rust_has_no_places() {
        assert!(places("}").is_none());
        assert!(places("impl A {").is_none());
    }

    #[test]
    fn arguments_may_tell() {
        for (args, expected) in [
            ("ttl = Self::TTL", true),
            ("cache_if = |v| f([Self::A])", true),
            ("key = \"{Self::KIND}:{id}\"", true),
            ("key = \"Self:{id}\"", false),
        ] {
            assert_eq!(mentioned_in_args(&args.parse().expect("tokens")), expected, "{args}");
        }
    }

    #[test]
    fn a_self_of_another_block_does_not_count() {
        for (source, expected) in [
            ("{ Self::A }", true),
            ("{ f(|| [Self::A]) }", true),
            ("{ struct B(Vec<u8>); impl B { fn a() -> Self { Self } } B::a() }", false),
            ("{ struct B; Self::A }", true),
            ("{ itself }", false),
        ] {
            let tokens: TokenStream = source.parse().expect("tokens");
            assert_eq!(mentions_self(tokens), expected, "{source}");
        }
    }
}
