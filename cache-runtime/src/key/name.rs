//! The default name of a function: its path, without the crate.

use std::fmt::Display;

use super::escape::{escape_byte, escape_part};

/// A closure or an `async` block between two functions: `outer.~.inner`.
const CLOSURE: &str = "{{closure}}";

/// The default name of a function. `path` is `std::any::type_name` of a closure inside the function or
/// a sibling, `ident` is the function's own name in both cases, and `generics` are the type names and
/// constants that are part of its identity.
///
/// ```text
/// shop::users::Repo<u8>::am::{{closure}}            users.Repo<u8>.am
/// shop::users::find<u64>::{{closure}}               users.find<u64>
/// <shop::Repo as shop::Find>::am::{{closure}}       <shop.Repo+as+shop.Find>.am
/// ```
///
/// Different paths give different names. Functions of one name in sibling blocks of one function share
/// a name, because the compiler gives them the same path.
pub(crate) fn function_name(path: &str, ident: &str, generics: &[&dyn Display]) -> String {
    let mut name = String::with_capacity(path.len() + ident.len());
    for (index, segment) in enclosing(path).into_iter().enumerate() {
        let is_crate = index == 0 && !segment.starts_with('<');
        if is_crate {
            continue;
        }
        if segment == CLOSURE {
            name.push('~');
        } else {
            write(segment, &mut name);
        }
        name.push('.');
    }
    write(ident, &mut name);
    write_generics(generics.iter().map(ToString::to_string), &mut name);
    name
}

/// The name of a function to which the attribute gives the name `given`. It includes the function's own generic
/// arguments, and those of the type and trait of its `impl` block; with `of_self`, it includes the whole type.
///
/// ```text
/// shop::Repo<shop::User>::user::{{closure}}                     user<shop.User>
/// <shop::Repo as shop::Find<shop::User>>::user::{{closure}}     user<shop.User>
/// shop::user::{{closure}}                                       user
/// ```
pub(crate) fn given_name(given: &str, path: &str, of_self: bool, generics: &[&dyn Display]) -> String {
    let mut name = escape_part(given).into_owned();
    let of_block = of_block(path, of_self).into_iter().map(str::to_owned);
    write_generics(of_block.chain(generics.iter().map(ToString::to_string)), &mut name);
    name
}

/// The path of a function as messages show it, even if `path` is that of a sibling.
pub(crate) fn shown_path(path: &str, ident: &str) -> String {
    let mut segments = enclosing(path);
    segments.push(ident);
    segments.join("::")
}

/// The segments before the function's own.
fn enclosing(path: &str) -> Vec<&str> {
    let mut segments = split(path);
    while segments.last() == Some(&CLOSURE) {
        segments.pop();
    }
    segments.pop();
    segments
}

fn write_generics(generics: impl Iterator<Item = String>, name: &mut String) {
    let mut is_first = true;
    for generic in generics {
        name.push(if is_first { '<' } else { ',' });
        is_first = false;
        write(&generic, name);
    }
    if !is_first {
        name.push('>');
    }
}

/// The parts that distinguish instances of the `impl` block around a function, as far as its path shows them: the
/// arguments of the type and of the trait.
fn of_block(path: &str, of_self: bool) -> Vec<&str> {
    let segments = enclosing(path);
    let Some(block) = segments.last() else { return Vec::new() };
    // The compiler puts a block outside the type's module, or a trait's, between angle brackets.
    let Some(inside) = block.strip_prefix('<').and_then(|block| block.strip_suffix('>')) else {
        return arguments(block).into_iter().collect();
    };
    let (ty, of_trait) = match inside.strip_prefix("impl ") {
        Some(inside) => match split_once_outside(inside, " for ") {
            Some((of_trait, ty)) => (ty, Some(of_trait)),
            None => (inside, None),
        },
        None => match split_once_outside(inside, " as ") {
            Some((ty, of_trait)) => (ty, Some(of_trait)),
            None => (inside, None),
        },
    };
    // A type without a name counts as a whole: `&T`, `[T]`, `(A, B)`.
    let has_name =
        ty.starts_with(|c: char| c == '_' || c.is_alphanumeric()) && !ty.starts_with("dyn ") && !ty.contains("fn(");
    let of_type = if of_self || !has_name { Some(ty) } else { arguments(ty) };
    of_type.into_iter().chain(of_trait.and_then(arguments)).collect()
}

/// The text between the angle brackets at the end of a path, unless every argument is the unknown `_`.
fn arguments(path: &str) -> Option<&str> {
    let last = split(path).pop()?;
    let (_, arguments) = last.strip_suffix('>')?.split_once('<')?;
    let is_known = arguments.split(", ").any(|argument| argument != "_");
    is_known.then_some(arguments)
}

/// Splits at the first `separator` that is not inside brackets.
fn split_once_outside<'a>(text: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    let mut outside = outside_brackets(text);
    let at = outside.find(|&at| text[at..].starts_with(separator))?;
    Some((&text[..at], &text[at + separator.len()..]))
}

