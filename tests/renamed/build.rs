//! Stands for `[env]` in `.cargo/config.toml`.

fn main() {
    println!("cargo::rustc-env=REDIS_CACHED_PREFIX=from-env");
    println!("cargo::rustc-env=REDIS_CACHED_TTL=90s");
}
