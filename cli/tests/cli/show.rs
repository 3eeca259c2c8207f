use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::Request;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router, routing};
use redis_cached::{Cache, Invalidation, redis_cached};
use test_support::{Gate, Server, eventually, in_time};
use tower::ServiceExt;

use crate::seed::{brief, brief_entry, cache, fill, slow, terms, user};
use crate::{json, prints, run};

#[test]
fn a_value_in_json_is_explained() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), "eu"));
    fill(&cache);
    prints(
        &url,
        &["show", "eu:shop:user:7:1", "--tag", "org:7"],
        0,
        r#"eu:shop:user:7:1
  a value that is fresh for another TIME

function     shop:user
namespace    eu
kind         an entry
computed     in TIME, begun TIME ago (DATE)
filled       TIME ago (DATE)
fresh until  in TIME (DATE)
expires      in TIME
refresh      none
codec        json
version      0
fingerprint  HEX
checksum     fits
id           HEX
tags         org:7: valid, their stamps are as they were
stored       155 B (155 bytes), 43 of them payload; MEMORY

payload (json)
{
  "name": "user 1",
  "age": 30,
  "tags": [
    "org 7"
  ]
}"#,
    );
    let (unknown, _) = run(&url, &["show", "eu:shop:user:7:1"]);
    assert!(
        unknown.contains("tags         of the arguments, which are not in the value; --tag compares the stamps\n"),
        "{unknown}"
    );
    let (other, _) = run(&url, &["show", "eu:shop:user:7:1", "--tag", "org:8"]);
    assert!(other.contains("a value whose tag was invalidated: a call takes it for a miss"), "{other}");

    cache.blocking().invalidate_tag("org:7").unwrap();
    let (gone, _) = run(&url, &["show", "eu:shop:user:7:1", "--tag", "org:7"]);
    assert!(gone.contains("tags         org:7: gone, or not all of its tags\n"), "{gone}");
}

#[test]
fn other_codecs_are_explained() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    fill(&cache);
    let (price, _) = run(&url, &["show", "shop:price:2"]);
    assert!(price.contains("a value that is fresh for ever") && price.contains("expires      never"), "{price}");
    assert!(price.contains("payload (bincode)\n000000  "), "{price}");

    let (report, _) = run(&url, &["show", "shop:report:red%2Cblue"]);
    assert!(report.contains("tags         team:blue, team:red: valid, their stamps are as they were"), "{report}");
    assert!(report.contains("version      3\n"), "{report}");
    assert!(report.contains("payload (messagepack)\n[\n  \"red\",\n  \"blue\"\n]"), "{report}");
    cache.blocking().invalidate_all([Invalidation::tag("team:red")]).unwrap();
    let (gone, _) = run(&url, &["show", "shop:report:red%2Cblue"]);
    assert!(
        gone.contains("a value whose tag was invalidated") && gone.contains("gone, a stamp is not there"),
        "{gone}"
    );

    let (nick, _) = run(&url, &["show", "shop:nick:1"]);
    assert!(nick.contains("a stored `None` that is fresh for another 4 min") && !nick.contains("\npayload"), "{nick}");
}

#[test]
fn a_compressed_value_is_shown_as_it_was() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    terms(&cache, 1);
    let (shown, code) = run(&url, &["show", "shop:terms:1"]);
    assert!(shown.contains("codec        json\n") && code == 0, "{shown}");
    assert!(shown.contains("compressed   by lz4, from 1,801 bytes\n"), "{shown}");
    assert!(shown.contains("payload (json)\n[\n  \"term 1\",\n  \"term 1\","), "{shown}");
    let shown = json(&url, &["show", "shop:terms:1"]);
    let value = &shown["value"];
    assert_eq!((&value["compression"], &value["raw_payload_bytes"]), (&"lz4".into(), &1801.into()));
    assert!(value["payload_bytes"].as_u64().unwrap() < 100, "{value}");
    assert_eq!(value["payload"][199], "term 1");
    // The checksum does not fit, and the block is damaged.
    server.cli(&["SETRANGE", "shop:terms:1", "117", "\u{7f}\u{7f}"]);
    let (damaged, _) = run(&url, &["show", "shop:terms:1"]);
    let expected =
        "payload, damaged (json)\nits compression cannot be undone: its bytes of lz4 are damaged\n000000  01 ";
    assert!(damaged.contains(expected), "{damaged}");
}

