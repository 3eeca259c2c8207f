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

/// Any value of serde's data model.
#[derive(Clone, Debug, PartialEq)]
enum Model {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    Unit,
    Option(Option<Box<Model>>),
    Seq(Vec<Model>),
    Map(Vec<(Model, Model)>),
    Struct(Vec<(usize, Model)>),
    UnitVariant(usize),
    NewVariant(usize, Box<Model>),
    TupleVariant(usize, Vec<Model>),
    StructVariant(usize, Vec<(usize, Model)>),
}

const NAMES: &[&str] = &["a", "b", "a=1", "a,b", "none", "some(", "a.b", ".a", "{a}", "a:", ""];

impl Serialize for Model {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        use serde::ser::{SerializeMap, SerializeStruct, SerializeStructVariant, SerializeTupleVariant};
        match self {
            Model::Bool(v) => s.serialize_bool(*v),
            Model::Int(v) => s.serialize_i64(*v),
            Model::Float(v) => s.serialize_f64(*v),
            Model::Text(v) => s.serialize_str(v),
            Model::Bytes(v) => s.serialize_bytes(v),
            Model::Unit => s.serialize_unit(),
            Model::Option(None) => s.serialize_none(),
            Model::Option(Some(v)) => s.serialize_some(v),
            Model::Seq(v) => s.collect_seq(v),
            Model::Map(v) => {
                let mut map = s.serialize_map(Some(v.len()))?;
                for (key, value) in v {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Model::Struct(v) => {
                let mut fields = s.serialize_struct("S", v.len())?;
                for (name, value) in v {
                    fields.serialize_field(NAMES[*name], value)?;
                }
                fields.end()
            }
            Model::UnitVariant(n) => s.serialize_unit_variant("E", 0, NAMES[*n]),
            Model::NewVariant(n, v) => s.serialize_newtype_variant("E", 0, NAMES[*n], v),
            Model::TupleVariant(n, v) => {
                let mut fields = s.serialize_tuple_variant("E", 0, NAMES[*n], v.len())?;
                for value in v {
                    fields.serialize_field(value)?;
                }
                fields.end()
            }
            Model::StructVariant(n, v) => {
                let mut fields = s.serialize_struct_variant("E", 0, NAMES[*n], v.len())?;
                for (name, value) in v {
                    fields.serialize_field(NAMES[*name], value)?;
                }
                fields.end()
            }
        }
    }
}

/// A text that is equal for two values if they must share a key: `Some(x)` is `x` unless `x` is an absent
/// option, maps have no order, and the sign of zero and the kind of NaN do not count.
fn canonical(model: &Model) -> String {
    let list = |items: &[Model]| items.iter().map(canonical).collect::<Vec<_>>().join(" ");
    let fields = |items: &[(usize, Model)]| {
        items.iter().map(|(name, value)| format!("{name} {}", canonical(value))).collect::<Vec<_>>().join(" ")
    };
    match model {
        Model::Float(v) if v.is_nan() => "NaN".to_owned(),
        Model::Float(v) => format!("Float {}", if *v == 0.0 { 0 } else { v.to_bits() }),
        Model::Option(Some(v)) => match &**v {
            Model::Option(_) if is_absent(v) => format!("Some {}", canonical(v)),
            _ => canonical(v),
        },
        Model::Seq(v) => format!("Seq{} {}", v.len(), list(v)),
        Model::Map(v) => {
            let mut entries: Vec<_> =
                v.iter().map(|(key, value)| format!("{} {}", canonical(key), canonical(value))).collect();
            entries.sort();
            format!("Map{} {}", v.len(), entries.join(" "))
        }
        Model::Struct(v) => format!("Struct{} {}", v.len(), fields(v)),
        Model::NewVariant(n, v) => format!("New{n} {}", canonical(v)),
        Model::TupleVariant(n, v) => format!("Tuple{n} {} {}", v.len(), list(v)),
        Model::StructVariant(n, v) => format!("StructVariant{n} {} {}", v.len(), fields(v)),
        other => format!("{other:?}"),
    }
}

fn is_absent(model: &Model) -> bool {
    match model {
        Model::Option(None) => true,
        Model::Option(Some(inner)) => is_absent(inner),
        _ => false,
    }
}

/// Text that resembles the syntax of other values.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a:,=.'(){}<>\\[\\]%#0-9ex -]{0,6}",
        proptest::sample::select(vec![
            "none",
            "some(none)",
            "true",
            "''",
            "()",
            "(=)",
            "[]",
            "<>",
            "0x00",
            "NaN",
            "inf",
            "-inf",
            "1.0",
            "1e5",
            "%3A",
            ":",
            "a:b",
            "#",
            "é",
            "é",
        ])
        .prop_map(str::to_owned),
        any::<i16>().prop_map(|number| number.to_string()),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let name = 0..NAMES.len();
    let leaf = prop_oneof![
        any::<bool>().prop_map(Model::Bool),
        (-3_i64..3).prop_map(Model::Int),
        proptest::sample::select(vec![0.0, -0.0, 1.0, f64::NAN, f64::INFINITY, 1e16, -1.0]).prop_map(Model::Float),
        hostile().prop_map(Model::Text),
        proptest::collection::vec(0_u8..2, 0..3).prop_map(Model::Bytes),
        Just(Model::Unit),
        Just(Model::Option(None)),
        name.clone().prop_map(Model::UnitVariant),
    ];
    leaf.prop_recursive(4, 24, 3, move |inner| {
        let fields = proptest::collection::vec((name.clone(), inner.clone()), 0..3);
        let list = proptest::collection::vec(inner.clone(), 0..3);
        prop_oneof![
            inner.clone().prop_map(|v| Model::Option(Some(Box::new(v)))),
            list.clone().prop_map(Model::Seq),
            proptest::collection::vec((inner.clone(), inner.clone()), 0..3).prop_map(Model::Map),
            fields.clone().prop_map(Model::Struct),
            (name.clone(), inner).prop_map(|(n, v)| Model::NewVariant(n, Box::new(v))),
            (name.clone(), list).prop_map(|(n, v)| Model::TupleVariant(n, v)),
            (name.clone(), fields).prop_map(|(n, v)| Model::StructVariant(n, v)),
        ]
    })
}

