#[redis_cached(response, ttl = 60, none_ttl = 5, client = "max-age=30", vary(accept), skip(state))]
#[debug_handler]
pub async fn page(State(state): State<App>, headers: HeaderMap, Path(id): Path<u64>) -> impl IntoResponse {
    state.load(id).await
}

#[redis_cached(response, stale_while_revalidate = "30s", local = 100, max_body = MOST, key = "{id}", vary(accept))]
async fn kept(headers: HeaderMap, Path(id): Path<u64>) -> Response {
    load(id).await
}

#[redis_cached]
async fn wrapped(Path(id): Path<u64>) -> Result<Json<User>, Error> {
    load(id).await
}

#[redis_cached(response, client_may_bypass = on)]
async fn open(headers: HeaderMap, Path(id): Path<u64>) -> Response {
    load(id).await
}

#[redis_cached(key = "{user.id}:{id}", skip(limits))]
async fn perhaps(user: User, limits: Limits, Path(id): Path<u64>) -> String {
    load(id).await
}
