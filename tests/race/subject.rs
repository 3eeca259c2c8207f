//! The subjects of a race: the functions of each, under one trait.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use redis_cached::Cache;
use serde::{Deserialize, Serialize};

use crate::origin::{Origin, PlainOrigin};
use crate::{One, TOGETHER};

/// The value that the origin hands to a body.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    pub(crate) version: u64,
    /// The number of the body; numbers ascend.
    pub(crate) number: u64,
}

impl Found {
    /// A value that a writer makes current itself.
    pub(crate) fn written(version: u64) -> Found {
        Found { version, number: u64::MAX }
    }
}

/// The value of a cached function.
pub(crate) trait Versioned: Send + 'static {
    fn of(id: u64, found: Found) -> Self;
    fn found(&self, id: u64) -> Found;
}

impl Versioned for u64 {
    fn of(_: u64, found: Found) -> u64 {
        found.version
    }

    fn found(&self, _: u64) -> Found {
        Found::written(*self)
    }
}

/// Says whose it is, and by which body.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Numbered {
    id: u64,
    version: u64,
    number: u64,
}

impl Numbered {
    /// Its tag.
    pub(crate) fn class(&self) -> String {
        class(self.id)
    }
}

impl Versioned for Numbered {
    fn of(id: u64, Found { version, number }: Found) -> Numbered {
        Numbered { id, version, number }
    }

    fn found(&self, id: u64) -> Found {
        assert_eq!(self.id, id, "what was asked for");
        Found { version: self.version, number: self.number }
    }
}

/// Travels in several pieces, and must arrive in one.
#[derive(Serialize, Deserialize)]
pub(crate) struct Large {
    head: u64,
    text: String,
    tail: u64,
}

impl Versioned for Large {
    fn of(_: u64, found: Found) -> Large {
        Large { head: found.version, text: "x".repeat(200_000), tail: found.version }
    }

    fn found(&self, _: u64) -> Found {
        assert_eq!((self.head, self.text.len()), (self.tail, 200_000), "of one piece");
        Found::written(self.head)
    }
}

/// The tag of a class.
pub(crate) fn class(id: u64) -> String {
    format!("class:{}", id / TOGETHER)
}

/// Returns true if the cache confirmed what it was told. The first errors are shown.
pub(crate) fn confirmed<T>(told: Result<T, redis_cached::Error>) -> bool {
    static SHOWN: AtomicU64 = AtomicU64::new(0);
    if let Err(error) = &told
        && SHOWN.fetch_add(1, Relaxed) < 3
    {
        eprintln!("not confirmed: {error}");
    }
    told.is_ok()
}

/// The functions of one race, async and plain ones, with the same entries.
pub(crate) trait Subject: Send + Sync + 'static {
    /// The name of the module of its tests.
    const NAME: &'static str;

    fn call(cache: &Cache, origin: &Origin, id: u64) -> impl Future<Output = Found> + Send;
    fn refresh(cache: &Cache, origin: &Origin, id: u64) -> impl Future<Output = Found> + Send;
    fn get(cache: &Cache, id: u64) -> impl Future<Output = Option<Found>> + Send;
    /// True if readers may rely on `version` from now on.
    fn write(cache: &Cache, origin: &Origin, id: u64, how: One, version: u64) -> impl Future<Output = bool>;

    fn call_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> Found;
    fn refresh_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> Found;
    fn get_plain(cache: &Cache, id: u64) -> Option<Found>;
    fn write_plain(cache: &Cache, origin: &PlainOrigin, id: u64, how: One, version: u64) -> bool;

    /// Calls for many ids, or runs their body whatever is stored.
    fn call_many(_: &Cache, _: &Origin, _: &[u64], _anew: bool) -> impl Future<Output = Vec<(u64, Found)>> + Send {
        async { unreachable!("no function of this race is for many ids") }
    }

    fn call_many_plain(_: &Cache, _: &PlainOrigin, _: &[u64], _anew: bool) -> Vec<(u64, Found)> {
        unreachable!("no function of this race is for many ids")
    }

    /// Makes the entries of a whole class stale; whether the cache was told.
    fn invalidate(cache: &Cache, ids: &[u64]) -> impl Future<Output = bool>;
    fn invalidate_plain(cache: &Cache, ids: &[u64]) -> bool;
    /// The keys that a client removes to the same end.
    fn keys(cache: &Cache, ids: &[u64]) -> Vec<String>;
}

