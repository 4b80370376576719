//! Which files of a folder form one state, and what a repair keeps.
//!
//! A state is a checkpoint and the records after its start LSN, without a gap, at least up to the last record that a
//! chunk of the checkpoint shows. Without a checkpoint a state is the records from LSN 1 on. The best state is the one
//! that reaches the greatest LSN.

use super::findings::{Run, Seen, Survey};
use super::report::Lost;
use crate::log::Lsn;
use crate::log::checkpoint::CheckpointInfo;

/// A run of records that stays, and the segment that holds it.
#[derive(Clone, Copy, Debug)]
pub(super) struct KeptRun<'a> {
    pub(super) seen: &'a Seen,
    pub(super) run: &'a Run,
}

/// What is kept and what goes.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// The checkpoint to begin from; `None`: the log begins at LSN 1.
    pub(super) base: Option<&'a CheckpointInfo>,
    /// The last LSN of the state.
    pub(super) tail: Lsn,
    /// The log that stays, one run for each segment.
    pub(super) kept: Vec<KeptRun<'a>>,
    /// Segments that are dropped because a checkpoint covers their records.
    pub(super) old: Vec<&'a Seen>,
    /// Segments that are dropped because a record before theirs is lost.
    pub(super) later: Vec<&'a Seen>,
    pub(super) checkpoints: Vec<&'a CheckpointInfo>,
    /// Checkpoints that are dropped, and why.
    pub(super) dropped: Vec<(&'a CheckpointInfo, String)>,
}

/// The log behind a position, as far as it can be read.
#[derive(Clone, Copy, Debug)]
struct Reach {
    /// Indices of the first and the last run; `None` when there is no record to go on with.
    runs: Option<(usize, usize)>,
    tail: Lsn,
}

impl KeptRun<'_> {
    /// The run begins behind damage, or its segment's header is damaged.
    pub(super) fn is_written_anew(&self) -> bool {
        !self.run.headed
    }

    /// Bytes that are no valid record follow the run in its segment.
    fn has_rest(&self) -> bool {
        self.seen.runs.last().is_some_and(|last| last.end != self.run.end) || self.seen.rubbish
    }
}

impl<'a> Plan<'a> {
    /// The best state that the folder allows.
    pub(super) fn of(survey: &'a Survey) -> Option<Self> {
        let runs = Self::runs(survey);
        let sound = survey.checkpoints.iter().rev().filter(|found| found.sound).map(|found| &found.info);
        let mut best: Option<(Option<&CheckpointInfo>, Reach)> = None;
        for base in sound.map(Some).chain([None]) {
            let Some(reach) = reach(survey, &runs, base.map(|info| info.start_lsn)) else { continue };
            let complete = base.is_none_or(|info| info.last_lsn <= reach.tail);
            if complete && best.as_ref().is_none_or(|(_, best)| best.tail < reach.tail) {
                best = Some((base, reach));
            }
        }
        let (base, reach) = best?;
        Some(Self::around(survey, &runs, base, reach))
    }

    /// The segment must be cut behind the run: what follows is no valid record, or marks that name a segment which is
    /// missing or dropped.
    pub(super) fn is_cut(&self, kept: &KeptRun<'_>) -> bool {
        kept.has_rest() || (kept.seen.marked && self.after(kept).is_none())
    }

