//! What the command line reads and changes: the keys, slots and servers of a cache, without the types of its functions.
//!
//! | module | concern |
//! |---|---|
//! | `name` | the parts of a key, from its text |
//! | `page` | the parts of a stored response |
//! | `slot` | the content of a slot: a lease, a value, or what is not this library's |
//! | `servers` | commands to each server of a cache, over the connections that the cache itself would use |
//!
//! This is no interface for programs: it may change with any version.

mod name;
mod page;
mod servers;
mod slot;

pub use redis::{Cmd, Value, cmd};

/// The text between a key and the token of the staged write for it.
pub const STAGED: &str = crate::store::redis::ops::commands::STAGED;

/// The start of the key of the statistics of a process, after the namespace.
pub const STATS: &str = crate::key::STATS;

pub use self::name::{KeyName, NameKind, escaped, group_invalidation, tag_key};
pub use self::page::{Page, page};
pub use self::servers::{Node, Servers};
pub use self::slot::{Checked, Codec, Content, ValueParts, content, field_content, seal_of};
