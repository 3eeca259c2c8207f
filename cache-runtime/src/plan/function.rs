//! The description of one cached function: the static part that the attribute wrote, and the part that has to be found
//! out once per instantiation.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};

use crate::error::{Error, ErrorKind};
use crate::key::{escape_part, function_name, given_name, shown_path};
use crate::plan::codec::{CodecFns, FormatRead, Nones, TypeFormats};
use crate::plan::local::LocalFns;
use crate::plan::names::{self, Place, Stored};
use crate::plan::ttl::Ttl;
use crate::stored::codec::{self, CodecError, Rank};
use crate::stored::compress::Compression;
use crate::stored::envelope::Identity;
use crate::stored::sink::Value;

/// The attribute's words about one function.
#[derive(Debug)]
pub struct Site {
    /// The function's identifier.
    pub ident: &'static str,
    /// The first part of its keys.
    pub prefix: Prefix,
    /// How the key goes on.
    pub name: Name,
    /// The rest of the key, with `{}` for each argument. It is the same for functions that share entries.
    pub shape: &'static str,
    /// Abandons what was stored under another number.
    pub version: u32,
}

/// The first part of a function's keys.
#[derive(Debug)]
pub enum Prefix {
    /// `prefix = …`; the error about another type names a field in fewer words than a function of an enum.
    Given {
        /// The prefix.
        text: &'static str,
    },
    /// The prefix that the environment of the compiler had, and a `module_path!()`, whose crate's name it is otherwise.
    OfCrate(Option<&'static str>, &'static str),
}

impl Prefix {
    /// The text, as keys have it.
    pub(crate) fn escaped(&self) -> Cow<'static, str> {
        escape_part(match self {
            Prefix::Given { text } | Prefix::OfCrate(Some(text), _) => text,
            Prefix::OfCrate(None, module_path) => module_path.split(':').next().unwrap_or_default(),
        })
    }
}

