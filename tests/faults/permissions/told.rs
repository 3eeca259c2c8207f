//! The messages about a missing permission: the log, the ping and the errors of verbs.

use super::*;

#[test]
fn the_log_names_the_missing_permission_once() {
    #[redis_cached(prefix = "rights", name = "told", cache = cache, skip(cache))]
    async fn told(cache: &Cache, id: u64) -> u64 {
        id
    }
    log::listen();
    let server = Server::start();
    _ = server.cli(&["ACL", "SETUSER", "lib", "on", ">pw", "~*", "&*", "+@all", "-set"]);
    let cache = Cache::builder(&format!("redis://lib:pw@127.0.0.1:{}", server.port())).unwrap().build();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for id in 0..20 {
        assert_eq!(runtime.block_on(told(&cache, id)), id);
    }
    let lines = log::lines_about("\"rights:told");
    assert_eq!(lines.len(), 1, "{lines:#?}");
    assert!(lines[0].text.contains("lacks `+set`"), "{lines:#?}");
}

/// Both faces say which command is missing, and succeed again once it is there.
#[test]
fn a_ping_tells_whether_results_can_be_stored() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let by_comparison = server.knows(&["SET", "none", "x", "IFEQ", "y"]);
    for command in ["set", "eval"] {
        _ = server.cli(&["ACL", "SETUSER", "lib", "reset", "on", ">pw", "~*", "&*", "+@all", &format!("-{command}")]);
        let [cache, plain] = caches(&format!("redis://lib:pw@127.0.0.1:{}", server.port()));
        let pings = || [runtime.block_on(cache.ping()), plain.blocking().ping()];
        if command == "eval" && by_comparison {
            assert!(pings().iter().all(Result::is_ok), "`SET … IFEQ` stands in for scripts");
            continue;
        }
        for pinged in pings() {
            let error = pinged.expect_err("nothing can be stored");
            assert_eq!(error.kind(), ErrorKind::Auth, "{error}");
            assert!(error.to_string().contains(&format!("lacks `+{command}`")), "{error}");
        }
        _ = server.cli(&["ACL", "SETUSER", "lib", "+@all"]);
        eventually("the permission is noticed", || pings().iter().all(Result::is_ok));
    }
}

/// The user is told about each command that something cannot do without: by the ping if nothing outside of groups is stored,
/// and otherwise by the log, once for each function, or by the verb's own error.
#[test]
fn each_command_that_is_missing_is_named() {
    log::listen();
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let by_comparison = server.knows(&["SET", "none", "x", "IFEQ", "y"]);
    let without = |commands: &[&str], namespace: &str| {
        _ = server.cli(&["FLUSHALL"]);
        _ = server.cli(&["ACL", "SETUSER", "lib", "reset", "on", ">pw", "~*", "&*", "+@all"]);
        for command in commands {
            _ = server.cli(&["ACL", "SETUSER", "lib", &format!("-{command}")]);
        }
        let url = format!("redis://lib:pw@127.0.0.1:{}/1", server.port());
        Cache::builder(&url).unwrap().namespace(namespace).timeout(Duration::from_secs(1)).build()
    };
    let named = |told: &str, command: &str| assert!(told.contains(&format!("`+{command}`")), "-{command}: {told}");
    let pings = |cache: &Cache| [runtime.block_on(cache.ping()), cache.blocking().ping()];

    // Nothing outside of groups is stored.
    for (commands, name) in [(&["set"][..], "set"), (&["eval"], "eval"), (&["get", "getrange"], "getrange")] {
        if name != "set" && by_comparison {
            continue;
        }
        for pinged in pings(&without(commands, name)) {
            named(&pinged.expect_err(name).to_string(), name);
        }
    }
    // There is no answer, or no connection.
    for name in ["ping", "select"] {
        for pinged in pings(&without(&[name], name)) {
            named(&pinged.expect_err(name).to_string(), name);
        }
    }
    // Groups, and no other function.
    macro_rules! told_of {
        ($($name:ident)*) => {$({
            // The log has a line for each function.
            #[redis_cached(prefix = "rights", name = "told", group = "all", cache = cache, skip(cache))]
            async fn told(cache: &Cache, id: u64) -> u64 {
                id
            }
            let name = stringify!($name);
            let cache = without(&[name], name);
            assert!(pings(&cache).iter().all(Result::is_ok), "{name}");
            for id in 0..10 {
                assert_eq!(runtime.block_on(told(&cache, id)), id);
            }
            let lines = log::lines_about(&format!("\"{name}:rights:told\""));
            assert_eq!(lines.len(), 1, "-{name}: {lines:#?}");
            named(&lines[0].text, name);
        })*};
    }
    told_of!(hset hdel hget hmget hexists hstrlen exists time pttl pexpire);
    // Verbs.
    let cache = without(&["scan"], "scan");
    named(&runtime.block_on(cache.clear()).unwrap_err().to_string(), "scan");
    let cache = without(&["unlink", "del"], "unlink");
    named(&runtime.block_on(one_entry(&cache, 1).invalidate()).unwrap_err().to_string(), "del");
    let cache = without(&["hscan"], "hscan");
    named(&runtime.block_on(grouped_group(&cache).len()).unwrap_err().to_string(), "hscan");
}
