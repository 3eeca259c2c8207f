//! Handshakes of TLS that never end, through each library: they leave no thread and no socket, and the pool recovers.
//!
//! Threads and sockets belong to a process: the test has one of its own, and the servers are in another one.

use std::fs;
use std::io::{Read, Write, copy};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use redis_cached::Cache;
use test_support::{TlsServer, eventually};

/// The variable that hands the child a URL.
const URL: &str = "REDIS_CACHED_HANDSHAKES_URL";

/// The number of connections whose handshakes hang.
const HUNG: usize = 4;

/// The beginning of a handshake record of 122 bytes.
const BEGINNING: &[u8] = &[22, 3, 3, 0, 122, 2, 0, 0, 118, 3, 3];

/// The first connections hang: one gets nothing, the next one a part of the server's first message, and so on. Later ones
/// reach the server.
fn hanging(server: &TlsServer) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let (port, target) = (listener.local_addr().expect("an address").port(), server.tls_port());
    thread::spawn(move || {
        let mut hung = Vec::new();
        for (number, client) in listener.incoming().enumerate() {
            let Ok(mut client) = client else { return };
            if number >= HUNG {
                forward(client, target);
                continue;
            }
            if number % 2 == 1 {
                let mut hello = [0; 64];
                let _ = client.read(&mut hello);
                let _ = client.write_all(BEGINNING);
            }
            hung.push(client);
        }
    });
    port
}

fn forward(client: TcpStream, target: u16) {
    let server = TcpStream::connect(("127.0.0.1", target)).expect("the server");
    for (mut from, mut to) in [(&client, &server), (&server, &client)]
        .map(|(from, to)| (from.try_clone().expect("a socket"), to.try_clone().expect("a socket")))
    {
        thread::spawn(move || {
            let _ = copy(&mut from, &mut to);
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

fn entries(directory: &str, matches: impl Fn(&std::path::Path) -> bool) -> usize {
    let entries = fs::read_dir(directory).expect("Linux");
    entries.filter_map(Result::ok).filter(|entry| matches(&entry.path())).count()
}

/// The threads that open connections.
fn threads() -> usize {
    entries("/proc/self/task", |task| {
        fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with("redis-cached co"))
    })
}

fn sockets() -> usize {
    entries("/proc/self/fd", |file| {
        fs::read_link(file).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    })
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "it counts in /proc")]
fn that_hang_leave_nothing() {
    let Ok(url) = std::env::var(URL) else {
        let server = TlsServer::with(&["--tls-auth-clients", "no"]);
        let url = format!("rediss://localhost:{}", hanging(&server));
        let mut child = test_support::child(module_path!(), "that_hang_leave_nothing");
        let output = child.env(URL, url).env("SSL_CERT_FILE", server.certificates.path("ca.pem")).output();
        let output = output.expect("a child");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        println!("{text}");
        return;
    };
    let cache = Cache::builder(&url).expect("a URL").timeout(Duration::from_millis(200)).build();
    let (threads_before, sockets_before) = (threads(), sockets());
    for _ in 0..HUNG {
        // An invalidation is sent whatever is known of the server. The task that delivers it later may meet the last
        // silence.
        if cache.blocking().invalidate_tag("org:7").is_ok() {
            break;
        }
        eventually("its thread ends", || threads() <= threads_before);
        // The task that delivers has a connection, too. More are there once the server is reached.
        eventually("its socket is closed", || sockets() <= sockets_before + 1 || cache.blocking().ping().is_ok());
    }
    eventually("the server is reached", || cache.blocking().ping().is_ok());
    eventually("the pool grows", || {
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..50).for_each(|_| drop(cache.blocking().ping())));
            }
        });
        sockets() >= sockets_before + 3
    });
}
