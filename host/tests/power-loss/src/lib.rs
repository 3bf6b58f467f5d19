//! A library for LD_PRELOAD that cuts the power of a process at a chosen write: what was synced stays on disk, and of the
//! rest a seeded subset, in which writes are missing, torn or out of order.
//!
//! DuckDB and Rust's standard library call the C library for files, so the calls of a whole process pass here. Files of one
//! folder are followed ([`settings`]); everything else passes unchanged. The files on disk always are what the process
//! sees. [`disk`] remembers what is synced, and [`survivors`] decides what is left of the rest. A cut writes that state into
//! the files and ends the process with [`settings::EXIT_CODE`].
//!
//! The model is that of ext4 and XFS: bytes reach the disk in any order until the file is synced; names (create, rename,
//! unlink) reach it in their order, and any sync makes the earlier ones durable.
//!
//! It also moves the wall clock, and delays calls by a seed so that threads meet in other orders.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "functions of the C library are replaced and called")]

mod calls;
mod clock;
mod disk;
mod real;
mod settings;
mod survivors;
