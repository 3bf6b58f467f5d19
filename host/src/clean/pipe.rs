//! Items through a row of workers, each on a thread of its own: one works on an item while the next works on the one
//! before. Items leave in the order in which they came, and no more wait than there are workers.

use std::sync::mpsc::{Receiver, sync_channel};

use crate::error::{Error, Result};

/// Sends what `source` gives through the workers and to `sink`, which runs on the caller's thread. The first error ends
/// all of it.
///
/// # Errors
/// What the source, a worker or the sink fails with.
pub fn pipe<Item: Send, Worker: FnMut(Item) -> Result<Item> + Send>(
    workers: impl IntoIterator<Item = Worker>,
    source: impl FnOnce(&mut dyn FnMut(Item) -> Result<()>) -> Result<()> + Send,
    mut sink: impl FnMut(Item) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let (first, mut last) = sync_channel::<Result<Item>>(1);
        scope.spawn(move || {
            let given = source(&mut |item| first.send(Ok(item)).map_err(|_| Error::internal("the rows' end is gone")));
            if let Err(error) = given {
                // Where nobody listens, the error that made them leave is told.
                let _ = first.send(Err(error));
            }
        });
        for mut worker in workers {
            let (to, next) = sync_channel(1);
            let from: Receiver<Result<Item>> = std::mem::replace(&mut last, next);
            scope.spawn(move || {
                for item in from {
                    let item = item.and_then(&mut worker);
                    let is_over = item.is_err();
                    if to.send(item).is_err() || is_over {
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
    use crate::error::{Error, Result};

    fn run(bad: Option<u32>, refused: Option<u32>) -> (Result<()>, Vec<u32>) {
        let mut out = Vec::new();
        let worker = |add: u32| {
            move |item: u32| if Some(item) == bad { Err(Error::internal("bad")) } else { Ok(item * 10 + add) }
        };
        let ended = pipe(
            [1, 2].map(worker),
            |give| (1..=100).try_for_each(&mut *give),
            |item| {
                out.push(item);
                if Some(item) == refused { Err(Error::internal("refused")) } else { Ok(()) }
            },
        );
        (ended, out)
    }

    #[test]
    fn all_go_through_in_order() {
        let (ended, out) = run(None, None);
        assert!(ended.is_ok());
        assert_eq!(out, (1..=100).map(|item| item * 100 + 12).collect::<Vec<_>>());
    }

    #[test]
    fn the_first_error_ends_it() {
        let (ended, out) = run(Some(3), None);
        assert_eq!((ended.expect_err("an item that is bad").message.as_str(), out.len()), ("bad", 2));
        let (ended, out) = run(None, Some(212));
        assert_eq!((ended.expect_err("one that is refused").message.as_str(), out.len()), ("refused", 2));
        let ended = pipe([Ok::<u32, Error>], |_| Err(Error::internal("no source")), |_| Ok(()));
        assert_eq!(ended.expect_err("no source").message, "no source");
    }
}
