//! The operations on many slots at once: pipelines, in parts that fit a connection.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem::{Discriminant, discriminant};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use ::redis::{Cmd, Pipeline, Value};
use bytes::Bytes;

use crate::error::{Error, ErrorKind};
use crate::key::{Address, Key};
use crate::plan::ttl::Ttl;
use crate::store::redis::client::RedisStore;
use crate::store::redis::client::sizes::Sizes;
use crate::store::redis::ops::commands::{self, FillMethod};
use crate::store::redis::ops::delivery;
use crate::store::redis::ops::read_plan::{MOST, ReadPlan, seal};
use crate::store::redis::ops::scripts::Form;
use crate::store::redis::request::{Load, Reply, Request, checked};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::server::greeting::name_of_role;
use crate::store::redis::transport::Transport;
use crate::store::{End, EndRequest, Precondition, Read, Release, Store, TakeReply, TakeRequest, own_tags};
use crate::stored::envelope::{self, Lease};

/// The approximate number of bytes that one round trip sends.
const MOST_BYTES: usize = 1 << 20;

/// The scripts of one pipeline: the first use of each sends its text, and later ones its hash.
#[derive(Default)]
struct Forms(HashSet<(bool, Option<Discriminant<Precondition>>)>);

impl Forms {
    /// The form of a script for a slot of this kind, for an operation that has one for each.
    fn of(&mut self, key: &Key, precondition: Option<&Precondition>) -> Form {
        let in_hash = matches!(key.address(), Address::Field { .. });
        let precondition = precondition.filter(|_| !in_hash).map(discriminant);
        if self.0.insert((in_hash, precondition)) { Form::Text } else { Form::Hash }
    }
}

/// Returns the replies, unless one of them says that the server must not be asked now. Errors of one slot, or of
/// writes, are left to the reader of the replies.
fn sound(replies: Vec<Value>) -> Result<Vec<Value>, Fault> {
    let fault_of = |reply: &Value| match reply {
        Value::ServerError(error) => Some(Fault::from(error)),
        _ => None,
    };
    let is_of_all =
        |fault: &Fault| matches!(fault.blame, Blame::Role | Blame::Connection | Blame::Closed | Blame::Server);
    match replies.iter().filter_map(fault_of).find(is_of_all) {
        Some(fault) => Err(fault),
        None => Ok(replies),
    }
}

/// Fills in the results of the slots that were not reached, because of an earlier failure.
fn fill_up<R>(results: &mut Vec<Result<R, Error>>, count: usize, error: &Error) {
    results.resize_with(count, || Err(error.clone()));
}

impl<T: Transport> RedisStore<T> {
    fn part_deadline(&self) -> Instant {
        Instant::now() + self.server().timeout
    }

    pub(crate) async fn read_all(&self, keys: &[&Key]) -> Vec<Result<Read, Error>> {
        let mut reads = Vec::new();
        for part in keys.chunks(MOST) {
            match self.read_part(part).await {
                Ok(part) if reads.is_empty() => reads = part,
                Ok(part) => reads.extend(part),
                Err(error) => {
                    fill_up(&mut reads, keys.len(), &error);
                    break;
                }
            }
        }
        reads
    }

    /// Invalidations that concern a key may have to be delivered first; where that is refused, the key alone is not
    /// read.
    async fn read_part(&self, keys: &[&Key]) -> Result<Vec<Result<Read, Error>>, Error> {
        let epoch = self.admit()?;
        let by = self.part_deadline();
        let pending = &self.client().pending;
        if !pending.any() {
            return Ok(self.read_settled(epoch, keys, by).await?.into_iter().map(Ok).collect());
        }
        let settled = self.settle(epoch, keys.iter().flat_map(|key| key.concerned_by()), by).await;
        let refused = match settled {
            Ok(()) => None,
            Err(fault) if delivery::is_of_some(&fault) => Some(self.reported_error(fault)),
            Err(fault) => return Err(self.reported_error(fault)),
        };
        let (voided, read): (Vec<&Key>, Vec<&Key>) =
            keys.iter().partition(|key| refused.is_some() && self.is_voided(key));
        let mut reads = match read.is_empty() {
            true => Vec::new(),
            false => self.read_settled(epoch, &read, by).await?,
        }
        .into_iter();
        if pending.any() {
            pending.settle_losses(self.server().health.clock.now());
        }
        let error = refused.unwrap_or_else(|| Error::new(ErrorKind::Protocol, ""));
        let mut voided = voided.into_iter().peekable();
        let results = keys.iter().map(|key| match voided.next_if(|voided| std::ptr::eq(*voided, *key)) {
            Some(_) => Err(error.clone()),
            None => reads.next().ok_or_else(|| error.clone()),
        });
        Ok(results.collect())
    }

