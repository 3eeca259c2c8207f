//! One connection that many tasks share.
//!
//! Requests are written in the order in which they were made, and replies come in that order. A
//! task of its own, the driver, moves the bytes; it wakes each request when its replies are
//! there, and when its deadline is over. A request that is dropped leaves its place in the order
//! behind, so that its replies find nobody and go nowhere.
//!
//! redis-rs' multiplexed connection does the same with two channels, several allocations and a
//! timer for each request, which together cost more than the request.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::AbortHandle;
use tokio::time::Sleep;

use super::fault::{Blame, Fault};
use super::resp::{Answer, Malformed, Reader};
use super::transport::{Reply, Request};
use crate::error::ErrorKind;

/// A request of this size is written from its own bytes rather than behind others.
const LARGE: usize = 32 * 1024;

/// How late a wake-up may be, so that many deadlines close together are one.
const SLACK: Duration = Duration::from_millis(2);

/// A connection, closed when dropped.
#[derive(Debug)]
pub(crate) struct Line {
    requests: Arc<Requests>,
    driver: AbortHandle,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// No replies within the deadline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Late;

impl Line {
    /// Starts the driver of a connection on the current runtime. `usual` is how long deadlines
    /// mostly are.
    pub(crate) fn over<S>(socket: S, usual: Duration) -> Line
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = Arc::<Requests>::default();
        let driver = Driver {
            socket,
            reader: Reader::new(),
            requests: Closing(Arc::clone(&requests)),
            writing: Vec::new(),
            written: 0,
            answers: Vec::new(),
            wakers: Vec::new(),
            usual,
            seen: 0,
            next: None,
            timer: None,
        };
        let driver = tokio::spawn(driver).abort_handle();
        Line { requests, driver }
    }

    /// Sends a request and waits for its replies.
    pub(crate) async fn ask(&self, request: &Request, by: Instant) -> Result<Result<Reply, Fault>, Late> {
        let sent = Instant::now();
        let mut asked = Asked { requests: &self.requests, place: None };
        poll_fn(|context| asked.poll(request, sent, by, context)).await
    }
}

#[derive(Debug, Default)]
struct Requests(Mutex<Shared>);

impl Requests {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What requests and the driver share.
#[derive(Debug, Default)]
struct Shared {
    /// Bytes to write.
    out: VecDeque<Vec<u8>>,
    /// The places of those whose replies are to come, in order.
    order: VecDeque<usize>,
    places: Vec<Place>,
    free: Vec<usize>,
    /// Requests so far.
    count: u64,
    driver: Option<Waker>,
    /// Whether the driver knows that there is something to do.
    roused: bool,
    /// The first deadline that the driver has to know of.
    next: Option<Instant>,
    /// Why no reply comes any more.
    closed: Option<Fault>,
}

/// One request.
#[derive(Debug)]
struct Place {
    by: Instant,
    waker: Option<Waker>,
    /// Replies to come.
    missing: usize,
    first: Option<Answer>,
    others: Vec<Answer>,
    /// Nobody waits for the replies.
    abandoned: bool,
}

impl Shared {
    /// Puts a request in line.
    fn push(&mut self, request: &Request, large: Option<Vec<u8>>, by: Instant, waker: Waker) -> usize {
        match large {
            Some(bytes) => {
                self.out.push_back(bytes);
                // What follows has a buffer of its own.
                self.out.push_back(Vec::new());
            }
            None => {
                if self.out.is_empty() {
                    self.out.push_back(Vec::new());
                }
                if let Some(buffer) = self.out.back_mut() {
                    request.write(buffer);
                }
            }
        }
        let place = Place {
            by,
            waker: Some(waker),
            missing: request.replies(),
            first: None,
            others: Vec::new(),
            abandoned: false,
        };
        let at = match self.free.pop() {
            Some(at) => {
                self.places[at] = place;
                at
            }
            None => {
                self.places.push(place);
                self.places.len() - 1
            }
        };
        self.order.push_back(at);
        self.count += 1;
        if self.next.is_none_or(|next| by < next) {
            self.next = Some(by);
        }
        at
    }

    /// The driver's waker, unless it is awake.
    fn rouse(&mut self) -> Option<Waker> {
        if std::mem::replace(&mut self.roused, true) { None } else { self.driver.clone() }
    }

