//! The memory budget of the process: guests' linear memory, and what the host holds for them. Every byte is reserved
//! before it is allocated.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use host_core::error::{Error, Result};
use tokio::sync::watch;

/// Bytes that the host may hold for one plugin: twice the largest response body.
const PLUGIN_LIMIT: usize = 1 << 30;
/// The budget of a process, unless a pipeline sets another.
const DEFAULT_BUDGET: usize = 2 << 30;
/// Bytes that a [`Meter`] reserves at once, at least.
const METER_STEP: usize = 64 << 10;

// The texts of an Arrow column have 32-bit offsets. A table that exceeds them would exceed the limit first.
const _: () = assert!(PLUGIN_LIMIT < i32::MAX as usize);

/// A memory limit that a plugin exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemoryExceeded {
    /// The host holds too much for the plugin.
    Plugin,
    /// All plugins of the process together need more than this many bytes.
    Process(usize),
}

impl MemoryExceeded {
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Plugin => "read smaller pages, or fewer rows at once",
            Self::Process(_) => {
                "set `plugin_memory` in `[pipeline]` to more, such as `plugin_memory = \"4GB\"`, or load fewer streams \
                 at once"
            }
        }
    }
}

impl fmt::Display for MemoryExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plugin => write!(f, "holds more than {} MiB of responses and rows in the host", PLUGIN_LIMIT >> 20),
            Self::Process(limit) => {
                write!(f, "the plugins need more than the {} MiB of `plugin_memory` together", limit >> 20)
            }
        }
    }
}

impl std::error::Error for MemoryExceeded {}

impl From<MemoryExceeded> for Error {
    fn from(exceeded: MemoryExceeded) -> Self {
        Self::plugin(exceeded.to_string()).hint(exceeded.hint())
    }
}

/// The memory that all plugins of a process may use together. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct MemoryBudget(Arc<BudgetState>);

#[derive(Default)]
struct BudgetState {
    /// The largest limit that a pipeline set; 0 if none did.
    limit: AtomicUsize,
    reserved: AtomicUsize,
}

impl MemoryBudget {
    /// Sets the limit. Of several pipelines in one process, the largest limit counts.
    pub(crate) fn set_limit(&self, bytes: usize) {
        self.0.limit.fetch_max(bytes, Ordering::Relaxed);
    }

    fn limit(&self) -> usize {
        match self.0.limit.load(Ordering::Relaxed) {
            0 => DEFAULT_BUDGET,
            limit => limit,
        }
    }

    /// Reserves bytes until the share is dropped.
    pub(crate) fn share(&self, bytes: usize) -> Result<Share, MemoryExceeded> {
        let mut share = Share { budget: self.clone(), bytes: 0 };
        share.grow_by(bytes).map(|()| share)
    }
}

/// Bytes of the budget that are reserved until this is dropped.
pub(crate) struct Share {
    budget: MemoryBudget,
    bytes: usize,
}

impl Share {
    /// Reserves more bytes.
    pub(crate) fn grow_by(&mut self, bytes: usize) -> Result<(), MemoryExceeded> {
        let limit = self.budget.limit();
        let grown = |reserved: usize| reserved.checked_add(bytes).filter(|sum| *sum <= limit);
        let reserved = &self.budget.0.reserved;
        let result = reserved.fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown);
        result.map_err(|_| MemoryExceeded::Process(limit))?;
        self.bytes += bytes;
        Ok(())
    }

    /// Returns bytes.
    fn shrink_by(&mut self, bytes: usize) {
        self.budget.0.reserved.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink_by(self.bytes);
    }
}

/// What the host holds for one plugin. Exceeding a limit is final.
#[derive(Clone)]
pub(crate) struct HostMemory {
    budget: MemoryBudget,
    held: watch::Sender<Held>,
}

#[derive(Clone, Copy, Default)]
struct Held {
    bytes: usize,
    exceeded: Option<MemoryExceeded>,
}

impl HostMemory {
    pub(crate) fn new(budget: MemoryBudget) -> Self {
        Self { budget, held: watch::Sender::new(Held::default()) }
    }

