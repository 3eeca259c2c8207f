//! Keys: `[namespace:]prefix:name:arg:arg`, as text.
//!
//! Two different argument lists of one function never share a key, and equal ones always do. Input
//! from outside cannot write a separator or a brace. The grammar is in `encode`.
//!
//! An entry in a group is a field of a hash: `[namespace:]prefix:#group:group name:arg`, the hash and
//! the field with a space between them. The stamp of a tag is at `[namespace:]#tag:text`, for every
//! function that has the tag. Two tags with the same text are the same tag.
//!
//! Plain keys, groups and stamps never share a key, neither in one namespace nor across namespaces.
//! No namespace, prefix or name contains a `#`, no template of a key or a group begins with one, and
//! the only arguments that begin with one are digests, which are hexadecimal. A part that is exactly
//! `#group` or `#tag` therefore identifies the kind of key.

mod encode;
mod escape;
mod extent;
mod name;
mod raw;
mod spare;
mod text;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};
use crate::hash::hash;
use crate::poll::caught::{caught_unless, is_plain};

pub(crate) use escape::escape_part;
pub(crate) use extent::Extent;
pub(crate) use name::{function_name, given_name, shown_path};
pub(crate) use text::{KeyKind, is_tag_name};

/// The longest argument part, in bytes, that is written as text.
const SPELLED: usize = 200;

/// The bytes of SHA-256 that replace a longer one: 192 bits make it infeasible to find two argument
/// lists that share a key.
const DIGEST: usize = 24;

/// The address of one entry, of a group, or of a tag's stamp.
#[derive(Clone, Debug)]
pub struct Key {
    text: String,
    namespace_len: usize,
    /// The length of the hash's name, for an entry in a group: a space and the field follow it.
    /// Zero for an entry with a key of its own.
    hash_len: usize,
    /// The keys of its tags' stamps, sorted, if it has tags.
    tags: Option<Arc<[String]>>,
    /// The start of the entry's first argument, or the end of its text. The arguments of the group do not count. Zero
    /// for a group or a stamp.
    stem_len: usize,
    /// A hash of the group's name up to its first argument. Zero for an entry in no group.
    group: u64,
}

/// The place of an entry in Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address<'a> {
    /// A key of its own.
    Key(&'a str),
    /// A field of a hash.
    Field { hash: &'a str, field: &'a str },
}

impl<'a> Address<'a> {
    /// Parses the text of a key.
    pub(crate) fn of(text: &'a str) -> Address<'a> {
        // Only the text of a field contains a space.
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
        Key::of_tag_name(namespace, &tag_name(tag))
    }

    /// The hash of a group, from its prefix and name with a `:` between them. The name may begin with
    /// the mark of groups, as in the hash's key.
    pub(crate) fn of_group(namespace: &str, name: &str) -> Result<Key, Error> {
        let refuse = |why| Err(Error::new(ErrorKind::Key, why));
        if name.bytes().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()) {
            return refuse("a group's name must not contain white space");
        }
        let Some((prefix, name)) = name.split_once(':').filter(|(prefix, name)| !prefix.is_empty() && !name.is_empty())
        else {
            return refuse("a group's name is its prefix, a `:`, and what the attribute's `group` makes");
        };
        let name = name.strip_prefix(GROUP).and_then(|name| name.strip_prefix(':')).unwrap_or(name);
        if prefix.starts_with('#') || name.starts_with('#') || name.is_empty() {
            return refuse("neither the prefix of a group nor the rest of its name may begin with `#`");
        }
        let namespace = escape_part(namespace);
        let separator = if namespace.is_empty() { "" } else { ":" };
        let text = format!("{namespace}{separator}{prefix}:{GROUP}:{name}");
        Ok(Key { text, namespace_len: namespace.len(), hash_len: 0, tags: None, stem_len: 0, group: 0 })
    }

