//! The features of a server: those that its version implies, and the commands that it lets the user run, which `rights`
//! finds out.

/// The features beyond Redis 6.0, and the commands that are not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features(u32);

macro_rules! commands {
    ($($name:ident = $bit:literal),* $(,)?) => {
        impl Features {
            $(pub(crate) const $name: Features = Features(1 << $bit);)*

            pub(crate) const ALL_COMMANDS: Features = Features(0 $(| 1 << $bit)*);

            /// The commands that are sent, or called by scripts.
            const COMMANDS: &[(&str, Features)] = &[$((stringify!($name), Features::$name)),*];
        }
    };
}

commands! {
    GET = 4,
    MGET = 5,
    GETRANGE = 6,
    STRLEN = 7,
    SET = 8,
    EVAL = 9,
    EVALSHA = 10,
    UNLINK = 11,
    DEL = 12,
    PEXPIRE = 13,
    PTTL = 14,
    SETRANGE = 15,
    TIME = 16,
    EXISTS = 17,
    RENAME = 18,
    HGET = 19,
    HMGET = 20,
    HSET = 21,
    HDEL = 22,
    HEXISTS = 23,
    HSTRLEN = 24,
}

impl Default for Features {
    /// The features of an old server, with all permissions.
    fn default() -> Self {
        Features(Features::ALL_COMMANDS.0 | Features::MANY_KEYS.0)
    }
}

impl Features {
    /// `SET k v NX GET`
    pub(crate) const SET_NX_GET: Features = Features(1);
    /// `SET k v IFEQ w`
    pub(crate) const SET_IFEQ: Features = Features(2);
    /// `HPEXPIRE`
    pub(crate) const FIELD_EXPIRY: Features = Features(4);
    /// Several keys in one command, whatever their slots.
    pub(crate) const MANY_KEYS: Features = Features(8);

    /// The commands that compare a lease in a script, and end it.
    const SCRIPTS: &[Features] = &[Features::EVAL, Features::SET];
    /// The commands that mark a value, in addition to these.
    const MARKS: &[Features] =
        &[Features::GETRANGE, Features::SETRANGE, Features::TIME, Features::PTTL, Features::PEXPIRE];
    /// The commands that the script of fields calls.
    const HASHES: &[Features] = &[
        Features::EVAL,
        Features::HSET,
        Features::HDEL,
        Features::HGET,
        Features::HEXISTS,
        Features::HSTRLEN,
        Features::EXISTS,
        Features::TIME,
        Features::PTTL,
        Features::PEXPIRE,
    ];
    /// The commands that move a staged value.
    const MOVES: &[Features] = &[Features::EXISTS, Features::RENAME, Features::UNLINK, Features::PEXPIRE];

    pub(crate) fn has(self, feature: Features) -> bool {
        self.0 & feature.0 != 0
    }

    pub(crate) fn without(self, bits: u32) -> Features {
        Features(self.0 & !bits)
    }

    pub(crate) fn from_bits(bits: u32) -> Features {
        Features(bits)
    }

    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// The first of the commands that is missing.
    fn lacks(self, commands: &[Features]) -> Option<Features> {
        commands.iter().copied().find(|command| !self.has(*command))
    }

    /// The right that is missing to end a lease in a slot of its own by comparison, if any.
    pub(crate) fn cannot_lease(self, in_hash: bool) -> Option<Features> {
        if in_hash {
            return self.lacks(Features::HASHES);
        }
        if self.has(Features::SET_NX_GET) && self.has(Features::SET_IFEQ) {
            return self.lacks(&[Features::SET]);
        }
        // The comparison reads a part, or all.
        let unread = (!self.has(Features::GETRANGE) && !self.has(Features::GET)).then_some(Features::GETRANGE);
        self.lacks(Features::SCRIPTS).or(unread)
    }

    /// The right that is missing to end a lease in a value's header, if any.
    pub(crate) fn cannot_mark(self, in_hash: bool) -> Option<Features> {
        match in_hash {
            true => self.lacks(Features::HASHES),
            false => self.lacks(Features::SCRIPTS).or_else(|| self.lacks(Features::MARKS)),
        }
    }

    /// Returns true if one command reads several keys.
    pub(crate) fn reads_together(self) -> bool {
        self.has(Features::MGET) && self.has(Features::MANY_KEYS)
    }

    pub(crate) fn has_scripts(self) -> bool {
        self.lacks(Features::SCRIPTS).is_none()
    }

