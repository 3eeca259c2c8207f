//! Over TLS, by sentinels, and with passwords.

use test_support::{Sentinels, TlsServer};

use crate::seed::{cache, fill};
use crate::{json, run};

#[test]
fn over_tls() {
    let server = TlsServer::start();
    let url = server.url();
    fill(&cache(&url, ""));
    assert_eq!(json(&url, &["show", "shop:user:7:1"])["value"]["payload"]["name"], "user 1");
    assert_eq!(json(&url, &["invalidate", "shop:user:7:1"])[0]["was_there"], true);
    assert_eq!(run(&url, &["doctor"]).1, 0);
    let (printed, code) = run(&server.address(), &["ls"]);
    assert!(code == 3 && printed.starts_with("rcached: "), "{code}: {printed}");
}

#[test]
fn by_sentinels() {
    let sentinels = Sentinels::steady();
    let url = sentinels.url();
    fill(&cache(&url, ""));
    assert_eq!(json(&url, &["ls", "shop:user"])["functions"][0]["values"], 3);
    assert_eq!(json(&url, &["show", "shop:price:1"])["kind"], "value");
}
