//! The command line.

use std::time::Duration;

use crate::faults;
use crate::place::Kind;

const HELP: &str = "\
Runs callers in several processes while their Redis fails, and judges each call. The servers are its own.

usage: redis-cached-soak [OPTION]…

  --minutes N       how long it runs, at least one round over all faults; 10 unless set
  --seconds N       the same in seconds
  --rounds N        so many rounds over all faults instead
  --kind KIND,…     server, tls, sentinel, cluster or all, which is the default
  --fault NAME,…    these faults alone
  --hold N          the seconds for which each fault goes on, 2 unless set
  --processes N     the number of processes with callers, 2 unless set
  --list            shows the names of the faults of each kind
  --help            shows this

The exit code is 1 if a call was wrong, stale outside of what the documentation names, hung or failed.
Ctrl-C ends it early, with the table so far.";

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    Time(Duration),
    Rounds(u64),
}

#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) length: Length,
    pub(crate) kinds: Vec<Kind>,
    /// Empty for all.
    pub(crate) faults: Vec<String>,
    /// The time for which a fault goes on.
    pub(crate) hold: Duration,
    pub(crate) processes: u64,
}

/// The thing that the command line asks for.
#[derive(Debug)]
pub(crate) enum Action {
    Run(Options),
    Say(String),
}

impl Options {
    /// Returns a sentence that says what is wrong with the arguments.
    pub(crate) fn parse(arguments: &[String]) -> Result<Action, String> {
        let mut options = Options {
            length: Length::Time(Duration::from_secs(600)),
            kinds: Kind::ALL.to_vec(),
            faults: Vec::new(),
            hold: Duration::from_secs(2),
            processes: 2,
        };
        let mut lengths = 0;
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (word.as_str(), None),
            };
            match name {
                "--help" | "-h" => return Ok(Action::Say(HELP.to_owned())),
                "--list" => return Ok(Action::Say(faults::list())),
                _ => {}
            }
            let mut value =
                || value.or_else(|| words.next().map(String::as_str)).ok_or(format!("{name} needs a value"));
            match name {
                "--minutes" => options.length = Length::Time(Duration::from_secs(60 * number(name, value()?)?)),
                "--seconds" => options.length = Length::Time(Duration::from_secs(number(name, value()?)?)),
                "--rounds" => options.length = Length::Rounds(number(name, value()?)?),
                "--kind" => options.kinds = kinds(value()?)?,
                "--fault" => options.faults = value()?.split(',').map(str::to_owned).collect(),
                "--hold" => options.hold = Duration::from_secs(number(name, value()?)?),
                "--processes" => options.processes = number(name, value()?)?.min(16),
                _ => return Err(format!("there is no option `{word}`; --help shows what there is")),
            }
            lengths += u64::from(matches!(name, "--minutes" | "--seconds" | "--rounds"));
        }
        if lengths > 1 {
            return Err("only one of --minutes, --seconds and --rounds says how long it runs".to_owned());
        }
        let known =
            |name: &&String| options.kinds.iter().any(|kind| faults::of(*kind).iter().any(|f| f.name == **name));
        match options.faults.iter().find(|name| !known(name)) {
            Some(name) => Err(format!("there is no fault `{name}` of these kinds; --list shows what there is")),
            None => Ok(Action::Run(options)),
        }
    }
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    match value.parse() {
        Ok(number @ 1..=100_000) => Ok(number),
        _ => Err(format!("{name} takes a number from 1 to 100000, and `{value}` is none")),
    }
}

fn kinds(value: &str) -> Result<Vec<Kind>, String> {
    if value == "all" {
        return Ok(Kind::ALL.to_vec());
    }
    let named = |name: &str| Kind::ALL.into_iter().find(|kind| kind.name() == name);
    let kind = |name| {
        named(name).ok_or(format!("--kind takes server, tls, sentinel, cluster or all, and `{name}` is none of these"))
    };
    value.split(',').map(kind).collect()
}
