//! Ports for servers.
//!
//! A server that is started again must find its port free. Therefore ports lie below those that the system gives to
//! connections, and to listeners that do not choose one. Tests of other processes look for ports at the same time: a port is
//! held against them by a UDP socket of the same number, for which servers have no use.

use std::collections::BTreeMap;
use std::net::{TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// The port of a node's bus lies that far above the one for clients.
const BUS: u16 = 10_000;

const FIRST: u16 = 10_000;
const LAST: u16 = 31_999;

/// The ports that this process was given, and the sockets that hold them. Those of a bus are with the other port.
static GIVEN: Mutex<BTreeMap<u16, Vec<UdpSocket>>> = Mutex::new(BTreeMap::new());

/// A port on which nothing listens, and another one at each call: tests find the log lines of a server by its port. This
/// process holds it until it is released.
pub fn free_port() -> u16 {
    loop {
        let port = random(FIRST, LAST);
        if hold(&[port]) {
            return port;
        }
    }
}

/// A free port for a node of a cluster, whose bus has one, too.
pub(crate) fn free_ports() -> u16 {
    loop {
        let port = random(FIRST, LAST - BUS);
        if hold(&[port, port + BUS]) {
            return port;
        }
    }
}

/// Lets tests of other processes use the port of a server that is gone, and that of its bus.
pub(crate) fn release(port: u16) {
    given().entry(port).and_modify(Vec::clear);
}

/// Holds the ports, if all of them are free.
fn hold(ports: &[u16]) -> bool {
    let mut given = given();
    let holder = |port: &u16| {
        let is_free = !given.contains_key(port) && TcpListener::bind(("127.0.0.1", *port)).is_ok();
        if is_free { UdpSocket::bind(("127.0.0.1", *port)).ok() } else { None }
    };
    let Some(mut holders) = ports.iter().map(holder).collect::<Option<Vec<_>>>() else { return false };
    for port in ports {
        given.insert(*port, std::mem::take(&mut holders));
    }
    true
}

fn given() -> MutexGuard<'static, BTreeMap<u16, Vec<UdpSocket>>> {
    GIVEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number from `first` to `last`. Processes that ask at the same time get different ones, as a rule.
fn random(first: u16, last: u16) -> u16 {
    static STATE: AtomicU64 = AtomicU64::new(0);
    let seed = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    let step = STATE.fetch_add(0x9e37_79b9_7f4a_7c15, SeqCst).wrapping_add(seed ^ u64::from(std::process::id()) << 32);
    let noise = (step ^ step >> 31).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40;
    first + (noise % u64::from(last - first + 1)) as u16
}
