async fn users(
    db: &Db,
    tenant: String,
    ids: &[u64],
) -> Result<HashMap<u64, User>, Error> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __users_plan();
    let (ids, some) = __rc::batch_ids::<
        __rc::Returned<__rc::OkOf<Result<HashMap<u64, User>, Error>>>,
        _,
    >(ids, |id: &_| __users_key(cache, plan.terms.function, &tenant, id));
    __rc::batch_result::<
        __rc::Returned<Result<HashMap<u64, User>, Error>>,
        _,
        _,
    >(
            cache,
            plan,
            ids,
            verb,
            move |ids: ::std::vec::Vec<_>| {
                let db = ::core::clone::Clone::clone(&db);
                let tenant = ::core::clone::Clone::clone(&tenant);
                async move {
                    let ids = __rc::collect_ids::<[u64], _>(some(ids));
                    users_uncached(
                            db,
                            tenant,
                            ::core::borrow::Borrow::<[u64]>::borrow(&ids),
                        )
                        .await
                }
            },
        )
        .await
}
/// The body of `users`: computes, and leaves the cache alone.
///
async fn users_uncached(
    db: &Db,
    tenant: String,
    ids: &[u64],
) -> Result<HashMap<u64, User>, Error> {
    db.find_all(&tenant, ids).await
}
/// Runs the body of `users` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn users_refresh(
    db: &Db,
    tenant: String,
    ids: &[u64],
) -> impl ::core::future::Future<Output = Result<HashMap<u64, User>, Error>> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(users(db, tenant, ids))
}
/// The cache entry of one `id` behind the call of `users` with the same other arguments.
///
#[allow(unreachable_pub)]
fn users_entry(
    tenant: String,
    id: u64,
) -> ::redis_cached::Entry<
    ::redis_cached::__private::ValueOf<
        ::redis_cached::__private::OkOf<Result<HashMap<u64, User>, Error>>,
    >,
