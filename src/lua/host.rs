//! What a script reaches outside of Lua, and how its functions find it.

// The host of a run lives in its caller's frame, and functions in Lua must not borrow. A function that is made for each
// run could borrow, but it would have to be made and dropped for each run.
#![allow(unsafe_code)]

use crate::resp::{Proto, Reply};
use std::cell::Cell;
use std::ptr::NonNull;

/// Whether a script goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Go {
    /// It does.
    On,
    /// It is abandoned: it gets no reply, and nothing in the script can prevent it.
    Abandon,
}

/// The levels of `redis.log`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum LogLevel {
    Debug,
    Verbose,
    Notice,
    Warning,
}

impl LogLevel {
    /// Writes a line of a script into the server's log.
    pub fn write(self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        match self {
            Self::Debug => tracing::debug!("{text}"),
            Self::Verbose | Self::Notice => tracing::info!("{text}"),
            Self::Warning => tracing::warn!("{text}"),
        }
    }
}

/// What a script reaches outside of Lua.
pub trait Host {
    /// Runs a command, and writes its reply or its error into `out`.
    fn call(&mut self, args: &[&[u8]], out: &mut Reply) -> Go;

    /// Whether the command may be called by the script's user; `None` if there is no such command.
    fn may_call(&mut self, args: &[&[u8]]) -> Option<bool>;

    /// Keeps a line for the server's log. A script that is abandoned and run again must not be heard twice.
    fn log(&mut self, level: LogLevel, text: &[u8]);

    /// Called again and again while the script runs, about every 10 000 instructions.
    fn tick(&mut self) -> Go;
}

thread_local! {
    static HOST: Cell<Option<NonNull<dyn Host>>> = const { Cell::new(None) };
}

/// Puts the former host back when it is dropped, so also if the code that used another host panics.
struct Back(Option<NonNull<dyn Host>>);

impl Drop for Back {
    fn drop(&mut self) {
        HOST.set(self.0);
    }
}

/// Runs `body`, within which [`visit`] finds `host`.
pub(super) fn with_host<R>(host: &mut dyn Host, body: impl FnOnce() -> R) -> R {
    // SAFETY: only the lifetime changes. The pointer is in its place only while `body` runs, during which `host` is
    // borrowed: `Back` puts the one before it there again.
    let host =
        unsafe { std::mem::transmute::<NonNull<dyn Host + '_>, NonNull<dyn Host>>(NonNull::from(host)) };
    let _back = Back(HOST.replace(Some(host)));
    body()
}

/// Calls `visitor` with the host of the script that this thread runs; `None` if it runs none.
pub(super) fn visit<R>(visitor: impl FnOnce(&mut dyn Host) -> R) -> Option<R> {
    let mut host = HOST.take()?;
    let _back = Back(Some(host));
    // SAFETY: see `with_host`. The place is empty while the visitor has the host, so there is one reference at a time.
    Some(visitor(unsafe { host.as_mut() }))
}

/// The protocol in which a script gets replies: RESP2 unless it has called `redis.setresp(3)`.
pub(super) fn chosen() -> Proto {
    PROTO.get()
}

/// Chooses the protocol.
pub(super) fn choose(proto: Proto) {
    PROTO.set(proto);
}

thread_local! {
    static PROTO: Cell<Proto> = const { Cell::new(Proto::V2) };
}

#[cfg(test)]
mod tests {
    use super::{Go, Host, LogLevel, visit, with_host};
    use crate::resp::Reply;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    /// Counts calls of `tick`.
    struct Ticks(usize);

    impl Host for Ticks {
        fn call(&mut self, _args: &[&[u8]], _out: &mut Reply) -> Go {
            Go::Abandon
        }

        fn may_call(&mut self, _args: &[&[u8]]) -> Option<bool> {
            None
        }

        fn log(&mut self, _level: LogLevel, _text: &[u8]) {}

        fn tick(&mut self) -> Go {
            self.0 += 1;
            Go::On
        }
    }

    fn tick() -> Option<Go> {
        visit(|host| {
            assert!(visit(|_| ()).is_none(), "a visitor has the host for itself");
            host.tick()
        })
    }

    #[test]
    fn a_host_is_found_as_long_as_it_is_lent() {
        assert_eq!(tick(), None);
        let (mut outer, mut inner) = (Ticks(0), Ticks(0));
        with_host(&mut outer, || {
            assert_eq!(tick(), Some(Go::On));
            with_host(&mut inner, || assert_eq!(tick(), Some(Go::On)));
            assert!(catch_unwind(|| visit(|_| panic!("a visitor panics"))).is_err());
            let lent = AssertUnwindSafe(|| with_host(&mut inner, || panic!("what it is lent for panics")));
            assert!(catch_unwind(lent).is_err());
            assert_eq!(tick(), Some(Go::On));
        });
        assert_eq!(tick(), None);
        assert_eq!((outer.0, inner.0), (2, 1));
    }
}
