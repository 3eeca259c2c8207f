use super::*;

fn redis(url: &str) -> RedisTarget {
    match parse(url) {
        Ok(Target::Redis(target)) => *target,
        other => panic!("{url}: {other:?}"),
    }
}

fn message(url: &str) -> String {
    let error = parse(url).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::Config, "{url}");
    error.to_string()
}

#[test]
fn servers_are_shown_without_their_password() {
    for (url, shown) in [
        ("redis://localhost", "redis://localhost:6379"),
        ("redis://:secret@localhost:1/2", "redis://localhost:1/2"),
        ("redis://user:secret@localhost", "redis://user@localhost:6379"),
        ("valkey://[::1]:7", "redis://[::1]:7"),
        ("REDIS://localhost", "redis://localhost:6379"),
        ("unix:///run/redis.sock?db=1&pass=secret", "redis+unix:///run/redis.sock/1"),
        ("redis+unix:///run/redis.sock", "redis+unix:///run/redis.sock"),
        ("valkey+unix:///run/redis.sock?user=u&pass=secret", "redis+unix://u@/run/redis.sock"),
    ] {
        assert_eq!(redis(url).to_string(), shown);
        assert_eq!(format!("{:?}", redis(url)), shown);
    }
}

#[test]
fn no_message_holds_the_password() {
    for url in [
        "redis://user:secret@host:port",
        "redis://:se/secret@host",
        "redis://:a@secret@host:99999999",
        "redis://user:secret",
        "redis://:4711secret",
        "user:secret@host",
        ":secret@host",
        "user:secret",
        "http://user:secret@host",
        "redis-cluster://user:secret@host:1,host:x",
        "redis-cluster://user:se/secret@host:1,host:2",
        "redis-cluster://user:secret",
        "redis-cluster://user:4711?secret@host",
        "redis-cluster://:se,secret@host",
        "redis-cluster://host:1,user:secret@host:2",
        "redis-cluster://user:secret@host#secret",
        "redis-cluster://user:secret@host/1",
        "redis-cluster://user:secret@host?password=secret",
        "redis-sentinel://:secret@host:1/",
        "redis-sentinel://host/master?sentinel_user=u&sentinel_password=secret&db=1",
        "redis-sentinel://host/master?sentinel_user=secret@x",
        "redis-sentinel://user:4711/secret@host/master",
        "redis-sentinel://:secret@[::1/master",
        "unix://?pass=secret",
        "redis://user:secret@host/notadb",
        "redis://user:secret#@host",
        "redis://user:secret?@host",
        "redis://user@host:secret",
        "redis://:pass@word:secret",
        "redis://:pass@host:secret/3",
        "redis://user@x:4711/secret@host",
        "secret://host",
        "user:secret://host",
        "memory://:secret@host",
    ] {
        let message = message(url);
        assert!(!message.contains("secret") || url.starts_with("secret"), "{message}");
    }
    for url in ["redis://:pass@host:secret/3", "redis://user:pass@host:6379x", "redis://[::1"] {
        assert!(message(url).contains(": `redis://…`: "), "{}", message(url));
    }
    assert!(message("redis://user:secret@host/notadb").contains("redis://user:***@host/notadb"));
}

#[test]
fn messages_say_what_to_write() {
    assert!(message("http://host").contains("rediss://"));
    assert!(message("host:6379").contains("redis://"));
    assert!(message("").contains("redis://"));
    assert!(message("memory://?max_mb=x").contains("memory://?max_mb=64"));
    if cfg!(any(feature = "_rustls", feature = "tls-native")) {
        assert_eq!(redis("rediss://host").to_string(), "rediss://host:6379");
        assert_eq!(redis("valkeys://:secret@[::1]:7/3").to_string(), "rediss://[::1]:7/3");
    } else {
        let message = message("rediss://host");
        assert!(message.contains("tls-rustls") && message.contains("tls-native"), "{message}");
    }
}

