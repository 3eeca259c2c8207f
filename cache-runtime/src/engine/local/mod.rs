//! The local tier: decoded values that this process keeps, in front of the store.
//!
//! | module | concern |
//! |---|---|
//! | `map` | the values of one function, within a number and a size |
//! | `cell` | the stamps of tags |
//! | `front` | what a thread keeps between its hits |
//! | `tickets` | values that are being confirmed |
//! | `void` | the writes of this process |
//! | `call` | the tier in a call: the hit before its first look, and the offer after it |
//!
//! A value gets in when a call *offers* it: it read the value in the store. The store then confirms that the slot still
//! holds it, and tells each change from then on. A change that is told *suspends* the entry: the decoded value is kept, and
//! serves again once the store confirms it. A write of this process *voids* the entry, before it is sent and again before
//! its caller hears of it.
//!
//! A hit is served only while a [`Proof`](crate::store::tracking::Proof) holds, which the store extends with each answer:
//! no hit is staler than the bound, whatever happens to the connection, the server or this process.

pub(crate) mod call;
mod cell;
mod front;
mod map;
mod tickets;
mod void;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, Weak};

use self::cell::Cell;
use self::map::{Entry, Map};
use self::tickets::Tickets;
pub(crate) use self::void::Voiding;
use crate::hash::hash;
use crate::key::{Key, KeyWriter};
use crate::observe::{Counters, Functions};
use crate::plan::function::{Function, Terms};
use crate::poll::coarse::Coarse;
use crate::store::tracking::{Proof, Watcher};
use crate::stored::envelope::Token;

/// The number of locks for tickets.
const SHARDS: usize = 64;

/// The number of lists in which functions find their maps.
const LISTS: usize = 64;

/// The local tier of one cache.
pub(crate) struct Tier {
    me: Weak<Tier>,
    namespace: Box<str>,
    most_bytes: u64,
    maps: RwLock<Vec<Arc<Map>>>,
    /// The maps by the addresses of functions. A look-up takes no lock.
    by_function: [OnceLock<Box<Known>>; LISTS],
    tickets: [Mutex<Tickets>; SHARDS],
    cells: Mutex<Cells>,
    numbers: AtomicU64,
    /// Counts the writes of this process, twice each.
    voids: AtomicU64,
    functions: Arc<Functions>,
}

/// A function whose map is known.
struct Known {
    function: &'static Function,
    /// No other one in this process has it, in whatever cache.
    number: u64,
    /// How the keys of its entries begin. A function that must not have entries has none.
    stem: Option<Box<str>>,
    has_own_tags: bool,
    map: Arc<Map>,
    counters: Arc<Counters>,
    next: OnceLock<Box<Known>>,
}

impl Known {
    /// The entry of a key with these tags, if it may be served now.
    #[inline]
    fn good(&self, key: &str, tags: &[String], now: Coarse) -> Option<Arc<Entry>> {
        let entry = self.map.get(key)?;
        if entry.is_of(self.function, self.has_own_tags, tags) && entry.is_good(now) && !entry.is_to_refresh(now) {
            return Some(entry);
        }
        count_end(&self.map, &entry, now);
        None
    }
}

#[derive(Default)]
struct Cells {
    by_name: HashMap<Box<str>, Weak<Cell>>,
    /// The number of cells at which those that no entry needs are removed.
    swept_at: usize,
}

impl Tier {
    pub(crate) fn new(namespace: &str, most_bytes: u64, functions: Arc<Functions>) -> Arc<Tier> {
        Arc::new_cyclic(|me| Tier {
            me: Weak::clone(me),
            namespace: namespace.into(),
            most_bytes,
            maps: RwLock::default(),
            by_function: [const { OnceLock::new() }; LISTS],
            tickets: std::array::from_fn(|_| Mutex::default()),
            cells: Mutex::default(),
            numbers: AtomicU64::new(0),
            voids: AtomicU64::new(0),
            functions,
        })
    }

    /// The entry of a key, if it may be served now.
    #[inline]
    fn good(&self, terms: &Terms, key: &Key, now: Coarse) -> Option<(Arc<Entry>, &Counters)> {
        let known = self.known(terms);
        known.good(key.as_str(), key.tags(), now).map(|entry| (entry, &*known.counters))
    }

    /// The entry of a key with this value, which may be out of date.
    fn kept(&self, terms: &Terms, key: &Key, id: Token) -> Option<Arc<Entry>> {
        let entry = self.map(terms).peek(key.as_str())?;
        (entry.id == id && entry.is_of(terms.function, terms.has_own_tags, key.tags())).then_some(entry)
    }

    /// The map of a function, which is made if it is not there.
    #[inline]
    fn map(&self, terms: &Terms) -> &Arc<Map> {
        &self.known(terms).map
    }

