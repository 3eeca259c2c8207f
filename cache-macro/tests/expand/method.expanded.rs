impl Repo {
    async fn user<E>(self: Arc<Self>, id: u64, executor: E) -> Found
    where
        E: Executor,
    {
        let cache = &{
            let cache = ::renamed::Cache::clone(&self.cache);
            cache
        };
        let plan = {
            use ::renamed::__private::AnyKind as _;
            let codec = ::renamed::__private::CodecFns::<
                Found,
            >::of::<::renamed::Bincode>();
            ::renamed::__private::Plan::<Found> {
                function: {
                    static __SLOT: ::renamed::__private::Slot = ::renamed::__private::Slot::new();
                    const __PREFIX: &::core::primitive::str = ::renamed::__private::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &::renamed::__private::Site {
                                    ident: "user",
                                    prefix: __PREFIX,
                                    name: ::renamed::__private::Name::Template,
                                    version: 0u32,
                                }
                            },
                            ::renamed::__private::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec: codec,
                nones: <Found as ::renamed::__private::OptionLike>::nones(),
                ttl: {
                    const __TTL: ::renamed::__private::Ttl = ::renamed::__private::Ttl::from_env(
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
            use ::renamed::__private::NoKeyPart as _;
            let writer = ::renamed::__private::key(cache, plan.function);
            let writer = writer.literal(":user:");
            let writer = match &self.tenant {
                part => {
                    ::renamed::__private::part(
                        writer,
                        "self.tenant",
                        part,
                        ::renamed::__private::probe(part).key_part(),
                    )
                }
            };
            let writer = writer.literal(":");
            let writer = match &id {
                part => {
                    ::renamed::__private::part(
                        writer,
                        "id",
                        part,
                        ::renamed::__private::probe(part).key_part(),
                    )
                }
            };
            writer.finish()
        };
        ::renamed::__private::call_value::<
            Found,
            _,
            _,
        >(cache, plan, key, move || Self::user_uncached::<E>(self, id, executor))
            .await
    }
    ///The body of `user`: computes, and leaves the cache alone.
    ///
    async fn user_uncached<E>(
        self: Arc<Self>,
        #[allow(unused_variables)]
        id: u64,
        executor: E,
    ) -> Found
    where
        E: Executor,
    {
        self.find(executor, id).await
    }
    ///Runs the body of `user` now, and stores what it returns.
    ///
    async fn user_refresh<E>(self: Arc<Self>, id: u64, executor: E) -> Found
    where
        E: Executor,
    {
        let cache = &{
            let cache = ::renamed::Cache::clone(&self.cache);
            cache
        };
        let plan = {
            use ::renamed::__private::AnyKind as _;
            let codec = ::renamed::__private::CodecFns::<
                Found,
            >::of::<::renamed::Bincode>();
            ::renamed::__private::Plan::<Found> {
                function: {
                    static __SLOT: ::renamed::__private::Slot = ::renamed::__private::Slot::new();
                    const __PREFIX: &::core::primitive::str = ::renamed::__private::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &::renamed::__private::Site {
                                    ident: "user",
                                    prefix: __PREFIX,
                                    name: ::renamed::__private::Name::Template,
                                    version: 0u32,
                                }
                            },
                            ::renamed::__private::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec: codec,
                nones: <Found as ::renamed::__private::OptionLike>::nones(),
                ttl: {
                    const __TTL: ::renamed::__private::Ttl = ::renamed::__private::Ttl::from_env(
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
            use ::renamed::__private::NoKeyPart as _;
            let writer = ::renamed::__private::key(cache, plan.function);
            let writer = writer.literal(":user:");
            let writer = match &self.tenant {
                part => {
                    ::renamed::__private::part(
                        writer,
                        "self.tenant",
                        part,
                        ::renamed::__private::probe(part).key_part(),
                    )
                }
            };
            let writer = writer.literal(":");
            let writer = match &id {
                part => {
                    ::renamed::__private::part(
                        writer,
                        "id",
                        part,
                        ::renamed::__private::probe(part).key_part(),
                    )
                }
            };
            writer.finish()
        };
        ::renamed::__private::refresh_value::<
            Found,
            _,
            _,
        >(cache, plan, key, move || Self::user_uncached::<E>(self, id, executor))
            .await
    }
    ///The cache entry behind the call of `user` with the same arguments.
    ///
    fn user_entry(&self, id: u64) -> ::renamed::Entry<Found> {
        let cache = &{
            let cache = ::renamed::Cache::clone(&self.cache);
            cache
        };
        let plan = {
            use ::renamed::__private::AnyKind as _;
            let codec = ::renamed::__private::CodecFns::<
                Found,
            >::of::<::renamed::Bincode>();
            ::renamed::__private::Plan::<Found> {
                function: {
                    static __SLOT: ::renamed::__private::Slot = ::renamed::__private::Slot::new();
                    const __PREFIX: &::core::primitive::str = ::renamed::__private::default_prefix(
                        ::core::option_env!("REDIS_CACHED_PREFIX"),
                        ::core::module_path!(),
                    );
                    __SLOT
                        .function(
                            const {
                                &::renamed::__private::Site {
                                    ident: "user",
                                    prefix: __PREFIX,
                                    name: ::renamed::__private::Name::Template,
                                    version: 0u32,
                                }
                            },
                            ::renamed::__private::path_of(&|| ()),
                            &[],
                            &codec,
                        )
                },
                codec: codec,
                nones: <Found as ::renamed::__private::OptionLike>::nones(),
                ttl: {
                    const __TTL: ::renamed::__private::Ttl = ::renamed::__private::Ttl::from_env(
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
            use ::renamed::__private::NoKeyPart as _;
            let writer = ::renamed::__private::key(cache, plan.function);
            let writer = writer.literal(":user:");
            let writer = match &self.tenant {
                part => {
                    ::renamed::__private::part(
                        writer,
                        "self.tenant",
                        part,
                        ::renamed::__private::probe(part).key_part(),
                    )
                }
            };
            let writer = writer.literal(":");
            let writer = match &id {
                part => {
                    ::renamed::__private::part(
                        writer,
                        "id",
                        part,
                        ::renamed::__private::probe(part).key_part(),
                    )
                }
            };
            writer.finish()
        };
        ::renamed::__private::entry(cache, plan, key)
    }
}
