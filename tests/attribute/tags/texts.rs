//! Which text a tag is, and how many a value may have.

use super::*;

#[tokio::test]
async fn the_tags_of_a_value_drop_it() {
    let server = Server::start();
    for [cache, other] in pairs(&server) {
        let runs = AtomicUsize::new(0);
        let red = member(&cache, &runs, &texts(&["red"]), 7, 1).await;
        let two = member(&cache, &runs, &texts(&["red", "blue", "blue"]), 7, 2).await;
        let none = member(&cache, &runs, &[], 7, 3).await;
        let plain = own(&cache, &runs, &texts(&["blue"]), 4);
        assert_eq!(member(&other, &runs, &[], 7, 1).await, red);
        assert_eq!(member(&other, &runs, &[], 7, 2).await, two);
        assert_eq!(member(&other, &runs, &[], 7, 3).await, none);
        assert_eq!(own(&other, &runs, &[], 4), plain);
        assert!(!cache.invalidate_tag("team:green").await.unwrap());
        assert!(cache.invalidate_tag("team:blue").await.unwrap());
        assert_eq!(member(&other, &runs, &[], 7, 1).await, red);
        assert_eq!(member(&other, &runs, &[], 7, 3).await, none);
        assert_eq!(member_entry(&other, 7, 2).get().await.unwrap(), None);
        assert_eq!(own_entry(&other, 4).get().unwrap(), None);
        // Others use the tag meanwhile.
        own(&cache, &runs, &texts(&["blue"]), 5);
        assert_eq!(member_entry(&other, 7, 2).get().await.unwrap(), None);
        assert_eq!(own_entry(&other, 4).get().unwrap(), None);
        // The new value has another tag.
        let green = own(&cache, &runs, &texts(&["green"]), 4);
        assert!(other.invalidate_tag("team:blue").await.unwrap());
        assert_eq!(own(&other, &runs, &[], 4), green);
        // The tag of the argument drops all of them.
        assert!(other.invalidate_tag("org:7").await.unwrap());
        for id in 1..4 {
            assert_eq!(member_entry(&cache, 7, id).get().await.unwrap(), None);
        }
        assert_eq!(own(&cache, &runs, &[], 4), green);
        assert!(cache.blocking().invalidate_tag("team:green").unwrap());
        assert_eq!(own(&cache, &runs, &[], 4).teams, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_value_may_have_a_thousand_tags_and_with_more_it_is_not_stored() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        let teams = |count: usize| (0..count).map(|team| team.to_string()).collect::<Vec<_>>();
        let most = member(&cache, &runs, &teams(1_000), 7, 1).await;
        assert_eq!(member(&cache, &runs, &[], 7, 1).await, most);
        assert!(cache.invalidate_tag("team:999").await.unwrap());
        assert_eq!(member_entry(&cache, 7, 1).get().await.unwrap(), None);
        let stored = cache.stats().stored;
        for run in 1..3 {
            assert_eq!(member(&cache, &runs, &teams(1_001), 7, 2).await.run, run, "returned, not stored");
        }
        assert_eq!(cache.stats().stored, stored);
        let too_many = Member { id: 2, teams: teams(1_001), run: 9 };
        assert_eq!(member_entry(&cache, 7, 2).put(&too_many).await.unwrap_err().kind(), ErrorKind::Codec);
        assert_eq!(member_entry(&cache, 7, 2).get().await.unwrap(), None);
        // The same one, over and over, is one.
        let same = member(&cache, &runs, &vec!["same".to_owned(); 5_000], 7, 3).await;
        assert_eq!(member(&cache, &runs, &[], 7, 3).await, same);
        own(&cache, &runs, &teams(1_001), 4);
        assert_eq!(own_entry(&cache, 4).get().unwrap(), None);
    }
}

/// A tag is its text, whatever is in it.
#[tokio::test]
async fn hostile_texts_are_tags_like_others() {
    let (long, longer) = ("x".repeat(10_000), format!("{}y", "x".repeat(10_000)));
    let (edge, over) = ("e".repeat(195), "e".repeat(196));
    let hostile = [
        "",
        " ",
        "  ",
        ":",
        "::",
        "a",
        "a:",
        ":a",
        "a:b",
        "a b",
        "a\nb",
        "\n",
        "\r\n",
        "\0",
        "{a}",
        "{",
        "}",
        "%20",
        "%",
        "é",
        "日本語",
        "*",
        "?",
        "[a]",
        "#",
        "#tag:a",
        "'",
        "\"",
        "none",
        "None",
        "()",
        "42",
        &long,
        &longer,
        &edge,
        &over,
    ];
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for (id, x) in hostile.into_iter().enumerate() {
            text(&cache, x).await;
            // The same text is also the tag of a value.
            own(&cache, &runs, &texts(&[x]), id as u64);
        }
        for (id, x) in hostile.into_iter().enumerate() {
            assert!(cache.invalidate_tag(&format!("text:{x}")).await.unwrap(), "{x:?}");
            assert!(cache.invalidate_tag(&format!("team:{x}")).await.unwrap(), "{x:?}");
            for (other_id, other) in hostile.into_iter().enumerate() {
                let stays = other_id > id;
                assert_eq!(text_entry(&cache, other).get().await.unwrap().is_some(), stays, "{x:?} {other:?}");
                assert_eq!(own_entry(&cache, other_id as u64).get().unwrap().is_some(), stays, "{x:?} {other:?}");
            }
        }
    }
    // Readable, and no white space in it.
    let keys = server.cli(&["KEYS", "*"]);
    assert!(keys.lines().all(|key| !key.contains([' ', '{', '}'])), "{keys}");
}

