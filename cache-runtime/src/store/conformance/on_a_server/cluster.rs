//! The suite over the nodes of a cluster.

use test_support::Cluster as Nodes;

use super::*;
use crate::store::redis::cluster::Cluster;

fn cluster(nodes: &Nodes) -> Cluster {
    match parse(&nodes.url()).unwrap() {
        Target::Cluster(target) => Cluster::new(*target, &Settings::with_timeout(Duration::from_secs(20))),
        other => unreachable!("{other:?}"),
    }
}

/// The node that has a slot, or its hash.
fn server<'a>(nodes: &'a Nodes, key: &Key) -> &'a Server {
    let name = key.as_str().split_once(' ').map_or(key.as_str(), |(hash, _)| hash);
    nodes.master_of(name).server()
}

fn nothing_ahead(nodes: &Nodes) {
    nodes.masters().into_iter().for_each(|node| super::nothing_ahead(node.server()));
}

#[test]
fn blocking() {
    let nodes = Nodes::start();
    let cluster = cluster(&nodes);
    for grouped in [false, true] {
        GROUPED.set(grouped);
        block_on(suite(cluster.blocking(), &|key| expiry(server(&nodes, key), key)));
        nothing_ahead(&nodes);
        block_on(many::another_type_is_told_of_its_slot_alone(cluster.blocking(), |key| {
            spoil(server(&nodes, key), key)
        }));
    }
}

#[test]
fn tokio() {
    let nodes = Nodes::start();
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = cluster(&nodes);
    for grouped in [false, true] {
        GROUPED.set(grouped);
        runtime.block_on(suite(cluster.tokio(), &|key| expiry(server(&nodes, key), key)));
        nothing_ahead(&nodes);
        let spoil = |key: &Key| spoil(server(&nodes, key), key);
        runtime.block_on(many::another_type_is_told_of_its_slot_alone(cluster.tokio(), spoil));
    }
}
