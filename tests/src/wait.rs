//! Waiting for conditions.

use std::time::{Duration, Instant};

/// How long a condition may take before the test fails, generous because two cores may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Asks until there is an answer.
///
/// # Panics
/// After a minute, naming what was waited for.
pub async fn eventually<T>(what: &str, ask: impl AsyncFnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, ask).await
}

/// Asks until there is an answer, at most for `patience`.
///
/// # Panics
/// When it is over, naming what was waited for.
pub async fn eventually_within<T>(patience: Duration, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(began.elapsed() < patience, "gave up after {patience:?} waiting for: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
