//! The library without its default codec, without TLS and without compression, which other tests have.

#[path = "../attribute/codec_auto.rs"]
mod codec_auto;
mod compression;
#[cfg(feature = "tls-native")]
#[path = "../tls/handshakes.rs"]
mod handshakes;
#[cfg(not(feature = "tls-native"))]
mod tls;
