//! Why a response is not stored, for the log and for `Cache-Status`.

/// Why a response is not stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unstored {
    Status,
    SetCookie,
    Vary,
    CacheControl,
    Stale,
    Pragma,
    Endless,
    TooLong,
    Trailers,
    Broken,
    Closure,
}

impl Unstored {
    /// What is said about the response, in the log and in `Cache-Status`. It has neither quotes nor backslashes.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Unstored::Status => "its status is not stored",
            Unstored::SetCookie => "it sets a cookie",
            Unstored::Vary => "its Vary names a header that is not in the key",
            Unstored::CacheControl => "its Cache-Control forbids it",
            Unstored::Stale => "it has expired",
            Unstored::Pragma => "its Pragma forbids it",
            Unstored::Endless => "it is a stream",
            Unstored::TooLong => "its body is longer than max_body",
            Unstored::Trailers => "its body has trailers",
            Unstored::Broken => "its body failed",
            Unstored::Closure => "cache_if or ttl say so",
        }
    }
}
