//! The service as clients see it: `curl`, and a browser.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use test_support::{Server, eventually};

/// The service, on a port of its own. It is killed when dropped.
struct Service {
    process: Child,
    url: String,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn start(redis: &Server) -> Service {
        let mut process = Command::new(env!("CARGO_BIN_EXE_weather_api"))
            .envs([("PORT", "0"), ("REDIS_URL", &redis.url())])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = Arc::<Mutex<Vec<String>>>::default();
        let noted = Arc::clone(&lines);
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| noted.lock().unwrap().push(line));
        });
        let mut url = None;
        eventually("the service listens", || {
            let lines = lines.lock().unwrap();
            url = lines.iter().find_map(|line| line.strip_prefix("Open ")?.split("/ in").next().map(str::to_owned));
            url.is_some()
        });
        Service { process, url: url.unwrap(), lines }
    }

    /// How many requests for the endpoint had this status.
    fn count(&self, status: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.starts_with("GET /weather/") && line.contains(status)).count()
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Response {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--max-time", "20"])
            .args(arguments)
            .arg(format!("{}{path}", self.url))
            .output()
            .expect("curl, which scripts/install installs");
        Response::of(&output)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Response {
    status: String,
    headers: String,
    body: String,
}

impl Response {
    fn of(output: &Output) -> Response {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
        let (head, body) = text.split_once("\n\n").unwrap();
        println!("{head}\n\n{body}\n");
        let (line, headers) = head.split_once('\n').unwrap();
        let status = line.split(' ').nth(1).unwrap();
        Response { status: status.to_owned(), headers: headers.to_owned(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

#[test]
fn curl_sees_one_computation() {
    let redis = Server::start();
    let services = [Service::start(&redis), Service::start(&redis)];
    let path = "/weather/oslo?units=metric";
    let first = services[0].curl(&[], path);
    assert_eq!((first.status.as_str(), first.header("cache-status")), ("200", Some("redis-cached; fwd=miss")));
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    let tag = first.header("etag").unwrap();

    // The other service, and another spelling.
    let second = services[1].curl(&[], "/weather/Oslo?units=metric");
    assert_eq!((second.status.as_str(), &second.body), ("200", &first.body));
    assert!(second.header("cache-status").unwrap().starts_with("redis-cached; hit; ttl="), "{}", second.headers);
    assert_eq!(second.header("etag"), Some(tag));
    assert!(second.header("age").is_some());

    let third = services[0].curl(&["--header", &format!("If-None-Match: {tag}")], path);
    assert_eq!((third.status.as_str(), third.body.as_str()), ("304", ""));
    assert_eq!(third.header("etag"), Some(tag));

    let imperial = services[0].curl(&[], "/weather/oslo?units=imperial");
    assert_eq!(imperial.header("cache-status"), Some("redis-cached; fwd=miss"), "another query, another entry");
    assert_ne!(imperial.body, first.body);

    assert_eq!(services[1].curl(&["--request", "DELETE"], path).status, "204");
    let again = services[0].curl(&[], path);
    assert_eq!(again.header("cache-status"), Some("redis-cached; fwd=miss"));
    for _ in 0..2 {
        let failed = services[0].curl(&[], "/weather/atlantis");
        assert_eq!((failed.status.as_str(), failed.header("etag")), ("502", None));
    }
    assert_eq!(services[0].curl(&["--head"], path).status, "200");
}

/// How often a browser loads the page in a session.
const LOADS: usize = 6;

/// A browser keeps the response, asks again at each load, and is told that it has it already.
#[test]
fn the_later_loads_of_a_browser_are_304s() {
    let redis = Server::start();
    let service = Service::start(&redis);
    let profile = tempdir();
    let first = load(&service, &profile);
    assert!(first.contains("computed"), "{first}");
    assert_eq!((service.count(": 200 OK"), service.count(": 304 Not Modified")), (1, 0));
    for again in 1..LOADS {
        let rows = load(&service, &profile);
        assert!(rows.contains("<td class=\"hit\">hit, ") || again > 1, "{rows}");
        // Past its lifetime the response is made anew, and is still the one that the browser has.
        assert_eq!((service.count(": 200 OK"), service.count(": 304 Not Modified")), (1, again));
    }
    println!("{LOADS} loads: {} requests", service.count(": 200 OK") + service.count(": 304 Not Modified"));
    std::fs::remove_dir_all(profile).unwrap();
}

fn tempdir() -> std::path::PathBuf {
    let profile = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("profile-{}", std::process::id()));
    std::fs::create_dir_all(&profile).unwrap();
    profile
}

/// The page after its scripts ran, in a browser with this profile.
fn load(service: &Service, profile: &Path) -> String {
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(["--timeout=20000", "--virtual-time-budget=10000", "--dump-dom"])
        .arg(format!("{}/", service.url))
        .output()
        .expect("chromium, which scripts/install installs");
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(page.contains(">/weather/oslo?units=metric</td>"), "{page}\n{}", String::from_utf8_lossy(&output.stderr));
    let rows = page.split("<tbody>").nth(1).and_then(|rest| rest.split("</tbody>").next()).unwrap();
    println!("{rows}");
    rows.to_owned()
}
