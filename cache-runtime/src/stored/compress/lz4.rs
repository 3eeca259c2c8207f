//! LZ4 blocks, without a frame.

use lz4_flex::block;

pub(super) fn room(raw: usize) -> usize {
    block::get_maximum_output_size(raw)
}

pub(super) fn make(raw: &[u8], block: &mut [u8]) -> Option<usize> {
    block::compress_into(raw, block).ok()
}

pub(super) fn undo(block: &[u8], raw: &mut [u8]) -> Option<usize> {
    block::decompress_into(block, raw).ok()
}
