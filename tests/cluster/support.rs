//! The cluster that the other tests use does what they ask of it.

use test_support::{Cluster, ClusterClient, Mode, Proxy, slot_of};

/// The value that a node has for a key, and where another has it.
fn get(cluster: &Cluster, key: &str) -> Vec<String> {
    cluster.nodes().iter().map(|node| node.cli(&["GET", key])).collect()
}

#[test]
fn slots_are_those_of_the_server() {
    let node = &Cluster::shared().nodes()[0];
    for key in ["", "a", "shop:users.user:42", "{a}:ahead", "{}x", "x{y", "é", "a{b{c}d}"] {
        assert_eq!(slot_of(key).to_string(), node.cli(&["CLUSTER", "KEYSLOT", key]), "{key}");
    }
}

#[test]
fn a_slot_moves_in_steps() {
    let cluster = Cluster::start();
    let (slot, from) = (slot_of("{s}"), cluster.master_of("{s}"));
    assert_eq!(from.cli(&["SET", "{s}", "1"]), "OK");
    assert_eq!(from.cli(&["SET", "{s}:2", "2"]), "OK");
    let to = cluster.other_master(from);
    let migration = cluster.begin_migration(slot, to);
    assert_eq!(from.cli(&["GET", "{s}"]), "1");
    assert!(from.cli(&["GET", "{s}:3"]).contains("Ask"), "{:?}", get(&cluster, "{s}:3"));
    migration.move_key("{s}");
    // Redis 6.2 sends to the other node, which has not all of them either.
    let both = from.cli(&["MGET", "{s}", "{s}:2"]);
    assert!(both.contains("TryAgain") || both.contains("Ask"), "{both}");
    migration.move_keys();
    migration.finish();
    assert_eq!(cluster.owner(slot).id(), to.id());
    assert_eq!(to.cli(&["MGET", "{s}", "{s}:2"]), "1\n2");
    cluster.migrate_slot(slot, from);
    assert_eq!(from.cli(&["MGET", "{s}", "{s}:2"]), "1\n2");
    cluster.settle();
}

#[test]
fn replicas_take_over() {
    let cluster = Cluster::alert();
    let master = cluster.master_of("{s}");
    let replica = cluster.replica_of(master);
    println!("promoted after {:?}", cluster.failover(replica));
    cluster.settle();
    assert_eq!(cluster.master_of("{s}").id(), replica.id());
    assert_eq!(cluster.replica_of(replica).id(), master.id());

    replica.kill();
    cluster.await_promotion(master);
    replica.restart();
    cluster.settle();
    assert_eq!(cluster.replica_of(master).id(), replica.id());

    master.freeze();
    cluster.await_promotion(replica);
    master.thaw();
    cluster.settle();
    assert_eq!(cluster.master_of("{s}").id(), replica.id());
}

#[test]
fn a_proxy_stands_before_one_node() {
    let cluster = Cluster::start();
    let [first, second, ..] = &*cluster.masters() else { panic!("there are three") };
    let proxy = first.proxy(&cluster);
    let key =
        ["a", "b", "c", "d", "e", "f", "g", "h"].into_iter().find(|key| cluster.master_of(key).id() == first.id());
    let moved = second.cli(&["GET", key.unwrap()]);
    assert!(moved.ends_with(&format!("127.0.0.1:{}", proxy.port())), "{moved}");
}

#[test]
fn a_client_follows_redirections() {
    let cluster = Cluster::start();
    let mut client = ClusterClient::of(&cluster.url());
    let mut incremented =
        |count: i64| assert_eq!(client.run("{s}", redis::cmd("INCR").arg("{s}")), redis::Value::Int(count));
    incremented(1);
    let migration = cluster.begin_migration(slot_of("{s}"), cluster.other_master(cluster.master_of("{s}")));
    incremented(2);
    migration.move_key("{s}");
    incremented(3);
    migration.finish();
    incremented(4);
    cluster.failover(cluster.replica_of(cluster.master_of("{s}")));
    incremented(5);
}

#[test]
fn a_proxy_lies_about_slots() {
    let cluster = Cluster::shared();
    let node = &cluster.nodes()[0];
    let (one, other) = (cluster.owner(0).port(), cluster.owner(16_383).port());
    let proxy = Proxy::to(node.port());
    let slots = |port: u16| -> Vec<Vec<redis::Value>> {
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        redis::cmd("CLUSTER").arg("SLOTS").query(&mut client.get_connection().unwrap()).unwrap()
    };
    let first = |slots: &[Vec<redis::Value>]| {
        format!("{:?}", slots.iter().find(|range| range[0] == redis::Value::Int(0)).unwrap()[2])
    };
    assert!(first(&slots(proxy.port())).contains(&one.to_string()));
    proxy.set(Mode::SwapPorts(one, other));
    assert!(first(&slots(proxy.port())).contains(&other.to_string()));
}
