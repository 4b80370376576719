//! Reading arguments.

use super::fail::{self, Fail};
use crate::text::{parse_f64, parse_i64_strict};

/// Whether an argument is this word, in any case.
#[inline]
pub fn eq(arg: &[u8], word: &str) -> bool {
    arg.eq_ignore_ascii_case(word.as_bytes())
}

/// A 64-bit integer.
#[inline]
pub fn parse_int(arg: &[u8]) -> Result<i64, Fail> {
    parse_i64_strict(arg).ok_or(fail::NOT_INTEGER)
}

/// A 32-bit integer, with Redis's text for one that is larger.
pub fn parse_small_int(arg: &[u8]) -> Result<i32, Fail> {
    i32::try_from(parse_int(arg)?)
        .map_err(|_| Fail::new("ERR value is out of range, value must between -2147483648 and 2147483647"))
}

/// A double, not NaN.
pub fn parse_float(arg: &[u8]) -> Result<f64, Fail> {
    parse_f64(arg).filter(|f| !f.is_nan()).ok_or(fail::NOT_FLOAT)
}

/// Reads a timeout in ms, 0 for none. One that would end beyond all times is refused, `now` being the system's time in
/// ms.
pub fn parse_timeout_ms(arg: &[u8], now: u64) -> Result<Option<u64>, Fail> {
    let timeout = parse_i64_strict(arg).ok_or(Fail::new("ERR timeout is not an integer or out of range"))?;
    let Ok(timeout) = u64::try_from(timeout) else { return Err(Fail::new("ERR timeout is negative")) };
    if timeout == 0 {
        return Ok(None);
    }
    let end = now.checked_add(timeout).filter(|end| i64::try_from(*end).is_ok());
    end.map(|_| Some(timeout)).ok_or(Fail::new("ERR timeout is out of range"))
}
