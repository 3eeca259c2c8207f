fn token<'a, T: Kind, D>(client: &'a str, kind: T, count: u8, db: D) -> Option<Token>
where
    D: Find<T>,
{
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __token_plan::<T, D>();
    let key = __token_key::<
        T,
        D,
    >(cache, plan.terms.function, client, &kind, &count, &db);
    __rc::blocking_call_value::<
        __rc::Returned<Option<Token>>,
    >(cache, plan, key, verb, move || token_uncached::<T, D>(client, kind, count, db))
}
/// The body of `token`: computes, and leaves the cache alone.
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
/// Runs the body of `token` now, and stores what it returns.
///
#[allow(unreachable_pub)]
fn token_refresh<'a, T: Kind, D>(
    client: &'a str,
    kind: T,
    count: u8,
    db: D,
) -> Option<Token>
where
    D: Find<T>,
{
    use ::redis_cached::__private as __rc;
    __rc::refresh_next();
    token::<T, D>(client, kind, count, db)
}
/// The cache entry of the call of `token` with the same arguments.
///
#[allow(unreachable_pub)]
fn token_entry<'a, T: Kind, D>(
    client: &'a str,
    kind: T,
    count: u8,
    db: D,
) -> ::redis_cached::blocking::Entry<Option<Token>>
where
    D: Find<T>,
{
    let _ = token::<T, D>;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __token_plan::<T, D>();
    let key = __token_key::<
        T,
        D,
    >(cache, plan.terms.function, client, &kind, &count, &db);
    __rc::blocking_entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `token`.
///
#[allow(unreachable_pub)]
fn token_clear<T: Kind, D>() -> ::core::result::Result<
    ::core::primitive::u64,
    ::redis_cached::Error,
>
where
    D: Find<T>,
{
    let _ = token::<T, D>;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __token_plan::<T, D>();
    __rc::blocking_clear(cache, plan.terms.function, false)
}
#[doc(hidden)]
#[inline]
fn __token_plan<T: Kind, D>() -> ::redis_cached::__private::Plan<Option<Token>>
where
    D: Find<T>,
{
    use ::redis_cached::__private as __rc;
    {
        use __rc::{AnyConst as _, AnyFound as _, AnyKind as _, AnyVerdict as _};
        let kind = __rc::Kind::<Option<Token>>::new().rc_option().rc_found();
        let codec = __rc::codec::<
            Option<Token>,
            __rc::Json,
            _,
            _,
        >(
            kind,
            __rc::blame(
                kind.rc_verdict(),
                __rc::Kind::<Token>::new().rc_option().rc_found().rc_verdict(),
            ),
        );
        let plan = __rc::Plan::new(
            {
                static __SLOT: __rc::Slot = __rc::Slot::new();
                __rc::Slot::function(
                    &__SLOT,
                    &__rc::Site {
                        ident: "token",
                        prefix: __rc::Prefix::Given { text: SHOP },
                        name: __rc::Name::Given("token"),
                        shape: ":{}:{}:{}:{}",
                        version: 2u32,
                    },
                    __rc::place(),
                    __rc::path_of(&|| ()),
                    &[&::core::any::type_name::<T>(), &::core::any::type_name::<D>()],
                    &codec,
                )
            },
            codec,
            __rc::storable_option::<Option<Token>, _>(kind),
            |value| __rc::IntoTtl::into_ttl(
                __rc::of_value::<
                    Option<Token>,
                    _,
                >(|token: &Token| token.expires_in, value),
            ),
        );
        __rc::Plan {
            terms: __rc::Terms {
                none_ttl: ::core::option::Option::Some(__rc::Ttl::Millis(30000u64)),
                jitter: 0.1f64,
                compress: ::core::option::Option::Some(
                    __rc::Compression::LZ4.threshold(4096usize),
                ),
                ..plan.terms
            },
            cache_if: Option::is_some,
            ..plan
        }
    }
}
#[doc(hidden)]
#[inline]
fn __token_key<'a, T: Kind, D>(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    client: &'a str,
    kind: &T,
    count: &u8,
    db: &D,
) -> ::redis_cached::__private::MadeKey
where
    D: Find<T>,
{
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let writer = &mut __rc::key(cache, function);
        writer.literal(":");
        __rc::part(writer, "client", &client, __rc::probe(&client).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "kind", kind, __rc::probe(kind).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "count", count, __rc::probe(count).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "db", db, __rc::probe(db).rc_key_part());
        writer.finish()
    }
}
