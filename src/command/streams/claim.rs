//! XCLAIM and XAUTOCLAIM: pending entries get another consumer.

use super::read_group::{Name, note_consumer};
use super::{known_group, parse_id, parse_start, reply};
use crate::command::{Cx, Fail, Outcome, eq, fail};
use crate::effect::{Ids, StreamChange};
use crate::text::parse_i64_strict;
use crate::value::stream::{Group, GroupPosition, Stream, StreamId};
use std::collections::{BTreeMap, HashMap};

/// XAUTOCLAIM looks at up to so many pending entries for each entry that it may claim.
const LOOKED_AT: usize = 10;

fn number(arg: &[u8], what: &str) -> Result<i64, Fail> {
    parse_i64_strict(arg).ok_or_else(|| Fail::text(format!("ERR Invalid {what}")))
}

/// The options of a claim.
#[derive(Clone, Copy)]
struct Manner {
    now: u64,
    min_idle: u64,
    /// The time of delivery that claimed entries get, in ms since the epoch.
    delivered_at_ms: u64,
    /// The number of deliveries that claimed entries get; `None` for one more than before.
    deliveries: Option<u64>,
    force: bool,
    just_id: bool,
}

/// The changes that a claim makes.
#[derive(Default)]
struct Claims {
    /// The claimed entries with their new numbers of deliveries.
    claimed: HashMap<StreamId, u64>,
    /// The claimed entries in the order of the reply.
    shown: Vec<StreamId>,
    /// Pending entries that are deleted from the stream.
    gone: Vec<StreamId>,
}

impl Claims {
    fn consider(&mut self, stream: &Stream, group: &Group, id: StreamId, manner: Manner) -> bool {
        // An identifier that is given twice is looked at in the state after its first claim.
        let pending = match self.claimed.get(&id) {
            Some(deliveries) => Some((manner.delivered_at_ms, *deliveries)),
            None => group.pending_entry(id).map(|pending| (pending.delivered_at_ms, pending.deliveries)),
        };
        if stream.get(id).is_none() {
            if pending.is_some() {
                self.gone.push(id);
            }
            return pending.is_some();
        }
        let deliveries = match pending {
            // As in Redis an entry that FORCE makes pending counts as delivered once already.
            None if manner.force => 1,
            None => return false,
            Some((delivered_at_ms, deliveries)) => {
                let idle = manner.now as i64 - delivered_at_ms as i64;
                if manner.min_idle > 0 && idle < manner.min_idle as i64 {
                    return false;
                }
                deliveries
            }
        };
        let more = u64::from(!manner.just_id);
        let deliveries = manner.deliveries.unwrap_or(deliveries.saturating_add(more));
        self.claimed.insert(id, deliveries);
        self.shown.push(id);
        true
    }

    fn show(&self, out: &mut crate::resp::Reply, stream: &Stream, just_id: bool) {
        out.array(self.shown.len());
        for id in &self.shown {
            match stream.get(*id).filter(|_| !just_id) {
                Some(entry) => reply::entry(out, &entry),
                None => reply::id(out, *id),
            }
        }
    }

    fn carry_out(self, cx: &mut Cx<'_, '_>, name: Name<'_>, manner: Manner) -> Outcome {
        let Name { key, group, consumer } = name;
        note_consumer(cx, name, !self.claimed.is_empty())?;
        if !self.gone.is_empty() {
            let ids = Ids::Slice(&self.gone);
            cx.tx.change_stream(key, StreamChange::Acknowledge { group, ids });
        }
        let delivered_at_ms = manner.delivered_at_ms;
        let mut same: BTreeMap<u64, Vec<StreamId>> = BTreeMap::new();
        for (id, deliveries) in self.claimed {
            same.entry(deliveries).or_default().push(id);
        }
        for (deliveries, ids) in &mut same {
            ids.sort_unstable();
            let (deliveries, ids) = (*deliveries, Ids::Slice(ids));
            cx.tx.change_stream(
                key,
                StreamChange::Pending { group, consumer, delivered_at_ms, deliveries, ids },
            );
        }
        Ok(())
    }
}

