//! `rcached invalidate`: entries, groups and tags by name, or entries by a pattern.

use redis_cached_runtime::Invalidation;
use redis_cached_runtime::inspect::{
    Content, KeyName, NameKind, Servers, Value, content, field_content, group_invalidation, tag_key,
};
use serde::Serialize;

use super::open;
use super::removal::{Selection, invalidate, remove};
use crate::args::Args;
use crate::outcome::{Code, Failure, Outcome};
use crate::output;
use crate::redis::{Replies, bytes, command, integer, is_wrong_type, items, refusal};
use crate::scan::Scan;

/// The last byte of a header.
const HEADER_LAST: &str = "111";

/// The fields of a group that are looked at.
const LOOKED_AT: &str = "64";

/// What the command line names.
pub(super) struct Asked<'a> {
    pub(super) keys: &'a [String],
    pub(super) groups: &'a [String],
    pub(super) tags: &'a [String],
    pub(super) pattern: Option<&'a str>,
    pub(super) yes: bool,
}

/// One item, and whether something was there. `--json` prints a list of them.
#[derive(Serialize)]
struct Done {
    item: String,
    was_there: bool,
}

pub(super) fn run(args: &Args, asked: &Asked<'_>) -> Outcome {
    if asked.pattern.is_some() && !(asked.keys.is_empty() && asked.groups.is_empty() && asked.tags.is_empty()) {
        return Err(Failure::Usage("--match goes alone: what is named is invalidated at once".to_owned()));
    }
    let (cache, servers) = open(args)?;
    if let Some(pattern) = asked.pattern {
        let scan = Scan::of_pattern(&servers, args, pattern);
        let selection = Selection { scan, covers: &|_: &KeyName| true, with_stamps: false, yes: asked.yes };
        return remove(args, &cache, selection);
    }
    // All is checked before anything is touched.
    let mut items: Vec<(String, Invalidation)> = Vec::new();
    for key in asked.keys {
        items.push((key.clone(), entry(&servers, key)?));
    }
    for group in asked.groups {
        let (invalidation, hash) = group_invalidation(&cache, group)?;
        check_group(&servers, &hash)?;
        items.push((hash, invalidation));
    }
    for tag in asked.tags {
        let key = tag_key(&args.namespace, tag);
        check_stamp(&servers, &key)?;
        items.push((key, Invalidation::tag(tag)));
    }
    let mut done = Vec::new();
    for (item, invalidation) in items {
        done.push(Done { item, was_there: invalidate(&cache, vec![invalidation])? > 0 });
    }
    if args.json {
        output::json(&done)?;
    } else {
        let lines = done.iter().map(|done| match done.was_there {
            true => format!("{}  invalidated", done.item),
            false => format!("{}  nothing was there", done.item),
        });
        output::print(&lines.collect::<Vec<_>>().join("\n"))?;
    }
    Ok(Code::Done)
}

/// The invalidation of a key, whose content is this library's, or nothing.
fn entry(servers: &Servers, key: &str) -> Outcome<Invalidation> {
    let name = KeyName::candidates(key)
        .into_iter()
        .next()
        .ok_or_else(|| foreign(key, "no key of redis-cached has this form"))?;
    match name.kind() {
        NameKind::Entry => {
            let mut replies = Replies::of(servers.send(key, &[command(&["GETRANGE", key, "0", HEADER_LAST])]))?;
            let head = replies.next();
            if is_wrong_type(&head) {
                return Err(foreign(key, "it holds another Redis type"));
            }
            let head = bytes(told(head)?).unwrap_or_default();
            if !head.is_empty() && matches!(content(&head), Content::Foreign) {
                return Err(foreign(key, "its content is neither a lease nor a value"));
            }
        }
        NameKind::Field => {
            let (hash, field) = name.place();
            let reply = told(one(servers, hash, &["HGET", hash, field.unwrap_or_default()])?)?;
            if bytes(reply).is_some_and(|bytes| field_content(bytes, None).is_none()) {
                return Err(foreign(key, "its content is neither a lease nor a value"));
            }
        }
        NameKind::Group => check_group(servers, name.place().0)?,
        NameKind::Stamp => return Err(Failure::Usage(format!("{key} is the stamp of a tag: use --tag"))),
    }
    Ok(name.invalidation())
}

/// Checks some of the fields of a hash.
fn check_group(servers: &Servers, hash: &str) -> Outcome<()> {
    let reply = one(servers, hash, &["HSCAN", hash, "0", "COUNT", LOOKED_AT])?;
    if is_wrong_type(&reply) {
        return Err(foreign(hash, "it holds another Redis type"));
    }
    let pairs = items(told(reply)?).into_iter().nth(1).map(items).unwrap_or_default();
    for pair in pairs.chunks(2) {
        let [field, content] = pair else { continue };
        let is_companion = bytes(field.clone()).is_some_and(|field| field.ends_with(b"\0r"));
        let is_ours = bytes(content.clone()).is_some_and(|bytes| field_content(bytes, None).is_some());
        if !is_companion && !is_ours {
            return Err(foreign(hash, "it has fields that are neither leases nor values"));
        }
    }
    Ok(())
}

fn check_stamp(servers: &Servers, key: &str) -> Outcome<()> {
    let reply = one(servers, key, &["STRLEN", key])?;
    if is_wrong_type(&reply) {
        return Err(foreign(key, "it holds another Redis type"));
    }
    match integer(&told(reply)?) {
        Some(0 | 16) => Ok(()),
        _ => Err(foreign(key, "its content is no stamp")),
    }
}

fn one(servers: &Servers, key: &str, words: &[&str]) -> Outcome<Value> {
    Ok(servers.send(key, &[command(words)])?.into_iter().next().unwrap_or(Value::Nil))
}

/// The value, unless the server refused.
fn told(value: Value) -> Outcome<Value> {
    match refusal(&value) {
        Some(refusal) if is_wrong_type(&value) => Err(Failure::Foreign(refusal)),
        Some(refusal) => Err(Failure::Server(refusal)),
        None => Ok(value),
    }
}

fn foreign(key: &str, why: &str) -> Failure {
    Failure::Foreign(format!("{} is not of redis-cached: {why}. Nothing was touched", key.escape_debug()))
}
