//! Files that the pipeline granted, read whole.

use crate::bindings::source_plugin::elt::plugin::files;
use crate::error::{Error, Result};

/// Bytes read at once.
const CHUNK: u32 = 1 << 20;

/// Whether the pipeline granted this file.
#[must_use]
pub fn is_granted(file: &str) -> bool {
    files::open(file).is_ok()
}

/// The text of a granted file.
pub fn read_text(name: &str) -> Result<String> {
    let file = files::open(name)?;
    let mut bytes = Vec::new();
    while (bytes.len() as u64) < file.size() {
        let chunk = file.read(bytes.len() as u64, CHUNK)?;
        if chunk.is_empty() {
            break;
        }
        bytes.extend(chunk);
    }
    String::from_utf8(bytes).map_err(|_| Error::config(format!("file `{name}` is not UTF-8")))
}
