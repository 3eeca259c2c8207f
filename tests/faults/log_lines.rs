//! Warnings name functions, and no arguments of calls: these may be secrets, and a log is read by many.

use redis_cached::{Cache, redis_cached};
use test_support::{Mode, Server, log};

/// What no line may have in it.
const SECRET: &str = "hunter2";

#[redis_cached(prefix = "lines", name = "row", cache = cache, skip(cache))]
async fn row(cache: &Cache, tenant: &str, secret: &str, id: u64) -> String {
    format!("{tenant}{secret}{id}")
}

#[redis_cached(prefix = "lines", name = "plain", cache = cache, skip(cache))]
fn plain(cache: &Cache, tenant: &str, secret: &str, id: u64) -> String {
    format!("{tenant}{secret}{id}")
}

#[redis_cached(prefix = "lines", name = "field", group = "of:{secret}", cache = cache, skip(cache))]
fn field(cache: &Cache, secret: &str, id: u64) -> String {
    format!("{secret}{id}")
}

#[redis_cached(prefix = "lines", name = "tagged", tags = ["of:{secret}"], cache = cache, skip(cache))]
async fn tagged(cache: &Cache, secret: &str, id: u64) -> String {
    format!("{secret}{id}")
}

#[redis_cached(prefix = "lines", name = "large", cache = cache, skip(cache))]
fn large(cache: &Cache, secret: &str, id: u64) -> String {
    secret.repeat((2 << 20) + id as usize)
}

#[redis_cached(prefix = "lines", name = "batch", batch(id in ids), cache = cache, skip(cache))]
fn batch(cache: &Cache, secret: &str, ids: &[u64]) -> std::collections::HashMap<u64, String> {
    ids.iter().map(|id| (*id, secret.to_owned())).collect()
}

/// Each kind of call and of write.
async fn calls(cache: &Cache) {
    for id in 0..4 {
        row(cache, "acme", SECRET, id).await;
        plain(cache, "acme", SECRET, id);
        field(cache, SECRET, id);
        tagged(cache, SECRET, id).await;
        batch(cache, SECRET, &[id, id + 10]);
        let entry = plain_entry(cache, "acme", SECRET, id);
        entry.write_through(&"new".to_owned(), || Ok::<(), ()>(())).unwrap();
        let entry = row_entry(cache, "acme", SECRET, id);
        entry.write_through(&"new".to_owned(), async || Ok::<(), ()>(())).await.unwrap();
        _ = entry.invalidate().await;
        _ = cache.invalidate_tag(SECRET).await;
        _ = field_group(cache, SECRET).invalidate();
    }
}

#[tokio::test]
async fn have_no_arguments_of_calls() {
    log::listen();
    let cache_at =
        |url: &str| Cache::builder(url).unwrap().namespace("ns").timeout(std::time::Duration::from_millis(300)).build();
    // Values that do not fit, and keys of another type.
    let cache = cache_at("memory://?max_mb=1");
    (0..5).for_each(|id| drop(large(&cache, SECRET, id)));
    let server = Server::start();
    for id in 0..4 {
        for key in ["row:acme:", "plain:acme:", "tagged:", "batch:"] {
            server.cli(&["LPUSH", &format!("ns:lines:{key}{SECRET}:{id}"), "x"]);
        }
    }
    server.cli(&["SET", &format!("ns:lines:#group:of:{SECRET}"), "x"]);
    calls(&cache_at(&server.url())).await;
    // Keys and commands that are not permitted, and commands that are not known, whose arguments the server quotes.
    let rights =
        ["~other* +@all", "~* +@all -set", "~* +@all -eval -evalsha", "~* +@all -get -mget", "~* +@all -unlink -del"];
    for rights in rights {
        let server = Server::start();
        let begin = ["ACL", "SETUSER", "lib", "on", ">pw", "&*"];
        _ = server.cli(&[&begin, &*rights.split_whitespace().collect::<Vec<_>>()].concat());
        calls(&cache_at(&format!("redis://lib:pw@127.0.0.1:{}", server.port()))).await;
    }
    for command in ["EVALSHA", "EVAL", "UNLINK", "SET", "MGET"] {
        let server = Server::with(&["--rename-command", command, ""]);
        calls(&cache_at(&server.url())).await;
    }
    // A server that hangs, and one that is away.
    let proxy = server.proxy();
    let cache = cache_at(&proxy.url());
    proxy.set(Mode::FreezeFrom("UNLINK", 1));
    calls(&cache).await;
    proxy.set(Mode::Refuse);
    proxy.cut();
    calls(&cache).await;
    let lines = log::lines_about(SECRET);
    assert!(lines.is_empty(), "{lines:#?}");
    assert!(log::lines_about("ns:lines:").len() >= 5, "functions are named: {:#?}", log::lines_about("lines:"));
}
