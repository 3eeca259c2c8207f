//! The parts of a key.

use crate::api::cache::Cache;
use crate::api::invalidation::Invalidation;
use crate::error::Error;
use crate::key::{Address, Key, KeyKind, escape_part, tag_name};

/// A key that this library may have written, by its text.
#[derive(Clone, Debug)]
pub struct KeyName {
    key: Key,
    kind: KeyKind,
}

/// What a key is the address of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameKind {
    /// An entry with a key of its own.
    Entry,
    /// An entry that is a field of the hash of a group.
    Field,
    /// The hash of a group.
    Group,
    /// The stamp of a tag.
    Stamp,
}

impl KeyName {
    /// Reads the text of a key, as redis-cli shows it, in which a space separates a hash from its field. `namespace` is
    /// not escaped, and empty for none. `None` if no key of the namespace has this text.
    pub fn of(namespace: &str, text: &str) -> Option<KeyName> {
        let namespace = escape_part(namespace);
        let rest = match &*namespace {
            "" => text,
            namespace => text.strip_prefix(namespace)?.strip_prefix(':')?,
        };
        Key::of_text(&namespace, rest).map(|(key, kind)| KeyName { key, kind })
    }

    /// The same for a namespace that is not known: first with none, then with the first part of the key.
    pub fn candidates(text: &str) -> Vec<KeyName> {
        let mut found: Vec<KeyName> = KeyName::of("", text).into_iter().collect();
        if let Some((namespace, rest)) = text.split_once(':')
            && !namespace.is_empty()
            && let Some((key, kind)) = Key::of_text(namespace, rest)
        {
            found.push(KeyName { key, kind });
        }
        found
    }

    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        self.key.as_str()
    }

    /// What it is the address of.
    pub fn kind(&self) -> NameKind {
        match (self.kind, self.key.address()) {
            (KeyKind::Group, _) => NameKind::Group,
            (KeyKind::Stamp, _) => NameKind::Stamp,
            (KeyKind::Entry, Address::Key(_)) => NameKind::Entry,
            (KeyKind::Entry, Address::Field { .. }) => NameKind::Field,
        }
    }

    /// The namespace, escaped. Empty for none.
    pub fn namespace(&self) -> &str {
        self.key.split_namespace().0
    }

    /// The key in Redis, and the field in it.
    pub fn place(&self) -> (&str, Option<&str>) {
        match self.key.address() {
            Address::Key(key) => (key, None),
            Address::Field { hash, field } => (hash, Some(field)),
        }
    }

    /// The part that all entries of a function share: prefix and name. For a group, its prefix.
    pub fn function(&self) -> String {
        let (_, rest) = self.key.split_namespace();
        let mut parts = rest.splitn(3, ':');
        let (prefix, name) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match self.kind() {
            NameKind::Entry => format!("{prefix}:{name}"),
            NameKind::Field => {
                let field = self.place().1.unwrap_or_default();
                format!("{prefix}:{}", field.split(':').next().unwrap_or_default())
            }
            NameKind::Group => prefix.to_owned(),
            NameKind::Stamp => String::new(),
        }
    }

    /// The name of the tag, for a stamp.
    pub fn tag(&self) -> Option<&str> {
        self.key.split_namespace().1.strip_prefix(crate::key::TAG)
    }

    /// The key of a tag's stamp in the same namespace, by the tag's text.
    pub fn key_of_tag(&self, tag: &str) -> String {
        self.key.tag_key(&tag_name(tag))
    }

    /// The same by the tag's name in keys.
    pub fn tag_key(&self, name: &str) -> String {
        self.key.tag_key(name)
    }

    /// The invalidation of this entry, group or tag, for the cache whose `invalidate_all` is called. A tag is looked for in the
    /// namespace of that cache.
    pub fn invalidation(&self) -> Invalidation {
        match self.tag() {
            Some(tag) => Invalidation::tag_by_name(tag),
            None => Invalidation::read(self.key.clone()),
        }
    }
}

/// A namespace, or another part of a key, as keys have it.
pub fn escaped(part: &str) -> String {
    escape_part(part).into_owned()
}

/// The key of the stamp of a tag.
pub fn tag_key(namespace: &str, tag: &str) -> String {
    Key::of_tag(namespace, tag).as_str().to_owned()
}

/// The invalidation of a group, and the key of its hash. The name may be the key of the hash, without the namespace.
pub fn group_invalidation(cache: &Cache, name: &str) -> Result<(Invalidation, String), Error> {
    let key = Key::of_group(cache.0.namespace(), name)?;
    Ok((Invalidation::read(key.clone()), key.as_str().to_owned()))
}
