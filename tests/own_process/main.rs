//! Tests that need a process without the other tests, because they count what belongs to a process: its allocator, its
//! threads, its installed cache.

mod config;
mod cost;
mod refresh_threads;
mod undelivered;
