//! Takes a command's arguments one by one.

use crate::command::fail::{self, Fail};
use crate::command::{eq, parse_int};

/// An argument as UTF-8.
pub(crate) fn as_text(arg: &[u8]) -> Result<&str, Fail> {
    std::str::from_utf8(arg).map_err(|_| Fail::new("VALIDATION text must be UTF-8"))
}

/// The arguments that were not taken yet.
#[derive(Clone, Copy)]
pub(crate) struct ArgWords<'a, 'b> {
    args: &'b [&'a [u8]],
}

impl<'a, 'b> ArgWords<'a, 'b> {
    pub(crate) fn new(args: &'b [&'a [u8]]) -> Self {
        Self { args }
    }

    /// Takes the next argument.
    pub(crate) fn next(&mut self) -> Option<&'a [u8]> {
        let (first, rest) = self.args.split_first()?;
        self.args = rest;
        Some(first)
    }

    /// Takes the next argument.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn need(&mut self) -> Result<&'a [u8], Fail> {
        self.next().ok_or(fail::SYNTAX)
    }

    /// Takes the next argument as UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, Fail> {
        as_text(self.need()?)
    }

    /// Takes the next argument as a number above zero.
    pub(crate) fn positive(&mut self) -> Result<usize, Fail> {
        let number = parse_int(self.need()?)?;
        usize::try_from(number).ok().filter(|n| *n > 0).ok_or(fail::NOT_POSITIVE)
    }

    /// Takes `count` arguments.
    pub(crate) fn take_many(&mut self, count: usize) -> Result<&'b [&'a [u8]], Fail> {
        let (taken, rest) = self.args.split_at_checked(count).ok_or(fail::SYNTAX)?;
        self.args = rest;
        Ok(taken)
    }

    /// Takes a count, then as many groups of `size` arguments.
    pub(crate) fn counted(&mut self, size: usize) -> Result<&'b [&'a [u8]], Fail> {
        let count = usize::try_from(parse_int(self.need()?)?).map_err(|_| fail::NOT_POSITIVE)?;
        self.take_many(count.checked_mul(size).ok_or(fail::SYNTAX)?)
    }

    /// Takes the next argument if it is this word, regardless of upper and lower case.
    pub(crate) fn take(&mut self, word: &str) -> bool {
        let there = self.peek().is_some_and(|arg| eq(arg, word));
        if there {
            self.next();
        }
        there
    }

    /// The next argument, which is not taken.
    pub(crate) fn peek(&self) -> Option<&'a [u8]> {
        self.args.first().copied()
    }

    /// The argument after the next.
    pub(crate) fn peek_second(&self) -> Option<&'a [u8]> {
        self.args.get(1).copied()
    }
}
