//! Leases: they are taken, marked in a value, renewed, and given back.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use ::redis::Pipeline;

use crate::error::{Error, ErrorKind};
use crate::key::{Address, Key};
use crate::store::redis::client::RedisStore;
use crate::store::redis::ops::commands::{self, truth};
use crate::store::redis::ops::each::{Forms, Gathered, Repeat};
use crate::store::redis::ops::scripts::Form;
use crate::store::redis::request::{Reply, Request, checked};
use crate::store::redis::server::Server;
use crate::store::redis::server::fault::{Blame, Fault};
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::Transport;
use crate::store::{MOST, MarkReply, Precondition, Release, Replies, TakeReply, TakeRequest};
use crate::stored::envelope::{Lease, LeasePlace, Token};

impl<T: Transport> RedisStore<T> {
    pub(crate) async fn take_all(&self, slots: &[TakeRequest<'_>], mut by: Instant) -> Replies<TakeReply> {
        let mut taken = Gathered::new(slots.len());
        for part in slots.chunks(MOST) {
            if !taken.add(self.take_part(part, by).await) {
                break;
            }
            by = self.part_deadline();
        }
        taken.replies()
    }

    async fn take_part(&self, slots: &[TakeRequest<'_>], by: Instant) -> Result<Replies<TakeReply>, Error> {
        let epoch = self.admit_write()?;
        if let Some(first) = slots.first() {
            // All slots are of one function.
            self.may_end(first.key, first.lease.place())?;
        }
        let anything = slots.iter().filter(|slot| matches!(slot.precondition, Precondition::Any));
        // This settles the invalidations of the groups, because possibly no read did so before. The entries were stamped
        // after those of their tags.
        self.settle(epoch, anything.clone().flat_map(|slot| slot.key.concerned_by().skip(1)), by)
            .await
            .map_err(|fault| self.reported_error(fault))?;
        // A take removes the old content, which is the effect of these invalidations.
        let mut settled = self.client().backlog.pending.find_all(anything.map(|slot| slot.key.as_str()));
        let has_granted = AtomicBool::new(false);
        let send = async || {
            let build = |features, forms: &mut Forms, slot: &TakeRequest<'_>| {
                let form = forms.of(slot.key, Some(&slot.precondition));
                commands::take(features, form, slot.key, &slot.lease, &slot.precondition)
            };
            let read = |slot: &TakeRequest<'_>, reply| {
                commands::taken(&slot.precondition, reply, || self.server().health.clock.now(), || self.times(by))
            };
            self.each(epoch, slots, Repeat::Never(&has_granted), build, read, by).await
        };
        let mut outcome = send().await;
        if outcome.as_ref().is_err_and(Fault::is_of_form)
            && matches!(slots, [TakeRequest { precondition: Precondition::Empty, .. }])
        {
            // The server does not do what its version promised: it is another one that speaks the protocol.
            self.deny(Features::SET_NX_GET);
            outcome = send().await;
        }
        if let Err(fault) = &outcome {
            self.not_taken(slots, fault, has_granted.load(Relaxed));
        }
        let replies = self.part_written(outcome)?;
        let mut refused = false;
        let taken = slots.iter().zip(replies).map(|(slot, reply)| {
            reply.map_err(|fault| {
                if fault.is_of_form() && matches!(slot.precondition, Precondition::Empty) {
                    self.deny(Features::SET_NX_GET);
                }
                self.refused_write(fault.about(slot.key.as_str()), &mut refused)
            })
        });
        let taken: Replies<TakeReply> = taken.collect();
        if !settled.is_empty() {
            let done = slots.iter().zip(taken.iter()).filter(|(_, reply)| matches!(reply, Ok(TakeReply::Taken)));
            let done: HashSet<&str> = done.map(|(slot, _)| slot.key.as_str()).collect();
            settled.retain(|(name, _)| done.contains(&**name));
        }
        self.wrote_unless(refused);
        self.confirmed(epoch, &settled);
        Ok(taken)
    }