    /// Leaves the key's buffer to the next key of this thread.
    #[cfg(feature = "local")]
    pub(crate) fn recycle(self) {
        spare::keep(self.text);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns true for the stamp of a tag.
    pub(crate) fn is_of_tag(&self) -> bool {
        self.without_namespace().starts_with(TAG)
    }

    /// Returns true for the hash of a group.
    pub(crate) fn is_of_group(&self) -> bool {
        let name = self.without_namespace().split_once(':').and_then(|(_, rest)| rest.strip_prefix(GROUP));
        self.hash_len == 0 && name.is_some_and(|name| name.starts_with(':'))
    }

    fn without_namespace(&self) -> &str {
        let separator = usize::from(self.namespace_len > 0);
        self.text.get(self.namespace_len + separator..).unwrap_or_default()
    }

    /// The length of the namespace in bytes, without its `:`. Zero if there is none.
    pub(crate) fn namespace_len(&self) -> usize {
        self.namespace_len
    }

    /// A hash of the part that all keys of a function share: the text before the first argument, or
    /// the whole text if there is no argument. Two functions may share a family.
    pub(crate) fn family(&self) -> u64 {
        hash(self.group, self.stem())
    }

    /// Tells whether both keys belong to one [family](Self::family).
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

    /// The keys of its tags' stamps.
    pub(crate) fn tags(&self) -> &[String] {
        self.tags.as_deref().unwrap_or_default()
    }

    /// The key of a tag's stamp. [`tag_name`] makes the name.
    pub(crate) fn tag_key(&self, name: &str) -> String {
        let mut text = self.text[..self.namespace_len].to_owned();
        write_tag_key(name, &mut text);
        text
    }

    /// All keys whose invalidation also invalidates this entry: its own, its group's, its tags'.
    pub(crate) fn concerned_by(&self) -> impl Iterator<Item = &str> {
        let hash = (self.hash_len > 0).then(|| &self.text[..self.hash_len]);
        std::iter::once(self.as_str()).chain(hash).chain(self.tags().iter().map(String::as_str))
    }
}

// Tags need no comparison: they follow from the arguments, as the text does.
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

/// The start of the key of the statistics of a process, after the namespace.
#[cfg(any(feature = "blocking", feature = "inspect"))]
pub(crate) const STATS: &str = "#stats:";

/// The form of a tag in the key of its stamp. The tag may be any text.
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

/// Replaces the text from `at` on by its digest, if it is too long.
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
/// If an argument has no text, [`finish`](KeyWriter::finish) returns the error.
#[derive(Debug)]
pub struct KeyWriter {
    text: String,
    namespace_len: usize,
    hash_len: usize,
    /// The start of the part that a digest replaces if it grows too long.
    arguments_at: Option<usize>,
    stem_len: usize,
    group: u64,
    tags: Option<Box<Tags>>,
    failure: Option<Error>,
}

/// The tags of a key that is being written.
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
    /// Starts a key. `namespace` is unescaped text, empty for none; `head` is already escaped.
    pub(crate) fn new(namespace: &str, head: &str) -> KeyWriter {
        let namespace = escape_part(namespace);
        let mut text = spare::take(namespace.len() + head.len() + 64);
        if !namespace.is_empty() {
            text.push_str(&namespace);
            text.push(':');
        }
        text.push_str(head);
        KeyWriter::of(text, namespace.len())
    }

    /// A writer of many keys, of which nothing but the text is needed. Each is begun with [`restart`](Self::restart).
    #[cfg(feature = "local")]
    pub(crate) fn of_texts() -> KeyWriter {
        KeyWriter::of(String::with_capacity(128), 0)
    }

    /// Begins the next text with the [text](Self::into_text) of a new writer.
    #[cfg(feature = "local")]
    #[inline]
    pub(crate) fn restart(&mut self, stem: &str) {
        self.text.clear();
        self.text.push_str(stem);
        self.arguments_at = None;
    }

    /// Returns true if another text may be begun: this one had no tags, did not fail, and was not large.
    #[cfg(feature = "local")]
    #[inline]
    pub(crate) fn is_reusable(&self) -> bool {
        self.text.capacity() <= spare::LARGEST && self.tags.is_none() && self.failure.is_none()
    }

    #[inline]
    fn of(text: String, namespace_len: usize) -> KeyWriter {
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

    /// What is written so far.
    #[cfg(feature = "local")]
    pub(crate) fn into_text(self) -> Box<str> {
        self.text.into()
    }

    /// The whole text of a key without tags; `None` if an argument has none.
    #[cfg(feature = "local")]
    #[inline]
    pub(crate) fn whole(&mut self) -> Option<&str> {
        if self.failure.is_some() {
            return None;
        }
        self.end_arguments();
        Some(&self.text)
    }

    /// Starts the key of a group's hash. The caller appends `:` and the text of the attribute's `group`.
    /// `prefix` is already escaped.
    pub(crate) fn of_group(namespace: &str, prefix: &str) -> KeyWriter {
        let mut writer = KeyWriter::new(namespace, prefix);
        writer.text.push(':');
        writer.text.push_str(GROUP);
        writer
    }

    /// Ends the name of a group's hash, and starts the field in it with the function's name, which is
    /// already escaped.
    pub fn field(&mut self, name: &str) -> &mut Self {
        self.end_arguments();
        self.group = hash(0, &self.text.as_bytes()[..self.stem_len]);
        self.hash_len = self.text.len();
        self.text.push(' ');
        self.text.push_str(name);
        self
    }

    /// Ends the current part, and begins a tag.
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

    /// Appends `:` and an argument. The error names `parameter`.
    #[cfg(test)]
    pub(crate) fn arg<T: serde::Serialize + ?Sized>(&mut self, parameter: &'static str, value: &T) -> &mut Self {
        self.text.push(':');
        self.placeholder(parameter, value)
    }

    /// Appends literal text of a template, unescaped.
    pub fn literal(&mut self, text: &'static str) -> &mut Self {
        match &mut self.tags {
            Some(tags) => tags.current.push_str(text),
            None => self.text.push_str(text),
        }
        self
    }

    /// Appends the argument of a template's placeholder, without a separator.
    pub fn placeholder<T: serde::Serialize + ?Sized>(&mut self, parameter: &'static str, value: &T) -> &mut Self {
        if self.failure.is_some() {
            return self;
        }
        let written = match &mut self.tags {
            Some(tags) => caught_unless(is_plain::<T>(), || raw::write(value, &mut tags.current)),
            None => {
                if self.arguments_at.is_none() {
                    self.arguments_at = Some(self.text.len());
                }
                caught_unless(is_plain::<T>(), || encode::encode(value, &mut self.text))
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

    /// Returns the key, or the error of the first argument that has no text. It may be called once only.
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
