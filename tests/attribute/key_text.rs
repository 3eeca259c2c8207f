//! Keys, as an operator sees them: what `redis-cli` prints is what the guide promises, and
//! different arguments never share one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::process::Command;

use proptest::prelude::*;
use redis_cached::{Cache, redis_cached};
use serde::{Deserialize, Serialize};
use test_support::Server;

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
enum Sort {
    Newest,
    Near(i8),
    Within { km: u16 },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Page {
    from: u8,
    text: Option<String>,
}

type Arguments = (Option<String>, i64, Vec<String>, Page, Sort, Option<Option<bool>>);

#[redis_cached(prefix = "t", name = "keyed", cache = cache, skip(cache))]
fn keyed(cache: &Cache, a: Option<&str>, b: i64, c: &[String], d: &Page, e: &Sort, f: Option<Option<bool>>) -> u8 {
    u8::from(a.is_some() || b == 0 || c.is_empty() || d.from == 0 || *e == Sort::Newest || f.is_none())
}

/// The output of the real `redis-cli`, which escapes and quotes what is not plain text.
fn keys_in_redis_cli(server: &Server) -> BTreeSet<String> {
    let output = Command::new("redis-cli")
        .args(["-p", &server.port().to_string(), "--no-raw", "KEYS", "*"])
        .output()
        .expect("redis-cli comes with redis-server: install it, for example with scripts/install");
    let text = String::from_utf8(output.stdout).unwrap();
    // `12) "the key"`; nothing needed an escape if no backslash is there.
    text.lines().filter_map(|line| Some(line.split_once(") \"")?.1.strip_suffix('"')?.to_owned())).collect()
}

fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c:{}'%,()<>=#\\[\\]. \\\\\"*?0-9-]{0,8}",
        Just("none".to_owned()),
        Just("None".to_owned()),
        Just("true".to_owned()),
        "-?[0-9]{1,3}",
        "\\PC{0,4}",
        "[a-z]{60,90}",
    ]
}

fn arguments() -> impl Strategy<Value = Arguments> {
    let sort = prop_oneof![
        Just(Sort::Newest),
        any::<i8>().prop_map(Sort::Near),
        any::<u16>().prop_map(|km| Sort::Within { km }),
    ];
    let page = (0_u8..2, proptest::option::of(hostile())).prop_map(|(from, text)| Page { from, text });
    let flags = proptest::option::of(proptest::option::of(proptest::bool::ANY));
    (proptest::option::of(hostile()), -2_i64..2, proptest::collection::vec(hostile(), 0..3), page, sort, flags)
}

#[test]
fn different_arguments_have_different_keys_and_all_are_plain_text() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    let lists = proptest::collection::vec(arguments(), 1..60);
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let result = runner.run(&lists, |lists| {
        server.cli(&["FLUSHALL"]);
        let mut keys = HashMap::new();
        for list in lists {
            let (a, b, c, d, e, f) = list.clone();
            keyed(&cache, a.as_deref(), b, &c, &d, &e, f);
            let key = keyed_entry(&cache, a.as_deref(), b, &c, &d, &e, f).key().unwrap().to_owned();
            let other = keys.insert(key, list.clone());
            prop_assert!(other.is_none_or(|other| other == list), "two lists share a key");
        }
        let told: BTreeSet<String> = keys.into_keys().collect();
        let plain = told.iter().all(|key| !key.contains(['{', '}', '\\', '"', ' ']));
        prop_assert!(plain, "an argument wrote a brace, or what redis-cli has to escape");
        prop_assert_eq!(keys_in_redis_cli(&server), told);
        Ok(())
    });
    result.unwrap();
}

