//! A proxy to a server, which can disturb connections while they are in use.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::eventually;

/// The treatment of bytes on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They arrive unchanged.
    Pass,
    /// New connections are closed at once; those that exist are left alone.
    Refuse,
    /// All connections swallow everything and stay open: a peer that vanished.
    Freeze,
    /// The same for those that exist now; new ones pass.
    FreezeExisting,
    /// Replies arrive that much later.
    Delay(Duration),
    /// Replies trickle in, some bytes at a time with a pause between.
    Trickle {
        /// How many bytes arrive at a time.
        bytes: usize,
        /// The time between two parts.
        pause: Duration,
    },
    /// Replies arrive with flipped bits.
    Corrupt,
    /// Replies that tell where slots or masters are name these two ports the wrong way round.
    SwapPorts(u16, u16),
    /// This line is the reply to everything; the server hears nothing.
    Answer(&'static str),
    /// The proxy keeps the bytes of clients, also after they have given up, until [`Proxy::deliver`].
    Hold,
    /// The same as `Pass` until a client sends bytes with this text in them, and from these on `Hold`.
    HoldFrom(&'static str),
    /// A connection on which a client sends bytes with this text in them swallows these and all that
    /// follows, and stays open; others pass.
    FreezeOn(&'static str),
    /// Clients have sent this text so often, those times included that it came in the same bytes: from these bytes on, all
    /// connections swallow everything and stay open, new ones too. Until then, everything passes.
    FreezeFrom(&'static str, usize),
    /// The same, but only the connection that sent these bytes swallows; all others pass.
    FreezeOnce(&'static str, usize),
}

/// Listens on a port of its own and forwards to a server. Its connections end with it.
pub struct Proxy {
    port: u16,
    state: Arc<State>,
}

struct State {
    target: u16,
    mode: Mutex<Mode>,
    pairs: Mutex<Vec<Arc<Pair>>>,
    accepted: AtomicUsize,
    /// Commands that clients sent.
    commands: AtomicUsize,
    replies: AtomicUsize,
    /// The occurrences of the text of [`Mode::FreezeFrom`].
    occurrences: AtomicUsize,
    over: AtomicBool,
}

struct Pair {
    client: TcpStream,
    server: TcpStream,
    /// This is permanent: a connection that lost bytes never continues as if nothing had been lost.
    frozen: AtomicBool,
    /// The bytes that the client sent since it was held.
    held: Mutex<Vec<u8>>,
    /// The server has closed its side.
    ended: AtomicBool,
}

impl Proxy {
    /// A proxy to the server on this port.
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            target,
            mode: Mutex::new(Mode::Pass),
            pairs: Mutex::default(),
            accepted: AtomicUsize::new(0),
            commands: AtomicUsize::new(0),
            replies: AtomicUsize::new(0),
            occurrences: AtomicUsize::new(0),
            over: AtomicBool::new(false),
        });
        let accepting = Arc::clone(&state);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if accepting.over.load(SeqCst) {
                    break;
                }
                if let Ok(client) = client {
                    accepting.accept(client);
                }
            }
        });
        Proxy { port, state }
    }

    /// Its address, as [`redis_cached::Cache::builder`] takes it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what happens from now on.
    pub fn set(&self, mode: Mode) {
        self.state.occurrences.store(0, SeqCst);
        *self.state.mode.lock().unwrap() = match mode {
            Mode::FreezeExisting => {
                for pair in &*self.state.pairs.lock().unwrap() {
                    pair.frozen.store(true, SeqCst);
                }
                Mode::Pass
            }
            mode => mode,
        };
    }

    /// Closes all connections.
    pub fn cut(&self) {
        for pair in self.state.pairs.lock().unwrap().drain(..) {
            pair.close();
        }
    }

    /// Ends the client's side of the connections whose bytes are held: to the client they are closed.
    pub fn close_clients(&self) {
        for pair in self.state.pairs.lock().unwrap().iter().filter(|pair| pair.frozen.load(SeqCst)) {
            let _ = pair.client.shutdown(Shutdown::Both);
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.state.pairs.lock().unwrap().iter().map(|pair| pair.held.lock().unwrap().len()).sum()
    }

    /// Hands the server all that is held, as if it had been on its way for so long: one connection
    /// after the other, with `check` whenever the server has worked off what came by one. New
    /// connections pass from now on.
    pub fn deliver(&self, mut check: impl FnMut()) {
        self.set(Mode::Pass);
        let pairs = self.state.pairs.lock().unwrap().clone();
        for pair in pairs {
            let held = std::mem::take(&mut *pair.held.lock().unwrap());
            if held.is_empty() {
                continue;
            }
            (&pair.server).write_all(&held).unwrap();
            // The server reads the end of the stream after the commands, and then closes its side.
            pair.server.shutdown(Shutdown::Write).unwrap();
            eventually("the server has read it all", || pair.ended.load(SeqCst));
            check();
        }
    }

    /// How many connections swallow what they get.
    pub fn frozen(&self) -> usize {
        self.state.pairs.lock().unwrap().iter().filter(|pair| pair.frozen.load(SeqCst)).count()
    }

    /// How many commands came from clients so far, those of connecting included.
    pub fn commands(&self) -> usize {
        self.state.commands.load(SeqCst)
    }

    /// How many connections were made so far.
    pub fn accepted(&self) -> usize {
        self.state.accepted.load(SeqCst)
    }

    /// The same with those that still wait to be accepted, as connections do on a busy machine. New ones are refused at
    /// the time ([`Mode::Refuse`]).
    pub fn accepted_so_far(&self) -> usize {
        let mut last = TcpStream::connect(("127.0.0.1", self.port)).expect("the proxy listens");
        let ended = last.read(&mut [0]);
        assert!(matches!(ended, Ok(0) | Err(_)), "new connections are refused");
        // That of this question is left out.
        self.state.accepted.fetch_sub(1, SeqCst) - 1
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.over.store(true, SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        self.cut();
    }
}

impl State {
    fn accept(self: &Arc<Self>, client: TcpStream) {
        self.accepted.fetch_add(1, SeqCst);
        if *self.mode.lock().unwrap() == Mode::Refuse {
            return;
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", self.target)) else { return };
        client.set_nodelay(true).unwrap();
        server.set_nodelay(true).unwrap();
        let pair = Arc::new(Pair {
            client,
            server,
            frozen: AtomicBool::new(false),
            held: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        self.pairs.lock().unwrap().push(Arc::clone(&pair));
        let (chunks, replies) = mpsc::channel();
        self.thread(&pair, |state, pair| {
            state.pump(&pair, &pair.client, |bytes, _| (&pair.server).write_all(bytes).is_ok());
        });
        self.thread(&pair, move |state, pair| {
            state.pump(&pair, &pair.server, |bytes, mode| {
                let wait = if let Mode::Delay(wait) = mode { wait } else { Duration::ZERO };
                chunks.send((Instant::now() + wait, bytes.to_vec())).is_ok()
            });
            pair.ended.store(true, SeqCst);
        });
        self.thread(&pair, move |state, pair| {
            for (due, bytes) in replies {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                if !state.reply(&pair, bytes) {
                    break;
                }
            }
        });
    }

    fn thread(self: &Arc<Self>, pair: &Arc<Pair>, work: impl FnOnce(&State, Arc<Pair>) + Send + 'static) {
        let (state, pair) = (Arc::clone(self), Arc::clone(pair));
        std::thread::spawn(move || {
            work(&state, Arc::clone(&pair));
            if !pair.frozen.load(SeqCst) {
                pair.close();
            }
        });
    }

    /// Hands bytes on until either side ends.
    fn pump(&self, pair: &Pair, mut from: &TcpStream, mut hand_on: impl FnMut(&[u8], Mode) -> bool) {
        let mut buffer = [0; 64 * 1024];
        loop {
            let read = match from.read(&mut buffer) {
                Ok(0) | Err(_) => return,
                Ok(read) => read,
            };
            let from_client = std::ptr::eq(from, &pair.client);
            if from_client {
                self.commands.fetch_add(commands(&buffer[..read]), SeqCst);
            }
            let mode = self.mode_for(&buffer[..read], from_client);
            if mode == Mode::Hold && from_client {
                // The order matters: a frozen connection outlives its client.
                pair.frozen.store(true, SeqCst);
                pair.held.lock().unwrap().extend_from_slice(&buffer[..read]);
                continue;
            }
            if mode == Mode::Freeze {
                pair.frozen.store(true, SeqCst);
            }
            if let Mode::Answer(line) = mode {
                let answers = format!("{line}\r\n").repeat(commands(&buffer[..read]));
                if (&pair.client).write_all(answers.as_bytes()).is_err() {
                    return;
                }
                continue;
            }
            if !pair.frozen.load(SeqCst) && !hand_on(&buffer[..read], mode) {
                return;
            }
        }
    }

    fn mode_for(&self, bytes: &[u8], from_client: bool) -> Mode {
        let mut mode = self.mode.lock().unwrap();
        let count = |text: &str| match from_client {
            true => bytes.windows(text.len()).filter(|window| *window == text.as_bytes()).count(),
            false => 0,
        };
        match *mode {
            Mode::HoldFrom(text) if count(text) > 0 => *mode = Mode::Hold,
            Mode::FreezeOn(text) if count(text) > 0 => return Mode::Freeze,
            Mode::FreezeFrom(text, times) if self.occurrences.fetch_add(count(text), SeqCst) + count(text) >= times => {
                *mode = Mode::Freeze;
            }
            Mode::FreezeOnce(text, times) if self.occurrences.fetch_add(count(text), SeqCst) + count(text) >= times => {
                *mode = Mode::Pass;
                return Mode::Freeze;
            }
            _ => {}
        }
        *mode
    }

    fn reply(&self, pair: &Pair, mut bytes: Vec<u8>) -> bool {
        if pair.frozen.load(SeqCst) {
            return true;
        }
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Trickle { bytes: size, pause } => {
                for part in bytes.chunks(size) {
                    if (&pair.client).write_all(part).is_err() {
                        return false;
                    }
                    std::thread::sleep(pause);
                }
                true
            }
            Mode::Corrupt => {
                // Some in each dozen, at places that differ from reply to reply.
                let mut state = self.replies.fetch_add(1, SeqCst) as u32;
                for byte in &mut bytes {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    if state >> 24 < 40 {
                        *byte ^= 1 << (state >> 8 & 7);
                    }
                }
                (&pair.client).write_all(&bytes).is_ok()
            }
            Mode::SwapPorts(one, other) => (&pair.client).write_all(&swapped(&bytes, one, other)).is_ok(),
            _ => (&pair.client).write_all(&bytes).is_ok(),
        }
    }
}

/// The same bytes with one port in place of the other wherever a reply has a number or a text of its own for them, as those
/// to `CLUSTER SLOTS` and `SENTINEL GET-MASTER-ADDR-BY-NAME` do. The ports have as many digits as each other.
fn swapped(bytes: &[u8], one: u16, other: u16) -> Vec<u8> {
    let number = |port: u16| format!("\r\n:{port}\r\n").into_bytes();
    let text = |port: u16| format!("\r\n${}\r\n{port}\r\n", port.to_string().len()).into_bytes();
    let forms = [(number(one), number(other)), (text(one), text(other))];
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len() {
        let rest = &mut bytes[at..];
        for (one, other) in &forms {
            match (rest.starts_with(one), rest.starts_with(other)) {
                (true, _) => rest[..one.len()].copy_from_slice(other),
                (_, true) => rest[..one.len()].copy_from_slice(one),
                _ => {}
            }
        }
    }
    bytes
}

/// How many commands begin in these bytes, which hold whole ones.
fn commands(bytes: &[u8]) -> usize {
    usize::from(bytes.starts_with(b"*")) + bytes.windows(3).filter(|window| window == b"\r\n*").count()
}

impl Pair {
    fn close(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}
