//! The fields of a hash, in paced steps.

use std::time::Duration;

use redis_cached_runtime::inspect::{Cmd, Content, Value, content, field_content};

use crate::outcome::{Failure, Outcome};
use crate::redis::{bytes, command, has_moved, integer, is_refused_key, items, refusal, text};

/// The fields that one step looks at.
const FIELDS: &str = "256";

/// A field that is no companion of another.
pub(crate) struct Field {
    pub(super) name: Vec<u8>,
    head: Vec<u8>,
    pub(super) size: u64,
    companion: Option<Vec<u8>>,
}

/// How a walk over the fields of a hash ended.
pub(crate) enum Walked {
    /// All of its fields were visited.
    All,
    /// The key holds another Redis type.
    NoHash,
    /// Another node has the key.
    Moved,
    /// The user may not access the key, in the server's words.
    Refused(String),
}

impl Field {
    /// The first bytes, as those of a slot with a key of its own, and the end of the slot by the server's clock. `None` if
    /// this library did not write it.
    pub(crate) fn slot(self) -> Option<(Vec<u8>, u64)> {
        let slot = field_content(self.head, self.companion.as_deref());
        slot.filter(|(head, _)| !matches!(content(head), Content::Foreign))
    }

    fn of(row: Vec<Value>) -> Option<Field> {
        let mut row = row.into_iter();
        let (name, head, size, companion) = (row.next()?, row.next()?, row.next()?, row.next()?);
        let size = integer(&size).and_then(|size| u64::try_from(size).ok()).unwrap_or_default();
        Some(Field { name: bytes(name)?, head: bytes(head)?, size, companion: bytes(companion) })
    }
}

/// Visits each field. `HSCAN` returns each one that is there from the start to the end, and some of them twice.
pub(crate) fn walk(
    hash: &str,
    pace: Duration,
    send: &mut dyn FnMut(Cmd) -> Outcome<Value>,
    visit: &mut dyn FnMut(Field) -> Outcome<()>,
) -> Outcome<Walked> {
    let mut cursor = "0".to_owned();
    loop {
        let reply = send(command(&["EVAL", include_str!("fields.lua"), "1", hash, &cursor, FIELDS]))?;
        if let Some(refusal) = refusal(&reply) {
            return ended(hash, &reply, refusal);
        }
        let mut parts = items(reply).into_iter();
        let (next, rows) = (parts.next().and_then(text).unwrap_or_else(|| "0".to_owned()), parts.next());
        for field in rows.map(items).unwrap_or_default().into_iter().filter_map(|row| Field::of(items(row))) {
            visit(field)?;
        }
        if next == "0" {
            return Ok(Walked::All);
        }
        cursor = next;
        std::thread::sleep(pace);
    }
}

/// How a walk ends at an error of the server.
fn ended(hash: &str, reply: &Value, refusal: String) -> Outcome<Walked> {
    // Servers differ in how they repeat an error of a command in a script.
    if refusal.contains("WRONGTYPE") {
        return Ok(Walked::NoHash);
    }
    if has_moved(reply) {
        return Ok(Walked::Moved);
    }
    if is_refused_key(reply) {
        return Ok(Walked::Refused(refusal));
    }
    Err(Failure::Server(format!("the fields of {hash} cannot be read: {refusal}")))
}
