//! Streams whose last identifier is lowered while an image of them is read: new nodes then come in below, among and at
//! the identifiers of those that the image shows.

use super::as_text::{assert_shown, show, show_shard};
use super::exact::load;
use super::*;
use crate::effect::StreamChange;
use crate::engine::image::between;
use crate::value::stream::StreamId;

const KEY: &[u8] = b"s";
/// How many entries the stream has at the hold, four in a node.
const ENTRIES: u64 = 60;

fn change(change: StreamChange<'_>) -> Effect<'_> {
    change.on(0, KEY)
}

fn at(ms: u64) -> StreamId {
    StreamId::new(ms, 0)
}

fn add(id: StreamId) -> Effect<'static> {
    change(StreamChange::Add { id, pairs: List::Slices(&[b"field", b"value"]) })
}

fn trim(through: StreamId) -> Effect<'static> {
    change(StreamChange::Trim { through })
}

/// `XSETID` to right before an identifier.
fn lower(id: StreamId) -> Effect<'static> {
    let last_id = if id.seq > 0 { StreamId::new(id.ms, id.seq - 1) } else { StreamId::new(id.ms - 1, 9) };
    change(StreamChange::Marks { last_id, max_deleted_id: StreamId::MIN, entries_added: ENTRIES })
}

/// How a transaction of several effects ends.
#[derive(Clone, Copy, PartialEq, Debug)]
enum End {
    /// Each effect is a transaction of its own.
    Single,
    Kept,
    TakenBack,
    /// It is taken back, and done again then.
    Again,
}

fn transact(engine: &Engine, effects: &[Effect<'_>], end: End) {
    if end == End::Single {
        return effects.iter().for_each(|effect| commit(engine, &[*effect]));
    }
    let mut record = Vec::new();
    let mut tx = Tx::new(engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
    tx.begin_undo();
    effects.iter().for_each(|effect| tx.apply(*effect));
    if end != End::Kept {
        tx.roll_back();
    }
    tx.commit();
    if end == End::Again {
        transact(engine, effects, End::Kept);
    }
}

fn filled(disk: &SimDisk) -> Arc<Engine> {
    let engine = open(disk, AppendFsync::No).unwrap();
    engine.store.thresholds.stream_node_entries.store(4, Relaxed);
    (1..=ENTRIES).for_each(|ms| commit(&engine, &[add(at(ms))]));
    engine
}

/// What happens to the stream behind so many pieces, a transaction each.
fn courses() -> Vec<Vec<Vec<Effect<'static>>>> {
    let (all, above) = (at(ENTRIES), at(ENTRIES + 1000));
    // Masters are 1, 5, 9 and so on.
    let masters = [1, 21, ENTRIES - 3].map(at);
    let within = [2, ENTRIES - 1].map(at);
    let between = [0, 4, 36, ENTRIES - 4].map(|ms| StreamId::new(ms, 10));
    let mut courses = Vec::new();
    for first in masters.into_iter().chain(within).chain(between) {
        let back = vec![trim(all), lower(first), add(first), add(above)];
        // What is new is trimmed in its turn, and lowered again.
        let mut twice = back.clone();
        twice.extend([trim(above), lower(first), add(first), add(above)]);
        let mut gone = back.clone();
        gone.extend([trim(first), trim(above)]);
        let mut removed = back.clone();
        removed.extend([Effect::Delete { db: 0, key: KEY }, add(at(3))]);
        // The marks are set behind what is left of the old nodes, the last of which takes the next entry.
        let next = StreamId::new(above.ms, 1);
        let some = vec![trim(at(9)), add(above), trim(at(30)), lower(next), add(next)];
        courses.push(vec![back.clone()]);
        courses.push(vec![twice]);
        courses.push(vec![gone]);
        courses.push(vec![removed]);
        courses.push(vec![some, vec![trim(next)], back[1..].to_vec()]);
        courses.push(vec![vec![trim(at(20))], back.clone(), vec![trim(above)], back[1..].to_vec()]);
        courses.push(vec![vec![trim(all)], vec![lower(first)], back[2..].to_vec(), vec![trim(first)]]);
    }
    courses
}

/// Has a course happen behind so many pieces.
fn happens(course: Vec<Vec<Effect<'static>>>, behind: u32, end: End) {
    let (mut pieces, mut course) = (0, Some(course));
    between::pieces(move |engine| {
        if pieces == behind {
            course.take().into_iter().flatten().for_each(|effects| transact(engine, &effects, end));
        }
        pieces += 1;
    });
}

fn each(run: impl Fn(Vec<Vec<Effect<'static>>>, u32, End, &str)) {
    for (at, course) in courses().into_iter().enumerate() {
        for behind in [0, 3] {
            for end in [End::Single, End::Kept, End::TakenBack, End::Again] {
                let what = format!("course {at} behind {behind} pieces, {end:?}");
                run(course.clone(), behind, end, &what);
            }
        }
    }
}

#[test]
fn an_image_shows_no_node_that_came_in_below_its_last_one() {
    each(|course, behind, end, what| {
        let engine = filled(&SimDisk::new(1));
        let shard = engine.store.shard_of(engine.store.hash(KEY));
        let mut expected = Vec::new();
        show_shard(&engine, shard, &mut expected);
        happens(course, behind, end);
        let chunk = image_of(&engine, shard);
        between::nothing();
        assert_shown(&show(&load(&chunk, &[])), &expected, what);
    });
}

#[test]
fn what_came_in_below_the_last_node_during_a_checkpoint_is_there_after_a_restart() {
    each(|course, behind, end, what| {
        let disk = SimDisk::new(2);
        let engine = filled(&disk);
        happens(course, behind, end);
        engine.save().unwrap();
        between::nothing();
        engine.sync().unwrap();
        let expected = show(&engine);
        drop(engine);
        disk.restart(CrashMode::PowerLost);
        assert_shown(&show(&open(&disk, AppendFsync::No).unwrap()), &expected, what);
    });
}
