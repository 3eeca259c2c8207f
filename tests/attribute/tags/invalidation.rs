//! An invalidated tag drops every entry that has it.

use super::*;

fn is_remote(cache: &Cache) -> bool {
    format!("{cache:?}").contains("redis://")
}

#[tokio::test]
async fn a_tag_drops_what_has_it_in_every_function_group_face_and_process() {
    let server = Server::start();
    for [one, other] in pairs(&server) {
        let runs = AtomicUsize::new(0);
        for org in [7, 77, 8] {
            user(&one, &runs, org, 1).await;
            user(&other, &runs, org, 2).await;
            total(&one, &runs, org);
            seat(&other, &runs, 3, org).await;
            both(&one, &runs, org, "a").await;
        }
        let stored = async |org| {
            [
                user_entry(&other, org, 1).get().await.unwrap().is_some(),
                user_entry(&one, org, 2).get().await.unwrap().is_some(),
                total_entry(&other, org).get().unwrap().is_some(),
                seat_entry(&one, 3, org).get().await.unwrap().is_some(),
                both_entry(&other, org, "a").get().await.unwrap().is_some(),
            ]
        };
        for org in [7, 77, 8] {
            assert_eq!(stored(org).await, [true; 5]);
        }
        for tag in ["org", "org:", "7", "org:70", "org:7:", "user", "tags:user:7:1", "*", "org:*"] {
            assert!(!one.invalidate_tag(tag).await.unwrap(), "{tag}");
        }
        assert!(other.invalidate_tag("org:7").await.unwrap());
        assert_eq!(stored(7).await, [false; 5]);
        for org in [77, 8] {
            assert_eq!(stored(org).await, [true; 5]);
        }
        // A value that is computed afterwards is valid.
        let before = runs.load(SeqCst);
        assert_eq!(user(&one, &runs, 7, 1).await, user(&other, &runs, 7, 1).await);
        assert_eq!(total(&other, &runs, 7), total(&one, &runs, 7));
        assert_eq!(seat(&other, &runs, 3, 7).await, seat(&one, &runs, 3, 7).await);
        assert_eq!(runs.load(SeqCst), before + 3);
        assert!(one.blocking().invalidate_tag("org:7").unwrap());
        assert_eq!(stored(7).await, [false; 5]);
    }
}

#[tokio::test]
async fn either_of_two_tags_drops_an_entry() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        let (one, two) = (both_entry(&cache, 1, "a"), both_entry(&cache, 2, "a"));
        let stored = async || (one.get().await.unwrap().is_some(), two.get().await.unwrap().is_some());
        let fill = async || {
            both(&cache, &runs, 1, "a").await;
            both(&cache, &runs, 2, "a").await;
            assert_eq!(stored().await, (true, true));
        };
        fill().await;
        assert!(cache.invalidate_tag("org:1").await.unwrap());
        assert_eq!(stored().await, (false, true));
        fill().await;
        assert!(cache.invalidate_tag("kind:a").await.unwrap());
        assert_eq!(stored().await, (false, false));
        fill().await;
        assert!(!cache.invalidate_tag("kind:b").await.unwrap());
        assert_eq!(stored().await, (true, true));
    }
}

#[tokio::test]
async fn a_thousand_entries_go_with_one_command() {
    let server = Server::start();
    for cache in caches(&server) {
        let runs = AtomicUsize::new(0);
        for id in 0..1_000 {
            user(&cache, &runs, 7, id).await;
        }
        user(&cache, &runs, 8, 0).await;
        let mut monitor = server.monitor();
        assert!(cache.invalidate_tag("org:7").await.unwrap());
        let sent = asked(&mut monitor);
        assert!(sent.len() == usize::from(is_remote(&cache)), "{sent:?}");
        for id in 0..1_000 {
            assert_eq!(user_entry(&cache, 7, id).get().await.unwrap(), None, "{id}");
        }
        assert!(user_entry(&cache, 8, 0).get().await.unwrap().is_some());
    }
}

#[tokio::test]
async fn namespaces_have_tags_of_their_own() {
    let server = Server::start();
    let [one, two] =
        ["one", "two"].map(|name| Cache::builder(&server.url()).unwrap().namespace(name).timeout(PATIENCE).build());
    let (without, runs) = (remote(&server), AtomicUsize::new(0));
    for cache in [&one, &two, &without] {
        user(cache, &runs, 7, 1).await;
        total(cache, &runs, 7);
    }
    let mut monitor = server.monitor();
    assert!(one.invalidate_tag("org:7").await.unwrap());
    assert_eq!(asked(&mut monitor), [["UNLINK", "one:#tag:org:7"]]);
    assert!(user_entry(&one, 7, 1).get().await.unwrap().is_none());
    assert!(total_entry(&one, 7).get().unwrap().is_none());
    for cache in [&two, &without] {
        assert!(user_entry(cache, 7, 1).get().await.unwrap().is_some());
    }
    assert!(without.invalidate_tag("org:7").await.unwrap());
    assert!(total_entry(&two, 7).get().unwrap().is_some());
    // Another handle on the same.
    let two_again = Cache::builder(&server.url()).unwrap().namespace("two").timeout(PATIENCE).build();
    assert!(two_again.invalidate_tag("org:7").await.unwrap());
    assert!(total_entry(&two, 7).get().unwrap().is_none());
}
