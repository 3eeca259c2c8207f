//! Futures that are run at the same time.

use std::future::{Future, poll_fn};
use std::panic::resume_unwind;
use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::task::Poll;
use std::thread;

use crate::poll::block_on::block_on;

/// A future that is run beside others. It is boxed, so that each kind of output is compiled once.
pub(crate) type Job<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Returns the outputs, in the order of the jobs. Each wake-up polls all that are left, so they should be few. Jobs that
/// block run one after the other.
pub(crate) async fn join_all<T>(mut jobs: Vec<Job<'_, T>>) -> Vec<T> {
    let mut outputs: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut is_over = true;
        for (job, output) in jobs.iter_mut().zip(&mut outputs) {
            if output.is_none() {
                match job.as_mut().poll(context) {
                    Poll::Ready(ended) => *output = Some(ended),
                    Poll::Pending => is_over = false,
                }
            }
        }
        if is_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// Does what [`join_all`] does for jobs that block: each but the first has a thread of its own.
pub(crate) fn join_on_threads<T: Send>(jobs: Vec<Job<'_, T>>) -> Vec<T> {
    let jobs: Vec<Mutex<Option<Job<'_, T>>>> = jobs.into_iter().map(|job| Mutex::new(Some(job))).collect();
    let run = |job: &Mutex<Option<Job<'_, T>>>| {
        let job = job.lock().unwrap_or_else(PoisonError::into_inner).take();
        job.map(block_on)
    };
    thread::scope(|scope| {
        let start =
            |job| thread::Builder::new().name("redis-cached node".to_owned()).spawn_scoped(scope, move || run(job));
        let others: Vec<_> = jobs.iter().skip(1).map(start).collect();
        let mut outputs: Vec<Option<T>> = jobs.first().map(run).into_iter().collect();
        for (started, job) in others.into_iter().zip(jobs.iter().skip(1)) {
            // Without a thread for it, a job runs here.
            outputs.push(match started {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                Err(_) => run(job),
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

    fn jobs<T>(futures: [impl Future<Output = T> + Send + 'static; 3]) -> Vec<Job<'static, T>> {
        futures.into_iter().map(|future| Box::pin(future) as Job<'_, T>).collect()
    }

    #[test]
    fn outputs_have_the_order_of_their_futures() {
        assert_eq!(block_on(join_all(jobs([1, 2, 3].map(ready)))), [1, 2, 3]);
        assert_eq!(block_on(both(ready(1), ready("b"))), (1, "b"));
        assert_eq!(block_on(join_all(Vec::<Job<'_, u8>>::new())), Vec::<u8>::new());
    }

    #[test]
    fn a_job_that_has_ended_is_not_polled_again() {
        let mut waits = 3;
        let slow = poll_fn(|_| {
            waits -= 1;
            if waits == 0 { Poll::Ready(2) } else { Poll::Pending }
        });
        // A second poll of this one would panic.
        let mut joined = Box::pin(join_all(vec![Box::pin(async { 1_u8 }) as Job<'_, u8>, Box::pin(slow)]));
        assert!(step(joined.as_mut()).is_pending() && step(joined.as_mut()).is_pending());
        assert!(matches!(step(joined.as_mut()), Poll::Ready(outputs) if outputs == [1, 2]));
    }

    #[test]
    fn futures_that_block_run_at_the_same_time() {
        let barrier = std::sync::Arc::new(std::sync::Barrier::new(3));
        let meet = |number: u8| {
            let barrier = std::sync::Arc::clone(&barrier);
            async move {
                barrier.wait();
                number
            }
        };
        assert_eq!(join_on_threads(jobs([1, 2, 3].map(meet))), [1, 2, 3]);
        assert_eq!(join_on_threads(Vec::<Job<'_, u8>>::new()), Vec::<u8>::new());
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
