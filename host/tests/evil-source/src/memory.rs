//! Searches the guest's whole linear memory.

/// Counts the occurrences of a text in memory. The text is given reversed.
#[cfg(target_arch = "wasm32")]
#[expect(unsafe_code, reason = "memory outside of any Rust object can only be read through a raw pointer")]
pub(crate) fn count(backwards: &[u8]) -> usize {
    let byte = |address: usize| {
        let pointer = std::ptr::with_exposed_provenance::<u8>(address);
        // SAFETY: every address below the memory's size is readable, and every byte is a valid `u8`.
        unsafe { pointer.read_volatile() }
    };
    let size = core::arch::wasm32::memory_size::<0>() << 16;
    let last = size.saturating_sub(backwards.len());
    let bytes = || backwards.iter().rev().enumerate();
    // Address 0 is a null pointer, which Rust may not read.
    (1..=last).filter(|start| bytes().all(|(at, expected)| byte(start + at) == *expected)).count()
}

/// A native build has no linear memory.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn count(_: &[u8]) -> usize {
    0
}