> {
    let _ = users;
    let id = &id;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __users_plan();
    let key = __users_key(cache, plan.terms.function, &tenant, id);
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `users`.
///
#[allow(unreachable_pub)]
fn users_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = users;
    use ::redis_cached::__private as __rc;
    let plan = __users_plan();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __users_plan() -> ::redis_cached::__private::Plan<
    ::redis_cached::__private::ValueOf<
        ::redis_cached::__private::OkOf<Result<HashMap<u64, User>, Error>>,
    >,
> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<
            __rc::ValueOf<__rc::OkOf<Result<HashMap<u64, User>, Error>>>,
        >::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec::<
            __rc::ValueOf<__rc::OkOf<Result<HashMap<u64, User>, Error>>>,
            __rc::Auto,
            _,
            _,
        >(kind, kind.rc_verdict());
        let plan = __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function(
                    &__SLOT,
                    &__rc::Site {
                        ident: "users",
                        prefix: __rc::Prefix::OfCrate(
                            ::core::option_env!("REDIS_CACHED_PREFIX"),
                            ::core::module_path!(),
                        ),
                        name: __rc::Name::Path,
                        shape: ":{}:{}",
                        version: 0u32,
                    },
                    __rc::place(),
                    __rc::path_of(&|| ()),
                    &[],
                    &codec,
                )
            },
            codec,
            __rc::storable::<
                __rc::ValueOf<__rc::OkOf<Result<HashMap<u64, User>, Error>>>,
                _,
            >(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        );
        __rc::Plan {
            terms: __rc::Terms {
                none_ttl: ::core::option::Option::Some(__rc::Ttl::Millis(30000u64)),
                ..plan.terms
            },
            ..plan
        }
    }
}
#[doc(hidden)]
#[inline]
fn __users_key(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    tenant: &String,
    id: &u64,
) -> ::redis_cached::__private::MadeKey {
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let writer = &mut __rc::key(cache, function);
        writer.literal(":");
        __rc::part(writer, "tenant", tenant, __rc::probe(tenant).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "id", id, __rc::probe(id).rc_key_part());
        writer.finish()
    }
}
impl Repo {
    fn names<T: Kind>(&self, arg0: (u8, T), ids: Ids) -> BTreeMap<Id, String> {
        let verb = __rc::verb();
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__names_plan();
        let (ids, some) = __rc::batch_ids::<
            __rc::Returned<BTreeMap<Id, String>>,
            _,
        >(&ids, |id: &_| Self::__names_key(cache, plan.terms.function, id));
        __rc::blocking_batch_value::<
            __rc::Returned<BTreeMap<Id, String>>,
        >(
            cache,
            plan,
            ids,
            verb,
            move |ids: ::std::vec::Vec<_>| {
                let __self = ::core::clone::Clone::clone(&self);
                let arg0 = ::core::clone::Clone::clone(&arg0);
                let ids = <Ids as ::core::iter::FromIterator<_>>::from_iter(some(ids));
                Self::names_uncached::<T>(__self, arg0, ids)
            },
        )
    }
    /// The body of `names`: computes, and leaves the cache alone.
    ///
    fn names_uncached<T: Kind>(
        &self,
        (a, b): (u8, T),
        #[allow(unused_variables)]
        mut ids: Ids,
    ) -> BTreeMap<Id, String> {
        self.load(a, b, ids)
    }
    /// Runs the body of `names` now, and stores what it returns.
    ///
    #[allow(unreachable_pub)]
    fn names_refresh<T: Kind>(&self, arg0: (u8, T), ids: Ids) -> BTreeMap<Id, String> {
        use ::redis_cached::__private as __rc;
        __rc::refresh_next();
        Self::names::<T>(self, arg0, ids)
    }
    /// The cache entry of one `id` behind the call of `names` with the same other arguments.
    ///
    #[allow(unreachable_pub)]
    fn names_entry(
        id: ::redis_cached::__private::IdOf<BTreeMap<Id, String>>,
    ) -> ::redis_cached::blocking::Entry<
        ::redis_cached::__private::ValueOf<BTreeMap<Id, String>>,
    > {
        let id = &id;
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__names_plan();
        let key = Self::__names_key(cache, plan.terms.function, id);
        __rc::blocking_entry(cache, plan, key)
    }
    /// The group that the entry of `names` is in, with the arguments that name it.
    ///
    #[allow(unreachable_pub)]
    fn names_group(
        id: ::redis_cached::__private::IdOf<BTreeMap<Id, String>>,
    ) -> ::redis_cached::blocking::Group {
        let id = &id;
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::group_key(
                cache,
                &__rc::Prefix::OfCrate(
                    ::core::option_env!("REDIS_CACHED_PREFIX"),
                    ::core::module_path!(),
                ),
            );
            writer.literal(":shard:");
            __rc::part(
                writer,
                "id.shard",
                &id.shard,
                __rc::probe(&id.shard).rc_key_part(),
            );
            writer.finish()
        };
        __rc::blocking_group(cache, key)
    }
    /// Empties the cache entries of all calls of `names`.
    ///
    #[allow(unreachable_pub)]
    fn names_clear() -> ::core::result::Result<
        ::core::primitive::u64,
        ::redis_cached::Error,
    > {
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__names_plan();
        __rc::blocking_clear(cache, plan.terms.function, true)
    }
    #[doc(hidden)]
    #[inline]
    fn __names_plan() -> ::redis_cached::__private::Plan<
        ::redis_cached::__private::ValueOf<BTreeMap<Id, String>>,
    > {
        use ::redis_cached::__private as __rc;
        {
            use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
            let kind = __rc::Kind::<__rc::ValueOf<BTreeMap<Id, String>>>::new()
                .rc_option()
                .rc_found();
            let codec = __rc::codec::<
                __rc::ValueOf<BTreeMap<Id, String>>,
                __rc::Auto,
                _,
                _,
            >(kind, kind.rc_verdict());
            __rc::Plan::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    __rc::Slot::function(
                        &__SLOT,
                        &__rc::Site {
                            ident: "names",
                            prefix: __rc::Prefix::OfCrate(
                                ::core::option_env!("REDIS_CACHED_PREFIX"),
                                ::core::module_path!(),
                            ),
                            name: __rc::Name::Path,
                            shape: ":shard:{} :{}",
                            version: 0u32,
                        },
                        __rc::place(),
                        __rc::path_of(&|| ()),
                        &[],
                        &codec,
                    )
                },
                codec,
                __rc::storable::<__rc::ValueOf<BTreeMap<Id, String>>, _>(kind),
                |_| __rc::Ttl::of_environment(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                    __rc::Ttl::DEFAULT,
                ),
            )
        }
    }
    #[doc(hidden)]
    #[inline]
    fn __names_key(
        cache: &::redis_cached::__private::Context,
        function: &'static ::redis_cached::__private::Function,
        id: &::redis_cached::__private::IdOf<BTreeMap<Id, String>>,
    ) -> ::redis_cached::__private::MadeKey {
        use ::redis_cached::__private as __rc;
        {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key_in_group(cache, function);
            writer.literal(":shard:");
            __rc::part(
                writer,
                "id.shard",
                &id.shard,
                __rc::probe(&id.shard).rc_key_part(),
            );
            writer.field(function.name());
            writer.literal(":");
            __rc::part(
                writer,
                "id.number",
                &id.number,
                __rc::probe(&id.number).rc_key_part(),
            );
            writer.finish()
        }
    }
}
