//! Entries with tags. The stamp of a tag is at the node that has its key, which need not be the entry's.

use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

use ::redis::Value;

use super::slots::slot_of;
use super::{ClusterStore, NodeTransport};
use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::ttl::Ttl;
use crate::poll::join::both;
use crate::store::redis::ops::extension::Living;
use crate::store::redis::ops::node::Attempt;
use crate::store::redis::ops::stamps::sealed;
use crate::store::{Read, ReadMode, Replies, Store, own_tags};
use crate::stored::envelope::{self, Seal};

/// The stamps of tags, as far as they could be read.
type Stamps = HashMap<String, Result<Value, Error>>;

impl<T: NodeTransport> ClusterStore<T> {
    /// Reads an entry with tags: the slot and the stamps at the same time.
    pub(super) async fn read_tagged(&self, key: &Key, mode: ReadMode, by: Instant) -> Result<Read, Error> {
        let entry = self.at_slot(slot_of(key.as_str()), by, |node| node.read(key, mode, by));
        let (read, stamps) = both(entry, self.stamps(key.tags(), by)).await;
        let mut read = read?;
        read.seal = seal(key.tags(), &stamps)?;
        self.with_own_seal(key, read, by).await
    }

    /// Adds the seal of the tags that the value has of its own.
    pub(super) async fn with_own_seal(&self, key: &Key, mut read: Read, by: Instant) -> Result<Read, Error> {
        let tags = own_tags(key, read.bytes.as_deref().unwrap_or_default());
        if !tags.is_empty() {
            let stamps = self.delivered_stamps(&tags, by).await;
            read.own_seal = seal(&tags, &stamps)?;
        }
        Ok(read)
    }

    pub(super) async fn read_all(&self, keys: &[&Key], by: Instant) -> Replies<Read> {
        let refusals = self.settle_each(keys.iter().flat_map(|key| key.concerned_by()), Attempt::IfAdmitted, by).await;
        let refusal = |key: &Key| refusals.about(key.concerned_by());
        let read: Vec<&Key> = keys.iter().copied().filter(|key| refusal(key).is_none()).collect();
        let tags: BTreeSet<&String> = read.iter().flat_map(|key| key.tags()).collect();
        let tags: Vec<String> = tags.into_iter().cloned().collect();
        let entries = self.at_slots(
            &read,
            |key| key.as_str(),
            by,
            |node, positions, by| {
                let part: Vec<&Key> = positions.into_iter().map(|at| read[at]).collect();
                async move { node.read_many(&part, by).await }
            },
        );
        let (mut reads, stamps) = both(entries, self.stamps(&tags, by)).await;
        for (result, key) in reads.iter_mut().zip(&read).filter(|(_, key)| !key.tags().is_empty()) {
            if let Ok(read) = result {
                match seal(key.tags(), &stamps) {
                    Ok(seal) => read.seal = seal,
                    Err(error) => *result = Err(error),
                }
            }
        }
        self.add_own_seals(&read, &mut reads, by).await;
        let mut reads = reads.into_iter();
        let missing = || Err(Error::new(ErrorKind::Protocol, "a node returned no result"));
        let result =
            |key: &&Key| refusal(key).map_or_else(|| reads.next().unwrap_or_else(missing), |error| Err(error.clone()));
        keys.iter().map(result).collect()
    }

    async fn add_own_seals(&self, keys: &[&Key], reads: &mut [Result<Read, Error>], by: Instant) {
        let has_own = |read: &Read| read.bytes.as_deref().is_some_and(envelope::has_own_tags);
        if !reads.iter().flatten().any(has_own) {
            return;
        }
        let own = |(key, read): (&&Key, &Result<Read, Error>)| match read {
            Ok(Read { bytes: Some(bytes), .. }) => own_tags(key, bytes),
            _ => Vec::new(),
        };
        let own: Vec<Vec<String>> = keys.iter().zip(&*reads).map(own).collect();
        let tags: BTreeSet<&String> = own.iter().flatten().collect();
        let tags: Vec<String> = tags.into_iter().cloned().collect();
        let by = by.max(Instant::now() + self.state().settings.timeout);
        let stamps = self.delivered_stamps(&tags, by).await;
        for (result, own) in reads.iter_mut().zip(&own).filter(|(_, own)| !own.is_empty()) {
            if let Ok(read) = result {
                match seal(own, &stamps) {
                    Ok(seal) => read.own_seal = seal,
                    Err(error) => *result = Err(error),
                }
            }
        }
    }

    /// Reads stamps, without those whose invalidation is still to be delivered.
    async fn delivered_stamps(&self, tags: &[String], by: Instant) -> Stamps {
        let mut stamps = self.stamps(tags, by).await;
        for (tag, _) in self.state().backlog.pending.find_all(tags.iter().map(String::as_str)) {
            stamps.insert(tag.into_string(), Ok(Value::Nil));
        }
        stamps
    }

    async fn stamps(&self, tags: &[String], by: Instant) -> Stamps {
        if tags.is_empty() {
            return Stamps::new();
        }
        let stamps = self.at_slots(tags, String::as_str, by, |node, positions, by| {
            let part: Vec<String> = positions.into_iter().map(|at| tags[at].clone()).collect();
            async move { node.read_stamps(&part, by).await }
        });
        tags.iter().cloned().zip(stamps.await).collect()
    }

    /// The stamp that a tag had when the node that has it was last heard of.
    pub(super) fn known_stamp(&self, tag: &str) -> Option<Living> {
        self.store(self.state().slots.owner(slot_of(tag))?)?.known_stamp(tag)
    }

    /// Lets stamps live as long as the entries under them. The entry of a stamp that is not extended is a miss early.
    pub(super) async fn keep_stamps(&self, tags: Vec<(String, Ttl)>, by: Instant) {
        if tags.is_empty() {
            return;
        }
        let kept = self.at_slots(
            &tags,
            |(tag, _)| tag,
            by,
            |node, positions, by| {
                let part: Vec<(String, Ttl)> = positions.into_iter().map(|at| tags[at].clone()).collect();
                async move { spread(node.keep_stamps(&part, by).await.map(|()| vec![(); part.len()]), part.len()) }
            },
        );
        kept.await;
    }
}

/// The seal of tags, `None` if one has no stamp.
fn seal(tags: &[String], stamps: &Stamps) -> Result<Option<Seal>, Error> {
    if tags.is_empty() {
        return Ok(Some(Seal::default()));
    }
    let mut stamped = Vec::with_capacity(tags.len());
    for tag in tags {
        match stamps.get(tag) {
            Some(Err(error)) => return Err(error.clone()),
            Some(Ok(stamp)) => stamped.push(sealed(tag, stamp)),
            None => stamped.push(None),
        }
    }
    Ok(stamped.into_iter().collect::<Option<Vec<_>>>().map(Seal::of))
}

/// The result of each request of an operation that has one result for all.
pub(super) fn spread<R>(outcome: Result<Vec<R>, Error>, requests: usize) -> Replies<R> {
    match outcome {
        Ok(results) => results.into_iter().map(Ok).collect(),
        Err(error) => std::iter::repeat_with(|| Err(error.clone())).take(requests).collect(),
    }
}
