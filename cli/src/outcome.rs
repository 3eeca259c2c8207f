//! Exit codes, and the errors that lead to them.

use std::fmt;
use std::process::ExitCode;

use redis_cached_runtime::{Error, ErrorKind};

/// The exit codes, which are documented in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Done = 0,
    /// Nothing is stored there, or the doctor found a fault.
    Negative = 1,
    /// The command line or the URL cannot be used. clap exits with the same.
    Usage = 2,
    /// The server was not reached, or refused.
    Server = 3,
    /// The key is not this library's.
    Foreign = 4,
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> ExitCode {
        ExitCode::from(code as u8)
    }
}

/// Why a command was not carried out.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The cache could not be asked.
    Cache(Error),
    /// The command line asks for something that does not exist.
    Usage(String),
    /// The server refuses a command, or gives an answer that is not understood.
    Server(String),
    /// Keys are not this library's.
    Foreign(String),
    /// The output was closed, or a file could not be written.
    Io(std::io::Error),
}

impl Failure {
    pub(crate) fn code(&self) -> Code {
        match self {
            Failure::Cache(error) => match error.kind() {
                ErrorKind::Config | ErrorKind::Off | ErrorKind::Key | ErrorKind::Text => Code::Usage,
                _ => Code::Server,
            },
            Failure::Usage(_) => Code::Usage,
            Failure::Foreign(_) => Code::Foreign,
            Failure::Server(_) | Failure::Io(_) => Code::Server,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Cache(error) => error.fmt(f),
            Failure::Usage(text) | Failure::Server(text) | Failure::Foreign(text) => f.write_str(text),
            Failure::Io(error) => error.fmt(f),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Cache(error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Failure {
        Failure::Io(error)
    }
}

pub(crate) type Outcome<T = Code> = Result<T, Failure>;
