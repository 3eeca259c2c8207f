//! The task that follows one sentinel.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Sentinels;
use super::question::{ask, concerns, subscription};
use crate::store::redis::server::fault::Fault;
use crate::store::redis::transport::tokio::Pushes;

/// The interval at which a sentinel is asked.
const EACH: Duration = Duration::from_secs(1);

/// The time that a sentinel has to answer; a probe waits longer, and so hears of one that does not.
const PATIENCE: Duration = Duration::from_millis(700);

/// The shortest pause before a sentinel that failed is asked again, however urgent that is.
const SHORTEST: Duration = Duration::from_millis(10);

/// Follows a sentinel until the cache is gone.
pub(super) async fn follow(sentinels: Arc<Sentinels>, number: usize) {
    while let Some(asked) = asked(&sentinels) {
        let mut asked = asked;
        if let Err(fault) = session(&sentinels, number, &mut asked).await {
            sentinels.heard(number, asked, Err(fault));
        }
        tokio::time::sleep(SHORTEST).await;
        sentinels.all[number].hurry.wait(EACH).await;
    }
}

/// The number of questions so far. `None` means that the cache is gone.
fn asked(sentinels: &Sentinels) -> Option<u64> {
    Some(sentinels.client()?.server.locator()?.asked())
}

/// Follows a sentinel over one connection. `questions` are those that the current search answers.
async fn session(sentinels: &Arc<Sentinels>, number: usize, questions: &mut u64) -> Result<(), Fault> {
    let (sentinel, master) = (&sentinels.all[number], &sentinels.target.master);
    let told = Arc::clone(sentinels);
    let push = move |push| {
        if concerns(&push, &told.target.master) {
            told.all[number].hurry.notify();
        }
    };
    let connection = in_time(Pushes::open(&sentinel.endpoint, push)).await?;
    in_time(connection.request(&subscription())).await?;
    while let Some(asked) = asked(sentinels) {
        *questions = asked;
        let answer = in_time(ask(&connection, master)).await?;
        sentinels.heard(number, asked, Ok(answer));
        sentinel.hurry.wait(EACH).await;
    }
    Ok(())
}

async fn in_time<T>(step: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    tokio::time::timeout(PATIENCE, step).await.unwrap_or_else(|_| Err(Fault::hung()))
}