#[test]
fn what_would_be_left_unread_is_refused() {
    for (url, reason) in [
        ("redis://h/?db=3", "the parameter `db` is not known; there is `protocol`; the database is a path"),
        (
            "valkey://h?timeout=5",
            "the parameter `timeout` is not known; there is `protocol`; the time-out is set by `.timeout(…)`",
        ),
        ("unix:///s?socket_timeout=5", "the time-out is set by `.timeout(…)` of the cache's builder"),
        ("redis://h/3?protocol=resp3&db=4", "the parameter `db` is not known"),
        ("redis://h?protocol=resp3&protocol=resp2", "given twice"),
        ("redis://h?", ""),
        (
            "redis+unix:///s?database=1",
            "the parameter `database` is not known; there is `db`, `user`, `pass` and `protocol`",
        ),
        ("unix:///s?db=1&db=2", "given twice"),
        ("redis://h#insecure", "a fragment"),
        ("valkey://h/1#x", "a fragment"),
        ("unix:///s#x", "a fragment"),
        ("redis://user@h", "a user without a password"),
        ("valkey://user@h:1/2", "a user without a password"),
        ("valkey+unix:///s?user=u", "a user without a password"),
    ] {
        match reason {
            "" => drop(redis(url)),
            _ => assert!(message(url).contains(reason), "{}", message(url)),
        }
    }
    for url in
        ["redis://h/3?protocol=resp3", "redis://:p@h", "redis://u:p@h", "unix:///s?db=1&user=u&pass=p&protocol=resp2"]
    {
        redis(url);
    }
    for url in ["redis://h?auth=secret", "redis://h?secret", "redis://h#secret", "redis://u@h?x=secret#secret"] {
        assert!(!message(url).contains("secret"), "{}", message(url));
    }
    if cfg!(any(feature = "_rustls", feature = "tls-native")) {
        assert!(message("rediss://h#unsafe").contains("a fragment"));
        assert!(message("rediss://h#insecure").contains("would trust any server"));
    }
    for url in ["redis://h?ca=/etc/ca.pem", "unix:///s?cert=c"] {
        assert!(message(url).contains("parameters for TLS need rediss://"), "{}", message(url));
    }
}

#[test]
fn off_takes_no_parameters() {
    for url in ["off://", "OFF://"] {
        assert!(matches!(parse(url), Ok(Target::Off)), "{url}");
    }
    for url in ["off://?max_mb=1", "off://host", "off:///", "off://#x", "off://u:secret@host"] {
        let message = message(url);
        assert!(message.contains("write off://") && !message.contains("secret"), "{message}");
    }
}

#[test]
fn memory_has_a_bound() {
    for (url, bytes) in [("memory://", 64 << 20), ("memory://?max_mb=1", 1 << 20)] {
        assert!(matches!(parse(url), Ok(Target::Memory { max_bytes }) if max_bytes == bytes), "{url}");
    }
    for url in ["memory://x", "memory://?max_mb=0", "memory://?max_mb=99999999999999999", "memory://?mb=1"] {
        message(url);
    }
}

fn cluster(url: &str) -> ClusterTarget {
    match parse(url) {
        Ok(Target::Cluster(target)) => *target,
        other => panic!("{url}: {other:?}"),
    }
}

fn sentinel(url: &str) -> SentinelTarget {
    match parse(url) {
        Ok(Target::Sentinel(target)) => *target,
        other => panic!("{url}: {other:?}"),
    }
}

/// The user and the password.
fn login(target: &RedisTarget) -> (Option<&str>, Option<&str>) {
    let settings = target.info.redis_settings();
    (settings.username(), settings.password())
}

#[cfg(not(feature = "tokio"))]
#[test]
fn several_hosts_need_tokio() {
    for url in ["redis-cluster://a,b", "redis-sentinel://:secret@a/main"] {
        let message = message(url);
        assert!(message.contains("the feature `tokio`") && !message.contains("secret"), "{message}");
    }
}

