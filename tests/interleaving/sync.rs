//! The explorer's locks and atomics, in the form in which the engine uses its own.

pub(super) use shuttle::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

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