#[derive(Serialize)]
struct OrgId(u64);

#[derive(Serialize)]
struct Slug(String);

#[derive(Serialize)]
enum Kind {
    Team,
    #[serde(rename = "org unit")]
    Unit,
}

/// Serializes like `uuid::Uuid` and others.
struct Uuid(u128);

impl Display for Uuid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:08x}-{:04x}", self.0 >> 16 & 0xffff_ffff, self.0 & 0xffff)
    }
}

impl Serialize for Uuid {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes())
        }
    }
}

#[tokio::test]
async fn a_tag_is_the_text_that_format_makes_of_its_argument() {
    #[redis_cached(prefix = "tags", name = "of", tags = "org:{x}", cache = cache, skip(cache))]
    async fn of<T: Serialize + Sync>(cache: &Cache, x: &T) -> u64 {
        let _ = x;
        1
    }
    let server = Server::start();
    for cache in caches(&server) {
        macro_rules! matches {
            ($value:expr, $text:expr) => {
                let value = $value;
                of(&cache, &value).await;
                assert_eq!(of_entry(&cache, &value).get().await.unwrap(), Some(1));
                assert!(cache.invalidate_tag(&format!("org:{}", $text)).await.unwrap(), "{}", $text);
                assert_eq!(of_entry(&cache, &value).get().await.unwrap(), None, "{}", $text);
            };
        }
        matches!(7_u8, 7);
        matches!(-7_i64, -7);
        matches!(u128::MAX, u128::MAX);
        matches!(1.5_f64, 1.5);
        matches!(true, true);
        matches!('é', 'é');
        matches!("a b:c", "a b:c");
        matches!(String::from("red shoes"), "red shoes");
        matches!(std::borrow::Cow::Borrowed("x y"), "x y");
        matches!(Some("a b"), "a b");
        matches!(Some(7), 7);
        matches!(None::<u64>, "none");
        matches!(Some(Some(Slug("a b".to_owned()))), "a b");
        matches!(OrgId(7), 7);
        matches!(Some(OrgId(7)), 7);
        matches!(Slug("a/b c".to_owned()), "a/b c");
        matches!(Kind::Team, "Team");
        matches!(Kind::Unit, "org unit");
        matches!(Uuid(0x1234_5678_9abc), Uuid(0x1234_5678_9abc));
        matches!(Some(Uuid(5)), Uuid(5));
        matches!(std::net::IpAddr::from([127, 0, 0, 1]), "127.0.0.1");
        matches!(std::path::PathBuf::from("/a b"), "/a b");
        matches!(Box::<str>::from("boxed one"), "boxed one");
    }
}

#[tokio::test]
async fn placeholders_of_tags_are_expressions() {
    struct Request {
        user: Slug,
    }
    struct Repository {
        cache: Cache,
        tenant: String,
    }
    impl Repository {
        #[redis_cached(
            prefix = "tags",
            name = "find", key = "{self.tenant}:{request.user}:{page}",
            tags = ["tenant:{self.tenant}", "user:{request.user}", "{self.tenant}:page:{page + 1}", "all"],
            cache = self.cache
        )]
        async fn find(&self, request: Request, page: u64) -> String {
            format!("{} {} {page}", self.tenant, request.user.0)
        }
    }
    let server = Server::start();
    for cache in caches(&server) {
        let repository = Repository { cache: cache.clone(), tenant: "a b".to_owned() };
        let request = || Request { user: Slug("é".to_owned()) };
        for tag in ["tenant:a b", "user:é", "a b:page:3", "all"] {
            assert_eq!(repository.find(request(), 2).await, "a b é 2");
            assert!(repository.find_entry(request(), 2).get().await.unwrap().is_some());
            assert!(cache.invalidate_tag(tag).await.unwrap(), "{tag}");
            assert_eq!(repository.find_entry(request(), 2).get().await.unwrap(), None, "{tag}");
        }
    }
}
