//! `rcached clear`: all entries of a function, of a prefix, or of a namespace.

use redis_cached_runtime::inspect::KeyName;

use super::open;
use super::removal::{Selection, remove};
use crate::args::Args;
use crate::outcome::{Failure, Outcome};
use crate::scan::{Check, Scan, escaped};

/// `of` is a function or a prefix; `None` is the whole namespace.
pub(super) fn run(args: &Args, of: Option<&str>, yes: bool) -> Outcome {
    if of.is_none() && args.namespace.is_empty() {
        let why = "--all needs --namespace: without one, keys of redis-cached are cleared by function or prefix";
        return Err(Failure::Usage(why.to_owned()));
    }
    let (cache, servers) = open(args)?;
    // Groups have the prefix in front, and the name of the function in their fields.
    let prefix = of.map(|of| of.split(':').next().unwrap_or_default());
    let begin = prefix.map(|prefix| format!("{prefix}:")).unwrap_or_default();
    let namespace = escaped(&args.namespace);
    // Without a namespace in the command line, only entries without one are meant.
    let covers = |name: &KeyName| name.namespace() == namespace && of.is_none_or(|of| is_of(&name.function(), of));
    let scan = Scan::of_prefix(&servers, args, &begin, Check::Whole(&covers));
    // A namespace in the command line is known to be one.
    let with_uncertain = !namespace.is_empty();
    remove(args, &cache, Selection { scan, covers: &covers, with_uncertain, with_stamps: of.is_none(), yes })
}

/// Returns true for the function itself, and for each one with this prefix.
fn is_of(function: &str, of: &str) -> bool {
    function == of || (!of.contains(':') && function.split_once(':').is_some_and(|(prefix, _)| prefix == of))
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_function_or_a_prefix_is_meant() {
        assert!(is_of("shop:user", "shop:user") && is_of("shop:user", "shop"));
        assert!(!is_of("shop:users", "shop:user") && !is_of("shop:user", "sho") && !is_of("shop:user", "shop:"));
    }
}
