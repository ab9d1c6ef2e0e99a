//! Keeping the heap small. glibc gives every thread that meets a busy arena one of its own, up to
//! eight for each core, and keeps what is freed in them: with threads for blocking work that came
//! to 480 MB over one hour of a demo that needs 60 MB.

use std::ffi::c_int;

/// Call first thing in `main`, before there are threads: as many arenas as cores.
pub fn limit_arenas() {
    let cores = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    glibc::arenas(c_int::try_from(cores).unwrap_or(2));
}

/// Gives freed memory back to the system; worth it after a large piece of work.
pub fn give_back() {
    glibc::trim();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod glibc {
    use std::ffi::c_int;

    /// `M_ARENA_MAX` of malloc.h.
    const M_ARENA_MAX: c_int = -8;

    unsafe extern "C" {
        fn mallopt(param: c_int, value: c_int) -> c_int;
        fn malloc_trim(pad: usize) -> c_int;
    }

    pub fn arenas(most: c_int) {
        // SAFETY: mallopt(3) takes two integers and no pointers; it is called before any other
        // thread exists, so nothing allocates meanwhile. A refused value changes nothing.
        unsafe { mallopt(M_ARENA_MAX, most) };
    }

    pub fn trim() {
        // SAFETY: malloc_trim(3) locks each arena itself and only releases pages that are free.
        unsafe { malloc_trim(0) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod glibc {
    pub fn arenas(_: std::ffi::c_int) {}
    pub fn trim() {}
}