    /// The run that follows a kept one, and the segment that holds it.
    pub(super) fn after(&self, kept: &KeptRun<'_>) -> Option<&KeptRun<'a>> {
        let index = self.kept.iter().position(|other| other.seen.first == kept.seen.first)?;
        self.kept.get(index + 1)
    }

    fn runs(survey: &'a Survey) -> Vec<KeptRun<'a>> {
        let of = |seen: &'a Seen| seen.runs.iter().map(move |run| KeptRun { seen, run });
        survey.segments.iter().flat_map(of).collect()
    }

    /// Keeps what is connected with the state: more of the log before it, and older checkpoints.
    fn around(
        survey: &'a Survey,
        runs: &[KeptRun<'a>],
        base: Option<&'a CheckpointInfo>,
        reach: Reach,
    ) -> Self {
        let mut kept = Vec::new();
        if let Some((mut begin, end)) = reach.runs {
            while begin > 0 && runs.get(begin - 1).zip(runs.get(begin)).is_some_and(|(a, b)| follows(a, b)) {
                begin -= 1;
            }
            kept.extend_from_slice(runs.get(begin..=end).unwrap_or_default());
        }
        let from = kept.first().map_or(reach.tail + 1, |kept| kept.run.lower);
        let stays = |seen: &Seen| kept.iter().any(|kept| kept.seen.first == seen.first);
        let is_old = |seen: &Seen| seen.first < from && seen.last() <= reach.tail;
        let (old, later) = survey.segments.iter().filter(|seen| !stays(seen)).partition(|seen| is_old(seen));
        let mut plan =
            Self { base, tail: reach.tail, kept, old, later, checkpoints: Vec::new(), dropped: Vec::new() };
        for found in &survey.checkpoints {
            let info = &found.info;
            let why = if !found.sound {
                Some("it is damaged".to_owned())
            } else if base.is_some_and(|base| base.number == info.number) {
                None
            } else if info.last_lsn > plan.tail {
                Some(format!("it shows records up to LSN {}, and the log ends before", info.last_lsn))
            } else if info.start_lsn + 1 < from {
                Some("the log behind it is damaged".to_owned())
            } else {
                None
            };
            match why {
                None => plan.checkpoints.push(info),
                Some(why) => plan.dropped.push((info, why)),
            }
        }
        plan
    }

    /// The valid records of a segment that are lost.
    pub(super) fn lost_in(&self, seen: &Seen) -> Lost {
        let mut lost = Lost::default();
        for run in seen.runs.iter().filter(|run| run.first <= run.last && run.last > self.tail) {
            lost.add(run.first.max(self.tail + 1), run.last);
        }
        lost
    }

    /// All valid records that are lost.
    pub(super) fn lost(&self, survey: &Survey) -> Lost {
        let mut lost = Lost::default();
        for part in survey.segments.iter().map(|seen| self.lost_in(seen)).filter(|part| part.records > 0) {
            lost = Lost {
                records: lost.records + part.records,
                first: if lost.records == 0 { part.first } else { lost.first.min(part.first) },
                last: lost.last.max(part.last),
            };
        }
        lost
    }
}

/// The last LSN up to which a start can read the log after `start`; for `None`, from the log's beginning. The result is
/// `None` if a start can read nothing there. A start needs the header of every segment that it reads from the
/// beginning, and ignores a trim's leftovers.
pub(super) fn readable(survey: &Survey, start: Option<Lsn>) -> Option<Lsn> {
    let runs = Plan::runs(survey);
    let reach = reach(survey, &runs, start)?;
    let Some((begin, end)) = reach.runs else { return Some(reach.tail) };
    let from = start.unwrap_or(0) + 1;
    let mut tail = None;
    for (index, kept) in runs.iter().enumerate().take(end + 1).skip(begin) {
        let passes_over = index == begin && kept.seen.first < from;
        if kept.seen.leftover || !kept.run.headed && !passes_over {
            break;
        }
        tail = Some(kept.run.last);
    }
    tail
}

fn reach(survey: &Survey, runs: &[KeptRun<'_>], start: Option<Lsn>) -> Option<Reach> {
    let from = start.unwrap_or(0);
    let key = survey.id?.key();
    let fits = |kept: &KeptRun<'_>| {
        let Run { lower, last, before, first, .. } = *kept.run;
        let begins = start.is_some() || (first == 1 && before == key);
        begins && lower <= from + 1 && from <= last
    };
    let Some(begin) = runs.iter().rposition(fits) else {
        // If nothing of the first segment can be read, the empty state remains.
        let empty = survey.segments.first().is_some_and(|seen| seen.first == 1);
        return (start.is_some() || empty).then_some(Reach { runs: None, tail: from });
    };
    let mut end = begin;
    while runs.get(end).zip(runs.get(end + 1)).is_some_and(|(a, b)| follows(a, b)) {
        end += 1;
    }
    let tail = runs.get(end).map_or(from, |kept| kept.run.last);
    Some(Reach { runs: Some((begin, end)), tail })
}

/// Whether the second run continues the first one in another segment.
pub(super) fn follows(before: &KeptRun<'_>, after: &KeptRun<'_>) -> bool {
    before.seen.first != after.seen.first
        && before.run.last + 1 == after.run.lower
        && before.run.chain == after.run.before
}