/// The second part of a function's keys.
#[derive(Debug)]
pub enum Name {
    /// The function's path, found at run time.
    Path,
    /// `name = "…"`, followed by the type parameters that are part of the function's identity.
    Given(&'static str),
    /// `name = "…"` of a trait's provided method, which each type has: followed by the type as well.
    GivenInTrait(&'static str),
}

/// A function in one instantiation.
#[derive(Debug)]
pub struct Function {
    /// Its place in tables of all functions of this process.
    number: u32,
    head: String,
    prefix_len: usize,
    /// The identities by the rank of the codec; both are the same if there is only one codec.
    identities: [Identity; 2],
    formats_read: [FormatRead; 2],
    /// The first codec cannot read its values back.
    needs_second: AtomicBool,
    refusal: Option<String>,
    /// Another function of this process has its default name, so the entries under that name are not its own.
    is_namesake: bool,
    told: AtomicU32,
    /// How often its last calls found their slots empty, up to [`CERTAIN`](Self::CERTAIN).
    empty: AtomicU8,
    /// How many of its last values were not stored.
    unstored: AtomicU8,
    /// A call of this process got a result that was not to be stored.
    leaves_unstored: AtomicBool,
}

/// The messages that a function logs at most once in a process.
#[derive(Clone, Copy)]
pub(crate) enum Once {
    Refusal = 1,
    WrongType = 2,
    Key = 4,
    Encode = 8,
    Unsupported = 16,
    Decode = 32,
    Refresh = 64,
    /// The server refuses a command, or the key.
    Refused = 128,
    /// None of the last values got into the store.
    Unstored = 256,
}

impl Function {
    fn new(
        site: &Site,
        place: Place,
        path: &str,
        slot: usize,
        generics: &[&dyn Display],
        found: TypeFormats,
    ) -> Function {
        let prefix = site.prefix.escaped();
        let prefix_len = prefix.len();
        let name = match site.name {
            Name::Given(name) => given_name(name, path, false, generics),
            Name::GivenInTrait(name) => given_name(name, path, true, generics),
            Name::Path => function_name(path, site.ident, generics),
        };
        let head = format!("{prefix}:{name}");
        let [(_, fingerprint), _] = found.formats;
        let stored = Stored { path: shown_path(path, site.ident), slot, fingerprint };
        let namesake = match site.name {
            Name::Path => names::claim(&head, &stored.path, place),
            Name::Given(_) | Name::GivenInTrait(_) => None,
        };
        if namesake.is_none() {
            names::register(&head, site.shape, &stored);
        }
        // `names` has logged a namesake already.
        let (is_namesake, told) = (namesake.is_some(), namesake.as_ref().map_or(0, |_| Once::Refusal as u32));
        let refusal = namesake.or_else(|| {
            found.lacks_self_describing.then(|| {
                format!(
                    "its type needs a self-describing format, which `{}` is not; {}",
                    found.codec_name,
                    codec::SELF_DESCRIBING_ADVICE
                )
            })
        });
        let refusal = refusal.or_else(|| {
            found.is_unfinished.then(|| "its type has too many parts for a change of one to be noticed".to_owned())
        });
        let identities =
            found.formats.map(|(codec, fingerprint)| Identity { version: site.version, codec, fingerprint });
        static NUMBERS: AtomicU32 = AtomicU32::new(0);
        Function {
            number: NUMBERS.fetch_add(1, Ordering::Relaxed),
            head,
            prefix_len,
            identities,
            formats_read: found.formats_read,
            needs_second: AtomicBool::new(found.needs_second),
            refusal,
            is_namesake,
            told: AtomicU32::new(told),
            empty: AtomicU8::new(0),
            unstored: AtomicU8::new(0),
            leaves_unstored: AtomicBool::new(false),
        }
    }

    /// Its place in tables of all functions of this process.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number
    }

    /// Prefix and name, escaped: what every key of this function starts with.
    pub(crate) fn head(&self) -> &str {
        &self.head
    }

    /// The part of the head that the crate, or the attribute, gave all of its functions.
    pub(crate) fn prefix(&self) -> &str {
        &self.head[..self.prefix_len]
    }

    /// The name alone, escaped.
    pub fn name(&self) -> &str {
        &self.head[self.prefix_len + 1..]
    }

    /// The identities that its values must agree on, by the rank of the codec that wrote them.
    pub(crate) fn identities(&self) -> &[Identity; 2] {
        &self.identities
    }

    /// The identity of values that a codec of this rank writes.
    pub(crate) fn identity(&self, rank: Rank) -> Identity {
        self.identities[rank as usize]
    }

    /// Fails if the codec of this rank would read `value` back as another one.
    pub(crate) fn check(&self, value: &dyn Value, rank: Rank) -> Result<(), CodecError> {
        self.formats_read[rank as usize].check(value)
    }

    /// Returns true if the function has two codecs.
    pub(crate) fn has_second(&self) -> bool {
        let [first, second] = &self.identities;
        first != second
    }

    /// The codec that its next value is written in, if that one can say it.
    pub(crate) fn rank(&self) -> Rank {
        if self.needs_second.load(Ordering::Relaxed) { Rank::Second } else { Rank::First }
    }

    /// A codec of this rank could not read back its own output. Returns true if another codec is left, in which the
    /// next values are written.
    pub(crate) fn gives_up(&self, rank: Rank) -> bool {
        let has_other = rank == Rank::First && self.has_second();
        if has_other {
            self.needs_second.store(true, Ordering::Relaxed);
        }
        has_other
    }

    /// Why its values cannot be stored at all.
    pub(crate) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Fails for a function whose entries belong to another one: it must neither read nor fill them.
    pub(crate) fn owns_entries(&self) -> Result<(), Error> {
        match &self.refusal {
            Some(reason) if self.is_namesake => Err(Error::new(ErrorKind::Key, reason)),
            _ => Ok(()),
        }
    }

    /// The weight that an empty slot adds to [`empty`](Self::empty); every other slot takes one away. The next slot is
    /// expected to be empty if more than a third of the last ones were. A useless lease request costs little compared
    /// with the round trip that a useful one saves.
    const WEIGHT: u8 = 2;
    /// From this value on, an empty slot is expected.
    const EXPECTED: u8 = 8;
    /// The upper limit: it bounds how many calls have to find something before the expectation ends.
    const CERTAIN: u8 = 12;

    /// Returns true if the next call is likely to find nothing.
    pub(crate) fn expects_nothing(&self) -> bool {
        self.empty.load(Ordering::Relaxed) >= Self::EXPECTED
    }

    /// A call found an empty slot. If calls report this at the same time, one report may be lost.
    pub(crate) fn found_nothing(&self) {
        let empty = self.empty.load(Ordering::Relaxed);
        if empty < Self::CERTAIN {
            self.empty.store((empty + Self::WEIGHT).min(Self::CERTAIN), Ordering::Relaxed);
        }
    }

    /// A call found a value, or a lease. If all calls do, they only read here, and processors do not contend for it.
    pub(crate) fn found_something(&self) {
        let empty = self.empty.load(Ordering::Relaxed);
        if empty != 0 {
            self.empty.store(empty - 1, Ordering::Relaxed);
        }
    }

    /// A value got into the store.
    pub(crate) fn stored(&self) {
        // If all values are stored, processors do not contend for it.
        if self.unstored.load(Ordering::Relaxed) != 0 {
            self.unstored.store(0, Ordering::Relaxed);
        }
    }

    /// A value did not get into the store; returns how many did not in a row. If calls report this at the same time,
    /// one report may be lost.
    pub(crate) fn unstored(&self) -> u8 {
        let unstored = self.unstored.load(Ordering::Relaxed).saturating_add(1);
        self.unstored.store(unstored, Ordering::Relaxed);
        unstored
    }

    /// A value is not stored: it is `None`, or `cache_if` or the lifetime says so, or it cannot be encoded.
    pub(crate) fn left_unstored(&self) {
        // If no value is ever stored, processors do not contend for it.
        if !self.leaves_unstored.load(Ordering::Relaxed) {
            self.leaves_unstored.store(true, Ordering::Relaxed);
        }
    }

    /// Returns true if a body that succeeds may leave its slot empty, as far as this process has seen.
    pub(crate) fn leaves_unstored(&self) -> bool {
        self.leaves_unstored.load(Ordering::Relaxed) || self.unstored.load(Ordering::Relaxed) > 0
    }

    /// True for the first caller that asks about `what`.
    pub(crate) fn first(&self, what: Once) -> bool {
        self.told.fetch_or(what as u32, Ordering::Relaxed) & what as u32 == 0
    }
}

/// A function's place for its [`Function`]s: one static per function, which all instantiations share. It is therefore
/// an append-only list.
#[derive(Debug, Default)]
pub struct Slot(OnceLock<Box<Node>>);

#[derive(Debug)]
struct Node {
    path: &'static str,
    find: fn() -> TypeFormats,
    function: Function,
    next: Slot,
}

impl Node {
    #[inline]
    fn is_of(&self, path: &'static str, find: fn() -> TypeFormats) -> bool {
        std::ptr::eq(self.path, path) && std::ptr::fn_addr_eq(self.find, find)
    }
}

impl Slot {
    /// An empty one.
    pub const fn new() -> Slot {
        Slot(OnceLock::new())
    }

