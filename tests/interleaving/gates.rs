//! The gates before the shards: for which threads a writer waits, and which shards a thread holds while it waits for
//! one of several.

use crate::explore;
use crate::gate::{Gate, take_all};
use crate::sync::{AtomicBool, AtomicU32, Ordering::SeqCst, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

#[derive(Default)]
struct Shard {
    gate: Gate,
    /// Whether a writer holds the lock.
    lock: RwLock<AtomicBool>,
    writes: AtomicU32,
}

impl Shard {
    /// The number of writes, read by a reader that takes some time.
    fn look(&self, written_to: &AtomicBool) -> u32 {
        let writes = self.writes.load(SeqCst);
        for _ in 0..2 {
            shuttle::thread::yield_now();
            assert!(!written_to.load(SeqCst), "a reader beside a writer");
        }
        assert_eq!(self.writes.load(SeqCst), writes);
        writes
    }

    fn change(&self, written_to: &AtomicBool) {
        assert!(!written_to.swap(true, SeqCst), "two writers");
        shuttle::thread::yield_now();
        self.writes.fetch_add(1, SeqCst);
        written_to.store(false, SeqCst);
    }
}

type Work = Box<dyn FnOnce() + Send>;

fn together(threads: Vec<Work>) {
    let handles: Vec<_> = threads.into_iter().map(shuttle::thread::spawn).collect();
    handles.into_iter().for_each(|handle| handle.join().unwrap());
}

/// A reader that comes while a writer waits at the lock sees what it has written: a writer does not wait for later
/// readers.
#[test]
fn a_writer_waits_for_those_before_it_only() {
    let closed = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&closed);
    explore(move || {
        let shard = Arc::new(Shard::default());
        let mut threads: Vec<Work> = Vec::new();
        for _ in 0..3 {
            let (shard, times) = (Arc::clone(&shard), Arc::clone(&times));
            threads.push(Box::new(move || {
                for _ in 0..4 {
                    let before = shard.writes.load(SeqCst);
                    let waits = !shard.gate.is_open();
                    assert!(
                        !waits
                            || shard.gate.try_read(&shard.lock).is_none()
                            || shard.writes.load(SeqCst) > before
                    );
                    let seen = shard.look(&shard.gate.read(&shard.lock));
                    assert!(!waits || seen > before, "a reader has overtaken a writer that waited");
                    times.fetch_add(usize::from(waits), SeqCst);
                }
            }));
        }
        for _ in 0..2 {
            let shard = Arc::clone(&shard);
            threads.push(Box::new(move || {
                for _ in 0..2 {
                    shard.change(&shard.gate.write(&shard.lock));
                }
            }));
        }
        together(threads);
        assert_eq!(shard.writes.load(SeqCst), 4);
        assert!(shard.gate.is_open());
    });
    assert!(closed.load(SeqCst) > 100, "the gate was closed now and then");
}

enum Guard<'a> {
    Read(RwLockReadGuard<'a, AtomicBool>),
    Write(RwLockWriteGuard<'a, AtomicBool>),
}

/// The shards that a thread holds, and those that it could not get soon.
#[derive(Default)]
struct Seen {
    held: RefCell<BTreeSet<usize>>,
    busy: RefCell<BTreeSet<usize>>,
}

impl Seen {
    fn hold<'a>(&'a self, shard: usize, guard: Guard<'a>) -> Holding<'a> {
        self.held.borrow_mut().insert(shard);
        Holding { seen: self, shard, guard }
    }
}

/// A shard that is held and entered in [`Seen`].
struct Holding<'a> {
    seen: &'a Seen,
    shard: usize,
    guard: Guard<'a>,
}

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.seen.held.borrow_mut().remove(&self.shard);
    }
}

/// Locks several shards and does something with each.
fn take(shards: &[Shard], which: &[usize], write: bool, waits: &AtomicUsize) {
    let seen = Seen::default();
    let soon = |at: usize| {
        let Shard { gate, lock, .. } = &shards[at];
        let guard = if write {
            gate.write_soon(lock).map(Guard::Write)
        } else {
            gate.read_soon(lock).map(Guard::Read)
        };
        if guard.is_none() {
            seen.busy.borrow_mut().insert(at);
        }
        guard.map(|guard| seen.hold(at, guard))
    };
    let wait = |at: usize| {
        let Shard { gate, lock, .. } = &shards[at];
        assert!(seen.held.borrow().iter().all(|held| *held < at), "it waits in descending order");
        assert!(seen.held.borrow().is_subset(&seen.busy.borrow()), "it holds what others could have");
        waits.fetch_add(1, SeqCst);
        let guard = if write { Guard::Write(gate.write(lock)) } else { Guard::Read(gate.read(lock)) };
        Some(seen.hold(at, guard))
    };
    let all = take_all(which.iter().copied(), soon, wait).unwrap();
    assert!(all.iter().map(|(shard, _)| *shard).eq(which.iter().copied()));
    for (shard, holding) in &all {
        match &holding.guard {
            Guard::Read(written_to) => drop(shards[*shard].look(written_to)),
            Guard::Write(written_to) => shards[*shard].change(written_to),
        }
    }
}

