//! A socket whose reads and writes end by a deadline.
//!
//! A time-out of the system is one for each read or write: bytes that trickle in have no limit.

use std::io::{self, Read, Write};
use std::net::TcpStream;
#[cfg(unix)]
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use crate::error::ErrorKind;
use crate::store::redis::server::fault::{Blame, Fault};

/// The time until the deadline, which has not passed.
pub(super) fn left(by: Instant) -> Result<Duration, Fault> {
    left_at(Instant::now(), by)
}

fn left_at(now: Instant, by: Instant) -> Result<Duration, Fault> {
    let left = by.saturating_duration_since(now);
    if left.is_zero() {
        return Err(Fault::new(ErrorKind::Timeout, Blame::Wait, "the deadline passed"));
    }
    // Some systems round a shorter time-out down to none at all.
    Ok(left.max(Duration::from_millis(1)))
}

/// Returns true if changing a socket's time-out is worth a system call: it would pass the deadline by more than a
/// sixteenth, or wake up several times before it.
pub(super) fn is_material(timeout: Duration, left: Duration) -> bool {
    timeout > left + left / 16 || timeout < left / 4
}

pub(super) enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    fn set_timeout(&self, timeout: Duration) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
            #[cfg(unix)]
            Socket::Unix(stream) => {
                stream.set_read_timeout(Some(timeout))?;
                stream.set_write_timeout(Some(timeout))
            }
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.read(buffer),
        }
    }

    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(buffer),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.write(buffer),
        }
    }
}

/// A socket whose reads and writes all end by one deadline.
pub(super) struct Timed {
    socket: Socket,
    /// The time-out that is set on the socket.
    timeout: Duration,
    by: Instant,
    /// The time at which the deadline was set.
    pub(super) set_at: Instant,
    /// True if nothing was read or written since the clock was read.
    fresh: bool,
    /// True if something was read since the deadline was set.
    pub(super) has_read: bool,
}

impl Timed {
    pub(super) fn new(socket: Socket) -> Timed {
        let now = Instant::now();
        Timed { socket, timeout: Duration::ZERO, by: now, set_at: now, fresh: true, has_read: false }
    }

    /// Sets the deadline of the next operations.
    pub(super) fn until(&mut self, by: Instant) -> Result<(), Fault> {
        self.by = by;
        self.set_at = Instant::now();
        let left = left_at(self.set_at, by)?;
        self.limit(left)?;
        self.fresh = true;
        self.has_read = false;
        Ok(())
    }

    fn limit(&mut self, left: Duration) -> io::Result<()> {
        if is_material(self.timeout, left) {
            self.socket.set_timeout(left)?;
            self.timeout = left;
        }
        Ok(())
    }

    fn within_deadline(&mut self, mut operation: impl FnMut(&mut Socket) -> io::Result<usize>) -> io::Result<usize> {
        loop {
            if !self.fresh {
                let left = self.by.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(io::ErrorKind::TimedOut.into());
                }
                self.limit(left.max(Duration::from_millis(1)))?;
            }
            let outcome = operation(&mut self.socket);
            match outcome {
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
                    ) =>
                {
                    self.fresh = false;
                }
                outcome => return outcome,
            }
        }
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.within_deadline(|socket| socket.read(buffer));
        self.fresh = false;
        self.has_read |= read.is_ok();
        read
    }
}

impl Write for Timed {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.within_deadline(|socket| socket.write(buffer))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
