//! The ids of a call of many, and the map that it returns.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use crate::error::Error;
use crate::key::Key;

/// What a function of many ids returns, or the `Ok` of it.
#[diagnostic::on_unimplemented(
    message = "a batch returns a map from ids to values, and `{Self}` is none",
    label = "not a `HashMap<K, V>`, a `BTreeMap<K, V>` or a `Vec<(K, V)>`",
    note = "each id that the body has nothing for is left out of the map"
)]
pub trait BatchMap {
    /// Of which there are many.
    type Id;
    /// What is stored of each.
    type Value;
    /// What it is made of.
    fn into_pairs(self) -> Vec<(Self::Id, Self::Value)>;
    /// And back.
    fn from_pairs(pairs: Vec<(Self::Id, Self::Value)>) -> Self;
}

/// An id and its value.
#[diagnostic::on_unimplemented(
    message = "a batch returns a map from ids to values, of which `{Self}` is no pair",
    label = "not a `HashMap<K, V>`, a `BTreeMap<K, V>` or a `Vec<(K, V)>`",
    note = "if an alias hides a `Result` of a map, write `returns = result`"
)]
pub trait Pair {
    /// Which it is.
    type Id;
    /// What it stands for.
    type Value;
    /// The identity, to the compiler's eye.
    fn into_pair(self) -> (Self::Id, Self::Value);
    /// And back.
    fn from_pair(pair: (Self::Id, Self::Value)) -> Self;
}

impl<K, V> Pair for (K, V) {
    type Id = K;
    type Value = V;
    fn into_pair(self) -> (K, V) {
        self
    }
    fn from_pair(pair: (K, V)) -> (K, V) {
        pair
    }
}

impl<M> BatchMap for M
where
    M: IntoIterator<Item: Pair> + FromIterator<M::Item>,
{
    type Id = <M::Item as Pair>::Id;
    type Value = <M::Item as Pair>::Value;
    fn into_pairs(self) -> Vec<(Self::Id, Self::Value)> {
        self.into_iter().map(Pair::into_pair).collect()
    }
    fn from_pairs(pairs: Vec<(Self::Id, Self::Value)>) -> M {
        pairs.into_iter().map(Pair::from_pair).collect()
    }
}

/// The ids of a call, and the key of each.
#[derive(Debug)]
pub struct Ids<K> {
    pub(crate) ids: Vec<K>,
    pub(crate) keys: Vec<Result<Key, Error>>,
}

/// Finds the key of each id.
pub fn batch_ids<'a, K: Clone + 'a>(
    ids: impl IntoIterator<Item = &'a K>,
    key: impl Fn(&K) -> Result<Key, Error>,
) -> Ids<K> {
    let (ids, keys) = ids.into_iter().map(|id| (id.clone(), key(id))).unzip();
    Ids { ids, keys }
}

impl<K: Clone + Eq + Hash> Ids<K> {
    /// Leaves each id once, where it was first. The place of each among those that are left.
    pub(crate) fn once_each(&mut self) -> HashMap<K, usize> {
        let mut places = HashMap::with_capacity(self.ids.len());
        let mut repeated = Vec::new();
        for (at, id) in self.ids.iter().enumerate() {
            match places.entry(id.clone()) {
                Entry::Vacant(place) => drop(place.insert(at - repeated.len())),
                Entry::Occupied(_) => repeated.push(at),
            }
        }
        remove(&mut self.ids, &repeated);
        remove(&mut self.keys, &repeated);
        places
    }
}

/// What is at these positions, which are in order, goes.
fn remove<T>(all: &mut Vec<T>, positions: &[usize]) {
    if positions.is_empty() {
        return;
    }
    let (mut at, mut positions) = (0, positions.iter().peekable());
    all.retain(|_| {
        let goes = positions.next_if_eq(&&at).is_some();
        at += 1;
        !goes
    });
}

/// A collection that the body takes by reference, of some ids.
pub fn collect_ids<T, K>(ids: Vec<K>) -> T::Owned
where
    T: ?Sized + ToOwned,
    T::Owned: FromIterator<K>,
{
    ids.into_iter().collect()
}
