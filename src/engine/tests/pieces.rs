//! Values too large for one hold of their shard: what a checkpoint that reads them in pieces brings back.

use super::*;
use crate::effect::{
    FieldExpire, HashChange, Ids, ItemChange, List, ListChange, Runs, SetChange, StreamChange, StringChange,
    ZsetChange, score_bytes,
};
use crate::engine::image::between;
use crate::store::Object;
use crate::value::list::RemovedRun;
use crate::value::stream::{GroupPosition, StreamId};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What a reader sees of one hash: its fields in order, and its deadline.
fn fields_of(engine: &Engine, key: &[u8]) -> Option<(Vec<(Vec<u8>, Vec<u8>, u64)>, Option<u64>)> {
    let hash = engine.store.hash(key);
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let entry = locked.peek(0, key, hash)?;
    let fields = entry.value().hash()?.live(START).map(|f| (f.name.to_vec(), f.value.to_vec(), f.expire));
    let mut fields: Vec<_> = fields.collect();
    fields.sort();
    Some((fields, entry.expire()))
}

#[test]
fn a_large_value_that_changes_while_its_pieces_are_read_is_whole_again_after_replay() {
    for seed in 0..4 {
        let disk = SimDisk::new(100 + seed);
        let engine = open(&disk, AppendFsync::No).unwrap();
        engine.store.thresholds.hash_entries.store(8, Relaxed);
        engine.store.thresholds.set_entries.store(8, Relaxed);
        engine.store.thresholds.stream_node_entries.store(4, Relaxed);
        create_table(&engine);
        let writer = {
            let engine = Arc::clone(&engine);
            std::thread::spawn(move || {
                let mut random = crate::env::Random::seeded(seed);
                for i in 0..6000 {
                    change_large(&engine, &mut random, i);
                    change_stream(&engine, &mut random, i);
                    change_set(&engine, &mut random, i);
                    change_list(&engine, &mut random, i);
                }
            })
        };
        while !writer.is_finished() {
            engine.save().unwrap();
        }
        writer.join().unwrap();
        engine.sync().unwrap();
        let (before, items) = (fields_of(&engine, b"big"), image(&engine).len());
        let (partitions, stream) = (partition_of(&engine, b"p"), stream_of(&engine));
        let members = members_of(&engine);
        let list = list_of(&engine);
        drop(engine);
        disk.restart(CrashMode::PowerLost);
        let engine = open(&disk, AppendFsync::No).unwrap();
        assert_eq!(fields_of(&engine, b"big"), before, "seed {seed}");
        assert_eq!(partition_of(&engine, b"p"), partitions, "seed {seed}");
        assert_eq!(members_of(&engine), members, "seed {seed}");
        assert_eq!(image(&engine).len(), items);
        assert_eq!(list_of(&engine), list, "seed {seed}");
        // How entries are packed may differ, what they are may not.
        assert_eq!(stream_of(&engine), stream, "seed {seed}");
    }
}

fn list_of(engine: &Engine) -> Vec<Vec<u8>> {
    let hash = engine.store.hash(b"list");
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let list = locked.peek(engine.store.space(0), b"list", hash).and_then(|entry| entry.value().list());
    list.into_iter().flat_map(|list| list.iter_from(0)).map(|found| found.into_vec()).collect()
}

fn change_list(engine: &Engine, random: &mut crate::env::Random, i: u32) {
    let (db, key, text) = (0, &b"list"[..], i.to_string());
    let (value, front) = (text.as_bytes(), random.next_u64().is_multiple_of(2));
    let len = list_of(engine).len() as u64;
    let at = (random.next_u64() % len.max(1)) as usize;
    let runs = [RemovedRun { passed: at / 2, removed: 1 }, RemovedRun { passed: at - at / 2, removed: 1 }];
    let change = match random.next_u64() % 100 {
        _ if len < 300 => ListChange::Push { front, values: List::Slices(&[value, b"v", b"w"]) },
        0..40 => ListChange::Push { front, values: List::Slices(&[value]) },
        40..60 => ListChange::Pop { front, count: 1 },
        60..70 => ListChange::Set { at, value },
        70..85 => ListChange::Insert { at, value },
        85..95 if at + 2 < len as usize => ListChange::Remove { runs: Runs::Slice(&runs) },
        95 if i.is_multiple_of(9) => ListChange::Pop { front, count: len as usize },
        96 if i.is_multiple_of(9) => return commit(engine, &[Effect::Delete { db, key }]),
        _ => return,
    };
    commit(engine, &[change.on(db, key)]);
}