/// Each row of the table in the guide has a function.
#[test]
fn redis_cli_shows_what_the_readme_promises() {
    #[redis_cached(prefix = "shop", name = "f", cache = cache, skip(cache))]
    fn f<T: Serialize>(cache: &Cache, value: &T) -> u8 {
        let _ = value;
        0
    }
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().build();
    macro_rules! row {
        ($($value:expr => $text:expr),* $(,)?) => {$(
            server.cli(&["FLUSHALL"]);
            f(&cache, &$value);
            let keys = keys_in_redis_cli(&server);
            let key = keys.first().map(String::as_str).unwrap_or_default();
            // The text after `shop:f<type>:`, or `shop:f:` if the type were no part of the name.
            let text = key.rsplit_once(':').map_or("", |(_, text)| text);
            assert_eq!((keys.len(), text), (1, $text), "{key}");
        )*};
    }
    row! {
        42_u8 => "42",
        42_i128 => "42",
        -7 => "-7",
        1.5_f64 => "1.5",
        1.0_f32 => "1.0",
        -0.0_f64 => "0.0",
        f32::NAN => "NaN",
        f64::NEG_INFINITY => "-inf",
        u128::MAX => "340282366920938463463374607431768211455",
        true => "true",
        "red shoes" => "red%20shoes",
        "a:b{c}" => "a%3Ab%7Bc%7D",
        "" => "''",
        "42" => "'42'",
        "none" => "'none'",
        "None" => "None",
        'ß' => "%C3%9F",
        None::<u8> => "none",
        Some(5) => "5",
        Some(None::<u8>) => "some(none)",
        () => "()",
        vec![1, 2] => "[1,2]",
        (1, "a") => "[1,a]",
        HashSet::from([3, 1, 2]) => "[1,2,3]",
        HashMap::from([("b", 2), ("a", 1)]) => "<a=1,b=2>",
        BTreeMap::from([("b", 2), ("a", 1)]) => "<a=1,b=2>",
        Page { from: 1, text: None } => "(from=1,text=none)",
        Sort::Newest => ".Newest",
        Sort::Near(-1) => ".Near(-1)",
        Sort::Within { km: 5 } => ".Within(km=5)",
    }
    server.cli(&["FLUSHALL"]);
    f(&cache, &"x".repeat(201));
    let keys = keys_in_redis_cli(&server);
    let (_, digest) = keys.first().unwrap().rsplit_once(":#").unwrap();
    assert_eq!(digest.len(), 48, "192 bits");
}

/// Bytes that are no text are an argument like any other; a path of such bytes, which serde refuses,
/// is refused.
#[test]
fn arguments_that_are_no_text_have_a_key_or_none() {
    use std::ffi::{OsStr, OsString};
    use std::os::unix::ffi::OsStrExt;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    #[redis_cached(prefix = "t", name = "os", cache = cache, skip(cache, runs))]
    fn os(cache: &Cache, runs: &AtomicUsize, text: &OsStr) -> usize {
        runs.fetch_add(1, SeqCst) + text.len()
    }
    #[redis_cached(prefix = "t", name = "os_string", cache = cache, skip(cache))]
    fn os_string(cache: &Cache, text: OsString) -> usize {
        text.len()
    }
    #[redis_cached(prefix = "t", name = "bytes", cache = cache, skip(cache))]
    fn bytes(cache: &Cache, bytes: &[u8]) -> usize {
        bytes.len()
    }
    #[redis_cached(prefix = "t", name = "path", cache = cache, skip(cache, runs))]
    fn path(cache: &Cache, runs: &AtomicUsize, path: &std::path::Path) -> usize {
        runs.fetch_add(1, SeqCst) + path.as_os_str().len()
    }
    let server = Server::start();
    for cache in ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().build()) {
        let raw: [&[u8]; 6] = [b"\xff", b"\xfe", b"\xff\xfe", b"", b"a", b"\xc3"];
        let mut keys = HashSet::new();
        for raw in raw {
            let text = OsStr::from_bytes(raw);
            keys.insert(os_entry(&cache, text).key().unwrap().to_owned());
            let owned = os_string_entry(&cache, text.to_owned()).key().unwrap().to_owned();
            assert_eq!(owned.replace("os_string", "os"), os_entry(&cache, text).key().unwrap());
            keys.insert(bytes_entry(&cache, raw).key().unwrap().to_owned());
            assert_eq!(os_string(&cache, text.to_owned()), raw.len());
            assert_eq!(bytes(&cache, raw), raw.len());
        }
        assert_eq!(keys.len(), 2 * raw.len(), "{keys:?}");
        assert!(keys.iter().all(|key| key.is_ascii()), "{keys:?}");
        let runs = AtomicUsize::new(0);
        for _ in 0..2 {
            assert_eq!(os(&cache, &runs, OsStr::from_bytes(b"\xff")), 1, "a hit is a hit");
        }
        let broken = std::path::Path::new(OsStr::from_bytes(b"\xff"));
        let refused = path_entry(&cache, broken).get().unwrap_err();
        assert_eq!(refused.kind(), redis_cached::ErrorKind::Key, "{refused}");
        assert_eq!((path(&cache, &runs, broken), path(&cache, &runs, broken)), (2, 3), "uncached, and it works");
    }
}