/// A race for each line: its functions' value, further arguments of their attribute, what they are,
/// and a setup.
macro_rules! races {
    ($names:tt $($(#[$doc:meta])* $name:ident: $value:ty, $arguments:tt, $features:tt, $setup:expr;)*) => {$(
        $(#[$doc])*
        mod $name {
            #[allow(unused_imports, reason = "some races use it")]
            use super::*;

            struct Race;

            subject! { $name $value, $names $arguments $features }

            #[test]
            fn nothing_stale() {
                processes::race::<Race>($setup, "nothing_stale", Kind::Server);
            }

            #[test]
            fn nothing_stale_in_a_cluster() {
                processes::race::<Race>($setup, "nothing_stale_in_a_cluster", Kind::Cluster);
            }
        }
    )*};
}

macro_rules! subject {
    (
        $name:ident $value:ty, ($id:ident in $ids:ident, $key:tt) [$($argument:tt)*] { $($feature:ident)* }
    ) => {
        use redis_cached::{Cache, redis_cached};

        use crate::One;
        use crate::origin::{Origin, PlainOrigin};
        use crate::subject::{Found, Subject, Versioned as _};

        #[redis_cached(prefix = "race", name = "user", key = $key, cache = cache, skip(cache, origin), $($argument)*)]
        async fn user(cache: &Cache, origin: &Origin, $id: u64) -> $value {
            <$value>::of($id, origin.read(&[$id]).await[0])
        }

        #[redis_cached(prefix = "race", name = "user", key = $key, cache = cache, skip(cache, origin), $($argument)*)]
        fn plain(cache: &Cache, origin: &PlainOrigin, $id: u64) -> $value {
            <$value>::of($id, origin.read(&[$id])[0])
        }

        many! { $value, ($id in $ids, $key) [$($argument)*] { $($feature)* } }

        impl Subject for Race {
            const NAME: &'static str = stringify!($name);

            async fn call(cache: &Cache, origin: &Origin, id: u64) -> Found {
                user(cache, origin, id).await.found(id)
            }

            async fn refresh(cache: &Cache, origin: &Origin, id: u64) -> Found {
                user_refresh(cache, origin, id).await.found(id)
            }

            async fn get(cache: &Cache, id: u64) -> Option<Found> {
                user_entry(cache, id).get().await.ok()?.map(|value| value.found(id))
            }

            async fn write(cache: &Cache, origin: &Origin, id: u64, how: One, version: u64) -> bool {
                let (entry, new) = (user_entry(cache, id), <$value>::of(id, Found::written(version)));
                match how {
                    One::Invalidate => {
                        origin.write(&[(id, version)]).await;
                        crate::subject::confirmed(entry.invalidate().await)
                    }
                    One::Put => {
                        origin.write(&[(id, version)]).await;
                        crate::subject::confirmed(entry.put(&new).await)
                    }
                    One::Foreign(command) => {
                        origin.write(&[(id, version)]).await;
                        origin.foreign(command, &[entry.key().unwrap().to_owned()]).await;
                        true
                    }
                    One::Through if version % 2 == 0 => {
                        let write = async || {
                            origin.write(&[(id, version)]).await;
                            Ok::<_, ()>(new)
                        };
                        entry.write_through_returning(write).await.is_ok()
                    }
                    One::Through => {
                        let write = async || Ok::<_, ()>(origin.write(&[(id, version)]).await);
                        entry.write_through(&new, write).await.is_ok()
                    }
                    One::FailingThrough => {
                        let write = async || {
                            origin.write(&[(id, version)]).await;
                            Err::<(), _>(())
                        };
                        entry.write_through(&new, write).await.is_ok()
                    }
                    One::CancelledThrough => {
                        let write = async || Ok::<_, ()>(origin.write(&[(id, version)]).await);
                        let patience = std::time::Duration::from_micros(crate::random(2_000));
                        let _ = tokio::time::timeout(patience, entry.write_through(&new, write)).await;
                        false
                    }
                }
            }

            fn call_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> Found {
                plain(cache, origin, id).found(id)
            }

            fn refresh_plain(cache: &Cache, origin: &PlainOrigin, id: u64) -> Found {
                plain_refresh(cache, origin, id).found(id)
            }

            fn get_plain(cache: &Cache, id: u64) -> Option<Found> {
                plain_entry(cache, id).get().ok()?.map(|value| value.found(id))
            }

            fn write_plain(cache: &Cache, origin: &PlainOrigin, id: u64, how: One, version: u64) -> bool {
                let (entry, new) = (plain_entry(cache, id), <$value>::of(id, Found::written(version)));
                match how {
                    One::Invalidate => {
                        origin.write(&[(id, version)]);
                        crate::subject::confirmed(entry.invalidate())
                    }
                    One::Put => {
                        origin.write(&[(id, version)]);
                        crate::subject::confirmed(entry.put(&new))
                    }
                    One::Foreign(command) => {
                        origin.write(&[(id, version)]);
                        origin.foreign(command, &[entry.key().unwrap().to_owned()]);
                        true
                    }
                    One::Through if version % 2 == 0 => {
                        let write = || {
                            origin.write(&[(id, version)]);
                            Ok::<_, ()>(new)
                        };
                        entry.write_through_returning(write).is_ok()
                    }
                    One::Through => {
                        entry.write_through(&new, || Ok::<_, ()>(origin.write(&[(id, version)]))).is_ok()
                    }
                    // A thread cannot be cancelled.
                    One::FailingThrough | One::CancelledThrough => {
                        let write = || {
                            origin.write(&[(id, version)]);
                            Err::<(), _>(())
                        };
                        entry.write_through(&new, write).is_ok()
                    }
                }
            }

            call_many! { { $($feature)* } }
            together! { { $($feature)* } }
        }
    };
}

/// The functions for many ids.
macro_rules! many {
    ($value:ty, ($id:ident in $ids:ident, $key:tt) [$($argument:tt)*] { in_batches }) => {
        #[redis_cached(
            prefix = "race", name = "user", key = $key, cache = cache, skip(cache, origin), batch($id in $ids), $($argument)*
        )]
        async fn users(cache: &Cache, origin: &Origin, $ids: &[u64]) -> std::collections::HashMap<u64, $value> {
            let found = origin.read($ids).await;
            $ids.iter().zip(found).map(|(id, found)| (*id, <$value>::of(*id, found))).collect()
        }

        #[redis_cached(
            prefix = "race", name = "user", key = $key, cache = cache, skip(cache, origin), batch($id in $ids), $($argument)*
        )]
        fn plain_users(cache: &Cache, origin: &PlainOrigin, $ids: &[u64]) -> std::collections::HashMap<u64, $value> {
            let found = origin.read($ids);
            $ids.iter().zip(found).map(|(id, found)| (*id, <$value>::of(*id, found))).collect()
        }
    };
    ($value:ty, $names:tt $arguments:tt { in_groups in_batches }) => {
        many! { $value, $names $arguments { in_batches } }
    };
    ($value:ty, $names:tt $arguments:tt { by_tag in_batches }) => {
        many! { $value, $names $arguments { in_batches } }
    };
    ($value:ty, $names:tt $arguments:tt $none:tt) => {};
}

