//! `rcached show`: one entry, in words.

use redis_cached_runtime::inspect::{Checked, Content, KeyName, NameKind, Servers, ValueParts, content, field_content};
use serde::Serialize;
use serde_json::Value as Json;

use self::tags::{Tag, stated};
use super::open;
use crate::args::Args;
use crate::outcome::{Code, Failure, Outcome};
use crate::output::table::facts;
use crate::output::{self, count, hex, payload, size, time};
use crate::redis::{Replies, bytes, command, is_wrong_type, left, memory as memory_of, time as server_time, told};

mod tags;

/// The slot, as it was read.
struct Read {
    name: KeyName,
    names: Vec<KeyName>,
    /// The bytes of the slot, as if it had a key of its own.
    bytes: Vec<u8>,
    /// What is left of its life in Redis, in milliseconds. `None` for ever.
    left: Option<u64>,
    memory: Option<u64>,
    now: u64,
}

/// The document that `--json` prints.
#[derive(Default, Serialize)]
struct Document {
    key: String,
    /// `value`, `lease`, `other version`, or `empty`.
    kind: &'static str,
    /// The content in one sentence.
    summary: String,
    namespace: Option<String>,
    function: Option<String>,
    in_group: bool,
    expires_in_ms: Option<u64>,
    stored_bytes: u64,
    memory_bytes: Option<u64>,
    token: Option<String>,
    value: Option<ValueDocument>,
}

#[derive(Serialize)]
struct ValueDocument {
    id: String,
    intact: bool,
    version: u32,
    codec: &'static str,
    codec_id: Option<String>,
    fingerprint: String,
    leased_at_ms: u64,
    filled_at_ms: u64,
    fresh_until_ms: Option<u64>,
    server_now_ms: u64,
    body_us: u64,
    negative: bool,
    refreshing: bool,
    refresh_token: Option<String>,
    refresh_until_ms: Option<u64>,
    tags: Vec<Tag>,
    payload_bytes: u64,
    /// The algorithm by which the payload is compressed.
    compression: Option<&'static str>,
    /// The length of the payload without compression.
    raw_payload_bytes: Option<u64>,
    /// The decoded payload, if its format describes itself.
    payload: Option<Json>,
    /// Its bytes as digits, if not.
    payload_hex: Option<String>,
}

pub(super) fn run(args: &Args, key: &str, tags: &[String], full: bool) -> Outcome {
    let (_cache, servers) = open(args)?;
    let names = KeyName::candidates(key);
    let Some(first) = names.first() else {
        return Err(Failure::Foreign(format!(
            "{} is not of redis-cached: no key of it has this form",
            key.escape_debug()
        )));
    };
    let read = match first.kind() {
        NameKind::Entry => read_key(&servers, key, names)?,
        NameKind::Field => read_field(&servers, key, names)?,
        NameKind::Group => return Err(Failure::Usage(format!("{key} is a group: show one of its fields, or use ls"))),
        NameKind::Stamp => return tags::show(args, &servers, first),
    };
    let Some(read) = read else {
        let document = Document {
            key: key.to_owned(),
            kind: "empty",
            summary: "nothing is stored".to_owned(),
            ..Document::default()
        };
        tell(args, &document, &[], None)?;
        return Ok(Code::Negative);
    };
    let slot = match content(&read.bytes) {
        Content::Foreign => {
            return Err(Failure::Foreign(format!(
                "{key} is not of redis-cached: it holds neither a lease nor a value"
            )));
        }
        slot => slot,
    };
    explain(args, &servers, &read, &slot, tags, full)
}

fn explain(args: &Args, servers: &Servers, read: &Read, slot: &Content<'_>, tags: &[String], full: bool) -> Outcome {
    let mut document = Document {
        key: read.name.text().to_owned(),
        in_group: read.name.kind() == NameKind::Field,
        expires_in_ms: read.left,
        stored_bytes: read.bytes.len() as u64,
        memory_bytes: read.memory,
        ..Document::default()
    };
    let mut facts = Vec::new();
    let mut shown = None;
    match slot {
        Content::Lease { token, has_tags } => {
            document.kind = "lease";
            document.summary = "a call computes the value".to_owned();
            document.token = Some(hex(token));
            facts.push(("lease", lease_in_words(read)));
            facts.push(("token", hex(token)));
            facts.push((
                "tags",
                if *has_tags { "of the arguments; they are not in a lease" } else { "none" }.to_owned(),
            ));
        }
        Content::Value(value) => {
            document.kind = "value";
            let (name, intact) = match value.check(&read.names, &read.bytes) {
                Checked::Intact(name) => (name, true),
                Checked::Damaged => (read.name.clone(), false),
            };
            let tags = stated(servers, &name, value, tags)?;
            document.summary = summary(value, intact, &tags, read.now);
            if intact {
                document.namespace = Some(name.namespace().to_owned());
            }
            document.function = Some(name.function());
            facts = facts_of(value, &name, intact, read);
            facts.push(("tags", tags::in_words(&tags)));
            shown = payload_in_words(value, intact, full);
            document.value = Some(described(value, intact, tags, read.now));
        }
        Content::OtherVersion => {
            document.kind = "other version";
            document.summary =
                "another version of redis-cached wrote it: to programs of this version it is a miss".to_owned();
        }
        Content::Foreign => {}
    }
    facts.push(("stored", stored(&document, slot)));
    tell(args, &document, &facts, shown)?;
    Ok(Code::Done)
}

