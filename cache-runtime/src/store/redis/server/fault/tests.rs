//! What the replies of a server tell.

use super::*;

fn fault(line: &str) -> (ErrorKind, Blame) {
    let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an error line");
    let fault = Fault::from(value.extract_error().expect_err("an error"));
    (fault.error.kind(), fault.blame)
}

#[test]
fn replies_are_told_apart() {
    for (line, kind, blame) in [
        ("WRONGTYPE Operation against a key", ErrorKind::WrongType, Blame::Command),
        ("OOM command not allowed", ErrorKind::OutOfMemory, Blame::Writes),
        ("MISCONF Redis is configured to save", ErrorKind::ReadOnly, Blame::Writes),
        ("NOREPLICAS Not enough good replicas", ErrorKind::ReadOnly, Blame::Writes),
        ("READONLY You can't write", ErrorKind::ReadOnly, Blame::Role),
        ("MASTERDOWN Link with MASTER is down", ErrorKind::ReadOnly, Blame::Role),
        ("LOADING Redis is loading", ErrorKind::Loading, Blame::Server),
        ("NOAUTH Authentication required.", ErrorKind::Auth, Blame::Connection),
        ("WRONGPASS invalid username-password pair", ErrorKind::Auth, Blame::Connection),
        ("NOPERM this user has no permissions", ErrorKind::Auth, Blame::Command),
        ("TRYAGAIN Multiple keys request during rehashing of slot", ErrorKind::Cluster, Blame::TryAgain),
        ("CROSSSLOT Keys in request don't hash", ErrorKind::Cluster, Blame::Denied(Denied::ManyKeys)),
        ("MOVED 3999 127.0.0.1:6381", ErrorKind::Cluster, Blame::Moved),
        ("ASK 3999 127.0.0.1:6381", ErrorKind::Cluster, Blame::Ask),
        ("CLUSTERDOWN Hash slot not served", ErrorKind::Cluster, Blame::ClusterDown),
        ("BUSY Redis is busy running a script", ErrorKind::Timeout, Blame::Server),
        ("ERR max number of clients reached", ErrorKind::Unreachable, Blame::Full),
        ("NOSCRIPT No matching script", ErrorKind::Protocol, Blame::Script),
        ("ERR syntax error", ErrorKind::Protocol, Blame::Command),
        (
            "ERR Error running script (call to f_1): @user_script:1: -OOM command not allowed",
            ErrorKind::OutOfMemory,
            Blame::Writes,
        ),
        (
            "ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write",
            ErrorKind::ReadOnly,
            Blame::Role,
        ),
        (
            "ERR Error running script (call to f_1): @user_script:1: WRONGTYPE Operation",
            ErrorKind::WrongType,
            Blame::Command,
        ),
    ] {
        assert_eq!(fault(line), (kind, blame), "{line}");
    }
}

#[test]
fn redirections_name_a_node() {
    for (line, slot, is_ask, host, port) in [
        ("MOVED 3999 127.0.0.1:6381", 3999, false, Some("127.0.0.1"), 6381),
        ("ASK 16383 redis-1.internal:6379", 16383, true, Some("redis-1.internal"), 6379),
        ("MOVED 0 ::1:7000", 0, false, Some("::1"), 7000),
        ("MOVED 0 [::1]:7000", 0, false, Some("::1"), 7000),
        ("MOVED 7 :7000", 7, false, Some(""), 7000),
        ("MOVED 7 ?:7000", 7, false, None, 7000),
    ] {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an error line");
        let fault = Fault::from(value.extract_error().expect_err("an error"));
        let expected = Redirection { slot, is_ask, host: host.map(Into::into), port };
        assert_eq!(fault.error.redirection(), Some(&expected), "{line}");
    }
    for text in ["", "x 127.0.0.1:1", "1", "1 127.0.0.1", "1 127.0.0.1:x", "70000 127.0.0.1:1"] {
        assert_eq!(redirection(text, false), None, "{text}");
    }
}

