//! What holds for checkpoints wherever they lie: in a folder or in a place that is none.

use super::*;
use crate::env::Disk;
use crate::log::checkpoint::memory::MemoryCheckpoints;
use crate::log::checkpoint::{
    Blob, CheckpointFolder, CheckpointInfo, CheckpointStore, CheckpointWriter, Checkpoints, ReadError, Stored,
};
use std::collections::BTreeSet;
use std::sync::Mutex;

pub(super) fn append(log: &Log, count: u64) -> Lsn {
    for _ in 0..count {
        let lsn = log.tail() + 1;
        log.append(lsn, &payload(lsn));
    }
    log.tail()
}

/// Appends ten records and writes a checkpoint behind them.
pub(super) fn write(log: &Log, all: &Checkpoints, chunks: u32) -> Result<CheckpointInfo, LogError> {
    let start = append(log, 10);
    let mut writer = CheckpointWriter::new(all, start, 5, b"prologue")?;
    for shard in (0..chunks).rev() {
        writer.chunk(shard, start, &vec![shard as u8; shard as usize * 100])?;
    }
    writer.finish(log)
}

/// A log in a folder, and a place for its checkpoints.
struct Place {
    disk: SimDisk,
    log: Arc<Log>,
    /// `None` stands for the log's folder.
    memory: Option<Arc<MemoryCheckpoints>>,
}

impl Place {
    fn all() -> [Self; 2] {
        [None, Some(Arc::default())].map(|memory| {
            let disk = SimDisk::new(8);
            let (log, _) = open(&disk).unwrap();
            Self { disk, log, memory }
        })
    }

    fn store(&self) -> Arc<dyn CheckpointStore> {
        match &self.memory {
            Some(memory) => Arc::clone(memory) as _,
            None => folder(&self.disk),
        }
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::over(self.store(), self.log.log_id())
    }

    /// The same checkpoints, of which one has other bytes.
    fn with(&self, name: &str, bytes: Vec<u8>) -> Checkpoints {
        let store: Arc<dyn CheckpointStore> = if let Some(memory) = &self.memory {
            let twin = memory.fork();
            twin.change(name, |old| *old = bytes);
            Arc::new(twin)
        } else {
            let twin = self.disk.fork(1);
            twin.put(&Path::new(DIR).join(name), &bytes).unwrap();
            folder(&twin)
        };
        Checkpoints::over(store, self.log.log_id())
    }

    /// How many blobs were begun, neither finished nor dropped.
    fn unfinished(&self) -> usize {
        if let Some(memory) = &self.memory {
            return memory.unfinished();
        }
        let entries = self.disk.list(Path::new(DIR)).unwrap();
        entries.iter().filter(|entry| entry.name.ends_with(".ckpt.tmp")).count()
    }
}

fn folder(disk: &SimDisk) -> Arc<dyn CheckpointStore> {
    Arc::new(CheckpointFolder::new(disk.shared(), Path::new(DIR)))
}

