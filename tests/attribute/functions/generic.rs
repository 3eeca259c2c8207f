use super::*;

pub(super) trait Kind {
    const NAME: &'static str;
}
pub(super) struct Red;
pub(super) struct Blue;
impl Kind for Red {
    const NAME: &'static str = "red";
}
impl Kind for Blue {
    const NAME: &'static str = "blue";
}

#[redis_cached(cache = CACHE)]
async fn name_of<K: Kind, const N: usize>(times: u8) -> String {
    format!("{}{N}{times}", K::NAME)
}

#[tokio::test]
async fn parameters_are_part_of_the_name() {
    assert_eq!(name_of::<Red, 2>(3).await, "red23");
    assert_eq!(name_of::<Blue, 2>(3).await, "blue23");
    assert_eq!(name_of::<Blue, 1>(3).await, "blue13");
    let entry = name_of_entry::<Red, 2>(3);
    assert_eq!(entry.key().unwrap(), "attribute:functions.generic.name_of<attribute.functions.generic.Red,2>:3");
}

#[redis_cached(cache = CACHE)]
fn parsed<T>(text: &str) -> Option<T>
where
    T: Serialize + for<'de> Deserialize<'de> + std::str::FromStr,
{
    text.parse().ok()
}

#[test]
fn a_returned_type_is_part_of_the_name() {
    assert_eq!(parsed::<u64>("1"), Some(1));
    assert_eq!(parsed::<String>("1").as_deref(), Some("1"));
    assert_eq!(parsed_entry::<String>("1").get().unwrap().flatten().as_deref(), Some("1"));
}

trait Source {
    fn get(&self, id: u64) -> String;
}
impl Source for &str {
    fn get(&self, id: u64) -> String {
        format!("{self}{id}")
    }
}

#[redis_cached(cache = CACHE, skip(source))]
async fn read<'a, S: Source + Send + 'a>(source: S, id: u64) -> String {
    source.get(id)
}

#[redis_cached(cache = CACHE, skip(fetch))]
async fn fetched<T, F, Fut>(id: u64, fetch: F) -> Result<T, String>
where
    T: Serialize + serde::de::DeserializeOwned,
    F: FnOnce(u64) -> Fut,
    Fut: Future<Output = Result<T, String>>,
{
    fetch(id).await
}

#[tokio::test]
async fn those_of_skipped_parameters_are_not() {
    assert_eq!(is_send(read("a", 1)).await, "a1");
    assert_eq!(read("b", 1).await, "a1");
    assert_eq!(read_entry(1).key().unwrap(), "attribute:functions.generic.read:1");

    assert_eq!(is_send(fetched(1, async |id| Ok(id + 1))).await, Ok(2));
    assert_eq!(fetched::<u64, _, _>(1, async |_| Err(String::new())).await, Ok(2));
    assert_eq!(fetched_entry::<u64>(1).key().unwrap(), "attribute:functions.generic.fetched<u64>:1");
}

struct Repo<T>(T);

impl<T: Display + Send + Sync> Repo<T> {
    #[redis_cached(cache = CACHE, skip(self))]
    async fn shown(&self, id: u64) -> String {
        format!("{}{id}", self.0)
    }

    #[redis_cached(cache = CACHE)]
    fn with_impl(value: impl Display + Serialize, extra: impl Into<u64> + Serialize) -> String {
        format!("{value}{}", extra.into())
    }
}

#[tokio::test]
async fn those_of_an_impl_block() {
    assert_eq!(Repo(1_u8).shown(1).await, "11");
    assert_eq!(Repo("x").shown(1).await, "x1");
    assert_eq!(Repo::<u8>::shown_entry(1).key().unwrap(), "attribute:functions.generic.Repo<u8>.shown:1");
    assert_eq!(Repo::<u8>::with_impl("a", 2_u8), "a2");
    assert_eq!(
        Repo::<u8>::with_impl_entry("a", 2_u8).key().unwrap(),
        "attribute:functions.generic.Repo<u8>.with_impl<&str,u8>:a:2"
    );
}
