//! The dashboard asks for names that a scrape of the service has.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use test_support::{Server, eventually};

/// The service, on a port of its own. It is killed when dropped.
struct Service {
    process: Child,
    address: String,
}

impl Service {
    fn start(redis: &Server) -> Service {
        let mut process = Command::new(env!("CARGO_BIN_EXE_observed"))
            .envs([("PORT", "0"), ("REDIS_URL", &redis.url())])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let address = lines
            .into_iter()
            .find_map(|line| Some(line.strip_prefix("http://")?.split('/').next()?.to_owned()))
            .expect("the service prints its address");
        Service { process, address }
    }

    fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(&self.address).unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address).unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        assert!(response.starts_with("HTTP/1.1 200"), "{response}");
        response
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What the names begin with.
const NAMES: [&str; 2] = ["redis_cached_", "db_client_"];

/// The names in a scrape: those that samples have, without the suffixes of histograms.
fn scraped(scrape: &str) -> BTreeSet<String> {
    let samples = scrape.lines().filter(|line| NAMES.iter().any(|name| line.starts_with(name)));
    samples.map(|line| line.split(['{', ' ']).next().unwrap_or_default().to_owned()).collect()
}

/// The names in the queries of the dashboard.
fn asked() -> BTreeSet<String> {
    let dashboard: Value = serde_json::from_str(include_str!("../grafana/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter().map(|it| it["query"].as_str().unwrap());
    let is_of_a_name = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let words = queries.chain(variables).flat_map(|query| query.split(move |char| !is_of_a_name(char)));
    words.filter(|word| NAMES.iter().any(|name| word.starts_with(name))).map(str::to_owned).collect()
}

/// Labels of these, with values that the load brings about.
const LABELS: [(&str, &[&str]); 7] = [
    ("result", &["local", "hit", "stale", "shared", "miss", "bypass", "stored", "refused", "delivered"]),
    ("outcome", &["ok", "err", "none"]),
    ("why", &["tags", "type"]),
    ("reason", &["size", "push", "void"]),
    ("lane", &["small"]),
    ("db_operation_name", &["GET", "MGET", "PIPELINE"]),
    ("kind", &["entry", "tag"]),
];

#[test]
fn the_dashboard_asks_for_what_is_scraped() {
    let redis = Server::start();
    let service = Service::start(&redis);
    let asked = asked();
    assert!(asked.len() > 12, "{asked:?}");
    let mut missing: Vec<String> = Vec::new();
    eventually("each name of the dashboard is scraped", || {
        let scrape = service.get("/metrics");
        assert!(scrape.contains("content-type: text/plain; version=0.0.4"), "{scrape}");
        missing = asked.difference(&scraped(&scrape)).cloned().collect();
        let labels = LABELS.iter().flat_map(|(label, values)| values.iter().map(move |value| (label, value)));
        let labels = labels.map(|(label, value)| format!("{label}=\"{value}\""));
        missing.extend(labels.filter(|label| !scrape.contains(label)));
        println!("not scraped yet: {missing:?}");
        missing.is_empty()
    });
    let overview = service.get("/");
    for function in ["observed:shop.", "product", "price", "report"] {
        assert!(overview.contains(function), "{overview}");
    }
}
