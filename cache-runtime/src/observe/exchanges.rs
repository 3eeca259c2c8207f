//! The exchanges with one server: their durations, by operation and by how they ended, and their spans.

#[cfg(feature = "opentelemetry")]
use std::sync::OnceLock;
use std::time::Instant;

use tracing::Span;
use tracing::field::Empty;

use super::histogram::{Buckets, Lazy, Spread};
use super::listener::Listener;
use super::snapshot::Histogram;

/// An enumeration whose members have names.
macro_rules! named {
    ($(#[$meta:meta])* enum $type:ident { $($member:ident = $name:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $type {
            $($member,)*
        }

        impl $type {
            const ALL: &[$type] = &[$($type::$member),*];

            pub(crate) fn name(self) -> &'static str {
                match self {
                    $($type::$member => $name,)*
                }
            }
        }
    };
}

named! {
    /// What an exchange does: the name of its command.
    enum Operation {
        Get = "GET",
        HmGet = "HMGET",
        MGet = "MGET",
        Set = "SET",
        EvalSha = "EVALSHA",
        Eval = "EVAL",
        Unlink = "UNLINK",
        Del = "DEL",
        HDel = "HDEL",
        GetRange = "GETRANGE",
        StrLen = "STRLEN",
        HStrLen = "HSTRLEN",
        Pttl = "PTTL",
        Exists = "EXISTS",
        Scan = "SCAN",
        Ping = "PING",
        Time = "TIME",
        Role = "ROLE",
        Info = "INFO",
        Client = "CLIENT",
        Cluster = "CLUSTER",
        Pipeline = "PIPELINE",
        Other = "_OTHER",
    }
}

impl Operation {
    /// The operation of a command.
    pub(crate) fn of(name: &[u8]) -> Operation {
        Operation::ALL.iter().copied().find(|known| known.name().as_bytes() == name).unwrap_or(Operation::Other)
    }
}

named! {
    /// Why an exchange failed.
    enum Failure {
        Timeout = "timeout",
        Closed = "closed",
        Cancelled = "cancelled",
        Auth = "auth",
        Loading = "loading",
        ReadOnly = "read_only",
        OutOfMemory = "out_of_memory",
        Moved = "moved",
        Cluster = "cluster",
        WrongType = "wrong_type",
        NoScript = "no_script",
        Other = "_OTHER",
    }
}

const OPERATIONS: usize = Operation::ALL.len();
const FAILURES: usize = Failure::ALL.len();

/// The upper bounds of the buckets, in seconds: those of the semantic conventions of OpenTelemetry.
pub(super) const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

/// The exchanges with the server at one address.
#[derive(Debug)]
pub(crate) struct Exchanges {
    pub(super) address: String,
    /// `None` for the socket of a file.
    pub(super) port: Option<u16>,
    operations: [Lazy<OfOperation>; OPERATIONS],
    listener: Listener,
}

#[derive(Debug)]
pub(super) struct OfOperation {
    answered: Spread,
    failed: [Buckets; FAILURES],
    /// The attributes of those that were answered, which are made once: a hit has them.
    #[cfg(feature = "opentelemetry")]
    pub(super) attributes: OnceLock<Vec<opentelemetry::KeyValue>>,
}

impl Default for OfOperation {
    fn default() -> OfOperation {
        OfOperation {
            answered: Spread::of_seconds(SECONDS),
            failed: std::array::from_fn(|_| Buckets::of_seconds(SECONDS)),
            #[cfg(feature = "opentelemetry")]
            attributes: OnceLock::new(),
        }
    }
}

impl Exchanges {
    pub(crate) fn new(address: String, port: Option<u16>, listener: Listener) -> Exchanges {
        Exchanges { address, port, operations: Default::default(), listener }
    }

    fn ended(&self, operation: Operation, failure: Option<Failure>, micros: u64) {
        let of_operation = self.operations[operation as usize].get();
        match failure {
            None => of_operation.answered.observe(micros),
            Some(failure) => of_operation.failed[failure as usize].observe(micros),
        }
        self.listener.exchanged(self, of_operation, (operation, failure), micros);
    }

    /// The durations of all exchanges, by operation and by how they ended.
    pub(crate) fn read(&self) -> Vec<ExchangeStats> {
        let mut all = Vec::new();
        for operation in Operation::ALL {
            let Some(of_operation) = self.operations[*operation as usize].known() else { continue };
            let mut add = |failure: Option<Failure>, seconds: Histogram| {
                if seconds.count() > 0 {
                    let (address, port) = (self.address.clone(), self.port.map(|port| port.to_string()));
                    let failure = failure.map(Failure::name);
                    all.push(ExchangeStats { address, port, operation: operation.name(), failure, seconds });
                }
            };
            add(None, of_operation.answered.read());
            for failure in Failure::ALL {
                add(Some(*failure), of_operation.failed[*failure as usize].read());
            }
        }
        all
    }
}

/// The durations of the exchanges of one kind.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeStats {
    pub(super) address: String,
    pub(super) port: Option<String>,
    pub(super) operation: &'static str,
    pub(super) failure: Option<&'static str>,
    pub(super) seconds: Histogram,
}

/// An exchange that has no end yet, with its span.
#[derive(Debug)]
pub(crate) struct Exchange {
    operation: Operation,
    span: Span,
}

impl Exchange {
    /// Begins an exchange of this number of commands.
    pub(crate) fn begin(exchanges: &Exchanges, operation: Operation, commands: usize) -> Exchange {
        let span = tracing::trace_span!(
            target: "redis_cached",
            "redis",
            otel.name = operation.name(),
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = operation.name(),
            db.operation.batch.size = Empty,
            server.address = exchanges.address,
            server.port = exchanges.port,
            "error.type" = Empty,
        );
        if operation == Operation::Pipeline {
            span.record("db.operation.batch.size", commands);
        }
        Exchange { operation, span }
    }

    /// It began at this time, and was answered now, or failed.
    pub(crate) fn ended(self, exchanges: &Exchanges, began: Instant, failure: Option<Failure>) {
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        exchanges.ended(self.operation, failure, micros);
        if let Some(failure) = failure {
            self.span.record("error.type", failure.name());
        }
    }
}
