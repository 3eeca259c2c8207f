//! Keys: `[namespace:]prefix:name:arg:arg`, as text.
//!
//! Two different argument lists of one function never share a key, equal ones always do, and
//! nothing that comes from the outside can write a separator or a brace. `encode` has the grammar.
//!
//! An entry in a group is a field of a hash: `[namespace:]prefix:#group:group name:arg`, the hash and
//! the field with a space between them. The stamp of a tag is at `[namespace:]#tag:text`, for every
//! function that has the tag. Two tags with the same text are the same tag.
//!
//! Plain keys, groups and stamps never share a key, with the same namespace or with different ones:
//! no namespace, prefix or name holds a `#`, no template of a key or a group begins with one, and
//! the only arguments that begin with one are digests, which are hexadecimal. So a part that is
//! exactly `#group` or `#tag` decides the kind.

mod encode;
mod escape;
mod extent;
mod name;
mod raw;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};
use crate::hash::hash;
use crate::poll::caught::caught;

pub(crate) use escape::escape_part;
pub(crate) use extent::Extent;
pub(crate) use name::{function_name, given_name, shown_path};

/// The longest argument part that is spelled out.
const SPELLED: usize = 200;

/// How much of SHA-256 stands for a longer one: 192 bits, so that nobody finds two argument lists
/// that share a key.
const DIGEST: usize = 24;

/// The address of one entry, of a group, or of a tag's stamp.
#[derive(Clone, Debug)]
pub struct Key {
    text: String,
    namespace_len: usize,
    /// Of an entry in a group: the bytes of the hash's name, behind which stand a space and the
    /// field. Zero for a key of its own.
    hash_len: usize,
    /// The keys of the stamps of its tags, sorted, where it has any.
    tags: Option<Arc<[String]>>,
    /// Where the first argument of an entry begins, or the end of its text; of one in a group, behind the group. Zero
    /// for a group or a stamp.
    stem_len: usize,
    /// A hash of a group's name up to its first argument; zero for what is in no group.
    group: u64,
}

/// Where in Redis an entry lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// A key of its own.
    Key(&'a str),
    /// A field of a hash.
    Field { hash: &'a str, field: &'a str },
}

impl<'a> Address<'a> {
    /// Of a key's text.
    pub(crate) fn of(text: &'a str) -> Address<'a> {
        // No key of its own has a space in it.
        match text.split_once(' ') {
            Some((hash, field)) => Address::Field { hash, field },
            None => Address::Key(text),
        }
    }
}

/// Marks the key of a stamp, in front of the tag's text.
pub(crate) const TAG: &str = "#tag:";

/// Marks the key of a group's hash, between the prefix and what the attribute's `group` makes.
const GROUP: &str = "#group";

impl Key {
    /// The stamp of a tag, in `namespace`.
    pub(crate) fn of_tag(namespace: &str, tag: &str) -> Key {
        let namespace = escape_part(namespace);
        let mut text = namespace.clone().into_owned();
        write_tag_key(&tag_name(tag), &mut text);
        Key { text, namespace_len: namespace.len(), hash_len: 0, tags: None, stem_len: 0, group: 0 }
    }

    /// The hash of a group, by its prefix and name with a `:` between them. The mark of groups may
    /// stand between them too, as it does in the hash's key.
    pub(crate) fn of_group(namespace: &str, name: &str) -> Result<Key, Error> {
        let refuse = |why| Err(Error::new(ErrorKind::Key, why));
        if name.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return refuse("a group's name holds no white space");
        }
        let Some((prefix, name)) = name.split_once(':').filter(|(prefix, name)| !prefix.is_empty() && !name.is_empty())
        else {
            return refuse("a group's name is its prefix, a `:`, and what the attribute's `group` makes");
        };
        let name = name.strip_prefix(GROUP).and_then(|name| name.strip_prefix(':')).unwrap_or(name);
        if prefix.starts_with('#') || name.starts_with('#') || name.is_empty() {
            return refuse("neither the prefix of a group nor what follows it begins with `#`");
        }
        let namespace = escape_part(namespace);
        let separator = if namespace.is_empty() { "" } else { ":" };
        let text = format!("{namespace}{separator}{prefix}:{GROUP}:{name}");
        Ok(Key { text, namespace_len: namespace.len(), hash_len: 0, tags: None, stem_len: 0, group: 0 })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes of the namespace in front, without its `:`. Zero if there is none.
    pub(crate) fn namespace_len(&self) -> usize {
        self.namespace_len
    }

