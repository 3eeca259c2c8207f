//! The names that the functions of this process have in Redis.
//!
//! A default name is meant to be unique. The compiler gives some functions the same path, however: namesakes in two
//! `const _` blocks, in two blocks of one function, or in the library and the binary of one package. [`claim`] tells them
//! apart by their places in the source and refuses all but the first, because they would share entries by accident.
//!
//! Functions that are given the same `name` share entries on purpose. This is of no use if they store different types:
//! each of them takes the other's value for a miss and displaces it. [`register`] logs that.

use std::collections::HashMap;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};

/// The values that a function stores under a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    /// The path of the function.
    pub(crate) path: String,
    /// The address of its [`Slot`](crate::plan::function::Slot): the same for all instances of a generic one.
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

/// The file, line and column of a function, the same for its siblings.
pub(crate) type Place = &'static Location<'static>;

/// The functions that have default names.
#[derive(Default)]
struct Claims {
    /// The place of the function, by prefix and name.
    places: HashMap<String, Place>,
    /// The places of pairs that were logged.
    logged: Vec<[Place; 2]>,
}

static CLAIMS: Mutex<Option<Claims>> = Mutex::new(None);

/// Notes that the function at `place` has this default name, once per instantiation. If a function at another place had it
/// before, returns why this one must not be cached, and logs that once for the two functions.
pub(crate) fn claim(head: &str, path: &str, place: Place) -> Option<String> {
    let (first, is_news) = {
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        let claims = claims.get_or_insert_default();
        let first = *claims.places.entry(head.to_owned()).or_insert(place);
        let pair = [first, place];
        let is_news = first != place && !claims.logged.contains(&pair);
        if is_news {
            claims.logged.push(pair);
        }
        (first, is_news)
    };
    if first == place {
        return None;
    }
    if is_news {
        tracing::warn!(
            name = head,
            function = path,
            %place,
            %first,
            "two functions have the same default name: the one at `first` keeps it, and this one runs uncached; \
             write `name = \"…\"` on one of them"
        );
    }
    Some(format!("the function at {first} has the same default name; write `name = \"…\"` on one of them"))
}
