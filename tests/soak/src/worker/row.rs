//! The values of the cached functions, and their ids.

use serde::{Deserialize, Serialize};

/// The ids of a class have one writer. A group, or a tag, is that of a class.
pub(super) const TOGETHER: u64 = 3;
/// The ids of one function.
pub(super) const IDS: u64 = 8 * TOGETHER;
/// The distance between the ids of two functions; a multiple of a class.
const FUNCTION: u64 = 100 * TOGETHER;
/// The distance between the ids of two kinds of Redis.
const KIND: u64 = 1_000 * FUNCTION;

/// The length of a large value's text, and of others.
const LARGE: usize = 100_000;
const SMALL: usize = 24;

/// A value says whose it is, and from which body it comes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) id: u64,
    pub(super) version: u64,
    /// The process and the number of its body, unless a writer made the value.
    pub(super) body: Option<(u64, u64)>,
    text: String,
}

impl Row {
    pub(super) fn new(id: u64, version: u64, body: Option<(u64, u64)>, is_large: bool) -> Row {
        Row { id, version, body, text: text(id, version, if is_large { LARGE } else { SMALL }) }
    }

    /// True if it is a value of this id, in one piece.
    pub(super) fn is_of(&self, id: u64, is_large: bool) -> bool {
        let length = if is_large { LARGE } else { SMALL };
        self.id == id && self.text.len() == length && self.text == text(id, self.version, length)
    }
}

fn text(id: u64, version: u64, length: usize) -> String {
    let letter = char::from(b'a' + ((id + version) % 26) as u8);
    String::from(letter).repeat(length)
}

/// The first id of a function.
pub(super) fn first_id(kind: u64, function: u64) -> u64 {
    KIND * (kind + 1) + FUNCTION * function
}

/// The tag of a class.
pub(super) fn class(id: u64) -> String {
    format!("class:{}", id / TOGETHER)
}