    /// Hands a reply to the request whose turn it is.
    fn deliver(&mut self, answer: Answer, wakers: &mut Vec<Waker>) -> Result<(), Fault> {
        let Some(&at) = self.order.front() else {
            // Before it closes, a server may say why.
            return Err(match answer {
                Answer::Error(error) => Fault { blame: Blame::Connection, ..Fault::from(&error) },
                _ => Fault::unexpected("nothing"),
            });
        };
        let place = &mut self.places[at];
        place.missing -= 1;
        if !place.abandoned {
            match place.first {
                None => place.first = Some(answer),
                Some(_) => place.others.push(answer),
            }
        }
        if place.missing == 0 {
            self.order.pop_front();
            if place.abandoned {
                self.free.push(at);
            } else {
                wakers.extend(place.waker.take());
            }
        }
        Ok(())
    }

    /// Collects whose time is over, and decides when to look again.
    fn expire(&mut self, now: Instant, usual: Duration, seen: &mut u64, wakers: &mut Vec<Waker>) -> Option<Instant> {
        let mut earliest: Option<Instant> = None;
        for at in &self.order {
            let place = &mut self.places[*at];
            if place.by <= now {
                wakers.extend(place.waker.take());
            } else if !place.abandoned {
                earliest = Some(earliest.map_or(place.by, |earliest| earliest.min(place.by)));
            }
        }
        self.next = match earliest {
            Some(by) => Some(by.max(now + SLACK)),
            // Others may be about to come; after a while without any, there is nothing to keep.
            None if self.count != *seen => Some(now + usual),
            None => None,
        };
        *seen = self.count;
        self.next
    }

    /// Ends all requests.
    fn close(&mut self, fault: Fault, wakers: &mut Vec<Waker>) {
        self.closed.get_or_insert(fault);
        self.out.clear();
        for at in self.order.drain(..) {
            wakers.extend(self.places[at].waker.take());
        }
    }
}

/// A request on its way. Dropped, it gives up its replies.
struct Asked<'a> {
    requests: &'a Requests,
    place: Option<usize>,
}

impl Asked<'_> {
    fn poll(
        &mut self,
        request: &Request,
        sent: Instant,
        by: Instant,
        context: &Context<'_>,
    ) -> Poll<Result<Result<Reply, Fault>, Late>> {
        let Some(at) = self.place else {
            return self.send(request, by, context);
        };
        let mut shared = self.requests.lock();
        let place = &mut shared.places[at];
        if place.missing == 0 {
            let (first, others) = (place.first.take(), std::mem::take(&mut place.others));
            shared.free.push(at);
            self.place = None;
            drop(shared);
            return Poll::Ready(Ok(Ok(Reply::new(first, others, sent))));
        }
        if let Some(fault) = &shared.closed {
            return Poll::Ready(Ok(Err(fault.clone())));
        }
        if by <= Instant::now() {
            return Poll::Ready(Err(Late));
        }
        let waker = &mut shared.places[at].waker;
        if !waker.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
        Poll::Pending
    }

    fn send(
        &mut self,
        request: &Request,
        by: Instant,
        context: &Context<'_>,
    ) -> Poll<Result<Result<Reply, Fault>, Late>> {
        // Copied outside of the lock.
        let large = (request.size() > LARGE).then(|| {
            let mut bytes = Vec::new();
            request.write(&mut bytes);
            bytes
        });
        let mut shared = self.requests.lock();
        if let Some(fault) = &shared.closed {
            return Poll::Ready(Ok(Err(fault.clone())));
        }
        self.place = Some(shared.push(request, large, by, context.waker().clone()));
        let driver = shared.rouse();
        drop(shared);
        if let Some(driver) = driver {
            driver.wake();
        }
        Poll::Pending
    }
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        let Some(at) = self.place else { return };
        let mut shared = self.requests.lock();
        let place = &mut shared.places[at];
        // Dropped outside of the lock: it may be the last of a task.
        let waker = place.waker.take();
        let late = (place.first.take(), std::mem::take(&mut place.others));
        if place.missing == 0 {
            shared.free.push(at);
        } else {
            place.abandoned = true;
        }
        drop(shared);
        drop((waker, late));
    }
}

