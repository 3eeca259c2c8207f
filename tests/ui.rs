//! What the compiler says where the attribute is used wrongly.
//!
//! `TRYBUILD=overwrite cargo test --test ui` writes the expected messages anew. The compiler's own
//! words change between its versions; these are of the one that the project's checks run on.

#[test]
fn misuse() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// Messages that list the codecs there are.
#[cfg(all(feature = "json", feature = "messagepack"))]
#[test]
fn misuse_of_codecs() {
    trybuild::TestCases::new().compile_fail("tests/ui/features/*.rs");
}
