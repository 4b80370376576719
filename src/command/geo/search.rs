//! GEOSEARCH and GEOSEARCHSTORE, and the older GEORADIUS and GEORADIUSBYMEMBER.

use super::query::{SearchForm, SearchRequest, Sorting};
use super::show::{write_distance, write_position};
use crate::command::zsets::{Stored, zset_at};
use crate::command::{Cx, Outcome};
use crate::resp::Reply;
use crate::value::geo::{Coordinates, areas};
use crate::value::zset::{Cut, ZsetRef, compare};

/// A member in the shape.
struct Found<'t> {
    member: &'t [u8],
    score: f64,
    /// Metres from the middle.
    distance: f64,
}

pub(super) fn radius(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, SearchForm::AroundPosition { may_store: true })
}

pub(super) fn radius_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, SearchForm::AroundPosition { may_store: false })
}

pub(super) fn radius_by_member(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, SearchForm::AroundMember { may_store: true })
}

pub(super) fn radius_by_member_ro(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, SearchForm::AroundMember { may_store: false })
}

pub(super) fn search(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, SearchForm::Search)
}

pub(super) fn search_store(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    run(cx, args, SearchForm::SearchStore)
}

fn run(cx: &mut Cx<'_, '_>, args: &[&[u8]], form: SearchForm) -> Outcome {
    let set = zset_at(cx.tx, if form == SearchForm::SearchStore { args[2] } else { args[1] })?;
    let query = SearchRequest::parse(args, form, set)?;
    let found = match (set, query.middle) {
        (Some(set), Some(middle)) => ordered(members_in(set, middle, &query), &query),
        _ => Vec::new(),
    };
    let Some(target) = query.target else {
        write(cx.out, &query, &found);
        return Ok(());
    };
    let stored = stored(found, &query);
    let event = if form == SearchForm::SearchStore { "geosearchstore" } else { "georadiusstore" };
    stored.put(cx, target, event)
}

/// The members in the query's shape, in the order of [`areas`]. With ANY it ends after `count` members.
fn members_in<'t>(set: ZsetRef<'t>, middle: Coordinates, query: &SearchRequest<'_>) -> Vec<Found<'t>> {
    let most = if query.any { query.count } else { usize::MAX };
    let mut found = Vec::new();
    for (first, end) in areas(middle, query.shape) {
        let start = set.partition(&Cut::BeforeScore(first));
        let count = set.partition(&Cut::BeforeScore(end)).saturating_sub(start);
        for (member, score) in set.range(start, count, false) {
            if let Some(distance) = query.shape.distance(middle, Coordinates::from_score(score)) {
                found.push(Found { member, score, distance });
                if found.len() == most {
                    return found;
                }
            }
        }
    }
    found
}

/// Sorts members and keeps the first `count`. Members at equal distances keep their order.
fn ordered<'t>(mut found: Vec<Found<'t>>, query: &SearchRequest<'_>) -> Vec<Found<'t>> {
    match query.sorting {
        Sorting::None => {}
        Sorting::Ascending => found.sort_by(|a, b| a.distance.total_cmp(&b.distance)),
        Sorting::Descending => found.sort_by(|a, b| b.distance.total_cmp(&a.distance)),
    }
    if query.count > 0 {
        found.truncate(query.count);
    }
    found
}

fn write(out: &mut Reply, query: &SearchRequest<'_>, found: &[Found<'_>]) {
    let parts =
        [query.with_distance, query.with_hash, query.with_position].iter().filter(|with| **with).count();
    out.array(found.len());
    for Found { member, score, distance } in found {
        if out.overran() {
            break;
        }
        if parts > 0 {
            out.array(parts + 1);
        }
        out.bulk(member);
        if query.with_distance {
            write_distance(out, distance / query.unit);
        }
        if query.with_hash {
            out.int(*score as i64);
        }
        if query.with_position {
            write_position(out, Coordinates::from_score(*score));
        }
    }
}

/// The result as a sorted set. Its scores are the members' own scores, or their distances in the query's unit.
fn stored(mut found: Vec<Found<'_>>, query: &SearchRequest<'_>) -> Stored {
    if query.stores_distances {
        found.iter_mut().for_each(|found| found.score = found.distance / query.unit);
    }
    found.sort_unstable_by(|a, b| compare((a.score, a.member), (b.score, b.member)));
    Stored::of(found.iter().map(|found| (found.member, found.score)))
}
