//! XADD and XTRIM.

use super::references::{References, forget};
use super::{BAD_ID, parse_id, reply, stream_at, value_fail};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::config::Settings;
use crate::effect::{Ids, List, StreamChange};
use crate::engine::Classes;
use crate::value::ValueError;
use crate::value::stream::{NewId, Stream, StreamId, Trim, TrimBy, default_trim_limit};

/// The options before the identifier; of XTRIM, all options.
#[derive(Default)]
struct Options {
    no_make: bool,
    by: Option<TrimBy>,
    approximate: bool,
    limit: Option<u64>,
    /// KEEPREF, DELREF or ACKED.
    references: Option<References>,
    /// The identifier, and the number of words up to and with it.
    id: Option<(NewId, usize)>,
}

impl Options {
    fn parse(args: &[&[u8]], adds: bool, settings: &Settings) -> Result<(Self, Option<Trim>), Fail> {
        let mut options = Self::default();
        let mut at = 2;
        while let Some(word) = args.get(at) {
            let more = args.len() - 1 - at;
            if adds && *word == b"*" {
                options.id = Some((NewId::Auto, at));
                break;
            } else if more > 0 && (eq(word, "MAXLEN") || eq(word, "MINID")) {
                at = options.strategy(args, at)?;
            } else if more > 0 && eq(word, "LIMIT") {
                let limit = parse_int(args[at + 1])?;
                options.limit = Some(
                    u64::try_from(limit).map_err(|_| Fail::new("ERR The LIMIT argument must be >= 0."))?,
                );
                at += 1;
            } else if adds && eq(word, "NOMKSTREAM") {
                options.no_make = true;
            } else if let Some(references) = References::parse(word) {
                if options.references.replace(references).is_some() {
                    return Err(Fail::new(
                        "ERR syntax error, KEEPREF, DELREF and ACKED options at the same time are not compatible",
                    ));
                }
            } else if adds {
                options.id = Some((NewId::parse(word).ok_or(BAD_ID)?, at));
                break;
            } else {
                return Err(fail::SYNTAX);
            }
            at += 1;
        }
        let trim = options.trim(adds, settings)?;
        Ok((options, trim))
    }

    /// Reads MAXLEN or MINID at `at`, and returns the position of the option's last word.
    fn strategy(&mut self, args: &[&[u8]], mut at: usize) -> Result<usize, Fail> {
        if self.by.is_some() {
            return Err(Fail::new(
                "ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
            ));
        }
        let by_length = eq(args[at], "MAXLEN");
        self.approximate = false;
        let marked = at + 2 < args.len() && matches!(args[at + 1], b"~" | b"=");
        if marked {
            self.approximate = args[at + 1] == b"~";
            at += 1;
        }
        let threshold = args[at + 1];
        self.by = Some(if by_length {
            let max = parse_int(threshold)?;
            TrimBy::MaxLen(
                u64::try_from(max).map_err(|_| Fail::new("ERR The MAXLEN argument must be >= 0."))?,
            )
        } else {
            TrimBy::MinId(parse_id(threshold)?)
        });
        Ok(at + 1)
    }

    fn trim(&self, adds: bool, settings: &Settings) -> Result<Option<Trim>, Fail> {
        let Some(by) = self.by else {
            if self.limit.is_some_and(|limit| limit > 0) {
                return Err(Fail::new(
                    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy",
                ));
            }
            let missing = Fail::new("ERR syntax error, XTRIM must be called with a trimming strategy");
            return if adds { self.no_limit().map(|()| None) } else { Err(missing) };
        };
        if !self.approximate {
            self.no_limit()?;
        }
        let limit = match self.limit {
            Some(limit) => limit,
            None if self.approximate => {
                default_trim_limit(usize::try_from(settings.stream_node_max_entries).unwrap_or(usize::MAX))
            }
            None => 0,
        };
        Ok(Some(Trim { by, approximate: self.approximate, limit }))
    }

    fn no_limit(&self) -> Result<(), Fail> {
        match self.limit {
            Some(_) => Err(Fail::new("ERR syntax error, LIMIT cannot be used without the special ~ option")),
            None => Ok(()),
        }
    }
}

pub(super) fn xadd(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (options, trim) = Options::parse(args, true, cx.settings)?;
    let Some((new_id, at)) = options.id else { return Err(Fail::arity("xadd")) };
    let pairs = &args[at + 1..];
    if pairs.is_empty() || !pairs.len().is_multiple_of(2) {
        return Err(Fail::arity("xadd"));
    }
    if new_id == NewId::Given(StreamId::MIN) {
        return Err(value_fail(ValueError::StreamIdZero));
    }
    let (key, now) = (args[1], cx.tx.now());
    let stream = stream_at(cx.tx, key)?;
    if stream.is_none() && options.no_make {
        cx.out.null();
        return Ok(());
    }
    let empty = Stream::new();
    let id = stream.unwrap_or(&empty).resolve_id(new_id, now).map_err(value_fail)?;
    if !Stream::entry_fits(pairs.iter().map(|part| part.len()).sum()) {
        return Err(value_fail(ValueError::StreamEntryTooLarge));
    }
    cx.tx.change_stream(key, StreamChange::Add { id, pairs: List::Slices(pairs) });
    cx.tell(Classes::STREAM, "xadd", key);
    reply::id(cx.out, id);
    if let Some(trim) = trim {
        trim_key(cx, key, trim, options.references.unwrap_or_default())?;
    }
    Ok(())
}

pub(super) fn xtrim(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (options, trim) = Options::parse(args, false, cx.settings)?;
    let Some(trim) = trim else { return Err(fail::SYNTAX) };
    let removed = trim_key(cx, args[1], trim, options.references.unwrap_or_default())?;
    cx.out.len_int(removed);
    Ok(())
}

fn trim_key(cx: &mut Cx<'_, '_>, key: &[u8], trim: Trim, references: References) -> Result<usize, Fail> {
    let Some(stream) = stream_at(cx.tx, key)? else { return Ok(0) };
    let removed = if references == References::Respect && !stream.groups().is_empty() {
        let ids = stream.plan_acknowledged(trim);
        let Some(last) = ids.last() else { return Ok(0) };
        let is_start = stream.range(StreamId::MIN, *last).nth(ids.len()).is_none();
        cx.tx.change_stream(
            key,
            if is_start {
                StreamChange::Trim { through: *last }
            } else {
                StreamChange::Delete { ids: Ids::Slice(&ids) }
            },
        )
    } else {
        let Some(through) = stream.plan_trim(trim).map(|plan| plan.through) else { return Ok(0) };
        if references == References::Remove {
            let mut ids = Vec::new();
            for (_, group) in stream.groups().iter() {
                let pending = group.pending(StreamId::MIN..=through).map(|(id, _)| id);
                ids.extend(pending.filter(|id| stream.get(*id).is_some()));
            }
            forget(cx, key, &ids)?;
        }
        cx.tx.change_stream(key, StreamChange::Trim { through })
    };
    if removed > 0 {
        cx.tell(Classes::STREAM, "xtrim", key);
    }
    Ok(removed)
}
