//! The commands that read many slots at once, and the stamps of their tags.

use std::collections::{BTreeMap, HashMap};

use ::redis::{Cmd, Pipeline, Value};
use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::key::{Address, Key};
use crate::store::redis::ops::commands;
use crate::store::redis::ops::stamps;
use crate::store::redis::request::checked;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;
use crate::store::{MOST, Read, Replies, Results, Times};
use crate::stored::envelope::Seal;

/// The commands that read slots and the stamps of their tags.
pub(crate) enum ReadPlan<'a> {
    /// The key, and the tags whose stamps are read along. A key of the wrong type is an error.
    One(&'a Key, &'a [String]),
    /// A key of the wrong type may look like an empty slot, because one command reads many keys.
    Many(ManyReads<'a>),
}

impl<'a> ReadPlan<'a> {
    /// A node of a cluster reads no stamps, and may redirect each of the keys.
    pub(crate) fn many(keys: &'a [&'a Key], of_node: bool) -> ReadPlan<'a> {
        ReadPlan::Many(ManyReads::of(keys, of_node))
    }

    /// The stamps follow the reads: a lease that was granted in between must not look older than its stamps, and be
    /// displaced.
    pub(crate) fn add_to(&self, features: Features, pipeline: &mut Pipeline) {
        match self {
            ReadPlan::One(key, tags) => {
                pipeline.add_command(commands::read(features, key));
                stamps::add_stamps(features, *tags, pipeline);
            }
            ReadPlan::Many(reads) => reads.add_to(features, pipeline),
        }
    }

    /// The replies to the commands that were made for these features, still without times. `now` is the time of the
    /// server.
    pub(crate) fn reads(
        &self,
        features: Features,
        replies: Vec<Value>,
        now: impl FnOnce() -> u64,
    ) -> Result<Replies<Read>, Fault> {
        match self {
            ReadPlan::One(_, tags) => {
                let mut replies = replies.into_iter();
                let bytes = commands::slot(checked(replies.next().unwrap_or_default())?, now)?;
                let seal = stamps::seal(tags, replies)?;
                Ok(Results::One(Ok(Read { seal, ..Read::untagged(bytes, Times::default()) })))
            }
            ReadPlan::Many(reads) => reads.reads(features, replies, now()),
        }
    }
}

/// The commands that read many slots.
pub(crate) struct ManyReads<'a> {
    keys: &'a [&'a Key],
    /// The positions of the slots that are keys of their own.
    alone: Vec<usize>,
    /// The positions of the slots in each hash.
    hashes: BTreeMap<&'a str, Vec<usize>>,
    tags: Vec<&'a String>,
    of_node: bool,
}

impl<'a> ManyReads<'a> {
    fn of(keys: &'a [&'a Key], of_node: bool) -> ManyReads<'a> {
        let alone = Vec::with_capacity(keys.len());
        let mut plan = ManyReads { keys, alone, hashes: BTreeMap::new(), tags: Vec::new(), of_node };
        let mut tags = BTreeMap::new();
        for (at, key) in keys.iter().enumerate() {
            match key.address() {
                Address::Key(_) => plan.alone.push(at),
                Address::Field { hash, .. } => plan.hashes.entry(hash).or_default().push(at),
            }
            if !of_node {
                tags.extend(key.tags().iter().map(|tag| (tag, ())));
            }
        }
        plan.tags = tags.into_keys().collect();
        plan
    }

    fn add_to(&self, features: Features, pipeline: &mut Pipeline) {
        if !features.reads_together() {
            for at in &self.alone {
                pipeline.add_command(commands::read(features, self.keys[*at]));
            }
        } else if !self.alone.is_empty() {
            let size: usize = self.alone.iter().map(|at| self.keys[*at].as_str().len()).sum();
            let mut command = Cmd::with_capacity(self.alone.len() + 1, size + 4);
            command.arg("MGET");
            for at in &self.alone {
                command.arg(self.keys[*at].as_str());
            }
            pipeline.add_command(command);
        }
        for (hash, members) in &self.hashes {
            let mut command = Cmd::with_capacity(2 * members.len() + 2, 64 * members.len());
            command.arg("HMGET").arg(hash);
            for at in members {
                if let Address::Field { field, .. } = self.keys[*at].address() {
                    commands::add_field(&mut command, field);
                }
            }
            pipeline.add_command(command);
        }
        for tags in self.tags.chunks(MOST) {
            stamps::add_stamps(features, tags.iter().copied(), pipeline);
        }
    }

    fn reads(&self, features: Features, replies: Vec<Value>, now: u64) -> Result<Replies<Read>, Fault> {
        let mut found: Vec<Option<Bytes>> = vec![None; self.keys.len()];
        // The slots that other nodes have.
        let mut elsewhere: BTreeMap<usize, Error> = BTreeMap::new();
        let mut replies = replies.into_iter();
        let mut next = || checked(replies.next().unwrap_or_default());
        if !features.reads_together() {
            for at in &self.alone {
                match next() {
                    // One command that reads many keys does not find a key of another type either.
                    Err(fault) if fault.error.kind() == ErrorKind::WrongType => {}
                    Err(fault) if self.of_node && fault.is_redirection() => drop(elsewhere.insert(*at, fault.error)),
                    reply => found[*at] = commands::slot(reply?, || now)?,
                }
            }
        } else if !self.alone.is_empty() {
            for (at, value) in self.alone.iter().zip(array(next()?)?) {
                found[*at] = commands::slot(value, || now)?;
            }
        }
        for members in self.hashes.values() {
            let values = match next() {
                Ok(values) => array(values)?,
                // The wrong type means that something else is in its place: its entries are not there.
                Err(fault) if fault.error.kind() == ErrorKind::WrongType => continue,
                Err(fault) if self.of_node && fault.is_redirection() => {
                    elsewhere.extend(members.iter().map(|at| (*at, fault.error.clone())));
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            let mut values = values.into_iter();
            for at in members {
                let (value, mark) = (values.next().unwrap_or_default(), values.next().unwrap_or_default());
                found[*at] = commands::field(value, mark, now)?;
            }
        }
        let mut stamps = HashMap::new();
        for tags in self.tags.chunks(MOST) {
            let count = if features.reads_together() { 1 } else { tags.len() };
            let replies = replies.by_ref().take(count);
            stamps.extend(tags.iter().copied().zip(stamps::stamps_of(tags.iter().copied(), replies)?));
        }
        let reads = self.keys.iter().zip(found).enumerate();
        let read = |(at, (key, bytes)): (usize, (&&Key, _))| match elsewhere.remove(&at) {
            Some(error) => Err(error),
            None => {
                let seal = if self.of_node { Some(Seal::default()) } else { seal(key.tags(), &stamps) };
                Ok(Read { seal, ..Read::untagged(bytes, Times::default()) })
            }
        };
        Ok(Results::Many(reads.map(read).collect()))
    }
}

fn array(reply: Value) -> Result<Vec<Value>, Fault> {
    match reply {
        Value::Array(values) => Ok(values),
        _ => Err(Fault::unexpected("MGET")),
    }
}

/// The seal of tags, `None` if one has no stamp.
pub(crate) fn seal(tags: &[String], stamps: &HashMap<&String, Value>) -> Option<Seal> {
    if tags.is_empty() {
        return Some(Seal::default());
    }
    let stamped: Option<Vec<_>> =
        tags.iter().map(|tag| stamps.get(tag).and_then(|stamp| stamps::sealed(tag, stamp))).collect();
    stamped.map(Seal::of)
}
