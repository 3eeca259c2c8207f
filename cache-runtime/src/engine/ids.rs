//! The ids of a call of many, and the map that it returns.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;

use crate::error::Error;
use crate::key::Key;

/// The return type of a function of many ids, or the `Ok` of it.
#[diagnostic::on_unimplemented(
    message = "a batch returns a map from ids to values, and `{Self}` is none",
    label = "not a `HashMap<K, V>`, a `BTreeMap<K, V>` or a `Vec<(K, V)>`",
    note = "each id that the body has nothing for is left out of the map"
)]
pub trait BatchMap {
    /// The type of the ids.
    type Id;
    /// The type that is stored for each id.
    type Value;
    /// Splits the map into pairs.
    fn into_pairs(self) -> Vec<(Self::Id, Self::Value)>;
    /// Collects pairs into the map.
    fn from_pairs(pairs: Vec<(Self::Id, Self::Value)>) -> Self;
}

/// An id and its value, in a map `M`.
#[diagnostic::on_unimplemented(
    message = "a batch returns a map from ids to values, of which `{Self}` is no pair",
    label = "not a `HashMap<K, V>`, a `BTreeMap<K, V>` or a `Vec<(K, V)>`",
    note = "if an alias hides a `Result` of a map, write `returns = result`"
)]
pub trait PairOf<M>: Sized {
    /// The type of the id.
    type Id;
    /// The type of the id's value.
    type Value;
    /// The identity, as the compiler sees it.
    fn into_pair(self) -> (Self::Id, Self::Value);
    /// Collects pairs into the map.
    fn collect(pairs: Vec<(Self::Id, Self::Value)>) -> M;
}

#[diagnostic::do_not_recommend]
impl<K, V, M: FromIterator<(K, V)>> PairOf<M> for (K, V) {
    type Id = K;
    type Value = V;
    fn into_pair(self) -> (K, V) {
        self
    }
    fn collect(pairs: Vec<(K, V)>) -> M {
        pairs.into_iter().collect()
    }
}

impl<M: IntoIterator<Item: PairOf<M>>> BatchMap for M {
    type Id = <M::Item as PairOf<M>>::Id;
    type Value = <M::Item as PairOf<M>>::Value;
    fn into_pairs(self) -> Vec<(Self::Id, Self::Value)> {
        self.into_iter().map(PairOf::into_pair).collect()
    }
    fn from_pairs(pairs: Vec<(Self::Id, Self::Value)>) -> M {
        <M::Item as PairOf<M>>::collect(pairs)
    }
}

/// The ids of a call, and the key of each.
#[derive(Debug)]
pub struct Ids<K> {
    pub(crate) ids: Vec<K>,
    pub(crate) keys: Vec<Result<Key, Error>>,
}

/// The type of the given ids is that of the map's ids.
#[diagnostic::on_unimplemented(
    message = "the ids of a batch and of the map that it returns have one type, but `{Self}` is not `{Id}`",
    label = "ids of type `{Self}`",
    note = "take a collection of `{Id}`, or return a map of `{Self}`"
)]
pub trait IdOfMap<Id>: Sized {
    /// The identity, as the compiler sees it.
    fn into_ids(ids: Vec<Self>) -> Vec<Id>;
    /// The inverse of `into_ids`.
    fn from_ids(ids: Vec<Id>) -> Vec<Self>;
}

#[diagnostic::do_not_recommend]
impl<K> IdOfMap<K> for K {
    fn into_ids(ids: Vec<K>) -> Vec<K> {
        ids
    }
    fn from_ids(ids: Vec<K>) -> Vec<K> {
        ids
    }
}

/// The ids of a call of a function that returns `M`, and a function that turns some of them into the ids that its body
/// takes.
pub type BatchIds<M, K> = (Ids<<M as BatchMap>::Id>, fn(Vec<<M as BatchMap>::Id>) -> Vec<K>);

/// Finds the key of each id.
pub fn batch_ids<'a, M: BatchMap, K: Clone + IdOfMap<M::Id> + 'a>(
    ids: impl IntoIterator<Item = &'a K>,
    key: impl Fn(&K) -> Result<Key, Error>,
) -> BatchIds<M, K> {
    let (ids, keys) = ids.into_iter().map(|id| (id.clone(), key(id))).unzip();
    (Ids { ids: K::into_ids(ids), keys }, K::from_ids)
}

impl<K: Clone + Eq + Hash> Ids<K> {
    /// Keeps the first occurrence of each id. Returns the place of each among those that are left.
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

/// Removes the elements at these positions, which are in order.
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
