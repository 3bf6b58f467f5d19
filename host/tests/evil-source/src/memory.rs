//! Looks at all of the guest's memory, byte by byte.

/// How often a text stands in memory that is given last letter first.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "there is no other way to look at what is no value of one's own")]
pub(crate) fn count(backwards: &[u8]) -> usize {
    let byte = |address: usize| {
        let place = std::ptr::with_exposed_provenance::<u8>(address);
        // SAFETY: every address below the memory's size can be read, and whatever is there is a byte.
        unsafe { place.read_volatile() }
    };
    let size = core::arch::wasm32::memory_size::<0>() << 16;
    let last = size.saturating_sub(backwards.len());
    let letters = || backwards.iter().rev().enumerate();
    // Address 0 is no place to Rust.
    (1..=last).filter(|start| letters().all(|(at, letter)| byte(start + at) == *letter)).count()
}

/// A native build has no memory of its own to look at.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn count(_: &[u8]) -> usize {
    0
}
