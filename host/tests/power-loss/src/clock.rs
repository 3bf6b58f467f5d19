//! The wall clock, moved by a number of seconds. Waits until a time of the wall clock are moved back.

use libc::{c_int, clockid_t, timespec};

use crate::real;
use crate::settings::clock_seconds;

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    // SAFETY: the caller's arguments.
    let result = unsafe { real::clock_gettime(clock, time) };
    if result == 0 && matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        // SAFETY: the call above has filled it.
        unsafe { (*time).tv_sec += clock_seconds() };
    }
    result
}

/// A deadline as the real clock shows it. Times of the monotonic clock are small, and are left alone.
fn unmoved(until: timespec) -> timespec {
    let is_wall_clock = until.tv_sec > 100_000_000;
    timespec { tv_sec: until.tv_sec - if is_wall_clock { clock_seconds() } else { 0 }, ..until }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn sem_timedwait(semaphore: *mut libc::sem_t, until: *const timespec) -> c_int {
    // SAFETY: the caller's deadline.
    let until = unmoved(unsafe { *until });
    // SAFETY: the caller's arguments, with a deadline that lives until the call returns.
    unsafe { real::sem_timedwait(semaphore, &raw const until) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_timedwait(
    condition: *mut libc::pthread_cond_t,
    mutex: *mut libc::pthread_mutex_t,
    until: *const timespec,
) -> c_int {
    // SAFETY: the caller's deadline.
    let until = unmoved(unsafe { *until });
    // SAFETY: the caller's arguments, with a deadline that lives until the call returns.
    unsafe { real::pthread_cond_timedwait(condition, mutex, &raw const until) }
}
