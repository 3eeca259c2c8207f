//! Invalidations as text, for a table of the database that a transaction writes to.

use std::fmt;
use std::str::FromStr;

use super::{Invalidation, Item};
use crate::error::{Error, ErrorKind};
use crate::key::{Key, KeyKind, is_tag_name};

/// The version of the grammar, which the text begins with.
const VERSION: &str = "v1";

const ENTRY: &str = "entry";
const GROUP: &str = "group";
const TAG: &str = "tag";
const NONE: &str = "none";

/// The text of the invalidation, which [`FromStr`] reads. The documentation of [`Invalidation`] has the grammar.
impl fmt::Display for Invalidation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Item::Key(_, Ok(key)) | Item::Read(key) => {
                let (namespace, rest) = key.split_namespace();
                let kind = if key.is_group() { GROUP } else { ENTRY };
                match namespace {
                    "" => write!(f, "{VERSION} {kind} {rest}"),
                    namespace => write!(f, "{VERSION} {kind}@{namespace} {rest}"),
                }
            }
            Item::Tag(name) => write!(f, "{VERSION} {TAG} {name}"),
            // The function of an entry without a key runs uncached.
            Item::Key(_, Err(_)) | Item::Nothing => write!(f, "{VERSION} {NONE}"),
        }
    }
}

/// Reads what `to_string` wrote. The cache whose `invalidate_all` is called delivers it.
///
/// # Errors
///
/// [`ErrorKind::Text`] for other text, and for that of a later version of the grammar.
impl FromStr for Invalidation {
    type Err = Error;

    fn from_str(text: &str) -> Result<Invalidation, Error> {
        let refuse = |why: &str| Error::new(ErrorKind::Text, format!("`{}`: {why}", text.escape_debug()));
        let (version, item) = text.split_once(' ').ok_or_else(|| refuse("it begins with its version, `v1`"))?;
        if version != VERSION {
            return Err(refuse("this version of the library reads `v1`"));
        }
        let (kind, rest) = item.split_once(' ').unwrap_or((item, ""));
        let (kind, namespace) = match kind.split_once('@') {
            Some((_, "")) => return Err(refuse("a namespace follows the `@`")),
            Some((kind, namespace)) => (kind, namespace),
            None => (kind, ""),
        };
        let expected = match kind {
            TAG if namespace.is_empty() && is_tag_name(rest) => return Ok(Invalidation(Item::Tag(rest.to_owned()))),
            NONE if item == NONE => return Ok(Invalidation(Item::Nothing)),
            ENTRY => KeyKind::Entry,
            GROUP => KeyKind::Group,
            TAG => return Err(refuse("this is no tag")),
            NONE => return Err(refuse("nothing follows `none`")),
            _ => return Err(refuse("after the version comes `entry`, `group`, `tag` or `none`")),
        };
        match Key::of_text(namespace, rest) {
            Some((key, kind)) if kind == expected => Ok(Invalidation(Item::Read(key))),
            _ => Err(refuse("this is no key of this library")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyWriter;

    fn read(text: &str) -> Result<Invalidation, Error> {
        text.parse()
    }

    #[test]
    fn each_text_is_read_back() {
        for text in [
            "v1 entry shop:users.user:42",
            "v1 entry@staging shop:users.user",
            "v1 entry shop:#group:class:7 seat:7:1",
            "v1 entry@a%3Ab shop:f<T>:#0123456789abcdef",
            "v1 group shop:#group:class:7",
            "v1 group@staging shop:#group:class:7",
            "v1 tag org:7",
            "v1 tag ",
            "v1 tag a%20b",
            "v1 none",
        ] {
            assert_eq!(read(text).expect(text).to_string(), text);
        }
        // A column that removes spaces at the end.
        assert_eq!(read("v1 tag").expect("the empty tag").to_string(), "v1 tag ");
    }

    #[test]
    fn other_text_is_refused_with_the_reason() {
        for (text, why) in [
            ("", "begins with its version"),
            ("v1", "begins with its version"),
            ("v2 entry shop:user:1", "reads `v1`"),
            ("entry shop:user:1", "reads `v1`"),
            ("v1 all", "comes `entry`"),
            ("v1 entry", "no key"),
            ("v1 entry session", "no key"),
            ("v1 entry shop:#group:class:7", "no key"),
            ("v1 entry #tag:org:7", "no key"),
            ("v1 group shop:user:1", "no key"),
            ("v1 entry@ shop:user:1", "namespace follows"),
            ("v1 entry@a:b shop:user:1", "no key"),
            ("v1 entry shop:user:1\n", "no key"),
            ("v1 tag@staging org:7", "no tag"),
            ("v1 tag a b", "no tag"),
            ("v1 tag a%2", "no tag"),
            ("v1 tag a%", "no tag"),
            ("v1 tag a%zz", "no tag"),
            ("v1 tag caf\u{e9}", "no tag"),
            ("v1 none of it", "nothing follows"),
        ] {
            let error = read(text).expect_err(text);
            assert_eq!(error.kind(), ErrorKind::Text, "{text}");
            assert!(error.to_string().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_long_key_has_a_short_text() {
        let key = KeyWriter::new("", "shop:user").arg("name", &"x".repeat(10_000)).finish().expect("a key");
        assert!(Invalidation(Item::Read(key)).to_string().len() < 100);
        assert!(Invalidation::tag("y".repeat(10_000)).to_string().len() < 100);
    }
}
