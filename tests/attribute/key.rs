//! `key = "…"`: a template in place of the arguments, in front of which the name stays.

use redis_cached::redis_cached;

struct Request {
    user_id: u64,
    path: String,
}

impl Request {
    fn first(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

#[redis_cached(key = "user:{id}", skip(other))]
fn parameter(id: u64, other: u64) -> u64 {
    id + other
}

#[redis_cached(key = "request:{ req.user_id }:{req.first()}:{ids[0]}:{ids.len()}:{id + 1}:{LIMIT}", skip(unrelated))]
fn expressions(req: &Request, ids: &[u64], id: u64, unrelated: Request) -> u64 {
    let _ = unrelated;
    req.user_id + ids[0] + id
}

const LIMIT: u64 = 50;

#[redis_cached(key = "{{user:{id}}}:profile")]
fn hash_tag(id: u64) -> u64 {
    id
}

#[redis_cached(key = "all")]
fn constant() -> u64 {
    1
}

#[redis_cached(key = r#"raw:{text.replace("a", "b")}"#)]
fn raw(text: &str) -> String {
    text.to_owned()
}

#[redis_cached(key = "page:{if page == 0 { 1 } else { page }}")]
fn block(page: u64) -> u64 {
    page
}

#[redis_cached(key = "pattern:{id}:{name.len()}", skip(unused))]
fn pattern((id, Request { path: name, .. }): (u64, Request), unused: u64) -> String {
    let _ = unused;
    format!("{id}{name}")
}

fn request(path: &str) -> Request {
    Request { user_id: 7, path: path.to_owned() }
}

#[test]
fn placeholders_are_expressions_over_the_parameters() {
    assert_eq!(parameter_entry(1).key().unwrap(), "attribute:key.parameter:user:1");
    assert_eq!(
        expressions_entry(&request("a/b"), &[4, 5], 9).key().unwrap(),
        "attribute:key.expressions:request:7:a:4:2:10:50"
    );
    assert_eq!(constant_entry().key().unwrap(), "attribute:key.constant:all");
    assert_eq!(raw_entry("aa").key().unwrap(), "attribute:key.raw:raw:bb");
    assert_eq!(block_entry(0).key().unwrap(), "attribute:key.block:page:1");
    assert_eq!(pattern_entry((1, request("abc"))).key().unwrap(), "attribute:key.pattern:pattern:1:3");
}

#[test]
fn they_are_escaped_and_the_text_is_not() {
    assert_eq!(raw_entry("x:y{z}").key().unwrap(), "attribute:key.raw:raw:x%3Ay%7Bz%7D");
    assert_eq!(hash_tag_entry(7).key().unwrap(), "attribute:key.hash_tag:{user:7}:profile");
}

#[test]
fn skipped_parameters_make_no_difference() {
    assert_eq!(parameter(1, 2), 3);
    assert_eq!(parameter(1, 3), 3);
    assert_eq!(parameter(2, 3), 5);
}

#[test]
fn an_expression_runs_once_per_call() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    struct Counting;
    impl Counting {
        fn id(&self) -> String {
            RUNS.fetch_add(1, Ordering::SeqCst);
            "x".to_owned()
        }
    }
    #[redis_cached(key = "counting:{counting.id().as_str()}")]
    fn counted(counting: &Counting) -> u64 {
        let _ = counting;
        1
    }
    counted(&Counting);
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
}

mod outer {
    use super::redis_cached;

    pub(super) struct Repo {
        pub(super) tenant: String,
    }

    impl Repo {
        #[redis_cached(key = "user:{self.tenant}:{id}")]
        pub(super) async fn user(&self, id: u64) -> String {
            format!("{}{id}", self.tenant)
        }
    }
}

#[tokio::test]
async fn self_is_a_parameter() {
    let repo = outer::Repo { tenant: "acme".into() };
    assert_eq!(repo.user(1).await, "acme1");
    assert_eq!(repo.user_entry(1).key().unwrap(), "attribute:key.outer.Repo.user:user:acme:1");
    let other = outer::Repo { tenant: "other".into() };
    assert_eq!(other.user(1).await, "other1");
}

/// Both have the same template, and other names.
#[redis_cached(key = "{id}")]
fn price(id: u64) -> u64 {
    id * 100
}

#[redis_cached(key = "{id}")]
fn stock(id: u64) -> u64 {
    id + 1
}

#[redis_cached(key = "{id}", group = "products")]
fn grouped_price(id: u64) -> u64 {
    id * 100
}

#[redis_cached(key = "{id}", group = "products")]
fn grouped_stock(id: u64) -> u64 {
    id + 1
}

#[test]
fn functions_with_one_template_share_nothing() {
    assert_eq!((price(7), stock(7)), (700, 8));
    assert_eq!(price_entry(7).key().unwrap(), "attribute:key.price:7");
    assert_eq!(stock_entry(7).key().unwrap(), "attribute:key.stock:7");
    assert_eq!((grouped_price(7), grouped_stock(7)), (700, 8));
    assert_eq!(grouped_price_entry(7).key().unwrap(), "attribute:#group:products key.grouped_price:7");
}

mod tenants {
    use super::redis_cached;

    pub(super) struct Repo {
        pub(super) tenant: String,
    }

    impl Repo {
        #[redis_cached(key = "{id}", group = "{self.tenant}")]
        pub(super) fn in_group(&self, id: u64) -> String {
            format!("{}{id}", self.tenant)
        }

        #[redis_cached(key = "{ids.iter().map(|id| id + 1).sum::<u64>()}:{other}", skip(self))]
        pub(super) fn closure(&self, ids: &[u64], other: u64) -> u64 {
            ids.iter().sum::<u64>() + other
        }
    }
}

#[test]
fn a_mention_in_the_group_is_enough() {
    let [one, other] = ["a", "b"].map(|tenant| tenants::Repo { tenant: tenant.to_owned() });
    assert_eq!((one.in_group(1), other.in_group(1)), ("a1".to_owned(), "b1".to_owned()));
    assert_eq!((one.closure(&[1, 2], 3), other.closure(&[1, 2], 4)), (6, 7));
}

#[redis_cached(key = "{format!(\"{id}\")}:{format!(\"{other:>width$}-{x}\", x = third)}")]
fn captured(id: u64, other: u64, third: u64, width: usize) -> u64 {
    id + other + third + width as u64
}

#[test]
fn what_a_format_string_captures_is_mentioned() {
    assert_eq!(captured(1, 2, 3, 4), 10);
    let entry = captured_entry(1, 2, 3, 4);
    let key = entry.key().unwrap();
    assert!(key.ends_with(":'1':%20%20%202-3"), "{key}");
}
