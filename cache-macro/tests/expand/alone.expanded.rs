impl Find for Repo {
    async fn find(&self, arg0: (u64, u64)) -> io::Result<User> {
        let cache = ::redis_cached::__private::installed();
        let plan = {
            use ::redis_cached::__private::AnyKind as _;
            let codec = ::redis_cached::__private::CodecFns::<
                <io::Result<User> as ::redis_cached::__private::ResultLike>::Ok,
            >::of::<::redis_cached::Bincode>();
            ::redis_cached::__private::Plan::<
                <io::Result<User> as ::redis_cached::__private::ResultLike>::Ok,
            > {
                function: {
                    static __SLOT: ::redis_cached::__private::Slot = ::redis_cached::__private::Slot::new();
                    const __PREFIX: &::core::primitive::str = ::redis_cached::__private::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &::redis_cached::__private::Site {
                                    ident: "find",
                                    prefix: __PREFIX,
                                    name: ::redis_cached::__private::Name::Path,
                                    version: 0u32,
                                }
                            },
                            ::redis_cached::__private::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec: codec,
                nones: ::redis_cached::__private::storable::<
                    <io::Result<User> as ::redis_cached::__private::ResultLike>::Ok,
                    _,
                >(
                    ::redis_cached::__private::Kind::<
                        <io::Result<User> as ::redis_cached::__private::ResultLike>::Ok,
                    >::new()
                        .found(),
                ),
                ttl: {
                    const __TTL: ::redis_cached::__private::Ttl = ::redis_cached::__private::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
                none_ttl: ::core::option::Option::None,
                cache_if: |_| true,
                jitter: 0f64,
            }
        };
        let key = {
            use ::redis_cached::__private::NoKeyPart as _;
            let (a, b) = &arg0;
            let writer = ::redis_cached::__private::key(cache, plan.function);
            let writer = writer.literal(":");
            let writer = match &a {
                part => {
                    ::redis_cached::__private::part(
                        writer,
                        "a",
                        part,
                        ::redis_cached::__private::probe(part).key_part(),
                    )
                }
            };
            let writer = writer.literal(":");
            let writer = match &b {
                part => {
                    ::redis_cached::__private::part(
                        writer,
                        "b",
                        part,
                        ::redis_cached::__private::probe(part).key_part(),
                    )
                }
            };
            writer.finish()
        };
        ::redis_cached::__private::call_result::<
            io::Result<User>,
            _,
            _,
        >(
                cache,
                plan,
                key,
                move || async move {
                    if let ::core::option::Option::Some(ret) = ::core::option::Option::None::<
                        io::Result<User>,
                    > {
                        #[allow(unreachable_code)] return ret;
                    }
                    let (mut a, b) = arg0;
                    let ret: io::Result<User> = {
                        a += b;
                        self.load(a).await
                    };
                    #[allow(unreachable_code)] ret
                },
            )
            .await
    }
    fn find_boxed<'life0, 'async_trait>(
        &'life0 self,
        id: u64,
    ) -> ::core::pin::Pin<
        Box<
            dyn ::core::future::Future<
                Output = User,
            > + ::core::marker::Send + 'async_trait,
        >,
    >
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        ::std::boxed::Box::pin(async move {
            let cache = ::redis_cached::__private::installed();
            let plan = {
                use ::redis_cached::__private::AnyKind as _;
                let codec = ::redis_cached::__private::CodecFns::<
                    User,
                >::of::<::redis_cached::Bincode>();
                ::redis_cached::__private::Plan::<User> {
                    function: {
                        static __SLOT: ::redis_cached::__private::Slot = ::redis_cached::__private::Slot::new();
                        const __PREFIX: &::core::primitive::str = ::redis_cached::__private::default_prefix(
                            ::core::option_env!("REDIS_CACHED_PREFIX"),
                            ::core::module_path!(),
                        );
                        __SLOT
                            .function(
                                const {
                                    &::redis_cached::__private::Site {
                                        ident: "find_boxed",
                                        prefix: __PREFIX,
                                        name: ::redis_cached::__private::Name::Path,
                                        version: 0u32,
                                    }
                                },
                                ::redis_cached::__private::path_of(&|| ()),
                                &[],
                                &codec,
                            )
                    },
                    codec: codec,
                    nones: ::redis_cached::__private::storable::<
                        User,
                        _,
                    >(::redis_cached::__private::Kind::<User>::new().found()),
                    ttl: {
                        const __TTL: ::redis_cached::__private::Ttl = ::redis_cached::__private::Ttl::from_env(
                            ::core::option_env!("REDIS_CACHED_TTL"),
                        );
                        |_| __TTL
                    },
                    none_ttl: ::core::option::Option::None,
                    cache_if: |_| true,
                    jitter: 0f64,
                }
            };
            let key = {
                use ::redis_cached::__private::NoKeyPart as _;
                let writer = ::redis_cached::__private::key(cache, plan.function);
                let writer = writer.literal(":");
                let writer = match &*self {
                    part => {
                        ::redis_cached::__private::self_part(
                            writer,
                            "self",
                            part,
                            ::redis_cached::__private::probe(part).key_part(),
                        )
                    }
                };
                let writer = writer.literal(":");
                let writer = match &id {
                    part => {
                        ::redis_cached::__private::part(
                            writer,
                            "id",
                            part,
                            ::redis_cached::__private::probe(part).key_part(),
                        )
                    }
                };
                writer.finish()
            };
            ::redis_cached::__private::call_value::<
                User,
                _,
                _,
            >(
                    cache,
                    plan,
                    key,
                    move || -> ::core::pin::Pin<
                        Box<
                            dyn ::core::future::Future<
                                Output = User,
                            > + ::core::marker::Send + 'async_trait,
                        >,
                    > { { Box::pin(async move { self.load(id).await }) } },
                )
                .await
        })
    }
    fn find_plain(mut self, id: u64) -> Result<User, Error> {
        let cache = ::redis_cached::__private::installed();
        let plan = {
            use ::redis_cached::__private::AnyKind as _;
            let codec = ::redis_cached::__private::CodecFns::<
                Result<User, Error>,
            >::of::<::redis_cached::Bincode>();
            ::redis_cached::__private::Plan::<Result<User, Error>> {
                function: {
                    static __SLOT: ::redis_cached::__private::Slot = ::redis_cached::__private::Slot::new();
                    const __PREFIX: &::core::primitive::str = ::redis_cached::__private::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &::redis_cached::__private::Site {
                                    ident: "find_plain",
                                    prefix: __PREFIX,
                                    name: ::redis_cached::__private::Name::Path,
                                    version: 0u32,
                                }
                            },
                            ::redis_cached::__private::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec: codec,
                nones: ::redis_cached::__private::Nones::never(),
                ttl: {
                    const __TTL: ::redis_cached::__private::Ttl = ::redis_cached::__private::Ttl::from_env(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                    );
                    |_| __TTL
                },
                none_ttl: ::core::option::Option::None,
                cache_if: |_| true,
                jitter: 0f64,
            }
        };
        let key = {
            use ::redis_cached::__private::NoKeyPart as _;
            let writer = ::redis_cached::__private::key(cache, plan.function);
            let writer = writer.literal(":");
            let writer = match &self {
                part => {
                    ::redis_cached::__private::self_part(
                        writer,
                        "self",
                        part,
                        ::redis_cached::__private::probe(part).key_part(),
                    )
                }
            };
            let writer = writer.literal(":");
            let writer = match &id {
                part => {
                    ::redis_cached::__private::part(
                        writer,
                        "id",
                        part,
                        ::redis_cached::__private::probe(part).key_part(),
                    )
                }
            };
            writer.finish()
        };
        ::redis_cached::__private::blocking_call_value::<
            Result<User, Error>,
        >(cache, plan, key, move || -> Result<User, Error> { { self.load(id) } })
    }
}
