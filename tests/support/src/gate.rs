//! A body that waits until the test lets it pass.

use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task;

use super::eventually;

/// Bodies wait here until a test opens it.
pub struct Gate {
    /// For each body that arrived, in order: its task, if it ran in one.
    bodies: Mutex<Vec<Option<task::Id>>>,
    open: watch::Sender<bool>,
}

impl Gate {
    /// A gate at which bodies wait.
    pub fn closed() -> Gate {
        Gate { bodies: Mutex::default(), open: watch::Sender::new(false) }
    }

    /// Lets all bodies pass: those that wait, and those that come later.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Makes the bodies that come from now on wait.
    pub fn close(&self) {
        self.open.send_replace(false);
    }

    /// How many bodies have arrived so far.
    pub fn entered(&self) -> usize {
        self.bodies.lock().unwrap().len()
    }

    /// The task in which the last of them runs.
    pub fn task(&self) -> Option<task::Id> {
        self.bodies.lock().unwrap().last().copied().flatten()
    }

    fn enter(&self) -> usize {
        let mut bodies = self.bodies.lock().unwrap();
        bodies.push(task::try_id());
        bodies.len()
    }

    /// Called by an async body: returns its number, from 1, once the gate is open.
    pub async fn pass(&self) -> usize {
        let number = self.enter();
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        number
    }

    /// The same for a plain body.
    pub fn pass_blocking(&self) -> usize {
        let number = self.enter();
        eventually("the gate opens", || *self.open.borrow());
        number
    }

    /// Waits until so many bodies have arrived.
    pub async fn wait_for(&self, bodies: usize) {
        let waiting = async {
            while self.entered() < bodies {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(super::PATIENCE, waiting).await.expect("a body begins");
    }
}
