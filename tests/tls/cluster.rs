//! A cluster whose nodes speak TLS.

use test_support::{Cluster, slot_of};

#[test]
fn its_nodes_speak_tls() {
    let cluster = Cluster::over_tls();
    let key = "{s}";
    let moved = cluster.replica_of(cluster.master_of(key)).cli(&["GET", key]);
    assert!(moved.contains("Moved"), "{moved}");
    let master = cluster.master_of(key);
    assert_eq!(master.cli(&["SET", key, "1"]), "OK");
    let to = cluster.other_master(master);
    cluster.migrate_slot(slot_of(key), to);
    assert_eq!(to.cli(&["GET", key]), "1");
}
