/// Looks it up.
pub async fn user(db: &Db, id: u64, slug: Path<String>) -> Result<User, Error> {
    let cache = ::redis_cached::__private::installed();
    let plan = {
        use ::redis_cached::__private::AnyKind as _;
        let codec = ::redis_cached::__private::CodecFns::<
            <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
        >::of::<::redis_cached::Bincode>();
        ::redis_cached::__private::Plan::<
            <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
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
                                ident: "user",
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
                <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
                _,
            >(
                ::redis_cached::__private::Kind::<
                    <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
                >::new()
                    .found(),
            ),
            ttl: |_| ::redis_cached::__private::Ttl::Millis(600000u64),
            none_ttl: ::core::option::Option::None,
            cache_if: |_| true,
            jitter: 0f64,
        }
    };
    let key = {
        use ::redis_cached::__private::NoKeyPart as _;
        let Path(slug) = &slug;
        let writer = ::redis_cached::__private::key(cache, plan.function);
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
        let writer = writer.literal(":");
        let writer = match &slug {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "slug",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        writer.finish()
    };
    ::redis_cached::__private::call_result::<
        Result<User, Error>,
        _,
        _,
    >(cache, plan, key, move || user_uncached(db, id, slug))
        .await
}
///The body of `user`: computes, and leaves the cache alone.
///
/// Looks it up.
#[tracing::instrument(skip(db))]
pub async fn user_uncached(
    db: &Db,
    id: u64,
    Path(slug): Path<String>,
) -> Result<User, Error> {
    db.find(id, &slug).await
}
///Runs the body of `user` now, and stores what it returns.
///
/// Looks it up.
pub async fn user_refresh(db: &Db, id: u64, slug: Path<String>) -> Result<User, Error> {
    let cache = ::redis_cached::__private::installed();
    let plan = {
        use ::redis_cached::__private::AnyKind as _;
        let codec = ::redis_cached::__private::CodecFns::<
            <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
        >::of::<::redis_cached::Bincode>();
        ::redis_cached::__private::Plan::<
            <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
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
                                ident: "user",
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
                <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
                _,
            >(
                ::redis_cached::__private::Kind::<
                    <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
                >::new()
                    .found(),
            ),
            ttl: |_| ::redis_cached::__private::Ttl::Millis(600000u64),
            none_ttl: ::core::option::Option::None,
            cache_if: |_| true,
            jitter: 0f64,
        }
    };
    let key = {
        use ::redis_cached::__private::NoKeyPart as _;
        let Path(slug) = &slug;
        let writer = ::redis_cached::__private::key(cache, plan.function);
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
        let writer = writer.literal(":");
        let writer = match &slug {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "slug",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        writer.finish()
    };
    ::redis_cached::__private::refresh_result::<
        Result<User, Error>,
        _,
        _,
    >(cache, plan, key, move || user_uncached(db, id, slug))
        .await
}
///The cache entry behind the call of `user` with the same arguments.
///
/// Looks it up.
pub fn user_entry(
    id: u64,
    slug: Path<String>,
) -> ::redis_cached::Entry<
    <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
> {
    let cache = ::redis_cached::__private::installed();
    let plan = {
        use ::redis_cached::__private::AnyKind as _;
        let codec = ::redis_cached::__private::CodecFns::<
            <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
        >::of::<::redis_cached::Bincode>();
        ::redis_cached::__private::Plan::<
            <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
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
                                ident: "user",
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
                <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
                _,
            >(
                ::redis_cached::__private::Kind::<
                    <Result<User, Error> as ::redis_cached::__private::ResultLike>::Ok,
                >::new()
                    .found(),
            ),
            ttl: |_| ::redis_cached::__private::Ttl::Millis(600000u64),
            none_ttl: ::core::option::Option::None,
            cache_if: |_| true,
            jitter: 0f64,
        }
    };
    let key = {
        use ::redis_cached::__private::NoKeyPart as _;
        let Path(slug) = &slug;
        let writer = ::redis_cached::__private::key(cache, plan.function);
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
        let writer = writer.literal(":");
        let writer = match &slug {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "slug",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        writer.finish()
    };
    ::redis_cached::__private::entry(cache, plan, key)
}
