//! An allocator that aborts if an input makes memory grow beyond what its size can justify.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Maximum size of live allocations. Inputs have a few kilobytes, so this is thousands of times their size, but small
/// compared with what a claimed count could request.
const MAX_LIVE_BYTES: usize = 256 << 20;

static LIVE: AtomicUsize = AtomicUsize::new(0);

/// The system allocator with a counter.
pub struct Thrift;

fn take(bytes: usize) {
    if LIVE.fetch_add(bytes, Relaxed) + bytes > MAX_LIVE_BYTES {
        // No message, because formatting one would allocate. The stack trace shows the location.
        std::process::abort();
    }
}

// SAFETY: every call is forwarded unchanged to the system allocator; only a counter is added.
#[allow(unsafe_code)] // an allocator is an unsafe trait
unsafe impl GlobalAlloc for Thrift {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller upholds the contract, which is passed on unchanged.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        take(layout.size());
        // SAFETY: the caller upholds the contract, which is passed on unchanged.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        take(new_size);
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract, which is passed on unchanged.
        unsafe { System.realloc(block, layout, new_size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller upholds the contract, which is passed on unchanged.
        unsafe { System.dealloc(block, layout) }
    }
}
