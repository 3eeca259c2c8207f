//! The ends of leases: a value is stored in place of each, or it is given back.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Instant;

use ::redis::{Cmd, Pipeline};

use crate::error::{Error, ErrorKind};
use crate::key::Key;
use crate::plan::ttl::Ttl;
use crate::store::redis::client::RedisStore;
use crate::store::redis::client::abandoned::Abandoned;
use crate::store::redis::client::sizes::Sizes;
use crate::store::redis::ops::commands::{self, FillMethod};
use crate::store::redis::ops::each::{Forms, Gathered};
use crate::store::redis::ops::extension::{self, Extensions};
use crate::store::redis::ops::scripts::Form;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::{Blame, Denied, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::Transport;
use crate::store::{End, EndRequest, MOST, Release, Replies, Results};
use crate::stored::envelope::{Lease, LeasePlace};

/// The approximate number of bytes that one round trip sends.
const MOST_BYTES: usize = 1 << 20;

impl<T: Transport> RedisStore<T> {
    pub(crate) async fn end_all(&self, slots: &[EndRequest<'_>], mut by: Instant) -> Replies<bool> {
        if let [slot] = slots {
            return Results::One(self.end_one(slot, by).await);
        }
        let mut ended = Gathered::new(slots.len());
        let mut rest = slots;
        while !rest.is_empty() {
            let (part, later) = rest.split_at(part_len(rest));
            rest = later;
            let outcome = self.end_part(part, by).await;
            if outcome.is_err() && !self.is_elsewhere(&outcome) {
                // The fill may have arrived, or may still arrive: once a lease is gone it stores nothing.
                let left = slots[ended.len()..].iter().map(|slot| {
                    let release = match slot.end {
                        End::Fill(..) => Release::Pause(0),
                        End::Release(release) => release,
                    };
                    (slot.key.clone(), slot.lease, release)
                });
                self.abandon_all(left.collect(), true);
            }
            if !ended.add(outcome) {
                break;
            }
            by = self.part_deadline();
        }
        ended.replies()
    }

    async fn end_one(&self, slot: &EndRequest<'_>, by: Instant) -> Result<bool, Error> {
        match &slot.end {
            End::Fill(value, ttl) => self.fill_one(slot.key, &slot.lease, value, *ttl, by).await,
            End::Release(release) => {
                let released = self.release_one(slot.key, &slot.lease, *release, by).await;
                if released.is_err() && !self.is_elsewhere(&released) {
                    self.abandon_in_background(slot.key, &slot.lease, *release);
                }
                released
            }
        }
    }

    async fn end_part(&self, slots: &[EndRequest<'_>], by: Instant) -> Result<Replies<bool>, Error> {
        let epoch = self.admit_write()?;
        let size = slots.iter().map(|slot| slot.size()).sum();
        let now = self.server().health.clock.now();
        // An invalidation that did not arrive still voids what was computed before it.
        let voided: Vec<bool> = slots.iter().map(|slot| self.is_voided(slot.key)).collect();
        let extensions = self.extensions_of_all(slots);
        let sent = Instant::now();
        let commands_of = |features, slot: &EndRequest<'_>, voided: bool, forms: &mut [Forms; 3]| match &slot.end {
            End::Fill(value, ttl) if !voided => {
                let method = self.fill_method(features, slot.key, &slot.lease, value);
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
            for command in extension::commands(features, &extensions) {
                pipeline.add_command(command);
            }
            Request::Many(pipeline)
        };
        let outcome = self.exchange_of(epoch, Sizes::writing(size), build, |reply| self.sound(reply.all()), by).await;
        let mut replies = self.part_written(outcome)?;
        let features = Features::from_bits(sent_with.load(Relaxed));
        self.note_extensions((epoch, sent), features, &extensions, &mut replies);
        let mut replies = replies.into_iter();
        let (mut ended, mut refused) = (Vec::with_capacity(slots.len()), Refusals::default());
        for (slot, voided) in slots.iter().zip(&voided) {
            let is_ahead = match &slot.end {
                End::Fill(value, _) if !voided => {
                    self.fill_method(features, slot.key, &slot.lease, value) == FillMethod::Ahead
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
        self.wrote_unless(refused.of_writes);
        self.abandon_all(refused.leases, true);
        Ok(Results::Many(ended))
    }

    /// Ends leases another way after a part of a pipeline was refused.
    async fn end_otherwise(
        &self,
        slot: &EndRequest<'_>,
        fault: Fault,
        refused: &mut Refusals,
        by: Instant,
    ) -> Result<bool, Error> {
        let is_large = |value| {
            let features = self.server().allowed(Features::default());
            self.fill_method(features, slot.key, &slot.lease, value) == FillMethod::Ahead
        };
        let (value, ttl) = match &slot.end {
            // A large value may have to be sent another way, while its slot moves.
            End::Fill(value, _) if self.is_node() && fault.is_redirection() && !is_large(value) => {
                return Err(fault.error);
            }
            End::Release(_) if self.is_node() && fault.is_redirection() => return Err(fault.error),
            // The command that sent the text of the script was not executed.
            End::Release(how) if fault.blame == Blame::Script => {
                let released = self.release_one(slot.key, &slot.lease, *how, by).await;
                if released.is_err() && !self.is_elsewhere(&released) {
                    self.abandon_in_background(slot.key, &slot.lease, *how);
                }
                return released;
            }
            End::Fill(value, ttl) => (value, ttl),
            End::Release(how) => return Err(self.not_released((slot.key, &slot.lease, *how), fault)),
        };
        let is_of_script = fault.blame == Blame::Script;
        if is_of_script || fault.is_of_form() || fault.is_denied() || self.is_node() && is_of_a_move(&fault) {
            // A single fill handles this case.
            return self.fill_one(slot.key, &slot.lease, value, *ttl, by).await;
        }
        refused.leases.push((slot.key.clone(), slot.lease, Release::Pause(0)));
        Err(self.refused_write(fault, &mut refused.of_writes))
    }

    /// The way in which a value replaces a lease at this server.
    fn fill_method(&self, features: Features, key: &Key, lease: &Lease, value: &[u8]) -> FillMethod {
        match FillMethod::of(features, key, lease, value) {
            FillMethod::Ahead if self.is_asking() => FillMethod::Inline,
            method => method,
        }
    }

    async fn fill_one(&self, key: &Key, lease: &Lease, value: &[u8], ttl: Ttl, by: Instant) -> Result<bool, Error> {
        // An invalidation that did not arrive still voids what was computed before it.
        if self.is_voided(key) {
            self.abandon_all(vec![(key.clone(), *lease, Release::Pause(0))], false);
            return Ok(false);
        }
        let outcome = match self.admit_write() {
            Ok(epoch) => self.written(self.fill_by_size(epoch, key, lease, value, ttl, by).await),
            Err(error) => Err(error),
        };
        if outcome.is_err() && !self.is_elsewhere(&outcome) {
            // The fill may have arrived, or may still arrive: once the lease is gone it stores nothing.
            self.abandon_in_background(key, lease, Release::Pause(0));
        }
        outcome
    }

    async fn fill_by_size(
        &self,
        epoch: Epoch,
        key: &Key,
        lease: &Lease,
        value: &[u8],
        ttl: Ttl,
        by: Instant,
    ) -> Result<bool, Fault> {
        let now = self.server().health.clock.now();
        let sent_with = AtomicU32::new(0);
        // The server's features decide on the commands, unless that was tried.
        let attempt = async |method: Option<FillMethod>, form: Form| {
            let extensions = self.extensions_of(key, lease, value, ttl);
            let sent = Instant::now();
            let build = |features: Features| {
                sent_with.store(features.bits(), Relaxed);
                let method = method.unwrap_or_else(|| self.fill_method(features, key, lease, value));
                let mut requests = commands::fill(features, form, method, (key, lease), value, ttl, now);
                requests.extend(extension::commands(features, &extensions));
                commands::request_of(requests)
            };
            let read = |reply: Reply| {
                let mut replies = reply.all();
                let features = Features::from_bits(sent_with.load(Relaxed));
                self.note_extensions((epoch, sent), features, &extensions, &mut replies);
                // The reply to a staged write comes first, and may be an error, too.
                let last = replies.pop().unwrap_or_default();
                replies.into_iter().try_for_each(|reply| checked(reply).map(drop))?;
                commands::filled(last)
            };
            self.exchange_of(epoch, Sizes::writing(value.len()), build, read, by).await
        };
        let outcome = attempt(None, Form::Hash).await;
        let Err(fault) = &outcome else { return outcome };
        // This guess holds unless the connection was made anew meanwhile: then nothing was staged, and the script
        // notices that.
        let large =
            self.fill_method(self.server().allowed(Features::default()), key, lease, value) == FillMethod::Ahead;
        match (fault.blame, fault.error.kind()) {
            (Blame::Script, _) if large => {
                let build = |_| self.server().timed(commands::move_ahead(Form::Text, key, lease, ttl));
                let read = |reply: Reply| commands::filled(self.server().first_of(reply)?);
                return self.exchange(epoch, build, read, by).await;
            }
            (Blame::Script, _) => {}
            (Blame::Command, ErrorKind::Protocol) => {
                if lease.place() == LeasePlace::Slot {
                    self.deny(Features::SET_IFEQ);
                }
            }
            // The slot is moving to another node, and one of the two keys is there.
            _ if large && self.is_node() && is_of_a_move(fault) => {}
            // The user is confined to a pattern of keys that excludes the staged key, or lacks the right to move it.
            (Blame::Denied(_), _) if large => {}
            (Blame::Denied(Denied::Command(Some(Features::EVALSHA))), _) => {}
            _ => return outcome.map_err(|fault| fault.about(key.as_str())),
        }
        attempt(Some(FillMethod::Inline), Form::Text).await.map_err(|fault| fault.about(key.as_str()))
    }

    /// The stamps to extend for these values. In a cluster, the router extends them.
    fn extensions_of_all(&self, slots: &[EndRequest<'_>]) -> Extensions {
        match self.is_node() {
            true => Extensions::new(),
            false => extension::needed(slots, |tag| self.known_stamp(tag)),
        }
    }

    /// The same for one value. A second attempt to store it knows what the first one extended.
    fn extensions_of(&self, key: &Key, lease: &Lease, value: &[u8], ttl: Ttl) -> Extensions {
        let mut extensions = Extensions::new();
        if !self.is_node() {
            let known = |tag: &str| self.known_stamp(tag);
            extension::add_needed(&mut extensions, (key, lease.seal()), value, ttl, &known);
        }
        extensions
    }
}

/// What the server refused in one round trip.
#[derive(Default)]
struct Refusals {
    /// One of the refusals concerns all writes.
    of_writes: bool,
    /// The leases of values that were not stored.
    leases: Vec<Abandoned>,
}

/// Returns true if a command of two keys may be refused because they are on two nodes.
fn is_of_a_move(fault: &Fault) -> bool {
    matches!(fault.blame, Blame::Moved | Blame::Ask | Blame::TryAgain)
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