fn tell(args: &Args, document: &Document, facts: &[(&str, String)], payload: Option<String>) -> Outcome<()> {
    if args.json {
        return output::json(document);
    }
    let mut parts = vec![format!("{}\n  {}", document.key, document.summary)];
    if !facts.is_empty() {
        parts.push(self::facts(facts));
    }
    parts.extend(payload);
    output::print(&parts.join("\n\n"))
}

/// What a call that finds this value does, and why.
fn summary(value: &ValueParts<'_>, intact: bool, tags: &[Tag], now: u64) -> String {
    let what = if value.is_negative() { "a stored `None`" } else { "a value" };
    if !intact {
        return "a damaged value, or one that was copied from another key: a call takes it for a miss".to_owned();
    }
    if tags.iter().any(|tag| tag.state == "gone") {
        return format!("{what} whose tag was invalidated: a call takes it for a miss");
    }
    match value.fresh_until() {
        None => format!("{what} that is fresh for ever"),
        Some(until) if until > now => format!("{what} that is fresh for another {}", time::millis(until - now)),
        Some(until) => format!(
            "{what} that is stale since {}: a call takes it for a miss, unless its function serves old values",
            time::millis(now - until)
        ),
    }
}

fn facts_of(value: &ValueParts<'_>, name: &KeyName, intact: bool, read: &Read) -> Vec<(&'static str, String)> {
    let at = |millis: u64| match millis.cmp(&read.now) {
        std::cmp::Ordering::Greater => format!("in {} ({})", time::millis(millis - read.now), time::utc(millis)),
        _ => format!("{} ago ({})", time::millis(read.now - millis), time::utc(millis)),
    };
    let namespace = match name.namespace() {
        _ if !intact => "unknown".to_owned(),
        "" => "none".to_owned(),
        namespace => namespace.to_owned(),
    };
    let codec = match value.codec() {
        redis_cached_runtime::inspect::Codec::Other(id) => format!("one of the program ({id:08x})"),
        codec => codec.name().to_owned(),
    };
    let mut facts = vec![
        ("function", name.function()),
        ("namespace", namespace),
        ("kind", if read.name.kind() == NameKind::Field { "an entry of a group" } else { "an entry" }.to_owned()),
        ("computed", format!("in {}, begun {}", time::duration(value.body()), at(value.leased_at()))),
        ("filled", at(value.filled_at())),
        ("fresh until", value.fresh_until().map_or_else(|| "for ever".to_owned(), at)),
        ("expires", read.left.map_or_else(|| "never".to_owned(), |left| format!("in {}", time::millis(left)))),
        ("refresh", refresh(value, read.now)),
        ("codec", codec),
        ("version", value.version().to_string()),
        ("fingerprint", format!("{:016x}", value.fingerprint())),
        ("checksum", if intact { "fits" } else { "does not fit the bytes and the key" }.to_owned()),
        ("id", hex(&value.id())),
    ];
    if let Some((algorithm, raw)) = value.compression() {
        facts.push(("compressed", format!("by {algorithm}, from {} bytes", count(raw))));
    }
    facts
}

fn refresh(value: &ValueParts<'_>, now: u64) -> String {
    if value.has_damaged_mark() {
        return "its mark is damaged, which a call takes for none".to_owned();
    }
    let left = value.refresh_until().saturating_sub(now);
    match value.refresh() {
        Some(token) if left > 0 => {
            format!(
                "the call with token {} computes the next value; its lease ends in {}",
                hex(&token),
                time::millis(left)
            )
        }
        Some(token) => format!("the call with token {} did not end; the next call begins anew", hex(&token)),
        None if left > 0 => format!("the last one failed; none begins for {}", time::millis(left)),
        None => "none".to_owned(),
    }
}

fn lease_in_words(read: &Read) -> String {
    match read.left {
        Some(left) => format!("ends in {} unless the call renews it", time::millis(left)),
        None => "has no end: it was restored or made persistent, and a call that waits gives it one".to_owned(),
    }
}