#[cfg(feature = "tokio")]
#[test]
fn clusters_are_read_and_shown() {
    for (url, shown, seeds) in [
        ("redis-cluster://a", "redis-cluster://a:6379", vec!["redis://a:6379"]),
        ("valkey-cluster://:secret@a:1,b/", "redis-cluster://a:1,b:6379", vec!["redis://a:1", "redis://b:6379"]),
        (
            "REDIS-CLUSTER://user:secret@[::1]:7,[2001:db8::2],10.0.0.1:9/0?protocol=resp3",
            "redis-cluster://user@[::1]:7,[2001:db8::2]:6379,10.0.0.1:9",
            vec!["redis://user@[::1]:7", "redis://user@[2001:db8::2]:6379", "redis://user@10.0.0.1:9"],
        ),
    ] {
        let target = cluster(url);
        assert_eq!([target.to_string(), format!("{target:?}")], [shown; 2]);
        assert_eq!(target.seeds.iter().map(RedisTarget::to_string).collect::<Vec<_>>(), seeds);
    }
    let target = cluster("redis-cluster://us%40er:pa%2Css%2Fword@a,b?protocol=resp3");
    let node = target.node("::2", 7).expect("a node");
    assert_eq!(node.to_string(), "redis://us@er@[::2]:7");
    for target in target.seeds.iter().chain([&node]) {
        assert_eq!(login(target), (Some("us@er"), Some("pa,ss/word")));
        assert!(target.info.redis_settings().protocol().supports_resp3());
    }
}

#[cfg(feature = "tokio")]
#[test]
fn sentinels_are_read_and_shown() {
    let target = sentinel("redis-sentinel://a,[::1]:7/my-master.1");
    assert_eq!([target.to_string(), format!("{target:?}")], ["redis-sentinel://a:26379,[::1]:7/my-master.1"; 2]);
    assert_eq!(target.master, "my-master.1");
    assert_eq!(target.sentinels.iter().map(login).collect::<Vec<_>>(), [(None, None); 2]);
    let target = sentinel(
        "valkey-sentinel://user:secret@a:1,b/main/3?sentinel_user=s%40&sentinel_password=hid%26den&protocol=resp3",
    );
    assert_eq!(target.to_string(), "redis-sentinel://user@a:1,b:26379/main/3");
    let shown: Vec<_> = target.sentinels.iter().map(RedisTarget::to_string).collect();
    assert_eq!(shown, ["redis://s@@a:1", "redis://s@@b:26379"]);
    assert_eq!(target.sentinels.iter().map(login).collect::<Vec<_>>(), [(Some("s@"), Some("hid&den")); 2]);
    let server = target.server("::2", 6380).expect("a server");
    assert_eq!(
        (server.to_string(), login(&server)),
        ("redis://user@[::2]:6380/3".into(), (Some("user"), Some("secret")))
    );
    let target = sentinel("redis-sentinel://:secret@a/main?sentinel_password=hidden");
    assert_eq!(login(&target.sentinels[0]), (None, Some("hidden")));
    assert_eq!(login(&target.server("b", 1).expect("a server")), (None, Some("secret")));
}

