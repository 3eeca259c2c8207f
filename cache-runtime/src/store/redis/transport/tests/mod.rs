//! Tests of connections in processes of their own.

mod handshakes;