    #[inline]
    fn known(&self, terms: &Terms) -> &Known {
        let function = terms.function;
        let mut list = &self.by_function[list_of(function)];
        loop {
            let known = list.get_or_init(|| Box::new(self.make_known(terms)));
            if std::ptr::eq(known.function, function) {
                return known;
            }
            list = &known.next;
        }
    }

    #[cold]
    fn make_known(&self, terms: &Terms) -> Known {
        let counters = Arc::clone(self.functions.of(terms.function));
        let function = terms.function;
        let stem = function.refusal().is_none().then(|| KeyWriter::new(&self.namespace, function.head()).into_text());
        Known {
            function,
            number: front::number(),
            stem,
            has_own_tags: terms.has_own_tags,
            map: self.shared_map(terms, &counters),
            counters,
            next: OnceLock::new(),
        }
    }

    /// The map of all functions with this name, which counts with the first of them.
    fn shared_map(&self, terms: &Terms, counters: &Arc<Counters>) -> Arc<Map> {
        let head = terms.function.head();
        let mut maps = self.maps.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = maps.iter().find(|map| &*map.head == head) {
            return Arc::clone(map);
        }
        // All functions have equal parts of the room.
        let room = (self.most_bytes / (maps.len() as u64 + 1)).max(1);
        for map in maps.iter() {
            map.resize(room);
        }
        let map = Arc::new(Map::new(head, terms.local, room, Arc::clone(counters)));
        maps.push(Arc::clone(&map));
        map
    }

    /// The entries that functions of this head have at the moment, and the bytes that they count as.
    pub(crate) fn held(&self, head: &str) -> (u64, u64) {
        let mut held = (0, 0);
        self.each_map(|map| {
            if &*map.head == head {
                held = map.held();
            }
        });
        held
    }

    fn each_map(&self, mut apply: impl FnMut(&Map)) {
        for map in self.maps.read().unwrap_or_else(PoisonError::into_inner).iter() {
            apply(map);
        }
    }

    /// The cell of a tag's stamp, which is made if it is not there.
    fn cell(&self, name: &str) -> Arc<Cell> {
        let mut cells = self.cells();
        if let Some(cell) = cells.by_name.get(name).and_then(Weak::upgrade) {
            return cell;
        }
        if cells.by_name.len() >= cells.swept_at {
            cells.by_name.retain(|_, cell| cell.strong_count() > 0);
            cells.swept_at = (cells.by_name.len() * 2).max(1024);
        }
        let cell = Arc::<Cell>::default();
        cells.by_name.insert(name.into(), Arc::downgrade(&cell));
        cell
    }

    fn known_cell(&self, name: &str) -> Option<Arc<Cell>> {
        self.cells().by_name.get(name)?.upgrade()
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tickets(&self, key: &str) -> MutexGuard<'_, Tickets> {
        let shard = hash(0, key.as_bytes()) as usize % SHARDS;
        self.tickets[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drop_tickets(&self) {
        for tickets in &self.tickets {
            let dropped = std::mem::take(&mut *tickets.lock().unwrap_or_else(PoisonError::into_inner));
            // Without the lock: tickets hold values.
            drop(dropped);
        }
    }

    /// The number of voids so far.
    fn voids(&self) -> u64 {
        self.voids.load(SeqCst)
    }

    fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Relaxed) + 1
    }
}

impl Watcher for Tier {
    fn changed(&self, name: &str) {
        let mut tickets = self.tickets(name);
        let dropped = tickets.remove(name);
        self.each_map(|map| {
            if let Some(entry) = map.peek(name)
                && entry.suspend()
            {
                map.counters.local().pushed.fetch_add(1, Relaxed);
            }
        });
        drop(tickets);
        // A value may be large, and is dropped without the lock.
        drop(dropped);
        if let Some(cell) = self.known_cell(name) {
            cell.suspend();
        }
    }

    fn all_changed(&self, proof: &Proof) {
        // Entries notice by the generation of their proof. Tickets would wait for answers that never come.
        self.drop_tickets();
        let cells: Vec<_> = self.cells().by_name.values().filter_map(Weak::upgrade).collect();
        for cell in cells.iter().filter(|cell| cell.is_of(proof)) {
            cell.suspend();
        }
    }

    fn keeps_nothing(&self) -> bool {
        let mut is_empty = true;
        self.each_map(|map| is_empty &= map.is_empty());
        is_empty
    }
}

/// Counts an entry whose time is over, or whose proof ended for good, the first time that a call finds it.
#[cold]
fn count_end(map: &Map, entry: &Entry, now: Coarse) {
    let local = map.counters.local();
    let ended = if now >= entry.until {
        &local.expired
    } else if entry.is_of_earlier_proof() {
        &local.generation
    } else {
        return;
    };
    // It is not good any more in any case.
    if entry.suspend() {
        ended.fetch_add(1, Relaxed);
    }
}

/// The list for a function.
#[inline]
fn list_of(function: &'static Function) -> usize {
    // Functions are boxed, and larger than this.
    (std::ptr::from_ref(function).addr() >> 7) % LISTS
}
