//! The memory that one plugin occupies in the host: responses and decoded rows that it holds handles to.

use std::fmt;

use tokio::sync::watch;

/// Bytes that one plugin may hold: twice the largest response body.
const MEMORY_LIMIT: usize = 1 << 30;
/// Stands in for the number of bytes once the limit was exceeded.
const EXCEEDED: usize = usize::MAX;

/// A plugin that holds more than its limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MemoryExceeded;

impl fmt::Display for MemoryExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holds more than {} MiB of responses and rows in the host", MEMORY_LIMIT >> 20)
    }
}

impl std::error::Error for MemoryExceeded {}

/// Counts the bytes that one plugin holds in the host. Exceeding the limit is final.
#[derive(Clone)]
pub(crate) struct HostMemory(watch::Sender<usize>);

impl HostMemory {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Counts bytes until the reservation is dropped.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation, MemoryExceeded> {
        let mut reservation = Err(MemoryExceeded);
        self.0.send_modify(|held| match held.checked_add(bytes).filter(|sum| *sum <= MEMORY_LIMIT) {
            Some(sum) => {
                *held = sum;
                reservation = Ok(Reservation { memory: self.clone(), bytes });
            }
            None => *held = EXCEEDED,
        });
        reservation
    }

    /// Does work for the plugin, and aborts it once the plugin exceeds its limit.
    pub(crate) async fn while_within<T>(&self, work: impl Future<Output = T>) -> Result<T, MemoryExceeded> {
        let mut held = self.0.subscribe();
        let done = tokio::select! {
            done = work => Some(done),
            _ = held.wait_for(|held| *held == EXCEEDED) => None,
        };
        // The work may have ended because its own reservation was refused.
        done.filter(|_| *self.0.borrow() != EXCEEDED).ok_or(MemoryExceeded)
    }
}

/// Bytes that count as held until this is dropped.
pub(crate) struct Reservation {
    memory: HostMemory,
    bytes: usize,
}

impl Reservation {
    /// Raises the reservation to at least this many bytes.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), MemoryExceeded> {
        let missing = bytes.saturating_sub(self.bytes);
        if missing > 0 {
            let mut more = self.memory.reserve(missing)?;
            self.bytes += std::mem::take(&mut more.bytes);
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.memory.0.send_modify(|held| {
            if *held != EXCEEDED {
                *held -= self.bytes;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{HostMemory, MEMORY_LIMIT};

    #[test]
    fn dropped_reservations_are_free_again() {
        let memory = HostMemory::new();
        let mut first = memory.reserve(MEMORY_LIMIT / 2).expect("half of the limit");
        first.grow_to(MEMORY_LIMIT).expect("the whole limit");
        drop(first);
        assert!(memory.reserve(MEMORY_LIMIT).is_ok());
    }

    #[test]
    fn an_exceeded_limit_is_final() {
        let memory = HostMemory::new();
        assert!(memory.reserve(MEMORY_LIMIT + 1).is_err());
        assert!(memory.reserve(1).is_err());
    }
}
