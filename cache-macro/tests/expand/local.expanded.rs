async fn user(id: u64) -> Result<Arc<User>, Error> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan();
    if let ::core::option::Option::Some(value) = __rc::kept_result_at::<
        __rc::Returned<Result<Arc<User>, Error>>,
    >(
        cache,
        &plan,
        verb,
        |writer| {
            use __rc::NoKeyPart as _;
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
        },
    ) {
        return value;
    }
    let key = __user_key(cache, plan.terms.function, &id);
    __rc::call_result::<
        __rc::Returned<Result<Arc<User>, Error>>,
        _,
        _,
    >(
            cache,
            plan,
            key,
            {
                #[allow(unused_imports)]
                use __rc::Unshared as _;
                __rc::ErrorProbe::<__rc::ErrOf<Result<Arc<User>, Error>>>::new()
                    .rc_errors()
            },
            verb,
            move || user_uncached(id),
        )
        .await
}
/// The body of `user`: computes, and leaves the cache alone.
///
async fn user_uncached(id: u64) -> Result<Arc<User>, Error> {
    load(id).await
}
/// Runs the body of `user` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn user_refresh(
    id: u64,
) -> impl ::core::future::Future<Output = Result<Arc<User>, Error>> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(user(id))
}
/// The cache entry of the call of `user` with the same arguments.
///
#[allow(unreachable_pub)]
fn user_entry(
    id: u64,
) -> ::redis_cached::Entry<::redis_cached::__private::OkOf<Result<Arc<User>, Error>>> {
    let _ = user;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan();
    let key = __user_key(cache, plan.terms.function, &id);
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `user`.
///
#[allow(unreachable_pub)]
fn user_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = user;
    use ::redis_cached::__private as __rc;
    let plan = __user_plan();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __user_plan() -> ::redis_cached::__private::Plan<
    ::redis_cached::__private::OkOf<Result<Arc<User>, Error>>,
> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<__rc::OkOf<Result<Arc<User>, Error>>>::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec_of_pointer::<
            __rc::OkOf<Result<Arc<User>, Error>>,
            __rc::Auto,
            _,
            _,
        >(
            kind,
            __rc::blame(
                kind.rc_verdict(),
                __rc::Kind::<User>::new().rc_option().rc_found().rc_verdict(),
            ),
        );
        let plan = __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function_at_once(
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
            __rc::storable::<__rc::OkOf<Result<Arc<User>, Error>>, _>(kind),
            |_| __rc::Ttl::Millis(600000u64),
        );
        __rc::Plan {
            terms: __rc::Terms {
                local: 10_000,
                ..plan.terms
            },
            local: ::core::option::Option::Some(
                __rc::local_fns::<__rc::OkOf<Result<Arc<User>, Error>>>(),
            ),
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
fn plain(id: u64) -> Arc<User> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __plain_plan();
    if let ::core::option::Option::Some(value) = __rc::kept_value_at::<
        __rc::Returned<Arc<User>>,
    >(
        cache,
        &plan,
        verb,
        |writer| {
            use __rc::NoKeyPart as _;
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
        },
    ) {
        return value;
    }
    let key = __plain_key(cache, plan.terms.function, &id);
    __rc::blocking_call_value_in_background::<
        __rc::Returned<Arc<User>>,
        _,
        _,
    >(
        cache,
        plan,
        key,
        verb,
        (id,),
        |(id,)| plain_uncached(id),
        |(id,)| {
            use __rc::NotKept as _;
            let id = __rc::keep(id, __rc::cloned(id).rc_kept());
            move || plain_uncached(id)
        },
    )
}
/// The body of `plain`: computes, and leaves the cache alone.
///
fn plain_uncached(id: u64) -> Arc<User> {
    load(id)
}
/// Runs the body of `plain` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn plain_refresh(id: u64) -> Arc<User> {
    use ::redis_cached::__private as __rc;
    __rc::refresh_next();
    plain(id)
}
/// The cache entry of the call of `plain` with the same arguments.
///
#[allow(unreachable_pub)]
fn plain_entry(id: u64) -> ::redis_cached::blocking::Entry<Arc<User>> {
    let _ = plain;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __plain_plan();
    let key = __plain_key(cache, plan.terms.function, &id);
    __rc::blocking_entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `plain`.
///
#[allow(unreachable_pub)]
fn plain_clear() -> ::core::result::Result<
    ::core::primitive::u64,
    ::redis_cached::Error,
> {
    let _ = plain;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __plain_plan();
    __rc::blocking_clear(cache, plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __plain_plan() -> ::redis_cached::__private::Plan<Arc<User>> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<Arc<User>>::new().rc_option().rc_found();
        let codec = __rc::codec_of_pointer::<
            Arc<User>,
            __rc::Auto,
            _,
            _,
        >(
            kind,
            __rc::blame(
                kind.rc_verdict(),
                __rc::Kind::<User>::new().rc_option().rc_found().rc_verdict(),
            ),
        );
        let plan = __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function_at_once(
                    &__SLOT,
                    &__rc::Site {
                        ident: "plain",
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
            __rc::storable::<Arc<User>, _>(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        );
        __rc::Plan {
            terms: __rc::Terms {
                local: MOST,
                refresh_ahead: ::core::option::Option::Some(0.8f64),
                ..plan.terms
            },
            local: ::core::option::Option::Some(__rc::local_fns::<Arc<User>>()),
            ..plan
        }
    }
}
#[doc(hidden)]
#[inline]
fn __plain_key(
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
async fn users(ids: &[u64]) -> HashMap<u64, Arc<User>> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __users_plan();
    let (ids, some) = __rc::batch_ids::<
        __rc::Returned<HashMap<u64, Arc<User>>>,
        _,
    >(ids, |id: &_| __users_key(cache, plan.terms.function, id));
    __rc::batch_value::<
        __rc::Returned<HashMap<u64, Arc<User>>>,
        _,
        _,
    >(
            cache,
            plan,
            ids,
            verb,
            move |ids: ::std::vec::Vec<_>| {
                async move {
                    let ids = __rc::collect_ids::<[u64], _>(some(ids));
                    users_uncached(::core::borrow::Borrow::<[u64]>::borrow(&ids)).await
                }
            },
        )
        .await
}
/// The body of `users`: computes, and leaves the cache alone.
///
async fn users_uncached(ids: &[u64]) -> HashMap<u64, Arc<User>> {
    load(ids).await
}
/// Runs the body of `users` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn users_refresh(
    ids: &[u64],
) -> impl ::core::future::Future<Output = HashMap<u64, Arc<User>>> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(users(ids))
}
/// The cache entry of one `id` behind the call of `users` with the same other arguments.
///
#[allow(unreachable_pub)]
fn users_entry(
    id: u64,
) -> ::redis_cached::Entry<::redis_cached::__private::ValueOf<HashMap<u64, Arc<User>>>> {
    let _ = users;
    let id = &id;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __users_plan();
    let key = __users_key(cache, plan.terms.function, id);
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
    ::redis_cached::__private::ValueOf<HashMap<u64, Arc<User>>>,
> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<__rc::ValueOf<HashMap<u64, Arc<User>>>>::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec_of_pointer::<
            __rc::ValueOf<HashMap<u64, Arc<User>>>,
            __rc::Auto,
            _,
            _,
        >(
            kind,
            __rc::blame(
                kind.rc_verdict(),
                __rc::Kind::<User>::new().rc_option().rc_found().rc_verdict(),
            ),
        );
        let plan = __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function_at_once(
                    &__SLOT,
                    &__rc::Site {
                        ident: "users",
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
            __rc::storable::<__rc::ValueOf<HashMap<u64, Arc<User>>>, _>(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        );
        __rc::Plan {
            terms: __rc::Terms {
                local: 10_000,
                ..plan.terms
            },
            local: ::core::option::Option::Some(
                __rc::local_fns::<__rc::ValueOf<HashMap<u64, Arc<User>>>>(),
            ),
            ..plan
        }
    }
}
#[doc(hidden)]
#[inline]
fn __users_key(
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
