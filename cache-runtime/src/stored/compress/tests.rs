use proptest::prelude::*;

use super::*;

const ALL: [Algorithm; 2] = [Algorithm::Lz4, Algorithm::Zstd];

fn enabled() -> impl Iterator<Item = Algorithm> {
    ALL.into_iter().filter(|algorithm| algorithm.is_enabled())
}

/// Text as JSON has it, which compresses well.
fn text(len: usize) -> Vec<u8> {
    (0..).flat_map(|id: u64| format!("{{\"id\":{id},\"name\":\"user {id}\"}},").into_bytes()).take(len).collect()
}

/// Bytes that do not compress.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()
    };
    (0..len.div_ceil(8)).flat_map(|_| next()).take(len).collect()
}

fn undone(payload: &[u8]) -> Result<Vec<u8>, CodecError> {
    let parts = Parts::of(payload).ok_or_else(|| CodecError::new("no parts"))?;
    let mut undone = None;
    parts.undo(&mut |raw| undone = Some(raw.to_vec()))?;
    Ok(undone.expect("the raw bytes"))
}

/// What programs set, for each algorithm that is enabled.
fn settings() -> Vec<(Algorithm, Compression)> {
    vec![
        #[cfg(feature = "lz4")]
        (Algorithm::Lz4, Compression::LZ4),
        #[cfg(feature = "zstd")]
        (Algorithm::Zstd, Compression::ZSTD),
    ]
}

#[test]
fn every_size_around_the_threshold_comes_back() {
    for (algorithm, setting) in settings() {
        for len in (0..40).chain(900..1300).chain([4096, 65_534, 65_535, 65_536, 100_000, 1 << 20, (1 << 20) + 1]) {
            let raw = text(len);
            let value = [b"header", &raw[..]].concat();
            let made = setting.apply(&value, 6);
            assert_eq!(made.is_some(), len >= 1024, "{algorithm} {len}");
            let Some(made) = made else { continue };
            assert!(made.starts_with(b"header") && made.len() + len / 8 <= value.len(), "{algorithm} {len}");
            assert_eq!(undone(&made[6..]).expect("raw bytes"), raw, "{algorithm} {len}");
        }
    }
}

#[test]
fn what_saves_less_than_an_eighth_is_left_alone() {
    for algorithm in enabled() {
        for len in [0, 1, 4, 5, 6, 12, 13, 100, 5_000, 100_000] {
            assert!(compressed(algorithm, &noise(len), 0).is_none(), "{algorithm} {len}");
        }
        // A quarter of it compresses to nothing, or a twentieth.
        let half = [noise(30_000), vec![0; 10_000]].concat();
        assert!(compressed(algorithm, &half, 0).is_some(), "{algorithm}");
        let little = [noise(38_000), vec![0; 2_000]].concat();
        assert!(compressed(algorithm, &little, 0).is_none(), "{algorithm}");
    }
}

#[test]
fn lies_about_the_length_are_refused() {
    for algorithm in enabled() {
        let raw = text(5_000);
        let made = compressed(algorithm, &raw, 0).expect("it compresses");
        for claimed in [0, 1, 4_999, 5_001, 5_064, 1 << 20, (64 << 20) + 1, u32::MAX] {
            let mut lie = made.clone();
            lie[1..5].copy_from_slice(&claimed.to_le_bytes());
            assert!(undone(&lie).is_err(), "{algorithm} {claimed}");
        }
        for len in 0..made.len() {
            assert!(undone(&made[..len]).is_err(), "{algorithm} {len}");
        }
        let longer = [&made[..], b"more"].concat();
        assert!(undone(&longer).is_err(), "{algorithm}");
    }
}

#[test]
fn an_algorithm_that_this_build_lacks_is_not_known() {
    for algorithm in ALL {
        let payload = [&[algorithm as u8][..], &[1, 0, 0, 0], b"block"].concat();
        assert_eq!(is_known(&payload), algorithm.is_enabled(), "{algorithm}");
        assert!(undone(&payload).is_err(), "{algorithm}");
    }
    assert!(!is_known(&[3, 1, 0, 0, 0, 0]) && !is_known(&[0, 1, 0, 0, 0, 0]) && !is_known(&[1, 1, 0, 0]));
}

/// What zeroes become is bounded for the writer as for the reader.
#[test]
fn what_a_reader_would_refuse_is_not_written() {
    for algorithm in enabled() {
        for len in [1 << 20, 64 << 20, (64 << 20) + 1] {
            let zeroes = vec![0; len];
            match compressed(algorithm, &zeroes, 0) {
                Some(made) => assert!(undone(&made).is_ok_and(|raw| raw == zeroes), "{algorithm} {len}"),
                None => assert!(algorithm == Algorithm::Zstd && len > 64 << 20, "{algorithm} {len}"),
            }
        }
    }
}

/// Decoding may run code that decodes another value.
#[test]
fn a_value_may_be_undone_within_another() {
    for algorithm in enabled() {
        let (outer, inner) = (text(3_000), text(2_000));
        let made = [&outer, &inner].map(|raw| compressed(algorithm, raw, 0).expect("it compresses"));
        let mut seen = Vec::new();
        let parts = made.each_ref().map(|made| Parts::of(made).expect("parts"));
        parts[0]
            .undo(&mut |raw| {
                parts[1].undo(&mut |raw| seen.push(raw.to_vec())).expect("raw bytes");
                seen.push(raw.to_vec());
            })
            .expect("raw bytes");
        assert!(seen == [inner, outer], "{algorithm}");
    }
}

proptest! {
    #[test]
    fn any_raw_bytes_come_back(raw in prop::collection::vec(0u8..4, 0..6_000), at in 0usize..40) {
        let value = [&vec![7; at][..], &raw[..]].concat();
        for algorithm in enabled() {
            if let Some(made) = compressed(algorithm, &value, at) {
                prop_assert!(made.starts_with(&value[..at]));
                prop_assert_eq!(&undone(&made[at..]).expect("raw bytes"), &raw);
            }
        }
    }

    #[test]
    fn any_bytes_are_survived(
        algorithm in prop_oneof![Just(1u8), Just(2), any::<u8>()],
        raw_len in prop_oneof![0u32..5_000, any::<u32>()],
        block in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let payload = [&[algorithm][..], &raw_len.to_le_bytes(), &block[..]].concat();
        let _ = undone(&payload);
        let _ = is_known(&payload);
        let _ = undone(&block);
    }

    #[test]
    fn damage_is_survived(at in 0usize..2_000, bit in 0..8u8) {
        for algorithm in enabled() {
            let mut made = compressed(algorithm, &text(5_000), 0).expect("it compresses");
            let at = at % made.len();
            made[at] ^= 1 << bit;
            let _ = undone(&made);
        }
    }
}
