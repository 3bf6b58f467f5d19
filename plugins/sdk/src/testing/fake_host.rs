//! The host functions that a rule imports, for tests: the files that the test grants, and the log.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::source_plugin::elt::plugin::types::{Error, ErrorKind};

#[derive(Default)]
struct FakeHost {
    files: BTreeMap<String, String>,
    log: Vec<String>,
}

thread_local! {
    /// Each test runs in its own thread.
    static HOST: RefCell<FakeHost> = RefCell::default();
}

/// Replaces the files that the next calls may open.
pub(super) fn grant(files: &BTreeMap<String, String>) {
    HOST.with_borrow_mut(|host| host.files.clone_from(files));
}

/// Takes the lines logged since the last call.
pub(super) fn take_log() -> Vec<String> {
    HOST.with_borrow_mut(|host| std::mem::take(&mut host.log))
}

/// Logs a line of any level.
pub(crate) fn write(message: &str) {
    HOST.with_borrow_mut(|host| host.log.push(message.to_owned()));
}

/// The contract's resource `file`.
pub(crate) struct File(String);

impl File {
    pub(crate) fn size(&self) -> u64 {
        self.0.len() as u64
    }

    pub(crate) fn read(&self, offset: u64, length: u32) -> Result<Vec<u8>, Error> {
        let rest = self.0.bytes().skip(usize::try_from(offset).unwrap_or(usize::MAX));
        Ok(rest.take(length as usize).collect())
    }
}

/// The contract's function `files.open`.
pub(crate) fn open(name: &str) -> Result<File, Error> {
    HOST.with_borrow(|host| host.files.get(name).cloned()).map(File).ok_or_else(|| Error {
        kind: ErrorKind::Config,
        code: "not_granted".to_owned(),
        message: format!("file `{name}` is not granted"),
        retry_after_ms: None,
        details_json: None,
    })
}
