//! The names that other caches give to the arguments, for their users.

/// The replacement of an argument that this attribute does not have.
pub(crate) fn advice(name: &str) -> Option<&'static str> {
    let advice = match name {
        "time" | "expire" | "expires" | "expires_in" | "expiry" | "expiration" | "duration" | "lifetime" | "life"
        | "max_age" | "time_to_live" | "timeout" | "seconds" | "secs" | "ex" | "ttl_seconds" | "ttl_secs" => {
            "write `ttl = 60`, or `ttl = \"1m\"`"
        }
        "ttl_millis" | "millis" | "px" => "write `ttl = \"250ms\"`",
        "key_prefix" | "namespace" | "cache_prefix" | "cache_prefix_block" => "write `prefix = \"shop\"`",
        "cache_name" | "id" | "region" => "write `name = \"user\"`",
        "size" | "max_size" | "capacity" | "max_capacity" | "max_entries" | "unbound" => {
            "Redis evicts by its own `maxmemory`; write `local = 10_000` for a tier of that many entries in this process"
        }
        "convert" | "cache_key" | "key_fn" | "with_key" | "keyed" => {
            "write `key = \"{id}\"`, with expressions over the parameters in braces"
        }
        "key_type" | "ty" | "type" | "create" => {
            "keys are made of the parameters, and values are found by their type; remove it"
        }
        "result" => "only the `Ok` of a `Result` is stored anyway; remove it",
        "option" | "cache_none" => {
            "`None` is stored with a lifetime of its own: write `none_ttl = \"30s\"`, or remove it"
        }
        "sync_writes" | "sync" | "lock" | "dogpile" | "stampede" | "coalesce" | "singleflight" => {
            "concurrent calls of one key run the body once anyway; remove it, or write `single_flight = process` or `off`"
        }
        "condition" | "when" | "if" | "unless" | "filter" | "cache_when" | "store_if" => {
            "write `cache_if = |value| …`, which says what is stored"
        }
        "ignore" | "exclude" | "without" | "skip_args" | "skip_params" | "ignore_args" => "write `skip(db)`",
        "args" | "params" | "include" | "key_args" | "vary" => {
            "all parameters are in the key; leave some out with `skip(db)`, or write `key = \"{id}\"`"
        }
        "serializer" | "serde" | "format" | "encoding" | "encode" => "write `codec = json`",
        "redis" | "client" | "pool" | "conn" | "connection" | "connection_config" | "store" | "backend" | "state" => {
            "write `cache = EXPR`, such as `cache = self.cache`; without it the installed cache is asked"
        }
        "url" | "host" => {
            "the environment variable `REDIS_URL`, or `Cache::builder(…)`, says where Redis is; remove it"
        }
        "time_refresh" | "refresh" | "sliding" | "early" | "early_expiration" | "beta" | "xfetch" => {
            "write `refresh_ahead = 0.8`, after which part of its lifetime a value is refreshed"
        }
        "stale" | "swr" | "grace" | "stale_ttl" => {
            "write `stale_while_revalidate = \"30s\"`, or `stale_if_error = \"1h\"`"
        }
        "result_fallback" | "fallback" | "serve_stale" => "write `stale_if_error = \"1h\"`",
        "map_error" | "with_cached_flag" | "disk" | "support_cached" | "in_impl" | "sync_writes_buckets" => {
            "no call sees an error of the cache, nor whether it was a hit; remove it"
        }
        "tag" | "labels" | "dependencies" => "write `tags = [\"org:{org_id}\"]`",
        "salt" | "cache_version" | "schema" => "write `version = 2`",
        "none" | "negative" | "negative_ttl" => "write `none_ttl = \"30s\"`",
        _ => return None,
    };
    Some(advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_names_have_advice() {
        for name in ["time", "expire", "expiry", "size", "key_prefix", "convert", "result", "option", "sync_writes"] {
            assert!(advice(name).is_some(), "{name}");
        }
        assert!(advice("tll").is_none());
    }
}
