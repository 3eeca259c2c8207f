//! Sentinels and servers over TLS.

use std::sync::atomic::AtomicU64;

use redis_cached::{Cache, ErrorKind, Tls};
use test_support::{PATIENCE, Sentinels, in_time};

use crate::{SWITCHED, caches_again, hosts, lines};

#[tokio::test]
async fn sentinels_and_servers_over_tls() {
    test_support::log::listen();
    let sentinels = Sentinels::over_tls();
    let (url, runs) = (sentinels.url(), AtomicU64::new(0));
    let cache = Cache::builder(&url).unwrap().timeout(PATIENCE).build();
    caches_again(&cache, &runs).await;
    sentinels.fail_over();
    in_time("the cache follows", async || lines(SWITCHED, hosts(&url)).len() == 1).await;
    caches_again(&cache, &runs).await;
    // The settings of a program concern both, too.
    let (bare, _) = url.split_once('?').unwrap();
    let wrong = Cache::builder(bare).unwrap().tls(Tls::new().server_name("elsewhere")).unwrap();
    let wrong = wrong.timeout(PATIENCE).build();
    for error in [wrong.ping().await.expect_err("untrusted"), wrong.blocking().ping().expect_err("untrusted")] {
        assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
        assert!(error.to_string().contains("no sentinel tells"), "{error}");
    }
}