#[cfg(feature = "tokio")]
#[test]
fn messages_about_several_hosts_say_what_to_write() {
    for (url, reason) in [
        ("redis-cluster://", "a host is missing (expected `redis-cluster://[user:password@]host[:port],host[:port]`)"),
        ("redis-cluster://a,,b", "a host is missing"),
        ("redis-cluster://a,b:x", "a port is no number"),
        ("redis-cluster://a:0", "a port is no number"),
        ("redis-cluster://a:99999", "a port is no number"),
        ("redis-cluster://::1", "an IPv6 address stands in brackets"),
        ("redis-cluster://[::1", "a bracket is not closed"),
        ("redis-cluster://[::x]", "malformed"),
        ("redis-cluster://[::1]7", "a colon is expected"),
        ("redis-cluster://a b", "letters that no host has"),
        ("redis-cluster://a/1", "a cluster has one database, with the number 0; leave `/1` away"),
        ("redis-cluster://a?db=1", "the parameter `db` is not known; there is `protocol`; a cluster has one database"),
        ("redis-cluster://a?timeout=1", "the time-out is set by `.timeout(…)`"),
        ("redis-cluster://a?ca=/ca.pem", "parameters for TLS need rediss-cluster://"),
        ("redis-cluster://a?protocol=resp4", "Invalid protocol version"),
        ("redis-cluster://a?protocol=resp2&protocol=resp3", "given twice"),
        ("redis-cluster://a#insecure", "a fragment"),
        ("redis-cluster://user@a", "a user without a password"),
        ("redis-cluster://a,u:p@b", "stand once, before the first host"),
        ("redis-cluster://:p/w@a", "a slash in a user or a password is written `%2F`"),
        (
            "redis-sentinel://a",
            "the name of the master is missing (expected `redis-sentinel://[user:password@]sentinel",
        ),
        ("redis-sentinel://a/", "the name of the master is missing"),
        ("redis-sentinel://a//1", "the name of the master is missing"),
        ("redis-sentinel://a/m n", "the name of a master has letters"),
        ("redis-sentinel://a/m/x", "the database is a number"),
        ("redis-sentinel://a/m/1/2", "the database is a number"),
        ("redis-sentinel://a/m/99999999999999999999", "Invalid database number"),
        ("redis-sentinel://a/m?sentinel_user=u", "`sentinel_user` needs `sentinel_password`"),
        ("redis-sentinel://a/m?user=u", "stand before the first sentinel"),
        ("redis-sentinel://user@a/m", "a user without a password"),
    ] {
        assert!(message(url).contains(reason), "{url}: {}", message(url));
    }
    for slip in
        ["redis://S3CRET@h", "redis-cluster://S3CRET@a", "redis-cluster://S3CRET@a,b", "redis-sentinel://S3CRET@a/m"]
    {
        let message = message(slip);
        assert!(
            message.contains("***@") && !message.contains("S3CRET"),
            "the `:` of a password is forgotten: {message}"
        );
    }
    let quoted = message("redis-cluster://us:pw@a,[::1]:7/1?protocol=3");
    assert!(quoted.contains("`redis-cluster://us:***@a,[::1]:7/1?protocol=3`: a cluster has one"), "{quoted}");
    assert!(message("redis-sentinel://:pw@a/m/x").contains("`redis-sentinel://:***@a/m/x`: "));
    for url in ["rediss-cluster://a", "valkeys-sentinel://a/m"] {
        if cfg!(any(feature = "_rustls", feature = "tls-native")) {
            parse(url).expect(url);
        } else {
            assert!(message(url).contains("tls-rustls"), "{}", message(url));
        }
    }
}

#[cfg(all(feature = "tokio", feature = "_rustls"))]
#[test]
fn hosts_of_one_url_share_their_security() {
    let name = |target: &RedisTarget| target.tls.as_ref().expect("over TLS").name().to_str().into_owned();
    let target = cluster("rediss-cluster://a.internal,10.0.0.1");
    assert_eq!(target.to_string(), "rediss-cluster://a.internal:6379,10.0.0.1:6379");
    assert!(name(&target.seeds[0]).contains("a.internal") && name(&target.seeds[1]).contains("10.0.0.1"));
    assert!(name(&target.node("b.internal", 1).expect("a node")).contains("b.internal"));
    assert_eq!(target.node("b.internal", 1).expect("a node").to_string(), "rediss://b.internal:1");
    let target = cluster("valkeys-cluster://a,b?server_name=redis.internal");
    assert!(target.seeds.iter().all(|seed| name(seed).contains("redis.internal")));
    let mut target = parse("rediss-sentinel://a,b/main").expect("a URL");
    target.set_tls(Tls::new().server_name("redis.internal")).expect("over TLS");
    let Target::Sentinel(target) = target else { panic!("{target:?}") };
    let server = target.server("c", 1).expect("a server");
    assert!(target.sentinels.iter().chain([&server]).all(|target| name(target).contains("redis.internal")));
    let mut plain = parse("redis-cluster://a,b").expect("a URL");
    assert!(plain.set_tls(Tls::new()).expect_err("no TLS").to_string().contains("settings for TLS need"));
    for (url, reason) in [
        ("rediss-cluster://a?cert=/c.pem", "`cert` needs `key`"),
        ("rediss-sentinel://a/m?ca=/no/such.pem", "/no/such.pem"),
        ("rediss-cluster://a?x=1", "there is `protocol`, `ca`, `cert`, `key`, `server_name` and `reload`"),
    ] {
        assert!(message(url).contains(reason), "{}", message(url));
    }
}