/// Reads the options of XCLAIM after the identifiers.
fn options(args: &[&[u8]], mut manner: Manner) -> Result<(Manner, StreamId), Fail> {
    let mut last_id = StreamId::MIN;
    let mut delivered_at = None;
    let mut rest = args;
    while let Some(word) = rest.first() {
        let value = rest.get(1);
        match (word, value) {
            (word, _) if eq(word, "FORCE") => manner.force = true,
            (word, _) if eq(word, "JUSTID") => manner.just_id = true,
            (word, Some(value)) => {
                if eq(word, "IDLE") {
                    let idle = number(value, "IDLE option argument for XCLAIM")?;
                    delivered_at = Some((manner.now as i64).wrapping_sub(idle));
                } else if eq(word, "TIME") {
                    delivered_at = Some(number(value, "TIME option argument for XCLAIM")?);
                } else if eq(word, "RETRYCOUNT") {
                    let count = number(value, "RETRYCOUNT option argument for XCLAIM")?;
                    manner.deliveries = u64::try_from(count).ok();
                } else if eq(word, "LASTID") {
                    last_id = parse_id(value)?;
                } else {
                    return Err(unrecognised(word));
                }
                rest = &rest[1..];
            }
            (word, None) => return Err(unrecognised(word)),
        }
        rest = &rest[1..];
    }
    // A time in the future or before the epoch is replaced by the present, because the client's clock may be wrong.
    let sensible = delivered_at.and_then(|at| u64::try_from(at).ok()).filter(|at| *at <= manner.now);
    manner.delivered_at_ms = sensible.unwrap_or(manner.now);
    Ok((manner, last_id))
}

#[cold]
fn unrecognised(word: &[u8]) -> Fail {
    Fail::text(format!("ERR Unrecognized XCLAIM option '{}'", String::from_utf8_lossy(word)))
}

pub(super) fn xclaim(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, group, consumer) = (args[1], args[2], args[3]);
    known_group(cx.tx, key, group)?;
    let min_idle = number(args[4], "min-idle-time argument for XCLAIM")?;
    let now = cx.tx.now();
    let manner = Manner {
        now,
        min_idle: u64::try_from(min_idle).unwrap_or(0),
        delivered_at_ms: now,
        deliveries: None,
        force: false,
        just_id: false,
    };
    let ids: Vec<StreamId> = args[5..].iter().map_while(|arg| StreamId::parse_strict(arg, 0)).collect();
    let (manner, last_id) = options(&args[5 + ids.len()..], manner)?;
    let (stream, known) = known_group(cx.tx, key, group)?;
    let mut claims = Claims::default();
    let position = known.position;
    for id in ids {
        claims.consider(stream, known, id, manner);
    }
    claims.show(cx.out, stream, manner.just_id);
    if last_id > position.last_id {
        let position = GroupPosition { last_id, ..position };
        cx.tx.change_stream(key, StreamChange::Group { group, position });
    }
    claims.carry_out(cx, Name { key, group, consumer }, manner)
}

pub(super) fn xautoclaim(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, group, consumer) = (args[1], args[2], args[3]);
    let min_idle = number(args[4], "min-idle-time argument for XAUTOCLAIM")?;
    let start = parse_start(args[5])?;
    let (mut count, mut just_id) = (100, false);
    let mut rest = &args[6..];
    while let Some(word) = rest.first() {
        if let Some(number) = rest.get(1).filter(|_| eq(word, "COUNT")) {
            let most = i64::MAX / 16;
            count = parse_i64_strict(number)
                .filter(|count| (1..=most).contains(count))
                .ok_or(Fail::new("ERR COUNT must be > 0"))? as usize;
            rest = &rest[1..];
        } else if eq(word, "JUSTID") {
            just_id = true;
        } else {
            return Err(fail::SYNTAX);
        }
        rest = &rest[1..];
    }
    let now = cx.tx.now();
    let min_idle = u64::try_from(min_idle).unwrap_or(0);
    let manner = Manner { now, min_idle, delivered_at_ms: now, deliveries: None, force: false, just_id };
    let (stream, known) = known_group(cx.tx, key, group)?;
    let mut claims = Claims::default();
    let mut pending = known.pending(start..=StreamId::MAX);
    let mut attempts = count.saturating_mul(LOOKED_AT);
    while attempts > 0 && count > 0 {
        let Some((id, _)) = pending.next() else { break };
        attempts -= 1;
        count -= usize::from(claims.consider(stream, known, id, manner));
    }
    let next = pending.next().map_or(StreamId::MIN, |(id, _)| id);
    drop(pending);
    cx.out.array(3);
    reply::id(cx.out, next);
    claims.show(cx.out, stream, just_id);
    cx.out.array(claims.gone.len());
    claims.gone.iter().for_each(|id| reply::id(cx.out, *id));
    claims.carry_out(cx, Name { key, group, consumer }, manner)
}
