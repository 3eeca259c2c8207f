//! Waiting for the computation of another call, of this process or of another.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Engine;
use super::timer::Timer;
use crate::envelope::{self, Head, Lease, Seal, Token};
use crate::error::Error;
use crate::flight::{Asking, Edge, Event, Follower, Leader, Outcome, Patience, Role};
use crate::function::SingleFlight;
use crate::key::Key;
use crate::sharing::{Accepts, Shared};
use crate::store::{Read, Store};

/// How soon one asks whether another process has ended its computation: a question of fifty bytes.
const FIRST: Duration = Duration::from_micros(500);

/// Pauses double up to this, then grow with the time it has taken so far, of which they are a part:
/// short bodies are noticed soon, and long ones cost few questions.
const OFTEN: Duration = Duration::from_millis(2);
/// Such a part.
const PART: u32 = 25;
/// No pause is longer.
const SELDOM: Duration = Duration::from_millis(4);

/// What came of waiting.
pub(super) enum Followed {
    /// A value, sealed as in a slot.
    Value(Bytes),
    /// The body's error, which can be copied.
    Error(Arc<Mutex<Shared>>),
    /// The body's error, which cannot.
    Failed,
    /// The body returned something that cannot be shared.
    Unshared,
    /// The leader is gone, and left these bytes in the slot.
    HandedOver(Bytes),
    /// What the slot holds now.
    Found(Read),
    /// The slot is to be looked at again.
    Again,
    /// Nobody computes it in this process: the call does.
    LeadHere(Leader),
    /// There is no waiting, or no more.
    Alone,
    Away(Error),
}

impl<S: Store, T: Timer> Engine<'_, S, T> {
    /// Waits for the flight whose token, and seal, the call saw in the slot.
    pub(super) async fn follow(
        &self,
        single_flight: SingleFlight,
        key: &Key,
        (token, seal): (Token, Seal),
        accepts: Accepts,
        patience: &mut Patience,
    ) -> Followed {
        if single_flight == SingleFlight::Off || !patience.allows(token) {
            return Followed::Alone;
        }
        let flights = self.cache.flights();
        let follower = match single_flight {
            SingleFlight::Process => match flights.follow_or_lead(key, token) {
                Role::Follower(follower) => follower,
                Role::Leader(leader) => return Followed::LeadHere(leader),
            },
            _ => flights.follow(key, token),
        };
        let Some(outcome) = self.wait(key, Some(token), &follower, patience.until).await else {
            patience.exhaust();
            return Followed::Alone;
        };
        match outcome {
            Outcome::Value(bytes) => Followed::Value(bytes),
            Outcome::Stored => Followed::Again,
            Outcome::Error(shared) if accepts.this(&shared) => Followed::Error(shared),
            Outcome::Error(_) | Outcome::Failed => {
                patience.exhaust();
                Followed::Failed
            }
            Outcome::Unshared => {
                patience.exhaust();
                Followed::Unshared
            }
            Outcome::Abandoned if !follower.may_take_over() => {
                patience.forgive(token);
                Followed::Again
            }
            Outcome::Abandoned => {
                patience.forgive(token);
                Followed::HandedOver(Bytes::copy_from_slice(Lease::new(token, seal, 0).bytes()))
            }
            Outcome::Read { number, found } => {
                // Its lease had not been given back yet when this call saw it.
                if flights.was_abandoned(token) {
                    patience.forgive(token);
                }
                if follower.precedes(number) { Followed::Found(found) } else { Followed::Again }
            }
            Outcome::Away(error) => Followed::Away(error),
        }
    }

    /// Waits for what runs in this process, without a look at the slot.
    pub(super) async fn follow_any(
        &self,
        key: &Key,
        began: Instant,
        is_away: bool,
        accepts: Accepts,
        patience: &mut Patience,
    ) -> Followed {
        loop {
            let follower = match self.cache.flights().follow_any_or_lead(key, began, is_away) {
                Role::Follower(follower) => follower,
                Role::Leader(leader) => return Followed::LeadHere(leader),
            };
            match self.wait(key, None, &follower, patience.until).await {
                Some(Outcome::Value(bytes)) => return Followed::Value(bytes),
                Some(Outcome::Error(shared)) if accepts.this(&shared) => return Followed::Error(shared),
                Some(Outcome::Abandoned) => {}
                _ => return Followed::Alone,
            }
        }
    }

    /// What the flight ends with; `None` if that takes too long, or for ever: it would wait for this
    /// very call.
    pub(super) async fn wait(
        &self,
        key: &Key,
        token: Option<Token>,
        follower: &Follower,
        until: Instant,
    ) -> Option<Outcome> {
        let _edge = Edge::waiting(follower.flight()).ok()?;
        loop {
            match self.timer.wait(follower, follower.check_by(until)).await {
                Event::Ended(outcome) => return Some(outcome),
                Event::TimeUp if Instant::now() >= until => return None,
                Event::TimeUp => {}
                Event::Ask(asking) => self.ask(key, token?, asking, until).await?,
            }
        }
    }

    /// Asks the store until another process has ended its computation; `None` if that takes too
    /// long.
    async fn ask(&self, key: &Key, token: Token, asking: Asking, until: Instant) -> Option<()> {
        let (begun, mut pause) = (Instant::now(), FIRST);
        loop {
            let now = Instant::now();
            let left = until.saturating_duration_since(now);
            if left.is_zero() {
                return None;
            }
            self.timer.pause(pause.min(left)).await;
            let so_far = now.saturating_duration_since(begun);
            pause = (pause * 2).min((so_far / PART).clamp(OFTEN, SELDOM));
            asking.asks(self.cache.timeout());
            let outcome = match self.store.peek(key, self.cache.deadline()).await {
                Ok(head) if self.is_held(head.as_deref(), token) => continue,
                Ok(_) => {
                    let number = asking.number();
                    match self.store.read(key, self.cache.deadline()).await {
                        Ok(found) => Outcome::Read { number, found },
                        Err(error) => Outcome::Away(error),
                    }
                }
                Err(error) => Outcome::Away(error),
            };
            asking.ended(outcome);
            return Some(());
        }
    }

    fn is_held(&self, head: Option<&[u8]>, token: Token) -> bool {
        match head.map(envelope::head) {
            Some(Head::Lease(held, _)) => held == token,
            Some(Head::Value(mark)) => mark.token == Some(token) && mark.until > self.store.now(),
            Some(Head::Other) | None => false,
        }
    }
}
