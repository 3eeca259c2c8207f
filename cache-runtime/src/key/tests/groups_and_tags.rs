//! The keys of groups, and of tags.

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
    assert_eq!(key.concerned_by().collect::<Vec<_>>(), ["shop:#group:class:7 users.user:42", "shop:#group:class:7"]);
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
    let key = writer.literal(":x").tag().literal("b").tag().literal("a").tag().literal("b").finish().expect("a key");
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