/// Visible ASCII without a brace.
fn is_clean(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'{' && byte != b'}')
}

fn key_of(arguments: &[Model]) -> Key {
    let mut writer = KeyWriter::new("", "p:f");
    for argument in arguments {
        writer.arg("a", argument);
    }
    writer.finish().expect("valid")
}

struct Refusing;
impl Serialize for Refusing {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not today"))
    }
}

/// The `Serialize` of this map ignores an error and continues.
#[test]
fn a_part_that_failed_before_it_wrote_anything_is_passed_over() {
    struct Careless;
    impl Serialize for Careless {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap;
            let mut map = serializer.serialize_map(None)?;
            let _ = map.serialize_entry(&Refusing, &1);
            map.serialize_entry(&2, &3)?;
            map.end()
        }
    }
    assert_eq!(KeyWriter::new("", "f").arg("map", &Careless).finish().expect("a key").as_str(), "f:<,2=3>");
}

#[test]
fn no_two_small_values_share_a_key() {
    const TEXTS: &[&str] = &[
        "",
        "a",
        "none",
        "None",
        "some(none)",
        "true",
        "false",
        "NaN",
        "inf",
        "-inf",
        "0",
        "-1",
        "1.0",
        "0.0",
        "1e16",
        "''",
        "'a'",
        "()",
        "(=)",
        "[]",
        "[a]",
        "<>",
        "0x",
        "0x00",
        ".a",
        ".",
        ".a=1",
        "a,a",
        "a:a",
        "a=a",
        "%61",
        "#",
    ];
    let mut values: Vec<_> = TEXTS.iter().map(|&text| Model::Text(text.to_owned())).collect();
    values.extend([true, false].map(Model::Bool));
    values.extend([0, -1, 1].map(Model::Int));
    values.extend([0.0, 1.0, -1.0, 1e16, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Model::Float));
    values.extend([vec![], vec![0]].map(Model::Bytes));
    values.extend([Model::Unit, Model::Option(None), Model::Seq(vec![]), Model::Map(vec![]), Model::Struct(vec![])]);
    for name in 0..NAMES.len() {
        values.extend([
            Model::UnitVariant(name),
            Model::TupleVariant(name, vec![]),
            Model::StructVariant(name, vec![]),
        ]);
    }
    for _ in 0..2 {
        for value in values.clone().into_iter().step_by(values.len() / 400 + 1) {
            let boxed = Box::new(value.clone());
            values.extend([
                Model::Option(Some(boxed.clone())),
                Model::Seq(vec![value.clone()]),
                Model::Seq(vec![value.clone(), Model::Int(0)]),
                Model::Map(vec![(value.clone(), Model::Int(0))]),
                Model::Map(vec![(Model::Int(0), value.clone())]),
                Model::Struct(vec![(0, value.clone())]),
                Model::Struct(vec![(2, value.clone()), (0, Model::Int(0))]),
                Model::NewVariant(0, boxed),
                Model::TupleVariant(0, vec![value.clone()]),
                Model::StructVariant(0, vec![(0, value)]),
            ]);
        }
    }
    let mut seen = HashMap::new();
    let mut put = |arguments: &[Model]| {
        let canonical: Vec<_> = arguments.iter().map(canonical).collect();
        let before = seen.entry(key_of(arguments)).or_insert_with(|| canonical.clone());
        assert_eq!(*before, canonical, "{arguments:?}");
    };
    for (index, value) in values.iter().enumerate() {
        put(std::slice::from_ref(value));
        put(&[value.clone(), values[index * 7 % values.len()].clone()]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn different_arguments_have_different_keys(
        lists in proptest::collection::vec(proptest::collection::vec(model(), 0..3), 2..40)
    ) {
        let mut seen = HashMap::<String, (String, Vec<Model>)>::new();
        for arguments in lists {
            let canonical: Vec<_> = arguments.iter().map(canonical).collect();
            let canonical = format!("{} {}", arguments.len(), canonical.join(" | "));
            let key = key_of(&arguments);
            prop_assert!(is_clean(key.as_str()));
            prop_assert!(key.as_str().len() <= "p:f:".len() + SPELLED);
            let known = seen.entry(key.as_str().to_owned());
            let (other, before) = known.or_insert_with(|| (canonical.clone(), arguments.clone()));
            prop_assert_eq!(&*other, &canonical, "{:?} and {:?}", before, arguments);
        }
    }

    #[test]
    fn texts_never_share_a_key(a in hostile(), b in hostile(), c in hostile(), d in hostile()) {
        let key = |a: &str, b: &str| KeyWriter::new("", "f").arg("a", a).arg("b", b).finish();
        let (one, other) = (key(&a, &b).expect("valid"), key(&c, &d).expect("valid"));
        prop_assert_eq!((a, b) == (c, d), one == other);
    }

    #[test]
    fn order_of_insertion_does_not_matter(entries in proptest::collection::hash_map(hostile(), any::<u8>(), 0..8)) {
        let forward: HashMap<_, _> = entries.clone().into_iter().collect();
        let mut backward = HashMap::new();
        let mut listed: Vec<_> = entries.iter().collect();
        listed.reverse();
        backward.extend(listed);
        let sorted: BTreeMap<_, _> = entries.iter().collect();
        prop_assert_eq!(text(&forward), text(&backward));
        prop_assert_eq!(text(&forward), text(&sorted));
        let set: HashSet<_> = entries.keys().collect();
        let again: HashSet<_> = backward.keys().copied().collect();
        prop_assert_eq!(text(&set), text(&again));
    }

    #[test]
    fn every_text_and_number_has_one_key(value in any::<(String, i64, u128, f64, char)>()) {
        let found = text(&value);
        prop_assert_eq!(&found, &text(&value.clone()));
        prop_assert!(is_clean(&found), "{}", found);
    }
}

mod groups_and_tags {
    use super::*;

    fn group() -> KeyWriter {
        let mut writer = KeyWriter::of_group("", "shop");
        writer.literal(":class:").placeholder("class_id", &7);
        writer
    }

    #[test]
    fn an_entry_in_a_group_is_a_field_of_its_hash() {
        let key = group().field("users.user").literal(":").placeholder("id", &42).finish().expect("a key");
        assert_eq!(key.as_str(), "shop:#group:class:7 users.user:42");
        assert_eq!(key.address(), Address::Field { hash: "shop:#group:class:7", field: "users.user:42" });
        assert_eq!(Address::of(key.as_str()), key.address());
        assert_eq!(
            key.concerned_by().collect::<Vec<_>>(),
            ["shop:#group:class:7 users.user:42", "shop:#group:class:7"]
        );
    }

    #[test]
    fn a_group_s_arguments_and_an_entry_s_are_cut_by_themselves() {
        let long = "x".repeat(500);
        let group = || {
            let mut writer = KeyWriter::of_group("space", "shop");
            writer.literal(":class:").placeholder("class", &long);
            writer
        };
        let key = group().field("f").literal(":").placeholder("id", &1).finish().expect("a key");
        let name = group().finish().expect("a key");
        let Address::Field { hash, field } = key.address() else { panic!("{key:?}") };
        assert_eq!((hash, field), (name.as_str(), "f:1"));
        assert!(hash.starts_with("space:shop:#group:class:#") && hash.len() < 110, "{hash}");
        let key = group().field("f").literal(":").placeholder("id", &long).finish().expect("a key");
        assert!(key.as_str().len() < 200, "{key:?}");
    }

    #[test]
    fn a_group_by_its_name_is_that_of_its_entries() {
        let mut writer = KeyWriter::of_group("a b", "shop");
        let key = writer.literal(":class:").placeholder("class", &"red shoes").field("f").finish().expect("a key");
        let Address::Field { hash, .. } = key.address() else { panic!("{key:?}") };
        for name in ["shop:class:red%20shoes", "shop:#group:class:red%20shoes"] {
            let group = Key::of_group("a b", name).expect("a key");
            assert_eq!((hash, key.namespace_len()), (group.as_str(), group.namespace_len()));
        }
        for name in
            ["", "a b", "a\n", "class", "shop:", ":class", "#tag:a", "shop:#tag:a", "shop:#group:", "shop:#group:#a"]
        {
            assert_eq!(Key::of_group("", name).expect_err(name).kind(), ErrorKind::Key);
        }
    }

    /// The first parts of a key are namespace, prefix, name or a mark, and each mark is at one place after the
    /// namespace. Without the marks, keys below would be equal.
    #[test]
    fn keys_groups_and_stamps_never_meet() {
        let plain = |namespace: &str, prefix: &str, text: &'static str| {
            let mut writer = KeyWriter::new(namespace, prefix);
            writer.literal(text).finish().expect("a key").as_str().to_owned()
        };
        let group = |namespace: &str, prefix: &str, text: &'static str| {
            let mut writer = KeyWriter::of_group(namespace, prefix);
            writer.literal(text).finish().expect("a key").as_str().to_owned()
        };
        let stamp = |namespace: &str, tag: &str| Key::of_tag(namespace, tag).as_str().to_owned();
        let all = [
            plain("", "shop", ":class:7"),
            group("", "shop", ":class:7"),
            group("", "shop", ":tag:7"),
            group("", "shop", ":group:7"),
            group("eu", "shop", ":class:7"),
            group("", "eu", ":shop:class:7"),
            plain("eu", "shop", ":class:7"),
            stamp("shop", "7"),
            stamp("shop", "group:class:7"),
            stamp("", "shop:class:7"),
            stamp("shop", "class:7"),
            stamp("eu", "shop:#group:class:7"),
            plain("shop", "%23group", ":class:7"),
        ];
        let mut different = all.to_vec();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), all.len(), "{all:?}");
    }

    /// A key with one tag that contains a placeholder.
    fn tagged<T: Serialize>(value: T) -> Key {
        let mut writer = KeyWriter::new("space", "shop");
        writer.literal(":").placeholder("id", &1);
        writer.tag().literal("org:").placeholder("org", &value).finish().expect("a key")
    }

    #[test]
    fn a_tag_is_its_text() {
        #[derive(Serialize)]
        enum Role {
            Admin,
        }
        #[derive(Serialize)]
        struct Name(&'static str);
        let path = std::path::Path::new("a/b c");
        for (key, text) in [
            (tagged(7), "org:7"),
            (tagged(-7_i8), "org:-7"),
            (tagged("7"), "org:7"),
            (tagged("red shoes"), "org:red shoes"),
            (tagged("a:b{c}%\n"), "org:a:b{c}%\n"),
            (tagged(""), "org:"),
            (tagged('é'), "org:é"),
            (tagged(true), "org:true"),
            (tagged(Some(7)), "org:7"),
            (tagged(Some("x")), "org:x"),
            (tagged(None::<u8>), "org:none"),
            (tagged(Role::Admin), "org:Admin"),
            (tagged(Name("x")), "org:x"),
            (tagged(path), "org:a/b c"),
            (tagged("x".repeat(10_000)), &format!("org:{}", "x".repeat(10_000))),
        ] {
            assert_eq!(key.tags(), [Key::of_tag("space", text).as_str()], "{text}");
            assert_eq!(key.as_str(), "space:shop:1", "tags are no part of the key");
            assert!(key.tags()[0].len() < 700, "{key:?}");
        }
        assert_eq!(tagged(7).tags(), ["space:#tag:org:7"]);
    }

    #[test]
    fn different_tags_have_different_stamps() {
        let tags = ["", ":", "a", "A", "a:", ":a", "a::b", "a:b", "a%3Ab", "a b", "a+b", "{a}", "#tag:a", "a\0r", "é"];
        let keys: std::collections::HashSet<_> = tags.map(|tag| Key::of_tag("", tag).as_str().to_owned()).into();
        assert_eq!(keys.len(), tags.len());
        assert!(keys.iter().all(|key| !key.contains([' ', '{', '}'])), "{keys:?}");
        assert_ne!(Key::of_tag("a", "b").as_str(), Key::of_tag("", "a:b").as_str());
    }

    #[test]
    fn tags_are_a_set() {
        let mut writer = KeyWriter::new("", "shop");
        let key =
            writer.literal(":x").tag().literal("b").tag().literal("a").tag().literal("b").finish().expect("a key");
        assert_eq!(key.tags(), ["#tag:a", "#tag:b"]);
        assert_eq!(key.concerned_by().collect::<Vec<_>>(), ["shop:x", "#tag:a", "#tag:b"]);
    }

    #[test]
    fn keys_of_one_function_are_a_family() {
        let alone = |name: &str, id: u32| KeyWriter::new("", name).arg("id", &id).finish().expect("a key").family();
        assert_eq!(alone("shop:user", 1), alone("shop:user", 2));
        assert_ne!(alone("shop:user", 1), alone("shop:order", 1));
        let constant = |name| KeyWriter::new("", "shop").literal(name).finish().expect("a key").family();
        assert_ne!(constant(":a"), constant(":b"));
        let grouped = |class: u32, name: &str, id: Option<u32>| {
            let mut writer = KeyWriter::of_group("", "shop");
            writer.literal(":class:").placeholder("class", &class).field(name);
            if let Some(id) = id {
                writer.arg("id", &id);
            }
            writer.finish().expect("a key").family()
        };
        assert_eq!(grouped(1, "user", Some(1)), grouped(2, "user", Some(2)));
        assert_eq!(grouped(1, "user", None), grouped(2, "user", None));
        assert_ne!(grouped(1, "user", Some(1)), grouped(1, "order", Some(1)));
        assert_ne!(grouped(1, "user", None), grouped(1, "order", None));
        assert_ne!(grouped(1, "user", Some(1)), alone("shop:user", 1));
    }

    #[test]
    fn what_has_no_text_fails_the_key() {
        let error = KeyWriter::new("", "shop").tag().placeholder("org", &Refusing).finish().expect_err("no text");
        assert_eq!(error.kind(), ErrorKind::Key);
        assert!(error.to_string().contains("org") && error.to_string().contains("not today"), "{error}");
    }
}
