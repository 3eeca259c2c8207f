//! `rcached doctor`: what the servers can do, and what is wrong with them.

mod permissions;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use redis_cached_runtime::inspect::{Node, Servers};
use serde::Serialize;

use super::open;
use crate::args::Args;
use crate::outcome::{Code, Outcome};
use crate::output::{self, count, size, time};
use crate::redis::{Replies, command, field, items, refusal, text, time as server_time};

/// The number of round trips whose times are taken.
const PINGS: usize = 20;

/// A round trip takes half of the default time-out of a cache.
const SLOW: Duration = Duration::from_millis(125);

/// A difference of clocks that is worth a word. It harms nothing: lifetimes are measured by the server's clock.
const CLOCKS: Duration = Duration::from_secs(2);

/// One finding.
#[derive(Serialize)]
struct Finding {
    server: String,
    check: &'static str,
    status: Status,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Ok,
    /// Something works less well than it could.
    Warning,
    /// Functions run uncached, or promises do not hold.
    Fault,
}

/// The findings about one server.
struct Examination<'a> {
    node: &'a Node,
    findings: Vec<Finding>,
}

pub(super) fn run(args: &Args) -> Outcome {
    let (_cache, servers) = open(args)?;
    let nodes = servers.nodes()?;
    let mut findings = Vec::new();
    for node in &nodes {
        let mut examination = Examination { node, findings: Vec::new() };
        examination.examine(&servers, &args.namespace)?;
        findings.append(&mut examination.findings);
    }
    let is_faulty = findings.iter().any(|finding| finding.status == Status::Fault);
    match args.json {
        true => output::json(&findings)?,
        false => output::print(&in_words(&nodes, &findings))?,
    }
    Ok(if is_faulty { Code::Negative } else { Code::Done })
}

fn in_words(nodes: &[Node], findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
    let mut parts: Vec<String> = nodes
        .iter()
        .map(|node| {
            let of_node = findings.iter().filter(|finding| finding.server == node.address());
            let lines = of_node.map(|finding| {
                let status = match finding.status {
                    Status::Ok => "ok     ",
                    Status::Warning => "warning",
                    Status::Fault => "FAULT  ",
                };
                format!("  {status}  {:width$}  {}", finding.check, finding.text)
            });
            format!("{}\n{}", node.address(), lines.collect::<Vec<_>>().join("\n"))
        })
        .collect();
    let number = |status| findings.iter().filter(|finding| finding.status == status).count() as u64;
    let (faults, warnings) = (number(Status::Fault), number(Status::Warning));
    parts.push(match (faults, warnings) {
        (0, 0) => "all is well".to_owned(),
        _ => format!(
            "{}, {}",
            output::counted(faults, "fault", "faults"),
            output::counted(warnings, "warning", "warnings")
        ),
    });
    parts.join("\n\n")
}

