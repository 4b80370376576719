//! The allocator, and how much of it is in use.
//!
//! jemalloc does the work. In addition each thread counts the bytes that it allocates and frees in its own slot,
//! rounded to the allocator's size classes. So [`used_bytes`] is a sum over a few cache lines, cheap enough to be
//! called often.
#![allow(unsafe_code)]

use super::tally::{self, APART, PLACES, Tally, is_shared, place};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
#[cfg(not(test))]
use tikv_jemallocator::Jemalloc as Source;

#[cfg(test)]
mod source;
#[cfg(test)]
use source::Source;

#[repr(align(128))]
struct Slot(AtomicI64);

static BALANCE: [Slot; PLACES + 1] = [const { Slot(AtomicI64::new(0)) }; PLACES + 1];

thread_local! {
    /// What this thread has added to the shared slot, if it has no slot of its own, and to the slot of what is done
    /// [`apart`].
    static SHARED: [Cell<i64>; 2] = const { [Cell::new(0), Cell::new(0)] };
    /// Whether a failed allocation on this thread aborts the process.
    static ABORTS: Cell<bool> = const { Cell::new(false) };
}

/// jemalloc with a count of the bytes in use. To be set as the global allocator by binaries.
pub struct Allocator;

/// Tests of this library count too, because eviction depends on the count.
#[cfg(all(test, not(miri)))]
#[global_allocator]
static COUNTED: Allocator = Allocator;

/// The size that an allocation of `size` bytes takes: 8 bytes, a multiple of 16 up to 128, then four classes per
/// doubling.
#[inline]
pub const fn class_bytes(size: usize) -> usize {
    if size <= 8 {
        return 8;
    }
    if size <= 128 {
        return (size + 15) & !15;
    }
    let step = 1 << ((usize::BITS - 1 - (size - 1).leading_zeros()) - 2);
    (size + step - 1) & !(step - 1)
}

#[inline]
fn count(delta: i64) {
    let mine = place();
    let slot = &BALANCE[mine].0;
    if is_shared(mine) {
        slot.fetch_add(delta, Relaxed);
        SHARED.with(|shared| {
            let added = &shared[usize::from(mine == APART)];
            added.set(added.get().wrapping_add(delta));
        });
    } else {
        slot.store(slot.load(Relaxed).wrapping_add(delta), Relaxed);
    }
}

/// Does some work; if an allocation of this thread fails meanwhile, the process aborts at once. In that case std would
/// wait for a lock that is held while a backtrace is shown, so a thread that shows one would wait for itself.
pub fn or_abort<T>(work: impl FnOnce() -> T) -> T {
    let before = ABORTS.replace(true);
    let result = work();
    ABORTS.set(before);
    result
}

/// Does some work. What this thread allocates and frees meanwhile is in use for no client and for no data that could be
/// evicted, for instance what is known of the program's own code. It counts in [`kept_bytes`] beside [`used_bytes`], so
/// that no key is evicted for it. What was allocated in one such work and outlives it is to be freed in another.
pub fn apart<T>(work: impl FnOnce() -> T) -> T {
    tally::apart(work)
}

/// Counts an allocation, if it succeeded.
#[inline]
fn given(pointer: *mut u8, delta: i64) -> *mut u8 {
    if pointer.is_null() {
        not_given();
    } else {
        count(delta);
    }
    pointer
}

#[cold]
fn not_given() {
    if ABORTS.get() {
        // The message may be lost; the process ends in any case.
        let _ =
            rustix::io::write(std::io::stderr(), b"no memory can be had to report a fault of the program\n");
        std::process::abort();
    }
}

/// Bytes in use by all threads, in O(1). The threads' counts are not read at the same moment.
pub fn used_bytes() -> u64 {
    BALANCE.iter().map(|slot| slot.0.load(Relaxed)).sum::<i64>().max(0) as u64
}

/// The bytes that this thread has allocated less those it has freed, in O(1). The difference of two readings on one
/// thread is what it allocated between them, without what it did [`apart`]. Always 0 in a program that does not have
/// [`Allocator`] as its allocator.
pub fn thread_bytes() -> i64 {
    match place() {
        shared if is_shared(shared) => SHARED.with(|added| added[usize::from(shared == APART)].get()),
        mine => BALANCE[mine].0.load(Relaxed),
    }
}

// SAFETY: every call is passed to the source unchanged; counting neither allocates nor panics.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are the source's.
        given(unsafe { Source.alloc(layout) }, class_bytes(layout.size()) as i64)
    }

    #[inline]
    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(-(class_bytes(layout.size()) as i64));
        // SAFETY: as above.
        unsafe { Source.dealloc(ptr, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        given(unsafe { Source.alloc_zeroed(layout) }, class_bytes(layout.size()) as i64)
    }

    #[inline]
    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let delta = (class_bytes(new_size) as i64).wrapping_sub(class_bytes(layout.size()) as i64);
        // SAFETY: as above.
        given(unsafe { Source.realloc(ptr, layout, new_size) }, delta)
    }
}

