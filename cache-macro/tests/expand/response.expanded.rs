pub async fn page(
    state: State<App>,
    headers: HeaderMap,
    id: Path<u64>,
) -> ::redis_cached::__private::Response {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __page_plan();
    let key = {
        let function = plan.terms.function;
        {
            use __rc::NoKeyPart as _;
            let Path(id) = &id;
            let writer = &mut __rc::key(cache, function);
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
            writer.literal(":");
            match &::redis_cached::__private::varied(&headers, "accept") {
                part => {
                    __rc::part(writer, "accept", part, __rc::probe(part).rc_key_part())
                }
            };
            writer.finish()
        }
    };
    __rc::call_response(
            cache,
            plan,
            key,
            verb,
            const {
                &__rc::Rules {
                    client: "max-age=30",
                    vary: &["accept"],
                    stores_missing: true,
                    ..__rc::Rules::DEFAULT
                }
            },
            move || page_uncached(state, __rc::only(headers, &["accept"]), id),
        )
        .await
}
/// The body of `page`: computes, and leaves the cache alone.
///
#[debug_handler]
pub async fn page_uncached(
    State(state): State<App>,
    headers: HeaderMap,
    Path(id): Path<u64>,
) -> impl IntoResponse {
    state.load(id).await
}
/// Runs the body of `page` now, and stores what it returns.
///
#[allow(unreachable_pub)]
pub fn page_refresh(
    state: State<App>,
    headers: HeaderMap,
    id: Path<u64>,
) -> impl ::core::future::Future<Output = ::redis_cached::__private::Response> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(page(state, headers, id))
}
/// The cache entry of the call of `page` with the same arguments.
///
#[allow(unreachable_pub)]
pub fn page_entry(
    headers: HeaderMap,
    id: Path<u64>,
) -> ::redis_cached::Entry<::redis_cached::__private::Page> {
    let _ = page;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __page_plan();
    let key = {
        let function = plan.terms.function;
        {
            use __rc::NoKeyPart as _;
            let Path(id) = &id;
            let writer = &mut __rc::key(cache, function);
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
            writer.literal(":");
            match &::redis_cached::__private::varied(&headers, "accept") {
                part => {
                    __rc::part(writer, "accept", part, __rc::probe(part).rc_key_part())
                }
            };
            writer.finish()
        }
    };
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `page`.
///
#[allow(unreachable_pub)]
pub fn page_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = page;
    use ::redis_cached::__private as __rc;
    let plan = __page_plan();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __page_plan() -> ::redis_cached::__private::Plan<::redis_cached::__private::Page> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<::redis_cached::__private::Page>::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec::<
            ::redis_cached::__private::Page,
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
                        ident: "page",
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
            __rc::storable::<::redis_cached::__private::Page, _>(kind),
            |value: &__rc::Page| {
                if __rc::is_missing(value) {
                    __rc::Ttl::Millis(5000u64)
                } else {
                    (|_| __rc::Ttl::Millis(60000u64))(value)
                }
            },
        )
    }
}
async fn kept(headers: HeaderMap, id: Path<u64>) -> ::redis_cached::__private::Response {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __kept_plan();
    let key = {
        let function = plan.terms.function;
        {
            use __rc::NoKeyPart as _;
            let Path(id) = &id;
            let writer = &mut __rc::key(cache, function);
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
            writer.literal(":");
            match &::redis_cached::__private::varied(&headers, "accept") {
                part => {
                    __rc::part(writer, "accept", part, __rc::probe(part).rc_key_part())
                }
            };
            writer.finish()
        }
    };
    let key = match __rc::kept_response(
        cache,
        &plan,
        key,
        verb,
        const {
            &__rc::Rules {
                max_body: MOST,
                vary: &["accept"],
                ..__rc::Rules::DEFAULT
            }
        },
    ) {
        ::core::result::Result::Ok(value) => return value,
        ::core::result::Result::Err(key) => key,
    };
    __rc::call_response_in_background(
            cache,
            plan,
            key,
            verb,
            const {
                &__rc::Rules {
                    max_body: MOST,
                    vary: &["accept"],
                    ..__rc::Rules::DEFAULT
                }
            },
            (__rc::only(headers, &["accept"]), id),
            |(headers, id)| kept_uncached(headers, id),
            |(headers, id)| {
                use __rc::NotKept as _;
                let headers = __rc::keep(headers, __rc::cloned(headers).rc_kept());
                let id = __rc::keep(id, __rc::cloned(id).rc_kept());
                async move { kept_uncached(headers, id).await }
            },
        )
        .await
}
/// The body of `kept`: computes, and leaves the cache alone.
///
async fn kept_uncached(
    #[allow(unused_variables)]
    headers: HeaderMap,
    #[allow(unused_variables)]
    Path(id): Path<u64>,
) -> Response {
    load(id).await
}
/// Runs the body of `kept` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn kept_refresh(
    headers: HeaderMap,
    id: Path<u64>,
) -> impl ::core::future::Future<Output = ::redis_cached::__private::Response> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(kept(headers, id))
}
/// The cache entry of the call of `kept` with the same arguments.
///
#[allow(unreachable_pub)]
fn kept_entry(
    headers: HeaderMap,
    id: Path<u64>,
) -> ::redis_cached::Entry<::redis_cached::__private::Page> {
    let _ = kept;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __kept_plan();
    let key = {
        let function = plan.terms.function;
        {
            use __rc::NoKeyPart as _;
            let Path(id) = &id;
            let writer = &mut __rc::key(cache, function);
            writer.literal(":");
            __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
            writer.literal(":");
            match &::redis_cached::__private::varied(&headers, "accept") {
                part => {
                    __rc::part(writer, "accept", part, __rc::probe(part).rc_key_part())
                }
            };
            writer.finish()
        }
    };
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `kept`.
///
#[allow(unreachable_pub)]
fn kept_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = kept;
    use ::redis_cached::__private as __rc;
    let plan = __kept_plan();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __kept_plan() -> ::redis_cached::__private::Plan<::redis_cached::__private::Page> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<::redis_cached::__private::Page>::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec::<
            ::redis_cached::__private::Page,
            __rc::Auto,
            _,
            _,
        >(kind, kind.rc_verdict());
        let plan = __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function_at_once(
                    &__SLOT,
                    &__rc::Site {
                        ident: "kept",
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
            __rc::storable::<::redis_cached::__private::Page, _>(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        );
        __rc::Plan {
            terms: __rc::Terms {
                local: 100,
                stale_while_revalidate: __rc::Ttl::Millis(30000u64),
                ..plan.terms
            },
            local: ::core::option::Option::Some(__rc::local_pages()),
            ..plan
        }
    }
}
async fn wrapped(id: Path<u64>) -> Result<Json<User>, Error> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __wrapped_plan();
    let key = __wrapped_key(cache, plan.terms.function, &id);
    __rc::call_result::<
        __rc::Returned<Result<Json<User>, Error>>,
        _,
        _,
    >(
            cache,
            plan,
            key,
            {
                #[allow(unused_imports)]
                use __rc::Unshared as _;
                __rc::ErrorProbe::<__rc::ErrOf<Result<Json<User>, Error>>>::new()
                    .rc_errors()
            },
            verb,
            move || wrapped_uncached(id),
        )
        .await
}
/// The body of `wrapped`: computes, and leaves the cache alone.
///
async fn wrapped_uncached(Path(id): Path<u64>) -> Result<Json<User>, Error> {
    load(id).await
}
/// Runs the body of `wrapped` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn wrapped_refresh(
    id: Path<u64>,
) -> impl ::core::future::Future<Output = Result<Json<User>, Error>> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(wrapped(id))
}
/// The cache entry of the call of `wrapped` with the same arguments.
///
#[allow(unreachable_pub)]
fn wrapped_entry(
    id: Path<u64>,
) -> ::redis_cached::Entry<::redis_cached::__private::OkOf<Result<Json<User>, Error>>> {
    let _ = wrapped;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __wrapped_plan();
    let key = __wrapped_key(cache, plan.terms.function, &id);
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `wrapped`.
///
#[allow(unreachable_pub)]
fn wrapped_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = wrapped;
    use ::redis_cached::__private as __rc;
    let plan = __wrapped_plan();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __wrapped_plan() -> ::redis_cached::__private::Plan<
    ::redis_cached::__private::OkOf<Result<Json<User>, Error>>,
> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<__rc::OkOf<Result<Json<User>, Error>>>::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec_of_json::<
            __rc::OkOf<Result<Json<User>, Error>>,
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
        __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function(
                    &__SLOT,
                    &__rc::Site {
                        ident: "wrapped",
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
            __rc::storable::<__rc::OkOf<Result<Json<User>, Error>>, _>(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        )
    }
}
#[doc(hidden)]
#[inline]
fn __wrapped_key(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    id: &Path<u64>,
) -> ::redis_cached::__private::MadeKey {
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let Path(id) = id;
        let writer = &mut __rc::key(cache, function);
        writer.literal(":");
        __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
        writer.finish()
    }
}
async fn open(headers: HeaderMap, id: Path<u64>) -> ::redis_cached::__private::Response {
    let verb = __rc::verb();
    if __rc::asks_not_to_store(&headers, verb) {
        return __rc::unstored_response(
                const { &__rc::Rules::DEFAULT },
                move || open_uncached(__rc::only(headers, &[]), id),
            )
            .await;
    }
    let verb = __rc::asked_verb(verb, &headers);
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __open_plan();
    let key = __open_key(cache, plan.terms.function, &id);
    __rc::call_response(
            cache,
            plan,
            key,
            verb,
            const { &__rc::Rules::DEFAULT },
            move || open_uncached(__rc::only(headers, &[]), id),
        )
        .await
}
/// The body of `open`: computes, and leaves the cache alone.
///
async fn open_uncached(headers: HeaderMap, Path(id): Path<u64>) -> Response {
    load(id).await
}
/// Runs the body of `open` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn open_refresh(
    headers: HeaderMap,
    id: Path<u64>,
) -> impl ::core::future::Future<Output = ::redis_cached::__private::Response> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(open(headers, id))
}
/// The cache entry of the call of `open` with the same arguments.
///
#[allow(unreachable_pub)]
fn open_entry(id: Path<u64>) -> ::redis_cached::Entry<::redis_cached::__private::Page> {
    let _ = open;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __open_plan();
    let key = __open_key(cache, plan.terms.function, &id);
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `open`.
///
#[allow(unreachable_pub)]
fn open_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = open;
    use ::redis_cached::__private as __rc;
    let plan = __open_plan();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __open_plan() -> ::redis_cached::__private::Plan<::redis_cached::__private::Page> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<::redis_cached::__private::Page>::new()
            .rc_option()
            .rc_found();
        let codec = __rc::codec::<
            ::redis_cached::__private::Page,
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
                        ident: "open",
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
            __rc::storable::<::redis_cached::__private::Page, _>(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        )
    }
}
#[doc(hidden)]
#[inline]
fn __open_key(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    id: &Path<u64>,
) -> ::redis_cached::__private::MadeKey {
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let Path(id) = id;
        let writer = &mut __rc::key(cache, function);
        writer.literal(":");
        __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
        writer.finish()
    }
}
async fn perhaps(user: User, limits: Limits, id: Path<u64>) -> String {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __perhaps_plan();
    let key = __perhaps_key(cache, plan.terms.function, &user, &id);
    {
        use __rc::AnyExtracted as _;
        __rc::check_extracted(&user, __rc::extracted(&user).rc_extracted());
    }
    {
        use __rc::AnyExtracted as _;
        __rc::check_extracted(&id, __rc::extracted(&id).rc_extracted());
        __rc::check_type::<u64, _>(__rc::type_of::<u64>().rc_extracted());
    }
    {
        use __rc::AnyTaken as _;
        __rc::check_taken(&user, (&&&__rc::taken(&user)).rc_taken());
    }
    {
        use __rc::AnyExtracted as _;
        let Path(id) = &id;
        __rc::check_extracted(id, __rc::extracted(id).rc_extracted());
    }
    __rc::call_value::<
        __rc::Returned<String>,
        _,
        _,
    >(cache, plan, key, verb, move || perhaps_uncached(user, limits, id))
        .await
}
/// The body of `perhaps`: computes, and leaves the cache alone.
///
async fn perhaps_uncached(
    #[allow(unused_variables)]
    user: User,
    limits: Limits,
    #[allow(unused_variables)]
    Path(id): Path<u64>,
) -> String {
    load(id).await
}
/// Runs the body of `perhaps` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn perhaps_refresh(
    user: User,
    limits: Limits,
    id: Path<u64>,
) -> impl ::core::future::Future<Output = String> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(perhaps(user, limits, id))
}
/// The cache entry of the call of `perhaps` with the same arguments.
///
#[allow(unreachable_pub)]
fn perhaps_entry(user: User, id: Path<u64>) -> ::redis_cached::Entry<String> {
    let _ = perhaps;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __perhaps_plan();
    let key = __perhaps_key(cache, plan.terms.function, &user, &id);
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `perhaps`.
///
#[allow(unreachable_pub)]
fn perhaps_clear() -> impl ::core::future::Future<
    Output = ::core::result::Result<::core::primitive::u64, ::redis_cached::Error>,
> + ::core::marker::Send {
    let _ = perhaps;
    use ::redis_cached::__private as __rc;
    let plan = __perhaps_plan();
    __rc::clear_installed(plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __perhaps_plan() -> ::redis_cached::__private::Plan<String> {
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<String>::new().rc_option().rc_found();
        let codec = __rc::codec::<String, __rc::Auto, _, _>(kind, kind.rc_verdict());
        __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function(
                    &__SLOT,
                    &__rc::Site {
                        ident: "perhaps",
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
            __rc::storable::<String, _>(kind),
            |_| __rc::Ttl::of_environment(
                ::core::option_env!("REDIS_CACHED_TTL"),
                __rc::Ttl::DEFAULT,
            ),
        )
    }
}
#[doc(hidden)]
#[inline]
fn __perhaps_key(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    user: &User,
    id: &Path<u64>,
) -> ::redis_cached::__private::MadeKey {
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let Path(id) = id;
        let writer = &mut __rc::key(cache, function);
        writer.literal(":");
        __rc::part(writer, "user.id", &user.id, __rc::probe(&user.id).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "id", &id, __rc::probe(&id).rc_key_part());
        writer.finish()
    }
}