    /// A hash of what this key has in common with the others of its function: what stands in front of
    /// the first argument, or all of it where there is none. Two functions may share one.
    pub(crate) fn family(&self) -> u64 {
        hash(self.group, self.stem())
    }

    /// Whether both are of one [family](Self::family).
    pub(crate) fn is_kin(&self, other: &Key) -> bool {
        self.group == other.group && self.stem() == other.stem()
    }

    fn stem(&self) -> &[u8] {
        self.text.as_bytes().get(self.hash_len..self.stem_len).unwrap_or_default()
    }

    pub(crate) fn address(&self) -> Address<'_> {
        match self.hash_len {
            0 => Address::Key(&self.text),
            len => Address::Field { hash: &self.text[..len], field: &self.text[len + 1..] },
        }
    }

    /// The keys of the stamps of its tags.
    pub(crate) fn tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }

    /// The key of the stamp of a tag of this name, which [`tag_name`] made.
    pub(crate) fn tag_key(&self, name: &str) -> String {
        let mut text = self.text[..self.namespace_len].to_owned();
        write_tag_key(name, &mut text);
        text
    }

    /// Whatever may be invalidated and take this entry along: itself, its group, its tags.
    pub(crate) fn concerned_by(&self) -> impl Iterator<Item = &str> {
        let hash = (self.hash_len > 0).then(|| &self.text[..self.hash_len]);
        std::iter::once(self.as_str()).chain(hash).chain(self.tags().iter().map(String::as_str))
    }
}

// The tags of an entry follow from its arguments, as its text does.
impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.text == other.text && self.namespace_len == other.namespace_len
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A tag as it stands in the key of its stamp: any text comes in.
pub(crate) fn tag_name(tag: &str) -> String {
    let mut name = String::with_capacity(tag.len());
    for (index, part) in tag.split(':').enumerate() {
        if index > 0 {
            name.push(':');
        }
        escape::escape(part, &mut name);
    }
    shorten(&mut name, 0);
    name
}

/// Appends the name of a tag to its namespace.
fn write_tag_key(name: &str, text: &mut String) {
    if !text.is_empty() {
        text.push(':');
    }
    text.push_str(TAG);
    text.push_str(name);
}

/// Replaces what is too long behind `at` by its digest.
fn shorten(text: &mut String, at: usize) {
    if text.len() - at > SPELLED {
        let digest = Sha256::digest(&text.as_bytes()[at..]);
        text.truncate(at);
        // An encoded argument never begins with `#`.
        text.push('#');
        encode::write_hex(&digest[..DIGEST], text);
    }
}

/// Builds a [`Key`], one argument after the other.
///
/// An argument that has no text leaves an error behind, which [`finish`](KeyWriter::finish) tells.
#[derive(Debug)]
pub struct KeyWriter {
    text: String,
    namespace_len: usize,
    hash_len: usize,
    /// Where the part begins that a digest replaces if it grows too long.
    arguments_at: Option<usize>,
    stem_len: usize,
    group: u64,
    tags: Option<Box<Tags>>,
    failure: Option<Error>,
}

/// The tags of a key that is being written, each as any text.
#[derive(Debug, Default)]
struct Tags {
    done: Vec<String>,
    current: String,
}

impl Tags {
    fn end_one(&mut self) {
        self.done.push(tag_name(&std::mem::take(&mut self.current)));
    }
}

