//! An allocator that aborts where a hostile file makes memory grow beyond all that its bytes can justify.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What may be held at once. Inputs here have some kilobytes, so this is thousands of times what they hold, and small
/// against what a claimed count could ask for.
const MAX_LIVE_BYTES: usize = 256 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, counting.
pub struct Thrift;

fn take(bytes: usize) {
    if LIVE.fetch_add(bytes, Relaxed) + bytes > MAX_LIVE_BYTES {
        // No message: formatting one would allocate. The stack says where.
        std::process::abort();
    }
}

// SAFETY: every call goes to the system's allocator as it came; only a counter is kept beside it.
#[allow(unsafe_code)] // an allocator is an unsafe trait
unsafe impl GlobalAlloc for Thrift {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        take(new_size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(block, layout) }
    }
}