/// Bytes of buffers that are in use by nothing; each thread adds in a place of its own.
static KEPT: LazyLock<Tally> = LazyLock::new(Tally::default);

/// The bytes of a buffer that is kept for later use though nothing is in it. They count in [`kept_bytes`] until this is
/// dropped.
#[derive(Debug, Default)]
pub struct KeptBytes(usize);

impl KeptBytes {
    /// Counts so many bytes instead of those before.
    #[inline]
    pub fn set(&mut self, bytes: usize) {
        if bytes != self.0 {
            KEPT.add((bytes as u64).wrapping_sub(self.0 as u64));
            self.0 = bytes;
        }
    }

    /// The bytes that it counts.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.0
    }
}

impl Drop for KeptBytes {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The bytes of all buffers that are kept for later use, and of what was allocated [`apart`], in O(1). The threads'
/// counts are not read at the same moment.
pub fn kept_bytes() -> u64 {
    (KEPT.sum() as i64 + BALANCE[APART].0.load(Relaxed)).max(0) as u64
}

/// What the allocator itself reports, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllocatorStats {
    /// In live allocations.
    pub allocated: u64,
    /// In pages that hold live allocations.
    pub active: u64,
    /// In pages that are resident.
    pub resident: u64,
    /// Unused pages kept.
    pub retained: u64,
}

/// Asks the allocator for its figures; takes some microseconds.
pub fn allocator_stats() -> AllocatorStats {
    use tikv_jemalloc_ctl::{epoch, stats};
    let _ = epoch::advance();
    let read = |value: Result<usize, _>| value.map_or(0, |v: usize| v as u64);
    AllocatorStats {
        allocated: read(stats::allocated::read().map_err(drop)),
        active: read(stats::active::read().map_err(drop)),
        resident: read(stats::resident::read().map_err(drop)),
        retained: read(stats::retained::read().map_err(drop)),
    }
}

/// Makes the allocator give all unused pages back to the system. It may take long.
pub fn purge() {
    // 4096 stands for all arenas in the allocator's interface.
    let name = c"arena.4096.purge";
    let null = std::ptr::null_mut();
    // SAFETY: the name is a C string, and this control takes and gives no value.
    unsafe {
        tikv_jemalloc_sys::mallctl(name.as_ptr(), null, null.cast(), null, 0);
    }
}

/// Returns the unused pages of this thread's arena to the system. A thread that has used much memory calls this when it
/// ends. Other threads that share the arena fetch pages again as they need them.
pub fn purge_own() {
    let (null, mut arena, mut size) = (std::ptr::null_mut(), 0_u32, size_of::<u32>());
    // SAFETY: the first control takes and gives no value; the second gives an unsigned number, for which there is room.
    let found = unsafe {
        tikv_jemalloc_sys::mallctl(c"thread.tcache.flush".as_ptr(), null, null.cast(), null, 0);
        let to = (&raw mut arena).cast();
        tikv_jemalloc_sys::mallctl(c"thread.arena".as_ptr(), to, &raw mut size, null, 0)
    };
    if found != 0 {
        return;
    }
    if let Ok(name) = std::ffi::CString::new(format!("arena.{arena}.purge")) {
        // SAFETY: the name is a C string, and this control takes and gives no value.
        unsafe {
            tikv_jemalloc_sys::mallctl(name.as_ptr(), null, null.cast(), null, 0);
        }
    }
}

