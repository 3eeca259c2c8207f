//! The attribute of `redis-cached`, which re-exports it.
//!
//! Modules depend one way: each row uses only rows above it.
//!
//! | modules | concern |
//! |---|---|
//! | `errors` | all errors of one expansion |
//! | `syntax::borrows`, `syntax::mentions`, `syntax::place`, `syntax::types` | what the spelling of Rust tells |
//! | `syntax::generics` | which generic parameters an entry has |
//! | `parse::duration`, `parse::rivals`, `parse::suggest`, `parse::template`, `parse::closures` | words, templates, closures |
//! | `parse::argument`, `parse::values` | the names of the arguments, and their values |
//! | `parse::web` | what is said about responses |
//! | `parse::lifetimes`, `parse::environment` | spans of time, and the defaults of a crate |
//! | `parse::args`, `parse::function` | the attribute and the function, as they are written |
//! | `model::features`, `model::pieces` | what the model is made of |
//! | `model::returns`, `model::background`, `model::refused` | checks of the return type, the arguments and the function |
//! | `model::batch`, `model::web` | checks of a function of many ids, and of a handler |
//! | `model::scope` | checks of what the attribute's expressions mention |
//! | `model` | the attribute and the function, checked against each other |
//! | `expand::attrs`, `expand::names` | words of generated code |
//! | `expand::values`, `expand::lifetimes`, `expand::codec`, `expand::signature` | types, constants and signatures of generated code |
//! | `expand::web` | the types and the call of a handler |
//! | `expand::plan` | the plan of a function |
//! | `expand::key` | the keys of entries and groups |
//! | `expand::description`, `expand::call` | what a function looks up, and its call into the runtime |
//! | `expand::background`, `expand::batch`, `expand::entry` | calls with a refresh in the background, of many ids, and of no body |
//! | `expand` | the generated functions |

use proc_macro2::TokenStream;

use crate::errors::Errors;
use crate::model::Model;
use crate::model::features::Features;
use crate::parse::args::Args;
use crate::parse::function::Function;

mod errors;
mod expand;
mod model;
mod parse;
mod syntax;
#[cfg(test)]
mod tests;

