//! A connection over which the server tells what happens, of its own accord.

#[cfg(feature = "local")]
use redis::Pipeline;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, PushInfo, Value};

use super::super::connect::Way;
use super::dial::dial_with_pushes;
use super::driver::Driver;
use crate::store::redis::request::checked;
use crate::store::redis::server::endpoint::Endpoint;
use crate::store::redis::server::fault::Fault;
use crate::store::redis::server::greeting::naming;

/// A connection with RESP3, which ends when it is dropped. It is not greeted: nothing is known of the server, and no
/// health depends on it.
pub(crate) struct Pushes {
    connection: MultiplexedConnection,
    _driver: Option<Driver>,
}

impl Pushes {
    /// Connects, logs in and names the connection. `push` must not block.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Pushes, Fault> {
        let way = Way::to(endpoint);
        let login = endpoint.login()?;
        let (connection, driver) = dial_with_pushes(&way, &login, push).await?;
        let opened = Pushes { connection, _driver: driver };
        if let Some(naming) = naming(&login) {
            // A server or a user without the command does without the name.
            let _ = opened.request(&naming).await;
        }
        Ok(opened)
    }

    /// Sends one command. Dropping the future does not spoil the connection, and other commands need not wait for it.
    pub(crate) async fn request(&self, command: &Cmd) -> Result<Value, Fault> {
        checked(self.connection.clone().send_packed_command(command).await?)
    }

    /// Sends commands in one write. Errors of single commands are among the replies.
    #[cfg(feature = "local")]
    pub(crate) async fn requests(&self, pipeline: &Pipeline) -> Result<Vec<Value>, Fault> {
        Ok(self.connection.clone().send_packed_commands(pipeline, 0, pipeline.len()).await?)
    }
}
