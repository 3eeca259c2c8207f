use test_support::Cluster;

use crate::seed::{cache, fill, price, price_entry, seat_entry, user_entry};
use crate::{json, run};

/// What holds on one server holds on all masters together.
#[test]
fn all_masters_are_asked() {
    let cluster = Cluster::start();
    let url = cluster.url();
    let cache = cache(&url, "");
    fill(&cache);
    for id in 0..300 {
        price(&cache, id);
    }
    let listed = json(&url, &["ls"]);
    let values = |function: &str| {
        let functions = listed["functions"].as_array().unwrap();
        functions.iter().find(|row| row["function"] == function).unwrap()["values"].as_u64().unwrap()
    };
    assert_eq!((values("shop:price"), values("shop:user"), values("shop:seat")), (300, 3, 3), "{listed}");
    assert_eq!(listed["stamps"], 3, "{listed}");

    // An entry and the stamps of its tags may be at several nodes.
    let shown = json(&url, &["show", "shop:report:red%2Cblue"]);
    assert_eq!(shown["value"]["tags"][0]["state"], "valid", "{shown}");
    for id in 1..=3 {
        let shown = json(&url, &["show", &format!("shop:user:7:{id}"), "--tag", "org:7"]);
        assert_eq!(shown["value"]["tags"][0]["state"], "valid", "{shown}");
    }
    assert_eq!(json(&url, &["invalidate", "--tag", "org:7", "--group", "shop:class:1"])[1]["was_there"], true);
    assert!(user_entry(&cache, 7, 1).get().unwrap().is_none() && seat_entry(&cache, 1, 1).get().unwrap().is_none());

    let (cleared, code) = run(&url, &["clear", "shop:price", "--yes"]);
    assert_eq!((cleared.as_str(), code), ("300 of 300 entries removed:\n  shop:price  300\n", 0));
    assert_eq!(price_entry(&cache, 1).get().unwrap(), None);

    let (doctor, code) = run(&url, &["doctor"]);
    println!("{doctor}");
    assert_eq!(
        (doctor.matches("ok, 16,384 of 16,384 slots assigned, 16,384 served, 3 masters").count(), code),
        (3, 0),
        "{doctor}"
    );
}

#[test]
fn a_slot_that_has_moved_is_followed() {
    let cluster = Cluster::start();
    let url = cluster.url();
    let cache = cache(&url, "");
    price(&cache, 1);
    let key = "shop:price:1";
    let to = cluster.other_master(cluster.master_of(key));
    cluster.migrate_slot(test_support::slot_of(key), to);
    assert_eq!(json(&url, &["show", key])["kind"], "value");
    assert_eq!(json(&url, &["invalidate", key])[0]["was_there"], true);
}
