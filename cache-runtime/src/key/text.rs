//! Keys that are read from their text, as an outbox or a person writes it.

use super::escape::is_escaped;
use super::{GROUP, Key, TAG, write_tag_key};

/// What a key is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    Entry,
    Group,
    Stamp,
}

impl Key {
    /// Reads a key from the text after the namespace, which is already escaped. `None` if no key of this library has the
    /// text.
    pub(crate) fn of_text(namespace: &str, rest: &str) -> Option<(Key, KeyKind)> {
        if !is_escaped(namespace) || rest.contains(|c: char| c != ' ' && (c.is_whitespace() || c.is_control())) {
            return None;
        }
        let (own, field) = match rest.split_once(' ') {
            Some((hash, field)) => (hash, Some(field)),
            None => (rest, None),
        };
        let kind = kind_of(own, field)?;
        let separator = if namespace.is_empty() { "" } else { ":" };
        let key = Key {
            text: format!("{namespace}{separator}{rest}"),
            namespace_len: namespace.len(),
            hash_len: field.map_or(0, |_| namespace.len() + separator.len() + own.len()),
            tags: None,
            stem_len: 0,
            group: 0,
        };
        Some((key, kind))
    }

    /// The stamp of a tag with this [name](super::tag_name), in `namespace`.
    pub(crate) fn of_tag_name(namespace: &str, name: &str) -> Key {
        let namespace = super::escape_part(namespace);
        let mut text = namespace.clone().into_owned();
        write_tag_key(name, &mut text);
        Key { text, namespace_len: namespace.len(), hash_len: 0, tags: None, stem_len: 0, group: 0 }
    }

    /// The namespace, escaped, and the text after it and its `:`.
    pub(crate) fn split_namespace(&self) -> (&str, &str) {
        match self.namespace_len {
            0 => ("", &self.text),
            len => (&self.text[..len], self.text.get(len + 1..).unwrap_or_default()),
        }
    }

    /// Returns true for the hash of a group.
    pub(crate) fn is_group(&self) -> bool {
        let (_, rest) = self.split_namespace();
        self.hash_len == 0 && kind_of(rest, None) == Some(KeyKind::Group)
    }
}

/// Returns true if this can be the name of a tag in a key.
pub(crate) fn is_tag_name(name: &str) -> bool {
    name.split(':').all(|part| is_escaped(part.strip_prefix('#').unwrap_or(part)))
}

/// The kind of a key without its namespace: the text of a key in Redis, and the field in it.
fn kind_of(own: &str, field: Option<&str>) -> Option<KeyKind> {
    let is_name = |text: &str| !text.is_empty() && !text.starts_with(['#', ':', ' ']);
    if let Some(name) = own.strip_prefix(TAG) {
        return (field.is_none() && is_tag_name(name)).then_some(KeyKind::Stamp);
    }
    let (prefix, name) = own.split_once(':')?;
    if !is_name(prefix) {
        return None;
    }
    match name.strip_prefix(GROUP).and_then(|group| group.strip_prefix(':')) {
        Some(group) => match field {
            _ if !is_name(group) => None,
            Some(field) => (is_name(field) && !field.contains(' ')).then_some(KeyKind::Entry),
            None => Some(KeyKind::Group),
        },
        // Such a part tells that the key has a namespace, which is not a prefix.
        None if name.split(':').any(|part| matches!(part, "#group" | "#tag")) => None,
        None => (field.is_none() && is_name(name)).then_some(KeyKind::Entry),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyWriter, tag_name};

    #[test]
    fn the_text_of_a_key_is_read_back() {
        let mut plain = KeyWriter::new("a:b", "shop:user");
        let mut bare = KeyWriter::new("", "shop:user");
        let mut group = KeyWriter::of_group("a:b", "shop");
        let mut field = KeyWriter::of_group("", "shop");
        let keys = [
            (plain.arg("id", &"x y").finish(), KeyKind::Entry),
            (bare.finish(), KeyKind::Entry),
            (group.literal(":class:7").finish(), KeyKind::Group),
            (field.literal(":class:7").field("seat").arg("id", &"y".repeat(300)).finish(), KeyKind::Entry),
            (Ok(Key::of_tag("n", "org:7 é\n")), KeyKind::Stamp),
            (Ok(Key::of_tag("n", "")), KeyKind::Stamp),
            (Ok(Key::of_tag("", &"x".repeat(300))), KeyKind::Stamp),
        ];
        for (key, kind) in keys {
            let key = key.expect("a key");
            let (namespace, rest) = key.split_namespace();
            let (read, read_kind) = Key::of_text(namespace, rest).expect("it is read");
            assert_eq!((&read, read_kind), (&key, kind), "{rest}");
            assert_eq!((read.address(), read.is_group()), (key.address(), kind == KeyKind::Group), "{rest}");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for rest in [
            "",
            "shop",
            ":user",
            "shop:",
            "#group:x",
            "shop:#tag:x",
            "shop:#group:",
            "shop:#group",
            "shop:user 1",
            "shop:#group:a b c",
            "shop:#group:a ",
            "eu:shop:#group:a",
            "eu:shop:#tag:a",
            "shop:#group:#x y",
            "shop:us\ner",
            "#tag:a b",
            "shop:user ",
        ] {
            assert!(Key::of_text("", rest).is_none(), "{rest:?}");
        }
        assert!(Key::of_text("a:b", "shop:user").is_none());
        assert!(Key::of_text("a b", "shop:user").is_none());
    }

    #[test]
    fn names_of_tags_are_known() {
        for tag in ["", "org:7", "a:b{c}%\n", ":", "é", &"x".repeat(300)] {
            assert!(is_tag_name(&tag_name(tag)), "{tag}");
        }
        assert!(!is_tag_name("a b") && !is_tag_name("a{b}"));
    }
}
