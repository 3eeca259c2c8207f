//! The names that the functions of this process have in Redis. Functions that share a name share entries, which is of
//! no use where they store different types: each takes what the other stored for a miss, and displaces it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a function stores under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The path of the function.
    pub(crate) path: String,
    /// The address of its [`Slot`](crate::function::Slot): the same for all instances of a generic one.
    pub(crate) slot: usize,
    /// The fingerprint of its values' type.
    pub(crate) fingerprint: u64,
}

impl Stored {
    /// Why two functions should not have one name.
    fn clash(&self, new: &Stored) -> Option<&'static str> {
        if self.slot == new.slot && self.path != new.path {
            return Some(
                "the types that have this function share its `name`, and so its entries; leave `name` out, \
                 and each has its own",
            );
        }
        (self.fingerprint != new.fingerprint).then_some(
            "two functions share a name, but store different types: each displaces what the other stored; \
             give one of them another `name`",
        )
    }
}

/// The functions of one name.
#[derive(Default)]
struct Named {
    functions: Vec<Stored>,
    /// The paths of those that were told of.
    told: Vec<[String; 2]>,
}

impl Named {
    /// The first function that `new` clashes with, and why, unless that was told.
    fn add(&mut self, new: &Stored) -> Option<(String, &'static str)> {
        let clash = self.functions.iter().find_map(|old| Some((old.path.clone(), old.clash(new)?)));
        if !self.functions.contains(new) {
            self.functions.push(new.clone());
        }
        let (old, why) = clash?;
        // Siblings of a function have its path, and are noted like it.
        let mut paths = [old.clone(), new.path.clone()];
        paths.sort_unstable();
        if self.told.contains(&paths) {
            return None;
        }
        self.told.push(paths);
        Some((old, why))
    }
}

/// By prefix and name, and the shape of what follows.
static NAMES: Mutex<Option<HashMap<(String, &'static str), Named>>> = Mutex::new(None);

/// Notes a function, once per instantiation, and logs if one before it has the same name but cannot share its entries.
pub(crate) fn register(head: &str, shape: &'static str, new: &Stored) {
    let clash = {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        names.get_or_insert_default().entry((head.to_owned(), shape)).or_default().add(new)
    };
    if let Some((old, why)) = clash {
        tracing::warn!(name = head, function = new.path, other = old, "{why}");
    }
}
