/// Looks it up.
pub async fn user(db: &Db, id: u64, slug: Path<String>) -> Result<User, Error> {
    let verb = __rc::verb();
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan();
    let key = __user_key(cache, plan.terms.function, &id, &slug);
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
            move || user_uncached(db, id, slug),
        )
        .await
}
/// The body of `user`: computes, and leaves the cache alone.
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
/// Runs the body of `user` now, and stores what it returns.
///
/// Looks it up.
#[allow(unreachable_pub)]
pub fn user_refresh(
    db: &Db,
    id: u64,
    slug: Path<String>,
) -> impl ::core::future::Future<Output = Result<User, Error>> {
    use ::redis_cached::__private as __rc;
    __rc::refreshing(user(db, id, slug))
}
/// The cache entry of the call of `user` with the same arguments.
///
/// Looks it up.
#[allow(unreachable_pub)]
pub fn user_entry(
    id: u64,
    slug: Path<String>,
) -> ::redis_cached::Entry<::redis_cached::__private::OkOf<Result<User, Error>>> {
    let _ = user;
    use ::redis_cached::__private as __rc;
    let cache = &__rc::installed();
    let plan = __user_plan();
    let key = __user_key(cache, plan.terms.function, &id, &slug);
    __rc::entry(cache, plan, key)
}
/// Empties the cache entries of all calls of `user`.
///
/// Looks it up.
#[allow(unreachable_pub)]
pub fn user_clear() -> impl ::core::future::Future<
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
            __rc::storable::<__rc::OkOf<Result<User, Error>>, _>(kind),
            |_| __rc::Ttl::Millis(600000u64),
        )
    }
}
#[doc(hidden)]
#[inline]
fn __user_key(
    cache: &::redis_cached::__private::Context,
    function: &'static ::redis_cached::__private::Function,
    id: &u64,
    slug: &Path<String>,
) -> ::redis_cached::__private::MadeKey {
    use ::redis_cached::__private as __rc;
    {
        use __rc::NoKeyPart as _;
        let Path(slug) = slug;
        let writer = &mut __rc::key(cache, function);
        writer.literal(":");
        __rc::part(writer, "id", id, __rc::probe(id).rc_key_part());
        writer.literal(":");
        __rc::part(writer, "slug", &slug, __rc::probe(&slug).rc_key_part());
        writer.finish()
    }
}
