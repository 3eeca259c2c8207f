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
    prints(&url, &["top"], 0, none);
    assert_eq!(json(&url, &["top"])["processes"], serde_json::json!([]));

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
    eventually("they are forgotten", || run(&url, &["top", "-n", "eu"]) == (format!("{none}\n"), 0));
}

/// What a key has that another program wrote is shown as far as it can be, and harms no other row.
#[test]
fn a_snapshot_with_any_numbers_and_names_is_shown() {
    let server = Server::start();
    let url = server.url();
    let max = u64::MAX;
    let counts = format!(
        r#"{{"local":{max},"hit":{max},"stale":{max},"shared":{max},"miss":{max},"bypass":{max},"saved_us":{max}}}"#
    );
    for pid in 1..=2 {
        let snapshot = format!(
            r#"{{"version":1,"host":"h","pid":{pid},"program":"p","recent_ms":1,"undelivered":{max},"functions":[
                {{"function":"shop:big\nshop:forged  1  2","total":{counts},"recent":{counts}}}]}}"#
        );
        server.cli(&["SET", &format!("#stats:h:{pid}"), &snapshot]);
    }
    let (printed, code) = run(&url, &["top", "--once"]);
    assert!(code == 0 && printed.starts_with("2 processes, ") && printed.contains("66.7 %"), "{printed}");
    let rows: Vec<&str> = printed.lines().skip(2).collect();
    assert!(rows.len() == 2 && rows[1].starts_with("shop:big\\u{a}shop:forged  1  2 "), "{printed}");
    let document = json(&url, &["top"]);
    assert_eq!(document["all"]["calls"], max, "{document}");
}

#[test]
fn in_a_cluster() {
    let cluster = Cluster::start();
    let cache = published(&cluster.url(), "eu");
    price(&cache, 1);
    eventually("it has published", || calls(&cluster.url(), "shop:price") == Some(1));
}
