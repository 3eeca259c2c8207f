use test_support::Server;

use crate::seed::{cache, fill, price, price_entry, seat_entry, user_entry};
use crate::{json, prints, run};

#[test]
fn a_function_is_cleared() {
    let server = Server::start();
    let (url, here, eu) = (server.url(), cache(&server.url(), ""), cache(&server.url(), "eu"));
    fill(&here);
    fill(&eu);
    let (dry, code) = run(&url, &["clear", "shop:price"]);
    assert!(code == 0 && dry.starts_with("3 entries would be removed:\n  shop:price  3\nfor example:\n"), "{dry}");
    assert_eq!(price_entry(&here, 1).get().unwrap(), Some(100));
    prints(&url, &["clear", "shop:price", "--yes"], 0, "3 of 3 entries removed:\n  shop:price  3");
    assert_eq!(price_entry(&here, 1).get().unwrap(), None);
    assert_eq!(price_entry(&eu, 1).get().unwrap(), Some(100), "another namespace");

    prints(&url, &["clear", "shop:seat", "--yes"], 0, "3 of 3 entries removed:\n  shop:seat (in groups)  3");
    assert_eq!(seat_entry(&here, 1, 1).get().unwrap(), None);
    prints(&url, &["clear", "eu", "--yes"], 0, "nothing of redis-cached matches");
}

#[test]
fn a_prefix_or_a_namespace_is_cleared() {
    let server = Server::start();
    let (url, here, eu) = (server.url(), cache(&server.url(), ""), cache(&server.url(), "eu"));
    fill(&here);
    fill(&eu);
    server.cli(&["SET", "shop:session:1", "x"]);
    server.cli(&["SET", "eu:session:1", "x"]);
    let cleared = json(&url, &["clear", "shop", "--yes"]);
    assert_eq!(
        (&cleared["removed"], &cleared["foreign"], &cleared["stamps"]),
        (&13.into(), &1.into(), &0.into()),
        "{cleared}"
    );
    assert!(user_entry(&eu, 7, 1).get().unwrap().is_some());

    let other = cache(&server.url(), "other");
    fill(&other);
    let expected = "13 of 13 entries, 3 of 3 tags removed:
  other:shop:nick  3
  other:shop:price  3
  other:shop:report  1
  other:shop:seat (in groups)  3
  other:shop:user  3";
    prints(&url, &["-n", "other", "clear", "--all", "--yes"], 0, expected);
    let cleared = json(&url, &["-n", "eu", "clear", "--all", "--yes"]);
    assert_eq!(
        (&cleared["removed"], &cleared["foreign"], &cleared["stamps"]),
        (&16.into(), &1.into(), &3.into()),
        "{cleared}"
    );
    assert_eq!(cleared["removed_stamps"], 3, "{cleared}");
    assert_eq!(server.cli(&["MGET", "shop:session:1", "eu:session:1"]), "x\nx");
    // What is left: those, and the stamps of the other namespace.
    assert_eq!(server.cli(&["DBSIZE"]), "5");
}

#[test]
fn many_are_cleared() {
    let server = Server::start();
    let cache = cache(&server.url(), "");
    for id in 0..3000 {
        price(&cache, id);
    }
    prints(&server.url(), &["clear", "shop:price", "--yes"], 0, "3,000 of 3,000 entries removed:\n  shop:price  3,000");
    assert_eq!(server.cli(&["DBSIZE"]), "0");
}

#[test]
fn everything_needs_a_namespace() {
    let server = Server::start();
    let (printed, code) = run(&server.url(), &["clear", "--all", "--yes"]);
    assert!(code == 2 && printed.contains("--namespace"), "{printed}");
}
