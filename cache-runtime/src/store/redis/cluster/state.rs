//! The state of a cluster for both faces: its nodes, and the slots of each.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::refresh::Refresh;
use super::slots::{SlotMap, slot_of};
use super::table::{MOST, Table};
use super::topology::{Address, View};
use crate::error::{Error, Redirection};
use crate::store::redis::client::backlog::Backlog;
use crate::store::redis::client::{Client, Cluster, Membership};
use crate::store::redis::keeper::Keeper;
use crate::store::redis::server::Server;
use crate::store::redis::server::clock::Clock;
use crate::store::redis::server::endpoint::Endpoint;
use crate::store::redis::server::features::Features;
use crate::store::redis::settings::Settings;
use crate::store::url::{ClusterTarget, RedisTarget};

/// The interval at which a cluster in use is asked for its topology although nothing has failed.
const REFRESHED: Duration = Duration::from_secs(30);

/// A node that is, or was, a master, or that the URL names.
pub(super) struct Node {
    pub(super) client: Arc<Client>,
    pub(super) address: Address,
}

pub(super) struct ClusterState {
    pub(super) me: Weak<ClusterState>,
    pub(super) target: ClusterTarget,
    pub(super) settings: Settings,
    pub(super) keeper: Keeper,
    pub(super) backlog: Arc<Backlog>,
    pub(super) slots: SlotMap,
    nodes: Table<Node>,
    numbers: Mutex<HashMap<Address, u16>>,
    /// The nodes that the URL names.
    pub(super) seeds: Vec<u16>,
    pub(super) refresh: Refresh,
    /// The time of the next refresh without a cause, in the clock's ticks.
    refresh_due: AtomicU64,
    /// The clock of this process, for keys whose node is unknown.
    pub(super) clock: Clock,
    told_full: AtomicBool,
}

impl ClusterState {
    /// Neither connects nor blocks.
    pub(super) fn new(target: ClusterTarget, settings: &Settings) -> Arc<ClusterState> {
        Arc::new_cyclic(|me| {
            let mut state = ClusterState {
                me: Weak::clone(me),
                target,
                settings: settings.clone(),
                keeper: Keeper::default(),
                backlog: Arc::default(),
                slots: SlotMap::default(),
                nodes: Table::default(),
                numbers: Mutex::default(),
                seeds: Vec::new(),
                refresh: Refresh::default(),
                refresh_due: AtomicU64::new(0),
                clock: Clock::new(),
                told_full: AtomicBool::new(false),
            };
            let addresses = state.target.seeds.iter().filter_map(RedisTarget::address);
            state.seeds = addresses.filter_map(|(host, port)| state.node_at(host, port)).collect();
            state
        })
    }

    pub(super) fn node(&self, number: u16) -> Option<&Node> {
        self.nodes.get(number)
    }

    /// All nodes that were ever known.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        (0..).map_while(|number| self.node(number))
    }

    /// The number of the node at an address, which is noted if it is new.
    pub(super) fn node_at(&self, host: &str, port: u16) -> Option<u16> {
        let mut numbers = self.numbers.lock().unwrap_or_else(PoisonError::into_inner);
        let address: Address = (host.into(), port);
        if let Some(number) = numbers.get(&address) {
            return Some(*number);
        }
        let number = u16::try_from(numbers.len()).ok().filter(|number| usize::from(*number) < MOST);
        let made =
            number.and_then(|number| self.nodes.get_or_make(number, || self.made(number, &address)).map(|_| number));
        match made {
            Some(number) => drop(numbers.insert(address, number)),
            None if !self.told_full.swap(true, Relaxed) => {
                tracing::warn!(node = %Shown(&address), "a node of the Redis cluster cannot be used");
            }
            None => {}
        }
        made
    }

    fn made(&self, number: u16, address: &Address) -> Option<Node> {
        // The host may be unfit for a certificate.
        let target = self.target.node(&address.0, address.1).ok()?;
        let name = target.to_string();
        let endpoint = Endpoint::new(target, &self.settings);
        let server = Server::new(name, endpoint, self.settings.timeout, self.settings.breaker).in_cluster();
        // A node refuses keys of several slots in one command, even if it has all of them.
        server.deny(Features::MANY_KEYS);
        let membership = Membership { cluster: Weak::<ClusterState>::clone(&self.me), node: number };
        Some(Node {
            client: Client::of_node(server, self.keeper.clone(), &self.backlog, membership),
            address: address.clone(),
        })
    }

    /// The number of the node that a node sends a request to, if it tells one.
    pub(super) fn target_of(&self, redirection: &Redirection, asked: u16) -> Option<u16> {
        match redirection.host.as_deref()? {
            "" => self.node_at(&self.node(asked)?.address.0, redirection.port),
            host => self.node_at(host, redirection.port),
        }
    }

    /// Notes the topology.
    pub(super) fn apply(&self, view: &View) {
        let mut changed = false;
        for range in view.ranges() {
            let Some(node) = self.node_at(&range.owner.0, range.owner.1) else { continue };
            changed |= self.gains(node, range.first..=range.last);
        }
        self.slots.set_known();
        if changed {
            self.refresh.changed();
        }
    }

    /// Notes the node of slots. Returns true if some had another one before.
    pub(super) fn gains(&self, node: u16, slots: RangeInclusive<u16>) -> bool {
        let mut gains = false;
        for slot in slots {
            gains |= self.slots.set(slot, node);
        }
        if gains {
            self.lose_slots_to(node);
        }
        if let Some(node) = self.node(node).filter(|node| gains && node.client.server.health.is_down()) {
            node.client.server.health.trust();
        }
        gains
    }

    /// Ends what vouches for the slots of the other nodes: one of them lost some, which it tells no client.
    fn lose_slots_to(&self, _gaining: u16) {
        #[cfg(feature = "local")]
        for node in self.slots.nodes().into_iter().filter(|node| *node != _gaining) {
            if let Some(link) = self.node(node).and_then(|node| node.client.link.get()) {
                link.lose();
            }
        }
    }

    /// The client of the node that has the key with this name, as far as is known.
    #[cfg(feature = "local")]
    pub(super) fn client_of(&self, name: &str) -> Option<&Arc<Client>> {
        Some(&self.node(self.slots.owner(slot_of(name))?)?.client)
    }

    /// Asks for a refresh if the last one is long ago. The deadline of an operation serves as the time.
    pub(super) fn refresh_if_due(&self, by: Instant) {
        let now = self.clock.ticks_at(by);
        let due = self.refresh_due.load(Relaxed);
        let next = now + REFRESHED.as_millis() as u64;
        if now >= due && self.refresh_due.compare_exchange(due, next, Relaxed, Relaxed).is_ok() && due != 0 {
            self.refresh_soon();
        }
    }

    /// The error of a slot that no node is known to have.
    pub(super) fn unserved(slot: u16) -> Error {
        Error::new(crate::error::ErrorKind::Cluster, format!("no node is known to have the hash slot {slot}"))
    }
}

impl Cluster for ClusterState {
    fn wake(&self, is_urgent: bool) {
        self.deliver_in_background(is_urgent);
    }

    fn suspects(&self) {
        self.refresh_soon();
    }

    fn has(&self, node: u16, name: &str) -> bool {
        self.slots.owner(slot_of(name)) == Some(node)
    }

    fn serves(&self, node: u16) -> bool {
        self.slots.nodes().contains(&node)
    }
}

struct Shown<'a>(&'a Address);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.0.0, self.0.1)
    }
}