    fn not_taken(&self, slots: &[TakeRequest<'_>], fault: &Fault, has_granted: bool) {
        if fault.may_have_arrived() || has_granted {
            // A lease whose request may have arrived, or may still arrive, is given back.
            let leases = slots.iter().map(|slot| (slot.key.clone(), slot.lease, Release::Pause(0)));
            self.abandon_all(leases.collect(), true);
        }
        // The reply has the content of a slot that is not empty.
        self.note_large(fault, slots.iter().map(|slot| slot.key));
    }

    pub(crate) async fn mark_value(
        &self,
        key: &Key,
        id: Token,
        lease: &Lease,
        force: bool,
        by: Instant,
    ) -> Result<MarkReply, Error> {
        debug_assert_eq!(lease.place(), LeasePlace::Value);
        let epoch = self.admit_write()?;
        self.may_end(key, lease.place())?;
        if force {
            // Possibly no read settled these before.
            self.settle(epoch, key.concerned_by(), by).await.map_err(|fault| self.reported_error(fault))?;
        }
        let build = |features, form| commands::mark(features, form, key, id, lease, force);
        let outcome = self.scripted(epoch, Server::timed_once, build, commands::marked, by).await;
        match outcome {
            // Nothing was written, so this says nothing about writes.
            Ok(marked @ (MarkReply::Until(_) | MarkReply::Changed)) => Ok(marked),
            outcome => self.granted(key, lease, outcome),
        }
    }

    pub(crate) async fn renew_all(&self, leases: &[(Key, Lease)], mut by: Instant) -> Replies<bool> {
        let mut renewed = Gathered::new(leases.len());
        for part in leases.chunks(MOST) {
            if !renewed.add(self.renew_part(part, by).await) {
                break;
            }
            by = self.part_deadline();
        }
        renewed.replies()
    }

    async fn renew_part(&self, leases: &[(Key, Lease)], by: Instant) -> Result<Replies<bool>, Error> {
        let epoch = self.admit()?;
        let build = |features, forms: &mut Forms, (key, lease): &(Key, Lease)| {
            commands::renew(features, forms.of(key, None), key, lease)
        };
        let renewed = self.each(epoch, leases, Repeat::Allowed, build, |_, reply| truth(reply), by).await;
        let renewed = renewed.map_err(|fault| self.reported_error(fault))?;
        Ok(renewed.into_iter().map(|renewed| renewed.map_err(|fault| self.reported_error(fault))).collect())
    }

    /// Renews the leases that the server keeps for longer than any lease, or for ever. A field is not concerned, because
    /// a lease there carries its end.
    pub(crate) async fn bound_all(&self, leases: &[(Key, Lease)], mut by: Instant) {
        let keyed = leases.iter().filter(|(key, _)| matches!(key.address(), Address::Key(_)));
        let keyed: Vec<&(Key, Lease)> = keyed.collect();
        for part in keyed.chunks(MOST) {
            let Ok(epoch) = self.admit() else { return };
            let build = |_, _: &mut Forms, (key, _): &&(Key, Lease)| commands::expiry(key);
            let read = |_: &&(Key, Lease), reply| commands::is_unbounded(reply);
            let Ok(replies) = self.each(epoch, part, Repeat::Allowed, build, read, by).await else { return };
            let unbounded = part.iter().zip(replies).filter(|(_, reply)| matches!(reply, Ok(true)));
            let unbounded: Vec<(Key, Lease)> = unbounded.map(|(slot, _)| (*slot).clone()).collect();
            if !unbounded.is_empty() {
                let _ = self.renew_all(&unbounded, self.part_deadline()).await;
            }
            by = self.part_deadline();
        }
    }

    /// Gives one lease back.
    pub(crate) async fn release_one(
        &self,
        key: &Key,
        lease: &Lease,
        release: Release,
        by: Instant,
    ) -> Result<bool, Error> {
        let epoch = self.admit()?;
        // This sends the text: a server that does not know the hash yet would be asked twice, and a retry on the same
        // connection might overtake the second request.
        let build = |features| self.server().timed(commands::release(features, Form::Text, key, lease, release));
        let read = |reply: Reply| truth(self.server().first_of(reply)?);
        self.exchange(epoch, build, read, by).await.map_err(|fault| self.reported_error(fault))
    }

    /// Gives many leases back. Returns those that the server could not be asked about: after one round trip without an
    /// answer there are no more.
    pub(crate) async fn release_all(&self, leases: &[(Key, Lease, Release)]) -> Vec<(Key, Lease, Release)> {
        for (number, part) in leases.chunks(MOST).enumerate() {
            let build = |features| {
                let (mut forms, mut pipeline) = (Forms::default(), Pipeline::with_capacity(part.len()));
                for (key, lease, release) in part {
                    pipeline.add_command(commands::release(features, forms.of(key, None), key, lease, *release));
                }
                Request::Many(pipeline)
            };
            let by = self.part_deadline();
            let outcome = match self.admit() {
                Ok(epoch) => self.exchange(epoch, build, |reply: Reply| self.sound(reply.all()), by).await.ok(),
                Err(_) => None,
            };
            let Some(replies) = outcome else { return leases[number * MOST..].to_vec() };
            for ((key, lease, release), reply) in part.iter().zip(replies) {
                if let Err(fault) = checked(reply) {
                    self.not_released((key, lease, *release), fault);
                }
            }
        }
        Vec::new()
    }

    /// Handles a lease that the server refused to take back.
    pub(crate) fn not_released(&self, (key, lease, release): (&Key, &Lease, Release), fault: Fault) -> Error {
        if let Blame::Denied(denied) = fault.blame {
            self.note_denied(denied);
        }
        // The wrong type means that something else is in its place, which is left alone.
        if fault.error.kind() != ErrorKind::WrongType {
            self.keep_abandoned(key, lease, release);
        }
        self.reported_error(fault)
    }

    /// Returns true if something that concerns the entry is still to be invalidated.
    pub(crate) fn is_voided(&self, key: &Key) -> bool {
        let pending = &self.client().backlog.pending;
        pending.any() && !pending.find_all(key.concerned_by()).is_empty()
    }

    /// Does [`Store::abandon`] after a failure: the caller has already lost its time to the server, and loses no more.
    pub(crate) fn abandon_in_background(&self, key: &Key, lease: &Lease, release: Release) {
        self.abandon_all(vec![(key.clone(), *lease, release)], true);
    }

    /// A slot that is not given back makes all callers wait until its lease ends, so it is emptied like an invalidated
    /// one; a value that is known to be out of date is treated alike. Any other mark in a value ends by itself.
    pub(crate) fn keep_abandoned(&self, key: &Key, lease: &Lease, release: Release) {
        if lease.place() == LeasePlace::Slot || release == Release::Remove {
            self.keep_if_room(key.as_str());
        }
    }
}
