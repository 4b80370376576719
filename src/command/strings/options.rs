//! The options of SET, GETEX and MSETEX: condition, GET and deadline.

use super::compare::Test;
use super::str_of;
use crate::command::fail::{self, Fail};
use crate::command::{eq, parse_int};
use crate::store::Entry;

/// The command whose options are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    Set,
    GetEx,
    MSetEx,
}

/// The condition under which a command writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Precondition<'a> {
    Always,
    Absent,
    Present,
    Value(Test, &'a [u8]),
}

impl Precondition<'_> {
    /// Whether the condition holds for the key's entry.
    ///
    /// # Errors
    /// A comparison with a value of another type, or with an operand that is no digest.
    pub(super) fn holds(self, found: Option<&Entry>) -> Result<bool, Fail> {
        Ok(match self {
            Self::Always => true,
            Self::Absent => found.is_none(),
            Self::Present => found.is_some(),
            Self::Value(test, operand) => match found {
                None => test.holds_for_missing(),
                Some(entry) => test.holds(str_of(entry)?, operand)?,
            },
        })
    }
}

/// The unit of a time, absolute or relative to the present.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Millis,
    UnixSeconds,
    UnixMillis,
}

/// What a command does with the deadline.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ttl<'a> {
    /// No option was given: SET removes the deadline, GETEX leaves it as it is.
    Unsaid,
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    /// A time that was not read yet.
    At(Unit, &'a [u8]),
}

impl Ttl<'_> {
    /// The deadline in ms since the epoch if a time is given. It may have passed. Errors name `command`.
    pub(super) fn deadline(self, now: u64, command: &str) -> Result<Option<u64>, Fail> {
        let Self::At(unit, text) = self else { return Ok(None) };
        deadline(unit, text, now, command).map(Some)
    }
}

/// Reads a time as a deadline in ms since the epoch.
///
/// # Errors
/// The time is not above zero, or overflows.
pub(super) fn deadline(unit: Unit, text: &[u8], now: u64, command: &str) -> Result<u64, Fail> {
    let given = parse_int(text)?;
    let scale = if matches!(unit, Unit::Seconds | Unit::UnixSeconds) { 1000 } else { 1 };
    let base = if matches!(unit, Unit::Seconds | Unit::Millis) { now as i64 } else { 0 };
    let at = if given > 0 { given.checked_mul(scale).and_then(|ms| ms.checked_add(base)) } else { None };
    at.map(|at| at as u64).ok_or_else(|| Fail::invalid_expire(command))
}

/// The options of a command.
pub(super) struct StringOptions<'a> {
    pub(super) condition: Precondition<'a>,
    pub(super) get: bool,
    pub(super) ttl: Ttl<'a>,
}

impl<'a> StringOptions<'a> {
    /// Reads options in any order. Options that exclude each other are a syntax error. An option may be repeated, but
    /// not a comparison.
    pub(super) fn parse(args: &[&'a [u8]], whose: For) -> Result<Self, Fail> {
        let mut options = Self { condition: Precondition::Always, get: false, ttl: Ttl::Unsaid };
        let mut rest = args.iter();
        while let Some(word) = rest.next() {
            if !options.flag(word, whose) {
                let operand = rest.next().ok_or(fail::SYNTAX)?;
                options.operand(word, operand, whose)?;
            }
        }
        Ok(options)
    }

    /// Takes an option without an argument; false if `word` is no such option of this command.
    fn flag(&mut self, word: &[u8], whose: For) -> bool {
        let conditional = whose != For::GetEx;
        if conditional
            && eq(word, "NX")
            && matches!(self.condition, Precondition::Always | Precondition::Absent)
        {
            self.condition = Precondition::Absent;
        } else if conditional
            && eq(word, "XX")
            && matches!(self.condition, Precondition::Always | Precondition::Present)
        {
            self.condition = Precondition::Present;
        } else if whose == For::Set && eq(word, "GET") {
            self.get = true;
        } else if conditional && eq(word, "KEEPTTL") && matches!(self.ttl, Ttl::Unsaid | Ttl::Keep) {
            self.ttl = Ttl::Keep;
        } else if whose == For::GetEx && eq(word, "PERSIST") && matches!(self.ttl, Ttl::Unsaid | Ttl::Persist)
        {
            self.ttl = Ttl::Persist;
        } else {
            return false;
        }
        true
    }

    fn operand(&mut self, word: &[u8], operand: &'a [u8], whose: For) -> Result<(), Fail> {
        let unit = match word {
            w if eq(w, "EX") => Unit::Seconds,
            w if eq(w, "PX") => Unit::Millis,
            w if eq(w, "EXAT") => Unit::UnixSeconds,
            w if eq(w, "PXAT") => Unit::UnixMillis,
            _ => {
                let test = Test::parse(word).filter(|_| whose == For::Set).ok_or(fail::SYNTAX)?;
                if self.condition != Precondition::Always {
                    return Err(fail::SYNTAX);
                }
                self.condition = Precondition::Value(test, operand);
                return Ok(());
            }
        };
        match self.ttl {
            Ttl::Unsaid => {}
            Ttl::At(before, _) if before == unit => {}
            _ => return Err(fail::SYNTAX),
        }
        self.ttl = Ttl::At(unit, operand);
        Ok(())
    }
}
