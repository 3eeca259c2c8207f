//! Frames of zstd.

use std::cell::Cell;

use zstd::bulk::{Compressor, Decompressor};

/// The level that zstd itself takes for the default.
const LEVEL: i32 = 3;

thread_local! {
    // Their tables take a hundred kilobytes and more, which cost more to make than most blocks.
    static MAKER: Cell<Option<Compressor<'static>>> = const { Cell::new(None) };
    static UNDOER: Cell<Option<Decompressor<'static>>> = const { Cell::new(None) };
}

pub(super) fn make(raw: &[u8], block: &mut [u8]) -> Option<usize> {
    let kept = MAKER.try_with(Cell::take).ok().flatten();
    let mut maker = match kept {
        Some(maker) => maker,
        None => Compressor::new(LEVEL).ok()?,
    };
    let made = maker.compress_to_buffer(raw, block).ok();
    // Its tables grow with the value.
    if raw.len() <= super::KEPT {
        MAKER.try_with(|cell| cell.set(Some(maker))).ok();
    }
    made
}

pub(super) fn undo(block: &[u8], raw: &mut [u8]) -> Option<usize> {
    let kept = UNDOER.try_with(Cell::take).ok().flatten();
    let mut undoer = match kept {
        Some(undoer) => undoer,
        None => Decompressor::new().ok()?,
    };
    let undone = undoer.decompress_to_buffer(block, raw).ok();
    UNDOER.try_with(|cell| cell.set(Some(undoer))).ok();
    undone
}
