//! An explicit-state checker. It searches breadth first, so that the first trace found is a shortest one.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::time::{Duration, Instant};

/// A model that the checker explores.
pub trait Model {
    /// All data that determines the next steps.
    type State: Clone + Eq + Hash;
    /// A possible step.
    type Step: Copy;
    /// A property that must hold.
    type Property: Copy + PartialEq + fmt::Display;

    /// The property that a finished state can be reached from every state. It is checked on the whole
    /// graph, and not on single states.
    const PROGRESS: Self::Property;

    /// The initial state.
    fn start(&self) -> Self::State;
    /// The possible steps in a state.
    fn steps(&self, state: &Self::State, steps: &mut Vec<Self::Step>);
    /// The state after a step.
    fn next(&self, state: &Self::State, step: Self::Step) -> Self::State;
    /// The representative of all states that differ only in names.
    fn canonical(&self, state: Self::State) -> Self::State;
    /// Tells whether a state has the property.
    fn holds(&self, property: Self::Property, state: &Self::State) -> bool;
    /// Tells whether all actors that have begun have ended.
    fn finished(&self, state: &Self::State) -> bool;
    /// Describes a step, given the states before and after it.
    fn describe(&self, before: &Self::State, step: Self::Step, after: &Self::State) -> String;
}

/// The result of a run of the checker.
#[derive(Clone, Debug)]
pub struct Report<P> {
    /// The number of different states.
    pub states: usize,
    /// The number of transitions between them.
    pub transitions: usize,
    /// The number of steps to the farthest state.
    pub depth: usize,
    /// The time of the run.
    pub elapsed: Duration,
    /// The nearest state that violates a property. The exploration stops there.
    pub violation: Option<Violation<P>>,
}

/// A property that does not hold, and the trace that shows it.
#[derive(Clone, Debug)]
pub struct Violation<P> {
    /// The property.
    pub property: P,
    /// The shortest trace, in words.
    pub trace: Vec<String>,
}

impl<P: fmt::Display> fmt::Display for Report<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} states, {} transitions, depth {}, {:.2} s",
            self.states,
            self.transitions,
            self.depth,
            self.elapsed.as_secs_f64()
        )?;
        let Some(Violation { property, trace }) = &self.violation else { return Ok(()) };
        write!(f, "\nviolated: {property}, after {} steps", trace.len())?;
        for (number, line) in (1..).zip(trace) {
            write!(f, "\n{number:4}. {line}")?;
        }
        Ok(())
    }
}

/// Explores every state until one of `properties` is violated.
pub fn check<M: Model>(model: &M, properties: &[M::Property]) -> Report<M::Property> {
    let begun = Instant::now();
    let mut graph = Graph::default();
    graph.insert(model.canonical(model.start()), 0, 0);
    let mut steps = Vec::new();
    let mut found = None;
    let mut at = 0;
    while at < graph.states.len() && found.is_none() {
        let state = graph.states[at].clone();
        found = properties.iter().find(|&&p| p != M::PROGRESS && !model.holds(p, &state)).map(|&p| (p, at));
        steps.clear();
        model.steps(&state, &mut steps);
        for &step in &steps {
            let next = model.canonical(model.next(&state, step));
            let to = graph.insert(next, at, graph.origins[at].depth + 1);
            graph.targets.push(to);
        }
        graph.ends.push(graph.targets.len());
        at += 1;
    }
    if found.is_none() && properties.contains(&M::PROGRESS) {
        found = graph.nearest_dead_end(|state| model.finished(state)).map(|state| (M::PROGRESS, state));
    }
    Report {
        states: graph.states.len(),
        transitions: graph.targets.len(),
        depth: graph.origins.last().map_or(0, |last| last.depth as usize),
        elapsed: begun.elapsed(),
        violation: found.map(|(property, state)| Violation { property, trace: trace(model, &graph, state) }),
    }
}

/// Repeats the trace to a state, with names that stay the same from step to step.
fn trace<M: Model>(model: &M, graph: &Graph<M::State>, to: usize) -> Vec<String> {
    let mut path = vec![to];
    while let Some(&first) = path.last().filter(|&&first| first != 0) {
        path.push(graph.origins[first].parent as usize);
    }
    let mut state = model.start();
    let mut lines = Vec::new();
    let mut steps = Vec::new();
    for &target in path.iter().rev().skip(1) {
        steps.clear();
        model.steps(&state, &mut steps);
        let taken = steps.iter().find_map(|&step| {
            let next = model.next(&state, step);
            (model.canonical(next.clone()) == graph.states[target]).then_some((step, next))
        });
        let (step, next) = taken.expect("renaming does not change what can happen");
        lines.push(model.describe(&state, step, &next));
        state = next;
    }
    lines
}

