//! What of a compressed value travels, and how its bytes look to other clients.

use redis_cached::{Cache, redis_cached};
use test_support::{PATIENCE, Server};

#[redis_cached(prefix = "z", name = "text", key = "{len}", compress = lz4, cache = cache, skip(cache))]
async fn compressed(cache: &Cache, len: usize) -> String {
    "some text ".repeat(len / 10)
}

#[redis_cached(prefix = "z", name = "plain", cache = cache, skip(cache))]
async fn plain(cache: &Cache, len: usize) -> String {
    "some text ".repeat(len / 10)
}

/// `docs/PROTOCOL.md` has the places: the flag, the algorithm, the raw length, and then the block.
#[tokio::test]
async fn the_flag_and_the_lengths_are_in_the_bytes() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    for len in [100, 5_000] {
        compressed(&cache, len).await;
        plain(&cache, len).await;
    }
    let range = |key: &str, from: i32, to: i32| -> Vec<u8> {
        redis::cmd("GETRANGE").arg(key).arg(from).arg(to).query(&mut server.connection()).unwrap()
    };
    let strlen = |key: &str| server.cli(&["STRLEN", key]).parse::<usize>().unwrap();
    assert_eq!([range("z:text:5000", 102, 102), range("z:plain:5000", 102, 102)], [[4], [0]]);
    assert_eq!(range("z:text:100", 102, 102), [0], "below the threshold");
    let raw_len = strlen("z:plain:5000") - 112;
    assert_eq!(range("z:text:5000", 112, 116), [&[1][..], &(raw_len as u32).to_le_bytes()].concat());
    assert!(strlen("z:text:5000") < 200, "{}", strlen("z:text:5000"));
    // Other clients undo it with any library for LZ4 blocks.
    let raw = lz4_flex::block::decompress(&range("z:text:5000", 117, -1), raw_len).unwrap();
    assert_eq!(raw, range("z:plain:5000", 112, -1));
}

#[tokio::test]
async fn the_commands_are_those_of_any_value() {
    let server = Server::start();
    let cache = Cache::builder(&server.url()).unwrap().timeout(PATIENCE).build();
    compressed(&cache, 5_000).await;
    // The first read asks for the role of the server, too.
    compressed(&cache, 5_000).await;
    let mut monitor = server.monitor();
    compressed(&cache, 5_000).await;
    assert_eq!(monitor.commands(), [["GET", "z:text:5000"]]);
}
