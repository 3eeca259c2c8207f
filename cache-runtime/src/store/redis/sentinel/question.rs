//! The commands to a sentinel, and the meaning of its replies.

use ::redis::{Cmd, PushInfo, PushKind, Value, cmd};

use super::view::{Address, Statement};
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::tokio::Pushes;

const SWITCH: &str = "+switch-master";

/// Subscribes to the switches of all masters.
pub(super) fn subscription() -> Cmd {
    let mut command = cmd("SUBSCRIBE");
    command.arg(SWITCH);
    command
}

/// Returns true if this tells that a master of this name was switched, or that the connection ended.
pub(super) fn concerns(push: &PushInfo, master: &str) -> bool {
    match push.kind {
        // The words are: the channel, and `name old-ip old-port new-ip new-port`.
        PushKind::Message => {
            let words = push.data.get(1).and_then(text).unwrap_or_default();
            words.split(' ').next() == Some(master)
        }
        PushKind::Disconnection => true,
        _ => false,
    }
}

/// The address that a sentinel tells for a master; `None` if it knows none of this name.
pub(super) async fn ask(sentinel: &Pushes, master: &str) -> Result<Option<Statement>, Fault> {
    // The number comes first: the address may be newer than it, and so is told again. In the other order, an old address
    // could come with the number of a new one.
    let epoch = match sentinel.request(cmd("SENTINEL").arg("MASTER").arg(master)).await {
        Ok(fields) => epoch(&fields),
        // The user may lack the right, and the sentinel may not know the name, which the address shows, too.
        Err(fault) if !fault.spoils_connection() => None,
        Err(fault) => return Err(fault),
    };
    let address = sentinel.request(cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(master)).await?;
    match &address {
        Value::Nil => Ok(None),
        address => match parsed(address) {
            Some(address) => Ok(Some(Statement { address, epoch })),
            None => Err(Fault::unexpected("SENTINEL GET-MASTER-ADDR-BY-NAME")),
        },
    }
}

/// The config epoch among the fields of a master.
fn epoch(fields: &Value) -> Option<u64> {
    const NAME: &str = "config-epoch";
    let value = match fields {
        Value::Map(pairs) => pairs.iter().find(|(name, _)| text(name) == Some(NAME)).map(|(_, value)| value),
        Value::Array(parts) => {
            let mut pairs = parts.chunks_exact(2);
            pairs.find(|pair| pair.first().and_then(text) == Some(NAME)).and_then(|pair| pair.get(1))
        }
        _ => None,
    };
    text(value?)?.parse().ok()
}

fn parsed(address: &Value) -> Option<Address> {
    let Value::Array(parts) = address else { return None };
    let [host, port] = &parts[..] else { return None };
    let host = text(host).filter(|host| !host.is_empty())?;
    Some((host.to_owned(), text(port)?.parse().ok()?))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Value {
        Value::Array(words.iter().map(|word| Value::BulkString((*word).into())).collect())
    }

    #[test]
    fn replies_of_both_protocols_are_understood() {
        assert_eq!(epoch(&words(&["name", "main", "config-epoch", "7", "quorum", "2"])), Some(7));
        let pair = |name: &str, value: &str| (Value::BulkString(name.into()), Value::BulkString(value.into()));
        assert_eq!(epoch(&Value::Map(vec![pair("name", "main"), pair("config-epoch", "8")])), Some(8));
        for other in [Value::Nil, words(&["config-epoch"]), words(&["config-epoch", "x"]), Value::Okay] {
            assert_eq!(epoch(&other), None);
        }
        assert_eq!(parsed(&words(&["10.0.0.1", "6379"])), Some(("10.0.0.1".to_owned(), 6379)));
        for other in [words(&["10.0.0.1"]), words(&["", "1"]), words(&["h", "x"]), words(&["h", "99999"]), Value::Okay]
        {
            assert_eq!(parsed(&other), None);
        }
    }

    #[test]
    fn events_concern_their_own_master() {
        let event = |words: &str| PushInfo {
            kind: PushKind::Message,
            data: vec![Value::BulkString(SWITCH.into()), Value::BulkString(words.into())],
        };
        assert!(concerns(&event("main 10.0.0.1 1 10.0.0.2 2"), "main"));
        assert!(!concerns(&event("main-2 10.0.0.1 1 10.0.0.2 2"), "main"));
        assert!(!concerns(&event(""), "main"));
        assert!(concerns(&PushInfo { kind: PushKind::Disconnection, data: Vec::new() }, "main"));
        assert!(!concerns(&PushInfo { kind: PushKind::Subscribe, data: Vec::new() }, "main"));
    }
}