/// Closes for all when the driver ends, however it does.
struct Closing(Arc<Requests>);

impl Closing {
    fn close(&self, fault: Fault) {
        let mut wakers = Vec::new();
        self.0.lock().close(fault, &mut wakers);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.close(Fault::from(io::Error::from(io::ErrorKind::NotConnected)));
    }
}

/// The task that moves the bytes.
struct Driver<S> {
    socket: S,
    reader: Reader,
    requests: Closing,
    writing: Vec<u8>,
    written: usize,
    /// Kept for their room.
    answers: Vec<Answer>,
    wakers: Vec<Waker>,
    usual: Duration,
    seen: u64,
    next: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        let outcome = driver.run(context);
        driver.wakers.drain(..).for_each(Waker::wake);
        match outcome {
            Poll::Ready(Err(fault)) => {
                driver.requests.close(fault);
                Poll::Ready(())
            }
            Poll::Ready(Ok(never)) => match never {},
            Poll::Pending => Poll::Pending,
        }
    }
}

enum Never {}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    fn run(&mut self, context: &mut Context<'_>) -> Poll<Result<Never, Fault>> {
        // Both ways in any case: a peer that waits for us to read does not read itself.
        let written = self.write(context)?;
        self.read(context)?;
        if written.is_ready() {
            self.expire(context);
        }
        Poll::Pending
    }

    /// Writes what there is. Pending if the socket takes no more.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        loop {
            while self.written < self.writing.len() {
                let socket = Pin::new(&mut self.socket);
                match ready!(socket.poll_write(context, &self.writing[self.written..]))? {
                    0 => return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into())),
                    count => self.written += count,
                }
            }
            self.written = 0;
            self.writing.clear();
            if self.writing.capacity() > LARGE {
                self.writing = Vec::new();
            }
            let mut shared = self.requests.0.lock();
            if !shared.driver.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
                shared.driver = Some(context.waker().clone());
            }
            match shared.out.pop_front() {
                // The buffers take turns.
                Some(buffer) if shared.out.is_empty() => {
                    let empty = std::mem::replace(&mut self.writing, buffer);
                    shared.out.push_back(empty);
                }
                Some(buffer) => self.writing = buffer,
                None => {}
            }
            if self.writing.is_empty() && shared.out.iter().all(Vec::is_empty) {
                shared.roused = false;
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Reads what there is.
    fn read(&mut self, context: &mut Context<'_>) -> Result<(), Fault> {
        loop {
            let mut space = ReadBuf::new(self.reader.space());
            match Pin::new(&mut self.socket).poll_read(context, &mut space)? {
                Poll::Pending => return Ok(()),
                Poll::Ready(()) => {}
            }
            match space.filled().len() {
                0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
                count => self.reader.filled(count),
            }
            loop {
                match self.reader.next() {
                    Ok(Some(answer)) => self.answers.push(answer),
                    Ok(None) => break,
                    Err(Malformed) => {
                        return Err(Fault::new(ErrorKind::Protocol, Blame::Connection, "the reply is malformed"));
                    }
                }
            }
            if !self.answers.is_empty() {
                let mut shared = self.requests.0.lock();
                for answer in self.answers.drain(..) {
                    shared.deliver(answer, &mut self.wakers)?;
                }
            }
        }
    }

    /// Keeps the timer at the first deadline, and wakes whose time is over.
    fn expire(&mut self, context: &mut Context<'_>) {
        loop {
            let wanted = self.requests.0.lock().next;
            if wanted != self.next {
                self.next = wanted;
                match (wanted, &mut self.timer) {
                    (Some(next), Some(timer)) => timer.as_mut().reset(next.into()),
                    (Some(next), None) => self.timer = Some(Box::pin(tokio::time::sleep_until(next.into()))),
                    (None, _) => {}
                }
            }
            let Some(timer) = self.timer.as_mut().filter(|_| self.next.is_some()) else { return };
            if timer.as_mut().poll(context).is_pending() {
                return;
            }
            let mut shared = self.requests.0.lock();
            shared.expire(Instant::now(), self.usual, &mut self.seen, &mut self.wakers);
            drop(shared);
            // So that it is set again even to the same time.
            self.next = None;
        }
    }
}
