//! Futures that are run at the same time.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::thread;

use crate::poll::block_on::block_on;

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

/// Does what [`join_all`] does for futures that block: each but the first has a thread of its own.
pub(crate) fn join_on_threads<F: Future<Output: Send> + Send>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let futures: Vec<Mutex<Option<F>>> = futures.into_iter().map(|future| Mutex::new(Some(future))).collect();
    let run = |future: &Mutex<Option<F>>| {
        let future = future.lock().unwrap_or_else(PoisonError::into_inner).take();
        future.map(block_on)
    };
    thread::scope(|scope| {
        let start = |future| {
            thread::Builder::new().name("redis-cached node".to_owned()).spawn_scoped(scope, move || run(future))
        };
        let others: Vec<_> = futures.iter().skip(1).map(start).collect();
        let mut outputs: Vec<Option<F::Output>> = futures.first().map(run).into_iter().collect();
        for (started, future) in others.into_iter().zip(futures.iter().skip(1)) {
            // Without a thread for it, a future runs here.
            outputs.push(match started {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => run(future),
            });
        }
        outputs.into_iter().flatten().collect()
    })
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
    fn futures_that_block_run_at_the_same_time() {
        let barrier = std::sync::Barrier::new(3);
        let meet = async |number: u8| {
            barrier.wait();
            number
        };
        assert_eq!(join_on_threads([1, 2, 3].map(meet)), [1, 2, 3]);
        assert_eq!(join_on_threads(Vec::<std::future::Ready<u8>>::new()), Vec::<u8>::new());
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
