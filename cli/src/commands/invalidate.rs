//! `rcached invalidate`: entries, groups and tags by name, or entries by a pattern.

use redis_cached_runtime::Invalidation;
use redis_cached_runtime::inspect::{
    Cmd, Content, KeyName, NameKind, Servers, Value, content, field_content, group_invalidation, tag_key,
};
use serde::Serialize;

use super::open;
use super::removal::{Selection, invalidate, remove};
use crate::args::Args;
use crate::outcome::{Code, Failure, Outcome};
use crate::output;
use crate::redis::{Replies, bytes, command, integer, is_wrong_type, told};
use crate::scan::{Check, STAMP, Scan, Walked, walk};

/// The last byte of a header.
const HEADER_LAST: &str = "111";

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
        // What a pattern matches goes, whatever its namespace. The pattern begins with the namespace of the command line,
        // and entries without one that match it, too, are left alone.
        let covers = |_: &KeyName| true;
        let check = if args.namespace.is_empty() { Check::Cheap } else { Check::Whole(&covers) };
        let scan = Scan::of_pattern(&servers, args, pattern, check);
        let selection = Selection { scan, covers: &covers, with_uncertain: true, with_stamps: false, yes: asked.yes };
        return remove(args, &cache, selection);
    }
    // All is checked before anything is touched.
    let mut items: Vec<(String, Invalidation)> = Vec::new();
    for key in asked.keys {
        items.push((key.clone(), entry(args, &servers, key)?));
    }
    for group in asked.groups {
        let (invalidation, hash) = group_invalidation(&cache, group)?;
        check_group(args, &servers, &hash)?;
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
fn entry(args: &Args, servers: &Servers, key: &str) -> Outcome<Invalidation> {
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
            let head = bytes(told("GETRANGE", head)?).unwrap_or_default();
            if !head.is_empty() && matches!(content(&head), Content::Foreign) {
                return Err(foreign(key, "its content is neither a lease nor a value"));
            }
        }
        NameKind::Field => {
            let (hash, field) = name.place();
            let reply = one(servers, hash, &["HGET", hash, field.unwrap_or_default()])?;
            if is_wrong_type(&reply) {
                return Err(foreign(key, "it holds another Redis type"));
            }
            if bytes(told("HGET", reply)?).is_some_and(|bytes| field_content(bytes, None).is_none()) {
                return Err(foreign(key, "its content is neither a lease nor a value"));
            }
        }
        NameKind::Group => check_group(args, servers, name.place().0)?,
        NameKind::Stamp => return Err(Failure::Usage(format!("{key} is the stamp of a tag: use --tag"))),
    }
    Ok(name.invalidation())
}

/// Checks all fields of a hash, which go together.
fn check_group(args: &Args, servers: &Servers, hash: &str) -> Outcome<()> {
    let mut send = |step: Cmd| Ok(Replies::of(servers.send(hash, &[step]))?.next());
    let walked = walk(hash, args.pace, &mut send, &mut |field| match field.slot() {
        Some(_) => Ok(()),
        None => Err(foreign(hash, "it has fields that are neither leases nor values")),
    })?;
    match walked {
        Walked::All => Ok(()),
        Walked::NoHash => Err(foreign(hash, "it holds another Redis type")),
        // A redirection is followed.
        Walked::Moved => Err(Failure::Server(format!("the fields of {hash} have moved"))),
        Walked::Refused(refusal) => Err(Failure::Server(format!("the fields of {hash} cannot be read: {refusal}"))),
    }
}

fn check_stamp(servers: &Servers, key: &str) -> Outcome<()> {
    let reply = one(servers, key, &["STRLEN", key])?;
    if is_wrong_type(&reply) {
        return Err(foreign(key, "it holds another Redis type"));
    }
    match integer(&told("STRLEN", reply)?) {
        Some(0) => Ok(()),
        Some(length) if length as u64 == STAMP => Ok(()),
        _ => Err(foreign(key, "its content is no stamp")),
    }
}

fn one(servers: &Servers, key: &str, words: &[&str]) -> Outcome<Value> {
    Ok(servers.send(key, &[command(words)])?.into_iter().next().unwrap_or(Value::Nil))
}

fn foreign(key: &str, why: &str) -> Failure {
    Failure::Foreign(format!("{} is not of redis-cached: {why}. Nothing was touched", key.escape_debug()))
}
