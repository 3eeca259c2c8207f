//! Keys that may be of two namespaces: `shop:a:1` is an entry of the function `shop:a`, or one of `a:1` in the namespace
//! `shop`.

use redis_cached::{Cache, redis_cached};
use test_support::{Gate, Server, in_time};

use crate::seed::{cache, price, price_entry, slow, slow_entry, user, user_entry};
use crate::{json, prints, run};

/// Of more than a megabyte.
#[redis_cached(prefix = "shop", name = "big", cache = cache, skip(cache))]
fn big(cache: &Cache, id: u64) -> String {
    id.to_string().repeat(3_000_000)
}

#[redis_cached(prefix = "a", name = "big", cache = cache, skip(cache))]
fn a_big(cache: &Cache, id: u64) -> String {
    id.to_string().repeat(3_000_000)
}

/// More than `ls` reads to find out a namespace.
#[redis_cached(prefix = "a", name = "huge", cache = cache, skip(cache))]
fn a_huge(cache: &Cache, id: u64) -> String {
    id.to_string().repeat(5_000_000)
}

#[redis_cached(prefix = "a", name = "b", cache = cache, skip(cache))]
fn a_b(cache: &Cache, id: u64) -> u64 {
    id
}

#[redis_cached(prefix = "shop", name = "a", cache = cache, skip(cache))]
fn shop_a(cache: &Cache, id: u64, name: &str) -> String {
    format!("{id} {name}")
}

fn caches(server: &Server) -> (String, Cache, Cache) {
    let url = server.url();
    (url.clone(), cache(&url, ""), cache(&url, "shop"))
}

#[test]
fn a_large_value_of_another_namespace_stays() {
    let server = Server::start();
    let (url, here, shop) = caches(&server);
    big(&shop, 1);
    for id in 1..=3 {
        user(&here, 7, id);
    }
    prints(&url, &["clear", "shop", "--yes"], 0, "3 of 3 entries removed:\n  shop:user  3");
    assert!(big_entry(&shop, 1).get().unwrap().is_some(), "another namespace");
    assert!(user_entry(&here, 7, 1).get().unwrap().is_none());

    big(&here, 1);
    prints(&url, &["clear", "shop:big", "--yes"], 0, "1 of 1 entry removed:\n  shop:big  1");
    assert!(big_entry(&here, 1).get().unwrap().is_none() && big_entry(&shop, 1).get().unwrap().is_some());
}

#[test]
fn each_key_is_decided_by_itself() {
    for _ in 0..3 {
        let server = Server::start();
        let (url, here, shop) = caches(&server);
        for id in 1..=3 {
            a_b(&shop, id);
            shop_a(&here, id, "x");
        }
        a_big(&shop, 1);
        let listed = json(&url, &["ls"]);
        let rows: Vec<String> = listed["functions"].as_array().unwrap().iter().map(row).collect();
        assert_eq!(rows, [" shop:a 3", "shop a:b 3", "shop a:big 1"], "{listed}");
        assert_eq!(json(&url, &["ls", "-n", "shop"])["functions"].as_array().unwrap().len(), 2);

        let (dry, _) = run(&url, &["clear", "shop"]);
        assert!(dry.starts_with("3 entries would be removed:\n  shop:a  3\n"), "{dry}");
        prints(&url, &["clear", "shop", "--yes"], 0, "3 of 3 entries removed:\n  shop:a  3");
        assert!((1..=3).all(|id| a_b_entry(&shop, id).get().unwrap().is_some()));
        assert!(a_big_entry(&shop, 1).get().unwrap().is_some());
        prints(&url, &["clear", "shop", "--yes"], 0, "nothing of redis-cached matches");

        shop_a(&here, 1, "x");
        let expected = "4 of 4 entries removed:\n  shop:a:b  3\n  shop:a:big  1";
        prints(&url, &["-n", "shop", "clear", "--all", "--yes"], 0, expected);
        assert!(shop_a_entry(&here, 1, "x").get().unwrap().is_some(), "it has no namespace");
        prints(&url, &["-n", "shop", "invalidate", "--match", "*", "--yes"], 0, "nothing of redis-cached matches");
        prints(&url, &["-n", "shop", "ls"], 0, "nothing is stored");
    }
}

fn row(row: &serde_json::Value) -> String {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    format!("{} {} {}", text("namespace"), text("function"), row["entries"])
}

/// A lease has no checksum, and so nothing tells its namespace.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_stays_unless_its_namespace_is_named() {
    let server = Server::start();
    let (url, here, shop) = caches(&server);
    let gate = Gate::closed();
    price(&here, 1);
    let (_, _, ()) = tokio::join!(slow(&shop, &gate, 1), slow(&here, &gate, 1), async {
        in_time("the bodies run", async || gate.entered() == 2).await;
        let listed = json(&url, &["ls", "shop:slow"]);
        assert_eq!(listed["functions"][0]["namespace_uncertain"], 1, "{listed}");
        let expected = "1 of 1 entry removed:
  shop:price  1
2 entries are left alone: the first part of the key may be a namespace, and the content does not tell.
`invalidate` removes what it names, and `invalidate --match` all that matches. For example:
  shop:shop:slow:1
  shop:slow:1";
        prints(&url, &["clear", "shop", "--yes"], 0, expected);
        assert_eq!(json(&url, &["clear", "shop"])["uncertain"], 2);
        let (dry, _) = run(&url, &["clear", "shop:slow"]);
        assert!(dry.starts_with("nothing would be removed\n1 entry is left alone: "), "{dry}");
        prints(&url, &["-n", "shop", "clear", "shop:slow", "--yes"], 0, "1 of 1 entry removed:\n  shop:shop:slow  1");
        gate.open();
    });
    assert_eq!(slow_entry(&shop, 1).get().await.unwrap(), None, "it was voided");
    assert_eq!(slow_entry(&here, 1).get().await.unwrap(), Some(1), "it was not");
    assert_eq!(price_entry(&here, 1).get().unwrap(), None);
}

/// A value that is too large to be read counts with those that tell their namespaces.
#[test]
fn large_values_are_listed_with_others() {
    let server = Server::start();
    let (url, here, shop) = caches(&server);
    let rows = || {
        let listed = json(&url, &["ls"]);
        listed["functions"].as_array().unwrap().iter().map(row).collect::<Vec<_>>()
    };
    a_huge(&shop, 1);
    assert_eq!(rows(), [" shop:a 1"], "nothing tells");
    assert_eq!(json(&url, &["ls"])["functions"][0]["namespace_uncertain"], 1);
    a_b(&shop, 1);
    assert_eq!(rows(), ["shop a:b 1", "shop a:huge 1"]);
    shop_a(&here, 1, "x");
    assert_eq!(rows(), [" shop:a 2", "shop a:b 1"], "both are there");
    // What removes is sure of each.
    prints(&url, &["clear", "shop", "--yes"], 0, "1 of 1 entry removed:\n  shop:a  1");
    assert_eq!(rows(), ["shop a:b 1", "shop a:huge 1"]);
}