/// Caches the results of a function in Redis.
///
/// ```
/// use redis_cached::redis_cached;
/// # use serde::{Deserialize, Serialize};
/// # struct Db;
/// # impl Db { async fn load(&self, id: u64) -> Result<User, String> { Ok(User { id }) } }
///
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     id: u64,
/// }
///
/// #[redis_cached(ttl = "10m", skip(db))]
/// async fn user(db: &Db, id: u64) -> Result<User, String> {
///     db.load(id).await
/// }
///
/// # async fn calls(db: Db) -> Result<(), Box<dyn std::error::Error>> {
/// let computed = user(&db, 42).await?;
/// let from_redis = user(&db, 42).await?;
/// user_entry(42).invalidate().await?; // after an UPDATE
/// # Ok(())
/// # }
/// ```
///
/// `#[redis_cached]` alone is complete. It goes on `async fn` and plain `fn`, on free functions,
/// functions in functions, methods and associated functions, with type parameters, references,
/// patterns and `impl Trait` among their parameters. The function keeps its signature, so no call
/// of it changes, and its future is `Send` wherever it was.
///
/// # Arguments
///
/// | argument | meaning | without it |
/// |---|---|---|
/// | `ttl = …` | how long a value lives: seconds (`600`), text (`"10m"`, `"1h30m"`, `"250ms"`), a constant (`Duration`, or an integer of seconds), `forever`, or a closure of the value (<code>\|token\| token.expires_in</code>; zero: do not store) | the environment variable `REDIS_CACHED_TTL` at compile time, else 600 s |
/// | `prefix = …` | the first part of every key: text, or the path of a `&str` constant | `REDIS_CACHED_PREFIX` at compile time, else the crate's name |
/// | `name = "user"` | the second part; functions with the same `name` share entries, see [below](#names) | the function's path: `users.user`, `users.Repo.user` |
/// | `key = "{self.tenant}:{id}"` | a template in place of the arguments, see [below](#keys) | all parameters, in order |
/// | `skip(db, span)` | parameters that are no part of the key; `skip(self)` too | |
/// | `version = 2` | abandons what other versions stored | 0 |
/// | `codec = …` | how values are stored: `auto`, `bincode`, `json`, `messagepack`, or a type that implements `Codec`, see [below](#codecs) | `auto` |
/// | `compress = …` | compresses large values: `lz4`, `zstd`, `"lz4:4096"` (with the least bytes of a value that is compressed; 1024 unless given) or `off`, see [below](#compression); it needs the feature of that name | as `Builder::compress` says, else off |
/// | `cache = EXPR` | which `Cache`: a static, a field, a call: `self.cache`, `state.cache()` | that of the scope around the call (`Cache::scope`), else the installed one |
/// | `cache_if = …` | a closure of the value, or the path of a function: stores what it is true for | everything is stored |
/// | `none_ttl = …` | stores `None`, for as long as this; like `ttl`, but no closure | `None` is not stored |
/// | `jitter = 0.1` | takes a random part off each lifetime, here up to 10 % | 0 |
/// | `refresh_ahead = 0.8` | past this part of the lifetime a hit starts a refresh in the [background](#refreshes-in-the-background) | off |
/// | `stale_while_revalidate = "30s"` | serves an expired value for as long as this, while one refresh runs in the background; like `ttl`, but no closure | off |
/// | `stale_if_error = "1h"` | serves an expired value for as long as this where the body returns `Err`; like `ttl`, but no closure | off |
/// | `single_flight = …` | among which callers one runs the body for all: `shared` (of all processes), `process`, or `off` | `shared` |
/// | `lease = "10s"` | the silence after which another process may take over a computation; the lease of a body that runs is renewed. From `"100ms"` to `"10m"`; like `ttl`, but no closure and not `forever` | 10 s |
/// | `wait = "1m"` | how long a call waits for others that compute its value. Then one call of the process runs the body for all that waited, without storing what it returns. At most `"1h"`; like `ttl`, but no closure and not `forever`. It may be shorter than `lease` | six leases |
/// | `group = "class:{class_id}"` | the entry lives in one Redis hash with others, which is dropped as a whole, see [below](#groups) | a key of its own |
/// | `tags = ["org:{org_id}"]` | labels, by which entries of any functions are invalidated together, see [below](#tags) | none |
/// | `batch(id in ids)` | the function takes many ids and returns a map of them; each has an entry of its own, see [below](#batches) | one entry for all arguments |
/// | `local = 10_000` | keeps this many values decoded in this process, where a hit takes no round trip, see [below](#local); an integer or a constant, and the feature `local` | none |
/// | `response` | the function is an HTTP handler, of which the status, the headers and the body are stored, see [below](#handlers); it needs the feature `axum` | the value is stored |
/// | `max_body = 65_536` | with `response`: longer bodies are not stored; bytes, an integer or a constant | 1 MiB |
/// | `client = "max-age=30, public"` | with `response`: `Cache-Control`, where the handler sets none | `no-cache` |
/// | `vary(accept_language)` | with `response`: these headers of the request, of the parameter `headers: HeaderMap`, are part of the key, and the body sees no others | none |
/// | `cache_status = on` | with `response`: the header `Cache-Status` tells what the cache did | off |
/// | `client_may_bypass = on` | with `response`: a request with `Cache-Control: no-cache` computes and stores anew, and one with `no-store` computes and stores nothing; the parameter `headers: HeaderMap` is needed | off |
/// | `share_errors = off` | calls that waited for a body that fails run it again, instead of getting [its error](#errors) | on where possible |
/// | `returns = …` | `value`, `option` or `result`, where the spelling of the return type misleads | see [below](#return-types) |
/// | `siblings = off` | emits the function alone | `siblings = on` |
/// | `crate = ::path` | where `redis-cached` is found, if it is renamed | `::redis_cached` |
///
/// Closures see the value and nothing else. The two environment variables are read when the crate
/// is compiled, for example from the `[env]` table of `.cargo/config.toml`; a malformed one is a
/// compile error.
///
/// # Siblings
///
/// Next to a function `user` the attribute emits, with the same visibility and documentation:
///
/// - `user_entry(id)`: the entry that a call with these arguments reads and fills, an `Entry` or, for
///   a plain function, a `blocking::Entry`. It takes the parameters that the key (or `cache = …`)
///   needs, and `&self` if one of the two does.
/// - `user_uncached(db, id)`: the body.
/// - `user_refresh(db, id)`: runs the body now, and stores what it returns.
/// - `user_group(class_id)`, with `group = …`: the group that the entry is in, a `Group` or a
///   `blocking::Group`. It takes the parameters that the group (or `cache = …`) needs.
/// - `user_clear()`: removes the entries of all arguments, and returns how many there were. It takes what `cache = …` needs;
///   see [below](#clearing-a-function).
///
/// Attributes that say what a function is (documentation, `cfg`, lints, `deprecated`, `must_use`)
/// are repeated on all of them. All others go with the body where they are written below
/// `#[redis_cached]`. Attributes that register a function somewhere (routes, for example) belong above.
///
/// An attribute that rewrites the body, as `#[tracing::instrument]` does, changes the body alone in both
/// places, because the one above has rewritten it already when `#[redis_cached]` expands. A hit has no
/// span then: it runs no body. (Above, the span has the name of the function, and below that of
/// `…_uncached`.) For a span of each call, put the attribute on a function around:
///
/// ```ignore
/// #[tracing::instrument]
/// async fn user(id: u64) -> String {
///     cached_user(id).await
/// }
///
/// #[redis_cached]
/// async fn cached_user(id: u64) -> String {
///     // …
/// }
/// ```
///
/// An unused function is reported as it is without the attribute (`dead_code`, `unreachable_pub`), its
/// siblings never are. A call of its `…_entry` or `…_group` is a use, except where that lacks a type
/// parameter of the function, or the function has an `impl Trait` parameter.
///
/// An `impl Trait for` block has no room for the siblings of a method: there, `siblings = off` caches it
/// without. The same goes for methods under `#[async_trait]`. In a trait, the siblings of a method
/// with a body are provided methods, of which the entry may have no receiver; a trait that is to be
/// `dyn` says `siblings = off`, too.
///
/// ## Clearing a function
///
/// ```
/// # use redis_cached::redis_cached;
/// #[redis_cached]
/// async fn price(id: u64) -> u64 {
///     // …
/// #   id
/// }
///
/// # async fn calls() -> Result<(), redis_cached::Error> {
/// let removed = price_clear().await?;
/// # Ok(())
/// # }
/// ```
///
/// No call that starts after `price_clear()` has returned gets a value that was computed from data read before it began:
/// what is being computed is voided as by `Entry::invalidate`. It finds the entries by their name, which has consequences:
///
/// - Functions with the same `name` share their entries, and so are cleared together.
/// - A generic function has a name for each choice of the type parameters that are part of it, and only that one is
///   cleared: `find_clear::<User>()`. A function with an `impl Trait` argument in its key has no such sibling.
/// - In a group the fields of this function go, and those of other functions stay. Each group with this prefix is asked
///   for its fields.
/// - Tags stay as they are.
///
/// `SCAN` goes through all keys of the database, a thousand per round trip. Each round trip may take the cache's time-out.
/// After an error, entries that were not reached stay, and nothing is tried again in the background: call it again.
/// `Cache::clear` does the same for all functions of a cache with a namespace.
///
/// # Keys
///
/// ```
/// # use redis_cached::{Cache, redis_cached};
/// # struct Repo { tenant: String, cache: Cache }
/// # struct Page { number: u32 }
/// impl Repo {
///     #[redis_cached(key = "{self.tenant}:{id}", cache = self.cache)]
///     async fn user(&self, id: u64) -> Option<String> {
///         // …
/// #       Some(format!("{} {id}", self.tenant))
///     }
///
///     #[redis_cached(key = "{text}:{page.number}", skip(self), cache = self.cache)]
///     async fn search(&self, text: &str, page: Page) -> Vec<String> {
///         // …
/// #       vec![format!("{text} {}", page.number)]
///     }
/// }
/// ```
///
/// Without a template, all parameters are part of the key in their order, `self` first. A pattern adds
/// the names that it binds, in whatever case: `Path(id): Path<u64>` is as good as `id: u64`. A
/// unit struct in a pattern adds nothing. A parameter that is not `Serialize` is an error that advises to
/// skip it.
///
/// A template takes the place of the arguments, after the prefix and the name. Its placeholders are
/// expressions over the parameters, which are evaluated before the body runs; `{{` and `}}` are braces.
/// Each placeholder is escaped, and between two of them stands at least one `:`, so different values
/// never make the same key. The names of a pattern are references there: `{id.len()}` works as ever, a
/// comparison takes `*id`.
///
/// With a template, each parameter, `self` included, is mentioned in a placeholder of `key` or of
/// `group`, or listed in `skip(…)`; so is each name that a pattern binds. A forgotten one is an
/// error. A mention in `tags` or in `cache = …` does not count: a function that uses `self` for
/// `self.cache` alone says `skip(self)`.
///
/// A function's type and constant parameters are part of its name, and parameters of its entry, unless
/// they occur only in parameters that the key does not mention: `user<E: Executor>(db: E, id: u64)`
/// with `skip(db)` has one entry per `id`, found by `user_entry(42)`. `impl Trait` is a type parameter
/// without a name: the type of an argument that the key mentions is part of the function's name, so that
/// two types that serialize alike share nothing. With `name: impl Into<String>`, a `&str` and a `String`
/// have an entry each, and an invalidation of one does not reach the other; take one type where that
/// matters. A value of `dyn Trait` counts by its serialized form alone.
///
/// # Names
///
/// ```
/// # use std::collections::HashMap;
/// # use redis_cached::redis_cached;
/// #[redis_cached(name = "price")]
/// async fn price(id: u64) -> u64 {
///     // …
/// #   id
/// }
///
/// #[redis_cached(name = "price", batch(id in ids))]
/// async fn prices(ids: &[u64]) -> HashMap<u64, u64> {
///     // …
/// #   ids.iter().map(|id| (*id, *id)).collect()
/// }
/// ```
///
/// Without `name`, no two functions of a process share an entry, whatever their keys. Functions with the same prefix,
/// the same `name` and the same arguments (or `key`) do, also single ones and batches, `async` and plain
/// ones. They have to store the same type, and agree on `group`, `tags`, `version` and `codec`. Where
/// the types differ, each displaces what the other stored; that is logged once, with the paths of both.
///
/// In the `impl` block of a generic type, the type's arguments follow the name, and then the function's
/// own: `name = "user"` in `impl<E> Repo<E>` is `user<shop.User>` for `Repo<User>`, and in a block for
/// `Repo` without arguments, as for a free function, it is `user`. In an `impl Trait for` block the
/// arguments of the trait follow those of the type. A type without a name, such as `&T` or `(A, B)`,
/// and any type that has a trait's provided method, is such an argument itself. In a blanket `impl<T>
/// Find for T` leave `name` out: there, all types would share it.
///
/// # Groups
///
/// ```
/// # use redis_cached::redis_cached;
/// #[redis_cached(group = "class:{class_id}")]
/// async fn grade(class_id: u64, student: &str) -> u32 {
///     // …
/// #   class_id as u32 + student.len() as u32
/// }
///
/// # async fn calls() -> Result<(), redis_cached::Error> {
/// grade_entry(7, "Ada").invalidate().await?; // one grade
/// grade_group(7).invalidate().await?; // all of the class
/// # Ok(())
/// # }
/// ```
///
/// The entries of a group are fields of one Redis hash, and one command drops it. The template is as
/// that of a key. The hash is at `prefix:#group:class:7`, where no other key can be: functions with the
/// same prefix and the same group share
/// the hash, in which each has fields under its own name: `key = …` follows the name there. A hash lives on one
/// server of a cluster, so a group is for entries that belong together, not for all of a kind.
///
/// A hit is one `HMGET`. Each entry has a lifetime of its own, and the hash lives as long as the
/// longest. What is written goes through a script, which copies it: values of many kilobytes are
/// better off with keys of their own.
///
/// # Tags
///
/// ```
/// # use redis_cached::{Cache, redis_cached};
/// # use serde::{Deserialize, Serialize};
/// #[derive(Serialize, Deserialize)]
/// struct User {
///     id: u64,
///     team: u64,
/// }
///
/// #[redis_cached(tags = ["org:{org_id}", |user: &User| vec![format!("team:{}", user.team)]])]
/// async fn user(org_id: u64, id: u64) -> User {
///     // …
/// #   User { id, team: org_id }
/// }
///
/// #[redis_cached(tags = "org:{org_id}")]
/// async fn total(org_id: u64) -> u64 {
///     // …
/// #   org_id
/// }
///
/// # async fn calls(cache: &Cache) -> Result<(), redis_cached::Error> {
/// cache.invalidate_tag("org:7").await?; // users and totals alike
/// # Ok(())
/// # }
/// ```
///
/// A tag is a template over the parameters, like that of a key, with nothing in front of it: the
/// same text is the same tag in every function. A tag cannot contain what an entry does not know: a
/// skipped parameter in it is an error. One closure of the value, or the path of a function, may
/// return more tags, as a collection of `String`. A placeholder stands in a tag as `format!` would
/// write it: `"org:{org_id}"` is `"org:7"` for the number and for the text.
///
/// An invalidation is one command, whatever the number of entries. A hit costs no further round trip,
/// and the tags of a closure one. An invalidation also voids the computations under way, except under
/// the tags of a closure, since these are known only when the body has returned.
///
/// # Batches
///
/// ```
/// # use std::collections::HashMap;
/// # use redis_cached::redis_cached;
/// # struct Db;
/// # impl Db { async fn load(&self, ids: &[u64]) -> Result<HashMap<u64, String>, String> { Ok(ids.iter().map(|&id| (id, String::new())).collect()) } }
/// #[redis_cached(batch(id in ids), skip(db), none_ttl = "1m")]
/// async fn names(db: &Db, ids: &[u64]) -> Result<HashMap<u64, String>, String> {
///     db.load(ids).await // SELECT … WHERE id IN …
/// }
///
/// # async fn calls(db: Db) -> Result<(), Box<dyn std::error::Error>> {
/// names(&db, &[1, 2]).await?;
/// names(&db, &[1, 2, 3]).await?; // the body gets 3 alone
/// names_entry(2).invalidate().await?;
/// # Ok(())
/// # }
/// ```
///
/// `ids` is the parameter of many: `&T` of a slice or a collection, or a collection by value, such as
/// `Vec<u64>`. The function returns a `HashMap`, a `BTreeMap` or a `Vec` of pairs, or a `Result` of
/// one, with the same type of ids. `id` names one of them, and stands for it in `key`, `group` and
/// `tags`, which cannot mention `ids`; it is a reference there.
///
/// The body gets the ids that are missing, and may run more than once, for some of them each time:
/// all other arguments are cloned for it, and `&mut` is refused. An id that it leaves out of the map
/// has no value, and is remembered as such with `none_ttl`. Its error is the whole call's.
///
/// A batch takes one round trip to read, and where ids are missing one to lease them and one to
/// store what the body returned; above 1,024 ids, several of each. Batches that overlap, and calls of
/// a function with the same `name`, compute each id once. With `name = "user"` on both, a batch of `User`s
/// and a function of one id that returns `User`, `Option<User>` or a `Result` of one share entries.
///
/// A batch cannot have `refresh_ahead`, `stale_while_revalidate`, `stale_if_error` or `share_errors`,
/// which need a single value, nor `siblings = off`.
///
/// # Local
///
/// `local = 10_000` keeps up to that many decoded values of the function in this process, in front of the store; it needs the
/// feature `local`. A hit of such a value takes no round trip, and clones it: the type of the values is
/// `Clone + Send + Sync + 'static`, and `Arc<T>` costs nothing to clone. Functions of one `name` share the tier.
///
/// Writes of this process are seen at once. A value that another process invalidated is served until the server's message
/// arrives, and never for longer than the bound, half a second unless `Builder::local_bound` says otherwise. The page "The local
/// tier" of the guide has the details. `local` cannot be combined with `group`.
///
/// # Handlers
///
/// With the feature `axum`, the attribute goes on handlers of axum. What is in `Json<T>` and `Html<T>` is stored, also in a
/// `Result` or an `Option`, as if the function returned `T`. With `response`, any response is: the function returns axum's
/// `Response`, whatever the body returns, and its value, for `ttl = |page| …`, `cache_if` and entries, is a
/// `redis_cached::axum::Page`.
///
/// Responses with `Set-Cookie`, with a `Vary` that `vary(…)` does not cover, with `private`, `no-store` or `no-cache`, those that
/// are stale already by `max-age` or `Expires`, those with a status other than 200, 203, 204, 301 or 308 (404 and 410 with
/// `none_ttl`), endless ones, and those longer than `max_body` are not stored and not shared: they reach their client as they
/// came. A status from 500 on counts as an error. The page "Handlers of axum" of the guide has all rules.
///
/// A parameter that holds more of the request than a key can tell is refused: `Request`, `HeaderMap` without `vary` or
/// `client_may_bypass`, and bodies such as `Bytes`, `String` and `Json<T>`, of which `key` can mention what matters.
///
/// # Codecs
///
/// `codec = auto`, the default, stores values in bincode, the smallest and fastest format, which cannot tell what its
/// bytes hold. It stores in MessagePack with field names what bincode could not read back:
///
/// - types that ask what the bytes hold: `serde_json::Value`, `rust_decimal::Decimal`, and those with
///   `#[serde(tag)]`, `#[serde(untagged)]` or `#[serde(flatten)]`;
/// - types of which a part cannot be seen, and values whose `Serialize` writes other kinds of numbers, or another order of
///   fields, than their `Deserialize` reads;
/// - single values that leave a field out, as `#[serde(skip_serializing_if)]` does.
///
/// A value that MessagePack would not read back either is not stored, and that is logged once per function.
///
/// Each value says which codec wrote it, and both are hits. `json` is for values that other programs read.
///
/// A value that cannot be encoded, or whose `Serialize` panics, is returned and not stored. A value that cannot be
/// decoded, or whose `Deserialize` panics, is a miss, and overwritten. Either is logged once per function.
///
/// # Compression
///
/// `compress = lz4` compresses an encoded value of at least 1 KiB if that saves an eighth or more; all others are stored as they
/// are. `zstd` saves more, and takes several times as long. `off` excepts a function where `Builder::compress` compresses the values
/// of a whole cache. Both forms are hits for every build with the feature, so that the argument may come and go; for a build
/// without it, a compressed value is a miss. The page "What is stored" of the guide tells when compression pays.
///
/// # Return types
///
/// A value can have any type that is `Serialize` and `DeserializeOwned`; neither `Clone` nor anything of
/// an error is needed. Only the `Ok` of a `Result` is stored, and `None` only with `none_ttl`.
///
/// A type spelled `Result` or `…Result<…>` is taken for a `Result`, through any alias
/// (`io::Result<User>`, `QueryResult<User>`). If it is none, write `returns = value`. A `Result`
/// under another name is detected by its type, and refused until you write `returns = result`. An
/// `Option` is recognized under any name.
///
/// A type that spells a `Result` inside of what is stored, such as `Option<Result<T, E>>` or
/// `Result<Result<T, E>, F>`, is refused, since its errors would be stored; `returns = value` says that
/// they are meant to be. `Result<(), E>` is refused as `()` is, since a hit would skip the effects of
/// the function; `returns = result` says that it is meant.
///
/// # Errors
///
/// An error is never stored. Where several callers wait for one body, its error goes to all of them,
/// if its type is `Clone + Send + 'static`, and spelled without a lifetime (other than `'static`),
/// `Self`, or a type parameter. For any other type, and with `share_errors = off`, one of those that
/// waited runs the body next, and the others wait for its value; where that fails too, all others run it,
/// at the same time.
///
/// A parameter of an `impl` block is out of the attribute's sight, unless its name is a single
/// letter. If an error's type is such a parameter, the compiler may ask for it to be `'static`:
/// make it so, or write `share_errors = off`.
///
/// # Refreshes in the background
///
/// With `refresh_ahead` or `stale_while_revalidate` the body also runs after its caller has been
/// answered, in a task (or, for a plain function, in a thread) of its own. It needs arguments of its
/// own there, skipped ones included. The attribute copies them when, and only when, a refresh
/// starts:
///
/// - For `&T`, `Option<&T>` and `Cow<'_, T>`, a `T` is copied by `ToOwned`, and lent: `&str`, `&[T]`,
///   `&Path`, and `&Pool` if it is `Clone`. The same goes for `&self`.
/// - Everything else is cloned: it must be `Clone + Send + 'static`, as must type parameters and
///   `impl Trait`.
/// - `&mut T`, and types that borrow within, such as `(&str, u32)` or `Page<'_>`, are refused.
///
/// The future of an `async fn` must be `Send`. A function that calls itself cannot be refreshed so, nor
/// can one with `siblings = off`.
///
/// # Limits
///
/// - Not `unsafe`, `const` or `extern` functions, nor those that return nothing (`Result<(), E>` included), `impl Trait`, or a
///   value that borrows.
/// - Not `main`, tests, functions with `no_mangle`, `export_name`, `link_section`, `target_feature` or
///   `track_caller`, nor one that is cached already.
/// - No `&mut T` in a key, because a hit would not change it: `skip` it if it need not, or mention what
///   matters of it in `key`.
/// - A parameter cannot have a `#[cfg]`.
/// - A plain function that returns `Pin<Box<dyn Future>>` or `BoxFuture` counts as `async`; all of it
///   runs when the future is polled.
/// - A `Self` in an associated function without a receiver tells it from a free one, else a look into
///   its source file does. If there is no file (a doctest), write `Self` somewhere, or
///   `siblings = off`.
/// - Some functions get the same default name, because they have the same path: namesakes in two blocks of one
///   function or in two `const _` blocks, and in `lib.rs` and `main.rs` of one package. In one process, the first that is
///   called is cached; each of the others runs uncached, with one log line that names both places. Processes that call only
///   one of them each cannot tell, and share entries: two binaries of the same name, for example, or a binary that does not
///   use its package's library. Give such functions a `name`.
#[proc_macro_attribute]
pub fn redis_cached(args: proc_macro::TokenStream, item: proc_macro::TokenStream) -> proc_macro::TokenStream {
    attribute(args.into(), item.into(), Features::ENABLED).into()
}

/// The attribute, as a function that tests can call.
fn attribute(args: TokenStream, item: TokenStream, features: Features) -> TokenStream {
    let errors = Errors::new();
    let args = Args::parse(args, &errors);
    let function = Function::parse(item.clone(), &errors);
    let model = function.and_then(|function| Model::new(args, function, features, &errors));
    match (errors.finish(), model) {
        (Ok(()), Some(model)) => expand::expand(&model),
        (Ok(()), None) => unreachable!("a model that is missing left an error"),
        (Err(errors), model) => {
            let siblings = model.as_ref().map(expand::fallback);
            quote::quote!(#item #siblings #errors)
        }
    }
}
