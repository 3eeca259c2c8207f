//! Reading a body that may turn out not to be stored: it goes on as it came then.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::unstored::Unstored;

/// Reads a body to its end. One that is longer than `most`, ends with trailers or fails is given back, with all of its frames.
pub(super) async fn read(mut body: Body, most: usize) -> Result<Bytes, (Body, Unstored)> {
    let most = u64::try_from(most).unwrap_or(u64::MAX);
    if body.size_hint().lower() > most {
        return Err((body, Unstored::TooLong));
    }
    let (mut chunks, mut length) = (VecDeque::new(), 0u64);
    loop {
        let (next, why) = match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            None => return Ok(joined(chunks)),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    length = length.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
                    if !data.is_empty() {
                        chunks.push_back(data);
                    }
                    if length <= most {
                        continue;
                    }
                    (None, Unstored::TooLong)
                }
                Err(trailers) => (Some(Ok(trailers)), Unstored::Trailers),
            },
            Some(Err(error)) => (Some(Err(error)), Unstored::Broken),
        };
        return Err((Body::new(Resumed { chunks, next, body }), why));
    }
}

/// One chunk is not copied.
fn joined(mut chunks: VecDeque<Bytes>) -> Bytes {
    match chunks.len() {
        0 | 1 => chunks.pop_front().unwrap_or_default(),
        _ => {
            let mut all = BytesMut::with_capacity(chunks.iter().map(Bytes::len).sum());
            chunks.iter().for_each(|chunk| all.extend_from_slice(chunk));
            all.freeze()
        }
    }
}

/// A body of which a part was read.
struct Resumed {
    chunks: VecDeque<Bytes>,
    /// The trailers, or the error, that came after the chunks.
    next: Option<Result<Frame<Bytes>, axum::Error>>,
    body: Body,
}

impl HttpBody for Resumed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Some(chunk) = self.chunks.pop_front() {
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        match self.next.take() {
            Some(next) => Poll::Ready(Some(next)),
            None => Pin::new(&mut self.body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.chunks.is_empty() && self.next.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read = self.chunks.iter().map(|chunk| u64::try_from(chunk.len()).unwrap_or(u64::MAX)).sum::<u64>();
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(read.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(read)) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::poll::block_on::block_on;
    use axum::http::{HeaderMap, HeaderValue};

    /// A body of given frames.
    struct Frames(VecDeque<Result<Frame<Bytes>, &'static str>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = &'static str;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            Poll::Ready(self.0.pop_front())
        }
    }

    fn body(frames: Vec<Result<Frame<Bytes>, &'static str>>) -> Body {
        Body::new(Frames(frames.into()))
    }

    fn data(text: &'static str) -> Result<Frame<Bytes>, &'static str> {
        Ok(Frame::data(text.into()))
    }

    /// All data, the trailers, and whether the body failed.
    fn drained(mut body: Body) -> (String, Option<HeaderMap>, bool) {
        let (mut text, mut trailers, mut failed) = (String::new(), None, false);
        while let Some(frame) = block_on(poll_fn(|context| Pin::new(&mut body).poll_frame(context))) {
            match frame.map(Frame::into_data) {
                Ok(Ok(data)) => text.push_str(std::str::from_utf8(&data).expect("text")),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(_) => failed = true,
            }
        }
        (text, trailers, failed)
    }

    #[test]
    fn a_short_body_is_read() {
        let read = |body, most| block_on(read(body, most)).ok();
        assert_eq!(read(Body::empty(), 0), Some(Bytes::new()));
        assert_eq!(read(Body::from("12345"), 5), Some("12345".into()));
        assert_eq!(read(body(vec![data("12"), data(""), data("345")]), 5), Some("12345".into()));
    }

    #[test]
    fn a_long_body_goes_on_as_it_came() {
        let (whole, why) = block_on(read(Body::from("123456"), 5)).expect_err("too long");
        assert_eq!(why, Unstored::TooLong);
        assert_eq!(whole.size_hint().exact(), Some(6), "nothing of it was read");
        let streamed = body(vec![data("123"), data("456"), data("789")]);
        let (streamed, why) = block_on(read(streamed, 5)).expect_err("too long");
        assert_eq!(why, Unstored::TooLong);
        assert!(streamed.size_hint().lower() == 6 && !streamed.is_end_stream());
        assert_eq!(drained(streamed), ("123456789".into(), None, false));
    }

    #[test]
    fn trailers_and_errors_go_on() {
        let trailers = HeaderMap::from_iter([("x-sum".parse().expect("a name"), HeaderValue::from_static("1"))]);
        let with_trailers = body(vec![data("123"), Ok(Frame::trailers(trailers.clone()))]);
        let (with_trailers, why) = block_on(read(with_trailers, 5)).expect_err("trailers");
        assert_eq!(why, Unstored::Trailers);
        assert_eq!(drained(with_trailers), ("123".into(), Some(trailers), false));
        let failing = body(vec![data("123"), Err("broken")]);
        let (failing, why) = block_on(read(failing, 5)).expect_err("an error");
        assert_eq!(why, Unstored::Broken);
        assert_eq!(drained(failing), ("123".into(), None, true));
    }
}
