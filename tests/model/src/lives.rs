//! The lives of stamps: a model with time, for the rules by which a fill extends a stamp or leaves it alone.
//!
//! Two processes fill entries under one tag, which live for one or three units of time. A process remembers a stamp and
//! until when it lives, and extends it only if it does not know that it lives for as long as the entry. Other actors
//! invalidate the tag, or evict its stamp. A fill is two steps, because others may come between the moment in which a
//! process looks at its memory, or has read the stamp, and the one in which the server extends it. The slot, the leases
//! and the bodies are those of [`protocol`](crate::protocol), and are left out here.

use std::fmt;

use crate::check::Model;

const PROCESSES: usize = 2;
const ENTRIES: usize = 3;
/// The lifetimes of entries.
const LIFETIMES: [u8; 2] = [1, 3];
/// The life of a new stamp.
const NEW: u8 = 2;

/// The rules of extensions. Each rule can be switched off alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A life is remembered for a stamp. Without: for the tag, whatever its stamp is by now.
    pub memory_of_the_stamp: bool,
    /// The stamp is read before its life is. Without: after it.
    pub stamp_before_life: bool,
    /// A stamp is left alone only if it is known to live as long as the entry. Without: if it is known to live.
    pub lives_as_long: bool,
    /// An extension never shortens a life. Without: it sets it.
    pub never_shortens: bool,
    /// An extension does nothing to a stamp that is gone. Without: it puts the remembered one back.
    pub makes_no_stamp: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            memory_of_the_stamp: true,
            stamp_before_life: true,
            lives_as_long: true,
            never_shortens: true,
            makes_no_stamp: true,
        }
    }
}

/// A configuration of the model.
#[derive(Clone, Debug)]
pub struct Lives {
    /// The rules in force.
    pub rules: Rules,
    /// The number of units of time.
    pub time: u8,
    /// The number of invalidations.
    pub invalidations: u8,
    /// The number of evictions of the stamp.
    pub evictions: u8,
}

/// A property that must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property {
    /// An entry that was stored before an invalidation is never a hit after it.
    NoStaleHit,
    /// An entry is a hit for all of its lifetime, unless its stamp was removed.
    NoEarlyMiss,
    /// Every fill can come to its end.
    Progress,
}

impl Property {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::NoStaleHit, Self::NoEarlyMiss, Self::Progress];
}

impl fmt::Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoStaleHit => "no entry is a hit after an invalidation that came after it was stored",
            Self::NoEarlyMiss => "an entry is a hit until it expires, unless its stamp was removed",
            Self::Progress => "every fill can come to its end",
        })
    }
}

/// A stamp with the end of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Stamp {
    id: u8,
    until: u8,
}

/// An entry under a stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    stamp: u8,
    until: u8,
}

/// A fill whose extension is not applied yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// The stamp of the value.
    stamp: u8,
    lifetime: u8,
    /// What the server has told so far: the stamp, or the end of its life, whichever is asked for first.
    told: Option<Option<u8>>,
}

/// A state.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    stamp: Option<Stamp>,
    next_id: u8,
    memories: [Option<Stamp>; PROCESSES],
    pending: [Option<Pending>; PROCESSES],
    entries: Vec<Entry>,
    /// The stamps that were removed, and those that were invalidated.
    removed: Vec<u8>,
    invalidated: Vec<u8>,
    invalidations: u8,
    evictions: u8,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A process stores an entry with this lifetime. It makes a stamp if there is none.
    Fill(usize, u8),
    /// The server applies the first half of an extension.
    Ask(usize),
    /// The server applies the second half.
    Extend(usize),
    /// A unit of time passes.
    Tick,
    /// The tag is invalidated.
    Invalidate,
    /// The stamp is evicted.
    Evict,
}

impl State {
    fn remove(&mut self) -> Option<Stamp> {
        let stamp = self.stamp.take()?;
        self.removed.push(stamp.id);
        Some(stamp)
    }
}

impl Lives {
    /// Returns true if the process leaves the stamp alone.
    fn suffices(&self, memory: Option<Stamp>, stamp: u8, until: u8, now: u8) -> bool {
        memory.is_some_and(|known| {
            let is_it = known.id == stamp || !self.rules.memory_of_the_stamp;
            is_it && if self.rules.lives_as_long { known.until >= until } else { known.until > now }
        })
    }

    fn fill(&self, state: &mut State, process: usize, lifetime: u8) {
        if state.stamp.is_none() {
            let stamp = Stamp { id: state.next_id, until: state.now + NEW };
            state.next_id += 1;
            state.stamp = Some(stamp);
            state.memories[process] = Some(stamp);
        }
        let stamp = state.stamp.map_or(0, |stamp| stamp.id);
        let until = state.now + lifetime;
        if self.suffices(state.memories[process], stamp, until, state.now) {
            state.entries.push(Entry { stamp, until });
        } else {
            state.pending[process] = Some(Pending { stamp, lifetime, told: None });
        }
    }

