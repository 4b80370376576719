//! INCREX: a counter with bounds and a deadline.

use super::options::{Ttl, Unit};
use super::str_of;
use crate::command::fail::{self, Fail};
use crate::command::{Cx, Outcome, eq, parse_int};
use crate::effect::{Effect, StringChange};
use crate::engine::Classes;
use crate::store::Entry;
use crate::value::ValueError;
use crate::value::longdouble::LongDouble;

/// The options. Each may be given once.
struct Options<'a> {
    /// BYINT or BYFLOAT with its operand; 1 if neither is given.
    by: Option<&'a [u8]>,
    float: bool,
    lower: Option<&'a [u8]>,
    upper: Option<&'a [u8]>,
    saturate: bool,
    ttl: Ttl<'a>,
    /// ENX: a deadline that the key has stays.
    only_new_ttl: bool,
}

impl<'a> Options<'a> {
    fn parse(args: &[&'a [u8]]) -> Result<Self, Fail> {
        let mut options = Self {
            by: None,
            float: false,
            lower: None,
            upper: None,
            saturate: false,
            ttl: Ttl::Unsaid,
            only_new_ttl: false,
        };
        let mut rest = args.iter();
        while let Some(word) = rest.next() {
            if eq(word, "SATURATE") && !options.saturate {
                options.saturate = true;
            } else if eq(word, "ENX") && !options.only_new_ttl {
                options.only_new_ttl = true;
            } else if eq(word, "PERSIST") && options.ttl == Ttl::Unsaid {
                options.ttl = Ttl::Persist;
            } else {
                options.operand(word, rest.next().ok_or(fail::SYNTAX)?)?;
            }
        }
        match options.ttl {
            Ttl::Persist if options.only_new_ttl => Err(fail::SYNTAX),
            Ttl::Unsaid if options.only_new_ttl => Err(Fail::new("ERR ENX flag requires an expiration")),
            _ => Ok(options),
        }
    }

    fn operand(&mut self, word: &[u8], operand: &'a [u8]) -> Result<(), Fail> {
        let place = match word {
            w if eq(w, "LBOUND") => &mut self.lower,
            w if eq(w, "UBOUND") => &mut self.upper,
            w if eq(w, "BYINT") => &mut self.by,
            w if eq(w, "BYFLOAT") => {
                self.float = true;
                &mut self.by
            }
            w => {
                let unit = match w {
                    w if eq(w, "EX") => Unit::Seconds,
                    w if eq(w, "PX") => Unit::Millis,
                    w if eq(w, "EXAT") => Unit::UnixSeconds,
                    w if eq(w, "PXAT") => Unit::UnixMillis,
                    _ => return Err(fail::SYNTAX),
                };
                let is_first = self.ttl == Ttl::Unsaid;
                self.ttl = Ttl::At(unit, operand);
                return is_first.then_some(()).ok_or(fail::SYNTAX);
            }
        };
        place.replace(operand).is_none().then_some(()).ok_or(fail::SYNTAX)
    }

    /// The increment and the bounds, which are `least` and `most` where none are given.
    fn numbers<N: PartialOrd + Copy>(
        &self,
        one: N,
        (least, most): (N, N),
        parse: impl Fn(&[u8], &str) -> Result<N, Fail>,
    ) -> Result<Step<N>, Fail> {
        let read =
            |text: Option<&[u8]>, name: &str, unsaid: N| text.map_or(Ok(unsaid), |text| parse(text, name));
        let by = read(self.by, "Increment", one)?;
        let (lower, upper) = (read(self.lower, "LBOUND", least)?, read(self.upper, "UBOUND", most)?);
        if lower > upper {
            return Err(Fail::new("ERR LBOUND can't be greater than UBOUND"));
        }
        Ok(Step { by, lower, upper })
    }
}

/// What is added, and the bounds of the result.
struct Step<N> {
    by: N,
    lower: N,
    upper: N,
}

impl<N: PartialOrd + Copy> Step<N> {
    /// The result within the bounds; `None` if it would be outside and is not to be cut. `sum` is `None` if it is
    /// beyond what the type can hold.
    fn result(&self, sum: Option<N>, grows: bool, saturate: bool) -> Option<N> {
        let (too_low, too_high) = match sum {
            Some(sum) => (sum < self.lower, sum > self.upper),
            None => (!grows, grows),
        };
        match (too_low, too_high) {
            (false, false) => sum,
            (true, _) if saturate => Some(self.lower),
            (_, true) if saturate => Some(self.upper),
            _ => None,
        }
    }
}

pub(super) fn increx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = Options::parse(&args[2..])?;
    if options.float { by_float(cx, args[1], &options) } else { by_int(cx, args[1], &options) }
}

