//! Extensions of the lives of stamps, so that each outlives the entries under it.
//!
//! A stamp that is known to outlive an entry is left alone: most fills send no command for it, and no client that tracks
//! the stamp hears of them. An extension is to twice what the entry needs, so that the next ones are rare.

use std::collections::BTreeMap;
use std::time::Instant;

use ::redis::{Cmd, Value};

use crate::key::Key;
use crate::plan::ttl::Ttl;
use crate::store::own_tags;
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::commands::{LONGEST_MILLIS, bounded};
use crate::store::redis::ops::scripts::{self, Form};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::Transport;
use crate::store::{End, EndRequest};
use crate::stored::envelope::{self, Seal};

/// The time that a stamp lives longer than the entries under it. It covers the time that a fill takes, the lease of a
/// value that is refreshed at its end, and the error of this process' estimate of the server's clock.
const MARGIN_MILLIS: u64 = 60_000;

/// The tags whose stamps are to be extended, each with the longest lifetime of an entry that is filled under it.
pub(crate) type Extensions = BTreeMap<String, Ttl>;

/// A stamp, and what it has left to live in milliseconds; `u64::MAX` if it has no end.
pub(crate) type Living = ([u8; 16], u64);

/// The tags of the values to fill whose stamps are not known to outlive them.
pub(crate) fn needed(slots: &[EndRequest<'_>], known: impl Fn(&str) -> Option<Living>) -> Extensions {
    let mut extensions = Extensions::new();
    for slot in slots {
        let End::Fill(value, ttl) = &slot.end else { continue };
        add_needed(&mut extensions, (slot.key, slot.lease.seal()), value, *ttl, &known);
    }
    extensions
}

/// Adds those of one value, which is computed under this seal.
pub(crate) fn add_needed(
    extensions: &mut Extensions,
    (key, seal): (&Key, Seal),
    value: &[u8],
    ttl: Ttl,
    known: &impl Fn(&str) -> Option<Living>,
) {
    if let Some(own_seal) = envelope::own_seal(value) {
        add_short(extensions, &own_tags(key, value), own_seal, ttl, known);
    }
    add_short(extensions, key.tags(), seal, ttl, known);
}

/// Adds the tags whose stamps are not known to live long enough. The seal tells if the known stamps are those of the
/// value: after an invalidation, a tag has another stamp, whose life is another one.
fn add_short(
    extensions: &mut Extensions,
    tags: &[String],
    seal: Seal,
    ttl: Ttl,
    known: &impl Fn(&str) -> Option<Living>,
) {
    if tags.is_empty() {
        return;
    }
    let known: Option<Vec<Living>> = tags.iter().map(|tag| known(tag)).collect();
    let of_seal = known
        .filter(|known| Seal::of(tags.iter().zip(known).map(|(tag, (stamp, _))| (tag.as_str(), &stamp[..]))) == seal);
    for (at, tag) in tags.iter().enumerate() {
        if of_seal.as_ref().is_some_and(|known| known[at].1 >= least(ttl)) {
            continue;
        }
        let longest = extensions.entry(tag.clone()).or_insert(ttl);
        *longest = match (*longest, ttl) {
            (Ttl::Millis(one), Ttl::Millis(other)) => Ttl::Millis(one.max(other)),
            _ => Ttl::Forever,
        };
    }
}

/// What a stamp must have left when an entry with this lifetime is filled.
fn least(ttl: Ttl) -> u64 {
    match ttl {
        Ttl::Millis(millis) => millis.saturating_add(MARGIN_MILLIS).min(LONGEST_MILLIS / 2),
        Ttl::Forever => u64::MAX,
    }
}

/// The life that a stamp gets that has less.
fn extended(ttl: Ttl) -> u64 {
    match ttl {
        Ttl::Millis(_) => least(ttl) * 2,
        Ttl::Forever => u64::MAX,
    }
}

/// The way in which stamps are extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// A script compares what is left, and changes nothing if that suffices: it was extended by another process.
    Script,
    /// `GET` or `MGET`, and then `PEXPIRE … GT` or `PERSIST`. If the stamp is replaced between the two, then the one that
    /// was read is gone for ever. In the other order, the life of the first would be taken for that of the second.
    Commands,
}

