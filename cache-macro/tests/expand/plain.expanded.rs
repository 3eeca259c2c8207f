fn token<'a, T: Kind, D>(client: &'a str, kind: T, count: u8, db: D) -> Option<Token>
where
    D: Find<T>,
{
    let cache = ::redis_cached::__private::installed();
    let plan = {
        use ::redis_cached::__private::AnyKind as _;
        let codec = ::redis_cached::__private::CodecFns::<
            Option<Token>,
        >::of::<::redis_cached::Json>();
        ::redis_cached::__private::Plan::<Option<Token>> {
            function: {
                static __SLOT: ::redis_cached::__private::Slot = ::redis_cached::__private::Slot::new();
                __SLOT
                    .function(
                        const {
                            &::redis_cached::__private::Site {
                                ident: "token",
                                prefix: SHOP,
                                name: ::redis_cached::__private::Name::Given("token"),
                                version: 2u32,
                            }
                        },
                        ::redis_cached::__private::path_of(&|| ()),
                        &[
                            &::core::any::type_name::<T>(),
                            &::core::any::type_name::<D>(),
                        ],
                        &codec,
                    )
            },
            codec: codec,
            nones: ::redis_cached::__private::storable_option::<
                Option<Token>,
                _,
            >(::redis_cached::__private::Kind::<Option<Token>>::new().found()),
            ttl: |value| ::redis_cached::__private::IntoTtl::into_ttl(
                ::redis_cached::__private::of_value::<
                    Option<Token>,
                    _,
                >(|token: &Token| token.expires_in, value),
            ),
            none_ttl: ::core::option::Option::Some(
                ::redis_cached::__private::Ttl::Millis(30000u64),
            ),
            cache_if: Option::is_some,
            jitter: 0.1f64,
        }
    };
    let key = {
        use ::redis_cached::__private::NoKeyPart as _;
        let writer = ::redis_cached::__private::key(cache, plan.function);
        let writer = writer.literal(":");
        let writer = match &client {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "client",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &kind {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "kind",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &count {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "count",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &db {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "db",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        writer.finish()
    };
    ::redis_cached::__private::blocking_call_value::<
        Option<Token>,
    >(cache, plan, key, move || token_uncached::<T, D>(client, kind, count, db))
}
///The body of `token`: computes, and leaves the cache alone.
///
fn token_uncached<'a, T: Kind, D>(
    client: &'a str,
    kind: T,
    mut count: u8,
    db: D,
) -> Option<Token>
where
    D: Find<T>,
{
    db.find(client, kind, count)
}
///Runs the body of `token` now, and stores what it returns.
///
fn token_refresh<'a, T: Kind, D>(
    client: &'a str,
    kind: T,
    count: u8,
    db: D,
) -> Option<Token>
where
    D: Find<T>,
{
    let cache = ::redis_cached::__private::installed();
    let plan = {
        use ::redis_cached::__private::AnyKind as _;
        let codec = ::redis_cached::__private::CodecFns::<
            Option<Token>,
        >::of::<::redis_cached::Json>();
        ::redis_cached::__private::Plan::<Option<Token>> {
            function: {
                static __SLOT: ::redis_cached::__private::Slot = ::redis_cached::__private::Slot::new();
                __SLOT
                    .function(
                        const {
                            &::redis_cached::__private::Site {
                                ident: "token",
                                prefix: SHOP,
                                name: ::redis_cached::__private::Name::Given("token"),
                                version: 2u32,
                            }
                        },
                        ::redis_cached::__private::path_of(&|| ()),
                        &[
                            &::core::any::type_name::<T>(),
                            &::core::any::type_name::<D>(),
                        ],
                        &codec,
                    )
            },
            codec: codec,
            nones: ::redis_cached::__private::storable_option::<
                Option<Token>,
                _,
            >(::redis_cached::__private::Kind::<Option<Token>>::new().found()),
            ttl: |value| ::redis_cached::__private::IntoTtl::into_ttl(
                ::redis_cached::__private::of_value::<
                    Option<Token>,
                    _,
                >(|token: &Token| token.expires_in, value),
            ),
            none_ttl: ::core::option::Option::Some(
                ::redis_cached::__private::Ttl::Millis(30000u64),
            ),
            cache_if: Option::is_some,
            jitter: 0.1f64,
        }
    };
    let key = {
        use ::redis_cached::__private::NoKeyPart as _;
        let writer = ::redis_cached::__private::key(cache, plan.function);
        let writer = writer.literal(":");
        let writer = match &client {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "client",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &kind {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "kind",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &count {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "count",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &db {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "db",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        writer.finish()
    };
    ::redis_cached::__private::blocking_refresh_value::<
        Option<Token>,
    >(cache, plan, key, move || token_uncached::<T, D>(client, kind, count, db))
}
///The cache entry behind the call of `token` with the same arguments.
///
fn token_entry<'a, T: Kind, D>(
    client: &'a str,
    kind: T,
    count: u8,
    db: D,
) -> ::redis_cached::blocking::Entry<Option<Token>>
where
    D: Find<T>,
{
    let cache = ::redis_cached::__private::installed();
    let plan = {
        use ::redis_cached::__private::AnyKind as _;
        let codec = ::redis_cached::__private::CodecFns::<
            Option<Token>,
        >::of::<::redis_cached::Json>();
        ::redis_cached::__private::Plan::<Option<Token>> {
            function: {
                static __SLOT: ::redis_cached::__private::Slot = ::redis_cached::__private::Slot::new();
                __SLOT
                    .function(
                        const {
                            &::redis_cached::__private::Site {
                                ident: "token",
                                prefix: SHOP,
                                name: ::redis_cached::__private::Name::Given("token"),
                                version: 2u32,
                            }
                        },
                        ::redis_cached::__private::path_of(&|| ()),
                        &[
                            &::core::any::type_name::<T>(),
                            &::core::any::type_name::<D>(),
                        ],
                        &codec,
                    )
            },
            codec: codec,
            nones: ::redis_cached::__private::storable_option::<
                Option<Token>,
                _,
            >(::redis_cached::__private::Kind::<Option<Token>>::new().found()),
            ttl: |value| ::redis_cached::__private::IntoTtl::into_ttl(
                ::redis_cached::__private::of_value::<
                    Option<Token>,
                    _,
                >(|token: &Token| token.expires_in, value),
            ),
            none_ttl: ::core::option::Option::Some(
                ::redis_cached::__private::Ttl::Millis(30000u64),
            ),
            cache_if: Option::is_some,
            jitter: 0.1f64,
        }
    };
    let key = {
        use ::redis_cached::__private::NoKeyPart as _;
        let writer = ::redis_cached::__private::key(cache, plan.function);
        let writer = writer.literal(":");
        let writer = match &client {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "client",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &kind {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "kind",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &count {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "count",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        let writer = writer.literal(":");
        let writer = match &db {
            part => {
                ::redis_cached::__private::part(
                    writer,
                    "db",
                    part,
                    ::redis_cached::__private::probe(part).key_part(),
                )
            }
        };
        writer.finish()
    };
    ::redis_cached::__private::blocking_entry(cache, plan, key)
}
