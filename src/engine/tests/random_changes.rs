//! Random changes: of every kind, and of few keys and partitions, many of which are large.

use super::as_text::names_of;
use super::*;
use crate::effect::{
    HashChange, Ids, ItemChange, ListChange, Runs, SetChange, StreamChange, StringChange, Structural,
    ZsetChange, score_bytes,
};
use crate::env::Random;
use crate::store::Built;
use crate::value::bits::BitOp;
use crate::value::hash::pack_field;
use crate::value::list::{RemovedRun, encode_all};
use crate::value::rdb::{
    DumpForm, decode_dump, dump_hash, dump_list, dump_set, dump_stream, dump_string, dump_zset,
};
use crate::value::stream::{Group, GroupPosition, NodeLimits, Stream, StreamId};
use crate::value::zset::{compare, pack_member};
use std::collections::BTreeSet;

/// A table that may be dropped; a table that is created later has another number.
const OTHER_TABLE: u32 = 17;

pub(super) fn put_table(engine: &Engine, table: u32) {
    let schema =
        TableSchema::new(KeyAttr::new("id", KeyType::S), Some(KeyAttr::new("at", KeyType::S))).to_bytes();
    let name = if table == TABLE { &b"things"[..] } else { b"others" };
    commit(engine, &[Structural::TablePut { table, created: START, name, schema: &schema }.into()]);
}

/// The target of random changes.
pub(super) trait Target {
    fn engine(&self) -> &Engine;