    /// The function of this instantiation; made by the first call.
    ///
    /// Two types may have one name (two structs in two blocks), so the instantiation is told by
    /// the addresses of its path and of the code that finds its type's shape; equal code finds
    /// an equal shape.
    #[inline]
    pub fn function<V>(
        &'static self,
        site: &Site,
        place: Place,
        path: &'static str,
        generics: &[&dyn Display],
        codec: &CodecFns<V>,
    ) -> &'static Function {
        self.find(site, place, path, generics, codec.find)
    }

    /// The same, with less time and more code: for a function whose hits are short.
    #[inline]
    pub fn function_at_once<V>(
        &'static self,
        site: &Site,
        place: Place,
        path: &'static str,
        generics: &[&dyn Display],
        codec: &CodecFns<V>,
    ) -> &'static Function {
        match self.0.get() {
            Some(node) if node.is_of(path, codec.find) => &node.function,
            _ => self.find(site, place, path, generics, codec.find),
        }
    }

    /// The same, compiled once.
    fn find(
        &'static self,
        site: &Site,
        place: Place,
        path: &'static str,
        generics: &[&dyn Display],
        find: fn() -> TypeFormats,
    ) -> &'static Function {
        let mut slot = self;
        loop {
            let node = slot.0.get_or_init(|| {
                let function = Function::new(site, place, path, std::ptr::from_ref(self).addr(), generics, find());
                Box::new(Node { path, find, function, next: Slot::new() })
            });
            if node.is_of(path, find) {
                return &node.function;
            }
            slot = &node.next;
        }
    }
}

