//! Different arguments have different keys, and equal ones have one.

use super::*;

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
/// option, and the sign of zero and the kind of NaN do not count.
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
            let entries: Vec<_> =
                v.iter().map(|(key, value)| format!("{} {}", canonical(key), canonical(value))).collect();
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