    /// The budget of the process.
    pub(crate) fn budget(&self) -> &MemoryBudget {
        &self.budget
    }

    /// Reserves bytes until the reservation is dropped.
    pub(crate) fn reserve(&self, bytes: usize) -> Result<Reservation, MemoryExceeded> {
        let share = Share { budget: self.budget.clone(), bytes: 0 };
        let mut reservation = Reservation { memory: self.clone(), share };
        reservation.grow_to(bytes).map(|()| reservation)
    }

    /// Does work for the plugin, and aborts it once the plugin exceeds a limit.
    pub(crate) async fn while_within<T>(&self, work: impl Future<Output = T>) -> Result<T, MemoryExceeded> {
        let mut held = self.held.subscribe();
        let done = tokio::select! {
            done = work => Some(done),
            _ = held.wait_for(|held| held.exceeded.is_some()) => None,
        };
        // The work may have ended because its own reservation was refused.
        let exceeded = self.held.borrow().exceeded;
        match (done, exceeded) {
            (_, Some(exceeded)) => Err(exceeded),
            (Some(done), None) => Ok(done),
            // The sender lives as long as this: the wait ends only with a limit that was exceeded.
            (None, None) => Err(MemoryExceeded::Plugin),
        }
    }
}

/// Bytes that are held for a plugin until this is dropped.
pub(crate) struct Reservation {
    memory: HostMemory,
    share: Share,
}

impl Reservation {
    /// Raises the reservation to at least this many bytes.
    pub(crate) fn grow_to(&mut self, bytes: usize) -> Result<(), MemoryExceeded> {
        let missing = bytes.saturating_sub(self.share.bytes);
        if missing == 0 {
            return Ok(());
        }
        let mut result = Ok(());
        self.memory.held.send_if_modified(|held| {
            let sum = held.bytes.checked_add(missing).filter(|sum| *sum <= PLUGIN_LIMIT);
            let exceeded = match (held.exceeded, sum) {
                (Some(exceeded), _) => Some(exceeded),
                (None, None) => Some(MemoryExceeded::Plugin),
                (None, Some(_)) => self.share.grow_by(missing).err(),
            };
            let is_first = held.exceeded.is_none() && exceeded.is_some();
            match exceeded {
                Some(exceeded) => result = Err(exceeded),
                None => held.bytes += missing,
            }
            held.exceeded = exceeded;
            is_first
        });
        result
    }

    /// Lowers the reservation to this many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let free = self.share.bytes.saturating_sub(bytes);
        self.share.shrink_by(free);
        self.memory.held.send_if_modified(|held| {
            held.bytes -= free;
            false
        });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shrink_to(0);
    }
}

/// A reservation that grows in steps with what is used, so that using a byte more seldom reserves.
pub(crate) struct Meter {
    reservation: Reservation,
    used: usize,
}

impl Meter {
    pub(crate) fn new(memory: &HostMemory) -> Result<Self, MemoryExceeded> {
        Ok(Self { reservation: memory.reserve(0)?, used: 0 })
    }

    /// Counts bytes that will be used.
    pub(crate) fn add(&mut self, bytes: usize) -> Result<(), MemoryExceeded> {
        self.used = self.used.saturating_add(bytes);
        if self.used <= self.reservation.share.bytes {
            return Ok(());
        }
        let step = (self.used / 4).max(METER_STEP);
        self.reservation.grow_to(self.used.saturating_add(step))
    }

    /// Bytes counted so far.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The reservation, of what was left in the end.
    pub(crate) fn finish(mut self, bytes: usize) -> Result<Reservation, MemoryExceeded> {
        self.reservation.grow_to(bytes)?;
        self.reservation.shrink_to(bytes);
        Ok(self.reservation)
    }
}

/// The memory of rows that left their plugin and wait to be written. It is reserved until this is dropped.
#[derive(Clone, Default)]
pub struct RowMemory(Vec<Arc<Reservation>>);

