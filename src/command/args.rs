//! Functions that read arguments.

use super::fail::{self, Fail};
use crate::text::{parse_f64, parse_i64_strict};

/// Whether an argument is this word, regardless of upper and lower case.
#[inline]
pub fn eq(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// Reads a 64-bit integer.
#[inline]
pub fn parse_int(arg: &[u8]) -> Result<i64, Fail> {
    parse_i64_strict(arg).ok_or(fail::NOT_INTEGER)
}

/// Reads a 32-bit integer; a larger one is refused with Redis's text.
pub fn parse_small_int(arg: &[u8]) -> Result<i32, Fail> {
    i32::try_from(parse_int(arg)?)
        .map_err(|_| Fail::new("ERR value is out of range, value must between -2147483648 and 2147483647"))
}

/// Reads a double; NaN is refused.
pub fn parse_float(arg: &[u8]) -> Result<f64, Fail> {
    parse_f64(arg).filter(|f| !f.is_nan()).ok_or(fail::NOT_FLOAT)
}

/// Reads a timeout in ms; `None` stands for 0, which means no timeout. `now` is the system's time in ms: a timeout
/// whose end would overflow 63 bits is refused.
pub fn parse_timeout_ms(arg: &[u8], now: u64) -> Result<Option<u64>, Fail> {
    let timeout = parse_i64_strict(arg).ok_or(Fail::new("ERR timeout is not an integer or out of range"))?;
    let Ok(timeout) = u64::try_from(timeout) else { return Err(NEGATIVE) };
    until(timeout, now)
}

/// Reads a timeout in seconds, which may have a fraction, as ms rounded up; `None` stands for 0, which means no
/// timeout.
pub fn parse_timeout_seconds(arg: &[u8], now: u64) -> Result<Option<u64>, Fail> {
    let seconds = parse_f64(arg).filter(|seconds| !seconds.is_nan());
    let seconds = seconds.ok_or(Fail::new("ERR timeout is not a float or out of range"))?;
    // A decimal fraction of a second that is a whole number of milliseconds may be off by a double's last bits.
    let ms = (seconds * 1000.0 - 1e-6).ceil();
    match seconds {
        ..0.0 => Err(NEGATIVE),
        _ if ms >= i64::MAX as f64 => Err(TOO_LATE),
        // A timeout above 0 is at least 1 ms, because 0 would wait for ever.
        _ => until(if seconds > 0.0 { ms.max(1.0) as u64 } else { 0 }, now),
    }
}

const NEGATIVE: Fail = Fail::new("ERR timeout is negative");
const TOO_LATE: Fail = Fail::new("ERR timeout is out of range");

/// Checks that a timeout in ms does not end beyond 63 bits; 0 is no timeout.
fn until(timeout: u64, now: u64) -> Result<Option<u64>, Fail> {
    if timeout == 0 {
        return Ok(None);
    }
    let end = now.checked_add(timeout).filter(|end| i64::try_from(*end).is_ok());
    end.map(|_| Some(timeout)).ok_or(TOO_LATE)
}