macro_rules! call_many {
    ({ in_batches }) => {
        async fn call_many(cache: &Cache, origin: &Origin, ids: &[u64], anew: bool) -> Vec<(u64, Found)> {
            let users = match anew {
                true => users_refresh(cache, origin, ids).await,
                false => users(cache, origin, ids).await,
            };
            users.into_iter().map(|(id, user)| (id, user.found(id))).collect()
        }

        fn call_many_plain(cache: &Cache, origin: &PlainOrigin, ids: &[u64], anew: bool) -> Vec<(u64, Found)> {
            let users = match anew {
                true => plain_users_refresh(cache, origin, ids),
                false => plain_users(cache, origin, ids),
            };
            users.into_iter().map(|(id, user)| (id, user.found(id))).collect()
        }
    };
    ({ in_groups in_batches }) => {
        call_many! { { in_batches } }
    };
    ({ by_tag in_batches }) => {
        call_many! { { in_batches } }
    };
    ($none:tt) => {};
}

/// The name that the entries of a class share.
macro_rules! together {
    ({ in_groups $($batches:ident)? }) => {
        async fn invalidate(cache: &Cache, ids: &[u64]) -> bool {
            crate::subject::confirmed(user_group(cache, ids[0]).invalidate().await)
        }

        fn invalidate_plain(cache: &Cache, ids: &[u64]) -> bool {
            crate::subject::confirmed(plain_group(cache, ids[0]).invalidate())
        }

        fn keys(cache: &Cache, ids: &[u64]) -> Vec<String> {
            vec![user_group(cache, ids[0]).key().unwrap().to_owned()]
        }
    };
    ({ by_tag $($batches:ident)? }) => {
        async fn invalidate(cache: &Cache, ids: &[u64]) -> bool {
            crate::subject::confirmed(cache.invalidate_tag(&crate::subject::class(ids[0])).await)
        }

        fn invalidate_plain(cache: &Cache, ids: &[u64]) -> bool {
            crate::subject::confirmed(cache.blocking().invalidate_tag(&crate::subject::class(ids[0])))
        }

        fn keys(cache: &Cache, ids: &[u64]) -> Vec<String> {
            let key = user_entry(cache, ids[0]).key().unwrap().to_owned();
            let namespace = if key.starts_with("race:") { "" } else { "staging:" };
            vec![format!("{namespace}#tag:{}", crate::subject::class(ids[0]))]
        }
    };
    ({ $($batches:ident)? }) => {
        async fn invalidate(cache: &Cache, ids: &[u64]) -> bool {
            crate::subject::confirmed(cache.invalidate_all(ids.iter().map(|id| user_entry(cache, *id))).await)
        }

        fn invalidate_plain(cache: &Cache, ids: &[u64]) -> bool {
            crate::subject::confirmed(cache.blocking().invalidate_all(ids.iter().map(|id| plain_entry(cache, *id))))
        }

        fn keys(cache: &Cache, ids: &[u64]) -> Vec<String> {
            ids.iter().map(|id| user_entry(cache, *id).key().unwrap().to_owned()).collect()
        }
    };
}
