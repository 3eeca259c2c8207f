//! Servers that fail, refuse or hang, and processes that are killed.

mod connections;
mod deadline;
mod giant_values;
mod kill;
mod outage;
mod permissions;
mod settings;

use test_support::{Proxy, Server};

/// True if connections are encrypted.
const OVER_TLS: bool = false;

/// The server of the outages.
type OutageServer = Server;

/// A server, a proxy in front of it, and the URL of the proxy.
fn start(arguments: &[&str]) -> (OutageServer, Proxy, String) {
    let server = Server::with(arguments);
    let proxy = server.proxy();
    let url = proxy.url();
    (server, proxy, url)
}
