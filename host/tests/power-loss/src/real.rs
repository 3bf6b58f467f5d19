//! The functions of the C library behind the replaced ones.

/// Defines a function that calls the next definition of a symbol after this library's.
macro_rules! real {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        pub(crate) unsafe fn $name($($argument: $type),*) -> $result {
            static FOUND: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
            let address = *FOUND.get_or_init(|| {
                let name = concat!(stringify!($name), "\0");
                // SAFETY: the name ends with a zero byte.
                unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr().cast()) as usize }
            });
            if address == 0 {
                // SAFETY: a process without the function cannot go on.
                unsafe { libc::_exit(crate::settings::BROKEN) }
            }
            // SAFETY: the C library documents this signature.
            let function: unsafe extern "C" fn($($type),*) -> $result = unsafe { std::mem::transmute(address) };
            // SAFETY: the caller passes on what it was called with.
            unsafe { function($($argument),*) }
        }
    )*};
}

use libc::{c_char, c_int, c_uint, c_void, clockid_t, iovec, mode_t, off_t, size_t, ssize_t, timespec};

real! {
    open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    openat(folder: c_int, path: *const c_char, flags: c_int, mode: mode_t) -> c_int;
    write(file: c_int, bytes: *const c_void, length: size_t) -> ssize_t;
    pwrite(file: c_int, bytes: *const c_void, length: size_t, offset: off_t) -> ssize_t;
    writev(file: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    ftruncate(file: c_int, length: off_t) -> c_int;
    fallocate(file: c_int, mode: c_int, offset: off_t, length: off_t) -> c_int;
    fsync(file: c_int) -> c_int;
    fdatasync(file: c_int) -> c_int;
    rename(from: *const c_char, to: *const c_char) -> c_int;
    renameat2(from: c_int, path: *const c_char, to: c_int, next: *const c_char, flags: c_uint) -> c_int;
    unlink(path: *const c_char) -> c_int;
    unlinkat(folder: c_int, path: *const c_char, flags: c_int) -> c_int;
    remove(path: *const c_char) -> c_int;
    clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int;
    sem_timedwait(semaphore: *mut libc::sem_t, until: *const timespec) -> c_int;
    pthread_cond_timedwait(
        condition: *mut libc::pthread_cond_t, mutex: *mut libc::pthread_mutex_t, until: *const timespec
    ) -> c_int;
}
