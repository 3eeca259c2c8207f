use redis_cached::Invalidation;
use test_support::{Gate, Server, in_time};

use crate::seed::{cache, fill, price_entry, report_entry, seat, seat_entry, slow, slow_entry, user_entry};
use crate::{json, prints, run};

#[test]
fn what_is_named_is_invalidated() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), "eu"));
    fill(&cache);
    prints(
        &url,
        &["invalidate", "eu:shop:price:1", "eu:shop:price:9", "eu:shop:#group:class:1 seat:1:1"],
        0,
        "eu:shop:price:1  invalidated
eu:shop:price:9  nothing was there
eu:shop:#group:class:1 seat:1:1  invalidated",
    );
    assert_eq!(price_entry(&cache, 1).get().unwrap(), None);
    assert_eq!(price_entry(&cache, 2).get().unwrap(), Some(200));
    assert_eq!(seat_entry(&cache, 1, 1).get().unwrap(), None);
    assert_eq!(seat_entry(&cache, 1, 2).get().unwrap(), Some(3));

    let done =
        json(&url, &["-n", "eu", "invalidate", "--group", "shop:class:1", "--tag", "org:7", "--tag", "team:red"]);
    assert_eq!(done.as_array().unwrap().iter().filter(|done| done["was_there"] == true).count(), 3, "{done}");
    assert_eq!(seat_entry(&cache, 1, 2).get().unwrap(), None);
    assert_eq!(seat_entry(&cache, 2, 1).get().unwrap(), Some(3));
    assert!(
        user_entry(&cache, 7, 1).get().unwrap().is_none() && report_entry(&cache, "red,blue").get().unwrap().is_none()
    );
    prints(&url, &["invalidate", "eu:shop:#group:class:2"], 0, "eu:shop:#group:class:2  invalidated");
}

#[test]
fn a_pattern_is_a_dry_run_first() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    fill(&cache);
    server.cli(&["SET", "shop:user:x", "not of this library"]);
    prints(
        &url,
        &["invalidate", "--match", "shop:user:7:[12]"],
        0,
        "2 entries would be removed:
  shop:user  2
for example:
  shop:user:7:1
  shop:user:7:2
this was a dry run; --yes carries it out",
    );
    assert!(user_entry(&cache, 7, 1).get().unwrap().is_some());
    prints(
        &url,
        &["invalidate", "--match", "shop:user:*", "--yes"],
        0,
        "3 of 3 entries removed:\n  shop:user  3\n1 other key is not of redis-cached, and left alone",
    );
    assert!(user_entry(&cache, 7, 1).get().unwrap().is_none());
    assert_eq!(server.cli(&["GET", "shop:user:x"]), "not of this library");
    assert_eq!(price_entry(&cache, 1).get().unwrap(), Some(100));
    prints(&url, &["invalidate", "--match", "none:*", "--yes"], 0, "nothing of redis-cached matches");
}

#[test]
fn what_is_not_of_the_library_is_refused() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    fill(&cache);
    server.cli(&["SET", "shop:session:1", "secret"]);
    server.cli(&["HSET", "shop:#group:carts", "1", "apples"]);
    server.cli(&["RPUSH", "shop:queue:1", "job"]);
    server.cli(&["SET", "#tag:blog", "not a stamp of sixteen bytes"]);
    for (arguments, why) in [
        (&["invalidate", "shop:price:1", "shop:session:1"][..], "neither a lease nor a value"),
        (&["invalidate", "shop:price:1", "shop:#group:carts"], "fields that are neither"),
        (&["invalidate", "shop:#group:carts 1"], "neither a lease nor a value"),
        (&["invalidate", "shop:queue:1"], "another Redis type"),
        (&["invalidate", "session"], "no key of redis-cached has this form"),
        (&["invalidate", "shop:price:1", "--group", "shop:carts"], "fields that are neither"),
        (&["invalidate", "--tag", "blog"], "no stamp"),
        (&["show", "shop:session:1"], "neither a lease nor a value"),
        (&["show", "shop:queue:1"], "another Redis type"),
        (&["show", "shop:#group:carts", "1"], "neither a lease nor a value"),
        (&["show", "session"], "no key of it has this form"),
    ] {
        let (printed, code) = run(&url, arguments);
        assert!(code == 4 && printed.contains(why), "{arguments:?} ({code}): {printed}");
    }
    assert_eq!(server.cli(&["GET", "shop:session:1"]), "secret");
    assert_eq!(server.cli(&["HGET", "shop:#group:carts", "1"]), "apples");
    assert_eq!(server.cli(&["LLEN", "shop:queue:1"]), "1");
    // Nothing is touched if one of the keys is refused.
    assert_eq!(price_entry(&cache, 1).get().unwrap(), Some(100));
}

/// A group goes as a whole, and so all of its fields are looked at.
#[test]
fn one_foreign_field_among_many_is_refused() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), ""));
    for id in 0..600 {
        seat(&cache, 1, id);
    }
    let hash = "shop:#group:class:1";
    let fields: i64 = server.cli(&["HLEN", hash]).parse().unwrap();
    for at in 0..8 {
        let precious = format!("precious{at}");
        server.cli(&["HSET", hash, &precious, "foreign data"]);
        for arguments in [&["invalidate", hash][..], &["invalidate", "--group", "shop:class:1"]] {
            let (printed, code) = run(&url, arguments);
            assert!(code == 4 && printed.contains("fields that are neither"), "{arguments:?} ({code}): {printed}");
        }
        assert_eq!(server.cli(&["HLEN", hash]), (fields + 1).to_string());
        server.cli(&["HDEL", hash, &precious]);
    }
    prints(&url, &["invalidate", hash], 0, "shop:#group:class:1  invalidated");
    assert_eq!(server.cli(&["EXISTS", hash]), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn computations_under_way_are_voided() {
    let server = Server::start();
    let (url, cache, gate) = (server.url(), cache(&server.url(), ""), Gate::closed());
    let (value, ()) = tokio::join!(slow(&cache, &gate, 1), async {
        in_time("the body runs", async || gate.entered() == 1).await;
        prints(&url, &["invalidate", "shop:slow:1"], 0, "shop:slow:1  invalidated");
        gate.open();
    });
    assert_eq!((value, slow_entry(&cache, 1).get().await.unwrap()), (1, None), "the fill was refused");
}

/// The keys of the command line are those of `Entry::key`.
#[test]
fn keys_are_those_of_the_library() {
    let server = Server::start();
    let (url, cache) = (server.url(), cache(&server.url(), "a:b c"));
    fill(&cache);
    for entry in [price_entry(&cache, 1).key().unwrap(), seat_entry(&cache, 1, 1).key().unwrap()] {
        assert_eq!(json(&url, &["show", entry])["namespace"], "a%3Ab%20c", "{entry}");
        assert_eq!(json(&url, &["invalidate", entry])[0]["was_there"], true, "{entry}");
    }
    let _: Invalidation = "v1 entry shop:price:1".parse().unwrap();
}
