async fn user<K: Key>(
    db: &Db,
    slug: Option<&str>,
    name: Cow<'_, str>,
    id: Path<K>,
) -> Result<User, Error> {
    use ::redis_cached::__private as __rc;
    let cache = __rc::installed();
    let plan = {
        use __rc::AnyKind as _;
        let codec = __rc::Kind::<<Result<User, Error> as __rc::ResultLike>::Ok>::new()
            .codec::<__rc::Auto>();
        let plan = __rc::Plan::<
            <Result<User, Error> as __rc::ResultLike>::Ok,
        >::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                    ::core::option_env!("REDIS_CACHED_PREFIX"),
                    ::core::module_path!(),
                );
                __SLOT
                    .function(
                        const {
                            &__rc::Site {
                                ident: "user",
                                prefix: __PREFIX,
                                name: __rc::Name::Path,
                                version: 0u32,
                            }
                        },
                        __rc::path_of(&|| ()),
                        &[&::core::any::type_name::<K>()],
                        &codec,
                    )
            },
            codec,
            __rc::storable::<
                <Result<User, Error> as __rc::ResultLike>::Ok,
                _,
            >(
                __rc::Kind::<<Result<User, Error> as __rc::ResultLike>::Ok>::new()
                    .found(),
            ),
            {
                const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                );
                |_| __TTL
            },
        );
        __rc::Plan::<<Result<User, Error> as __rc::ResultLike>::Ok> {
            single_flight: __rc::SingleFlight::Process,
            lease: __rc::Ttl::Millis(5000u64),
            wait: ::core::option::Option::Some(__rc::Ttl::Millis(30000u64)),
            refresh_ahead: ::core::option::Option::Some(0.8f64),
            stale_while_revalidate: __rc::Ttl::Millis(30000u64),
            stale_if_error: __rc::Ttl::Forever,
            ..plan
        }
    };
    let key = {
        use __rc::NoKeyPart as _;
        let Path(id) = &id;
        let writer = &mut __rc::key(cache, plan.function);
        writer.literal(":");
        __rc::part(writer, "slug", &slug, __rc::probe(&slug).key_part());
        writer.literal(":");
        __rc::part(writer, "name", &name, __rc::probe(&name).key_part());
        writer.literal(":");
        __rc::part(writer, "id", &id, __rc::probe(&id).key_part());
        writer.finish()
    };
    __rc::call_result_behind::<
        Result<User, Error>,
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
                __rc::ErrorProbe::<<Result<User, Error> as __rc::ResultLike>::Err>::new()
                    .errors()
            },
            (db, slug, name, id),
            |(db, slug, name, id)| user_uncached::<K>(db, slug, name, id),
            |(db, slug, name, id)| {
                use __rc::NotKept as _;
                let db = __rc::keep_referent(db, __rc::lent(db).kept());
                let slug = __rc::keep_option(slug, __rc::lent(slug).kept());
                let name = __rc::keep_cow(name, __rc::lent(name).kept());
                let id = __rc::keep(id, __rc::cloned(id).kept());
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
async fn user_refresh<K: Key>(
    db: &Db,
    slug: Option<&str>,
    name: Cow<'_, str>,
    id: Path<K>,
) -> Result<User, Error> {
    use ::redis_cached::__private as __rc;
    let cache = __rc::installed();
    let plan = {
        use __rc::AnyKind as _;
        let codec = __rc::Kind::<<Result<User, Error> as __rc::ResultLike>::Ok>::new()
            .codec::<__rc::Auto>();
        let plan = __rc::Plan::<
            <Result<User, Error> as __rc::ResultLike>::Ok,
        >::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                    ::core::option_env!("REDIS_CACHED_PREFIX"),
                    ::core::module_path!(),
                );
                __SLOT
                    .function(
                        const {
                            &__rc::Site {
                                ident: "user",
                                prefix: __PREFIX,
                                name: __rc::Name::Path,
                                version: 0u32,
                            }
                        },
                        __rc::path_of(&|| ()),
                        &[&::core::any::type_name::<K>()],
                        &codec,
                    )
            },
            codec,
            __rc::storable::<
                <Result<User, Error> as __rc::ResultLike>::Ok,
                _,
            >(
                __rc::Kind::<<Result<User, Error> as __rc::ResultLike>::Ok>::new()
                    .found(),
            ),
            {
                const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                );
                |_| __TTL
            },
        );
        __rc::Plan::<<Result<User, Error> as __rc::ResultLike>::Ok> {
            single_flight: __rc::SingleFlight::Process,
            lease: __rc::Ttl::Millis(5000u64),
            wait: ::core::option::Option::Some(__rc::Ttl::Millis(30000u64)),
            refresh_ahead: ::core::option::Option::Some(0.8f64),
            stale_while_revalidate: __rc::Ttl::Millis(30000u64),
            stale_if_error: __rc::Ttl::Forever,
            ..plan
        }
    };
    let key = {
        use __rc::NoKeyPart as _;
        let Path(id) = &id;
        let writer = &mut __rc::key(cache, plan.function);
        writer.literal(":");
        __rc::part(writer, "slug", &slug, __rc::probe(&slug).key_part());
        writer.literal(":");
        __rc::part(writer, "name", &name, __rc::probe(&name).key_part());
        writer.literal(":");
        __rc::part(writer, "id", &id, __rc::probe(&id).key_part());
        writer.finish()
    };
    __rc::refresh_result::<
        Result<User, Error>,
        _,
        _,
    >(
            cache,
            plan,
            key,
            {
                #[allow(unused_imports)]
                use __rc::Unshared as _;
                __rc::ErrorProbe::<<Result<User, Error> as __rc::ResultLike>::Err>::new()
                    .errors()
            },
            move || user_uncached::<K>(db, slug, name, id),
        )
        .await
}
/// The cache entry behind the call of `user` with the same arguments.
///
#[allow(unreachable_pub)]
fn user_entry<K: Key>(
    slug: Option<&str>,
    name: Cow<'_, str>,
    id: Path<K>,
) -> ::redis_cached::Entry<
    <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