/// All threads finish, and a thread that waits for a shard holds only shards that other threads hold for long too.
#[test]
fn who_waits_for_one_of_several_shards_holds_none_that_others_could_have() {
    let waited = Arc::new(AtomicUsize::new(0));
    let waits = Arc::clone(&waited);
    explore(move || {
        let shards: Arc<Vec<Shard>> = Arc::new((0..3).map(|_| Shard::default()).collect());
        let sets: [(&[usize], bool); 5] =
            [(&[0, 1, 2], true), (&[0, 2], true), (&[0, 1, 2], false), (&[1], true), (&[2], false)];
        let threads = sets.into_iter().map(|(which, write)| {
            let (shards, waits) = (Arc::clone(&shards), Arc::clone(&waits));
            Box::new(move || (0..2).for_each(|_| take(&shards, which, write, &waits))) as Work
        });
        together(threads.collect());
        let writes: Vec<u32> = shards.iter().map(|shard| shard.writes.load(SeqCst)).collect();
        assert_eq!(writes, [4, 4, 4]);
    });
    assert!(waited.load(SeqCst) > 100, "they had to wait now and then");
}

/// A thread that has the lock lent holds it until all others have ended. They end, with the lock or without it: none of
/// them waits for the borrower.
#[test]
fn nobody_waits_for_a_lock_that_is_lent() {
    let refused = Arc::new(AtomicUsize::new(0));
    let times = Arc::clone(&refused);
    explore(move || {
        let shard = Arc::new(Shard::default());
        let others = Arc::new(AtomicU32::new(4));
        let mut threads: Vec<Work> = Vec::new();
        for write in [true, false] {
            for _ in 0..2 {
                let (shard, others, times) = (Arc::clone(&shard), Arc::clone(&others), Arc::clone(&times));
                threads.push(Box::new(move || {
                    for _ in 0..3 {
                        let Shard { gate, lock, .. } = &*shard;
                        let had = if write {
                            gate.write_unless_lent(lock).map(|guard| shard.change(&guard)).is_some()
                        } else {
                            gate.read_unless_lent(lock).map(|guard| shard.look(&guard)).is_some()
                        };
                        times.fetch_add(usize::from(!had), SeqCst);
                    }
                    others.fetch_sub(1, SeqCst);
                }));
            }
        }
        let borrower = (Arc::clone(&shard), Arc::clone(&others));
        threads.push(Box::new(move || {
            let (shard, others) = borrower;
            shard.gate.lend();
            let guard = shard.gate.write(&shard.lock);
            while others.load(SeqCst) > 0 {
                shuttle::thread::yield_now();
            }
            shard.change(&guard);
            drop(guard);
            shard.gate.take_back();
        }));
        together(threads);
        assert!(shard.gate.write_unless_lent(&shard.lock).is_some());
    });
    assert!(refused.load(SeqCst) > 100, "the lock was lent now and then");
}

/// A lock that was lent at once is not taken while another thread waits for it.
#[test]
fn lending_at_once_tells_whether_others_wait() {
    explore(|| {
        let shard = Arc::new(Shard::default());
        let mut threads: Vec<Work> = Vec::new();
        for _ in 0..2 {
            let shard = Arc::clone(&shard);
            threads.push(Box::new(move || {
                for _ in 0..3 {
                    if let Some(guard) = shard.gate.write_unless_lent(&shard.lock) {
                        shard.change(&guard);
                    }
                }
            }));
        }
        let borrower = Arc::clone(&shard);
        threads.push(Box::new(move || {
            for _ in 0..3 {
                if borrower.gate.try_lend()
                    && let Some(guard) = borrower.lock.try_write()
                {
                    assert!(borrower.gate.is_open(), "a writer waits for the borrower");
                    borrower.change(&guard);
                }
                borrower.gate.take_back();
            }
        }));
        together(threads);
    });
}
