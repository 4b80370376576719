//! The allocator of tests: jemalloc, as in a server, or with `ITEMORY_SYSTEM_ALLOCATOR=1` in the environment the
//! system's, so that a memory checker that watches it sees every block.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use tikv_jemallocator::Jemalloc;

pub(super) struct Source;

/// Whether the system's allocator is used. The first allocation decides that, before the program has a second thread.
fn from_system() -> bool {
    const UNDECIDED: u8 = 0;
    const JEMALLOC: u8 = 1;
    const SYSTEM: u8 = 2;
    static CHOICE: AtomicU8 = AtomicU8::new(UNDECIDED);
    let mut choice = CHOICE.load(Relaxed);
    if choice == UNDECIDED {
        // SAFETY: the name is a C string, and the environment does not change before the first allocation.
        let named = unsafe { !libc::getenv(c"ITEMORY_SYSTEM_ALLOCATOR".as_ptr()).is_null() };
        choice = if named { SYSTEM } else { JEMALLOC };
        CHOICE.store(choice, Relaxed);
    }
    choice == SYSTEM
}

// SAFETY: every call is passed unchanged to the one allocator that gives all memory of the process.
unsafe impl GlobalAlloc for Source {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the allocator's.
        unsafe { if from_system() { System.alloc(layout) } else { Jemalloc.alloc(layout) } }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { if from_system() { System.dealloc(ptr, layout) } else { Jemalloc.dealloc(ptr, layout) } }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { if from_system() { System.alloc_zeroed(layout) } else { Jemalloc.alloc_zeroed(layout) } }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            if from_system() {
                System.realloc(ptr, layout, new_size)
            } else {
                Jemalloc.realloc(ptr, layout, new_size)
            }
        }
    }
}
