//! A connection over which the server tells what happens, of its own accord.

use redis::aio::MultiplexedConnection;
use redis::{Cmd, PushInfo, Value};

use super::super::connect::Way;
use super::dial::dial_with_pushes;
use super::driver::Driver;
use crate::store::redis::request::checked;
use crate::store::redis::server::endpoint::Endpoint;
use crate::store::redis::server::fault::Fault;

/// A connection with RESP3, which ends when it is dropped. It is not greeted: nothing is known of the server, and no
/// health depends on it.
pub(crate) struct Pushes {
    connection: MultiplexedConnection,
    _driver: Option<Driver>,
}

impl Pushes {
    /// Connects and logs in. `push` must not block.
    pub(crate) async fn open(
        endpoint: &Endpoint,
        push: impl Fn(PushInfo) + Send + Sync + 'static,
    ) -> Result<Pushes, Fault> {
        let way = Way::to(endpoint);
        let (connection, driver) = dial_with_pushes(&way, &endpoint.login()?, push).await?;
        Ok(Pushes { connection, _driver: driver })
    }

    /// Sends one command. Dropping the future does not spoil the connection.
    pub(crate) async fn request(&mut self, command: &Cmd) -> Result<Value, Fault> {
        checked(self.connection.send_packed_command(command).await?)
    }
}