    fn apply(&mut self, effect: Effect<'_>);

    /// Runs `then` within a transaction.
    fn with(&mut self, work: &mut dyn FnMut(&mut Tx<'_>));

    /// The names of a hash's fields or a set's members, sorted.
    fn fields(&self, db: u32, key: &[u8]) -> Vec<Vec<u8>>;

    /// The number of a list's elements.
    fn elements(&self, db: u32, key: &[u8]) -> usize;
}

/// Applies each change in a transaction of its own.
struct Committing<'e>(&'e Engine);

impl Target for Committing<'_> {
    fn engine(&self) -> &Engine {
        self.0
    }

    fn apply(&mut self, effect: Effect<'_>) {
        commit(self.0, &[effect]);
    }

    fn with(&mut self, work: &mut dyn FnMut(&mut Tx<'_>)) {
        let mut record = Vec::new();
        let mut tx = Tx::new(self.0, self.0.store.lock_all(Mode::Write, START), 0, &mut record);
        work(&mut tx);
        tx.commit();
    }

    fn fields(&self, db: u32, key: &[u8]) -> Vec<Vec<u8>> {
        let mut record = Vec::new();
        let locked = self.0.store.lock_all(Mode::Read, START);
        Tx::new(self.0, locked, 0, &mut record).fields(db, key)
    }

    fn elements(&self, db: u32, key: &[u8]) -> usize {
        let mut record = Vec::new();
        let locked = self.0.store.lock_all(Mode::Read, START);
        Tx::new(self.0, locked, 0, &mut record).elements(db, key)
    }
}

impl Target for Tx<'_> {
    fn engine(&self) -> &Engine {
        self.engine
    }

    fn apply(&mut self, effect: Effect<'_>) {
        Tx::apply(self, effect);
    }

    fn with(&mut self, work: &mut dyn FnMut(&mut Tx<'_>)) {
        work(self);
    }

    fn fields(&self, db: u32, key: &[u8]) -> Vec<Vec<u8>> {
        let found = self.locked.peek(self.engine.store.space(db as usize), key, self.engine.store.hash(key));
        let mut names = found.map(names_of).unwrap_or_default();
        names.sort();
        names
    }

    fn elements(&self, db: u32, key: &[u8]) -> usize {
        let found = self.locked.peek(self.engine.store.space(db as usize), key, self.engine.store.hash(key));
        found.and_then(|entry| entry.value().list()).map_or(0, |list| list.len())
    }
}

/// Draws changes of a few keys and partitions, many of which are large.
pub(super) struct Changes {
    random: Random,
    /// Increases with every change, for identifiers and values.
    count: u64,
    other_table: u32,
    pub(super) structural: bool,
}

impl Changes {
    pub(super) fn seeded(seed: u64) -> Self {
        Self { random: Random::seeded(seed), count: 0, other_table: OTHER_TABLE, structural: true }
    }

    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.random.next_u64() % n
    }

    fn name(&mut self, prefix: &str, n: u64) -> Vec<u8> {
        format!("{prefix}{}", self.below(n)).into_bytes()
    }

    fn place(&mut self, prefix: &str) -> (u32, Vec<u8>) {
        (self.below(2) as u32, self.name(prefix, 3))
    }

    fn at(&mut self) -> u64 {
        START + 1_000_000 + self.below(1000)
    }

    /// Applies the effects of one change.
    pub(super) fn draw(&mut self, target: &mut dyn Target) {
        self.count += 1;
        match self.below(51) {
            44..=50 => self.zset(target),
            0..=7 => self.hash(target),
            28..=33 => self.set(target),
            8..=12 => self.items(target),
            13..=20 => self.stream(target),
            34..=40 => self.list(target),
            21..=24 => self.string(target),
            25..=27 => self.made(target),
            _ => self.whole(target),
        }
    }

    fn string(&mut self, target: &mut dyn Target) {
        let (db, key, value) = (0, self.name("key", 60), vec![b'x'; self.below(200) as usize]);
        match self.below(5) {
            0..=1 => {
                let expire = Some(self.at()).filter(|at| at % 3 == 0);
                target.apply(StringChange::Set { value: &value, expire }.on(db, &key));
            }
            2..=3 => {
                let at = self.below(150) as usize;
                target.apply(StringChange::Splice { at, bytes: &value }.on(db, &key));
            }
            _ => target.apply(Effect::Delete { db, key: &key }),
        }
    }

    fn hash(&mut self, target: &mut dyn Target) {
        let (db, key) = self.place("hash");
        let count = if self.below(6) == 0 { 60 } else { 1 + self.below(5) };
        let names: Vec<_> = (0..count).map(|_| self.name("field", 90)).collect();
        let value = self.count.to_string().into_bytes();
        let fields: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let pairs: Vec<&[u8]> = names.iter().flat_map(|name| [name.as_slice(), &value]).collect();
        let expire = match self.below(3) {
            0 => FieldExpire::Clear,
            1 => FieldExpire::Keep,
            _ => FieldExpire::At(self.at()),
        };
        let (pairs, fields) = (List::Slices(&pairs), List::Slices(&fields));
        match self.below(11) {
            0..=4 => target.apply(HashChange::Set { pairs, expire }.on(db, &key)),
            5..=6 => target.apply(HashChange::Delete { fields }.on(db, &key)),
            7 => target.apply(HashChange::Expire { fields, at: self.at() }.on(db, &key)),
            8 => {
                // All elements but one are removed, others are added, then the one is removed.
                let names = target.fields(db, &key);
                let all: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
                let Some((last, others)) = all.split_last() else { return };
                target.apply(HashChange::Delete { fields: List::Slices(others) }.on(db, &key));
                target.apply(HashChange::Set { pairs, expire: FieldExpire::Clear }.on(db, &key));
                target.apply(HashChange::Delete { fields: List::Slices(&[*last]) }.on(db, &key));
            }
            9 => {
                let at = Some(self.at()).filter(|at| at % 3 != 0);
                target.apply(Effect::Expire { db, key: &key, at });
            }
            _ => {
                let (ttl, at) = (self.below(2) == 0, self.at());
                let names: BTreeSet<&Vec<u8>> = names.iter().collect();
                let mut payload = Vec::new();
                names.iter().for_each(|name| pack_field(&mut payload, ttl, name, &value, at));
                let expire = Some(at).filter(|at| at % 3 != 0);
                target.apply(HashChange::Put { ttl, payload: &payload, expire }.on(db, &key));
            }
        }
    }

    fn set(&mut self, target: &mut dyn Target) {
        let (db, key) = self.place("set");
        let count = if self.below(6) == 0 { 60 } else { 1 + self.below(5) };
        let prefix = ["member", "member", ""][self.below(3) as usize];
        let names: Vec<_> = (0..count).map(|_| self.name(prefix, 90)).collect();
        let members: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
        let members = List::Slices(&members);
        match self.below(10) {
            0..=5 => target.apply(SetChange::Add { members }.on(db, &key)),
            6..=7 => target.apply(SetChange::Delete { members }.on(db, &key)),
            8 => {
                // All elements but one are removed, others are added, then the one is removed.
                let names = target.fields(db, &key);
                let all: Vec<&[u8]> = names.iter().map(Vec::as_slice).collect();
                let Some((last, others)) = all.split_last() else { return };
                target.apply(SetChange::Delete { members: List::Slices(others) }.on(db, &key));
                target.apply(SetChange::Add { members }.on(db, &key));
                target.apply(SetChange::Delete { members: List::Slices(&[*last]) }.on(db, &key));
            }
            _ => {
                let at = Some(self.at()).filter(|at| at % 3 != 0);
                target.apply(Effect::Expire { db, key: &key, at });
            }
        }
    }

    fn list(&mut self, target: &mut dyn Target) {
        let (db, key) = self.place("list");
        let len = target.elements(db, &key) as u64;
        let count = if self.below(5) == 0 { 100 } else { 1 + self.below(4) };
        let values: Vec<_> = (0..count).map(|_| vec![b'v'; self.below(40) as usize]).collect();
        let mut values: Vec<&[u8]> = values.iter().map(Vec::as_slice).collect();
        let number = self.count.to_string();
        values[0] = number.as_bytes();
        let (value, front, place) = (values[0], self.below(2) == 0, self.below(len.max(1)) as usize);
        let mut put = |change: ListChange<'_>| target.apply(change.on(db, &key));
        match self.below(15) {
            0..=3 => put(ListChange::Push { front, values: List::Slices(&values) }),
            4..=5 => {
                let count = if self.below(6) == 0 { len } else { self.below(30).min(len) } as usize;
                put(ListChange::Pop { front, count });
            }
            6..=7 if len > 0 => put(ListChange::Set { at: place, value }),
            8..=9 if len > 0 => put(ListChange::Insert { at: place, value }),
            10..=11 if len > 0 => {
                let mut runs = Vec::new();
                let mut end = 0;
                while runs.len() < 10 {
                    let (passed, removed) = (self.below(9) as usize, 1 + self.below(3) as usize);
                    end += passed + removed;
                    if end > len as usize {
                        break;
                    }
                    runs.push(RemovedRun { passed, removed });
                }
                put(ListChange::Remove { runs: Runs::Slice(&runs) });
            }
            12 => {
                let payload = encode_all(values.iter().copied());
                put(ListChange::Put { payload: &payload, expire: Some(self.at()).filter(|at| at % 3 == 0) });
            }
            13 => {
                let at = Some(self.at()).filter(|at| at % 3 != 0);
                target.apply(Effect::Expire { db, key: &key, at });
            }
            _ => {
                // An element is moved as LMOVE does within one list.
                if len > 0 {
                    put(ListChange::Push { front, values: List::Slices(&[value]) });
                    put(ListChange::Pop { front: !front, count: 1 });
                }
            }
        }
    }

    fn zset(&mut self, target: &mut dyn Target) {
        let (db, key) = self.place("zset");
        let count = if self.below(6) == 0 { 60 } else { 1 + self.below(5) };
        let scored: Vec<(Vec<u8>, f64)> = (0..count)
            .map(|_| (self.name("member", 90), [0.0, 1.0, 1.5, -2.0, f64::INFINITY][self.below(5) as usize]))
            .collect();
        let members: Vec<&[u8]> = scored.iter().map(|(member, _)| member.as_slice()).collect();
        match self.below(12) {
            0..=5 => {
                let scores: Vec<[u8; 8]> = scored.iter().map(|(_, score)| score_bytes(*score)).collect();
                let pairs = members.iter().zip(&scores).flat_map(|(member, score)| [*member, &score[..]]);
                let pairs: Vec<&[u8]> = pairs.collect();
                target.apply(ZsetChange::Set { pairs: List::Slices(&pairs) }.on(db, &key));
            }
            6..=7 => target.apply(ZsetChange::Delete { members: List::Slices(&members) }.on(db, &key)),
            8..=9 => {
                let (at, count) = (self.below(60) as usize, self.below(40) as usize);
                target.apply(ZsetChange::DeleteRange { at, count }.on(db, &key));
            }
            10 => {
                let at = Some(self.at()).filter(|at| at % 3 != 0);
                target.apply(Effect::Expire { db, key: &key, at });
            }
            _ => {
                let mut each_once: Vec<_> = scored;
                each_once.sort_by(|a, b| a.0.cmp(&b.0));
                each_once.dedup_by(|a, b| a.0 == b.0);
                each_once.sort_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
                let mut payload = Vec::new();
                each_once.iter().for_each(|(member, score)| pack_member(&mut payload, member, *score));
                let expire = Some(self.at()).filter(|at| at % 3 != 0);
                target.apply(ZsetChange::Put { payload: &payload, expire }.on(db, &key));
            }
        }
    }

    fn items(&mut self, target: &mut dyn Target) {
        let (table, partition) = ([TABLE, self.other_table][self.below(2) as usize], self.name("part", 2));
        let count = if self.below(6) == 0 { 40 } else { 1 };
        for _ in 0..count {
            let sort = vec![b'0' + self.below(70) as u8; 60];
            // Items without attributes, and items with one.
            let item = [1, self.below(1) as u8];
            if self.below(3) > 0 {
                target.apply(ItemChange::Put { sort: &sort, item: &item }.on(table, &partition));
            } else {
                target.apply(ItemChange::Delete { sort: &sort }.on(table, &partition));
            }
        }
    }

    fn stream(&mut self, target: &mut dyn Target) {
        let (db, key) = self.place("stream");
        let id = |n: u64| StreamId::new(n, 0);
        let back = |changes: &mut Self, most: u64| {
            let past = changes.below(most);
            id(changes.count.saturating_sub(past) + 1)
        };
        let ids: Vec<_> = (0..=self.below(30)).map(|_| back(self, 300)).collect();
        let (group, consumer, other) = (self.name("g", 2), self.name("c", 3), back(self, 400));
        let (group, consumer, ids) = (group.as_slice(), consumer.as_slice(), Ids::Slice(&ids));
        let (at, deliveries, value) = (self.below(3), self.below(3), self.count.to_string());
        let position = GroupPosition { last_id: other, entries_read: Some(at) };
        let change = match self.below(65) {
            0..=25 => {
                for n in 0..=self.below(40) {
                    let pairs = List::Slices(&[b"f", value.as_bytes()]);
                    let change = StreamChange::Add { id: StreamId::new(self.count + 1, n), pairs };
                    target.apply(change.on(db, &key));
                }
                return;
            }
            26..=33 => StreamChange::Delete { ids },
            34..=35 => StreamChange::Trim { through: other },
            36..=38 => StreamChange::Group { group, position },
            39 => StreamChange::GroupDelete { group },
            40..=43 => {
                StreamChange::Consumer { group, consumer, seen_at_ms: at, active_at_ms: Some(deliveries) }
            }
            44 => StreamChange::ConsumerDelete { group, consumer },
            45..=53 => StreamChange::Pending { group, consumer, delivered_at_ms: at, deliveries, ids },
            54..=59 => StreamChange::Acknowledge { group, ids },
            60..=61 => {
                let (mut other, pair) = (Stream::new(), [b"f".as_slice(), value.as_bytes()]);
                other.append(id(self.count + 1), pair.into_iter(), NodeLimits::default()).unwrap();
                let node = other.nodes().next().unwrap();
                let change = StreamChange::Node { master: node.master(), body: node.body() };
                return target.apply(change.on(db, &key));
            }
            _ => return self.lowered_stream(target, (db, &key), other),
        };
        target.apply(change.on(db, &key));
    }

    /// All entries of a stream are removed, and the next ones get the place of the former.
    fn lowered_stream(&mut self, target: &mut dyn Target, (db, key): (u32, &[u8]), first: StreamId) {
        let (last_id, max_deleted_id) = (StreamId::new(first.ms - 1, 0), StreamId::MIN);
        let pairs = List::Slices(&[b"f", b"v"]);
        for change in [
            StreamChange::Trim { through: StreamId::MAX },
            StreamChange::Marks { last_id, max_deleted_id, entries_added: self.count },
            StreamChange::Add { id: first, pairs },
            StreamChange::Add { id: StreamId::new(self.count + 1, 0), pairs },
        ] {
            target.apply(change.on(db, key));
        }
    }

    /// Changes that depend on other keys.
    fn made(&mut self, target: &mut dyn Target) {
        let ((db, key), (to_db, to)) = match self.below(6) {
            3 => (self.place("list"), self.place("list")),
            0 => (self.place("hash"), self.place("hash")),
            2 => (self.place("set"), self.place("set")),
            1 => (self.place("stream"), self.place("stream")),
            4 => (self.place("zset"), self.place("zset")),
            _ => ((0, self.name("key", 60)), (0, self.name("key", 60))),
        };
        let (from, onto, other) = ((db as usize, &*key), (to_db as usize, &*to), self.name("key", 60));
        match self.below(6) {
            _ if from == onto => {}
            0..=2 => target.apply(Effect::Move { db, key: &key, to_db, to: &to }),
            3 => target.with(&mut |tx| tx.copy_key(from, onto).unwrap()),
            4 => target.with(&mut |tx| assert!(tx.combine(BitOp::Xor, &to, &[&key, &other]).is_ok())),
            _ => self.restored(target, (to_db, &to)),
        }
    }

    /// Values of payloads.
    fn restored(&mut self, target: &mut dyn Target, (db, key): (u32, &[u8])) {
        let count = self.below(200);
        let payload = match key {
            [b'h', ..] => {
                let fields: Vec<_> = (0..=count).map(|n| (format!("field{n}"), format!("r{n}"))).collect();
                let at = |n: usize| (n % 5 == 1).then_some(START + n as u64);
                let fields = fields.iter().enumerate();
                let fields = fields.map(|(n, (name, value))| (name.as_bytes(), value.as_bytes(), at(n)));
                dump_hash(fields.collect::<Vec<_>>(), DumpForm::Full)
            }
            [b'l', ..] => dump_list((0..=count).map(|n| format!("r{n}")), -1),
            [b'z', ..] => {
                let members = (0..=count).map(|n| (format!("m{n}"), (n * 7 % 50) as f64));
                dump_zset(members.collect::<Vec<_>>(), DumpForm::Full)
            }
            [b's', b'e', ..] => {
                dump_set((0..=count).map(|n| format!("m{n}")).collect::<Vec<_>>(), DumpForm::Full)
            }
            [b's', ..] => {
                let limits = NodeLimits { max_bytes: 0, max_entries: 7 };
                let mut stream = Stream::new();
                for n in 1..=count {
                    let pair = [&b"f"[..], &n.to_le_bytes()];
                    stream.append(StreamId::new(n, 0), pair.into_iter(), limits).unwrap();
                }
                stream.groups_mut().insert(b"g", Group::new(GroupPosition::default()));
                dump_stream(&stream)
            }
            _ => dump_string(&vec![b'r'; count as usize]),
        };
        let (expire, read_at) = (Some(self.at()).filter(|at| at % 3 == 0), START + 20);
        target.with(&mut |tx| {
            let built = Built::of(decode_dump(&payload).unwrap(), read_at).unwrap();
            let before = std::mem::replace(&mut tx.db, db as usize);
            let restored = tx.restore(key, (&payload, read_at), built, expire);
            // Only a disk that has failed refuses it.
            assert!(restored.is_ok() || tx.engine.settle().is_err(), "{:?}", restored.err());
            tx.db = before;
        });
    }

    /// Changes of whole keys, databases and tables.
    fn whole(&mut self, target: &mut dyn Target) {
        let prefix = ["hash", "stream", "set", "list", "zset"][self.below(5) as usize];
        let (db, key) = self.place(prefix);
        match self.below(if self.structural { 11 } else { 5 }) {
            0..=1 => target.apply(Effect::Delete { db, key: &key }),
            2 => {
                let value = self.count.to_string().into_bytes();
                target.apply(StringChange::Set { value: &value, expire: None }.on(db, &key));
            }
            3 => target.apply(Effect::Expire { db, key: &key, at: None }),
            4 => {
                // A value replaces another one of the same name.
                let value = self.count.to_string().into_bytes();
                target.apply(Effect::Delete { db, key: &key });
                let pairs = List::Slices(&[b"field1", &value]);
                target.apply(HashChange::Set { pairs, expire: FieldExpire::Clear }.on(db, &key));
            }
            5 => target.apply(Structural::SwapDb { a: 0, b: 1 }.into()),
            6 => {
                let space = target.engine().store.fresh_space(1);
                target.apply(Structural::FlushDb { db, space }.into());
            }
            7 => target.apply(Structural::TableDrop { table: self.other_table }.into()),
            8 => {
                let (name, code) = ([b'a' + self.below(3) as u8], self.count.to_string().into_bytes());
                target.apply(Structural::LibraryPut { name: &name, code: &code }.into());
            }
            9 => {
                let name = [b'a' + self.below(3) as u8];
                target.apply(Structural::LibraryDrop { name: &name }.into());
            }
            _ => drop(target.engine().store.bury_some(START, 1000)),
        }
    }

    pub(super) fn commit_some(&mut self, engine: &Engine) {
        for _ in 0..self.below(8) {
            self.draw(&mut Committing(engine));
            if engine.tables.by_id(self.other_table).is_none() {
                self.other_table = engine.store.fresh_space(1);
                put_table(engine, self.other_table);
            }
        }
        if self.below(12) == 0 {
            self.rename_or_undo(engine);
        }
    }

    fn rename_or_undo(&mut self, engine: &Engine) {
        let prefix = ["hash", "set", "zset"][self.below(3) as usize];
        let ((db, from), (other, to)) = (self.place(prefix), self.place(prefix));
        let mut record = Vec::new();
        let mut tx = Tx::new(engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
        let (could_be_undone, is_undone) = (self.below(2) == 0, self.below(2) == 0);
        if could_be_undone {
            self.structural = false;
            tx.begin_undo();
            (0..self.below(20)).for_each(|_| self.draw(&mut tx));
            if is_undone {
                // The transaction leaves no trace in the image either.
                tx.roll_back();
            }
            self.structural = true;
        }
        if (db, &from) != (other, &to) && tx.exists_in(db as usize, &from) {
            tx.copy_key((db as usize, &from), (other as usize, &to)).unwrap();
            tx.apply(Effect::Delete { db, key: &from });
        }
        tx.commit();
    }

    pub(super) fn fill(&mut self, engine: &Engine, rounds: u32) {
        self.structural = false;
        for _ in 0..rounds {
            self.draw(&mut Committing(engine));
        }
        self.structural = true;
    }
}

/// Values become large with few elements, and a second table is there besides the first.
pub(super) fn prepare(engine: &Engine) {
    engine.store.thresholds.hash_entries.store(8, Relaxed);
    engine.store.thresholds.set_ints.store(12, Relaxed);
    engine.store.thresholds.set_entries.store(8, Relaxed);
    engine.store.thresholds.zset_entries.store(8, Relaxed);
    engine.store.thresholds.stream_node_entries.store(4, Relaxed);
    engine.store.thresholds.list_size.store(30, Relaxed);
    engine.store.thresholds.string_bytes.store(100, Relaxed);
    put_table(engine, TABLE);
    put_table(engine, OTHER_TABLE);
}

pub(super) fn engine_with_large_values(disk: &SimDisk, changes: &mut Changes) -> Arc<Engine> {
    let engine = open(disk, AppendFsync::No).unwrap();
    prepare(&engine);
    changes.fill(&engine, 600);
    engine
}