fn by_int(cx: &mut Cx<'_, '_>, key: &[u8], options: &Options<'_>) -> Outcome {
    let step = options.numbers(1, (i64::MIN, i64::MAX), |text, name| {
        parse_int(text).map_err(|_| Fail::text(format!("ERR {name} is not an integer or out of range")))
    })?;
    let given = options.ttl.deadline(cx.tx.now(), "increx")?;
    let old = match cx.tx.entry(key) {
        None => 0,
        Some(entry) => parse_int(str_of(entry)?)?,
    };
    let new = step.result(old.checked_add(step.by), step.by > 0, options.saturate);
    let delta = new.map_or(Some(0), |new| new.checked_sub(old)).ok_or(fail::OVERFLOW)?;
    if let Some(new) = new {
        let mut text = itoa::Buffer::new();
        store(cx, key, text.format(new).as_bytes(), options, given);
    }
    cx.out.array(2);
    cx.out.int(new.unwrap_or(old));
    cx.out.int(delta);
    Ok(())
}

fn by_float(cx: &mut Cx<'_, '_>, key: &[u8], options: &Options<'_>) -> Outcome {
    let (least, most) = (LongDouble::least(), LongDouble::greatest());
    let step = options.numbers(LongDouble::ZERO, (least, most), |text, name| {
        let number = LongDouble::parse(text).filter(|number| number.is_finite());
        number.ok_or_else(|| Fail::text(format!("ERR {name} is not a valid float")))
    })?;
    let given = options.ttl.deadline(cx.tx.now(), "increx")?;
    let old = match cx.tx.entry(key) {
        None => LongDouble::ZERO,
        Some(entry) => {
            LongDouble::parse(str_of(entry)?).filter(|old| old.is_finite()).ok_or(fail::NOT_FLOAT)?
        }
    };
    let sum = old.checked_add(step.by);
    let new = step.result(sum, step.by > LongDouble::ZERO, options.saturate);
    let delta = match new {
        None => LongDouble::ZERO,
        // The difference of rounded numbers may have other digits than the increment.
        Some(_) if new == sum => step.by,
        Some(new) => new.checked_sub(old).ok_or_else(|| Fail::text(ValueError::FloatOverflow.to_string()))?,
    };
    if let Some(new) = new {
        store(cx, key, new.to_string().as_bytes(), options, given);
    }
    cx.out.array(2);
    cx.out.double_fmt(new.unwrap_or(old));
    cx.out.double_fmt(delta);
    Ok(())
}

/// Stores the result with the deadline that the options leave the key. If that has passed, the key is deleted.
fn store(cx: &mut Cx<'_, '_>, key: &[u8], value: &[u8], options: &Options<'_>, given: Option<u64>) {
    let before = cx.tx.look(key).and_then(Entry::expire);
    let given = given.filter(|_| !(options.only_new_ttl && before.is_some()));
    let expire = match options.ttl {
        Ttl::Persist => None,
        _ => given.or(before),
    };
    if given.is_some_and(|at| at <= cx.tx.now()) {
        if cx.tx.exists(key) {
            cx.tx.apply(Effect::Delete { db: cx.db(), key });
            cx.tell(Classes::GENERIC, "del", key);
        }
        return;
    }
    cx.tx.apply(StringChange::Set { value, expire }.on(cx.db(), key));
    cx.tell(Classes::STRING, if options.float { "incrbyfloat" } else { "incrby" }, key);
    if given.is_some() {
        cx.tell(Classes::GENERIC, "expire", key);
    } else if before.is_some() && expire.is_none() {
        cx.tell(Classes::GENERIC, "persist", key);
    }
}