impl Method {
    fn of(features: Features) -> Method {
        let has_all = features.has_scripts() && features.has(Features::PTTL);
        // The same version introduced `GT`.
        if has_all || !features.has(Features::SET_NX_GET) { Method::Script } else { Method::Commands }
    }

    fn commands(self) -> usize {
        match self {
            Method::Script => 1,
            Method::Commands => 2,
        }
    }
}

/// The commands that extend the stamps.
pub(crate) fn commands<'a>(
    features: Features,
    extensions: impl IntoIterator<Item = (&'a String, &'a Ttl)>,
) -> Vec<Cmd> {
    let mut commands = Vec::new();
    let read = if features.has(Features::GET) { "GET" } else { "MGET" };
    for (tag, ttl) in extensions {
        match Method::of(features) {
            Method::Script => {
                let (least, extended) = match ttl {
                    Ttl::Millis(_) => (bounded(least(*ttl)), bounded(extended(*ttl))),
                    Ttl::Forever => Default::default(),
                };
                // This is rare, so it sends the text: a server that does not know the hash need not be asked twice.
                let arguments = [least.as_bytes(), extended.as_bytes(), read.as_bytes()];
                commands.push(scripts::KEEP_STAMP.command(Form::Text, &[tag.as_bytes()], &arguments));
            }
            Method::Commands => {
                let mut read = ::redis::cmd(read);
                read.arg(tag);
                let mut extend = ::redis::cmd(if *ttl == Ttl::Forever { "PERSIST" } else { "PEXPIRE" });
                extend.arg(tag);
                if *ttl != Ttl::Forever {
                    extend.arg(bounded(extended(*ttl))).arg("GT");
                }
                commands.extend([read, extend]);
            }
        }
    }
    commands
}

/// The number of [`commands`].
fn len(features: Features, extensions: usize) -> usize {
    extensions * Method::of(features).commands()
}

/// The replies to [`commands`]: the stamp of each tag and what it has left, or `None` if the tag has no stamp or the
/// server refused.
fn outcomes<'a>(
    features: Features,
    extensions: impl IntoIterator<Item = (&'a String, &'a Ttl)>,
    replies: Vec<Value>,
) -> impl Iterator<Item = (&'a String, Option<(Vec<u8>, u64)>)> {
    let (method, mut replies) = (Method::of(features), replies.into_iter());
    extensions.into_iter().map(move |(tag, ttl)| {
        let first = replies.next().unwrap_or_default();
        let outcome = match method {
            Method::Script => scripted(first),
            Method::Commands => {
                // It is refused to a stamp that lives longer, or has no end.
                let is_extended = matches!(replies.next(), Some(Value::Int(_)));
                stamp_of(first).filter(|_| is_extended).map(|stamp| (stamp, extended(*ttl)))
            }
        };
        (tag, outcome)
    })
}

fn scripted(reply: Value) -> Option<(Vec<u8>, u64)> {
    const NEVER: i64 = -1;
    let Value::Array(parts) = reply else { return None };
    let (stamp, left) = <[Value; 2]>::try_from(parts).ok()?.into();
    match left {
        Value::Int(NEVER) => Some((stamp_of(stamp)?, u64::MAX)),
        Value::Int(left) => Some((stamp_of(stamp)?, u64::try_from(left).ok()?)),
        _ => None,
    }
}

fn stamp_of(reply: Value) -> Option<Vec<u8>> {
    match reply {
        Value::BulkString(stamp) => Some(stamp),
        Value::Array(mut only) if only.len() == 1 => stamp_of(only.pop()?),
        _ => None,
    }
}

impl<T: Transport> RedisStore<T> {
    /// The stamp that a tag had when this process last heard of its life.
    pub(crate) fn known_stamp(&self, tag: &str) -> Option<Living> {
        let health = &self.server().health;
        let known = self.client().stamps.find(health.epoch(), tag)?;
        let left = match known.until {
            u64::MAX => u64::MAX,
            until => until.saturating_sub(health.clock.now()),
        };
        Some((known.stamp, left))
    }

