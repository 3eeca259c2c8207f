//! How much of the stack recursive values take.
//!
//! How much a level takes depends on the type: in a build without optimizations, that of a struct with many fields takes
//! 25 KB. A number of levels is no bound, therefore.

/// How much of the stack a walk over a value may take: less than half of what a thread has in Rust, and a worker of tokio, unless
/// somebody says otherwise.
const BYTES: usize = 768 * 1024;

/// Where on the stack something began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack(usize);

impl Stack {
    /// Here.
    #[inline]
    pub(crate) fn here() -> Stack {
        let place = 0_u8;
        Stack(std::ptr::from_ref(std::hint::black_box(&place)).addr())
    }

    /// Whether it has come too far since.
    #[inline]
    pub(crate) fn is_spent(self) -> bool {
        Stack::here().0.abs_diff(self.0) > BYTES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_spent_before_a_thread_overflows() {
        fn level(root: Stack, levels: usize) -> usize {
            let room = std::hint::black_box([0_u8; 4096]);
            if root.is_spent() { levels + usize::from(room[0]) } else { level(root, levels + 1) }
        }
        let walk = || level(Stack::here(), 0);
        let levels = std::thread::Builder::new().stack_size(1 << 20).spawn(walk).expect("a thread").join();
        assert!((50..200).contains(&levels.expect("no overflow")));
    }
}
