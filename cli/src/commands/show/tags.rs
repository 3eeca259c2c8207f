//! The tags of an entry: whether their stamps are those under which its value was computed.

use redis_cached_runtime::inspect::{KeyName, Servers, ValueParts, seal_of};
use serde::Serialize;

use crate::args::Args;
use crate::outcome::{Code, Failure, Outcome};
use crate::output::{self, hex, time};
use crate::redis::{Replies, bytes, command, is_wrong_type, left, told};
use crate::scan::STAMP;

/// One tag, or several whose stamps are compared together.
#[derive(Serialize)]
pub(super) struct Tag {
    names: Vec<String>,
    /// `arguments` or `value`: what the tags are made of.
    of: &'static str,
    /// `valid`: the stamps are still those under which the value was computed. `gone`: one of them is not there, or is
    /// another one. `unknown`: the value does not name the tags.
    pub(super) state: &'static str,
}

/// The tags of a value. `named` are those that the person says its arguments give to it.
pub(super) fn stated(servers: &Servers, name: &KeyName, value: &ValueParts<'_>, named: &[String]) -> Outcome<Vec<Tag>> {
    let mut tags = Vec::new();
    if value.seal() != 0 {
        let mut keys: Vec<String> = named.iter().map(|tag| name.key_of_tag(tag)).collect();
        keys.sort_unstable();
        keys.dedup();
        let state = match keys.is_empty() {
            true => "unknown",
            false => state(servers, &keys, value.seal())?,
        };
        tags.push(Tag { names: named.to_vec(), of: "arguments", state });
    } else if !named.is_empty() {
        return Err(Failure::Usage("its arguments give no tags to this value".to_owned()));
    }
    if let Some((names, seal)) = value.own_tags()
        && !names.is_empty()
    {
        let keys: Vec<String> = names.iter().map(|tag| name.tag_key(tag)).collect();
        let state = state(servers, &keys, seal)?;
        tags.push(Tag { names: names.iter().map(|name| (*name).to_owned()).collect(), of: "value", state });
    }
    Ok(tags)
}

fn state(servers: &Servers, keys: &[String], seal: u64) -> Outcome<&'static str> {
    let mut stamps = Vec::new();
    for key in keys {
        let reply = Replies::of(servers.send(key, &[command(&["GET", key])]))?.next();
        // What is no string is no stamp.
        let stamp = if is_wrong_type(&reply) { None } else { bytes(told("GET", reply)?) };
        let Some(stamp) = stamp else { return Ok("gone") };
        stamps.push(stamp);
    }
    let stamped = keys.iter().zip(&stamps).map(|(key, stamp)| (key.as_str(), stamp.as_slice()));
    Ok(if seal_of(stamped) == seal { "valid" } else { "gone" })
}

pub(super) fn in_words(tags: &[Tag]) -> String {
    if tags.is_empty() {
        return "none".to_owned();
    }
    let lines = tags.iter().map(|tag| {
        let names = output::one_line(&tag.names.join(", ")).into_owned();
        match (tag.of, tag.state) {
            (_, "valid") => format!("{names}: valid, their stamps are as they were"),
            ("arguments", "gone") => format!("{names}: gone, or not all of its tags"),
            (_, "gone") => format!("{names}: gone, a stamp is not there or is another one"),
            _ => "of the arguments, which are not in the value; --tag compares the stamps".to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// `rcached show` of a stamp.
pub(super) fn show(args: &Args, servers: &Servers, name: &KeyName) -> Outcome {
    #[derive(Serialize)]
    struct Document<'a> {
        key: &'a str,
        kind: &'static str,
        tag: &'a str,
        expires_in_ms: Option<u64>,
        stamp: Option<String>,
    }
    let key = name.text();
    let mut replies = Replies::of(servers.send(key, &[command(&["GET", key]), command(&["PTTL", key])]))?;
    let stamp = replies.next();
    if is_wrong_type(&stamp) {
        return Err(Failure::Foreign(format!("{key} is not of redis-cached: it holds another Redis type")));
    }
    let stamp = bytes(told("GET", stamp)?);
    let left = left(replies.next())?;
    if stamp.as_ref().is_some_and(|stamp| stamp.len() as u64 != STAMP) {
        return Err(Failure::Foreign(format!("{key} is not of redis-cached: its content is no stamp")));
    }
    let stamp = stamp.map(|stamp| hex(&stamp));
    let tag = name.tag().unwrap_or_default();
    let code = if stamp.is_some() { Code::Done } else { Code::Negative };
    if args.json {
        let kind = if stamp.is_some() { "stamp" } else { "empty" };
        output::json(&Document { key, kind, tag, expires_in_ms: left, stamp })?;
        return Ok(code);
    }
    let text = match stamp {
        Some(stamp) => {
            let left =
                left.map_or_else(|| "never expires".to_owned(), |left| format!("expires in {}", time::millis(left)));
            format!("{key}\n  the stamp of the tag {tag}\n\nstamp  {stamp}\nlife   {left}")
        }
        None => format!("{key}\n  nothing is stored: the tag was invalidated, or never used"),
    };
    output::print(&text)?;
    Ok(code)
}