/// The entries, marks and groups of the stream, as text.
fn stream_of(engine: &Engine) -> String {
    let hash = engine.store.hash(b"stream");
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let Some(entry) = locked.peek(engine.store.space(0), b"stream", hash) else { return String::new() };
    let stream = entry.value().stream().unwrap();
    let entries: Vec<_> =
        stream.range(StreamId::MIN, StreamId::MAX).map(|e| (e.id, e.fields.len())).collect();
    let marks = (stream.last_id(), stream.max_deleted_id(), stream.entries_added());
    let mut groups = String::new();
    for (name, group) in stream.groups().iter() {
        let pending = group.pending(StreamId::MIN..=StreamId::MAX);
        let pending: Vec<_> = pending.map(|(id, p)| (id, p.delivered_at_ms, p.deliveries)).collect();
        let consumers: Vec<_> =
            group.consumers().map(|c| (c.name(), c.seen_at_ms, c.pending_len())).collect();
        write!(groups, "{name:?} {:?} {consumers:?} {pending:?}", group.position).unwrap();
    }
    format!("{entries:?} {marks:?} {groups}")
}

fn change_stream(engine: &Engine, random: &mut crate::env::Random, i: u32) {
    let (db, key) = (0, &b"stream"[..]);
    let id = |back: u64| StreamId::new(u64::from(i + 1).saturating_sub(back), 0);
    let old = [id(random.next_u64() % 300), id(random.next_u64() % 40)];
    let (group, consumer, ids) = (&b"g"[..], &b"c"[..], Ids::Slice(&old));
    let position = GroupPosition { last_id: id(9), entries_read: Some(u64::from(i)) };
    let at = u64::from(i);
    let change = match random.next_u64() % 100 {
        0..70 => StreamChange::Add { id: id(0), pairs: List::Slices(&[b"f", b"v"]) },
        70..80 => StreamChange::Delete { ids },
        80..84 => StreamChange::Trim { through: id(200) },
        84..87 => StreamChange::Group { group, position },
        87..89 => StreamChange::Consumer { group, consumer, seen_at_ms: at, active_at_ms: None },
        89..94 => StreamChange::Pending { group, consumer, delivered_at_ms: at, deliveries: at, ids },
        94..97 => StreamChange::Acknowledge { group, ids },
        97 if i.is_multiple_of(9) => StreamChange::ConsumerDelete { group, consumer },
        98 if i.is_multiple_of(9) => StreamChange::GroupDelete { group },
        99 if i.is_multiple_of(9) => return commit(engine, &[Effect::Delete { db, key }]),
        _ => return,
    };
    commit(engine, &[change.on(db, key)]);
}

/// The members of the set in order, and its deadline.
fn members_of(engine: &Engine) -> Option<(BTreeSet<Vec<u8>>, Option<u64>)> {
    let hash = engine.store.hash(b"set");
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let entry = locked.peek(engine.store.space(0), b"set", hash)?;
    let members = entry.value().set()?.iter().map(|member| member.bytes().into_owned());
    Some((members.collect(), entry.expire()))
}

fn change_set(engine: &Engine, random: &mut crate::env::Random, i: u32) {
    let (db, key) = (0, &b"set"[..]);
    let names: Vec<String> = (0..3).map(|_| format!("member{}", random.next_u64() % 200)).collect();
    let members: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
    let members = List::Slices(&members);
    let at = START + 1_000_000 + random.next_u64() % 1000;
    match random.next_u64() % 100 {
        0..55 => commit(engine, &[SetChange::Add { members }.on(db, key)]),
        55..95 => commit(engine, &[SetChange::Delete { members }.on(db, key)]),
        95..98 => commit(engine, &[Effect::Expire { db, key, at: i.is_multiple_of(2).then_some(at) }]),
        _ if i.is_multiple_of(5) => commit(engine, &[Effect::Delete { db, key }]),
        _ => {}
    }
}

fn partition_of(engine: &Engine, key: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let hash = engine.store.hash(key);
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let items = locked.peek(TABLE, key, hash).and_then(|entry| entry.value().items());
    items.map(|items| items.iter().map(|(s, i)| (s.to_vec(), i.to_vec())).collect()).unwrap_or_default()
}

