//! Where a function stands: by itself, or in an `impl` block.
//!
//! A method reaches a sibling as `Self::sibling`, a free function as `sibling`, and an attribute
//! sees no more than the function. A receiver or a `Self` gives a method away. What is left is
//! `fn parse(text: &str) -> u64`, which looks the same in both places: its source file tells them
//! apart. The file is read, not parsed: all it takes is to know the header of the innermost block
//! around one position, also within `macro_rules!`.

use std::cell::RefCell;
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

/// Whether arguments of the attribute mention `Self`, in a template or outside.
pub(crate) fn mentioned_in_args(tokens: &TokenStream) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Literal(literal) => literal.to_string().contains("{Self::"),
        TokenTree::Group(group) => mentioned_in_args(&group.stream()),
        other => mentions_self(other.into()),
    })
}

/// Whether `Self` is mentioned, apart from blocks that have a `Self` of their own.
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

/// The place according to the source file; `None` where there is none to be read, as in an editor.
fn in_file(keyword: Span) -> Option<Place> {
    if !proc_macro::is_available() {
        return None;
    }
    // No `Option`'s: it is the compiler's own span, which is there, as asked above.
    let span = keyword.unwrap();
    let path = span.local_file()?;
    let modified = std::fs::metadata(&path).and_then(|metadata| metadata.modified()).ok()?;
    READ.with_borrow_mut(|read| {
        // Attributes of one file are expanded one after another.
        if read.as_ref().is_none_or(|read| read.path != path || read.modified != modified) {
            let blocks = blocks(&std::fs::read_to_string(&path).ok()?)?;
            *read = Some(Read { path, modified, blocks });
        }
        Some(place_among(&read.as_ref()?.blocks, (span.line(), span.column())))
    })
}

thread_local! {
    /// The file that was read last.
    static READ: RefCell<Option<Read>> = const { RefCell::new(None) };
}

struct Read {
    path: PathBuf,
    modified: SystemTime,
    blocks: Vec<Block>,
}

/// A line and a column, both counted from one.
type Position = (usize, usize);

/// What is between two delimiters.
struct Block {
    place: Place,
    from: Position,
    to: Position,
}

/// The place of a position: what the innermost block around it is.
fn place_among(blocks: &[Block], at: Position) -> Place {
    let around = blocks.iter().filter(|block| block.from < at && at < block.to);
    around.max_by_key(|block| block.from).map_or(Place::Free, |block| block.place)
}

/// All blocks of a file; `None` if its delimiters do not match.
fn blocks(source: &str) -> Option<Vec<Block>> {
    let mut scanner = Scanner::new(source);
    let mut blocks = Vec::new();
    let mut open: Vec<(Place, Position, Header)> = Vec::new();
    let mut header = Header::Empty;
    while let Some((token, line, column)) = scanner.next() {
        match token {
            Token::Word(word) => header = header.read(word, scanner.peek_visible()),
            Token::Open(delimiter) => {
                let place = if delimiter == '{' { header.place() } else { Place::Free };
                open.push((place, (line, column), header));
                header = if delimiter == '{' { Header::Empty } else { Header::Ignored };
            }
            Token::Close(delimiter) => {
                let (place, from, before) = open.pop()?;
                blocks.push(Block { place, from, to: (line, column) });
                // The `{ N }` of `impl Find for Array<{ N }>` ends nothing.
                let goes_on = delimiter != '}' || matches!(scanner.peek_visible(), Some('>' | ','));
                header = if goes_on || before == Header::Ignored { before } else { Header::Empty };
            }
            Token::Semicolon => {
                if header != Header::Ignored {
                    header = Header::Empty;
                }
            }
        }
    }
    open.is_empty().then_some(blocks)
}

/// What has been read since the last item ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Header {
    /// Nothing, or modifiers.
    Empty,
    Impl,
    ImplFor,
    Trait,
    Other,
    /// Within parentheses or brackets.
    Ignored,
}

