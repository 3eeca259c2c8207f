async fn user<E: Executor>(
    db: E,
    class_id: u64,
    org: &Org,
    id: u64,
) -> Result<User, Error> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan();
    let key = __user_key(cache, plan.terms.function, &class_id, org, &id);
    __rc::call_result::<
        __rc::Returned<Result<User, Error>>,
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
            move || user_uncached::<E>(db, class_id, org, id),
        )
        .await
}
/// The body of `user`: computes, and leaves the cache alone.
///
async fn user_uncached<E: Executor>(
    db: E,
    #[allow(unused_variables)]
    class_id: u64,
    #[allow(unused_variables)]
    org: &Org,
    id: u64,
) -> Result<User, Error> {
    db.find(class_id, org, id).await
}
/// Runs the body of `user` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn user_refresh<E: Executor>(
    db: E,
    class_id: u64,
    org: &Org,
    id: u64,
) -> impl ::core::future::Future<Output = Result<User, Error>> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(user::<E>(db, class_id, org, id))
}
/// The cache entry of the call of `user` with the same arguments.
///
#[allow(unreachable_pub)]
fn user_entry(
    class_id: u64,
    org: &Org,
    id: u64,
) -> ::redis_cached::Entry<::redis_cached::__private::OkOf<Result<User, Error>>> {
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan();
    let key = __user_key(cache, plan.terms.function, &class_id, org, &id);
    __rc::entry(cache, plan, key)
}
/// The group that the entry of `user` is in, with the arguments that name it.
///
#[allow(unreachable_pub)]
fn user_group(class_id: u64) -> ::redis_cached::Group {
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
        writer.literal(":class:");
        __rc::part(writer, "class_id", &class_id, __rc::probe(&class_id).rc_key_part());
        writer.finish()
    };
    __rc::group(cache, key)
}
/// Empties the cache entries of all calls of `user`.
///
#[allow(unreachable_pub)]
fn user_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    use ::redis_cached::__private as __rc;
    let plan = __user_plan();
    __rc::clear_installed(plan.terms.function, true)
}
#[doc(hidden)]
#[inline]
fn __user_plan() -> ::redis_cached::__private::Plan<
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
                        shape: ":class:{} :{}:{}:{}",
                        version: 0u32,
                    },
                    __rc::place(),
                    __rc::path_of(&|| ()),
                    &[],
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
                has_own_tags: true,
                ..plan.terms
            },
            tags: ::core::option::Option::Some(|value| __rc::into_tags(
                __rc::of_value::<
                    __rc::OkOf<Result<User, Error>>,
                    _,
                >(|user: &User| user.teams.clone(), value),
            )),
            ..plan
        }
    }
}
#[doc(hidden)]
#[inline]
fn __user_key(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    class_id: &u64,
    org: &Org,
    id: &u64,
) -> ::redis_cached::__private::MadeKey {
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let writer = &mut __rc::key_in_group(cache, function);
        writer.literal(":class:");
        __rc::part(writer, "class_id", class_id, __rc::probe(class_id).rc_key_part());
        writer.field(function.name());
        writer.literal(":");
        __rc::part(writer, "class_id", class_id, __rc::probe(class_id).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "org", &org, __rc::probe(&org).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "id", id, __rc::probe(id).rc_key_part());
        writer.tag();
        writer.literal("org:");
        __rc::part(writer, "org.id", &org.id, __rc::probe(&org.id).rc_key_part());
        writer.tag();
        writer.literal("all");
        writer.finish()
    }
}
impl Repo {
    fn total<'a, T, K: Kind>(&'a self, state: &'a State<T>, kind: K) -> u64 {
        let verb = __rc::verb();
        use ::redis_cached::__private as __rc;
        let cache = &{
            let cache = __rc::own_cache(&state.cache);
            cache
        };
        let plan = Self::__total_plan::<T, K>();
        let key = Self::__total_key::<T, K>(&self, cache, plan.terms.function, &kind);
        __rc::blocking_call_value::<
            __rc::Returned<u64>,
        >(
            cache,
            plan,
            key,
            verb,
            move || Self::total_uncached::<T, K>(self, state, kind),
        )
    }
    /// The body of `total`: computes, and leaves the cache alone.
    ///
    fn total_uncached<'a, T, K: Kind>(
        &'a self,
        #[allow(unused_variables)]
        state: &'a State<T>,
        #[allow(unused_variables)]
        kind: K,
    ) -> u64 {
        self.sum(state, kind)
    }
    /// Runs the body of `total` now, and stores what it returns.
    ///
    #[allow(unreachable_pub)]
    fn total_refresh<'a, T, K: Kind>(&'a self, state: &'a State<T>, kind: K) -> u64 {
        use ::redis_cached::__private as __rc;
        __rc::refresh_next();
        Self::total::<T, K>(self, state, kind)
    }
    /// The cache entry of the call of `total` with the same arguments.
    ///
    #[allow(unreachable_pub)]
    fn total_entry<'a, T, K: Kind>(
        &self,
        state: &'a State<T>,
        kind: K,
    ) -> ::redis_cached::blocking::Entry<u64> {
        let _ = Self::total::<T, K>;
        use ::redis_cached::__private as __rc;
        let cache = &{
            let cache = __rc::own_cache(&state.cache);
            cache
        };
        let plan = Self::__total_plan::<T, K>();
        let key = Self::__total_key::<T, K>(&self, cache, plan.terms.function, &kind);
        __rc::blocking_entry(cache, plan, key)
    }
    /// The group that the entry of `total` is in, with the arguments that name it.
    ///
    #[allow(unreachable_pub)]
    fn total_group<'a, T>(
        &self,
        state: &'a State<T>,
    ) -> ::redis_cached::blocking::Group {
        use ::redis_cached::__private as __rc;
        let cache = &{
            let cache = __rc::own_cache(&state.cache);
            cache
        };
        let key = {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::group_key(
                cache,
                &__rc::Prefix::Given { text: SHOP },
            );
            writer.literal(":");
            __rc::part(
                writer,
                "self.tenant",
                &self.tenant,
                __rc::probe(&self.tenant).rc_key_part(),
            );
            writer.finish()
        };
        __rc::blocking_group(cache, key)
    }
    /// Empties the cache entries of all calls of `total`.
    ///
    #[allow(unreachable_pub)]
    fn total_clear<'a, T, K: Kind>(
        state: &'a State<T>,
    ) -> ::core::result::Result<::core::primitive::u64, ::redis_cached::Error> {
        let _ = Self::total::<T, K>;
        use ::redis_cached::__private as __rc;
        let cache = &{
            let cache = __rc::own_cache(&state.cache);
            cache
        };
        let plan = Self::__total_plan::<T, K>();
        __rc::blocking_clear(cache, plan.terms.function, true)
    }
    #[doc(hidden)]
    #[inline]
    fn __total_plan<T, K: Kind>() -> ::redis_cached::__private::Plan<u64> {
        use ::redis_cached::__private as __rc;
        {
            use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
            let kind = __rc::Kind::<u64>::new().rc_option().rc_found();
            let codec = __rc::codec::<u64, __rc::Auto, _, _>(kind, kind.rc_verdict());
            __rc::Plan::new(
                {
                    static __SLOT: __rc::Slot = __rc::Slot::new();
                    __rc::Slot::function(
                        &__SLOT,
                        &__rc::Site {
                            ident: "total",
                            prefix: __rc::Prefix::Given { text: SHOP },
                            name: __rc::Name::Path,
                            shape: ":{} :total:{}",
                            version: 0u32,
                        },
                        __rc::place(),
                        __rc::path_of(&|| ()),
                        &[&::core::any::type_name::<K>()],
                        &codec,
                    )
                },
                codec,
                __rc::storable::<u64, _>(kind),
                |_| __rc::Ttl::of_environment(
                    ::core::option_env!("REDIS_CACHED_TTL"),
                    __rc::Ttl::DEFAULT,
                ),
            )
        }
    }
    #[doc(hidden)]
    #[inline]
    fn __total_key<T, K: Kind>(
        &self,
        cache: &::redis_cached::__private::Context,
        function: &'static ::redis_cached::__private::Function,
        kind: &K,
    ) -> ::redis_cached::__private::MadeKey {
        use ::redis_cached::__private as __rc;
        {
            use __rc::NoKeyPart as _;
            let writer = &mut __rc::key_in_group(cache, function);
            writer.literal(":");
            __rc::part(
                writer,
                "self.tenant",
                &self.tenant,
                __rc::probe(&self.tenant).rc_key_part(),
            );
            writer.field(function.name());
            writer.literal(":total:");
            __rc::part(writer, "kind", kind, __rc::probe(kind).rc_key_part());
            writer.tag();
            writer.literal("totals");
            writer.finish()
        }
    }
}
