//! Futures that are run at the same time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

/// Returns the outputs, in the order of the futures. Each wake-up polls all that are left, so they should be few. Futures
/// that block run one after the other.
pub(crate) async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut outputs = Vec::new();
    join_until(futures, |at, output| {
        outputs.push((at, output));
        false
    })
    .await;
    outputs.sort_by_key(|(at, _)| *at);
    outputs.into_iter().map(|(_, output)| output).collect()
}

/// Returns both outputs.
pub(crate) async fn both<A: Future, B: Future>(one: A, other: B) -> (A::Output, B::Output) {
    let (mut one, mut other) = (pin!(one), pin!(other));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(output) = one.as_mut().poll(context)
        {
            first = Some(output);
        }
        if second.is_none()
            && let Poll::Ready(output) = other.as_mut().poll(context)
        {
            second = Some(output);
        }
        match (first.take(), second.take()) {
            (Some(first), Some(second)) => Poll::Ready((first, second)),
            (left, right) => {
                (first, second) = (left, right);
                Poll::Pending
            }
        }
    })
    .await
}

/// Hands over each output, with the position of its future, as it comes, until `is_enough` returns true. The futures that
/// are left are dropped.
pub(crate) async fn join_until<F: Future>(
    futures: impl IntoIterator<Item = F>,
    mut is_enough: impl FnMut(usize, F::Output) -> bool,
) {
    let mut left: Vec<(usize, Pin<Box<F>>)> =
        futures.into_iter().enumerate().map(|(at, future)| (at, Box::pin(future))).collect();
    poll_fn(|context| {
        let mut is_over = false;
        left.retain_mut(|(at, future)| {
            if is_over {
                return true;
            }
            match future.as_mut().poll(context) {
                Poll::Ready(output) => {
                    is_over = is_enough(*at, output);
                    false
                }
                Poll::Pending => true,
            }
        });
        if is_over || left.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::poll::block_on::{block_on, step};

    #[test]
    fn outputs_have_the_order_of_their_futures() {
        assert_eq!(block_on(join_all([1, 2, 3].map(ready))), [1, 2, 3]);
        assert_eq!(block_on(both(ready(1), ready("b"))), (1, "b"));
        assert_eq!(block_on(join_all(Vec::<std::future::Ready<u8>>::new())), Vec::<u8>::new());
    }

    #[test]
    fn enough_is_enough() {
        let mut seen = Vec::new();
        let futures: Vec<Pin<Box<dyn Future<Output = u8>>>> =
            vec![Box::pin(pending()), Box::pin(ready(1)), Box::pin(ready(2))];
        let mut joined = Box::pin(join_until(futures, |at, output| {
            seen.push((at, output));
            output == 1
        }));
        assert!(step(joined.as_mut()).is_ready());
        drop(joined);
        assert_eq!(seen, [(1, 1)]);
    }
}
