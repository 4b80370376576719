//! The explorer's locks and atomics, with the interface of the engine's.

pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

#[derive(Default)]
pub(super) struct Mutex<T>(shuttle::sync::Mutex<T>);

pub(super) type Guard<'a, T> = shuttle::sync::MutexGuard<'a, T>;

impl<T> Mutex<T> {
    pub(super) fn lock(&self) -> Guard<'_, T> {
        self.0.lock().unwrap()
    }
}

#[derive(Default)]
pub(super) struct Condvar(shuttle::sync::Condvar);

impl Condvar {
    pub(super) fn wait<'a, T>(&self, guard: Guard<'a, T>) -> Guard<'a, T> {
        self.0.wait(guard).unwrap()
    }

    pub(super) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// A lock like the map's for its shards: readers get it as long as no writer holds it.
#[derive(Default)]
pub(super) struct RwLock<T> {
    /// The number of readers that hold it; -1 for a writer.
    state: shuttle::sync::Mutex<i32>,
    given_back: shuttle::sync::Condvar,
    data: T,
}

pub(super) struct RwLockReadGuard<'a, T>(&'a RwLock<T>);

pub(super) struct RwLockWriteGuard<'a, T>(&'a RwLock<T>);

impl<T> RwLock<T> {
    pub(super) fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        let mut state = self.state.lock().unwrap();
        (*state >= 0).then(|| {
            *state += 1;
            RwLockReadGuard(self)
        })
    }

    pub(super) fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        let mut state = self.state.lock().unwrap();
        (*state == 0).then(|| {
            *state = -1;
            RwLockWriteGuard(self)
        })
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, T> {
        let mut state = self.state.lock().unwrap();
        while *state < 0 {
            state = self.given_back.wait(state).unwrap();
        }
        *state += 1;
        RwLockReadGuard(self)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, T> {
        let mut state = self.state.lock().unwrap();
        while *state != 0 {
            state = self.given_back.wait(state).unwrap();
        }
        *state = -1;
        RwLockWriteGuard(self)
    }
}

impl<T> std::ops::Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.data
    }
}

impl<T> std::ops::Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.data
    }
}

impl<T> Drop for RwLockReadGuard<'_, T> {
    fn drop(&mut self) {
        *self.0.state.lock().unwrap() -= 1;
        self.0.given_back.notify_all();
    }
}

impl<T> Drop for RwLockWriteGuard<'_, T> {
    fn drop(&mut self) {
        *self.0.state.lock().unwrap() = 0;
        self.0.given_back.notify_all();
    }
}

/// Lets other threads run.
pub(super) fn pause(_round: u32) {
    shuttle::thread::yield_now();
}

/// Lets other threads run.
pub(super) fn rest() {
    shuttle::thread::yield_now();
}