    /// Notes that a stamp had so much left when the server executed a request that was sent then. The server's clock is
    /// better known after the reply than before.
    pub(crate) fn note_stamp(&self, (epoch, sent): (Epoch, Instant), tag: &str, stamp: &[u8], left: u64) {
        let until = match left {
            u64::MAX => u64::MAX,
            left => self.server().health.clock.at(sent).saturating_add(left),
        };
        self.client().stamps.note(epoch, tag, stamp, until);
    }

    /// Notes what the replies to [`commands`] tell, which are the last ones, and takes them away.
    pub(crate) fn note_extensions<'a>(
        &self,
        sent: (Epoch, Instant),
        features: Features,
        extensions: impl IntoIterator<Item = (&'a String, &'a Ttl), IntoIter: ExactSizeIterator>,
        replies: &mut Vec<Value>,
    ) {
        let extensions = extensions.into_iter();
        let first = replies.len().saturating_sub(len(features, extensions.len()));
        for (tag, outcome) in outcomes(features, extensions, replies.split_off(first)) {
            if let Some((stamp, left)) = outcome {
                self.note_stamp(sent, tag, &stamp, left);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyWriter;
    use crate::store::redis::client::known_stamps::KnownStamps;
    use crate::store::redis::server::breaker::Breaker;
    use crate::stored::envelope::{Lease, Token};

    const NEW: u64 = crate::store::STAMP_MILLIS;

    fn random(state: &mut u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state
    }

    /// The stamp of the only tag at a server, and two processes that fill entries under it.
    #[derive(Default)]
    struct Simulation {
        now: u64,
        stamp: Option<KnownAt>,
        stamps: u64,
        known: [KnownStamps; 2],
        fills: u64,
        asked: u64,
        extended: u64,
    }

    #[derive(Clone, Copy)]
    struct KnownAt {
        stamp: [u8; 16],
        until: u64,
    }

    impl Simulation {
        fn fill(&mut self, process: usize, ttl: Ttl) {
            let (now, epoch) = (self.now, Breaker::default().epoch());
            let mut writer = KeyWriter::new("", "simulated");
            writer.arg("id", &1).tag().literal("tag");
            let key = writer.finish().unwrap();
            let tag = key.tags()[0].clone();
            let mut current = match self.stamp {
                Some(current) if current.until > now => current,
                _ => {
                    self.stamps += 1;
                    let new = KnownAt { stamp: u128::from(self.stamps).to_le_bytes(), until: now + NEW };
                    self.known[process].note(epoch, &tag, &new.stamp, new.until);
                    new
                }
            };
            let seal = Seal::of([(tag.as_str(), &current.stamp[..])]);
            let end = End::Fill(bytes::Bytes::new(), ttl);
            let request = EndRequest { key: &key, lease: Lease::new(Token::random().unwrap(), seal, 1), end };
            let known = &self.known[process];
            let left = |tag: &str| {
                let known = known.find(epoch, tag)?;
                Some((known.stamp, if known.until == u64::MAX { u64::MAX } else { known.until.saturating_sub(now) }))
            };
            for (tag, ttl) in needed(&[request], left) {
                self.asked += 1;
                if current.until.saturating_sub(now) < least(ttl) {
                    self.extended += 1;
                    current.until = now.saturating_add(extended(ttl));
                }
                self.known[process].note(epoch, &tag, &current.stamp, current.until);
            }
            self.fills += 1;
            self.stamp = Some(current);
            let end = match ttl {
                Ttl::Millis(millis) => now + millis + MARGIN_MILLIS,
                Ttl::Forever => u64::MAX,
            };
            assert!(current.until >= end, "the entry outlives its stamp: {} {end} at {now}", current.until);
        }
    }

    #[test]
    fn whatever_is_filled_when_no_stamp_ends_before_its_entries() {
        const HOUR: u64 = 3_600_000;
        for seed in 1..=50 {
            let (mut state, mut simulation) = (seed, Simulation::default());
            let losses = seed % 3;
            for _ in 0..2_000 {
                simulation.now += random(&mut state) % 60_000;
                if random(&mut state) % 100 < losses {
                    // An invalidation, an eviction, an end that another program has set.
                    simulation.stamp = None;
                }
                let ttl = match random(&mut state) % 1_000 {
                    0 if losses > 0 => Ttl::Forever,
                    1..=20 => Ttl::Millis(72 * HOUR),
                    21..=100 => Ttl::Millis(2 * HOUR),
                    kind => Ttl::Millis(kind * 600),
                };
                simulation.fill(random(&mut state) as usize % 2, ttl);
            }
            let Simulation { fills, asked, extended, stamps, .. } = simulation;
            assert!(asked * 10 < fills, "{asked} of {fills} fills asked");
            assert!(extended <= 3 * stamps + 30, "{extended} extensions of {stamps} stamps");
        }
    }

    #[test]
    fn the_stamps_of_a_seal_are_known_only_together() {
        let mut writer = KeyWriter::new("", "two");
        writer.arg("id", &1).tag().literal("a");
        writer.tag().literal("b");
        let key = writer.finish().unwrap();
        let [a, b] = [0, 1].map(|at| key.tags()[at].as_str());
        let seal = Seal::of([(a, &[1u8; 16][..]), (b, &[2; 16])]);
        let extended = |known: [Option<Living>; 2]| {
            let find = |tag: &str| known[usize::from(tag == b)];
            let mut extensions = Extensions::new();
            add_needed(&mut extensions, (&key, seal), b"", Ttl::Millis(10), &find);
            extensions.into_keys().collect::<Vec<_>>()
        };
        let long = MARGIN_MILLIS + 10;
        assert_eq!(extended([Some(([1; 16], long)), Some(([2; 16], u64::MAX))]), [""; 0]);
        assert_eq!(extended([Some(([1; 16], long)), Some(([2; 16], long - 1))]), [b]);
        assert_eq!(extended([Some(([1; 16], long)), None]), [a, b]);
        assert_eq!(extended([Some(([1; 16], long)), Some(([3; 16], long))]), [a, b], "one of them is another one");
    }

    #[test]
    fn replies_tell_stamps_and_their_lives() {
        let text = |text: &str| Value::BulkString(text.into());
        let (script, commands) = (Features::default(), Features::of("redis_version:7.0.15\r\n"));
        let commands = commands.without(Features::EVAL.bits());
        let tags = BTreeMap::from([("a".to_owned(), Ttl::Millis(1_000)), ("b".to_owned(), Ttl::Forever)]);
        let told = |features, replies: &[Value]| {
            assert_eq!(replies.len(), len(features, tags.len()));
            let outcomes = outcomes(features, &tags, replies.to_vec());
            outcomes.map(|(_, outcome)| outcome.map(|(_, left)| left)).collect::<Vec<_>>()
        };
        let both = |stamp, left| Value::Array(vec![stamp, Value::Int(left)]);
        assert_eq!(told(script, &[both(text("s"), 5), both(text("s"), -1)]), [Some(5), Some(u64::MAX)]);
        let one = Value::Array(vec![text("s")]);
        assert_eq!(told(script, &[both(one.clone(), 5), both(Value::Nil, -2)]), [Some(5), None]);
        assert_eq!(told(script, &[Value::Nil, Value::Array(Vec::new())]), [None, None]);
        let life = Some(2 * (1_000 + MARGIN_MILLIS));
        let number = Value::Int;
        assert_eq!(told(commands, &[text("s"), number(1), text("s"), number(0)]), [life, Some(u64::MAX)]);
        assert_eq!(told(commands, &[one, number(0), Value::Nil, number(0)]), [life, None]);
        assert_eq!(told(commands, &[text("s"), Value::Nil, text("s"), Value::Okay]), [None, None]);
    }
}
