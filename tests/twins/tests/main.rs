//! A binary that uses its package's library.

use std::process::Command;

#[test]
fn a_binary_does_not_get_the_values_of_its_library() {
    let output = Command::new(env!("CARGO_BIN_EXE_twins")).env_remove("REDIS_URL").output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 101\n", "{output:?}");
}
