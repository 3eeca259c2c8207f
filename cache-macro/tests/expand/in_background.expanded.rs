async fn user<K: Key>(
    db: &Db,
    slug: Option<&str>,
    name: Cow<'_, str>,
    id: Path<K>,
) -> Result<User, Error> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan::<K>();
    let key = __user_key::<K>(cache, plan.terms.function, &slug, &name, &id);
    __rc::call_result_in_background::<
        __rc::Returned<Result<User, Error>>,
        _,
        _,
        _,
        _,
        _,
    >(
            cache,
            plan,
            key,
            {
                #[allow(unused_imports)]
                use __rc::Unshared as _;
                __rc::ErrorProbe::<__rc::ErrOf<Result<User, Error>>>::new().rc_errors()
            },
            verb,
            (db, slug, name, id),
            |(db, slug, name, id)| user_uncached::<K>(db, slug, name, id),
            |(db, slug, name, id)| {
                use __rc::NotKept as _;
                let db = __rc::keep_referent(db, __rc::lent(db).rc_kept());
                let slug = __rc::keep_option(slug, __rc::lent(slug).rc_kept());
                let name = __rc::keep_cow(name, __rc::lent(name).rc_kept());
                let id = __rc::keep(id, __rc::cloned(id).rc_kept());
                async move {
                    user_uncached::<
                        K,
                    >(
                            __rc::lend(&db),
                            __rc::lend_option(&slug),
                            __rc::lend_cow(&name),
                            id,
                        )
                        .await
                }
            },
        )
        .await
}
/// The body of `user`: computes, and leaves the cache alone.
///
async fn user_uncached<K: Key>(
    db: &Db,
    slug: Option<&str>,
    name: Cow<'_, str>,
    Path(id): Path<K>,
) -> Result<User, Error> {
    db.find(id, slug, &name).await
}
/// Runs the body of `user` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn user_refresh<K: Key>(
    db: &Db,
    slug: Option<&str>,
    name: Cow<'_, str>,
    id: Path<K>,
) -> impl ::core::future::Future<Output = Result<User, Error>> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(user::<K>(db, slug, name, id))
}
/// The cache entry of the call of `user` with the same arguments.
///
#[allow(unreachable_pub)]
fn user_entry<K: Key>(
    slug: Option<&str>,
    name: Cow<'_, str>,
    id: Path<K>,
) -> ::redis_cached::Entry<::redis_cached::__private::OkOf<Result<User, Error>>> {
    let _ = user::<K>;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan::<K>();
    let key = __user_key::<K>(cache, plan.terms.function, &slug, &name, &id);
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `user`.
///
#[allow(unreachable_pub)]
fn user_clear<K: Key>() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = user::<K>;
    use ::redis_cached::__private as __rc;
    let plan = __user_plan::<K>();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __user_plan<K: Key>() -> ::redis_cached::__private::Plan<
    ::redis_cached::__private::OkOf<Result<User, Error>>,
> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<__rc::OkOf<Result<User, Error>>>::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec::<
            __rc::OkOf<Result<User, Error>>,
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
                        ident: "user",
                        prefix: __rc::Prefix::OfCrate(
                            ::core::option_env!("REDIS_CACHED_PREFIX"),
                            ::core::module_path!(),
                        ),
                        name: __rc::Name::Path,
                        shape: ":{}:{}:{}",
                        version: 0u32,
                    },
                    __rc::place(),
                    __rc::path_of(&|| ()),
                    &[&::core::any::type_name::<K>()],
                    &codec,
                )
            },
            codec,
            __rc::storable::<__rc::OkOf<Result<User, Error>>, _>(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        );
        __rc::Plan {
            terms: __rc::Terms {
                single_flight: __rc::SingleFlight::Process,
                lease: __rc::Ttl::Millis(5000u64),
                wait: ::core::option::Option::Some(__rc::Ttl::Millis(30000u64)),
                refresh_ahead: ::core::option::Option::Some(0.8f64),
                stale_while_revalidate: __rc::Ttl::Millis(30000u64),
                stale_if_error: __rc::Ttl::Forever,
                ..plan.terms
            },
            ..plan
        }
    }
}
#[doc(hidden)]
#[inline]
fn __user_key<K: Key>(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    slug: &Option<&str>,
    name: &Cow<'_, str>,
    id: &Path<K>,
) -> ::redis_cached::__private::MadeKey {
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let Path(id) = id;
        let writer = &mut __rc::key(cache, function);
        writer.literal(":");
        __rc::part(writer, "slug", slug, __rc::probe(slug).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "name", name, __rc::probe(name).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
        writer.finish()
    }
}
impl Repo {
    fn user(&self, id: u64) -> io::Result<User> {
        let verb = __rc::verb();
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__user_plan();
        let key = Self::__user_key(cache, plan.terms.function, &id);
        __rc::blocking_call_result_in_background::<
            __rc::Returned<io::Result<User>>,
            _,
            _,
        >(
            cache,
            plan,
            key,
            {
                #[allow(unused_imports)]
                use __rc::Unshared as _;
                __rc::ErrorProbe::<__rc::ErrOf<io::Result<User>>>::new().rc_errors()
            },
            verb,
            (self, id),
            |(__self, id)| Self::user_uncached(__self, id),
            |(__self, id)| {
                use __rc::NotKept as _;
                let __self = __rc::keep_self_referent(
                    __self,
                    __rc::lent_by_thread(__self).rc_kept(),
                );
                let id = __rc::keep(id, __rc::cloned(id).rc_kept());
                move || Self::user_uncached(__rc::lend(&__self), id)
            },
        )
    }
    /// The body of `user`: computes, and leaves the cache alone.
    ///
    fn user_uncached(&self, id: u64) -> io::Result<User> {
        self.load(id)
    }
    /// Runs the body of `user` now, and stores what it returns.
    ///
    #[allow(unreachable_pub)]
    fn user_refresh(&self, id: u64) -> io::Result<User> {
        use ::redis_cached::__private as __rc;
        __rc::refresh_next();
        Self::user(self, id)
    }
    /// The cache entry of the call of `user` with the same arguments.
    ///
    #[allow(unreachable_pub)]
    fn user_entry(
        id: u64,
    ) -> ::redis_cached::blocking::Entry<
        ::redis_cached::__private::OkOf<io::Result<User>>,
    > {
        let _ = Self::user;
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__user_plan();
        let key = Self::__user_key(cache, plan.terms.function, &id);
        __rc::blocking_entry(cache, plan, key)
    }
    /// Empties the cache entries of all calls of `user`.
    ///
    #[allow(unreachable_pub)]
    fn user_clear() -> ::core::result::Result<
        ::core::primitive::u64,
        ::redis_cached::Error,
    > {
        let _ = Self::user;
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__user_plan();
        __rc::blocking_clear(cache, plan.terms.function, false)
    }
    #[doc(hidden)]
    #[inline]
    fn __user_plan() -> ::redis_cached::__private::Plan<
        ::redis_cached::__private::OkOf<io::Result<User>>,
    > {
        use ::redis_cached::__private as __rc;
        {
            use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
            let kind = __rc::Kind::<__rc::OkOf<io::Result<User>>>::new()
                .rc_option()
                .rc_found();
            let codec = __rc::codec::<
                __rc::OkOf<io::Result<User>>,
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
                            ident: "user",
                            prefix: __rc::Prefix::OfCrate(
                                ::core::option_env!("REDIS_CACHED_PREFIX"),
                                ::core::module_path!(),
                            ),
                            name: __rc::Name::Path,
                            shape: ":{}",
                            version: 0u32,
                        },
                        __rc::place(),
                        __rc::path_of(&|| ()),
                        &[],
                        &codec,
                    )
                },
                codec,
                __rc::storable::<__rc::OkOf<io::Result<User>>, _>(kind),
                |_| __rc::Ttl::of_environment(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                    __rc::Ttl::DEFAULT,
                ),
            );
            __rc::Plan {
                terms: __rc::Terms {
                    stale_while_revalidate: __rc::Ttl::Millis(30000u64),
                    ..plan.terms
                },
                ..plan
            }
        }
    }
    #[doc(hidden)]
    #[inline]
    fn __user_key(
        cache: &::redis_cached::__private::Context,
        function: &'static ::redis_cached::__private::Function,
        id: &u64,
    ) -> ::redis_cached::__private::MadeKey {
        use ::redis_cached::__private as __rc;
        {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, function);
            writer.literal(":");
            __rc::part(writer, "id", id, __rc::probe(id).rc_key_part());
            writer.finish()
        }
    }
    async fn total(self: Arc<Self>) -> Result<u64, Error> {
        let verb = __rc::verb();
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__total_plan();
        let key = {
            let function = plan.terms.function;
            {
                use __rc::NoKeyPart as _;
                let writer = &mut __rc::key(cache, function);
                writer.finish()
            }
        };
        __rc::call_result_in_background::<
            __rc::Returned<Result<u64, Error>>,
            _,
            _,
            _,
            _,
            _,
        >(
                cache,
                plan,
                key,
                __rc::Errors::never(),
                verb,
                (self,),
                |(__self,)| Self::total_uncached(__self),
                |(__self,)| {
                    use __rc::NotKept as _;
                    let __self = __rc::keep_self(__self, __rc::cloned(__self).rc_kept());
                    async move { Self::total_uncached(__self).await }
                },
            )
            .await
    }
    /// The body of `total`: computes, and leaves the cache alone.
    ///
    async fn total_uncached(self: Arc<Self>) -> Result<u64, Error> {
        self.sum().await
    }
    /// Runs the body of `total` now, and stores what it returns.
    ///
    #[allow(unreachable_pub)]
    fn total_refresh(
        self: Arc<Self>,
    ) -> impl ::core::future::Future<Output = Result<u64, Error>> {
        use ::redis_cached::__private as __rc;
        __rc::refreshing(Self::total(self))
    }
    /// The cache entry of the call of `total` with the same arguments.
    ///
    #[allow(unreachable_pub)]
    fn total_entry() -> ::redis_cached::Entry<
        ::redis_cached::__private::OkOf<Result<u64, Error>>,
    > {
        let _ = Self::total;
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = Self::__total_plan();
        let key = {
            let function = plan.terms.function;
            {
                use __rc::NoKeyPart as _;
                let writer = &mut __rc::key(cache, function);
                writer.finish()
            }
        };
        __rc::entry(cache, plan, key)
    }
    /// Empties the cache entries of all calls of `total`.
    ///
    #[allow(unreachable_pub)]
    fn total_clear() -> impl ::core::future::Future<
        Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
    > + ::core::marker::Send {
        let _ = Self::total;
        use ::redis_cached::__private as __rc;
        let plan = Self::__total_plan();
        __rc::clear_installed(plan.terms.function, false)
    }
    #[doc(hidden)]
    #[inline]
    fn __total_plan() -> ::redis_cached::__private::Plan<
        ::redis_cached::__private::OkOf<Result<u64, Error>>,
    > {
        use ::redis_cached::__private as __rc;
        {
            use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
            let kind = __rc::Kind::<__rc::OkOf<Result<u64, Error>>>::new()
                .rc_option()
                .rc_found();
            let codec = __rc::codec::<
                __rc::OkOf<Result<u64, Error>>,
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
                            ident: "total",
                            prefix: __rc::Prefix::OfCrate(
                                ::core::option_env!("REDIS_CACHED_PREFIX"),
                                ::core::module_path!(),
                            ),
                            name: __rc::Name::Path,
                            shape: "",
                            version: 0u32,
                        },
                        __rc::place(),
                        __rc::path_of(&|| ()),
                        &[],
                        &codec,
                    )
                },
                codec,
                __rc::storable::<__rc::OkOf<Result<u64, Error>>, _>(kind),
                |_| __rc::Ttl::of_environment(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                    __rc::Ttl::DEFAULT,
                ),
            );
            __rc::Plan {
                terms: __rc::Terms {
                    refresh_ahead: ::core::option::Option::Some(0.5f64),
                    ..plan.terms
                },
                ..plan
            }
        }
    }
}
