//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

/// Shows what the caches of redis-cached hold, explains an entry, and invalidates.
#[derive(Debug, Parser)]
#[command(
    name = "rcached",
    version,
    max_term_width = 100,
    after_help = "\
Exit codes:
  0  done; a dry run, too
  1  nothing is stored there, or the doctor found a fault
  2  the command line or the URL cannot be used
  3  the server was not reached, or refused
  4  the key is not this library's: nothing was touched"
)]
pub(crate) struct Args {
    /// The URL of the cache, as `Cache::builder` takes it: redis://, rediss://, redis-cluster://, redis-sentinel://, …
    #[arg(
        short,
        long,
        global = true,
        env = "REDIS_URL",
        hide_env_values = true,
        default_value = "redis://127.0.0.1:6379"
    )]
    pub(crate) url: String,

    /// The namespace of the cache. Without one, `ls` and `show` find out the namespace of each entry
    #[arg(short, long, global = true, default_value = "", hide_default_value = true)]
    pub(crate) namespace: String,

    /// Print JSON, for scripts
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The seconds that one round trip may take
    #[arg(long, global = true, default_value = "5", value_parser = seconds, value_name = "SECONDS")]
    pub(crate) timeout: Duration,

    /// The milliseconds between two steps of a scan, of a thousand keys each, so that other clients are served
    #[arg(long, global = true, default_value = "2", value_parser = millis, value_name = "MILLISECONDS")]
    pub(crate) pace: Duration,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List functions: entries, leases, sizes, ages, lifetimes and durations of bodies
    Ls {
        /// Only keys that begin with this text, after the namespace
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
    },
    /// Explain what is stored under a key, as redis-cli and `Entry::key` show it; `HASH FIELD` for an entry of a group
    Show {
        /// The whole key, with its namespace. A hash and its field may be two arguments
        #[arg(required = true, num_args = 1..=2)]
        key: Vec<String>,
        /// A tag that the arguments give to the entry: its stamp is compared. May be repeated
        #[arg(long = "tag")]
        tags: Vec<String>,
        /// Print the whole payload, however large
        #[arg(long)]
        full: bool,
    },
    /// List the computations and refreshes under way
    Leases {
        /// Only keys that begin with this text, after the namespace
        #[arg(default_value = "", hide_default_value = true)]
        prefix: String,
    },
    /// Invalidate entries, groups or tags, by the verbs of the protocol: computations under way are voided, too
    #[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
    Invalidate {
        /// Whole keys of entries or groups, with their namespace; `"HASH FIELD"` for an entry of a group
        #[arg(group = "what")]
        keys: Vec<String>,
        /// A group: its prefix, a `:`, and what the attribute's `group` makes
        #[arg(long = "group", group = "what", value_name = "GROUP")]
        groups: Vec<String>,
        /// A tag, as the attribute makes it
        #[arg(long = "tag", group = "what", value_name = "TAG")]
        tags: Vec<String>,
        /// All entries and groups whose keys match the pattern, after the namespace. Without --yes, a dry run
        #[arg(long = "match", group = "what", value_name = "GLOB")]
        pattern: Option<String>,
        /// Carry out --match
        #[arg(long)]
        yes: bool,
    },
    /// Remove all entries of a function or a prefix. Without --yes, a dry run
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Clear {
        /// A function, `PREFIX:NAME`, or a PREFIX
        #[arg(group = "which")]
        of: Option<String>,
        /// Everything in the namespace, which has to be named, stamps of tags included
        #[arg(long, group = "which")]
        all: bool,
        /// Carry it out
        #[arg(long)]
        yes: bool,
    },
    /// Show the calls of all processes that publish their statistics, function by function, as they come
    Top {
        /// Print them once. The same if the output is no terminal
        #[arg(long)]
        once: bool,
        /// The seconds between two looks
        #[arg(long, default_value = "2", value_parser = seconds, value_name = "SECONDS")]
        interval: Duration,
    },
    /// Check the servers: version, role, latency, clock, memory policy, permissions, tracking, slots
    Doctor,
    /// Print a script with completions for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or write one for each command into a folder
    Man {
        /// The folder
        directory: Option<PathBuf>,
    },
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().map_err(|error| error.to_string())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() && seconds <= 3600.0 => Ok(duration),
        _ => Err("a number of seconds above 0, and at most 3600".to_owned()),
    }
}

fn millis(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(millis @ 0..=60_000) => Ok(Duration::from_millis(millis)),
        _ => Err("a number of milliseconds of at most 60000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
