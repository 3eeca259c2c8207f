//! The commands that reach a server.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use super::PATIENCE;

/// The commands of all clients, from the beginning of the monitor on.
pub struct Monitor {
    port: u16,
    stream: TcpStream,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

#[derive(Default)]
struct Seen {
    commands: Vec<Vec<String>>,
    /// The last sentinel that came by.
    sentinel: u64,
    sent: u64,
    /// The server has closed the connection.
    is_over: bool,
}

const SENTINEL: &str = "monitor-sentinel-";

impl Monitor {
    /// Begins to listen to the server on this port.
    pub fn of(port: u16) -> Monitor {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert_eq!(first, "+OK\r\n");
        let seen = Arc::<(Mutex<Seen>, Condvar)>::default();
        let noted = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
                if let Some(command) = command(&String::from_utf8_lossy(&line)) {
                    let mut seen = noted.0.lock().unwrap();
                    match command.last().and_then(|word| word.strip_prefix(SENTINEL)) {
                        Some(number) => {
                            seen.sentinel = number.parse().unwrap();
                            noted.1.notify_all();
                        }
                        None => seen.commands.push(command),
                    }
                }
                line.clear();
            }
            noted.0.lock().unwrap().is_over = true;
            noted.1.notify_all();
        });
        Monitor { port, stream, seen }
    }

    /// The commands since the last call, each with its arguments: what was sent before this call
    /// is there. What scripts call is left out. If the server has closed the connection, as a master does that becomes a
    /// replica, the monitor has seen what came until then.
    #[track_caller]
    pub fn commands(&mut self) -> Vec<Vec<String>> {
        let mut seen = self.seen.0.lock().unwrap();
        seen.sent += 1;
        let number = seen.sent;
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(format!("ECHO {SENTINEL}{number}\r\n").as_bytes()).unwrap();
        let is_waiting = |seen: &mut Seen| seen.sentinel < number && !seen.is_over;
        let (mut seen, waited) = self.seen.1.wait_timeout_while(seen, PATIENCE, is_waiting).unwrap();
        assert!(!waited.timed_out(), "the monitor saw nothing");
        std::mem::take(&mut seen.commands)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// From `+1339518083.107412 [0 127.0.0.1:60866] "keys" "*"`.
fn command(line: &str) -> Option<Vec<String>> {
    let (_, rest) = line.split_once('[')?;
    let (client, rest) = rest.split_once("] ")?;
    if client.ends_with("lua") {
        return None;
    }
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = rest.chars();
    while let Some(character) = characters.next() {
        match (&mut word, character) {
            (None, '"') => word = Some(String::new()),
            (None, _) => {}
            (Some(_), '"') => words.extend(word.take()),
            (Some(word), '\\') => word.push(escaped(&mut characters)?),
            (Some(word), other) => word.push(other),
        }
    }
    Some(words)
}

/// The character that an escape stands for.
fn escaped(characters: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match characters.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'a' => '\x07',
        'b' => '\x08',
        'x' => {
            let digits: String = characters.take(2).collect();
            char::from(u8::from_str_radix(&digits, 16).ok()?)
        }
        other => other,
    })
}
