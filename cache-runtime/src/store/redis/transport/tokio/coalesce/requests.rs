//! The entries of a batch: each is read once, for any number of reads.
//!
//! The index of the entries is a hash table with linear probing in a fixed array, which is a part of the batch. The
//! standard map would cost each batch an allocation, and each read a hash of its key with `SipHash`; a search through the
//! list of entries would cost each read of a full batch up to 64 comparisons. Nothing is removed from the table, and it is
//! never more than half full, so that `add` is all of its code.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};

use super::MOST;
use crate::error::ErrorKind;
use crate::hash::hash;
use crate::key::{Address, Key};
use crate::observe::Operation;
use crate::store::redis::ops::commands;
use crate::store::redis::server::fault::{Blame, Fault};

/// There are twice as many places as entries, so that most entries are where their hash says.
const INDEX: usize = 2 * MOST;

/// The entries, at most [`MOST`].
pub(super) struct Requests {
    /// Their keys, one after another.
    text: String,
    entries: Vec<BatchEntry>,
    /// The number of an entry plus one, at the place of its hash or after it; zero for a free place.
    index: [u8; INDEX],
    /// The number of entries that the one command for all keys reads.
    keys: usize,
    /// The commands of all others.
    others: Pipeline,
}

struct BatchEntry {
    /// The end of its key in the text.
    end: usize,
    place: ReplyPlace,
    /// The number of reads that have not taken its reply.
    readers: usize,
}

/// The place of a reply.
#[derive(Clone, Copy)]
enum ReplyPlace {
    Key(usize),
    Other(usize),
}

impl Default for Requests {
    fn default() -> Self {
        let (text, entries) = (String::with_capacity(64 * MOST), Vec::with_capacity(MOST));
        Requests { text, entries, index: [0; INDEX], keys: 0, others: Pipeline::new() }
    }
}

impl Requests {
    /// Adds a read, and returns the number of its entry.
    pub(super) fn add(&mut self, key: &Key, is_refused: bool) -> usize {
        let text = key.as_str();
        let mut index = hash(0, text.as_bytes()) as usize % INDEX;
        while let Some(number) = usize::from(self.index[index]).checked_sub(1) {
            // The texts of two entries in one hash differ, too.
            if self.text_of(number) == text {
                self.entries[number].readers += 1;
                return number;
            }
            index = (index + 1) % INDEX;
        }
        let place = match key.address() {
            Address::Key(_) if !is_refused => {
                self.keys += 1;
                ReplyPlace::Key(self.keys - 1)
            }
            // This entry takes a command of its own.
            _ => {
                self.others.add_command(commands::get(key));
                ReplyPlace::Other(self.others.len() - 1)
            }
        };
        self.text.push_str(text);
        self.entries.push(BatchEntry { end: self.text.len(), place, readers: 1 });
        // The number is at most `MOST`.
        self.index[index] = self.entries.len() as u8;
        self.entries.len() - 1
    }

    fn text_of(&self, number: usize) -> &str {
        let begin = number.checked_sub(1).map_or(0, |before| self.entries[before].end);
        &self.text[begin..self.entries[number].end]
    }

    /// The number of reads.
    pub(super) fn readers(&self) -> usize {
        self.entries.iter().map(|entry| entry.readers).sum()
    }

    /// What an exchange does that sends them, and in how many commands.
    pub(super) fn operation(&self) -> (Operation, usize) {
        match (self.others.len(), self.keys) {
            (0, 1) => (Operation::Get, 1),
            (0, _) => (Operation::MGet, 1),
            (others, keys) => (Operation::Pipeline, others + usize::from(keys > 0)),
        }
    }

    /// Reads the keys.
    fn command(&self) -> Option<Cmd> {
        let name = match self.keys {
            0 => return None,
            1 => "GET",
            _ => "MGET",
        };
        let mut command = Cmd::with_capacity(1 + self.keys, name.len() + self.text.len());
        command.arg(name);
        for (number, entry) in self.entries.iter().enumerate() {
            if let ReplyPlace::Key(_) = entry.place {
                command.arg(self.text_of(number));
            }
        }
        Some(command)
    }

    /// Sends all commands at once, and notes if the server refuses to read many keys.
    pub(super) async fn send(
        mut self,
        connection: &mut MultiplexedConnection,
        is_refused: &AtomicBool,
    ) -> RedisResult<Replies> {
        if let Some(command) = self.command() {
            self.others.add_command(command);
        }
        let mut others = connection.send_packed_commands(&self.others, 0, self.others.len()).await?;
        let reply = if self.keys > 0 { others.pop() } else { None };
        let keys = match reply {
            Some(reply) if self.keys == 1 => Some(vec![reply]),
            Some(Value::Array(values)) => Some(values),
            Some(Value::ServerError(error)) => {
                let fault = Fault::from(&error);
                if matches!(fault.blame, Blame::Command | Blame::Denied(_)) || fault.error.kind() == ErrorKind::Cluster
                {
                    is_refused.store(true, Relaxed);
                }
                None
            }
            _ => None,
        };
        Ok(Replies { entries: self.entries, keys, others })
    }
}

/// The replies.
pub(super) struct Replies {
    entries: Vec<BatchEntry>,
    /// `None` means that the server refused.
    keys: Option<Vec<Value>>,
    others: Vec<Value>,
}

impl Replies {
    /// The reply for one of the reads of an entry. `None` means that there is none.
    pub(super) fn take(&mut self, number: usize) -> Option<Value> {
        let entry = self.entries.get_mut(number)?;
        let reply = match entry.place {
            ReplyPlace::Key(at) => self.keys.as_mut()?.get_mut(at)?,
            ReplyPlace::Other(at) => self.others.get_mut(at)?,
        };
        entry.readers = entry.readers.saturating_sub(1);
        Some(if entry.readers == 0 { std::mem::take(reply) } else { reply.clone() })
    }
}