    async fn read_settled(&self, epoch: Epoch, keys: &[&Key], by: Instant) -> Result<Vec<Read>, Error> {
        let client = self.client();
        let checks_role = client.server.claims_role_check(by);
        let plan = ReadPlan::of(keys);
        // The number of commands depends on the server's features.
        let sent_with = AtomicU32::new(0);
        let build = |features: Features| {
            sent_with.store(features.bits(), Relaxed);
            let mut pipeline = Pipeline::new();
            plan.add_to(features, &mut pipeline);
            if checks_role {
                pipeline.cmd("ROLE").cmd("TIME");
            }
            commands::request(pipeline)
        };
        let read = |reply: Reply| {
            let sent = reply.sent();
            let mut replies = reply.all();
            let last = replies.split_off(replies.len().saturating_sub(if checks_role { 2 } else { 0 }));
            let reads =
                plan.reads(Features::from_bits(sent_with.load(Relaxed)), replies, client.server.health.clock.now())?;
            if checks_role {
                let mut last = last.into_iter();
                if name_of_role(&last.next().unwrap_or_default()) == Some("slave") {
                    return Err(Fault::replica());
                }
                if let (Some(time), Some(sent)) = (last.next(), sent) {
                    client.server.note_time(&time, sent);
                }
            }
            Ok(reads)
        };
        // Usually all keys are of one function, so the first one decides.
        let load = keys.first().map_or(Load::default(), |key| client.sizes.reading(key));
        let outcome = self.exchange_of(epoch, load, build, read, by).await;
        let outcome = match outcome {
            // The retry avoids the features that are now known to be refused.
            Err(fault) if fault.is_denied() => self.exchange_of(epoch, load, build, read, by).await,
            outcome => outcome,
        };
        let mut reads = outcome.map_err(|fault| self.reported_error(fault))?;
        let size = |read: &Read| read.bytes.as_ref().map_or(0, Bytes::len);
        client.sizes.found_all(keys.iter().copied().zip(reads.iter().map(size)));
        let is_untagged = |read: &Read| read.bytes.as_deref().is_none_or(|bytes| envelope::own_tags(bytes).is_empty());
        if !reads.iter().all(is_untagged) {
            self.read_own_tags(epoch, keys, &mut reads, by).await?;
        }
        Ok(reads)
    }

    /// Checks that the tags that values have of their own are unchanged.
    async fn read_own_tags(&self, epoch: Epoch, keys: &[&Key], reads: &mut [Read], by: Instant) -> Result<(), Error> {
        let client = self.client();
        let own: Vec<Vec<String>> = keys
            .iter()
            .zip(&*reads)
            .map(|(key, read)| own_tags(key, read.bytes.as_deref().unwrap_or_default()))
            .collect();
        let tags: BTreeMap<&String, ()> = own.iter().flatten().map(|tag| (tag, ())).collect();
        let tags: Vec<&String> = tags.into_keys().collect();
        let mut stamps: HashMap<&String, Value> = HashMap::new();
        for part in tags.chunks(MOST) {
            let build = |features| {
                let mut pipeline = Pipeline::new();
                commands::add_stamps(features, part.iter().copied(), &mut pipeline);
                commands::request(pipeline)
            };
            let read = |reply: Reply| commands::stamps(part.iter().copied(), reply.all());
            let found = self.exchange(epoch, build, read, by).await;
            stamps.extend(part.iter().copied().zip(found.map_err(|fault| self.reported_error(fault))?));
        }
        // A tag whose invalidation is still to be delivered counts for nothing.
        for (tag, _) in client.pending.find_all(tags.iter().map(|tag| tag.as_str())) {
            stamps.remove(&String::from(tag));
        }
        for (read, own) in reads.iter_mut().zip(&own) {
            read.own_seal = seal(own, &stamps);
        }
        Ok(())
    }