fn content(blob: &dyn Blob) -> Vec<u8> {
    let mut bytes = vec![0; blob.size().unwrap() as usize];
    assert_eq!(blob.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn names(all: &Checkpoints) -> Vec<u64> {
    all.list().unwrap().iter().map(|info| info.number).collect()
}

#[test]
fn chunks_come_back_whatever_the_number_of_threads() {
    for place in Place::all() {
        let all = place.checkpoints();
        assert!(all.latest().unwrap().checkpoint.is_none());
        let info = write(&place.log, &all, 50).unwrap();
        let checkpoint = all.latest().unwrap().checkpoint.unwrap();
        assert_eq!(*checkpoint.info(), info);
        assert_eq!((info.start_lsn, info.last_lsn, info.chunks, info.ms), (10, 10, 50, 5));
        assert_eq!(checkpoint.prologue(), b"prologue");
        for threads in [0, 1, 2, 7, 100] {
            let seen = Mutex::new(BTreeSet::new());
            let read = checkpoint.read(threads, |chunk| {
                assert_eq!((chunk.lsn, chunk.payload.len()), (10, chunk.shard as usize * 100));
                assert!(chunk.payload.iter().all(|byte| u32::from(*byte) == chunk.shard));
                assert!(seen.lock().unwrap().insert(chunk.shard));
                Ok::<(), ()>(())
            });
            assert_eq!(read, Ok(()));
            assert_eq!(seen.into_inner().unwrap().len(), 50);
            let refused = checkpoint.read(threads, |chunk| if chunk.shard == 3 { Err("no") } else { Ok(()) });
            assert_eq!(refused, Err(ReadError::Sink("no")));
        }
    }
}

#[test]
fn the_log_is_durable_up_to_what_chunks_may_show() {
    for place in Place::all() {
        let (all, log) = (place.checkpoints(), &place.log);
        let start = append(log, 10);
        log.sync(start).unwrap();
        let mut writer = CheckpointWriter::new(&all, start, 5, b"").unwrap();
        writer.chunk(0, start, b"read in pieces").unwrap();
        let tail = append(log, 5);
        writer.reflects(tail);
        assert_eq!(writer.finish(log).unwrap().last_lsn, tail);
        assert_eq!(log.synced(), tail);
    }
}

#[test]
fn an_empty_checkpoint_and_large_chunks_are_fine() {
    for place in Place::all() {
        let (all, log) = (place.checkpoints(), &place.log);
        CheckpointWriter::new(&all, 0, 0, b"").unwrap().finish(log).unwrap();
        all.latest().unwrap().checkpoint.unwrap().verify(4).unwrap();
        let mut writer = CheckpointWriter::new(&all, 0, 0, &vec![7; 2_000_000]).unwrap();
        writer.chunk(1, 0, &vec![1; 3 << 20]).unwrap();
        writer.chunk(2, 0, b"").unwrap();
        writer.chunk(3, 0, &vec![3; 20 << 20]).unwrap();
        let bytes = writer.bytes();
        let info = writer.finish(log).unwrap();
        assert!(info.bytes > bytes && bytes > 25_000_000);
        let checkpoint = all.latest().unwrap().checkpoint.unwrap();
        assert_eq!((checkpoint.info(), checkpoint.prologue().len()), (&info, 2_000_000));
        checkpoint.verify(2).unwrap();
    }
}

#[test]
fn a_checkpoint_has_the_same_bytes_in_every_place() {
    let [here, there] = Place::all();
    let log = &here.log;
    let (first, second) = (here.checkpoints(), Checkpoints::over(there.store(), log.log_id()));
    let start = append(log, 10);
    let infos = [&first, &second].map(|all| {
        let mut writer = CheckpointWriter::new(all, start, 5, b"prologue").unwrap();
        writer.chunk(1, start, &vec![9; 700_000]).unwrap();
        writer.chunk(0, start, b"small").unwrap();
        writer.finish(log).unwrap()
    });
    assert_eq!(infos[0], infos[1]);
    let [one, other] = [&here, &there].map(|place| content(&*place.store().open(&infos[0].name).unwrap()));
    assert!(one == other);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_wherever_the_damage_is() {
    for place in Place::all() {
        let all = place.checkpoints();
        let older = write(&place.log, &all, 4).unwrap();
        let newer = write(&place.log, &all, 4).unwrap();
        let blob = place.store().open(&newer.name).unwrap();
        let bytes = content(&*blob);
        for (at, byte) in bytes.iter().enumerate() {
            let mut damaged = bytes.clone();
            damaged[at] = byte ^ 4;
            let all = place.with(&newer.name, damaged);
            let mut latest = match all.latest() {
                Ok(latest) => latest,
                Err(LogError::UnknownVersion { .. } | LogError::Foreign { .. }) => continue,
                Err(error) => panic!("{error}"),
            };
            if let Some(checkpoint) = latest.checkpoint.take_if(|found| found.info().number == newer.number) {
                let error = checkpoint.verify(2).unwrap_err();
                assert!(matches!(&error, LogError::Corrupt { file, offset, .. }
                    if *file == blob.place() && *offset <= at as u64));
                all.mark_damaged(checkpoint.info());
                latest = all.latest().unwrap();
            } else {
                assert_eq!(latest.damaged[0].name, newer.name);
            }
            let checkpoint = latest.checkpoint.unwrap();
            assert_eq!(*checkpoint.info(), older);
            checkpoint.verify(1).unwrap();
        }
        for len in 0..bytes.len() {
            let latest = place.with(&newer.name, bytes[..len].to_vec()).latest().unwrap();
            assert_eq!((latest.damaged.len(), latest.checkpoint.unwrap().info().number), (1, older.number));
        }
    }
}

#[test]
fn two_sound_ones_are_kept_in_every_place() {
    for place in Place::all() {
        let (all, log) = (place.checkpoints(), &place.log);
        for round in 1..=3u64 {
            let info = write(log, &all, 3).unwrap();
            assert_eq!((info.number, info.start_lsn), (round, round * 10));
            assert_eq!(names(&all), if round == 1 { vec![1] } else { vec![round - 1, round] });
            assert!(log.synced() >= info.last_lsn);
        }
        let first = log.stats().store.first;
        assert!((11..=21).contains(&first), "the log from the older one on is kept: {first}");
        // Damage that only shows when a chunk is read is found before anything is removed on its account.
        let newest = all.latest().unwrap().checkpoint.unwrap().info().clone();
        let mut bytes = content(&*place.store().open(&newest.name).unwrap());
        let at = bytes.len() - 70;
        bytes[at] ^= 1;
        let all = place.with(&newest.name, bytes);
        assert_eq!(write(log, &all, 3).unwrap().number, 4);
        assert_eq!(names(&all), [2, 4]);
    }
}

/// A writer that has not noticed yet that another one took over gives a number a second time.
#[test]
fn checkpoints_with_one_number_are_told_apart_by_their_names() {
    for place in Place::all() {
        let (all, log) = (place.checkpoints(), &place.log);
        let mut begun = Vec::new();
        for _ in 0..2 {
            let start = append(log, 10);
            begun.push(CheckpointWriter::new(&all, start, 5, b"").unwrap());
        }
        let [old, new] = [begun.remove(0), begun.remove(0)].map(|writer| writer.finish(log).unwrap());
        assert_eq!((old.number, new.number, names(&all)), (1, 1, vec![1, 1]));
        assert_eq!(*all.latest().unwrap().checkpoint.unwrap().info(), new);
        all.mark_damaged(&new);
        assert_eq!(*all.latest().unwrap().checkpoint.unwrap().info(), old);
        let all = place.checkpoints();
        let next = write(log, &all, 1).unwrap();
        let kept: Vec<_> = all.list().unwrap().into_iter().map(|info| info.name).collect();
        assert_eq!(kept, [new.name, next.name]);
    }
}

/// A writer that was superseded and learns of it late may give a checkpoint of an old state the greatest number.
#[test]
fn of_two_checkpoints_the_newer_is_the_one_that_begins_later_whatever_its_number() {
    for place in Place::all() {
        let (all, log) = (place.checkpoints(), &place.log);
        let old_start = append(log, 10);
        write(log, &all, 1).unwrap();
        let newer = write(log, &all, 1).unwrap();
        let stale = CheckpointWriter::new(&all, old_start, 5, b"").unwrap().finish(log).unwrap();
        assert_eq!((newer.number, stale.number, stale.start_lsn), (2, 3, 10));
        assert_eq!(*all.latest().unwrap().checkpoint.unwrap().info(), newer);
        assert!(log.stats().store.first <= 21, "the log is kept from the older of the two newest");
        let next = write(log, &all, 1).unwrap();
        let kept: Vec<_> = all.list().unwrap().into_iter().map(|info| info.name).collect();
        assert_eq!(kept, [newer.name, next.name]);
    }
}

#[test]
fn what_is_not_finished_is_never_found() {
    for place in Place::all() {
        let (all, log) = (place.checkpoints(), &place.log);
        let good = write(log, &all, 3).unwrap();
        let begin = |start| {
            let mut writer = CheckpointWriter::new(&all, start, 5, b"").unwrap();
            writer.chunk(0, start, &vec![1; 600_000]).unwrap();
            writer
        };
        let start = append(log, 10);
        let writer = begin(start);
        assert_eq!((names(&all), place.unfinished()), (vec![good.number], 1));
        drop(writer);
        assert_eq!((names(&all), place.unfinished()), (vec![good.number], 0));
        // A process that dies drops nothing.
        std::mem::forget(begin(start));
        assert_eq!((names(&all), place.unfinished()), (vec![good.number], 1));
        assert_eq!(*all.latest().unwrap().checkpoint.unwrap().info(), good);
        all.remove_unfinished().unwrap();
        assert_eq!((names(&all), place.unfinished()), (vec![good.number], 0));
        let next = begin(start).finish(log).unwrap();
        assert_eq!((names(&all), place.unfinished()), (vec![good.number, next.number], 0));
        all.remove_unfinished().unwrap();
        all.latest().unwrap().checkpoint.unwrap().verify(1).unwrap();
    }
}

#[test]
fn blobs_are_found_whole_or_not_at_all() {
    for place in Place::all() {
        let store = place.store();
        let [one, other] = [1, 2].map(|number| format!("checkpoint-{number:010}-{:020}.ckpt", 7));
        let mut writer = store.create(&one).unwrap();
        writer.write(b"abc").unwrap();
        writer.write(&vec![b'd'; 1 << 20]).unwrap();
        writer.write(b"").unwrap();
        writer.write(b"e").unwrap();
        assert_eq!(store.list().unwrap(), []);
        assert!(store.open(&one).is_err());
        let sealed = content(&*writer.seal().unwrap());
        assert_eq!(sealed.len(), (1 << 20) + 4);
        assert_eq!((store.list().unwrap(), &sealed[..4], sealed.last()), (vec![], &b"abcd"[..], Some(&b'e')));
        writer.finish().unwrap();
        assert_eq!(store.list().unwrap(), [Stored { name: one.clone(), bytes: sealed.len() as u64 }]);
        let blob = store.open(&one).unwrap();
        assert!(content(&*blob) == sealed && blob.place().contains(&one));
        let mut bytes = [0; 8];
        assert_eq!(blob.read_at(&mut bytes[..3], 1).unwrap(), 3);
        assert_eq!(bytes, *b"bcd\0\0\0\0\0");
        assert_eq!(blob.read_at(&mut bytes, sealed.len() as u64 - 2).unwrap(), 2);
        assert_eq!(bytes, *b"ded\0\0\0\0\0");
        assert_eq!(blob.read_at(&mut bytes, sealed.len() as u64 + 2).unwrap(), 0);
        let mut writer = store.create(&other).unwrap();
        writer.seal().unwrap();
        writer.finish().unwrap();
        assert_eq!((store.list().unwrap().len(), store.open(&other).unwrap().size()), (2, Ok(0)));
        store.remove(&[&one]).unwrap();
        assert_eq!(store.list().unwrap(), [Stored { name: other.clone(), bytes: 0 }]);
        assert!(store.open(&one).is_err());
        store.remove(&[&other]).unwrap();
        assert_eq!(store.list().unwrap(), []);
    }
}
