//! The names of the arguments.

use proc_macro2::Ident;

use super::rivals;
use super::suggest::did_you_mean;

macro_rules! arguments {
    ($($argument:ident $name:literal $form:literal,)*) => {
        /// An argument of the attribute.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Argument {
            $($argument),*
        }

        impl Argument {
            const ALL: &'static [Argument] = &[$(Argument::$argument),*];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Argument::$argument => $name),*
                }
            }

            /// An example of how it is written, for messages.
            pub(crate) fn form(self) -> &'static str {
                match self {
                    $(Argument::$argument => $form),*
                }
            }
        }
    };
}

arguments! {
    Ttl "ttl" "ttl = 600",
    Prefix "prefix" "prefix = \"shop\"",
    Name "name" "name = \"user\"",
    Key "key" "key = \"user:{id}\"",
    Skip "skip" "skip(db)",
    Version "version" "version = 2",
    Codec "codec" "codec = json",
    Compress "compress" "compress = lz4",
    Cache "cache" "cache = self.cache",
    CacheIf "cache_if" "cache_if = |value| …",
    NoneTtl "none_ttl" "none_ttl = \"30s\"",
    Jitter "jitter" "jitter = 0.1",
    RefreshAhead "refresh_ahead" "refresh_ahead = 0.8",
    StaleWhileRevalidate "stale_while_revalidate" "stale_while_revalidate = \"30s\"",
    StaleIfError "stale_if_error" "stale_if_error = \"1h\"",
    SingleFlight "single_flight" "single_flight = process",
    Lease "lease" "lease = \"10s\"",
    Wait "wait" "wait = \"1m\"",
    Group "group" "group = \"class:{class_id}\"",
    Tags "tags" "tags = [\"org:{org_id}\"]",
    Batch "batch" "batch(id in ids)",
    Local "local" "local = 10_000",
    Response "response" "response",
    MaxBody "max_body" "max_body = 1_048_576",
    Client "client" "client = \"max-age=30, public\"",
    Vary "vary" "vary(accept_language)",
    CacheStatus "cache_status" "cache_status = on",
    ClientMayBypass "client_may_bypass" "client_may_bypass = on",
    ShareErrors "share_errors" "share_errors = off",
    Returns "returns" "returns = result",
    Siblings "siblings" "siblings = off",
    Crate "crate" "crate = ::path",
}

impl Argument {
    /// The argument of this name, or an error that says which one may be meant.
    pub(crate) fn named(keyword: &Ident) -> syn::Result<Argument> {
        let text = keyword.to_string();
        let known = || Argument::ALL.iter().map(|argument| argument.name());
        if let Some(argument) = Argument::ALL.iter().find(|argument| argument.name() == text) {
            return Ok(*argument);
        }
        let message = match rivals::advice(&text) {
            Some(advice) => format!("unknown argument `{text}`: {advice}"),
            None => {
                let (nearest, known) = (did_you_mean(&text, known()), known().collect::<Vec<_>>().join(", "));
                format!("unknown argument `{text}`{nearest}\nknown arguments: {known}")
            }
        };
        Err(syn::Error::new(keyword.span(), message))
    }

    /// The arguments whose values stand in parentheses.
    pub(crate) fn is_list(self) -> bool {
        matches!(self, Argument::Skip | Argument::Batch | Argument::Vary)
    }

    /// The arguments without a value.
    pub(crate) fn is_flag(self) -> bool {
        matches!(self, Argument::Response)
    }
}