fn change_large(engine: &Engine, random: &mut crate::env::Random, i: u32) {
    let (db, key) = (0, &b"big"[..]);
    let field = (random.next_u64() % 200).to_string();
    let value = i.to_string();
    let pairs = [field.as_bytes(), value.as_bytes()];
    let fields = [field.as_bytes()];
    let at = START + 1_000_000 + random.next_u64() % 1000;
    let sort = [b'0' + (random.next_u64() % 64) as u8; 60];
    match random.next_u64() % 100 {
        0..50 => {
            let expire = [FieldExpire::Clear, FieldExpire::Keep, FieldExpire::At(at)];
            let expire = expire[random.next_u64() as usize % 3];
            commit(engine, &[HashChange::Set { pairs: List::Slices(&pairs), expire }.on(db, key)]);
        }
        50..70 => commit(engine, &[HashChange::Delete { fields: List::Slices(&fields) }.on(db, key)]),
        70..80 => commit(engine, &[HashChange::Expire { fields: List::Slices(&fields), at }.on(db, key)]),
        80..84 => commit(engine, &[Effect::Expire { db, key, at: i.is_multiple_of(2).then_some(at) }]),
        84..85 if i.is_multiple_of(5) => commit(engine, &[Effect::Delete { db, key }]),
        85..86 if i.is_multiple_of(7) => commit(
            engine,
            &[StringChange::Set { value: b"v", expire: None }.on(db, key), Effect::Delete { db, key }],
        ),
        86..95 => {
            commit(engine, &[ItemChange::Put { sort: &sort, item: &[1, 0] }.on(TABLE, b"p")]);
        }
        _ => commit(engine, &[ItemChange::Delete { sort: &sort }.on(TABLE, b"p")]),
    }
}

/// A key of a shard.
fn key_in(engine: &Engine, shard: usize) -> Vec<u8> {
    let keys = (0..).map(|n: u32| format!("key:{n}").into_bytes());
    keys.into_iter().find(|key| engine.store.shard_of(engine.store.hash(key)) == shard).unwrap()
}

#[test]
fn a_checkpoint_that_is_read_in_pieces_shows_no_half_of_what_came_meanwhile() {
    let disk = SimDisk::new(31);
    let engine = open(&disk, AppendFsync::No).unwrap();
    let (first, last) = (key_in(&engine, 0), key_in(&engine, engine.store.shard_count() - 1));
    let fields: Vec<String> = (0..4000).map(|n| format!("field:{n}")).collect();
    let pairs: Vec<&[u8]> = fields.iter().flat_map(|field| [field.as_bytes(), b"0"]).collect();
    commit(
        &engine,
        &[HashChange::Set { pairs: List::Slices(&pairs), expire: FieldExpire::Clear }.on(0, &last)],
    );
    let write = |n: u64| {
        let text = n.to_string();
        let pairs: Vec<&[u8]> =
            fields.iter().step_by(500).flat_map(|f| [f.as_bytes(), text.as_bytes()]).collect();
        commit(
            &engine,
            &[
                StringChange::Set { value: text.as_bytes(), expire: None }.on(0, &first),
                HashChange::Set { pairs: List::Slices(&pairs), expire: FieldExpire::Clear }.on(0, &last),
            ],
        );
    };
    write(1);
    let end = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (2..).take_while(|_| !end.load(Relaxed)) {
                write(n);
                // Now and then all is durable just now, so that the checkpoint's own sync has little to do.
                (n % 3 == 0).then(|| engine.sync().unwrap());
            }
        });
        engine.save().unwrap();
        end.store(true, Relaxed);
    });
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = open(&disk, AppendFsync::No).unwrap();
    let locked = engine.store.lock_all(Mode::Read, START);
    let entry = |key: &[u8]| locked.get(0, key, engine.store.hash(key)).unwrap().value();
    let ValueRef::Str(of_first) = entry(&first) else { panic!("a string") };
    let hash = entry(&last).hash().unwrap();
    let of_last: Vec<&[u8]> =
        fields.iter().step_by(500).map(|f| hash.get(f.as_bytes(), START).unwrap().value).collect();
    assert!(of_last.iter().all(|value| *value == of_first), "{of_first:?}: {of_last:?}");
}

/// Sets so many fields of a hash.
fn fill(engine: &Engine, key: &[u8], fields: u32) {
    let names: Vec<String> = (0..fields).map(|n| format!("field:{n}")).collect();
    let pairs: Vec<&[u8]> = names.iter().flat_map(|name| [name.as_bytes(), b"v"]).collect();
    let (db, pairs, expire) = (0, List::Slices(&pairs), FieldExpire::Clear);
    commit(engine, &[HashChange::Set { pairs, expire }.on(db, key)]);
}

