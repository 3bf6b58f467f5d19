//! A pipeline of workers, each on its own thread: while one works on an item, the next works on the item before it. Items
//! keep their order, and at most one item waits before each worker.

use std::sync::mpsc::{Receiver, sync_channel};

use host_core::error::{Error, Result};

/// Sends the items of `source` through the workers and to `sink`, which runs on the caller's thread. The first error stops
/// all of them.
///
/// # Errors
/// The first error of the source, a worker or the sink.
pub fn pipe<Item: Send, Worker: FnMut(Item) -> Result<Item> + Send>(
    workers: impl IntoIterator<Item = Worker>,
    source: impl FnOnce(&mut dyn FnMut(Item) -> Result<()>) -> Result<()> + Send,
    mut sink: impl FnMut(Item) -> Result<()>,
) -> Result<()> {
    // Threads do not inherit the span, by which the log of the run finds its events.
    let span = tracing::Span::current();
    std::thread::scope(|scope| {
        let (first, mut last) = sync_channel::<Result<Item>>(1);
        let entered = span.clone();
        scope.spawn(move || {
            let _entered = entered.enter();
            let closed = || Error::internal("the first worker ended before the source");
            if let Err(error) = source(&mut |item| first.send(Ok(item)).map_err(|_| closed())) {
                // If the receiver is gone, the caller already has the error that ended it.
                let _ = first.send(Err(error));
            }
        });
        for mut worker in workers {
            let (sender, next) = sync_channel(1);
            let receiver: Receiver<Result<Item>> = std::mem::replace(&mut last, next);
            let entered = span.clone();
            scope.spawn(move || {
                let _entered = entered.enter();
                for item in receiver {
                    let item = item.and_then(&mut worker);
                    let is_error = item.is_err();
                    if sender.send(item).is_err() || is_error {
                        break;
                    }
                }
            });
        }
        last.into_iter().try_for_each(|item| sink(item?))
    })
}

#[cfg(test)]
mod tests {
    use super::pipe;
    use host_core::error::{Error, Result};

    /// Sends 1 to 100 through two workers that append the digits 1 and 2. A worker fails on `bad`, the sink on `refused`.
    fn run(bad: Option<u32>, refused: Option<u32>) -> (Result<()>, Vec<u32>) {
        let mut received = Vec::new();
        let worker = |digit: u32| {
            move |item: u32| if Some(item) == bad { Err(Error::internal("bad")) } else { Ok(item * 10 + digit) }
        };
        let result = pipe(
            [1, 2].map(worker),
            |send| (1..=100).try_for_each(&mut *send),
            |item| {
                received.push(item);
                if Some(item) == refused { Err(Error::internal("refused")) } else { Ok(()) }
            },
        );
        (result, received)
    }

    #[test]
    fn items_pass_all_workers_and_keep_their_order() {
        let (result, received) = run(None, None);
        assert!(result.is_ok());
        assert_eq!(received, (1..=100).map(|item| item * 100 + 12).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_stops_source_workers_and_sink() {
        let (result, received) = run(Some(3), None);
        assert_eq!((result.expect_err("a worker failed").message().as_str(), received.len()), ("bad", 2));
        let (result, received) = run(None, Some(212));
        assert_eq!((result.expect_err("the sink failed").message().as_str(), received.len()), ("refused", 2));
        let result = pipe([Ok::<u32, Error>], |_| Err(Error::internal("no source")), |_| Ok(()));
        assert_eq!(result.expect_err("the source failed").message(), "no source");
    }
}
