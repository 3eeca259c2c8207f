//! What MessagePack can and cannot store.

use super::*;

#[test]
fn values_come_back() {
    everything::<MessagePack>();
    positional::<MessagePack>();
    self_describing::<MessagePack>();
    round_trip::<MessagePack, _>(Some(UnitStruct));
    round_trip::<MessagePack, _>((f64::INFINITY, f32::NEG_INFINITY));
}

#[test]
fn a_length_that_a_value_does_not_keep_is_refused() {
    lengths_are_kept::<MessagePack>();
}

/// serde buffers the contents of such types, and reads its buffer as a human-readable format.
#[test]
fn what_has_two_forms_comes_back_out_of_tagged_types() {
    let address: SocketAddr = "127.0.0.1:80".parse().expect("an address");
    round_trip::<MessagePack, _>(Logged::Internal { address });
    round_trip::<MessagePack, _>(Caller { id: 1, origin: Origin { address } });
}

#[test]
fn lengths_and_depths_that_bytes_claim_are_not_believed() {
    for bytes in [
        &[0xdd, 0xff, 0xff, 0xff, 0xff][..],
        &[0xdf, 0xff, 0xff, 0xff, 0xff, 1, 1],
        &[0xdb, 0xff, 0xff, 0xff, 0xff, b'a'],
        &[0xc6, 0xff, 0xff, 0xff, 0xff, b'a'],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, b'a'],
        &[0xc1],
        &[],
        &[0xd8, 1],
    ] {
        any_bytes::<MessagePack>(bytes);
        assert!(MessagePack::decode::<Vec<u64>>(bytes).is_err());
        assert!(MessagePack::decode::<serde::de::IgnoredAny>(bytes).is_err());
    }
    let deep: Vec<u8> = b"\x81\xa4More".repeat(200_000);
    assert!(MessagePack::decode::<Chain>(&deep).is_err());
    assert!(MessagePack::decode::<serde::de::IgnoredAny>(&[0x91; 200_000]).is_err());
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        any_bytes::<MessagePack>(&bytes);
    }
}