/// The segments between `::` that are not inside brackets.
fn split(path: &str) -> Vec<&str> {
    let mut segments = Vec::new();
    let mut start = 0;
    for at in outside_brackets(path) {
        if at >= start && path[at..].starts_with("::") {
            segments.push(&path[start..at]);
            start = at + 2;
        }
    }
    segments.push(&path[start..]);
    segments
}

/// The positions of ASCII characters outside brackets and quoted characters.
fn outside_brackets(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    std::iter::from_fn(move || {
        while at < bytes.len() {
            let here = at;
            at += 1;
            match bytes[here] {
                // The arrow of `fn(u8) -> u8` closes no bracket.
                b'-' if bytes.get(at) == Some(&b'>') => at += 1,
                b'<' | b'(' | b'[' => depth += 1,
                b'>' | b')' | b']' => depth = depth.saturating_sub(1),
                b'\'' => at += quoted_len(&text[at..]),
                byte if depth == 0 && byte.is_ascii() => return Some(here),
                _ => {}
            }
        }
        None
    })
}

/// The distance from a `'` to the character's closing `'`, or zero if the `'` begins a lifetime.
fn quoted_len(rest: &str) -> usize {
    let mut chars = rest.char_indices();
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|&(_, c)| c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => chars.next().filter(|&(_, c)| c == '\'').map_or(0, |(at, _)| at + 1),
        None => 0,
    }
}

