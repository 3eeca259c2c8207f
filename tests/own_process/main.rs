//! Tests that need a process without the other tests, because they count what belongs to a process: its allocator, its
//! threads, its installed cache.

mod config;
mod cost;
#[cfg(all(feature = "json", feature = "messagepack"))]
mod crafted;
#[cfg(all(unix, feature = "local"))]
mod fork;
mod keeper;
#[cfg(target_os = "linux")]
mod large;
mod memory;
mod refresh_threads;
mod undelivered;

/// What a process has once is counted by one test at a time.
fn alone() -> std::sync::MutexGuard<'static, ()> {
    static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// How many caches have a background thread.
fn keepers() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    // Linux keeps 15 characters of a thread's name.
    names.filter(|name| name.starts_with("redis-cached ke")).count()
}
