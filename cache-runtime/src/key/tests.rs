mod groups_and_tags;
mod injective;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::IpAddr;

use proptest::prelude::*;
use serde::{Serialize, Serializer};

use super::*;

fn text<T: Serialize + ?Sized>(value: &T) -> String {
    let key = KeyWriter::new("", "f").arg("value", value).finish().expect("it has a text");
    key.as_str().strip_prefix("f:").expect("the head").to_owned()
}

fn error<T: Serialize + ?Sized>(value: &T) -> String {
    let error = KeyWriter::new("", "f").arg("value", value).finish().expect_err("it has no text");
    assert_eq!(error.kind(), ErrorKind::Key);
    error.to_string()
}

#[derive(Serialize)]
struct Point {
    x: i32,
    y: i32,
}

#[derive(Serialize)]
struct Meters(f64);

#[derive(Serialize)]
struct Nothing;

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct Skipped {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    #[serde(rename = "odd=,{name}")]
    b: u8,
}

#[derive(Serialize)]
enum Shape {
    Unit,
    New(u8),
    Inner(Option<Point>),
    Tuple(u8, String),
    Struct {
        x: u8,
    },
    #[serde(rename = "a(b)")]
    Odd,
}

#[derive(Serialize)]
struct Tags(HashSet<&'static str>);

struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Serializes through `collect_str`, like types that write their `Display` form.
struct Displayed(&'static str);

impl Serialize for Displayed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}

struct Refusing;
impl Serialize for Refusing {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

#[test]
fn numbers() {
    for (found, expected) in [
        (text(&42_u8), "42"),
        (text(&42_u64), "42"),
        (text(&42_i128), "42"),
        (text(&0), "0"),
        (text(&-1), "-1"),
        (text(&i64::MIN), "-9223372036854775808"),
        (text(&u64::MAX), "18446744073709551615"),
        (text(&u128::MAX), "340282366920938463463374607431768211455"),
        (text(&i128::MIN), "-170141183460469231731687303715884105728"),
        (text(&1.0_f64), "1.0"),
        (text(&0.1_f32), "0.1"),
        (text(&1e16_f64), "1e16"),
        (text(&-1.5e-7_f64), "-1.5e-7"),
        (text(&f64::MAX), "1.7976931348623157e308"),
        (text(&0.0_f64), "0.0"),
        (text(&-0.0_f64), "0.0"),
        (text(&-0.0_f32), "0.0"),
        (text(&f64::NAN), "NaN"),
        (text(&-f32::NAN), "NaN"),
        (text(&f32::INFINITY), "inf"),
        (text(&f64::NEG_INFINITY), "-inf"),
        (text(&true), "true"),
        (text(&Meters(2.5)), "2.5"),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn texts() {
    for (value, expected) in [
        ("red shoes", "red%20shoes"),
        ("a-b_c.d~e@f/g+h", "a-b_c.d~e@f/g+h"),
        ("a:b{c}%#'\"", "a%3Ab%7Bc%7D%25%23%27%22"),
        ("grün", "gr%C3%BCn"),
        ("", "''"),
        ("None", "None"),
        ("none", "'none'"),
        ("some(none)", "some%28none%29"),
        ("true", "'true'"),
        ("True", "True"),
        ("42", "'42'"),
        ("-1", "'-1'"),
        ("-", "-"),
        ("1.0", "'1.0'"),
        ("1.", "1."),
        ("1e16", "'1e16'"),
        ("-1.5e-7", "'-1.5e-7'"),
        ("1e", "1e"),
        ("+1", "+1"),
        ("inf", "'inf'"),
        ("-inf", "'-inf'"),
        ("NaN", "'NaN'"),
        ("nan", "nan"),
        ("2024-01-31", "2024-01-31"),
        ("67e55044-10b1-426f-9247-bb680e5fe0c8", "67e55044-10b1-426f-9247-bb680e5fe0c8"),
        ("10.0.0.1", "10.0.0.1"),
        (".Unit", "'.Unit'"),
        ("a.b", "a.b"),
        ("0x", "'0x'"),
        ("0x00ff", "'0x00ff'"),
        ("0x00FF", "0x00FF"),
        ("'", "%27"),
        ("()", "%28%29"),
    ] {
        assert_eq!(text(value), expected);
        assert_eq!(text(&Displayed(value)), expected);
    }
    assert_eq!(text(&'a'), "a");
    assert_eq!(text(&'5'), "'5'");
    assert_eq!(text(&':'), "%3A");
    assert_eq!(text(&"::1".parse::<IpAddr>().expect("an address")), "%3A%3A1");
}

#[test]
fn the_rest_of_the_data_model() {
    for (found, expected) in [
        (text(&()), "()"),
        (text(&Nothing), "()"),
        (text(&Empty {}), "(=)"),
        (text(&None::<u8>), "none"),
        (text(&Some(5)), "5"),
        (text(&Some("none")), "'none'"),
        (text(&Some(None::<u8>)), "some(none)"),
        (text(&Some(Some(None::<u8>))), "some(some(none))"),
        (text(&Some(Some(5))), "5"),
        (text(&Some(())), "()"),
        (text(&Bytes(b"\x00\xff")), "0x00ff"),
        (text(&Bytes(b"")), "0x"),
        (text(&[1, 2]), "[1,2]"),
        (text(&Vec::<u8>::new()), "[]"),
        (text(&(1, "a,b", [""])), "[1,a%2Cb,['']]"),
        (text(&BTreeMap::from([(10, 'a'), (9, 'b')])), "<10=a,9=b>"),
        (text(&BTreeMap::from([("k=1", Some(1)), ("k", None)])), "<k%3D1=1,k=none>"),
        (text(&Point { x: 1, y: -2 }), "(x=1,y=-2)"),
        (text(&Skipped { a: None, b: 1 }), "(odd%3D%2C%7Bname%7D=1)"),
        (text(&Skipped { a: Some(0), b: 1 }), "(a=0,odd%3D%2C%7Bname%7D=1)"),
        (text(&Shape::Unit), ".Unit"),
        (text(&Shape::New(1)), ".New(1)"),
        (text(&Shape::Inner(None)), ".Inner(none)"),
        (text(&Shape::Inner(Some(Point { x: 1, y: 2 }))), ".Inner((x=1,y=2))"),
        (text(&Shape::Tuple(1, "x".into())), ".Tuple[1,x]"),
        (text(&Shape::Struct { x: 1 }), ".Struct(x=1)"),
        (text(&Shape::Odd), ".a%28b%29"),
    ] {
        assert_eq!(found, expected);
    }
}

#[test]
fn sets_have_no_order() {
    for words in [["a", "b", "c"], ["c", "a", "b"]] {
        let set = HashSet::from(words);
        assert_eq!(text(&set), "[a,b,c]");
        assert_eq!(text(&&&set), "[a,b,c]");
        assert_eq!(text(&Some(&set)), "[a,b,c]");
        assert_eq!(text(&Box::new(set.clone())), "[a,b,c]");
        assert_eq!(text(&std::borrow::Cow::Borrowed(&set)), "[a,b,c]");
        assert_eq!(text(&std::cell::RefCell::new(set.clone())), "[a,b,c]");
        assert_eq!(text(&(1, set.clone())), "[1,[a,b,c]]");
        assert_eq!(text(&BTreeMap::from([(1, set.clone())])), "<1=[a,b,c]>");
        assert_eq!(text(&Tags(set)), "[a,b,c]");
    }
    assert_eq!(text(&["c", "a"]), "[c,a]");
    assert_eq!(text(&vec![HashSet::from([1])]), "[[1]]");
    // A container of sets keeps its order.
    let sets = [HashSet::from([2]), HashSet::from([1])];
    assert_eq!(text(&sets[..]), "[[2],[1]]");
    assert_eq!(text(&Some(&sets[..])), "[[2],[1]]");
    assert_eq!(text(&[&sets[0], &sets[1]][..]), "[[2],[1]]");
    assert_eq!(text(&vec![(sets[0].clone(), 1)].into_boxed_slice()), "[[[2],1]]");
    assert_eq!(text(&[(&sets[0], 2), (&sets[1], 1)][..]), "[[[2],2],[[1],1]]");
    assert_eq!(text(&std::borrow::Cow::Borrowed(&sets[..])), "[[2],[1]]");
    let shared = Box::new(Some(std::sync::RwLock::new(HashSet::from([9, 10]))));
    assert_eq!(text(&shared), "[10,9]");
    // A type of the same name is not one.
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Mutex<T>(T);
    assert_eq!(text(&Mutex(vec![2, 1])), "[2,1]");
    assert_eq!(text(&BTreeSet::from([10, 9])), "[9,10]");
    assert_eq!(text(&HashSet::from([9, 10])), "[10,9]");
}

#[test]
fn maps_have_the_order_of_their_type() {
    /// Entries in the order of their insertion, as in `IndexMap`.
    struct Entries<K, V>(Vec<(K, V)>);
    impl<K: Serialize, V: Serialize> Serialize for Entries<K, V> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
        }
    }
    #[derive(Serialize)]
    struct HashMap<K, V>(Entries<K, V>);
    let entries = || Entries(vec![("b", 2), ("a", 1)]);
    assert_eq!(text(&entries()), "<b=2,a=1>");
    assert_eq!(text(&HashMap(entries())), "<b=2,a=1>");
    let hashed: std::collections::HashMap<_, _> = entries().0.into_iter().collect();
    assert_eq!(text(&hashed), "<a=1,b=2>");
    assert_eq!(text(&&Some(Box::new(hashed.clone()))), "<a=1,b=2>");
    assert_eq!(text(&[Box::new(std::cell::RefCell::new(hashed))]), "[<a=1,b=2>]");
    assert_eq!(text(&BTreeMap::from([(10, 1), (9, 1)])), "<10=1,9=1>");
}

#[test]
fn types_without_an_order_are_known_by_crate_and_name() {
    for name in [
        "std::collections::hash::set::HashSet<u8>",
        "&alloc::sync::Arc<std::collections::hash::map::HashMap<u8, u8, rustc_hash::FxBuildHasher>>",
        "hashbrown::map::HashMap<u8, u8>",
        "hashbrown::set::HashSet<u8>",
        "ahash::hash_set::AHashSet<u8>",
        "ahash::hash_map::AHashMap<u8, u8>",
        "dashmap::set::DashSet<u8>",
        "dashmap::DashMap<u8, u8>",
        "alloc::borrow::Cow<'_, hashbrown::set::HashSet<u8>>",
    ] {
        assert!(super::encode::is_unordered(name), "{name}");
    }
    for name in [
        "indexmap::set::IndexSet<u8>",
        "indexmap::map::IndexMap<u8, u8>",
        "mine::HashSet<u8>",
        "mine::std::HashSet<u8>",
        "mine::RuleSet<u8>",
        "mine::Ordered<std::collections::hash::set::HashSet<u8>>",
        "mine::Box<std::collections::hash::set::HashSet<u8>>",
        "linked_hash_map::LinkedHashMap<u8, u8>",
        "alloc::vec::Vec<hashbrown::set::HashSet<u8>>",
        "[hashbrown::set::HashSet<u8>]",
        "serde_json::map::Map<alloc::string::String, serde_json::value::Value>",
    ] {
        assert!(!super::encode::is_unordered(name), "{name}");
    }
}

#[test]
fn a_key_is_its_parts_between_colons() {
    let key = KeyWriter::new("", "shop:users.user").arg("id", &42).finish().expect("valid");
    assert_eq!(key.as_str(), "shop:users.user:42");
    assert_eq!(key.namespace_len(), 0);
    let key =
        KeyWriter::new("eu:{1}", "shop:search").arg("words", "red shoes").arg("page", &2).finish().expect("valid");
    assert_eq!(key.as_str(), "eu%3A%7B1%7D:shop:search:red%20shoes:2");
    assert_eq!(key.namespace_len(), "eu%3A%7B1%7D".len());
    let key = KeyWriter::new("", "shop:all").finish().expect("valid");
    assert_eq!(key.as_str(), "shop:all");
    let key = KeyWriter::new("", "shop")
        .literal(":user:{")
        .placeholder("id", &7)
        .literal("}:")
        .placeholder("page", "x")
        .finish()
        .expect("valid");
    assert_eq!(key.as_str(), "shop:user:{7}:x");
}

#[test]
fn a_long_argument_part_is_hashed() {
    let spelled = "x".repeat(SPELLED);
    assert_eq!(text(spelled.as_str()), spelled);
    let hashed = text(format!("{spelled}x").as_str());
    // SHA-256 of 201 times "x".
    assert_eq!(hashed, format!("#{}", &sha256_hex(&"x".repeat(201))[..48]));
    assert_ne!(hashed, text(format!("{spelled}y").as_str()));
    // All arguments together, in either order.
    let halves = |a: &str, b: &str| {
        let key = KeyWriter::new("n", "p:f").arg("a", a).arg("b", b).finish().expect("valid");
        key.as_str().to_owned()
    };
    let (long, short) = ("x".repeat(150), "y".repeat(60));
    assert!(halves(&long, &short).starts_with("n:p:f:#"));
    assert_eq!(halves(&long, &short).len(), "n:p:f:#".len() + 48);
    assert_ne!(halves(&long, &short), halves(&short, &long));
    // The literal text before the first placeholder stays.
    let key = KeyWriter::new("", "shop")
        .literal(":user:")
        .placeholder("name", &"z".repeat(201))
        .literal(":tail")
        .finish()
        .expect("valid");
    assert!(key.as_str().starts_with("shop:user:#") && key.as_str().len() == 11 + 48);
}

fn sha256_hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn what_has_no_text_is_an_error_that_names_the_parameter() {
    struct Refusing;
    impl Serialize for Refusing {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("not today"))
        }
    }
    let message = error(&Refusing);
    assert!(message.contains("`value`") && message.contains("not today"), "{message}");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::path::Path::new(std::ffi::OsStr::from_bytes(b"\xff"));
        assert!(error(path).contains("UTF-8"));
    }
    let first = KeyWriter::new("", "f").arg("a", &1).arg("b", &Refusing).arg("c", &Refusing).finish();
    assert!(first.expect_err("refused").to_string().contains("`b`"));
}

#[test]
fn depth_has_a_limit() {
    #[derive(Serialize, Clone)]
    struct Node(Option<Box<Node>>);
    let nested = |depth| (0..depth).fold(Node(None), |inner, _| Node(Some(Box::new(inner))));
    assert_eq!(text(&nested(1)), "some(none)");
    assert!(error(&nested(500)).contains("deep"));
    let deep = nested(50_000);
    assert!(error(&deep).contains("deep"));
    // The recursive drop of this value would overflow the stack.
    std::mem::forget(deep);
}
