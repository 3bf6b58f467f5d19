//! Reads files that the pipeline grants, by the names that the plugin declared in its needs.

#[cfg(target_arch = "wasm32")]
use crate::bindings::source_plugin::elt::plugin::files;
use crate::error::{Error, Result};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::fake_host as files;

/// The bytes that one call reads.
const CHUNK_BYTES: u32 = 1 << 20;

/// Whether the pipeline grants this file.
///
/// # Errors
///
/// If the pipeline grants the file and it cannot be opened.
pub fn is_granted(file: &str) -> Result<bool> {
    match files::open(file) {
        Ok(_) => Ok(true),
        Err(error) if error.code == "not_granted" => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The whole text of a granted file.
///
/// ```no_run
/// # fn open() -> plugin_sdk::prelude::Result<()> {
/// // With `Need::file("map", false)` among the needs, and `files = { map = "map.csv" }` in the pipeline:
/// let map = plugin_sdk::files::read_text("map")?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// If the pipeline does not grant the file, it cannot be read, or it is not UTF-8.
pub fn read_text(name: &str) -> Result<String> {
    let file = files::open(name)?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < file.size() {
        let chunk = file.read(bytes.len() as u64, CHUNK_BYTES)?;
        if chunk.is_empty() {
            break;
        }
        bytes.extend(chunk);
    }
    String::from_utf8(bytes).map_err(|_| Error::config(format!("file `{name}` is not UTF-8")))
}
