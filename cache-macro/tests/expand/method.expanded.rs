impl Repo {
    async fn user<E>(self: Arc<Self>, id: u64, executor: E) -> Found
    where
        E: Executor,
    {
        let verb = __rc::verb();
        use ::renamed::__private as __rc;
        let cache = &{
            let cache = __rc::own_cache(&self.cache);
            cache
        };
        let plan = Self::__user_plan();
        let key = Self::__user_key(&self, cache, plan.terms.function, &id);
        __rc::call_value::<
            __rc::Returned<Found>,
            _,
            _,
        >(cache, plan, key, verb, move || Self::user_uncached::<E>(self, id, executor))
            .await
    }
    /// The body of `user`: computes, and leaves the cache alone.
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
    /// Runs the body of `user` now, and stores what it returns.
    ///
    #[allow(unreachable_pub)]
    fn user_refresh<E>(
        self: Arc<Self>,
        id: u64,
        executor: E,
    ) -> impl ::core::future::Future<Output = Found>
    where
        E: Executor,
    {
        use ::renamed::__private as __rc;
        __rc::refreshing(Self::user::<E>(self, id, executor))
    }
    /// The cache entry of the call of `user` with the same arguments.
    ///
    #[allow(unreachable_pub)]
    fn user_entry(&self, id: u64) -> ::renamed::Entry<Found> {
        use ::renamed::__private as __rc;
        let cache = &{
            let cache = __rc::own_cache(&self.cache);
            cache
        };
        let plan = Self::__user_plan();
        let key = Self::__user_key(&self, cache, plan.terms.function, &id);
        __rc::entry(cache, plan, key)
    }
    /// Empties the cache entries of all calls of `user`.
    ///
    #[allow(unreachable_pub)]
    async fn user_clear(
        &self,
    ) -> ::core::result::Result<::core::primitive::u64, ::renamed::Error> {
        use ::renamed::__private as __rc;
        let cache = &{
            let cache = __rc::own_cache(&self.cache);
            cache
        };
        let plan = Self::__user_plan();
        __rc::clear(cache, plan.terms.function, false).await
    }
    #[doc(hidden)]
    #[inline]
    fn __user_plan() -> ::renamed::__private::Plan<Found> {
        use ::renamed::__private as __rc;
        {
            use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
            let kind = __rc::Kind::<Found>::new().rc_option().rc_found();
            let codec = __rc::codec::<Found, __rc::Auto, _, _>(kind, kind.rc_verdict());
            __rc::Plan::new(
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
                            shape: ":user:{}:{}",
                            version: 0u32,
                        },
                        __rc::place(),
                        __rc::path_of(&|| ()),
                        &[],
                        &codec,
                    )
                },
                codec,
                <Found as __rc::OptionLike>::nones(),
                |_| __rc::Ttl::of_environment(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                    __rc::Ttl::DEFAULT,
                ),
            )
        }
    }
    #[doc(hidden)]
    #[inline]
    fn __user_key(
        &self,
        cache: &::renamed::__private::Context,
        function: &'static ::renamed::__private::Function,
        id: &u64,
    ) -> ::renamed::__private::MadeKey {
        use ::renamed::__private as __rc;
        {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key(cache, function);
            writer.literal(":user:");
            __rc::part(
                writer,
                "self.tenant",
                &self.tenant,
                __rc::probe(&self.tenant).rc_key_part(),
            );
            writer.literal(":");
            __rc::part(writer, "id", id, __rc::probe(id).rc_key_part());
            writer.finish()
        }
    }
}