impl Header {
    fn read(self, word: &str, next: Option<char>) -> Header {
        match (self, word) {
            (Header::Empty, "pub" | "unsafe" | "default" | "const" | "async" | "auto") => Header::Empty,
            (Header::Empty, "impl") => Header::Impl,
            (Header::Empty, "trait") => Header::Trait,
            (Header::Empty, _) => Header::Other,
            // Not the `for` of `for<'a> Fn(&'a u8)`.
            (Header::Impl, "for") if next != Some('<') => Header::ImplFor,
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

enum Token<'a> {
    Word(&'a str),
    Open(char),
    Close(char),
    Semicolon,
}

/// As much of a lexer as it takes not to mistake the inside of a text or a comment for code.
struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Scanner<'a> {
    fn new(source: &'a str) -> Scanner<'a> {
        Scanner { rest: source.strip_prefix('\u{feff}').unwrap_or(source), line: 1, column: 1 }
    }

    /// The next token that matters, with its line and column.
    fn next(&mut self) -> Option<(Token<'a>, usize, usize)> {
        loop {
            let at = (self.line, self.column);
            let first = self.rest.chars().next()?;
            let token = match first {
                '/' if self.rest.starts_with("//") => {
                    self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
                    continue;
                }
                '/' if self.rest.starts_with("/*") => {
                    self.skip(comment_len(self.rest));
                    continue;
                }
                '"' => {
                    self.skip(string_len(self.rest));
                    continue;
                }
                '\'' => {
                    self.skip(quote_len(self.rest));
                    continue;
                }
                '{' | '(' | '[' => Token::Open(first),
                '}' | ')' | ']' => Token::Close(first),
                ';' => Token::Semicolon,
                _ if first == '_' || first.is_alphanumeric() => {
                    let end = self.rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(self.rest.len());
                    let (word, after) = self.rest.split_at(end);
                    if let Some(len) = raw_string_len(word, after) {
                        self.skip(end + len);
                        continue;
                    }
                    self.skip(end);
                    return Some((Token::Word(word), at.0, at.1));
                }
                _ => {
                    self.skip(first.len_utf8());
                    continue;
                }
            };
            self.skip(1);
            return Some((token, at.0, at.1));
        }
    }

    fn peek_visible(&self) -> Option<char> {
        self.rest.chars().find(|c| !c.is_whitespace())
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        for c in skipped.chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.rest = rest;
    }
}

/// The bytes of the `/* … */` in front, which nests.
fn comment_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match (bytes[at], bytes.get(at + 1)) {
            (b'/', Some(b'*')) => {
                depth += 1;
                at += 2;
            }
            (b'*', Some(b'/')) => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The bytes of the `"…"` in front.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The bytes of the `'c'` in front, or of the `'` of a lifetime.
fn quote_len(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|&(_, c)| c == '\'').map_or(text.len(), |(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|&(_, c)| c == '\'').map_or(1, |(at, _)| at + 1),
        None => 1,
    }
}

/// The bytes of `#"…"#` behind an `r`.
fn raw_string_len(word: &str, after: &str) -> Option<usize> {
    if !["r", "br", "cr"].contains(&word) {
        return None;
    }
    let hashes = after.bytes().take_while(|&byte| byte == b'#').count();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", &after[..hashes]);
    Some(hashes + 1 + body.find(&end).map_or(body.len(), |at| at + end.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The place of the `fn` of the function `target`.
    fn place_of_target(source: &str) -> Option<Place> {
        let at = source.find("fn target").expect("a target");
        let line = source[..at].matches('\n').count() + 1;
        let column = source[..at].chars().rev().take_while(|&c| c != '\n').count() + 1;
        blocks(source).map(|blocks| place_among(&blocks, (line, column)))
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
        ] {
            assert_eq!(place_of_target(source), Some(expected), "{source}");
        }
    }

    #[test]
    fn what_is_no_rust_has_no_places() {
        assert!(blocks("}").is_none());
        assert!(blocks("impl A {").is_none());
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
