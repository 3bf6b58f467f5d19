//! Files that the pipeline granted, read whole.

#[cfg(target_arch = "wasm32")]
use crate::bindings::source_plugin::elt::plugin::files;
use crate::error::{Error, Result};
#[cfg(not(target_arch = "wasm32"))]
use crate::testing::granted as files;

/// Bytes read at once.
const CHUNK: u32 = 1 << 20;

/// Whether the pipeline granted this file; one that is granted and cannot be opened is an error.
pub fn is_granted(file: &str) -> Result<bool> {
    match files::open(file) {
        Ok(_) => Ok(true),
        Err(error) if error.code == "not_granted" => Ok(false),
        Err(error) => Err(error.into()),
    }
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
