//! What a test asks for, in environment variables.

use std::path::PathBuf;
use std::sync::OnceLock;

/// The exit code of a process whose power was cut.
pub(crate) const EXIT_CODE: i32 = 99;

/// The exit code of a process in which this library lost track of the files.
pub(crate) const BROKEN: i32 = 98;

/// The settings of this process.
pub(crate) struct Settings {
    /// `POWER_LOSS_FOLDER`: files below this folder are followed. Absolute, without links.
    pub(crate) folder: PathBuf,
    /// `POWER_LOSS_WORK`: a folder of the same file system for removed files and the list of operations.
    pub(crate) work: PathBuf,
    /// `POWER_LOSS_SEED`: decides what survives, and the delays.
    pub(crate) seed: u64,
    /// `POWER_LOSS_CUT_AT`: the operation at which the power fails, counted from 1.
    pub(crate) cut_at: Option<u64>,
    /// `POWER_LOSS_AT_EXIT`: the power fails when the process ends with exit code 0, which stays its exit code.
    pub(crate) at_exit: bool,
    /// `POWER_LOSS_LIES`: syncs are reported as done and forgotten, as by a disk with a volatile cache.
    pub(crate) lies: bool,
    /// `POWER_LOSS_DELAYS`: how many of a thousand operations are delayed.
    pub(crate) delays: u32,
}

/// The settings, or `None` in a process that is not followed.
pub(crate) fn settings() -> Option<&'static Settings> {
    static SETTINGS: OnceLock<Option<Settings>> = OnceLock::new();
    SETTINGS
        .get_or_init(|| {
            Some(Settings {
                folder: std::env::var_os("POWER_LOSS_FOLDER")?.into(),
                work: std::env::var_os("POWER_LOSS_WORK")?.into(),
                seed: number("POWER_LOSS_SEED").unwrap_or(0),
                cut_at: number("POWER_LOSS_CUT_AT"),
                at_exit: std::env::var_os("POWER_LOSS_AT_EXIT").is_some(),
                lies: std::env::var_os("POWER_LOSS_LIES").is_some(),
                delays: number("POWER_LOSS_DELAYS").unwrap_or(0),
            })
        })
        .as_ref()
}

/// `POWER_LOSS_CLOCK`: seconds by which the wall clock is ahead.
pub(crate) fn clock_seconds() -> i64 {
    static SECONDS: OnceLock<i64> = OnceLock::new();
    *SECONDS.get_or_init(|| number("POWER_LOSS_CLOCK").unwrap_or(0))
}

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}
