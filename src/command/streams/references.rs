//! What becomes of the references that consumer groups hold to entries which are removed: KEEPREF, DELREF and ACKED.
//! XDELEX and XACKDEL.

use super::{group_at, parse_ids, stream_at};
use crate::command::{Cx, Fail, Outcome, eq, fail, parse_int};
use crate::effect::{Ids, StreamChange};
use crate::engine::Classes;
use crate::value::stream::{Group, Stream, StreamId};
use std::collections::BTreeSet;

/// What a command does with references to the entries that it removes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum References {
    /// KEEPREF: they stay.
    #[default]
    Keep,
    /// DELREF: they are removed too.
    Remove,
    /// ACKED: entries that a group has not read and acknowledged stay.
    Respect,
}

impl References {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        const WORDS: [(&str, References); 3] =
            [("KEEPREF", References::Keep), ("DELREF", References::Remove), ("ACKED", References::Respect)];
        WORDS.iter().find(|(known, _)| eq(word, known)).map(|(_, found)| *found)
    }
}

const NUMBER_OF_IDS: Fail = Fail::new("ERR Number of IDs must be a positive integer");
const OTHER_NUMBER: Fail = Fail::new("ERR The `numids` parameter must match the number of arguments");

/// Reads `[KEEPREF | DELREF | ACKED] IDS numids id [id ...]`, in any order.
fn parse(args: &[&[u8]]) -> Result<(References, Vec<StreamId>), Fail> {
    let (mut references, mut ids) = (None, None);
    let mut rest = args;
    while let [word, behind @ ..] = rest {
        if let Some(found) = References::parse(word).filter(|_| references.is_none()) {
            references = Some(found);
            rest = behind;
        } else if let Some((number, behind)) =
            behind.split_first().filter(|_| ids.is_none() && eq(word, "IDS"))
        {
            let number = parse_int(number).ok().filter(|number| *number > 0).ok_or(NUMBER_OF_IDS)?;
            let number = usize::try_from(number).unwrap_or(usize::MAX);
            let (named, behind) = behind.split_at_checked(number).ok_or(OTHER_NUMBER)?;
            if behind.first().is_some_and(|word| References::parse(word).is_none()) {
                return Err(OTHER_NUMBER);
            }
            ids = Some(named);
            rest = behind;
        } else {
            return Err(fail::SYNTAX);
        }
    }
    Ok((references.unwrap_or_default(), parse_ids(ids.ok_or(fail::SYNTAX)?)?))
}

/// The reply for an entry.
#[derive(Clone, Copy)]
enum Found {
    Nothing = -1,
    Removed = 1,
    Kept = 2,
}

fn answer(cx: &mut Cx<'_, '_>, found: impl ExactSizeIterator<Item = Found>) {
    cx.out.array(found.len());
    found.for_each(|found| cx.out.int(found as i64));
}

pub(super) fn xdelex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let (references, ids) = parse(&args[2..])?;
    let Some(stream) = stream_at(cx.tx, key)? else {
        answer(cx, ids.iter().map(|_| Found::Nothing));
        return Ok(());
    };
    let mut removed = BTreeSet::new();
    let found: Vec<Found> = ids
        .iter()
        .map(|id| {
            if stream.get(*id).is_none() || removed.contains(id) {
                Found::Nothing
            } else if references == References::Respect && !is_done(stream, *id, None) {
                Found::Kept
            } else {
                removed.insert(*id);
                Found::Removed
            }
        })
        .collect();
    if references == References::Remove {
        forget(cx, key, &ids)?;
    }
    remove(cx, key, &removed);
    answer(cx, found.into_iter());
    Ok(())
}

pub(super) fn xackdel(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, group) = (args[1], args[2]);
    let (references, ids) = parse(&args[3..])?;
    let Some((stream, known)) = group_at(cx.tx, key, group)? else {
        answer(cx, ids.iter().map(|_| Found::Nothing));
        return Ok(());
    };
    let (mut acknowledged, mut removed) = (BTreeSet::new(), BTreeSet::new());
    let found: Vec<Found> = ids
        .iter()
        .map(|id| {
            if known.pending_entry(*id).is_none() || !acknowledged.insert(*id) || stream.get(*id).is_none() {
                Found::Nothing
            } else if references == References::Respect && !is_done(stream, *id, Some(group)) {
                Found::Kept
            } else {
                removed.insert(*id);
                Found::Removed
            }
        })
        .collect();
    if !acknowledged.is_empty() {
        let ids: Vec<StreamId> = acknowledged.into_iter().collect();
        cx.tx.change_stream(key, StreamChange::Acknowledge { group, ids: Ids::Slice(&ids) });
        if references == References::Remove {
            forget(cx, key, &ids)?;
        }
    }
    remove(cx, key, &removed);
    answer(cx, found.into_iter());
    Ok(())
}

/// Whether there are groups, and each of them has read an entry and acknowledged it. `acknowledging` is the group that
/// acknowledges it now.
fn is_done(stream: &Stream, id: StreamId, acknowledging: Option<&[u8]>) -> bool {
    let groups = stream.groups();
    !groups.is_empty()
        && groups.iter().all(|(name, group)| {
            group.position.last_id >= id && (acknowledging == Some(name) || group.pending_entry(id).is_none())
        })
}

fn remove(cx: &mut Cx<'_, '_>, key: &[u8], ids: &BTreeSet<StreamId>) {
    if !ids.is_empty() {
        let ids: Vec<StreamId> = ids.iter().copied().collect();
        cx.tx.change_stream(key, StreamChange::Delete { ids: Ids::Slice(&ids) });
        cx.tell(Classes::STREAM, "xdel", key);
    }
}

/// Removes the references of all groups to entries.
pub(super) fn forget(cx: &mut Cx<'_, '_>, key: &[u8], ids: &[StreamId]) -> Outcome {
    let Some(stream) = stream_at(cx.tx, key)? else { return Ok(()) };
    let held = |(name, group): (&[u8], &Group)| {
        let held: BTreeSet<StreamId> =
            ids.iter().copied().filter(|id| group.pending_entry(*id).is_some()).collect();
        (!held.is_empty()).then(|| (Box::<[u8]>::from(name), held.into_iter().collect::<Vec<_>>()))
    };
    let holders: Vec<(Box<[u8]>, Vec<StreamId>)> = stream.groups().iter().filter_map(held).collect();
    for (group, ids) in &holders {
        cx.tx.change_stream(key, StreamChange::Acknowledge { group, ids: Ids::Slice(ids) });
    }
    Ok(())
}
