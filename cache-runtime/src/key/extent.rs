//! The set of keys that a `clear` empties, determined by their text.

use super::{Address, GROUP, escape_part};

/// A set of slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All slots of a store.
    Everything,
    /// The slots whose keys begin with this text: a namespace, with its `:`.
    Namespace(String),
    /// The entries of one function, by the text before their arguments.
    Entries(String),
    /// The entries of one function in a group.
    Fields {
        /// The start of the keys of the hashes.
        hashes: String,
        /// The text before the arguments in a field.
        name: String,
    },
}

impl Extent {
    /// All keys of a cache. Without a namespace, keys of this library cannot be distinguished from others.
    pub(crate) fn of_cache(namespace: &str) -> Extent {
        match namespace {
            "" => Extent::Everything,
            namespace => Extent::Namespace(format!("{}:", escape_part(namespace))),
        }
    }

    /// The entries of a function. `prefix` and `name` are already escaped.
    pub(crate) fn of_function(namespace: &str, prefix: &str, name: &str, in_group: bool) -> Extent {
        let mut text = escape_part(namespace).into_owned();
        if !text.is_empty() {
            text.push(':');
        }
        text.push_str(prefix);
        text.push(':');
        if in_group {
            text.push_str(GROUP);
            text.push(':');
            return Extent::Fields { hashes: text, name: name.to_owned() };
        }
        text.push_str(name);
        Extent::Entries(text)
    }

    /// Tells whether the set contains a slot.
    pub(crate) fn covers(&self, text: &str) -> bool {
        match self {
            Extent::Everything => true,
            Extent::Namespace(prefix) => text.starts_with(prefix),
            Extent::Entries(head) => precedes(head, text),
            Extent::Fields { hashes, name } => match Address::of(text) {
                Address::Key(_) => false,
                Address::Field { hash, field } => hash.starts_with(hashes) && precedes(name, field),
            },
        }
    }

    /// A pattern in the server's syntax. It matches all keys that the set covers, and the hashes of covered fields, but
    /// may match others too.
    pub(crate) fn pattern(&self) -> String {
        let literal = match self {
            Extent::Everything => "",
            Extent::Namespace(text) | Extent::Entries(text) | Extent::Fields { hashes: text, .. } => text,
        };
        let mut pattern = String::with_capacity(literal.len() + 8);
        for character in literal.chars() {
            // The names of generic functions contain brackets, for example.
            if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
                pattern.push('\\');
            }
            pattern.push(character);
        }
        pattern.push('*');
        pattern
    }
}

/// Tells whether `text` is `head`, alone or followed by arguments.
fn precedes(head: &str, text: &str) -> bool {
    text.strip_prefix(head).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_covers_its_namespace() {
        let extent = Extent::of_cache("a:b");
        assert_eq!(extent, Extent::Namespace("a%3Ab:".to_owned()));
        assert!(extent.covers("a%3Ab:shop:user:1") && extent.covers("a%3Ab:#tag:x"));
        assert!(!extent.covers("a%3Abc:shop:user:1") && !extent.covers("shop:user:1"));
        assert!(Extent::of_cache("").covers("shop:user:1"));
    }

    #[test]
    fn a_function_covers_its_entries_and_no_other_function_s() {
        let extent = Extent::of_function("n", "shop", "user", false);
        assert!(extent.covers("n:shop:user") && extent.covers("n:shop:user:1") && extent.covers("n:shop:user:#ab"));
        for other in ["n:shop:users:1", "n:shop:user<T>:1", "shop:user:1", "n:shop:#group:g user:1", "n:#tag:shop:user"]
        {
            assert!(!extent.covers(other), "{other}");
        }
        let extent = Extent::of_function("", "shop", "seat", true);
        assert!(extent.covers("shop:#group:class:7 seat:1") && extent.covers("shop:#group:class:7 seat"));
        for other in
            ["shop:#group:class:7 seats:1", "shop:seat:1", "shop:#group:seat:1", "n:shop:#group:class:7 seat:1"]
        {
            assert!(!extent.covers(other), "{other}");
        }
    }

    #[test]
    fn what_has_a_meaning_in_patterns_is_escaped() {
        let extent = Extent::Entries("p:f<[u8]>?*\\".to_owned());
        assert_eq!(extent.pattern(), "p:f<\\[u8\\]>\\?\\*\\\\*");
        assert_eq!(Extent::Everything.pattern(), "*");
    }
}