impl KeyWriter {
    /// `namespace` is text from the outside, empty for none; `head` is escaped already.
    pub(crate) fn new(namespace: &str, head: &str) -> KeyWriter {
        let namespace = escape_part(namespace);
        let mut text = String::with_capacity(namespace.len() + head.len() + 64);
        if !namespace.is_empty() {
            text.push_str(&namespace);
            text.push(':');
        }
        text.push_str(head);
        let namespace_len = namespace.len();
        KeyWriter {
            text,
            namespace_len,
            hash_len: 0,
            arguments_at: None,
            stem_len: 0,
            group: 0,
            tags: None,
            failure: None,
        }
    }

    /// Starts the key of a group's hash: what follows is `:` and what the attribute's `group` makes.
    /// `prefix` is escaped already.
    pub(crate) fn of_group(namespace: &str, prefix: &str) -> KeyWriter {
        let mut writer = KeyWriter::new(namespace, prefix);
        writer.text.push(':');
        writer.text.push_str(GROUP);
        writer
    }

    /// Ends the name of a group's hash: what follows is the field in it, after the function's name,
    /// escaped.
    pub fn field(&mut self, name: &str) -> &mut Self {
        self.end_arguments();
        self.group = hash(0, &self.text.as_bytes()[..self.stem_len]);
        self.hash_len = self.text.len();
        self.text.push(' ');
        self.text.push_str(name);
        self
    }

    /// Ends what came before, and begins a tag.
    pub fn tag(&mut self) -> &mut Self {
        match &mut self.tags {
            Some(tags) => tags.end_one(),
            None => {
                self.end_arguments();
                self.tags = Some(Box::default());
            }
        }
        self
    }

    /// Appends `:` and an argument. `parameter` is its name, for the error.
    #[cfg(test)]
    pub(crate) fn arg<T: serde::Serialize + ?Sized>(&mut self, parameter: &'static str, value: &T) -> &mut Self {
        self.text.push(':');
        self.placeholder(parameter, value)
    }

    /// Appends text of a template as it is.
    pub fn literal(&mut self, text: &'static str) -> &mut Self {
        match &mut self.tags {
            Some(tags) => tags.current.push_str(text),
            None => self.text.push_str(text),
        }
        self
    }

    /// Appends an argument without a separator: a placeholder of a template.
    pub fn placeholder<T: serde::Serialize + ?Sized>(&mut self, parameter: &'static str, value: &T) -> &mut Self {
        if self.failure.is_some() {
            return self;
        }
        let written = match &mut self.tags {
            Some(tags) => caught(|| raw::write(value, &mut tags.current)),
            None => {
                if self.arguments_at.is_none() {
                    self.arguments_at = Some(self.text.len());
                }
                caught(|| encode::encode(value, &mut self.text))
            }
        };
        let refused = match written {
            Ok(Ok(())) => return self,
            Ok(Err(refused)) => refused.to_string(),
            Err(panicked) => format!("its `Serialize`: {panicked}"),
        };
        self.failure = Some(Error::new(ErrorKind::Key, format!("parameter `{parameter}`: {refused}")));
        self
    }

    fn end_arguments(&mut self) {
        let at = self.arguments_at.take();
        self.stem_len = at.unwrap_or(self.text.len());
        if let Some(at) = at {
            shorten(&mut self.text, at);
        }
    }

    /// The key, or what was wrong with the first argument that has no text. To be called once.
    pub fn finish(&mut self) -> Result<Key, Error> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if self.tags.is_none() {
            self.end_arguments();
        }
        let mut key = Key {
            text: std::mem::take(&mut self.text),
            namespace_len: self.namespace_len,
            hash_len: self.hash_len,
            tags: None,
            stem_len: self.stem_len,
            group: self.group,
        };
        if let Some(mut tags) = self.tags.take() {
            tags.end_one();
            tags.done.sort_unstable();
            tags.done.dedup();
            key.tags = Some(tags.done.iter().map(|name| key.tag_key(name)).collect());
        }
        Ok(key)
    }
}

#[cfg(test)]
mod tests;
