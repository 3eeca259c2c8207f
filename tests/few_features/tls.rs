//! URLs for TLS where no feature for it is on.

use redis_cached::{Cache, ErrorKind};

#[test]
fn a_url_for_tls_names_the_features() {
    for url in ["rediss://:hunter2@localhost", "valkeys://localhost/3"] {
        let error = Cache::builder(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Config, "{error}");
        let message = error.to_string();
        assert!(message.contains("`tls-rustls`") && message.contains("`tls-native`"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}
