//! Exchanges with a node to which a slot is moving.
//!
//! Such a node executes a command on a key of the slot only if `ASKING` comes immediately before it on the same
//! connection. Therefore both travel in one pipeline, for each command: other callers share the connection, and one of
//! their commands between two requests would use the permission up.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

use ::redis::{Cmd, Pipeline};

use super::RedisStore;
use crate::store::redis::request::{Load, Reply, Request, checked};
use crate::store::redis::server::breaker::Epoch;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::features::Features;
use crate::store::redis::transport::{Build, Decode, Transport};

impl<T> RedisStore<T> {
    /// The same server, as one to which a slot is moving.
    #[cfg(feature = "tokio")]
    pub(crate) fn asking(&self) -> RedisStore<T> {
        RedisStore { asks: true, ..self.clone() }
    }
}

impl<T: Transport> RedisStore<T> {
    /// Returns true for a node to which a slot is moving. It refuses a command of two keys if one of them is not there.
    pub(crate) fn is_asking(&self) -> bool {
        self.asks
    }

    /// Does an exchange in which `ASKING` precedes each command.
    pub(super) async fn ask(
        &self,
        (epoch, load): (Epoch, Load),
        build: Build<'_>,
        decode: Decode<'_>,
        by: Instant,
    ) -> Result<(), Fault> {
        let is_single = AtomicBool::new(false);
        let build = |features: Features| {
            let request = build(features);
            is_single.store(matches!(request, Request::One(_) | Request::OneOnce(_)), Relaxed);
            preceded(request)
        };
        let mut decode = |reply: Reply| decode(stripped(reply, is_single.load(Relaxed))?);
        self.core.transport.exchange(epoch, load, &build, &mut decode, by).await
    }
}

/// The request with `ASKING` before each command.
fn preceded(request: Request) -> Request {
    fn pipeline<'a>(commands: impl ExactSizeIterator<Item = &'a Cmd>) -> Pipeline {
        let mut pipeline = Pipeline::with_capacity(2 * commands.len());
        for command in commands {
            pipeline.cmd("ASKING").add_command(command.clone());
        }
        pipeline
    }
    fn all(commands: &Pipeline) -> Pipeline {
        pipeline(commands.cmd_iter().collect::<Vec<_>>().into_iter())
    }
    match request {
        Request::One(command) => Request::Many(pipeline([&command].into_iter())),
        Request::OneOnce(command) => Request::ManyOnce(pipeline([&command].into_iter())),
        Request::Many(commands) => Request::Many(all(&commands)),
        Request::ManyOnce(commands) => Request::ManyOnce(all(&commands)),
    }
}

/// The replies without those to `ASKING`. A refusal of `ASKING` is that of the command after it.
fn stripped(reply: Reply, is_single: bool) -> Result<Reply, Fault> {
    let sent = reply.sent();
    let (mut values, mut refusal) = (Vec::new(), None);
    for (at, value) in reply.all().into_iter().enumerate() {
        match at % 2 {
            0 => refusal = checked(value).err(),
            _ => match refusal.take() {
                Some(fault) => return Err(fault),
                None => values.push(value),
            },
        }
    }
    match (is_single, sent) {
        (false, Some(sent)) => Ok(Reply::Many { values, sent }),
        _ => Ok(Reply::One(values.pop().unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use ::redis::Value;

    use super::*;

    fn words(request: &Request) -> Vec<String> {
        let (Request::Many(pipeline) | Request::ManyOnce(pipeline)) = request else { panic!("a pipeline") };
        let text = |command: &Cmd| String::from_utf8_lossy(&command.get_packed_command()).into_owned();
        pipeline.cmd_iter().map(|command| text(command).split("\r\n").nth(2).unwrap_or_default().to_owned()).collect()
    }

    #[test]
    fn each_command_follows_an_asking() {
        let one = preceded(Request::OneOnce(::redis::cmd("GET")));
        assert!(matches!(one, Request::ManyOnce(_)));
        assert_eq!(words(&one), ["ASKING", "GET"]);
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SET").cmd("TIME");
        let many = preceded(Request::Many(pipeline));
        assert!(matches!(many, Request::Many(_)));
        assert_eq!(words(&many), ["ASKING", "SET", "ASKING", "TIME"]);
    }

    #[test]
    fn replies_are_those_of_the_commands() {
        let sent = Instant::now();
        let replies = |values: &[Value]| Reply::Many { values: values.to_vec(), sent };
        let (ok, number) = (Value::Okay, |number| Value::Int(number));
        let one = stripped(replies(&[ok.clone(), number(1)]), true);
        assert!(matches!(one, Ok(Reply::One(Value::Int(1)))));
        let many = stripped(replies(&[ok.clone(), number(1), ok, number(2)]), false);
        assert!(matches!(many, Ok(Reply::Many { values, .. }) if values == [number(1), number(2)]));
        let refusal = ::redis::parse_redis_value(b"-ERR This instance has cluster support disabled\r\n").unwrap();
        assert!(stripped(replies(&[refusal, number(1)]), true).is_err());
    }
}
