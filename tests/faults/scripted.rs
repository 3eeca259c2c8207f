//! The tracked connection over a scripted wire: what is kept is served, or is not, by what the server says and when.
//!
//! All connections but the tracked one lead to a server. The tracked one ends at the script, which asks that server for
//! what it answers, and tells no changes but those that a test has it tell. A value that was changed at the server is thus
//! served in its old form for as long as the process keeps it.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server, eventually};

#[redis_cached(prefix = "s", name = "row", key = "{id}", local = 1000, cache = cache, skip(cache, origin))]
fn row(cache: &Cache, origin: &AtomicU64, id: u64) -> u64 {
    origin.load(SeqCst)
}

#[redis_cached(prefix = "s", name = "tagged", key = "{id}", tags = ["t"], local = 1000, cache = cache, skip(cache, origin))]
fn tagged(cache: &Cache, origin: &AtomicU64, id: u64) -> u64 {
    origin.load(SeqCst)
}

const KEY: &str = "s:row:1";

/// The answer to a question about the first row.
#[derive(Clone, Default)]
enum Answer {
    /// What the server has.
    #[default]
    Right,
    /// This first, then what the server has.
    After(Vec<u8>),
    /// What the server has, then this, in one write.
    Before(Vec<u8>),
    /// This in place of it.
    Instead(Vec<u8>),
    /// What the server has now, once the test says so.
    Held,
    /// Half of it, and the end of the connection.
    Half,
}

struct Script {
    server: u16,
    answer: Mutex<Answer>,
    /// The tracked connection of now.
    tracked: Mutex<Option<TcpStream>>,
    connections: AtomicUsize,
    questions: AtomicUsize,
    held: Mutex<Option<Vec<u8>>>,
    /// Invalidations do not get to the server while this is so.
    holds_invalidations: AtomicBool,
    /// The number of invalidations that have come.
    invalidations: AtomicUsize,
}

impl Script {
    fn start(server: &Server) -> (Arc<Script>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("redis://{}", listener.local_addr().unwrap());
        let script = Arc::new(Script {
            server: server.port(),
            answer: Mutex::default(),
            tracked: Mutex::default(),
            connections: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            held: Mutex::default(),
            holds_invalidations: AtomicBool::new(false),
            invalidations: AtomicUsize::new(0),
        });
        let to = Arc::clone(&script);
        thread::spawn(move || {
            for client in listener.incoming() {
                let to = Arc::clone(&to);
                thread::spawn(move || to.relay(client.unwrap()));
            }
        });
        (script, url)
    }

