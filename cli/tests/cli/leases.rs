use test_support::{Gate, Server, in_time};

use crate::seed::{cache, fill, price_entry, slow, slow_seat};
use crate::{json, normal, prints, run};

#[tokio::test(flavor = "multi_thread")]
async fn computations_are_listed() {
    let server = Server::start();
    let (url, cache, gate) = (server.url(), cache(&server.url(), ""), Gate::closed());
    fill(&cache);
    prints(&url, &["leases"], 0, "nothing is being computed");
    let (_, _, ()) = tokio::join!(slow(&cache, &gate, 1), slow_seat(&cache, &gate, 9), async {
        in_time("the bodies run", async || gate.entered() == 2).await;
        let (printed, code) = run(&url, &["leases"]);
        // The width of a column depends on the times.
        let lines: Vec<String> =
            normal(&printed).lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(
            lines,
            [
                "KEY STATE ENDS IN TOKEN",
                "shop:#group:class:9 slow_seat:9 computing TIME HEX",
                "shop:slow:1 computing TIME HEX",
            ]
        );
        assert_eq!(code, 0);
        let listed = json(&url, &["leases", "shop:slow"]);
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
        assert!(listed[0]["ends_in_ms"].as_u64().unwrap() <= 30_000, "{listed}");
        assert_eq!(listed[0]["token"].as_str().unwrap().len(), 32, "{listed}");
        gate.open();
    });
    assert_eq!(price_entry(&cache, 1).get().unwrap(), Some(100));
}