/// The fields of a large hash in the order in which a walk comes upon them.
fn walk(engine: &Engine, key: &[u8]) -> Vec<Vec<u8>> {
    let hash = engine.store.hash(key);
    let locked = engine.store.lock_one(hash, Mode::Read, START);
    let Some(ValueRef::Boxed(Object::Hash(big))) = locked.peek(0, key, hash).map(|entry| entry.value())
    else {
        panic!("a large hash");
    };
    big.in_step(big.step(0, usize::MAX)).map(|f| f.name.to_vec()).collect()
}

#[test]
fn a_hash_that_is_emptied_and_refilled_between_two_pieces_keeps_its_deadline() {
    let disk = SimDisk::new(32);
    let engine = open(&disk, AppendFsync::No).unwrap();
    engine.store.thresholds.hash_entries.store(8, Relaxed);
    let (db, key, at) = (0, &b"big"[..], Some(START + 1_000_000));
    fill(&engine, key, 200);
    commit(&engine, &[Effect::Expire { db, key, at }]);
    let names = walk(&engine, key);
    let mut pieces = 0;
    between::pieces(move |engine| {
        pieces += 1;
        if pieces != 6 {
            return;
        }
        // The first field has been read with all of its part, the last one has not.
        let names: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let (first, last) = (names[0], names[names.len() - 1]);
        let all_but_last = List::Slices(&names[..names.len() - 1]);
        let pairs = List::Slices(&[first, b"1"]);
        commit(
            engine,
            &[
                HashChange::Delete { fields: all_but_last }.on(db, key),
                HashChange::Set { pairs, expire: FieldExpire::Clear }.on(db, key),
                HashChange::Delete { fields: List::Slices(&[last]) }.on(db, key),
            ],
        );
    });
    engine.save().unwrap();
    between::nothing();
    engine.sync().unwrap();
    let before = fields_of(&engine, key);
    assert_eq!(before.as_ref().map(|(fields, expire)| (fields.len(), *expire)), Some((1, at)));
    drop(engine);
    disk.restart(CrashMode::PowerLost);
    let engine = open(&disk, AppendFsync::No).unwrap();
    assert_eq!(fields_of(&engine, key), before);
}

/// A piece has a bound, in elements and in bytes, and one element more; so has what is kept of it before it is written.
#[test]
fn what_is_read_of_a_large_value_in_one_piece_is_bounded_in_bytes() {
    const LONG: usize = 1000;
    let disk = SimDisk::new(33);
    let engine = open(&disk, AppendFsync::No).unwrap();
    engine.store.thresholds.string_bytes.store(LONG, Relaxed);
    create_table(&engine);
    let (db, long) = (0, vec![b'l'; LONG]);
    commit(&engine, &[StringChange::Set { value: &long.repeat(100), expire: None }.on(db, b"text")]);
    for n in 0..10_u64 {
        let (name, sort) = (n.to_string(), [b'0' + n as u8]);
        let pairs = List::Slices(&[name.as_bytes(), &long]);
        let change = StreamChange::Add { id: StreamId::new(n + 1, 0), pairs };
        let (member, score) = ([&long, name.as_bytes()].concat(), score_bytes(n as f64));
        let scored = ZsetChange::Set { pairs: List::Slices(&[&member, &score]) };
        commit(
            &engine,
            &[
                scored.on(db, b"zset"),
                HashChange::Set { pairs, expire: FieldExpire::Clear }.on(db, b"hash"),
                change.on(db, b"stream"),
                ListChange::Push { front: false, values: List::Slices(&[&long]) }.on(db, b"list"),
                ItemChange::Put { sort: &sort, item: &long }.on(TABLE, b"p"),
            ],
        );
    }
    let (mut bytes, mut longest) = (0, 0);
    for shard in 0..engine.store.shard_count() {
        let sink = &mut |_, record: &[u8]| {
            (bytes, longest) = (bytes + record.len(), longest.max(record.len()));
            Ok(())
        };
        engine.image(shard, sink).unwrap();
    }
    assert!(bytes > 140 * LONG, "{bytes} bytes of images");
    assert!(longest < 9 * LONG, "a record of {longest} bytes");
}