#[test]
fn an_entry_of_a_group_is_explained() {
    let server = Server::start();
    fill(&cache(&server.url(), ""));
    prints(
        &server.url(),
        &["show", "shop:#group:class:1", "seat:1:2"],
        0,
        r"shop:#group:class:1 seat:1:2
  a value that is fresh for another TIME

function     shop:seat
namespace    none
kind         an entry of a group
computed     in TIME, begun TIME ago (DATE)
filled       TIME ago (DATE)
fresh until  in TIME (DATE)
expires      in TIME
refresh      none
codec        json
version      0
fingerprint  HEX
checksum     fits
id           HEX
tags         none
stored       113 B (113 bytes), 1 of them payload

payload (json)
3",
    );
    assert_eq!(run(&server.url(), &["show", "shop:#group:class:1"]).1, 2);
}

#[test]
fn json_is_for_scripts() {
    let server = Server::start();
    fill(&cache(&server.url(), "eu"));
    let shown = json(&server.url(), &["show", "eu:shop:user:7:2"]);
    assert_eq!(
        (&shown["kind"], &shown["namespace"], &shown["function"]),
        (&"value".into(), &"eu".into(), &"shop:user".into())
    );
    let value = &shown["value"];
    assert_eq!(value["payload"]["name"], "user 2", "{shown}");
    assert_eq!((&value["codec"], &value["intact"], &value["negative"]), (&"json".into(), &true.into(), &false.into()));
    assert_eq!(value["tags"][0]["state"], "unknown", "{shown}");
    let (filled, until) = (value["filled_at_ms"].as_u64().unwrap(), value["fresh_until_ms"].as_u64().unwrap());
    assert!(until - filled <= 3_600_000 && until > filled, "{shown}");
}

#[test]
fn what_is_damaged_or_copied_is_told() {
    let server = Server::start();
    let url = server.url();
    fill(&cache(&url, ""));
    server.cli(&["SETRANGE", "shop:user:7:1", "130", "?"]);
    let (damaged, code) = run(&url, &["show", "shop:user:7:1"]);
    assert!(damaged.contains("a damaged value, or one that was copied from another key"), "{damaged}");
    assert!(damaged.contains("checksum     does not fit the bytes and the key") && code == 0, "{damaged}");
    server.cli(&["RENAME", "shop:user:7:2", "shop:user:7:9"]);
    assert!(run(&url, &["show", "shop:user:7:9"]).0.contains("copied from another key"));
}

/// The checksum does not cover the mark of a refresh, so that a call hits.
#[test]
fn a_value_with_a_damaged_mark_is_a_value() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    fill(&cache);
    server.cli(&["SETRANGE", "shop:user:7:1", "34", "????"]);
    user(&cache, 7, 1);
    assert_eq!(cache.stats().hits, 1, "the library takes it");
    let (shown, code) = run(&url, &["show", "shop:user:7:1"]);
    assert!(shown.contains("  a value that is fresh for another ") && code == 0, "{shown}");
    assert!(shown.contains("checksum     fits\n") && shown.contains("refresh      its mark is damaged"), "{shown}");
    let user = &json(&url, &["ls", "shop:user"])["functions"][0];
    assert_eq!((&user["entries"], &user["values"]), (&3.into(), &3.into()), "{user}");
    assert_eq!(json(&url, &["invalidate", "shop:user:7:1"])[0]["was_there"], true);
    // Bytes that only begin like a value are left alone.
    server.cli(&["SET", "shop:user:7:9", &format!("V\u{2}{}", "?".repeat(200))]);
    assert_eq!(run(&url, &["show", "shop:user:7:9"]).1, 4);
}

