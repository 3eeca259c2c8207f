//! A body that goes on when the test says so.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use tokio::sync::watch;

use super::eventually;

pub(crate) struct Gate {
    entered: AtomicUsize,
    open: watch::Sender<bool>,
}

impl Gate {
    pub(crate) fn closed() -> Gate {
        Gate { entered: AtomicUsize::new(0), open: watch::Sender::new(false) }
    }

    pub(crate) fn open(&self) {
        self.open.send_replace(true);
    }

    pub(crate) fn close(&self) {
        self.open.send_replace(false);
    }

    /// How many bodies have come here so far.
    pub(crate) fn entered(&self) -> usize {
        self.entered.load(SeqCst)
    }

    /// Of an async body: its number, from 1, once the gate is open.
    pub(crate) async fn pass(&self) -> usize {
        let number = self.entered.fetch_add(1, SeqCst) + 1;
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        number
    }

    /// Of a plain body.
    pub(crate) fn pass_blocking(&self) -> usize {
        let number = self.entered.fetch_add(1, SeqCst) + 1;
        eventually("the gate opens", || *self.open.borrow());
        number
    }

    /// Until so many bodies have come here.
    pub(crate) async fn wait_for(&self, bodies: usize) {
        let waiting = async {
            while self.entered() < bodies {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(super::PATIENCE, waiting).await.expect("a body begins");
    }
}
