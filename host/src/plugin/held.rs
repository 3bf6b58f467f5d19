//! Bytes that a plugin keeps in the host at once, in answers and decoded rows; one that wants too many is ended.

use tokio::sync::watch;

/// Bytes that a plugin may keep: a body of the largest size, and as much again.
const HELD_BYTES: usize = 1 << 30;
/// In place of their number, once there were too many.
const TOO_MANY: usize = usize::MAX;

/// How many bytes one plugin keeps in the host.
#[derive(Clone)]
pub(crate) struct Held(watch::Sender<usize>);

impl Held {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Counts these bytes for as long as they are held; none where they are too many.
    pub(crate) fn take(&self, bytes: usize) -> Option<Hold> {
        let mut hold = None;
        self.0.send_modify(|held| match held.checked_add(bytes).filter(|sum| *sum <= HELD_BYTES) {
            Some(sum) => {
                *held = sum;
                hold = Some(Hold { held: self.clone(), bytes });
            }
            None => *held = TOO_MANY,
        });
        hold
    }

    /// Work for the plugin, which is given up where the plugin wants too much.
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> wasmtime::Result<T> {
        let mut held = self.0.subscribe();
        let done = tokio::select! {
            done = work => Some(done),
            _ = held.wait_for(|held| *held == TOO_MANY) => None,
        };
        // What was refused may be what ended the work.
        done.filter(|_| *self.0.borrow() != TOO_MANY).ok_or_else(refused)
    }
}

/// Bytes that a plugin keeps in the host until this is dropped.
pub(crate) struct Hold {
    held: Held,
    bytes: usize,
}

impl Hold {
    /// Makes it so many bytes at least; false where they are too many.
    pub(crate) fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let Some(hold) = (more > 0).then(|| self.held.take(more)) else { return true };
        let is_granted = hold.is_some();
        if let Some(mut hold) = hold {
            self.bytes += std::mem::take(&mut hold.bytes);
        }
        is_granted
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.0.send_modify(|held| {
            if *held != TOO_MANY {
                *held -= self.bytes;
            }
        });
    }
}

/// How a plugin ends that wants too much.
pub(crate) fn refused() -> wasmtime::Error {
    wasmtime::Error::msg(format!("keeps more than {} MiB of answers and rows in the host", HELD_BYTES >> 20))
}