/// Everything that a call has to know, apart from its key.
pub struct Plan<V> {
    /// The part that does not depend on the type of values.
    pub terms: Terms,
    /// How values become bytes.
    pub codec: CodecFns<V>,
    /// Which values are `None`.
    pub nones: Nones<V>,
    /// The lifetime of a value that is not `None`.
    pub ttl: fn(&V) -> Ttl,
    /// Which values are stored.
    pub cache_if: fn(&V) -> bool,
    /// Tags that a value has in addition to those that follow from the arguments; see [`Terms::has_own_tags`].
    pub tags: Option<fn(&V) -> Vec<String>>,
    /// How this process keeps values; see [`Terms::local`].
    pub local: Option<LocalFns<V>>,
}

/// The part of a [`Plan`] that does not depend on the type of values. Code that needs no more than this is compiled
/// once, not for each function.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The description.
    pub function: &'static Function,
    /// The lifetime of a `None`.
    pub none_ttl: Option<Ttl>,
    /// By what part of it, at most, a lifetime is shortened at random.
    pub jitter: f64,
    /// How far "computed once" reaches.
    pub single_flight: SingleFlight,
    /// The silence of a leader after which another may take over.
    pub lease: Ttl,
    /// How long a call waits for a leader that renews its lease; six leases unless given.
    pub wait: Option<Ttl>,
    /// Past which part of its lifetime a hit starts a refresh in the background.
    pub refresh_ahead: Option<f64>,
    /// How long after its lifetime a value is served while it is refreshed in the background.
    pub stale_while_revalidate: Ttl,
    /// How long after its lifetime a value is served where the body fails.
    pub stale_if_error: Ttl,
    /// Values have tags of their own.
    pub has_own_tags: bool,
    /// How many values this process keeps decoded; 0 for none.
    pub local: usize,
    /// How values are compressed, if not as the cache says.
    pub compress: Option<Compression>,
}

/// The calls among which one runs the body for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleFlight {
    /// The calls of all processes.
    Shared,
    /// The calls of one process.
    Process,
    /// Each call runs the body for itself.
    Off,
}

impl Terms {
    /// The terms of a function whose attribute says no more.
    fn new(function: &'static Function) -> Terms {
        Terms {
            function,
            none_ttl: None,
            jitter: 0.0,
            single_flight: SingleFlight::Shared,
            lease: Ttl::Millis(10_000),
            wait: None,
            refresh_ahead: None,
            stale_while_revalidate: Ttl::Millis(0),
            stale_if_error: Ttl::Millis(0),
            has_own_tags: false,
            local: 0,
            compress: None,
        }
    }
}

impl<V> Plan<V> {
    /// The plan of a function whose attribute says no more: every value is stored, except for `None`.
    pub fn new(function: &'static Function, codec: CodecFns<V>, nones: Nones<V>, ttl: fn(&V) -> Ttl) -> Plan<V> {
        Plan { terms: Terms::new(function), codec, nones, ttl, cache_if: |_| true, tags: None, local: None }
    }
}

macro_rules! copy_without_bounds {
    ($($name:ident)*) => {$(
        // A derive would ask for `V: Copy`; function pointers do not.
        impl<V> Clone for $name<V> {
            fn clone(&self) -> Self {
                *self
            }
        }
        impl<V> Copy for $name<V> {}
        impl<V> std::fmt::Debug for $name<V> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )*};
}
copy_without_bounds!(CodecFns LocalFns Nones Plan);
