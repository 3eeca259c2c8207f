//! The first commands of a connection.

use redis_cached::{Cache, redis_cached};
use test_support::Server;

#[redis_cached(prefix = "wire", name = "greeted", cache = cache, skip(cache))]
async fn greeted(cache: &Cache, n: u64) -> u64 {
    n
}

#[redis_cached(prefix = "wire", name = "greeted", cache = cache, skip(cache))]
fn greeted_plain(cache: &Cache, n: u64) -> u64 {
    n
}

/// They are sent together.
#[tokio::test]
async fn the_first_commands_are_the_same_for_both_kinds_of_functions() {
    let server = Server::start();
    let mut observer = server.monitor();
    let expected: [&[&str]; 6] = [
        &["SELECT", "3"],
        &["CLIENT", "SETNAME", "shop"],
        &["INFO", "server"],
        &["TIME"],
        &["ROLE"],
        &["EXISTS", "redis-cached"],
    ];
    // Before Redis 7.0, `MONITOR` leaves `CLIENT` out.
    redis::cmd("CLIENT").arg("SETNAME").arg("shown").exec(&mut server.connection()).unwrap();
    let shows_client = observer.commands().iter().any(|command| command[0] == "CLIENT");
    let expected: Vec<&[&str]> =
        expected.into_iter().filter(|command| shows_client || command[0] != "CLIENT").collect();
    for face in ["async", "plain"] {
        let cache = Cache::builder(&format!("{}/3", server.url())).unwrap().client_name("shop").build();
        match face {
            "async" => _ = greeted(&cache, 1).await,
            _ => _ = greeted_plain(&cache, 1),
        }
        let commands = observer.commands();
        let (first, others) = commands.split_at(expected.len());
        assert_eq!(first, expected, "{face}");
        // The commands that the user may lack follow once, without effect.
        assert!(others.iter().any(|command| command[0] == "GET" && command[1].contains("permissions")), "{face}");
    }
}