#[redis_cached(response, prefix = "shop", name = "page", cache = cache, skip(cache))]
async fn page(State(cache): State<Cache>, Path(kind): Path<String>) -> Response {
    match kind.as_str() {
        "json" => Json(vec![1, 2]).into_response(),
        "text" => ([("content-language", "de")], "Grüße\n").into_response(),
        _ => vec![0xff; 20].into_response(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_is_shown_as_it_is_sent() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    let router = Router::new().route("/{kind}", routing::get(page)).with_state(cache.clone());
    for kind in ["json", "text", "bytes"] {
        let request = Request::get(format!("/{kind}")).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        to_bytes(response.into_body(), usize::MAX).await.unwrap();
    }
    in_time("they are stored", async || cache.functions()[0].fills.stored == 3).await;
    let (shown, _) = run(&url, &["show", "shop:page:json"]);
    assert!(shown.contains("codec        response\n"), "{shown}");
    let sent = "payload (response)\nstatus 200\ncontent-type: application/json\n";
    assert!(shown.contains(sent) && shown.ends_with("\n\n[\n  1,\n  2\n]\n"), "{shown}");
    let (text, _) = run(&url, &["show", "shop:page:text"]);
    assert!(text.contains("content-language: de\n") && text.ends_with("\n\nGrüße\n\n"), "{text}");
    let (bytes, _) = run(&url, &["show", "shop:page:bytes"]);
    assert!(bytes.contains("\n\n000000  ff ff"), "{bytes}");
    let payload = &json(&url, &["show", "shop:page:json"])["value"]["payload"];
    assert_eq!((&payload["status"], payload["body"].to_string()), (&200.into(), "[1,2]".to_owned()));
    assert_eq!(payload["headers"][0][0], "content-type");
}

#[test]
fn a_value_of_another_version_is_told() {
    let server = Server::start();
    let url = server.url();
    fill(&cache(&url, ""));
    // The second byte is the format.
    server.cli(&["SETRANGE", "shop:user:7:1", "1", "\u{7}"]);
    let expected = "shop:user:7:1
  another version of redis-cached wrote it: to programs of this version it is a miss

stored  155 B (155 bytes); MEMORY";
    prints(&url, &["show", "shop:user:7:1"], 0, expected);
    let (listed, _) = run(&url, &["ls", "shop:user"]);
    assert!(listed.ends_with("\n\n1 value of another version\n"), "{listed}");
    assert_eq!(json(&url, &["invalidate", "shop:user:7:1"])[0]["was_there"], true);
}

#[test]
fn a_stale_value_is_told() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    brief(&cache, 1).unwrap();
    eventually("it is stale", || brief_entry(&cache, 1).get().unwrap().is_none());
    let (stale, code) = run(&url, &["show", "shop:brief:1"]);
    assert!(stale.contains("a value that is stale since ") && code == 0, "{stale}");
    assert_eq!(json(&url, &["ls"])["functions"][0]["stale"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_told() {
    let server = Server::start();
    let (url, cache, gate) = (server.url(), cache(&server.url(), ""), Gate::closed());
    let (_, ()) = tokio::join!(slow(&cache, &gate, 1), async {
        in_time("the body runs", async || gate.entered() == 1).await;
        prints(
            &url,
            &["show", "shop:slow:1"],
            0,
            "shop:slow:1
  a call computes the value

lease   ends in TIME unless the call renews it
token   HEX
tags    none
stored  18 B (18 bytes); MEMORY",
        );
        gate.open();
    });
}

#[test]
fn a_stamp_is_told() {
    let server = Server::start();
    let url = server.url();
    fill(&cache(&url, "eu"));
    prints(
        &url,
        &["show", "eu:#tag:org:7"],
        0,
        "eu:#tag:org:7\n  the stamp of the tag org:7\n\nstamp  HEX\nlife   expires in TIME",
    );
    prints(
        &url,
        &["show", "eu:#tag:org:8"],
        1,
        "eu:#tag:org:8\n  nothing is stored: the tag was invalidated, or never used",
    );
}

/// A key with the name of a stamp may be another program's.
#[test]
fn what_is_no_stamp_is_refused() {
    let server = Server::start();
    let url = server.url();
    fill(&cache(&url, ""));
    server.cli(&["SET", "#tag:short", "hello"]);
    server.cli(&["RPUSH", "#tag:queue", "hello"]);
    for (tag, why) in [("#tag:short", "its content is no stamp"), ("#tag:queue", "another Redis type")] {
        let (printed, code) = run(&url, &["show", tag]);
        assert!(code == 4 && printed.contains(why), "{tag} ({code}): {printed}");
    }
    assert_eq!(json(&url, &["ls"])["foreign"], 2);
    // To a call, it is as if the tag had been invalidated.
    server.cli(&["DEL", "#tag:org:7"]);
    server.cli(&["RPUSH", "#tag:org:7", "hello"]);
    let (shown, code) = run(&url, &["show", "shop:user:7:1", "--tag", "org:7"]);
    assert!(code == 0 && shown.contains("a value whose tag was invalidated"), "{code}: {shown}");
}