/// The states in the order in which they were reached, which is the order of their depth.
struct Graph<S> {
    states: Vec<S>,
    origins: Vec<Origin>,
    /// The end of each state's transitions in `targets`.
    ends: Vec<usize>,
    targets: Vec<u32>,
    /// The states by hash. States are compared in full. If the hash of a state is taken by another, the
    /// state gets the next free number.
    index: HashMap<u64, u32, BuildHasherDefault<Mixer>>,
}

#[derive(Clone, Copy)]
struct Origin {
    parent: u32,
    depth: u32,
}

impl<S> Default for Graph<S> {
    fn default() -> Self {
        Self {
            states: Vec::new(),
            origins: Vec::new(),
            ends: Vec::new(),
            targets: Vec::new(),
            index: HashMap::default(),
        }
    }
}

impl<S: Eq + Hash> Graph<S> {
    fn insert(&mut self, state: S, parent: usize, depth: u32) -> u32 {
        let mut hasher = Mixer::default();
        state.hash(&mut hasher);
        let mut hash = hasher.finish();
        while let Some(&known) = self.index.get(&hash) {
            if self.states[known as usize] == state {
                return known;
            }
            hash = hash.wrapping_add(1);
        }
        let new = u32::try_from(self.states.len()).expect("fewer than 2^32 states");
        self.index.insert(hash, new);
        self.states.push(state);
        self.origins.push(Origin { parent: u32::try_from(parent).expect("a parent is a state"), depth });
        new
    }

    /// The nearest state from which no finished one can be reached.
    fn nearest_dead_end(&self, finished: impl Fn(&S) -> bool) -> Option<usize> {
        let mut live: Vec<bool> = self.states.iter().map(finished).collect();
        // Most transitions lead to later states, so few passes from the end suffice.
        let mut changed = true;
        while changed {
            changed = false;
            for state in (0..live.len()).rev().filter(|&state| state < self.ends.len()) {
                let begin = state.checked_sub(1).map_or(0, |before| self.ends[before]);
                let targets = &self.targets[begin..self.ends[state]];
                if !live[state] && targets.iter().any(|&target| live[target as usize]) {
                    live[state] = true;
                    changed = true;
                }
            }
        }
        live.iter().position(|live| !live)
    }
}

/// A fast hash: states are small and come from no adversary, and the standard hash would be half of the work.
#[derive(Default)]
struct Mixer(u64);

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters up to three. No step leads out of the pair `trap`.
    struct Counters {
        trap: Option<(u8, u8)>,
    }

    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Property {
        NotBothTwo,
        Progress,
    }

    impl fmt::Display for Property {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{self:?}")
        }
    }

    impl Model for Counters {
        type State = (u8, u8);
        type Step = bool;
        type Property = Property;

        const PROGRESS: Property = Property::Progress;

        fn start(&self) -> Self::State {
            (0, 0)
        }

        fn steps(&self, state: &Self::State, steps: &mut Vec<bool>) {
            if self.trap != Some(*state) {
                steps.extend([true, false].into_iter().filter(|&left| if left { state.0 < 3 } else { state.1 < 3 }));
            }
        }

        fn next(&self, state: &Self::State, left: bool) -> Self::State {
            if left { (state.0 + 1, state.1) } else { (state.0, state.1 + 1) }
        }

        fn canonical(&self, state: Self::State) -> Self::State {
            (state.0.min(state.1), state.0.max(state.1))
        }

        fn holds(&self, property: Property, state: &Self::State) -> bool {
            property != Property::NotBothTwo || *state != (2, 2)
        }

        fn finished(&self, state: &Self::State) -> bool {
            *state == (3, 3)
        }

        fn describe(&self, _: &Self::State, _: bool, after: &Self::State) -> String {
            format!("{after:?}")
        }
    }

    #[test]
    fn every_state_is_counted_once() {
        let report = check(&Counters { trap: None }, &[Property::Progress]);
        assert_eq!((report.states, report.depth), (10, 6));
        assert!(report.violation.is_none());
    }

    #[test]
    fn the_trace_is_a_shortest_one() {
        let report = check(&Counters { trap: None }, &[Property::NotBothTwo]);
        let violation = report.violation.expect("(2, 2) is reached");
        assert_eq!(violation.property, Property::NotBothTwo);
        assert_eq!(violation.trace.len(), 4);
        assert_eq!(violation.trace[3], "(2, 2)");
    }

    #[test]
    fn a_state_without_a_way_out_is_found() {
        let report = check(&Counters { trap: Some((1, 2)) }, &[Property::Progress]);
        let violation = report.violation.expect("(1, 2) is a dead end");
        assert_eq!(violation.property, Property::Progress);
        // All traces from (1, 1) lead into the trap.
        assert_eq!(violation.trace.len(), 2);
    }
}