    pub(crate) fn moves(self) -> bool {
        self.lacks(Features::MOVES).is_none()
    }

    /// A command by its name, if it is among those that are sent.
    pub(crate) fn of_command(name: &str) -> Option<Features> {
        Features::COMMANDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, command)| *command)
    }

    pub(crate) fn name(self) -> &'static str {
        Features::COMMANDS.iter().find(|(_, command)| *command == self).map_or("", |(name, _)| name)
    }

    /// Parses the text of `INFO server`. Valkey reports a `redis_version` of 7.2.4.
    pub(crate) fn of(info: &str) -> Features {
        let redis = version(info, "redis_version");
        let valkey = version(info, "valkey_version");
        let mut features = Features::default();
        if redis >= (7, 0) || valkey > (0, 0) {
            features.0 |= Features::SET_NX_GET.0;
        }
        if valkey >= (8, 1) || valkey == (0, 0) && redis >= (8, 4) {
            features.0 |= Features::SET_IFEQ.0;
        }
        if valkey >= (9, 0) || valkey == (0, 0) && redis >= (7, 4) {
            features.0 |= Features::FIELD_EXPIRY.0;
        }
        if field(info, "redis_mode") == Some("cluster") {
            features = features.without(Features::MANY_KEYS.0);
        }
        features
    }
}

pub(crate) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

/// The major and minor number, (0, 0) for none.
fn version(info: &str, name: &str) -> (u32, u32) {
    let mut numbers = field(info, name).unwrap_or_default().split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_decide_on_features() {
        for (info, nx_get, ifeq, fields) in [
            ("redis_version:6.2.14\r\n", false, false, false),
            ("# Server\r\nredis_version:7.0.15\r\n", true, false, false),
            ("redis_version:7.4.1\r\n", true, false, true),
            ("redis_version:8.0.0\r\n", true, false, true),
            ("redis_version:8.4.0\r\n", true, true, true),
            ("redis_version:10.0.0\r\n", true, true, true),
            ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n", true, false, false),
            ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.8\r\n", true, true, false),
            ("redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\n", true, true, true),
            ("redis_version:unstable\r\n", false, false, false),
            ("", false, false, false),
        ] {
            let features = Features::of(info);
            assert_eq!(features.has(Features::SET_NX_GET), nx_get, "{info}");
            assert_eq!(features.has(Features::SET_IFEQ), ifeq, "{info}");
            assert_eq!(features.has(Features::FIELD_EXPIRY), fields, "{info}");
            assert!(features.has(Features::MANY_KEYS), "{info}");
        }
        assert!(!Features::of("redis_version:7.0.15\r\nredis_mode:cluster\r\n").has(Features::MANY_KEYS));
    }

    #[test]
    fn each_command_has_a_bit_and_a_name() {
        let mut bits = 0;
        for (name, command) in Features::COMMANDS {
            assert_eq!(bits & command.bits(), 0, "{name}");
            bits |= command.bits();
            assert_eq!((command.name(), Features::of_command(&name.to_lowercase())), (*name, Some(*command)));
        }
        assert_eq!(Features::of_command("FLUSHALL"), None);
        assert_eq!(bits, Features::ALL_COMMANDS.bits());
    }

    #[test]
    fn a_lease_is_taken_where_it_can_be_ended() {
        let old = Features::of("redis_version:6.2.14\r\n");
        let new = Features::of("valkey_version:8.1.8\r\n");
        assert_eq!((old.cannot_lease(false), old.cannot_lease(true), old.cannot_mark(false)), (None, None, None));
        let eval = Features::EVAL.bits();
        assert_eq!(old.without(eval).cannot_lease(false), Some(Features::EVAL));
        assert_eq!(new.without(eval).cannot_lease(false), None);
        assert_eq!(new.without(eval).cannot_lease(true), Some(Features::EVAL));
        assert_eq!(new.without(eval).cannot_mark(false), Some(Features::EVAL));
        assert_eq!(new.without(Features::SET.bits()).cannot_lease(false), Some(Features::SET));
        assert_eq!(old.without(Features::SETRANGE.bits()).cannot_mark(false), Some(Features::SETRANGE));
        assert_eq!(old.without(Features::UNLINK.bits()).cannot_lease(false), None);
        let unread = old.without(Features::GET.bits() | Features::GETRANGE.bits());
        assert_eq!(unread.cannot_lease(false), Some(Features::GETRANGE));
    }
}