    /// Has the client and the server talk, until the client wants to hear of changes.
    fn relay(&self, mut client: TcpStream) {
        let mut server = TcpStream::connect(("127.0.0.1", self.server)).unwrap();
        let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        thread::spawn(move || _ = std::io::copy(&mut from, &mut to));
        let mut bytes = [0; 65_536];
        while let Ok(count @ 1..) = client.read(&mut bytes) {
            if bytes[..count].windows(8).any(|word| word == b"TRACKING") {
                return self.serve(client, server);
            }
            if bytes[..count].windows(6).any(|word| word == b"UNLINK") {
                self.invalidations.fetch_add(1, SeqCst);
                eventually("invalidations go on", || !self.holds_invalidations.load(SeqCst));
            }
            if server.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
        let _ = server.shutdown(std::net::Shutdown::Both);
    }

    fn serve(&self, mut client: TcpStream, server: TcpStream) {
        drop(server);
        *self.tracked.lock().unwrap() = Some(client.try_clone().unwrap());
        self.connections.fetch_add(1, SeqCst);
        client.write_all(b"+OK\r\n").unwrap();
        let mut lines = BufReader::new(client.try_clone().unwrap());
        while let Some(command) = command(&mut lines) {
            let sent = match &*command[0] {
                "ROLE" => client.write_all(b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n"),
                "GETRANGE" | "GET" => self.answer(&mut client, &command),
                _ => client.write_all(b"+OK\r\n"),
            };
            if sent.is_err() {
                return;
            }
        }
    }

    fn answer(&self, client: &mut TcpStream, command: &[String]) -> std::io::Result<()> {
        let right = self.ask(command);
        if command[1] != KEY {
            return client.write_all(&right);
        }
        self.questions.fetch_add(1, SeqCst);
        match self.answer.lock().unwrap().clone() {
            Answer::Right => client.write_all(&right),
            Answer::After(first) => client.write_all(&[first, right].concat()),
            Answer::Before(then) => client.write_all(&[right, then].concat()),
            Answer::Instead(bytes) => client.write_all(&bytes),
            Answer::Held => {
                let before = self.held.lock().unwrap().replace(right);
                assert!(before.is_none(), "one question at a time is held: the client counts its answers");
                Ok(())
            }
            Answer::Half => {
                client.write_all(&right[..right.len() / 2])?;
                client.shutdown(std::net::Shutdown::Both)
            }
        }
    }

    /// What the server has.
    fn ask(&self, command: &[String]) -> Vec<u8> {
        let client = redis::Client::open(("127.0.0.1", self.server)).unwrap();
        let ask = |client: redis::Client| {
            let mut connection = client.get_connection_with_timeout(PATIENCE)?;
            redis::cmd(&command[0]).arg(&command[1..]).query::<Option<Vec<u8>>>(&mut connection)
        };
        // The server is gone at the end of a test.
        let found = ask(client).unwrap_or_default();
        found.map_or(b"_\r\n".to_vec(), |bytes| bulk(&bytes))
    }

    fn set(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Sends bytes to the client, of the server's own accord.
    fn tell(&self, bytes: &[u8]) {
        self.tracked.lock().unwrap().as_ref().expect("a tracked connection").write_all(bytes).unwrap();
    }

    fn let_go(&self) {
        let held = self.held.lock().unwrap().take().expect("an answer is held");
        self.tell(&held);
    }
}

/// One command from the wire.
fn command(lines: &mut impl BufRead) -> Option<Vec<String>> {
    let mut number = |lead: char| {
        let mut line = String::new();
        lines.read_line(&mut line).ok()?;
        let count = line.trim().strip_prefix(lead)?.parse::<usize>().ok()?;
        let mut text = vec![0; if lead == '$' { count + 2 } else { 0 }];
        lines.read_exact(&mut text).ok()?;
        text.truncate(count);
        Some((count, String::from_utf8(text).unwrap()))
    };
    let (count, _) = number('*')?;
    (0..count).map(|_| number('$').map(|(_, text)| text)).collect()
}

fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The push that these keys have changed.
fn push(keys: &[&[u8]]) -> Vec<u8> {
    let names: Vec<u8> = keys.iter().flat_map(|key| bulk(key)).collect();
    [format!(">2\r\n$10\r\ninvalidate\r\n*{}\r\n", keys.len()).as_bytes(), &names].concat()
}

/// The push that any key may have changed.
const ANY: &[u8] = b">2\r\n$10\r\ninvalidate\r\n_\r\n";

struct Stage {
    server: Server,
    script: Arc<Script>,
    cache: Cache,
    origin: AtomicU64,
    fences: AtomicU64,
}

impl Stage {
    fn new() -> Stage {
        let server = Server::start();
        let (script, url) = Script::start(&server);
        let cache = Cache::builder(&url).unwrap().timeout(PATIENCE).local_bound(PATIENCE).build();
        Stage { server, script, cache, origin: AtomicU64::new(0), fences: AtomicU64::new(100) }
    }

    fn row(&self) -> u64 {
        row(&self.cache, &self.origin, 1)
    }

    /// Whether this call is answered from memory.
    fn is_hit(&self, call: impl Fn() -> u64) -> bool {
        let before = self.cache.stats().local_hits;
        call();
        self.cache.stats().local_hits > before
    }

    #[track_caller]
    fn keep(&self) {
        eventually("it is kept", || self.is_hit(|| self.row()));
    }

    /// Waits until the client has handled everything that was sent so far: a confirmation that is sent later has arrived.
    #[track_caller]
    fn settle(&self) {
        let id = self.fences.fetch_add(1, SeqCst);
        eventually("the client has read all", || self.is_hit(|| row(&self.cache, &self.origin, id)));
    }

    /// Changes the row at the server. The script tells nothing.
    fn change(&self, value: u64) {
        let other = Cache::builder(&self.server.url()).unwrap().timeout(PATIENCE).build();
        self.origin.store(value, SeqCst);
        row_entry(&other, 1).put(&value).unwrap();
    }

    /// Asserts that no confirmation with these answers has the row kept.
    #[track_caller]
    fn is_never_kept(&self, what: &str, answer: Answer) {
        self.script.set(answer);
        for _ in 0..20 {
            let asked = self.script.questions.load(SeqCst);
            assert!(!self.is_hit(|| self.row()), "{what}");
            eventually("it is asked about", || {
                assert!(!self.is_hit(|| self.row()), "{what}");
                self.script.questions.load(SeqCst) > asked
            });
            self.settle();
        }
        self.script.set(Answer::Right);
        self.keep();
        row_entry(&self.cache, 1).invalidate().unwrap();
    }
}

#[test]
fn what_is_confirmed_is_served() {
    let stage = Stage::new();
    stage.keep();
    stage.change(1);
    stage.settle();
    assert_eq!(stage.row(), 0, "nobody has told of the change");
    stage.script.tell(&push(&[KEY.as_bytes()]));
    stage.settle();
    assert_eq!(stage.row(), 1);
}

#[test]
fn a_push_around_the_answer_voids_it() {
    let stage = Stage::new();
    let told = push(&[KEY.as_bytes()]);
    stage.is_never_kept("a push before the answer", Answer::After(told.clone()));
    stage.is_never_kept("a push behind the answer", Answer::Before(told.clone()));
    stage.is_never_kept("two pushes", Answer::After([told.clone(), told].concat()));
}

#[test]
fn answers_that_confirm_nothing() {
    let stage = Stage::new();
    stage.is_never_kept("an empty slot", Answer::Instead(b"_\r\n".to_vec()));
    stage.is_never_kept("no value", Answer::Instead(bulk(b"")));
    stage.is_never_kept("something else", Answer::Instead(bulk(b"V of another program, and much more of it")));
    stage.is_never_kept("another type", Answer::Instead(b"-WRONGTYPE it is a list\r\n".to_vec()));
    stage.is_never_kept("no right", Answer::Instead(b"-NOPERM not for you\r\n".to_vec()));
    stage.is_never_kept("an integer", Answer::Instead(b":1\r\n".to_vec()));
    // The value of another moment.
    assert_eq!(stage.row(), 0);
    let head = stage.script.ask(&["GETRANGE", KEY, "0", "49"].map(str::to_owned));
    row_entry(&stage.cache, 1).invalidate().unwrap();
    stage.is_never_kept("another value", Answer::Instead(head));
}

#[test]
fn any_key_may_have_changed() {
    for told in [ANY, b">2\r\n$10\r\ninvalidate\r\n*1\r\n:7\r\n", b">2\r\n$10\r\ninvalidate\r\n$-1\r\n"] {
        let stage = Stage::new();
        stage.keep();
        eventually("it is kept", || stage.is_hit(|| tagged(&stage.cache, &stage.origin, 1)));
        stage.change(1);
        assert_eq!(stage.row(), 0);
        stage.script.tell(told);
        stage.settle();
        assert_eq!(stage.row(), 1);
        assert_eq!(stage.script.connections.load(SeqCst), 2, "a new connection");
        stage.keep();
        eventually("it is kept again", || stage.is_hit(|| tagged(&stage.cache, &stage.origin, 1)));
    }
}

#[test]
fn pushes_of_no_concern() {
    let stage = Stage::new();
    stage.keep();
    stage.change(1);
    let of_no_concern: [&[u8]; 6] = [
        &push(&[b"s:row:77"]),
        &push(&[b"#tag:nobody", b"x"]),
        &push(&[&[0xff, 0xfe, b's']]),
        &push(&[]),
        b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nm\r\n",
        b">2\r\n$8\r\nnonsense\r\n:1\r\n",
    ];
    for told in of_no_concern {
        stage.script.tell(told);
        stage.settle();
        assert_eq!(stage.row(), 0, "{}", String::from_utf8_lossy(told));
    }
    assert_eq!(stage.script.connections.load(SeqCst), 1);
    // A name that is none of this cache does not hide the next one.
    stage.script.tell(&push(&[&[0xff], KEY.as_bytes(), KEY.as_bytes()]));
    stage.settle();
    assert_eq!(stage.row(), 1);
}

#[test]
fn a_suspended_value_is_good_again_once_it_is_confirmed() {
    let stage = Stage::new();
    for _ in 0..3 {
        stage.keep();
        for _ in 0..2 {
            stage.script.tell(&push(&[KEY.as_bytes()]));
        }
        stage.settle();
        assert!(!stage.is_hit(|| stage.row()));
    }
    stage.keep();
}

#[test]
fn a_stamp_that_changed_suspends_what_is_under_it() {
    let stage = Stage::new();
    let call = |id| tagged(&stage.cache, &stage.origin, id);
    for _ in 0..3 {
        for id in 1..4 {
            eventually("it is kept", || stage.is_hit(|| call(id)));
        }
        stage.script.tell(&push(&[b"#tag:t"]));
        stage.settle();
        // The first call confirms the stamp again, for all.
        assert!(!stage.is_hit(|| call(1)));
    }
    let other = Cache::builder(&stage.server.url()).unwrap().timeout(PATIENCE).build();
    for id in 1..4 {
        eventually("it is kept", || stage.is_hit(|| call(id)));
    }
    stage.origin.store(1, SeqCst);
    other.blocking().invalidate_tag("t").unwrap();
    stage.script.tell(&push(&[b"#tag:t"]));
    stage.settle();
    assert!((1..4).all(|id| call(id) == 1));
}

#[test]
fn an_answer_from_before_an_own_write_counts_no_more() {
    let stage = Stage::new();
    for new in 1..6 {
        stage.script.set(Answer::Held);
        stage.row();
        eventually("the confirmation is under way", || stage.script.held.lock().unwrap().is_some());
        stage.origin.store(new, SeqCst);
        row_entry(&stage.cache, 1).invalidate().unwrap();
        stage.script.set(Answer::Right);
        stage.script.let_go();
        stage.settle();
        for _ in 0..10 {
            assert_eq!(stage.row(), new);
        }
        row_entry(&stage.cache, 1).invalidate().unwrap();
        // No question of these calls is held in the next round.
        stage.settle();
    }
}

/// The value is confirmed between the beginning of an invalidation and its execution.
#[test]
fn what_is_kept_during_an_own_write_is_gone_after_it() {
    let stage = &Stage::new();
    for new in 1..6 {
        assert_eq!(stage.row(), new - 1);
        let invalidations = stage.script.invalidations.load(SeqCst);
        stage.script.holds_invalidations.store(true, SeqCst);
        thread::scope(|scope| {
            let write = scope.spawn(|| row_entry(&stage.cache, 1).invalidate().unwrap());
            eventually("it has begun", || stage.script.invalidations.load(SeqCst) > invalidations);
            stage.keep();
            stage.origin.store(new, SeqCst);
            assert_eq!(stage.row(), new - 1, "nothing has changed at the server");
            stage.script.holds_invalidations.store(false, SeqCst);
            write.join().unwrap();
        });
        assert_eq!(stage.row(), new);
    }
}

#[test]
fn half_an_answer_is_none() {
    let stage = Stage::new();
    eventually("the fences are kept", || stage.is_hit(|| row(&stage.cache, &stage.origin, 2)));
    let connections = stage.script.connections.load(SeqCst);
    stage.script.set(Answer::Half);
    eventually("the connection ends", || {
        assert!(!stage.is_hit(|| stage.row()));
        stage.script.connections.load(SeqCst) > connections
    });
    stage.script.set(Answer::Right);
    stage.keep();
}