#[test]
fn refusals_name_what_is_missing() {
    for (line, kind, denied, says) in [
        (
            "NOPERM this user has no permissions to run the 'get' command or its subcommand",
            ErrorKind::Auth,
            Denied::Command(Some(Features::GET)),
            "`+get`",
        ),
        (
            "NOPERM User u has no permissions to run the 'unlink' command",
            ErrorKind::Auth,
            Denied::Command(Some(Features::UNLINK)),
            "`+unlink`",
        ),
        (
            "NOPERM User u has no permissions to run the 'cluster|info' command",
            ErrorKind::Auth,
            Denied::Command(None),
            "`+cluster|info`",
        ),
        ("NOPERM No permissions to access a key", ErrorKind::Auth, Denied::Key, "`~shop:#tag:*`"),
        (
            "NOPERM this user has no permissions to access one of the keys used as arguments",
            ErrorKind::Auth,
            Denied::Key,
            "`~shop:#tag:*`",
        ),
        (
            "ERR unknown command `EVALSHA`, with args beginning with: `ab`, ",
            ErrorKind::Protocol,
            Denied::Command(Some(Features::EVALSHA)),
            "`+evalsha`",
        ),
        (
            "ERR unknown command 'SET', with args beginning with: 'ab' ",
            ErrorKind::Protocol,
            Denied::Command(Some(Features::SET)),
            "`+set`",
        ),
        (
            "ERR The user executing the script can't run this command or subcommand script: 65, on @user_script:1.",
            ErrorKind::Auth,
            Denied::Command(None),
            "`+hset`, `+persist` or `+hscan`",
        ),
        (
            "ERR ACL failure in script: User u has no permissions to run the 'set' command script: on @user_script:1.",
            ErrorKind::Auth,
            Denied::Command(Some(Features::SET)),
            "`+set`",
        ),
        (
            "ERR ACL failure in script: No permissions to access a key script: db, on @user_script:1.",
            ErrorKind::Auth,
            Denied::Key,
            "`~shop:#tag:*`",
        ),
        (
            "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: The user executing the script can't access at least one of the keys mentioned in the command arguments",
            ErrorKind::Auth,
            Denied::Key,
            "`~shop:#tag:*`",
        ),
        (
            "ERR Error running script (call to f_1): @user_script:1: @user_script: 1: Unknown Redis command called from Lua script",
            ErrorKind::Protocol,
            Denied::Command(None),
            "nknown",
        ),
        (
            "ERR Unknown command called from script script: on @user_script:1.",
            ErrorKind::Protocol,
            Denied::Command(None),
            "nknown",
        ),
    ] {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an error line");
        let fault = Fault::from(value.extract_error().expect_err("an error")).about("shop:#tag:org:7");
        assert_eq!((fault.error.kind(), fault.blame), (kind, Blame::Denied(denied)), "{line}");
        assert!(fault.error.to_string().contains(says), "{line}: {}", fault.error);
    }
    assert_eq!(key_pattern("shop:users.user:42"), "shop:users.user:*");
    assert_eq!(key_pattern("shop:users.find:secret:7"), "shop:users.find:*");
    assert_eq!(key_pattern("staging:shop:users.user:secret:7"), "staging:shop:*");
    assert_eq!(key_pattern("shop:#group:class:7 seat:1"), "shop:#group:*");
    assert_eq!(key_pattern("shop:users.all"), "shop:*");
}

#[test]
fn failures_of_the_network_are_told_apart() {
    for (error, kind, blame) in [
        (io::ErrorKind::ConnectionRefused, ErrorKind::Unreachable, Blame::Connection),
        (io::ErrorKind::ConnectionReset, ErrorKind::Unreachable, Blame::Closed),
        (io::ErrorKind::BrokenPipe, ErrorKind::Unreachable, Blame::Closed),
        (io::ErrorKind::UnexpectedEof, ErrorKind::Unreachable, Blame::Closed),
        (io::ErrorKind::TimedOut, ErrorKind::Timeout, Blame::Connection),
        (io::ErrorKind::WouldBlock, ErrorKind::Timeout, Blame::Connection),
        (io::ErrorKind::HostUnreachable, ErrorKind::Unreachable, Blame::Connection),
    ] {
        let fault = Fault::from(io::Error::from(error));
        assert_eq!((fault.error.kind(), fault.blame), (kind, blame), "{error}");
    }
}
