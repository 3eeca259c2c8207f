use test_support::Server;

use crate::seed::{cache, fill};
use crate::{json, prints, run};

#[test]
fn functions_are_listed() {
    let server = Server::start();
    let url = server.url();
    prints(&url, &["ls"], 0, "nothing is stored");

    fill(&cache(&url, ""));
    fill(&cache(&url, "eu"));
    server.cli(&["SET", "session:1", "x"]);
    server.cli(&["RPUSH", "shop:queue:1", "x"]);
    server.cli(&["SET", "plain", "x"]);
    let (printed, code) = run(&url, &["ls"]);
    println!("{printed}");
    assert_eq!(code, 0);
    // The first columns: times differ.
    let columns: Vec<String> = printed
        .lines()
        .take(11)
        .map(|line| {
            line.split_whitespace().take(if line.contains("(in") { 8 } else { 6 }).collect::<Vec<_>>().join(" ")
        })
        .collect();
    assert_eq!(
        columns,
        [
            "FUNCTION ENTRIES VALUES LEASES REFRESHING STALE",
            "shop:nick 3 3 0 0 0",
            "shop:price 3 3 0 0 0",
            "shop:report 1 1 0 0 0",
            "shop:seat (in groups) 3 3 0 0 0",
            "shop:user 3 3 0 0 0",
            "eu:shop:nick 3 3 0 0 0",
            "eu:shop:price 3 3 0 0 0",
            "eu:shop:report 1 1 0 0 0",
            "eu:shop:seat (in groups) 3 3 0 0 0",
            "eu:shop:user 3 3 0 0 0",
        ]
    );
    assert!(printed.ends_with("\n\n6 tags, 3 keys that are not of redis-cached\n"), "{printed}");
}

#[test]
fn a_namespace_or_a_prefix_is_listed() {
    let server = Server::start();
    let url = server.url();
    fill(&cache(&url, ""));
    fill(&cache(&url, "eu"));
    let listed = json(&url, &["ls", "--namespace", "eu", "shop:u"]);
    let functions = listed["functions"].as_array().unwrap();
    assert_eq!(functions.len(), 1, "{listed}");
    let user = &functions[0];
    assert_eq!(
        (&user["namespace"], &user["function"], &user["values"]),
        (&"eu".into(), &"shop:user".into(), &3.into())
    );
    assert!(user["stored_bytes"].as_u64().unwrap() > 3 * 112, "{user}");
    assert!(user["memory_bytes"].as_u64() > user["stored_bytes"].as_u64(), "{user}");
    assert!(user["ttl_left_p50_ms"].as_u64().unwrap() <= 3_600_000, "{user}");
    assert_eq!(listed["foreign"], 0);

    let negative = json(&url, &["ls", "shop:nick"]);
    assert_eq!(negative["functions"][0]["negative"], 2, "{negative}");
    assert_eq!(json(&url, &["ls", "shop:price"])["functions"][0]["ttl_left_p50_ms"], serde_json::Value::Null);
    prints(&url, &["ls", "none"], 0, "nothing is stored that begins with `none`");
}

#[test]
fn many_keys_are_listed_in_steps() {
    let server = Server::start();
    let cache = cache(&server.url(), "");
    for id in 0..2500 {
        crate::seed::price(&cache, id);
    }
    for id in 0..700 {
        crate::seed::seat(&cache, 1, id);
    }
    let listed = json(&server.url(), &["ls", "--pace", "0"]);
    assert_eq!(listed["functions"][0]["values"], 2500, "{listed}");
    assert_eq!(listed["functions"][1]["values"], 700, "{listed}");
}
