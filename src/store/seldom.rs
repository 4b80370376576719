//! What is hardly ever there, and costs a comparison where it is dropped.

use std::ops::{Deref, DerefMut};

/// An optional box that is nearly always empty. A plain one has each function in which it is dropped call another one
/// that finds nothing to free; every transaction drops several.
pub(crate) struct Seldom<T>(Option<Box<T>>);

impl<T> Seldom<T> {
    /// Nothing.
    pub(crate) const NONE: Self = Self(None);
}

impl<T> Default for Seldom<T> {
    #[inline]
    fn default() -> Self {
        Self::NONE
    }
}

impl<T> Deref for Seldom<T> {
    type Target = Option<Box<T>>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<T> DerefMut for Seldom<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl<T> Drop for Seldom<T> {
    #[inline]
    fn drop(&mut self) {
        if let Some(there) = self.0.take() {
            free(there);
        }
    }
}

#[cold]
#[inline(never)]
fn free<T>(there: Box<T>) {
    drop(there);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    #[test]
    fn what_is_there_is_freed_with_it() {
        let count = Rc::new(());
        let mut seldom: Seldom<Rc<()>> = Seldom::default();
        assert!(seldom.is_none());
        *seldom = Some(Box::new(Rc::clone(&count)));
        let taken = seldom.take();
        assert!(seldom.is_none() && taken.is_some());
        *seldom = taken;
        assert_eq!(Rc::strong_count(&count), 2);
        drop(seldom);
        assert_eq!(Rc::strong_count(&count), 1);
    }
}
