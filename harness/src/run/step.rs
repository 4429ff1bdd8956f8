//! The steps of a fault, each under a limit of its own. Whatever a binding does, waits for ever or panics, comes back as an error:
//! what follows still has to restore the target.

use std::{any::Any, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::{
    probe::BoxFuture,
    provider::{Current, ProviderError},
};

/// From one read of a target to the next while what it shows is not yet as expected.
const VERIFY_EVERY: Duration = Duration::from_millis(20);

/// Carries out a step. Yields why it failed, in words.
pub(super) async fn attempt<T>(
    limit: Duration,
    step: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, String> {
    match timeout(limit, caught(step)).await {
        Ok(Ok(result)) => result.map_err(|error| error.to_string()),
        Ok(Err(panic)) => Err(panic),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// Reads a target again and again until what it shows is as expected, or the limit has passed. Yields what is wrong with it.
pub(super) async fn verify<'a, F>(
    limit: Duration,
    read: F,
    as_expected: fn(Current) -> Result<(), String>,
) -> Result<(), String>
where
    F: Fn() -> BoxFuture<'a, Result<Current, ProviderError>>,
{
    let deadline = Instant::now() + limit;
    loop {
        // The binding's own code runs when it makes the future, too.
        let reading = async { read().await };
        let found = match timeout_at(deadline, caught(reading)).await {
            Ok(Ok(Ok(current))) => match as_expected(current) {
                Ok(()) => return Ok(()),
                Err(words) => words,
            },
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(panic)) => panic,
            Err(_) => format!("no answer within {limit:?}"),
        };
        if Instant::now() + VERIFY_EVERY > deadline {
            return Err(found);
        }
        sleep(VERIFY_EVERY).await;
    }
}

/// Waits for something that may panic. Yields what the panic said.
pub(super) async fn caught<T>(work: impl Future<Output = T>) -> Result<T, String> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .map_err(|panic| words(panic.as_ref()))
}

/// What a panic said.
pub(super) fn words(panic: &(dyn Any + Send)) -> String {
    let said = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", said.unwrap_or("and did not say why"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(1);

    fn injected(current: Current) -> Result<(), String> {
        match current {
            Current::AsInjected => Ok(()),
            Current::AsCaptured => Err("untouched".to_owned()),
            Current::Otherwise(words) => Err(words),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_never_ends_ends_at_its_limit() {
        let began = Instant::now();
        let result = attempt::<()>(LIMIT, std::future::pending()).await;
        assert_eq!(result, Err("no answer within 1s".to_owned()));
        assert_eq!(began.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_an_error_that_says_what_the_panic_said() {
        let left = 0;
        let result = attempt::<()>(LIMIT, async move { panic!("{left} machines left") }).await;
        assert_eq!(result, Err("it panicked: 0 machines left".to_owned()));
        let result = attempt::<()>(LIMIT, async { panic!("nothing left") }).await;
        assert_eq!(result, Err("it panicked: nothing left".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn reading_goes_on_until_the_limit_and_the_last_words_are_kept() {
        let reads = std::cell::Cell::new(0);
        let third_time = || -> BoxFuture<'static, _> {
            reads.set(reads.get() + 1);
            let found = if reads.get() < 3 {
                Current::Otherwise("still 2".into())
            } else {
                Current::AsInjected
            };
            Box::pin(async { Ok(found) })
        };
        assert_eq!(verify(LIMIT, third_time, injected).await, Ok(()));
        assert_eq!(reads.get(), 3);
        let began = Instant::now();
        let never = || -> BoxFuture<'static, _> {
            Box::pin(async { Ok(Current::Otherwise("still 2".into())) })
        };
        assert_eq!(
            verify(LIMIT, never, injected).await,
            Err("still 2".to_owned())
        );
        assert!(began.elapsed() <= LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_panics_before_it_has_a_future_is_read_again() {
        let reads = std::cell::Cell::new(0);
        let second_time = || -> BoxFuture<'static, _> {
            reads.set(reads.get() + 1);
            assert!(reads.get() > 1, "not yet");
            Box::pin(async { Ok(Current::AsInjected) })
        };
        assert_eq!(verify(LIMIT, second_time, injected).await, Ok(()));
    }
}
