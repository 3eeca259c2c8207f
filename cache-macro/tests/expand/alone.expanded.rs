impl Find for Repo {
    async fn find(&self, arg0: (u64, u64)) -> io::Result<User> {
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = {
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
            __rc::Plan::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    __rc::Slot::function(
                        &__SLOT,
                        &__rc::Site {
                            ident: "find",
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
                __rc::storable::<__rc::OkOf<io::Result<User>>, _>(kind),
                |_| __rc::Ttl::of_environment(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                    __rc::Ttl::DEFAULT,
                ),
            )
        };
        let key = {
            let function = plan.terms.function;
            {
                use __rc::NoKeyPart as _;
                let (a, b) = &arg0;
                let writer = &mut __rc::key(cache, function);
                writer.literal(":");
                __rc::part(writer, "a", &a, __rc::probe(&a).rc_key_part());
                writer.literal(":");
                __rc::part(writer, "b", &b, __rc::probe(&b).rc_key_part());
                writer.finish()
            }
        };
        __rc::call_result::<
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
                __rc::Verb::Call,
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
            use ::redis_cached::__private as __rc;
            let cache = &__rc::installed();
            let plan = {
                use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
                let kind = __rc::Kind::<User>::new().rc_option().rc_found();
                let codec = __rc::codec::<
                    User,
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
                                ident: "find_boxed",
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
                    __rc::storable::<User, _>(kind),
                    |_| __rc::Ttl::of_environment(
                        ::core::option_env!("REDIS_CACHED_TTL"),
                        __rc::Ttl::DEFAULT,
                    ),
                )
            };
            let key = {
                let function = plan.terms.function;
                {
                    use __rc::NoKeyPart as _;
                    let writer = &mut __rc::key(cache, function);
                    writer.literal(":");
                    __rc::self_part(
                        writer,
                        "self",
                        &*self,
                        __rc::probe(&*self).rc_key_part(),
                    );
                    writer.literal(":");
                    __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
                    writer.finish()
                }
            };
            __rc::call_value::<
                __rc::Returned<User>,
                _,
                _,
            >(
                    cache,
                    plan,
                    key,
                    __rc::Verb::Call,
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
        use ::redis_cached::__private as __rc;
        let cache = &__rc::installed();
        let plan = {
            use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
            let kind = __rc::Kind::<Result<User, Error>>::new().rc_option().rc_value();
            let codec = __rc::codec::<
                Result<User, Error>,
                __rc::Auto,
                _,
                _,
            >(
                kind,
                __rc::blame(
                    __rc::blame(
                        kind.rc_verdict(),
                        __rc::Kind::<User>::new().rc_option().rc_value().rc_verdict(),
                    ),
                    __rc::Kind::<Error>::new().rc_option().rc_value().rc_verdict(),
                ),
            );
            __rc::Plan::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    __rc::Slot::function(
                        &__SLOT,
                        &__rc::Site {
                            ident: "find_plain",
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
                __rc::Nones::never(),
                |_| __rc::Ttl::of_environment(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                    __rc::Ttl::DEFAULT,
                ),
            )
        };
        let key = {
            let function = plan.terms.function;
            {
                use __rc::NoKeyPart as _;
                let writer = &mut __rc::key(cache, function);
                writer.literal(":");
                __rc::self_part(writer, "self", &self, __rc::probe(&self).rc_key_part());
                writer.literal(":");
                __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
                writer.finish()
            }
        };
        __rc::blocking_call_value::<
            __rc::Returned<Result<User, Error>>,
        >(
            cache,
            plan,
            key,
            __rc::Verb::Call,
            move || -> Result<User, Error> { { self.load(id) } },
        )
    }
}
