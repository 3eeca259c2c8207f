//! The features of the runtime that this macro was compiled with.

/// The features of `redis-cached` that decide what generated code may name.
#[derive(Clone, Copy)]
pub(crate) struct Features {
    pub(crate) tokio: bool,
    pub(crate) blocking: bool,
    pub(crate) bincode: bool,
    pub(crate) json: bool,
    pub(crate) messagepack: bool,
    pub(crate) local: bool,
    pub(crate) lz4: bool,
    pub(crate) zstd: bool,
    pub(crate) axum: bool,
}

impl Features {
    /// Those of this build.
    pub(crate) const ENABLED: Features = Features {
        tokio: cfg!(feature = "tokio"),
        blocking: cfg!(feature = "blocking"),
        bincode: cfg!(feature = "bincode"),
        json: cfg!(feature = "json"),
        messagepack: cfg!(feature = "messagepack"),
        local: cfg!(feature = "local"),
        lz4: cfg!(feature = "lz4"),
        zstd: cfg!(feature = "zstd"),
        axum: cfg!(feature = "axum"),
    };
}
