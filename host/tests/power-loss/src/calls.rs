//! The replaced calls on files. Each asks whether the file is followed, tells the disk, and calls the C library.

use std::cell::Cell;
use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use libc::{c_char, c_int, c_uint, c_void, iovec, mode_t, off_t, size_t, ssize_t};

use crate::disk::{Disk, FileId, disk};
use crate::real;
use crate::settings::{BROKEN, Settings, settings};

thread_local! {
    /// Whether this thread is in this library, whose own calls pass unchanged.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Does the work on the disk and then the call, alone. Without settings, and in calls of this library, only the call.
fn followed<T>(work: impl FnOnce(&mut Disk, &'static Settings) -> std::io::Result<()>, call: impl FnOnce() -> T) -> T {
    let Some(settings) = settings().filter(|_| !INSIDE.get()) else { return call() };
    INSIDE.set(true);
    let mut disk = disk();
    if let Err(error) = work(&mut disk, settings) {
        // A simulator that lost track would accuse the wrong one.
        let _ = std::fs::write(settings.work.join("broken"), error.to_string());
        // SAFETY: the process ends here.
        unsafe { libc::_exit(BROKEN) }
    }
    let result = call();
    drop(disk);
    INSIDE.set(false);
    result
}

/// Same as [`followed`], for a call on an open file. Of a file that is not followed, only the call.
fn followed_file<T>(
    file: c_int,
    work: impl FnOnce(&mut Disk, &'static Settings, FileId) -> std::io::Result<()>,
    call: impl FnOnce() -> T,
) -> T {
    let Some((id, _)) = settings().filter(|_| !INSIDE.get()).and_then(|_| opened(file)) else { return call() };
    delay();
    followed(|disk, settings| if disk.is_followed(id) { work(disk, settings, id) } else { Ok(()) }, call)
}

/// Works on the disk while no other thread changes a file.
pub(crate) fn alone<T>(work: impl FnOnce(&mut Disk) -> T) -> T {
    INSIDE.set(true);
    let result = work(&mut disk());
    INSIDE.set(false);
    result
}

/// A delay of some operations, by the seed, so that threads meet in other orders.
fn delay() {
    let Some(settings) = settings().filter(|settings| settings.delays > 0 && !INSIDE.get()) else { return };
    let chance = alone(|disk| disk.chance(settings));
    if chance < settings.delays {
        let micros = u64::from(chance % 8) * 100;
        if micros == 0 {
            std::thread::yield_now();
        } else {
            std::thread::sleep(std::time::Duration::from_micros(micros));
        }
    }
}

/// The id and the length of an open file; `None` for sockets, pipes and the like.
fn opened(file: c_int) -> Option<(FileId, u64)> {
    // SAFETY: a struct of numbers, filled by the call.
    let (result, status) = unsafe {
        let mut status: libc::stat = std::mem::zeroed();
        (libc::fstat(file, &raw mut status), status)
    };
    let is_file = result == 0 && status.st_mode & libc::S_IFMT == libc::S_IFREG;
    is_file.then(|| ((status.st_dev, status.st_ino), u64::try_from(status.st_size).unwrap_or_default()))
}

/// The absolute path of an argument, if it is in the followed folder.
///
/// # Safety
/// A path of the C library.
unsafe fn inside(path: *const c_char, settings: &Settings) -> Option<PathBuf> {
    // SAFETY: the caller passes a C string.
    let path = Path::new(std::ffi::OsStr::from_bytes(unsafe { CStr::from_ptr(path) }.to_bytes()));
    let name = path.file_name()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let path = folder.canonicalize().ok()?.join(name);
    path.starts_with(&settings.folder).then_some(path)
}

/// # Safety
/// Arguments of `open`.
unsafe fn open_followed(path: *const c_char, flags: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let is_writing = flags & (libc::O_WRONLY | libc::O_RDWR | libc::O_TRUNC) != 0;
    let Some(settings) = settings().filter(|_| is_writing && !INSIDE.get()) else { return call() };
    delay();
    INSIDE.set(true);
    // SAFETY: the caller's path.
    let target = unsafe { inside(path, settings) };
    INSIDE.set(false);
    let Some(path) = target else { return call() };
    let is_new = Cell::new(false);
    let result = followed(
        |disk, settings| {
            is_new.set(!path.exists());
            if path.is_file() {
                disk.follow(&path)?;
                if flags & libc::O_TRUNC != 0 {
                    disk.count(settings, format_args!("empty {}", path.display()))?;
                    let status = std::fs::metadata(&path)?;
                    use std::os::unix::fs::MetadataExt as _;
                    disk.will_resize((status.dev(), status.ino()), 0)?;
                }
            } else if flags & libc::O_CREAT != 0 {
                disk.count(settings, format_args!("create {}", path.display()))?;
            }
            Ok(())
        },
        call,
    );
    if result >= 0 && is_new.get() {
        followed(
            |disk, _| {
                disk.created(path.clone());
                disk.follow(&path)
            },
            || (),
        );
    }
    result
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { open_followed(path, flags, || real::open(path, flags, mode)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { open_followed(path, flags, || real::open(path, flags | libc::O_LARGEFILE, mode)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe {
        if folder == libc::AT_FDCWD || *path.cast::<u8>() == b'/' {
            open_followed(path, flags, || real::openat(folder, path, flags, mode))
        } else {
            real::openat(folder, path, flags, mode)
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn openat64(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { openat(folder, path, flags | libc::O_LARGEFILE, mode) }
}

/// # Safety
/// `length` readable bytes.
unsafe fn copied(bytes: *const c_void, length: size_t) -> Vec<u8> {
    // SAFETY: the caller's buffer.
    unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length) }.to_vec()
}

/// Where a write without an offset begins.
fn position(file: c_int, length: u64) -> u64 {
    // SAFETY: calls without memory.
    unsafe {
        if libc::fcntl(file, libc::F_GETFL) & libc::O_APPEND != 0 {
            return length;
        }
        u64::try_from(libc::lseek(file, 0, libc::SEEK_CUR)).unwrap_or_default()
    }
}

/// Writes bytes at an offset, or at the file's position. `bytes` is asked only if the file is followed.
fn write_followed(
    file: c_int,
    offset: Option<off_t>,
    bytes: impl FnOnce() -> Vec<u8>,
    call: impl FnOnce() -> ssize_t,
) -> ssize_t {
    followed_file(
        file,
        |disk, settings, id| {
            let length = opened(file).map_or(0, |(_, length)| length);
            let offset =
                offset.map_or_else(|| position(file, length), |offset| u64::try_from(offset).unwrap_or_default());
            let bytes = bytes();
            disk.count(settings, format_args!("write {} at {offset} length {}", id.1, bytes.len()))?;
            disk.will_write(id, offset, bytes)
        },
        call,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn write(file: c_int, bytes: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller's arguments.
    write_followed(file, None, || unsafe { copied(bytes, length) }, || unsafe { real::write(file, bytes, length) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite(file: c_int, bytes: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: the caller's arguments.
    let call = || unsafe { real::pwrite(file, bytes, length, offset) };
    // SAFETY: the caller's arguments.
    write_followed(file, Some(offset), || unsafe { copied(bytes, length) }, call)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pwrite64(file: c_int, bytes: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: the caller's arguments.
    unsafe { pwrite(file, bytes, length, offset) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn writev(file: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    let bytes = || {
        // SAFETY: the caller's arguments.
        let parts = unsafe { std::slice::from_raw_parts(parts, usize::try_from(count).unwrap_or_default()) };
        // SAFETY: the caller's arguments.
        parts.iter().flat_map(|part| unsafe { copied(part.iov_base, part.iov_len) }).collect()
    };
    // SAFETY: the caller's arguments.
    write_followed(file, None, bytes, || unsafe { real::writev(file, parts, count) })
}

/// Gives a file another length.
fn resize_followed(file: c_int, length: u64, call: impl FnOnce() -> c_int) -> c_int {
    followed_file(
        file,
        |disk, settings, id| {
            disk.count(settings, format_args!("resize {} to {length}", id.1))?;
            disk.will_resize(id, length)
        },
        call,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate(file: c_int, length: off_t) -> c_int {
    // SAFETY: the caller's arguments.
    let call = || unsafe { real::ftruncate(file, length) };
    resize_followed(file, u64::try_from(length).unwrap_or_default(), call)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn ftruncate64(file: c_int, length: off_t) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { ftruncate(file, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fallocate(file: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int {
    // DuckDB frees blocks by punching holes, and goes on if the file system cannot.
    if settings().is_some() && opened(file).is_some_and(|(id, _)| !INSIDE.get() && alone(|disk| disk.is_followed(id))) {
        // SAFETY: the C library's error number of this thread.
        unsafe { *libc::__errno_location() = libc::EOPNOTSUPP };
        return -1;
    }
    // SAFETY: the caller's arguments.
    unsafe { real::fallocate(file, mode, offset, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn copy_file_range(
    _: c_int,
    _: *mut off_t,
    _: c_int,
    _: *mut off_t,
    _: size_t,
    _: c_uint,
) -> ssize_t {
    // Callers fall back to reads and writes.
    // SAFETY: the C library's error number of this thread.
    unsafe { *libc::__errno_location() = libc::EXDEV };
    -1
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile64(_: c_int, _: c_int, _: *mut off_t, _: size_t) -> ssize_t {
    // SAFETY: the C library's error number of this thread.
    unsafe { *libc::__errno_location() = libc::EINVAL };
    -1
}

/// Syncs a followed file in the model only, which is faster than the disk.
fn sync_followed(file: c_int, call: impl FnOnce() -> c_int) -> c_int {
    let is_followed = Cell::new(false);
    followed_file(
        file,
        |disk, settings, id| {
            is_followed.set(true);
            disk.count(settings, format_args!("sync {}", id.1))?;
            if !settings.lies {
                disk.synced(id)?;
            }
            Ok(())
        },
        || if is_followed.get() { 0 } else { call() },
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fsync(file: c_int) -> c_int {
    // SAFETY: the caller's arguments.
    sync_followed(file, || unsafe { real::fsync(file) })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn fdatasync(file: c_int) -> c_int {
    // SAFETY: the caller's arguments.
    sync_followed(file, || unsafe { real::fdatasync(file) })
}

/// # Safety
/// Arguments of `rename`.
unsafe fn rename_followed(from: *const c_char, to: *const c_char, call: impl FnOnce() -> c_int) -> c_int {
    delay();
    followed(
        |disk, settings| {
            // SAFETY: the caller's paths.
            if let Some((from, to)) = unsafe { inside(from, settings).zip(inside(to, settings)) } {
                disk.count(settings, format_args!("rename {} to {}", from.display(), to.display()))?;
                disk.will_rename(from, to, settings)?;
            }
            Ok(())
        },
        call,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { rename_followed(from, to, || real::rename(from, to)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn renameat2(
    from: c_int,
    path: *const c_char,
    to: c_int,
    next: *const c_char,
    flags: c_uint,
) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe {
        if from == libc::AT_FDCWD && to == libc::AT_FDCWD {
            rename_followed(path, next, || real::renameat2(from, path, to, next, flags))
        } else {
            real::renameat2(from, path, to, next, flags)
        }
    }
}

/// # Safety
/// Arguments of `unlink`.
unsafe fn remove_followed(path: *const c_char, call: impl FnOnce() -> c_int) -> c_int {
    delay();
    followed(
        |disk, settings| {
            // SAFETY: the caller's path.
            if let Some(path) = unsafe { inside(path, settings) }.filter(|path| path.is_file()) {
                disk.count(settings, format_args!("remove {}", path.display()))?;
                disk.will_remove(path, settings)?;
            }
            Ok(())
        },
        call,
    )
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { remove_followed(path, || real::unlink(path)) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe {
        if folder == libc::AT_FDCWD {
            remove_followed(path, || real::unlinkat(folder, path, flags))
        } else {
            real::unlinkat(folder, path, flags)
        }
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn remove(path: *const c_char) -> c_int {
    // SAFETY: the caller's arguments.
    unsafe { remove_followed(path, || real::remove(path)) }
}