#[test]
fn numbers_at_the_edges_have_keys_of_their_own() {
    #[redis_cached(prefix = "t", name = "float", cache = cache, skip(cache, runs))]
    fn float(cache: &Cache, runs: &std::sync::atomic::AtomicUsize, x: f32) -> usize {
        let _ = x;
        runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst)
    }
    #[redis_cached(prefix = "t", name = "wide", cache = cache, skip(cache))]
    fn wide(cache: &Cache, x: u128, y: i128) -> u128 {
        x ^ y as u128
    }
    let server = Server::start();
    for cache in ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().build()) {
        let runs = std::sync::atomic::AtomicUsize::new(0);
        // Every not-a-number is one key, and so are the two zeros.
        for (x, run) in [
            (f32::NAN, 0),
            (-f32::NAN, 0),
            (f32::from_bits(0x7f80_0001), 0),
            (-0.0, 1),
            (0.0, 1),
            (f32::MIN_POSITIVE, 2),
        ] {
            assert_eq!(float(&cache, &runs, x), run, "{x}");
        }
        let edges = [
            (u128::MAX, i128::MIN),
            (u128::MAX, i128::MAX),
            (u128::MAX - 1, i128::MIN),
            (0, -1),
            (u128::from(u64::MAX), 0),
        ];
        for (x, y) in edges {
            assert_eq!(wide(&cache, x, y), x ^ y as u128);
        }
        let keys: HashSet<_> =
            edges.iter().map(|(x, y)| wide_entry(&cache, *x, *y).key().unwrap().to_owned()).collect();
        assert_eq!(keys.len(), edges.len());
    }
}

/// A function may look at the order of an `IndexSet` or an `IndexMap`, so two orders are two arguments.
#[tokio::test]
async fn sets_and_maps_with_an_order_keep_it() {
    use indexmap::{IndexMap, IndexSet};

    #[redis_cached(cache = cache, skip(cache))]
    fn header(cache: &Cache, names: &IndexSet<&str>) -> String {
        names.iter().copied().collect::<Vec<_>>().join(",")
    }
    #[redis_cached(cache = cache, skip(cache))]
    async fn query(cache: &Cache, parts: IndexMap<String, Option<IndexMap<u8, u8>>>) -> String {
        format!("{parts:?}")
    }
    #[redis_cached(cache = cache, skip(cache, runs))]
    async fn size(cache: &Cache, runs: &std::sync::atomic::AtomicUsize, map: HashMap<u8, HashSet<u8>>) -> usize {
        runs.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + map.len()
    }
    let server = Server::start();
    for cache in ["memory://", &server.url()].map(|url| Cache::builder(url).unwrap().build()) {
        for _ in 0..2 {
            assert_eq!(header(&cache, &IndexSet::from(["name", "age"])), "name,age");
            assert_eq!(header(&cache, &IndexSet::from(["age", "name"])), "age,name");
            for parts in [["a", "b"], ["b", "a"]] {
                for inner in [[(1, 2), (3, 4)], [(3, 4), (1, 2)]] {
                    let map = parts.map(|part| (part.to_owned(), Some(IndexMap::from(inner))));
                    let map = IndexMap::from(map);
                    assert_eq!(query(&cache, map.clone()).await, format!("{map:?}"));
                }
            }
        }
        let runs = std::sync::atomic::AtomicUsize::new(0);
        for ids in [[1, 2, 3, 4], [4, 3, 2, 1], [2, 4, 1, 3]] {
            let map = HashMap::from(ids.map(|id| (id, HashSet::from(ids))));
            assert_eq!(size(&cache, &runs, map).await, 4);
        }
    }
}