> {
    let _ = user::<K>;
    use ::redis_cached::__private as __rc;
    let cache = __rc::installed();
    let plan = {
        use __rc::AnyKind as _;
        let codec = __rc::Kind::<<Result<User, Error> as __rc::ResultLike>::Ok>::new()
            .codec::<__rc::Auto>();
        let plan = __rc::Plan::<
            <Result<User, Error> as __rc::ResultLike>::Ok,
        >::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                    ::core::option_env!("REDIS_CACHED_PREFIX"),
                    ::core::module_path!(),
                );
                __SLOT
                    .function(
                        const {
                            &__rc::Site {
                                ident: "user",
                                prefix: __PREFIX,
                                name: __rc::Name::Path,
                                version: 0u32,
                            }
                        },
                        __rc::path_of(&|| ()),
                        &[&::core::any::type_name::<K>()],
                        &codec,
                    )
            },
            codec,
            __rc::storable::<
                <Result<User, Error> as __rc::ResultLike>::Ok,
                _,
            >(
                __rc::Kind::<<Result<User, Error> as __rc::ResultLike>::Ok>::new()
                    .found(),
            ),
            {
                const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                );
                |_| __TTL
            },
        );
        __rc::Plan::<<Result<User, Error> as __rc::ResultLike>::Ok> {
            single_flight: __rc::SingleFlight::Process,
            lease: __rc::Ttl::Millis(5000u64),
            wait: ::core::option::Option::Some(__rc::Ttl::Millis(30000u64)),
            refresh_ahead: ::core::option::Option::Some(0.8f64),
            stale_while_revalidate: __rc::Ttl::Millis(30000u64),
            stale_if_error: __rc::Ttl::Forever,
            ..plan
        }
    };
    let key = {
        use __rc::NoKeyPart as _;
        let Path(id) = &id;
        let writer = &mut __rc::key(cache, plan.function);
        writer.literal(":");
        __rc::part(writer, "slug", &slug, __rc::probe(&slug).key_part());
        writer.literal(":");
        __rc::part(writer, "name", &name, __rc::probe(&name).key_part());
        writer.literal(":");
        __rc::part(writer, "id", &id, __rc::probe(&id).key_part());
        writer.finish()
    };
    __rc::entry(cache, plan, key)
}
impl Repo {
    fn user(&self, id: u64) -> io::Result<User> {
        use ::redis_cached::__private as __rc;
        let cache = __rc::installed();
        let plan = {
            use __rc::AnyKind as _;
            let codec = __rc::Kind::<<io::Result<User> as __rc::ResultLike>::Ok>::new()
                .codec::<__rc::Auto>();
            let plan = __rc::Plan::<
                <io::Result<User> as __rc::ResultLike>::Ok,
            >::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &__rc::Site {
                                    ident: "user",
                                    prefix: __PREFIX,
                                    name: __rc::Name::Path,
                                    version: 0u32,
                                }
                            },
                            __rc::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec,
                __rc::storable::<
                    <io::Result<User> as __rc::ResultLike>::Ok,
                    _,
                >(
                    __rc::Kind::<<io::Result<User> as __rc::ResultLike>::Ok>::new()
                        .found(),
                ),
                {
                    const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
            );
            __rc::Plan::<<io::Result<User> as __rc::ResultLike>::Ok> {
                stale_while_revalidate: __rc::Ttl::Millis(30000u64),
                ..plan
            }
        };
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, plan.function);
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).key_part());
            writer.finish()
        };
        __rc::blocking_call_result_behind::<
            io::Result<User>,
            _,
            _,
        >(
            cache,
            plan,
            key,
            {
                #[allow(unused_imports)]
                use __rc::Unshared as _;
                __rc::ErrorProbe::<<io::Result<User> as __rc::ResultLike>::Err>::new()
                    .errors()
            },
            (self, id),
            |(__self, id)| Self::user_uncached(__self, id),
            |(__self, id)| {
                use __rc::NotKept as _;
                let __self = __rc::keep_self_referent(
                    __self,
                    __rc::lent_by_thread(__self).kept(),
                );
                let id = __rc::keep(id, __rc::cloned(id).kept());
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
    fn user_refresh(&self, id: u64) -> io::Result<User> {
        use ::redis_cached::__private as __rc;
        let cache = __rc::installed();
        let plan = {
            use __rc::AnyKind as _;
            let codec = __rc::Kind::<<io::Result<User> as __rc::ResultLike>::Ok>::new()
                .codec::<__rc::Auto>();
            let plan = __rc::Plan::<
                <io::Result<User> as __rc::ResultLike>::Ok,
            >::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &__rc::Site {
                                    ident: "user",
                                    prefix: __PREFIX,
                                    name: __rc::Name::Path,
                                    version: 0u32,
                                }
                            },
                            __rc::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec,
                __rc::storable::<
                    <io::Result<User> as __rc::ResultLike>::Ok,
                    _,
                >(
                    __rc::Kind::<<io::Result<User> as __rc::ResultLike>::Ok>::new()
                        .found(),
                ),
                {
                    const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
            );
            __rc::Plan::<<io::Result<User> as __rc::ResultLike>::Ok> {
                stale_while_revalidate: __rc::Ttl::Millis(30000u64),
                ..plan
            }
        };
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, plan.function);
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).key_part());
            writer.finish()
        };
        __rc::blocking_refresh_result::<
            io::Result<User>,
        >(
            cache,
            plan,
            key,
            {
                #[allow(unused_imports)]
                use __rc::Unshared as _;
                __rc::ErrorProbe::<<io::Result<User> as __rc::ResultLike>::Err>::new()
                    .errors()
            },
            move || Self::user_uncached(self, id),
        )
    }
    /// The cache entry behind the call of `user` with the same arguments.
    ///
    #[allow(unreachable_pub)]
    fn user_entry(
        id: u64,
    ) -> ::redis_cached::blocking::Entry<
        <io::Result<User> as ::redis_cached::__private::ResultLike>::Ok,
    > {
        let _ = Self::user;
        use ::redis_cached::__private as __rc;
        let cache = __rc::installed();
        let plan = {
            use __rc::AnyKind as _;
            let codec = __rc::Kind::<<io::Result<User> as __rc::ResultLike>::Ok>::new()
                .codec::<__rc::Auto>();
            let plan = __rc::Plan::<
                <io::Result<User> as __rc::ResultLike>::Ok,
            >::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &__rc::Site {
                                    ident: "user",
                                    prefix: __PREFIX,
                                    name: __rc::Name::Path,
                                    version: 0u32,
                                }
                            },
                            __rc::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec,
                __rc::storable::<
                    <io::Result<User> as __rc::ResultLike>::Ok,
                    _,
                >(
                    __rc::Kind::<<io::Result<User> as __rc::ResultLike>::Ok>::new()
                        .found(),
                ),
                {
                    const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
            );
            __rc::Plan::<<io::Result<User> as __rc::ResultLike>::Ok> {
                stale_while_revalidate: __rc::Ttl::Millis(30000u64),
                ..plan
            }
        };
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, plan.function);
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).key_part());
            writer.finish()
        };
        __rc::blocking_entry(cache, plan, key)
    }
    async fn total(self: Arc<Self>) -> Result<u64, Error> {
        use ::redis_cached::__private as __rc;
        let cache = __rc::installed();
        let plan = {
            use __rc::AnyKind as _;
            let codec = __rc::Kind::<<Result<u64, Error> as __rc::ResultLike>::Ok>::new()
                .codec::<__rc::Auto>();
            let plan = __rc::Plan::<
                <Result<u64, Error> as __rc::ResultLike>::Ok,
            >::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &__rc::Site {
                                    ident: "total",
                                    prefix: __PREFIX,
                                    name: __rc::Name::Path,
                                    version: 0u32,
                                }
                            },
                            __rc::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec,
                __rc::storable::<
                    <Result<u64, Error> as __rc::ResultLike>::Ok,
                    _,
                >(
                    __rc::Kind::<<Result<u64, Error> as __rc::ResultLike>::Ok>::new()
                        .found(),
                ),
                {
                    const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
            );
            __rc::Plan::<<Result<u64, Error> as __rc::ResultLike>::Ok> {
                refresh_ahead: ::core::option::Option::Some(0.5f64),
                ..plan
            }
        };
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, plan.function);
            writer.finish()
        };
        __rc::call_result_behind::<
            Result<u64, Error>,
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
                (self,),
                |(__self,)| Self::total_uncached(__self),
                |(__self,)| {
                    use __rc::NotKept as _;
                    let __self = __rc::keep_self(__self, __rc::cloned(__self).kept());
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
    async fn total_refresh(self: Arc<Self>) -> Result<u64, Error> {
        use ::redis_cached::__private as __rc;
        let cache = __rc::installed();
        let plan = {
            use __rc::AnyKind as _;
            let codec = __rc::Kind::<<Result<u64, Error> as __rc::ResultLike>::Ok>::new()
                .codec::<__rc::Auto>();
            let plan = __rc::Plan::<
                <Result<u64, Error> as __rc::ResultLike>::Ok,
            >::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &__rc::Site {
                                    ident: "total",
                                    prefix: __PREFIX,
                                    name: __rc::Name::Path,
                                    version: 0u32,
                                }
                            },
                            __rc::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec,
                __rc::storable::<
                    <Result<u64, Error> as __rc::ResultLike>::Ok,
                    _,
                >(
                    __rc::Kind::<<Result<u64, Error> as __rc::ResultLike>::Ok>::new()
                        .found(),
                ),
                {
                    const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
            );
            __rc::Plan::<<Result<u64, Error> as __rc::ResultLike>::Ok> {
                refresh_ahead: ::core::option::Option::Some(0.5f64),
                ..plan
            }
        };
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, plan.function);
            writer.finish()
        };
        __rc::refresh_result::<
            Result<u64, Error>,
            _,
            _,
        >(cache, plan, key, __rc::Errors::never(), move || Self::total_uncached(self))
            .await
    }
    /// The cache entry behind the call of `total` with the same arguments.
    ///
    #[allow(unreachable_pub)]
    fn total_entry() -> ::redis_cached::Entry<
        <Result<u64, Error> as ::redis_cached::__private::ResultLike>::Ok,
    > {
        let _ = Self::total;
        use ::redis_cached::__private as __rc;
        let cache = __rc::installed();
        let plan = {
            use __rc::AnyKind as _;
            let codec = __rc::Kind::<<Result<u64, Error> as __rc::ResultLike>::Ok>::new()
                .codec::<__rc::Auto>();
            let plan = __rc::Plan::<
                <Result<u64, Error> as __rc::ResultLike>::Ok,
            >::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    const __PREFIX: &::core::primitive::str = __rc::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &__rc::Site {
                                    ident: "total",
                                    prefix: __PREFIX,
                                    name: __rc::Name::Path,
                                    version: 0u32,
                                }
                            },
                            __rc::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec,
                __rc::storable::<
                    <Result<u64, Error> as __rc::ResultLike>::Ok,
                    _,
                >(
                    __rc::Kind::<<Result<u64, Error> as __rc::ResultLike>::Ok>::new()
                        .found(),
                ),
                {
                    const __TTL: __rc::Ttl = __rc::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
            );
            __rc::Plan::<<Result<u64, Error> as __rc::ResultLike>::Ok> {
                refresh_ahead: ::core::option::Option::Some(0.5f64),
                ..plan
            }
        };
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, plan.function);
            writer.finish()
        };
        __rc::entry(cache, plan, key)
    }
}