    pub(crate) async fn take_all(&self, slots: &[TakeRequest<'_>]) -> Vec<Result<TakeReply, Error>> {
        let mut taken = Vec::with_capacity(slots.len());
        for part in slots.chunks(MOST) {
            match self.take_part(part).await {
                Ok(part) => taken.extend(part),
                Err(error) => {
                    fill_up(&mut taken, slots.len(), &error);
                    break;
                }
            }
        }
        taken
    }

    async fn take_part(&self, slots: &[TakeRequest<'_>]) -> Result<Vec<Result<TakeReply, Error>>, Error> {
        let epoch = self.admit_write()?;
        let by = self.part_deadline();
        if let Some(first) = slots.first() {
            // All slots are of one function.
            self.may_end(first.key, first.lease.place())?;
        }
        let anything = slots.iter().filter(|slot| matches!(slot.precondition, Precondition::Any));
        self.settle(epoch, anything.clone().flat_map(|slot| slot.key.concerned_by().skip(1)), by)
            .await
            .map_err(|fault| self.reported_error(fault))?;
        let settled = self.client().pending.find_all(anything.map(|slot| slot.key.as_str()));
        let build = |features| {
            let (mut forms, mut pipeline) = (Forms::default(), Pipeline::with_capacity(slots.len() + 1));
            for TakeRequest { key, lease, precondition } in slots {
                pipeline.add_command(commands::take(
                    features,
                    forms.of(key, Some(precondition)),
                    key,
                    lease,
                    precondition,
                ));
            }
            pipeline.cmd("TIME");
            Request::ManyOnce(pipeline)
        };
        let is_partly_granted = AtomicBool::new(false);
        let read = |reply: Reply| {
            let replies = self.server().all_of(reply);
            let is_grant = |reply: &Value| matches!(reply, Value::Okay | Value::Nil | Value::Int(1..));
            is_partly_granted.store(replies.iter().any(is_grant), Relaxed);
            sound(replies)
        };
        let outcome = self.exchange(epoch, build, read, by).await;
        if outcome.as_ref().is_err_and(|fault| fault.may_have_arrived() || is_partly_granted.load(Relaxed)) {
            // A lease whose request may have arrived, or may still arrive, is given back.
            let asked = slots.iter().map(|slot| (slot.key.clone(), slot.lease, Release::Pause(0)));
            self.abandon_all(asked.collect(), true);
        }
        let replies = self.part_written(outcome)?;
        let now = self.server().health.clock.now();
        let mut refused = false;
        let taken = slots.iter().zip(replies).map(|(slot, reply)| {
            let taken = checked(reply).and_then(|reply| commands::taken(&slot.precondition, reply, || now));
            taken.map_err(|fault| {
                // The server does not do what its version promised: it is another one that speaks the protocol.
                if fault.is_of_form() && matches!(slot.precondition, Precondition::Empty) {
                    self.deny(Features::SET_NX_GET);
                }
                self.refused_write(fault.about(slot.key.as_str()), &mut refused)
            })
        });
        let taken: Vec<_> = taken.collect();
        self.wrote_unless(refused);
        self.client().pending.delivered(&settled);
        Ok(taken)
    }

    /// Does what `written` does, before the replies are read.
    fn part_written<R>(&self, outcome: Result<R, Fault>) -> Result<R, Error> {
        outcome.or_else(|fault| self.written(Err(fault)))
    }

    /// Does what `written` does, for one command among others: only the first counts for the server's health.
    fn refused_write(&self, fault: Fault, refused: &mut bool) -> Error {
        if let Blame::Denied(denied) = fault.blame {
            self.note_denied(denied);
        }
        if fault.blame == Blame::Writes && !std::mem::replace(refused, true) {
            self.server().health.write_failed(&fault);
        }
        self.reported_error(fault)
    }

    fn wrote_unless(&self, refused: bool) {
        if !refused {
            self.server().health.wrote();
        }
    }

    pub(crate) async fn end_all(&self, slots: &[EndRequest<'_>]) -> Vec<Result<bool, Error>> {
        let mut ended = Vec::with_capacity(slots.len());
        let mut rest = slots;
        while !rest.is_empty() {
            let (part, behind) = rest.split_at(part_len(rest));
            rest = behind;
            match self.end_part(part).await {
                Ok(part) => ended.extend(part),
                Err(error) => {
                    // The fill may have arrived, or may still arrive: once a lease is gone it stores nothing.
                    let left = slots[ended.len()..].iter().map(|slot| {
                        let release = match slot.end {
                            End::Fill(..) => Release::Pause(0),
                            End::Release(release) => release,
                        };
                        (slot.key.clone(), slot.lease, release)
                    });
                    self.abandon_all(left.collect(), true);
                    fill_up(&mut ended, slots.len(), &error);
                    break;
                }
            }
        }
        ended
    }

    async fn end_part(&self, slots: &[EndRequest<'_>]) -> Result<Vec<Result<bool, Error>>, Error> {
        let epoch = self.admit_write()?;
        let by = self.part_deadline();
        let size = slots.iter().map(|slot| slot.size()).sum();
        let now = self.server().health.clock.now();
        // An invalidation that did not arrive still voids what was computed before it.
        let voided: Vec<bool> = slots.iter().map(|slot| self.is_voided(slot.key)).collect();
        let tags = longest_lived(slots);
        let commands_of = |features, slot: &EndRequest<'_>, voided: bool, forms: &mut [Forms; 3]| match &slot.end {
            End::Fill(value, ttl) if !voided => {
                let method = FillMethod::of(features, slot.key, &slot.lease, value);
                let form = forms[usize::from(method == FillMethod::Ahead)].of(slot.key, None);
                commands::fill(features, form, method, (slot.key, &slot.lease), value, *ttl, now)
            }
            End::Fill(..) => vec![release(features, slot, Release::Pause(0), &mut forms[2])],
            End::Release(how) => vec![release(features, slot, *how, &mut forms[2])],
        };
        // The number of commands for each slot depends on the server's features.
        let sent_with = AtomicU32::new(0);
        let build = |features: Features| {
            sent_with.store(features.bits(), Relaxed);
            let mut forms = [Forms::default(), Forms::default(), Forms::default()];
            let mut pipeline = Pipeline::with_capacity(slots.len() * 2);
            for (slot, voided) in slots.iter().zip(&voided) {
                for command in commands_of(features, slot, *voided, &mut forms) {
                    pipeline.add_command(command);
                }
            }
            for (tag, ttl) in &tags {
                pipeline.add_command(commands::keep_stamp(features, tag, *ttl));
            }
            Request::Many(pipeline)
        };
        let outcome = self.exchange_of(epoch, Sizes::writing(size), build, |reply| sound(reply.all()), by).await;
        let replies = self.part_written(outcome)?;
        let features = Features::from_bits(sent_with.load(Relaxed));
        let mut replies = replies.into_iter();
        let (mut ended, mut refused) = (Vec::with_capacity(slots.len()), false);
        for (slot, voided) in slots.iter().zip(&voided) {
            let is_ahead = match &slot.end {
                End::Fill(value, _) if !voided => {
                    FillMethod::of(features, slot.key, &slot.lease, value) == FillMethod::Ahead
                }
                _ => false,
            };
            let sent = if is_ahead { checked(replies.next().unwrap_or_default()).map(drop) } else { Ok(()) };
            let done = commands::filled(replies.next().unwrap_or_default());
            let outcome = match sent.and(done) {
                Ok(done) => Ok(done && !(*voided && matches!(slot.end, End::Fill(..)))),
                Err(fault) => self.end_otherwise(slot, fault, &mut refused, by).await,
            };
            ended.push(outcome);
        }
        self.wrote_unless(refused);
        Ok(ended)
    }

    /// Ends leases another way after a part of a pipeline was refused.
    async fn end_otherwise(
        &self,
        slot: &EndRequest<'_>,
        fault: Fault,
        refused: &mut bool,
        by: Instant,
    ) -> Result<bool, Error> {
        let (value, ttl) = match &slot.end {
            End::Fill(value, ttl) => (value, ttl),
            End::Release(how) => return Err(self.not_released((slot.key, &slot.lease, *how), fault)),
        };
        if fault.is_of_form() || fault.is_denied() {
            // A single fill handles this case.
            return self.fill(slot.key, &slot.lease, value.clone(), *ttl, by).await;
        }
        self.abandon_in_background(slot.key, &slot.lease, Release::Pause(0));
        Err(self.refused_write(fault, refused))
    }

    /// Handles a lease that the server refused to take back.
    fn not_released(&self, (key, lease, release): (&Key, &Lease, Release), fault: Fault) -> Error {
        if let Blame::Denied(denied) = fault.blame {
            self.note_denied(denied);
        }
        // The wrong type means that something else is in its place, which is left alone.
        if fault.error.kind() != ErrorKind::WrongType {
            self.keep_abandoned(key, lease, release);
        }
        self.reported_error(fault)
    }

    pub(crate) async fn renew_all(&self, leases: &[(Key, Lease)]) -> Vec<Result<bool, Error>> {
        let mut renewed = Vec::with_capacity(leases.len());
        for part in leases.chunks(MOST) {
            let build = |features| {
                let (mut forms, mut pipeline) = (Forms::default(), Pipeline::with_capacity(part.len()));
                for (key, lease) in part {
                    pipeline.add_command(commands::renew(features, forms.of(key, None), key, lease));
                }
                Request::Many(pipeline)
            };
            let read = |reply: Reply| sound(reply.all());
            let outcome = match self.admit() {
                Ok(epoch) => {
                    let replies = self.exchange(epoch, build, read, self.part_deadline()).await;
                    replies.map_err(|fault| self.reported_error(fault))
                }
                Err(error) => Err(error),
            };
            match outcome {
                Ok(replies) => {
                    renewed.extend(replies.into_iter().map(|reply| {
                        checked(reply).and_then(commands::truth).map_err(|fault| self.reported_error(fault))
                    }))
                }
                Err(error) => {
                    fill_up(&mut renewed, leases.len(), &error);
                    break;
                }
            }
        }
        renewed
    }

    /// Gives many leases back. Returns those that the server could not be asked about.
    pub(crate) async fn release_all(&self, leases: &[(Key, Lease, Release)]) -> Vec<(Key, Lease, Release)> {
        let mut unanswered = Vec::new();
        for part in leases.chunks(MOST) {
            let build = |features| {
                let (mut forms, mut pipeline) = (Forms::default(), Pipeline::with_capacity(part.len()));
                for (key, lease, release) in part {
                    pipeline.add_command(commands::release(features, forms.of(key, None), key, lease, *release));
                }
                Request::Many(pipeline)
            };
            let by = self.part_deadline();
            let outcome = match self.admit() {
                Ok(epoch) => self.exchange(epoch, build, |reply: Reply| sound(reply.all()), by).await.ok(),
                Err(_) => None,
            };
            let Some(replies) = outcome else {
                unanswered.extend_from_slice(part);
                continue;
            };
            for ((key, lease, release), reply) in part.iter().zip(replies) {
                if let Err(fault) = checked(reply) {
                    self.not_released((key, lease, *release), fault);
                }
            }
        }
        unanswered
    }
}

fn release(features: Features, slot: &EndRequest<'_>, release: Release, forms: &mut Forms) -> Cmd {
    commands::release(features, forms.of(slot.key, None), slot.key, &slot.lease, release)
}

impl EndRequest<'_> {
    fn size(&self) -> usize {
        match &self.end {
            End::Fill(value, _) => value.len(),
            End::Release(_) => 0,
        }
    }
}

/// The number of slots in the next part.
fn part_len(slots: &[EndRequest<'_>]) -> usize {
    let mut bytes = 0;
    let fits = |slot: &&EndRequest<'_>| {
        bytes += slot.size();
        bytes <= MOST_BYTES
    };
    slots.iter().take(MOST).take_while(fits).count().max(1)
}

/// The tags of all values to fill, each with the longest lifetime under it.
fn longest_lived(slots: &[EndRequest<'_>]) -> BTreeMap<String, Ttl> {
    let mut tags = BTreeMap::new();
    for slot in slots {
        let End::Fill(value, ttl) = &slot.end else { continue };
        for tag in own_tags(slot.key, value).into_iter().chain(slot.key.tags().iter().cloned()) {
            let longest = tags.entry(tag).or_insert(*ttl);
            *longest = match (*longest, *ttl) {
                (Ttl::Millis(one), Ttl::Millis(other)) => Ttl::Millis(one.max(other)),
                _ => Ttl::Forever,
            };
        }
    }
    tags
}
