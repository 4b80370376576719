//! An engine over a place that is no folder: its log is on the simulated disk, its checkpoints are elsewhere.

use super::switches::until;
use super::{START, STEPS, assert_same, create_table, image, open, set, settings, step, work};
use crate::config::AppendFsync;
use crate::effect::StringChange;
use crate::engine::{Engine, EngineError, Phase, Tx};
use crate::env::{Clock, CrashMode, Disk, Fault, SimDisk};
use crate::log::checkpoint::CheckpointStore;
use crate::log::checkpoint::memory::MemoryCheckpoints;
use crate::log::{FolderPlace, LogError, LogId, LogOptions, LogPlace, LogStore, OpenReport};
use crate::store::Mode;
use std::path::Path;
use std::sync::Arc;

/// Outlives the engines that are opened over it, as a service does.
#[derive(Debug)]
struct Apart {
    disk: SimDisk,
    log: FolderPlace,
    checkpoints: Arc<MemoryCheckpoints>,
}

impl LogPlace for Apart {
    fn look(&self, clock: &Clock, options: LogOptions) -> Result<(Arc<dyn LogStore>, OpenReport), LogError> {
        self.log.look(clock, options)
    }

    fn checkpoints(&self, _: LogId, _: u64) -> Arc<dyn CheckpointStore> {
        Arc::clone(&self.checkpoints) as _
    }
}

impl Apart {
    fn new(seed: u64) -> Arc<Self> {
        let disk = SimDisk::new(seed);
        let log = FolderPlace::new(disk.shared(), Path::new("/data"));
        Arc::new(Self { disk, log, checkpoints: Arc::default() })
    }

    fn open(self: &Arc<Self>) -> Result<Arc<Engine>, EngineError> {
        let place = Arc::clone(self) as Arc<dyn LogPlace>;
        let engine = Arc::new(Engine::over(settings(AppendFsync::Always), Clock::manual(START), place));
        engine.recover()?;
        Ok(engine)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.checkpoints.list().unwrap().into_iter().map(|blob| blob.name).collect();
        names.sort();
        names
    }
}

#[test]
fn data_comes_back_from_checkpoints_that_lie_elsewhere_than_the_log() {
    let place = Apart::new(1);
    let engine = place.open().unwrap();
    create_table(&engine);
    (0..STEPS).for_each(|i| step(&engine, i));
    engine.save().unwrap();
    let saved = engine.tail();
    (0..STEPS).for_each(|i| step(&engine, i + 1));
    engine.save().unwrap();
    (0..7).for_each(|i| step(&engine, i + 2));
    engine.settle().unwrap();
    let before = image(&engine);
    assert_eq!(place.names().len(), 2);
    let files = place.disk.list(Path::new("/data")).unwrap();
    assert!(!files.iter().any(|file| file.name.starts_with("checkpoint")), "{files:?}");
    drop(engine);
    place.disk.restart(CrashMode::PowerLost);
    let place_again = Arc::clone(&place) as Arc<dyn LogPlace>;
    let engine = Arc::new(Engine::over(settings(AppendFsync::Always), Clock::manual(START), place_again));
    let report = engine.recover().unwrap();
    assert_eq!(report.checkpoint.map(|(name, _)| name).as_ref(), place.names().last());
    assert!(report.records < saved, "the log is read from the checkpoint on");
    assert_same(&image(&engine), &before);

    // A reload writes a checkpoint there and reads it again.
    let names = place.names();
    let report = engine.reload(true).unwrap();
    assert_eq!(report.records, 0);
    assert_eq!(place.names()[0], names[1]);
    assert_same(&image(&engine), &before);

    // Where the newest is damaged the one before it serves, with the log behind it.
    let newest = place.names().pop().unwrap();
    place.checkpoints.change(&newest, |bytes| {
        let last = bytes.len() - 70;
        bytes[last] ^= 1;
    });
    let report = engine.reload(false).unwrap();
    assert!(matches!(&report.damaged[..], [damaged] if damaged.contains(&newest)), "{report:?}");
    assert_eq!(report.checkpoint.map(|(name, _)| name), Some(names[1].clone()));
    assert_same(&image(&engine), &before);
}

/// Shards that show what a failed log has lost are read again from where the checkpoints are.
#[test]
fn memory_falls_back_to_checkpoints_that_lie_elsewhere_than_the_log() {
    for every_shard in [true, false] {
        let place = Apart::new(2);
        let engine = place.open().unwrap();
        (0..100_u32).for_each(|i| set(&engine, &i.to_le_bytes()));
        engine.save().unwrap();
        set(&engine, b"behind the checkpoint");
        engine.settle().unwrap();
        let before = image(&engine);
        place.disk.fail(Fault::Sync, 1, SimDisk::EIO);
        if every_shard {
            set(&engine, b"lost");
        } else {
            let (mut record, hash) = (Vec::new(), engine.store.hash(b"lost"));
            let mut tx = Tx::new(&engine, engine.store.lock_one(hash, Mode::Write, START), 0, &mut record);
            tx.apply(StringChange::Set { value: b"v", expire: None }.on(0, b"lost"));
            tx.commit();
        }
        let error = engine.settle().unwrap_err();
        engine.note_failure(&error);
        until(|| engine.state().phase() == Phase::Serving);
        assert_same(&image(&engine), &before);
        drop(engine);
        place.disk.restart(CrashMode::PowerLost);
        assert_same(&image(&place.open().unwrap()), &before);
    }
}

#[test]
fn what_a_killed_checkpoint_left_behind_is_removed_by_the_next_one() {
    let place = Apart::new(3);
    let engine = place.open().unwrap();
    set(&engine, b"k");
    std::mem::forget(place.checkpoints.create("checkpoint-0000000007-00000000000000000001.ckpt").unwrap());
    assert_eq!(place.checkpoints.unfinished(), 1);
    engine.save().unwrap();
    assert_eq!((place.names().len(), place.checkpoints.unfinished()), (1, 0));
}

#[test]
fn a_file_that_could_not_be_removed_is_not_in_the_way_of_the_next_checkpoint() {
    let disk = SimDisk::new(4);
    let engine = open(&disk, AppendFsync::Always).unwrap();
    set(&engine, b"k");
    engine.settle().unwrap();
    disk.fail_on(Fault::Write, SimDisk::ENOSPC);
    disk.fail_on(Fault::Remove, SimDisk::EIO);
    assert!(engine.save().is_err());
    let files = disk.list(Path::new("/data")).unwrap();
    assert!(files.iter().any(|file| file.name.ends_with(".ckpt.tmp")), "{files:?}");
    disk.heal();
    engine.save().unwrap();
}

#[test]
fn a_crash_of_the_log_at_every_sync_loses_nothing_that_checkpoints_elsewhere_need() {
    let whole = Apart::new(1);
    let (_, all) = work(&whole.disk, whole.open());
    assert_eq!(all, STEPS as usize + 1);
    let syncs = whole.disk.sync_points();
    assert!(syncs > 50, "{syncs}");
    for n in 1..=syncs {
        let place = Apart::new(n);
        place.disk.crash_at_sync(n);
        let (images, acknowledged) = work(&place.disk, place.open());
        place.disk.restart(CrashMode::PowerTorn);
        let engine = place.open().unwrap_or_else(|error| panic!("sync {n}: {error}"));
        let found = image(&engine);
        assert!(images[acknowledged..].contains(&found), "crash at sync {n}: {acknowledged} acknowledged");
    }
}
