use std::time::Duration;

use redis_cached::Cache;
use test_support::{Cluster, PATIENCE, Server, eventually};

use crate::seed::{price, user};
use crate::{json, prints, run};

fn published(url: &str, namespace: &str) -> Cache {
    let builder = Cache::builder(url).unwrap().namespace(namespace).timeout(PATIENCE).client_name("shop-web");
    builder.publish_stats(Duration::from_secs(1)).build()
}

fn calls(url: &str, function: &str) -> Option<u64> {
    json(url, &["top", "-n", "eu"])["functions"][function]["calls"].as_u64()
}

#[test]
fn processes_that_publish_are_added_up() {
    let server = Server::start();
    let url = server.url();
    let none = "no process publishes its statistics: programs ask for it by `Builder::publish_stats`";
    prints(&url, &["top"], 1, none);

    // Two caches stand for two processes.
    let caches = [published(&url, "eu"), published(&url, "eu")];
    for cache in &caches {
        for _ in 0..5 {
            user(cache, 7, 1);
        }
        price(cache, 1);
    }
    eventually("both have published", || calls(&url, "shop:user") == Some(10));
    let document = json(&url, &["top", "-n", "eu"]);
    assert_eq!(document["processes"].as_array().unwrap().len(), 2, "{document}");
    assert_eq!(document["processes"][0]["program"], "shop-web", "{document}");
    assert_eq!(document["all"]["calls"], 12, "{document}");
    // Rates are those between the last two snapshots.
    eventually("there is a rate", || {
        caches.iter().for_each(|cache| drop(user(cache, 7, 1)));
        let (printed, code) = run(&url, &["top", "--once", "-n", "eu"]);
        code == 0 && printed.starts_with("2 processes, ") && printed.contains("100.0 % without a body")
    });
    println!("{}", run(&url, &["top", "--once", "-n", "eu"]).0);
    let left: i64 =
        server.cli(&["PTTL", server.cli(&["KEYS", "eu:#stats:*"]).lines().next().unwrap()]).parse().unwrap();
    assert!((1..=3000).contains(&left), "{left}");
    // They are no keys of others, and no entries.
    assert_eq!(json(&url, &["ls"])["foreign"], 0);

    drop(caches);
    eventually("they are forgotten", || run(&url, &["top", "-n", "eu"]).1 == 1);
}

#[test]
fn in_a_cluster() {
    let cluster = Cluster::start();
    let cache = published(&cluster.url(), "eu");
    price(&cache, 1);
    eventually("it has published", || calls(&cluster.url(), "shop:price") == Some(1));
}