/// The allocator's own report for people.
pub fn allocator_report() -> String {
    extern "C" fn append(text: *mut std::ffi::c_void, part: *const std::ffi::c_char) {
        // SAFETY: `allocator_report` passes its string here, and the allocator a C string.
        let (text, part) = unsafe { (&mut *text.cast::<String>(), std::ffi::CStr::from_ptr(part)) };
        text.push_str(&part.to_string_lossy());
    }
    // The string has enough room from the start, because growing it inside the callback would change the figures.
    let mut text = String::with_capacity(256 * 1024);
    // SAFETY: the callback gets the pointer to the string, which outlives the call; no options are given.
    unsafe {
        tikv_jemalloc_sys::malloc_stats_print(
            Some(append),
            std::ptr::from_mut(&mut text).cast(),
            c"ax".as_ptr(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{
        Allocator, PLACES, allocator_report, allocator_stats, apart, class_bytes, purge, purge_own,
        thread_bytes,
    };
    use std::alloc::{GlobalAlloc, Layout};
    use tikv_jemallocator::Jemalloc;

    #[test]
    fn the_allocator_reports_and_purges() {
        assert!(allocator_report().contains("jemalloc statistics"));
        purge();
    }

    /// The pages are given back when the thread ends, not only when other threads allocate as much.
    #[test]
    fn what_a_thread_used_can_be_given_back() {
        const BLOCKS: usize = 1000;
        let layout = Layout::from_size_align(64 << 10, 8).unwrap();
        let use_much = move || {
            // SAFETY: the layout has a size; each block is written as far as that and freed once with it.
            unsafe {
                let blocks: Vec<*mut u8> = (0..BLOCKS).map(|_| Jemalloc.alloc(layout)).collect();
                for block in blocks {
                    block.write_bytes(1, layout.size());
                    Jemalloc.dealloc(block, layout);
                }
            }
            let used = allocator_stats().resident;
            purge_own();
            (used, allocator_stats().resident)
        };
        let (used, then) = std::thread::spawn(use_much).join().unwrap();
        assert!(then + (BLOCKS * layout.size() / 2) as u64 <= used, "{used} {then}");
    }

    #[test]
    fn classes_are_those_of_the_allocator() {
        for (size, class) in [
            (1, 8),
            (9, 16),
            (16, 16),
            (17, 32),
            (128, 128),
            (129, 160),
            (161, 192),
            (257, 320),
            (1025, 1280),
        ] {
            assert_eq!(class_bytes(size), class, "{size}");
        }
    }

    /// Allocates through the counting allocator, even if the tests use another one, and returns the count after each
    /// step.
    fn counted_steps() -> [i64; 4] {
        let before = thread_bytes();
        let counted = || thread_bytes() - before;
        let layout = Layout::new::<[u64; 20]>();
        // SAFETY: the layout has a size, and each pointer is used with the layout that it has.
        unsafe {
            let first = Allocator.alloc(layout);
            let second = Allocator.alloc_zeroed(layout);
            assert!((0..160).all(|i| second.add(i).read() == 0));
            let both = counted();
            first.write_bytes(7, 160);
            let first = Allocator.realloc(first, layout, 300);
            assert!((0..160).all(|i| first.add(i).read() == 7));
            let grown = counted();
            Allocator.dealloc(second, layout);
            let one = counted();
            Allocator.dealloc(first, Layout::from_size_align(300, 8).unwrap());
            [both, grown, one, counted()]
        }
    }

    #[test]
    fn a_thread_counts_its_own_bytes_whether_it_has_a_slot_or_shares_one() {
        let threads = 2 * PLACES;
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(counted_steps)).collect();
            for handle in handles {
                assert_eq!(handle.join().unwrap(), [320, 480, 320, 0]);
            }
        });
    }

    /// Other tests may do something apart at the same time, so only this thread's counts can be compared.
    fn counted_apart() {
        let (before, layout) = (thread_bytes(), Layout::new::<[u64; 20]>());
        // SAFETY: the layout has a size, and the pointer is used with it.
        unsafe {
            let (first, grown) = apart(|| {
                let before = thread_bytes();
                (Allocator.alloc(layout), thread_bytes() - before)
            });
            assert_eq!((grown, thread_bytes()), (160, before));
            assert_eq!(counted_steps(), [320, 480, 320, 0]);
            let freed = apart(|| {
                let before = thread_bytes();
                Allocator.dealloc(first, layout);
                thread_bytes() - before
            });
            assert_eq!((freed, thread_bytes()), (-160, before));
        }
        std::panic::catch_unwind(|| apart(|| std::panic::resume_unwind(Box::new(())))).unwrap_err();
        assert_eq!(counted_steps(), [320, 480, 320, 0], "the thread has its own place again");
    }

    #[test]
    fn what_is_allocated_apart_is_counted_apart_whether_the_thread_has_a_slot_or_shares_one() {
        for _ in 0..PLACES + 2 {
            std::thread::spawn(counted_apart).join().unwrap();
        }
    }

    #[test]
    fn what_cannot_be_had_is_not_counted() {
        let before = thread_bytes();
        let layout = Layout::from_size_align(isize::MAX as usize - 7, 8).unwrap();
        // SAFETY: the layout has a size; the small block is freed with its own layout, as it was not reallocated.
        unsafe {
            assert!(Allocator.alloc(layout).is_null());
            assert!(Allocator.alloc_zeroed(layout).is_null());
            let small = Allocator.alloc(Layout::new::<u64>());
            assert!(Allocator.realloc(small, Layout::new::<u64>(), layout.size()).is_null());
            Allocator.dealloc(small, Layout::new::<u64>());
        }
        assert_eq!(thread_bytes(), before);
    }
}