impl RowMemory {
    pub(crate) fn new(reservation: Option<Arc<Reservation>>) -> Self {
        Self(reservation.into_iter().collect())
    }

    pub(crate) fn add(&mut self, reservation: Reservation) {
        self.0.push(Arc::new(reservation));
    }

    /// Adds the memory of further rows.
    pub fn join(&mut self, other: Self) {
        for reservation in other.0 {
            // Slices of one table share its memory, and follow each other.
            if !self.0.last().is_some_and(|last| Arc::ptr_eq(last, &reservation)) {
                self.0.push(reservation);
            }
        }
    }

    /// Reserves memory for a copy of these rows.
    ///
    /// # Errors
    /// A plugin that holds more than it may.
    pub fn for_copy(&self, bytes: usize) -> Result<Self> {
        let reserve = |any: &Arc<Reservation>| any.memory.reserve(bytes).map(|copy| vec![Arc::new(copy)]);
        Ok(Self(self.0.first().map(reserve).transpose()?.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::{HostMemory, MemoryBudget, MemoryExceeded, Meter, PLUGIN_LIMIT};
    use std::sync::atomic::Ordering;

    fn memory(limit: usize) -> HostMemory {
        let budget = MemoryBudget::default();
        budget.set_limit(limit);
        HostMemory::new(budget)
    }

    fn reserved(memory: &HostMemory) -> usize {
        memory.budget.0.reserved.load(Ordering::Relaxed)
    }

    #[test]
    fn dropped_reservations_are_free_again() {
        let memory = HostMemory::new(MemoryBudget::default());
        let mut first = memory.reserve(PLUGIN_LIMIT / 2).expect("half of the limit");
        first.grow_to(PLUGIN_LIMIT).expect("the whole limit");
        first.shrink_to(1);
        assert_eq!((reserved(&memory), memory.held.borrow().bytes), (1, 1));
        drop(first);
        assert!(memory.reserve(PLUGIN_LIMIT).is_ok());
        assert_eq!(reserved(&memory), 0);
    }

    #[test]
    fn an_exceeded_limit_is_final_for_the_plugin_and_leaves_the_others() {
        let first = memory(2 * PLUGIN_LIMIT);
        let second = HostMemory::new(first.budget.clone());
        let held = first.reserve(1).expect("a byte");
        assert_eq!(first.reserve(PLUGIN_LIMIT).err(), Some(MemoryExceeded::Plugin));
        assert_eq!(first.reserve(1).err(), Some(MemoryExceeded::Plugin));
        assert!(second.reserve(PLUGIN_LIMIT).is_ok());
        drop(held);
        assert_eq!(reserved(&second), 0);
    }

    #[test]
    fn plugins_share_the_budget_of_the_process() {
        let first = memory(100);
        let second = HostMemory::new(first.budget.clone());
        let guest = first.budget.share(50).expect("linear memory");
        let _held = first.reserve(30).expect("a response");
        assert_eq!(second.reserve(21).err(), Some(MemoryExceeded::Process(100)));
        assert_eq!(second.reserve(1).err(), Some(MemoryExceeded::Process(100)));
        assert!(first.reserve(20).is_ok());
        drop(guest);
        assert!(first.reserve(70).is_ok());
        let error = first.budget.share(200).err().map(host_core::error::Error::from).expect("too much");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("plugin_memory")));
    }

    #[test]
    fn a_meter_reserves_before_use_and_keeps_what_is_left() {
        let memory = memory(PLUGIN_LIMIT);
        let mut meter = Meter::new(&memory).expect("a meter");
        for _ in 0..1000 {
            meter.add(1000).expect("within the limit");
            assert!(reserved(&memory) >= meter.used() && reserved(&memory) <= meter.used() * 5 / 4 + super::METER_STEP);
        }
        let left = meter.finish(10).expect("what is left");
        assert_eq!(reserved(&memory), 10);
        drop(left);
        let mut meter = Meter::new(&memory).expect("a meter");
        assert!(meter.add(usize::MAX).is_err());
    }
}