/// Appends a segment, a type's name or a constant. It writes `::` as `.` and a space as `+` (omitted
/// after `,` and `;`), and escapes characters that could be mistaken for these or for a key's syntax.
fn write(text: &str, out: &mut String) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let next = bytes.get(at + 1);
        match bytes[at] {
            b':' if next == Some(&b':') => {
                out.push('.');
                at += 1;
            }
            byte @ (b',' | b';') => {
                out.push(char::from(byte));
                at += usize::from(next == Some(&b' '));
            }
            b' ' => out.push('+'),
            byte if byte.is_ascii_alphanumeric() || b"_-<>()[]&*=!@".contains(&byte) => {
                out.push(char::from(byte));
            }
            byte => escape_byte(byte, out),
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path_of<T>(_: &T) -> &'static str {
        std::any::type_name::<T>()
    }

    fn name(path: &str, ident: &str) -> String {
        function_name(path, ident, &[])
    }

    #[test]
    fn paths_lose_their_crate_and_keep_the_rest() {
        for (path, ident, expected) in [
            ("shop::find::{{closure}}", "find", "find"),
            ("shop::users::find::{{closure}}::{{closure}}", "find", "users.find"),
            ("shop::users::find_entry<u64>::{{closure}}", "find", "users.find"),
            ("shop::users::Repo<u8>::am::{{closure}}", "am", "users.Repo<u8>.am"),
            ("<shop::Repo as shop::Find>::am::{{closure}}", "am", "<shop.Repo+as+shop.Find>.am"),
            ("shop::b::<impl shop::a::Repo>::am::{{closure}}", "am", "b.<impl+shop.a.Repo>.am"),
            ("shop::outer::{{closure}}::inner::{{closure}}", "inner", "outer.~.inner"),
            ("shop::outer::inner::{{closure}}", "inner", "outer.inner"),
            ("shop::R<fn(u8) -> a::B, (a::C, [u8; 4])>::am::{{closure}}", "am", "R<fn(u8)+->+a.B,(a.C,[u8;4])>.am"),
            ("shop::R<'>', '\\''>::am::{{closure}}", "am", "R<%27>%27,%27%5C%27%27>.am"),
            ("shop::R<for<'a> fn(&'a u8)>::am::{{closure}}", "am", "R<for<%27a>+fn(&%27a+u8)>.am"),
            ("shop::größe::f::{{closure}}", "f", "gr%C3%B6%C3%9Fe.f"),
            ("odd", "f", "f"),
            ("", "f", "f"),
            ("<<<::'", "f", "f"),
        ] {
            assert_eq!(name(path, ident), expected, "{path}");
        }
    }

    #[test]
    fn generics_are_part_of_the_name() {
        assert_eq!(function_name("shop::users::find<u64>::{{closure}}", "find", &[&"u64"]), "users.find<u64>");
        assert_eq!(
            function_name("c::f::{{closure}}", "f", &[&"alloc::vec::Vec<u8>", &3, &true, &':']),
            "f<alloc.vec.Vec<u8>,3,true,%3A>"
        );
    }

    #[test]
    fn a_given_name_goes_with_the_arguments_of_its_block() {
        for (path, of_self, expected) in [
            ("shop::user::{{closure}}", false, "user"),
            ("shop::users::user::{{closure}}::{{closure}}", false, "user"),
            ("shop::Repo::user::{{closure}}", false, "user"),
            ("shop::Repo<shop::User>::user::{{closure}}", false, "user<shop.User>"),
            ("shop::Repo<shop::User, 3>::user_entry::{{closure}}", false, "user<shop.User,3>"),
            ("shop::b::<impl shop::a::Repo<u16>>::user::{{closure}}", false, "user<u16>"),
            ("shop::b::<impl shop::a::Repo>::user::{{closure}}", false, "user"),
            ("<shop::Repo as shop::Find>::user::{{closure}}", false, "user"),
            ("<shop::Repo as shop::Find>::user::{{closure}}", true, "user<shop.Repo>"),
            ("<shop::Repo<u8> as shop::Find>::user::{{closure}}", false, "user<u8>"),
            ("<shop::Repo<u8> as shop::Find<a::B<u16>>>::user::{{closure}}", false, "user<u8,a.B<u16>>"),
            ("<shop::Repo<<u8 as a::B>::C> as shop::Find>::user::{{closure}}", false, "user<<u8+as+a.B>.C>"),
            ("shop::b::<impl shop::Find<u8> for shop::a::Repo>::user::{{closure}}", false, "user<u8>"),
            ("<&shop::Repo as shop::Find>::user::{{closure}}", false, "user<&shop.Repo>"),
            ("<(u8, shop::Repo) as shop::Find>::user::{{closure}}", false, "user<(u8,shop.Repo)>"),
            ("<dyn shop::Load as shop::Find>::user::{{closure}}", false, "user<dyn+shop.Load>"),
            ("<fn(u8) -> u8 as shop::Find>::user::{{closure}}", false, "user<fn(u8)+->+u8>"),
            ("shop::R<'>', '\\''>::user::{{closure}}", false, "user<%27>%27,%27%5C%27%27>"),
            ("shop::outer<_>::user::{{closure}}", false, "user"),
            ("shop::outer::{{closure}}::user::{{closure}}", false, "user"),
        ] {
            assert_eq!(given_name("user", path, of_self, &[]), expected, "{path}");
        }
        assert_eq!(given_name("a b", "c::R<u8>::f::{{closure}}", false, &[&"u16"]), "a%20b<u8,u16>");
    }

    #[test]
    fn siblings_have_the_path_of_their_function() {
        for path in ["shop::Repo<u8>::user::{{closure}}", "shop::Repo<u8>::user_entry<u16>::{{closure}}"] {
            assert_eq!(shown_path(path, "user"), "shop::Repo<u8>::user");
        }
    }

    /// The paths of the compiler in use, with one function for each place where a function may be defined.
    mod real {
        use super::path_of;

        pub(super) struct Repo<T>(pub(super) T);

        pub(super) trait Find {
            fn am(&self) -> &'static str;
            fn provided(&self) -> &'static str {
                path_of(&|| ())
            }
        }

        impl<T> Repo<T> {
            pub(super) fn associated(&self) -> &'static str {
                path_of(&|| ())
            }
            pub(super) fn nested(&self) -> &'static str {
                fn inner() -> &'static str {
                    path_of(&|| ())
                }
                inner()
            }
        }

        impl Find for Repo<u8> {
            fn am(&self) -> &'static str {
                path_of(&|| ())
            }
        }

        pub(super) mod elsewhere {
            impl super::Repo<u16> {
                pub(in super::super) fn elsewhere_defined(&self) -> &'static str {
                    super::path_of(&|| ())
                }
            }
        }

        pub(super) fn generic<T>(_: T, _: impl Sized) -> &'static str {
            path_of(&|| ())
        }

        pub(super) async fn asynchronous() -> &'static str {
            path_of(&|| ())
        }

        pub(super) async fn outer() -> (&'static str, &'static str) {
            async fn inner() -> &'static str {
                path_of(&|| ())
            }
            (path_of(&|| ()), inner().await)
        }
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(output) => output,
            std::task::Poll::Pending => panic!("nothing to wait for"),
        }
    }

    #[test]
    fn the_compiler_s_own_paths_are_understood() {
        use real::{Find, Repo};

        // The path of this test module depends on the crate that compiles it.
        let here = path_of(&|| ());
        let (here, _) = here.rsplit_once("::the_compiler").expect("this function");
        let full = here.replace("::", ".");
        let (_, short) = full.split_once('.').expect("a path");
        let (outer, inner) = block_on(real::outer());
        for (path, ident, expected) in [
            (Repo(1_u8).associated(), "associated", "SHORT.real.Repo<u8>.associated"),
            (Repo("").nested(), "inner", "SHORT.real.Repo<_>.nested.inner"),
            (
                Repo(1_u16).elsewhere_defined(),
                "elsewhere_defined",
                "SHORT.real.elsewhere.<impl+FULL.real.Repo<u16>>.elsewhere_defined",
            ),
            (real::generic(1_u64, ()), "generic", "SHORT.real.generic"),
            (block_on(real::asynchronous()), "asynchronous", "SHORT.real.asynchronous"),
            (outer, "outer", "SHORT.real.outer"),
            (inner, "inner", "SHORT.real.outer.~.inner"),
            (Repo(1_u8).am(), "am", "<FULL.real.Repo<u8>+as+FULL.real.Find>.am"),
            (Repo(1_u8).provided(), "provided", "<FULL.real.Repo<u8>+as+FULL.real.Find>.provided"),
        ] {
            let expected = expected.replace("SHORT", short).replace("FULL", &full);
            assert_eq!(name(path, ident), expected, "{path}");
        }
    }
}