impl Examination<'_> {
    fn note(&mut self, check: &'static str, status: Status, text: impl Into<String>) {
        self.findings.push(Finding { server: self.node.address().to_owned(), check, status, text: text.into() });
    }

    fn examine(&mut self, servers: &Servers, namespace: &str) -> Outcome<()> {
        self.latency()?;
        let commands = ["server", "memory", "stats", "clients"].map(|section| command(&["INFO", section]));
        let mut replies = Replies::of(self.node.send(&commands))?;
        let mut info = String::new();
        for _ in 0..commands.len() {
            let reply = replies.next();
            if let Some(refusal) = refusal(&reply) {
                self.note("info", Status::Warning, format!("the user may not ask for INFO: {refusal}"));
                break;
            }
            info.push_str(&text(reply).unwrap_or_default());
        }
        self.version(&info);
        self.role()?;
        self.clock()?;
        self.memory(&info);
        self.connections(&info);
        self.permissions(namespace)?;
        self.tracking()?;
        if servers.are_cluster() {
            self.cluster()?;
        }
        Ok(())
    }

    fn latency(&mut self) -> Outcome<()> {
        let ping = [command(&["PING"])];
        // The first one connects.
        self.node.send(&ping)?;
        let mut times = Vec::new();
        for _ in 0..PINGS {
            let begun = Instant::now();
            self.node.send(&ping)?;
            times.push(begun.elapsed());
        }
        times.sort_unstable();
        let (median, longest) = (times[PINGS / 2], times[PINGS - 1]);
        let status = if longest > SLOW { Status::Warning } else { Status::Ok };
        self.note(
            "latency",
            status,
            format!("{} at the median, {} at most", time::duration(median), time::duration(longest)),
        );
        Ok(())
    }

    fn version(&mut self, info: &str) {
        let name = match (field(info, "valkey_version"), field(info, "redis_version")) {
            (Some(version), _) => format!("Valkey {version}"),
            (None, Some(version)) => format!("Redis {version}"),
            (None, None) => return self.note("version", Status::Warning, "unknown"),
        };
        let features = Node::features(info);
        let list = |has: bool| {
            let names = features.iter().filter(|(_, known)| *known == has).map(|(name, _)| *name);
            names.collect::<Vec<_>>().join(", ")
        };
        let text = match (list(true).as_str(), list(false).as_str()) {
            ("", without) => format!("{name}, without {without}: scripts take their place"),
            (with, "") => format!("{name}, with {with}"),
            (with, without) => format!("{name}, with {with}; without {without}: scripts take their place"),
        };
        self.note("version", Status::Ok, text);
    }

    fn role(&mut self) -> Outcome<()> {
        let reply = self.node.send(&[command(&["ROLE"])])?.into_iter().next().unwrap_or_default();
        if let Some(refusal) = refusal(&reply) {
            self.note("role", Status::Warning, format!("unknown: {refusal}"));
            return Ok(());
        }
        let mut parts = items(reply).into_iter();
        let role = parts.next().and_then(text).unwrap_or_default();
        let replicas = parts.nth(1).map(items).unwrap_or_default().len() as u64;
        match role.as_str() {
            "master" => self.note(
                "role",
                Status::Ok,
                format!("master, with {}", output::counted(replicas, "replica", "replicas")),
            ),
            other => self.note("role", Status::Fault, format!("{other}: a cache needs the master")),
        }
        Ok(())
    }

    fn clock(&mut self) -> Outcome<()> {
        let here = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let before = here();
        let reply = self.node.send(&[command(&["TIME"])])?.into_iter().next().unwrap_or_default();
        let after = here();
        if refusal(&reply).is_some() {
            self.note("clock", Status::Warning, "the user may not ask for TIME: the clock of each process counts");
            return Ok(());
        }
        let there = server_time(reply)?;
        let there = Duration::from_millis(there);
        // The server looked at its clock somewhere in between.
        let (offset, direction) = match (there < before, there > after) {
            (true, _) => (before - there, "behind"),
            (_, true) => (there - after, "ahead of"),
            _ => (Duration::ZERO, ""),
        };
        // The server's time is cut to a millisecond.
        if offset <= Duration::from_millis(1) {
            self.note("clock", Status::Ok, "that of this machine");
        } else {
            let status = if offset > CLOCKS { Status::Warning } else { Status::Ok };
            self.note(
                "clock",
                status,
                format!("{} {direction} that of this machine; lifetimes are measured by it", time::duration(offset)),
            );
        }
        Ok(())
    }

    fn memory(&mut self, info: &str) {
        let number = |name| field(info, name).and_then(|text| text.parse::<u64>().ok());
        let (Some(used), Some(most)) = (number("used_memory"), number("maxmemory")) else { return };
        let policy = field(info, "maxmemory_policy").unwrap_or("unknown");
        let evicted = number("evicted_keys").unwrap_or(0);
        let text =
            format!("{} of {}, {policy}", size(used), if most == 0 { "no limit".to_owned() } else { size(most) });
        match (most, policy) {
            (0, _) => self.note(
                "memory",
                Status::Warning,
                format!("{text}: set maxmemory, so that values are evicted before the system runs out"),
            ),
            (_, "noeviction") if used >= most => {
                self.note("memory", Status::Fault, format!("{text}: it is full, and nothing new is stored"));
            }
            (_, "noeviction") => {
                self.note(
                    "memory",
                    Status::Warning,
                    format!("{text}: once it is full, nothing new is stored; use volatile-lru or allkeys-lru"),
                );
            }
            _ => {
                self.note("memory", Status::Ok, format!("{text}, {} evicted", output::counted(evicted, "key", "keys")))
            }
        }
    }

    fn connections(&mut self, info: &str) {
        let number = |name| field(info, name).and_then(|text| text.parse::<u64>().ok());
        let (Some(open), Some(most)) = (number("connected_clients"), number("maxclients")) else { return };
        let status = if open * 10 >= most * 9 { Status::Warning } else { Status::Ok };
        self.note("connections", status, format!("{} of {}", count(open), count(most)));
    }

    /// Asks to end what was not begun, which has no effect.
    fn tracking(&mut self) -> Outcome<()> {
        let reply = self.node.send(&[command(&["CLIENT", "TRACKING", "OFF"])])?.into_iter().next().unwrap_or_default();
        match refusal(&reply) {
            None => self.note("tracking", Status::Ok, "the local tier hears of changes"),
            Some(refusal) => self.note("tracking", Status::Warning, format!("the local tier keeps nothing: {refusal}")),
        }
        Ok(())
    }

    fn cluster(&mut self) -> Outcome<()> {
        let reply = self.node.send(&[command(&["CLUSTER", "INFO"])])?.into_iter().next().unwrap_or_default();
        if let Some(refusal) = refusal(&reply) {
            self.note("cluster", Status::Warning, format!("unknown: {refusal}"));
            return Ok(());
        }
        let info = text(reply).unwrap_or_default();
        let number = |name| field(&info, name).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let (state, assigned, sound) = (
            field(&info, "cluster_state").unwrap_or("unknown"),
            number("cluster_slots_assigned"),
            number("cluster_slots_ok"),
        );
        let text = format!(
            "{state}, {} of 16,384 slots assigned, {} served, {} masters",
            count(assigned),
            count(sound),
            number("cluster_size")
        );
        let is_sound = state == "ok" && assigned == 16_384 && sound == assigned;
        self.note("cluster", if is_sound { Status::Ok } else { Status::Fault }, text);
        Ok(())
    }
}