    /// The first half: the stamp is read, or else extended.
    fn ask(&self, state: &mut State, process: usize) {
        let Some(mut pending) = state.pending[process] else { return };
        pending.told = Some(match self.rules.stamp_before_life {
            true => state.stamp.map(|stamp| stamp.id),
            false => self.extend(state, pending),
        });
        state.pending[process] = Some(pending);
    }

    /// Extends the stamp that is there to twice the lifetime, and returns the end of its life.
    fn extend(&self, state: &mut State, pending: Pending) -> Option<u8> {
        let until = state.now + 2 * pending.lifetime;
        if state.stamp.is_none() && !self.rules.makes_no_stamp {
            state.stamp = Some(Stamp { id: pending.stamp, until });
        }
        let stamp = state.stamp.as_mut()?;
        let suffices = stamp.until >= state.now + pending.lifetime;
        if !suffices || !self.rules.never_shortens {
            stamp.until = until;
        }
        Some(stamp.until)
    }

    /// The second half, after which the value is there.
    fn end(&self, state: &mut State, process: usize) {
        let Some(pending) = state.pending[process].take() else { return };
        let Some(told) = pending.told else { return };
        let (id, until) = match self.rules.stamp_before_life {
            true => (told, self.extend(state, pending)),
            false => (state.stamp.map(|stamp| stamp.id), told),
        };
        if let (Some(id), Some(until)) = (id, until) {
            state.memories[process] = Some(Stamp { id, until });
        }
        state.entries.push(Entry { stamp: pending.stamp, until: state.now + pending.lifetime });
    }
}

impl Model for Lives {
    type State = State;
    type Step = Step;
    type Property = Property;

    const PROGRESS: Property = Property::Progress;

    fn start(&self) -> State {
        State {
            now: 0,
            stamp: None,
            next_id: 1,
            memories: [None; PROCESSES],
            pending: [None; PROCESSES],
            entries: Vec::new(),
            removed: Vec::new(),
            invalidated: Vec::new(),
            invalidations: self.invalidations,
            evictions: self.evictions,
        }
    }

    fn steps(&self, state: &State, steps: &mut Vec<Step>) {
        let begun = state.entries.len() + state.pending.iter().flatten().count();
        for process in 0..PROCESSES {
            match state.pending[process] {
                None if begun < ENTRIES => steps.extend(LIFETIMES.map(|lifetime| Step::Fill(process, lifetime))),
                None => {}
                Some(Pending { told: None, .. }) => steps.push(Step::Ask(process)),
                Some(_) => steps.push(Step::Extend(process)),
            }
        }
        // A fill takes less than the margin, which is the unit of time.
        if state.now < self.time && state.pending.iter().all(Option::is_none) {
            steps.push(Step::Tick);
        }
        if state.stamp.is_some() && state.invalidations > 0 {
            steps.push(Step::Invalidate);
        }
        if state.stamp.is_some() && state.evictions > 0 {
            steps.push(Step::Evict);
        }
    }

    fn next(&self, before: &State, step: Step) -> State {
        let mut state = before.clone();
        match step {
            Step::Fill(process, lifetime) => self.fill(&mut state, process, lifetime),
            Step::Ask(process) => self.ask(&mut state, process),
            Step::Extend(process) => self.end(&mut state, process),
            Step::Tick => {
                state.now += 1;
                // Its last moment is that of an entry that ends with it.
                state.stamp = state.stamp.filter(|stamp| stamp.until >= state.now);
            }
            Step::Invalidate => {
                state.invalidations -= 1;
                let removed = state.remove().map(|stamp| stamp.id);
                state.invalidated.extend(removed);
            }
            Step::Evict => {
                state.evictions -= 1;
                state.remove();
            }
        }
        state
    }

    fn canonical(&self, state: State) -> State {
        state
    }

    fn holds(&self, property: Property, state: &State) -> bool {
        let is_hit = |entry: &Entry| entry.until >= state.now && state.stamp.is_some_and(|s| s.id == entry.stamp);
        match property {
            Property::NoStaleHit => !state.entries.iter().any(|e| is_hit(e) && state.invalidated.contains(&e.stamp)),
            Property::NoEarlyMiss => {
                let lives = |entry: &&Entry| entry.until >= state.now && !state.removed.contains(&entry.stamp);
                state.entries.iter().filter(lives).all(is_hit)
            }
            Property::Progress => true,
        }
    }

    fn finished(&self, state: &State) -> bool {
        state.pending.iter().all(Option::is_none)
    }

    fn describe(&self, _: &State, step: Step, after: &State) -> String {
        let what = match step {
            Step::Fill(process, lifetime) => format!("process {process} stores an entry for {lifetime}"),
            Step::Ask(process) => format!("the server applies the first half of an extension of process {process}"),
            Step::Extend(process) => format!("the server applies the second half for process {process}"),
            Step::Tick => "a unit of time passes".to_owned(),
            Step::Invalidate => "the tag is invalidated".to_owned(),
            Step::Evict => "the stamp is evicted".to_owned(),
        };
        let stamp = after.stamp.map_or_else(|| "no stamp".to_owned(), |s| format!("S{} until {}", s.id, s.until));
        format!("{what}  [time {}; {stamp}; remembered: {:?}]", after.now, after.memories)
    }
}
