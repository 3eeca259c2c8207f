//! The requests for the stamps of tags, and the meaning of the replies. `extension` extends their lives.

use ::redis::{Cmd, Pipeline, Value};

use crate::store::redis::ops::commands::bounded;
use crate::store::redis::ops::scripts::{self, Form};
use crate::store::redis::request::checked;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;
use crate::stored::envelope::{Seal, Token};

/// Takes the stamp of a tag, unless it has one.
pub(crate) fn take_stamp(features: Features, form: Form, tag: &str, new: Token, millis: u64) -> Cmd {
    let millis = bounded(millis);
    if features.has(Features::SET_NX_GET) {
        let mut command = Cmd::with_capacity(7, tag.len() + 64);
        command.arg("SET").arg(tag).arg(new.bytes()).arg("NX").arg("GET").arg("PX").arg(&millis);
        return command;
    }
    scripts::ACQUIRE.command(form.of(features), &[tag.as_bytes()], &[new.bytes(), millis.as_bytes()])
}

/// Reads the stamps of tags, in one command if the server permits it.
pub(crate) fn add_stamps<'a>(features: Features, tags: impl IntoIterator<Item = &'a String>, pipeline: &mut Pipeline) {
    let mut tags = tags.into_iter().peekable();
    if features.reads_together() && tags.peek().is_some() {
        let mut command = ::redis::cmd("MGET");
        for tag in tags {
            command.arg(tag);
        }
        pipeline.add_command(command);
    } else {
        for tag in tags {
            let name = if features.has(Features::GET) { "GET" } else { "MGET" };
            pipeline.cmd(name).arg(tag);
        }
    }
}

/// The replies to [`add_stamps`].
pub(crate) fn stamps_of<'a>(
    tags: impl IntoIterator<Item = &'a String>,
    replies: impl IntoIterator<Item = Value>,
) -> Result<Vec<Value>, Fault> {
    let mut stamps = Vec::new();
    for (reply, tag) in replies.into_iter().zip(tags) {
        match checked(reply).map_err(|fault| fault.about(tag))? {
            Value::Array(together) => stamps.extend(together),
            // A stamp has another type only if another program wrote it.
            stamp => stamps.push(stamp),
        }
    }
    Ok(stamps)
}

/// Does the same, and returns a seal; `None` if a tag has no stamp.
pub(crate) fn seal(tags: &[String], mut replies: impl Iterator<Item = Value>) -> Result<Option<Seal>, Fault> {
    let [first, ..] = tags else { return Ok(Some(Seal::default())) };
    let stamps = match checked(replies.next().unwrap_or_default()).map_err(|fault| fault.about(first))? {
        Value::Array(together) if together.len() == tags.len() => together,
        reply => stamps_of(tags, std::iter::once(reply).chain(replies))?,
    };
    if stamps.len() != tags.len() {
        return Err(Fault::unexpected("MGET"));
    }
    let stamped: Option<Vec<_>> = tags.iter().zip(&stamps).map(|(tag, stamp)| sealed(tag, stamp)).collect();
    Ok(stamped.map(Seal::of))
}

/// A tag with its stamp, if it has one.
pub(crate) fn sealed<'a>(tag: &'a str, stamp: &'a Value) -> Option<(&'a str, &'a [u8])> {
    match stamp {
        Value::BulkString(stamp) => Some((tag, stamp)),
        _ => None,
    }
}
