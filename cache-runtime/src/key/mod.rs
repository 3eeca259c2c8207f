//! Keys: `[namespace:]prefix:name:arg:arg`, as text.
//!
//! Two different argument lists of one function never share a key, equal ones always do, and
//! nothing that comes from the outside can write a separator or a brace. `encode` has the grammar.

mod encode;
mod escape;
mod name;

use sha2::{Digest, Sha256};

use crate::error::{Error, ErrorKind};

pub(crate) use escape::escape_part;
pub(crate) use name::function_name;

/// The longest argument part that is spelled out.
const SPELLED: usize = 200;

/// How much of SHA-256 stands for a longer one: 192 bits, so that nobody finds two argument lists
/// that share a key.
const DIGEST: usize = 24;

/// The address of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    text: String,
    namespace_len: usize,
}

impl Key {
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Bytes of the namespace in front, without its `:`. Zero if there is none.
    pub(crate) fn namespace_len(&self) -> usize {
        self.namespace_len
    }
}

/// Builds a [`Key`], one argument after the other.
///
/// An argument that has no text leaves an error behind, which [`finish`](KeyWriter::finish) tells.
#[derive(Debug)]
pub struct KeyWriter {
    text: Vec<u8>,
    namespace_len: usize,
    /// Where the part begins that a digest replaces if it grows too long.
    arguments_at: Option<usize>,
    failure: Option<Error>,
}

impl KeyWriter {
    /// `namespace` is text from the outside, empty for none; `head` is escaped already.
    pub(crate) fn new(namespace: &str, head: &str) -> KeyWriter {
        let namespace = escape_part(namespace);
        let mut text = Vec::with_capacity(namespace.len() + head.len() + 64);
        if !namespace.is_empty() {
            text.extend_from_slice(namespace.as_bytes());
            text.push(b':');
        }
        text.extend_from_slice(head.as_bytes());
        KeyWriter { text, namespace_len: namespace.len(), arguments_at: None, failure: None }
    }

    /// Appends `:` and an argument. `parameter` is its name, for the error.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn arg<T: serde::Serialize + ?Sized>(mut self, parameter: &'static str, value: &T) -> Self {
        self.text.push(b':');
        self.placeholder(parameter, value)
    }

    /// Appends text of a template as it is.
    #[must_use]
    pub fn literal(mut self, text: &'static str) -> Self {
        self.text.extend_from_slice(text.as_bytes());
        self
    }

    /// Appends an argument without a separator: a placeholder of a template.
    #[must_use]
    pub fn placeholder<T: serde::Serialize + ?Sized>(mut self, parameter: &'static str, value: &T) -> Self {
        self.arguments_at.get_or_insert(self.text.len());
        if self.failure.is_none()
            && let Err(refused) = encode::encode(value, &mut self.text)
        {
            let detail = format!("parameter `{parameter}`: {refused}");
            self.failure = Some(Error::new(ErrorKind::Key, detail));
        }
        self
    }

    /// The key, or what was wrong with the first argument that has no text.
    pub fn finish(mut self) -> Result<Key, Error> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        if let Some(at) = self.arguments_at
            && self.text.len() - at > SPELLED
        {
            let digest = Sha256::digest(&self.text[at..]);
            self.text.truncate(at);
            // An encoded argument never begins with `#`.
            self.text.push(b'#');
            encode::write_hex(&digest[..DIGEST], &mut self.text);
        }
        let text = String::from_utf8(self.text).map_err(|error| Error::new(ErrorKind::Key, error.to_string()))?;
        Ok(Key { text, namespace_len: self.namespace_len })
    }
}

#[cfg(test)]
mod tests;