fn stored(document: &Document, slot: &Content<'_>) -> String {
    let mut text = format!("{} ({} bytes)", size(document.stored_bytes), count(document.stored_bytes));
    if let Content::Value(value) = slot {
        text.push_str(&format!(", {} of them payload", count(value.payload().len() as u64)));
    }
    if let Some(memory) = document.memory_bytes {
        text.push_str(&format!("; {} of memory", size(memory)));
    }
    text
}

fn payload_in_words(value: &ValueParts<'_>, intact: bool, full: bool) -> Option<String> {
    if value.is_negative() || value.payload().is_empty() {
        return None;
    }
    let heading = if intact { "payload" } else { "payload, damaged" };
    let codec = value.codec();
    let shown = match value.raw_payload() {
        Ok(raw) => payload::shown(codec, &raw, full),
        Err(error) => format!("its compression cannot be undone: {error}\n{}", payload::digits(value.payload(), full)),
    };
    Some(format!("{heading} ({})\n{shown}", codec.name()))
}

fn described(value: &ValueParts<'_>, intact: bool, tags: Vec<Tag>, now: u64) -> ValueDocument {
    let raw = value.raw_payload().unwrap_or_else(|_| value.payload().into());
    let decoded = payload::decode(value.codec(), &raw).and_then(Result::ok).filter(|_| !value.is_negative());
    let is_marked = value.refresh().is_some() || value.refresh_until() > now;
    ValueDocument {
        id: hex(&value.id()),
        intact,
        version: value.version(),
        codec: value.codec().name(),
        codec_id: match value.codec() {
            redis_cached_runtime::inspect::Codec::Other(id) => Some(format!("{id:08x}")),
            _ => None,
        },
        fingerprint: format!("{:016x}", value.fingerprint()),
        leased_at_ms: value.leased_at(),
        filled_at_ms: value.filled_at(),
        fresh_until_ms: value.fresh_until(),
        server_now_ms: now,
        body_us: u64::try_from(value.body().as_micros()).unwrap_or(u64::MAX),
        negative: value.is_negative(),
        refreshing: value.refresh().is_some() && value.refresh_until() > now,
        refresh_token: value.refresh().map(|token| hex(&token)),
        refresh_until_ms: is_marked.then(|| value.refresh_until()),
        tags,
        payload_bytes: value.payload().len() as u64,
        compression: value.compression().map(|(algorithm, _)| algorithm),
        raw_payload_bytes: value.compression().map(|(_, raw)| raw),
        payload_hex: decoded.is_none().then(|| hex(&raw)),
        payload: decoded.map(|any| any.json()),
    }
}

/// Reads a slot with a key of its own. `None` if it is empty.
fn read_key(servers: &Servers, key: &str, names: Vec<KeyName>) -> Outcome<Option<Read>> {
    let commands =
        [command(&["GET", key]), command(&["PTTL", key]), command(&["MEMORY", "USAGE", key]), command(&["TIME"])];
    let mut replies = Replies::of(servers.send(key, &commands))?;
    let (content, life, usage, now) = (replies.next(), replies.next(), replies.next(), replies.next());
    if is_wrong_type(&content) {
        return Err(Failure::Foreign(format!("{key} is not of redis-cached: it holds another Redis type")));
    }
    let (content, left, memory) = (told("GET", content)?, left(life)?, memory_of(usage)?);
    let now = server_time(now)?;
    let Some(bytes) = bytes(content) else { return Ok(None) };
    Ok(Some(Read { name: names[0].clone(), names, bytes, left, memory, now }))
}

/// Reads a slot that is a field of a hash. `None` if it is empty, or over.
fn read_field(servers: &Servers, key: &str, names: Vec<KeyName>) -> Outcome<Option<Read>> {
    let (hash, field) = names[0].place();
    let mut read = command(&["HMGET", hash]);
    let field = field.unwrap_or_default();
    read.arg(field).arg([field.as_bytes(), b"\0r"].concat());
    let mut replies = Replies::of(servers.send(hash, &[read, command(&["TIME"])]))?;
    let (content, now) = (replies.next(), replies.next());
    if is_wrong_type(&content) {
        return Err(Failure::Foreign(format!("{hash} is not of redis-cached: it holds another Redis type")));
    }
    let mut parts = crate::redis::items(told("HMGET", content)?).into_iter();
    let now = server_time(now)?;
    let Some(content) = parts.next().and_then(bytes) else { return Ok(None) };
    let companion = parts.next().and_then(bytes);
    let Some((bytes, end)) = field_content(content, companion.as_deref()) else {
        return Err(Failure::Foreign(format!("{key} is not of redis-cached: it holds neither a lease nor a value")));
    };
    if end <= now {
        return Ok(None);
    }
    Ok(Some(Read { name: names[0].clone(), names, bytes, left: Some(end - now), memory: None, now }))
}
