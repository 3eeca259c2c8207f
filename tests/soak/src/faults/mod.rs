//! The faults, in tables: one for each kind of Redis.

mod clusters;
mod one;
mod sentinels;

use crate::place::{Kind, Place};
use crate::worker::Harm;

/// A fault: it strikes, goes on for a while, and is healed.
pub(crate) struct Fault {
    /// The name on the command line and in the table.
    pub(crate) name: &'static str,
    /// What happens, for `--list`.
    what: &'static str,
    /// The harm that the documentation names.
    pub(crate) harm: Harm,
    /// True if another server becomes a master.
    pub(crate) moves_masters: bool,
    pub(crate) strike: fn(&Place),
    /// Happens again and again until it is healed.
    pub(crate) meanwhile: fn(&Place),
    pub(crate) heal: fn(&Place),
}

const FAULT: Fault = Fault {
    name: "",
    what: "",
    harm: Harm::Away,
    moves_masters: false,
    strike: |_| {},
    meanwhile: |_| {},
    heal: |_| {},
};

/// The faults of a kind of Redis.
pub(crate) fn of(kind: Kind) -> Vec<&'static Fault> {
    match kind {
        Kind::Server => one::FAULTS.iter().collect(),
        // The other faults are those of the server, whose commands do not know of TLS.
        Kind::Tls => one::FAULTS.iter().filter(|fault| one::OVER_TLS.contains(&fault.name)).collect(),
        Kind::Sentinel => sentinels::FAULTS.iter().collect(),
        Kind::Cluster => clusters::FAULTS.iter().collect(),
    }
}

/// All names, with what happens.
pub(crate) fn list() -> String {
    let of_kind = |kind: Kind| {
        let lines = of(kind).into_iter().map(|fault| format!("  {:<22} {}", fault.name, fault.what));
        format!("{}:\n{}", kind.name(), lines.collect::<Vec<_>>().join("\n"))
    };
    Kind::ALL.map(of_kind).join("\n")
}
