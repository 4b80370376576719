//! Random damage to folders with random histories: a start, a check and a repair agree, and a repair leaves the newest
//! state that the undamaged bytes hold.

use super::*;
use crate::env::{Access, CrashMode, Disk, Random};
use crate::log::check::{CheckReport, check, repair};
use crate::log::checkpoint::{CheckpointInfo, CheckpointWriter, Checkpoints};
use crate::log::segment::segment_first;
use std::collections::BTreeMap;

type Files = BTreeMap<String, Vec<u8>>;

/// A folder as it grew.
struct History {
    disk: SimDisk,
    /// The folder at several moments, the last one at the end.
    moments: Vec<Files>,
    /// Where each record was written: its segment, the offset and the bytes of its frame.
    records: BTreeMap<Lsn, (String, usize, Vec<u8>)>,
    /// All checkpoints that were finished, and their bytes.
    checkpoints: BTreeMap<String, (CheckpointInfo, Vec<u8>)>,
    /// The records up to this LSN had been durable.
    synced: Lsn,
}

fn files(disk: &SimDisk) -> Files {
    let entries = disk.list(Path::new(DIR)).unwrap().into_iter();
    let named = entries.filter(|entry| !entry.is_dir && entry.name != "LOCK");
    named.map(|entry| (entry.name.clone(), disk.read(&path(&entry.name)).unwrap())).collect()
}

fn path(name: &str) -> std::path::PathBuf {
    Path::new(DIR).join(name)
}

/// Puts a file in place, durably.
fn put(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let _ = disk.remove_file(&path(name));
    let file = disk.create(&path(name)).unwrap();
    file.write_at(bytes, 0).unwrap();
    file.fsync().unwrap();
    disk.fsync_dir(Path::new(DIR)).unwrap();
}

/// A payload that tells its LSN; a few are larger than a segment.
fn content(lsn: Lsn) -> Vec<u8> {
    let mut bytes = payload(lsn);
    if lsn % 23 == 7 {
        bytes.resize(900, lsn as u8);
    }
    bytes
}

fn append(log: &Log, random: &mut Random, most: u64) {
    for _ in 0..=random.below(most) {
        let lsn = log.tail() + 1;
        log.append(lsn, &content(lsn));
        if random.below(2) == 0 {
            log.sync(lsn).unwrap();
        }
    }
}

fn save(log: &Log, folder: &Checkpoints, random: &mut Random) {
    let start = log.tail();
    let mut writer = CheckpointWriter::new(folder, start, 0, b"prologue").unwrap();
    // One in two is written while nothing else happens.
    let busy = random.below(2) == 0;
    for shard in 0..=random.below(3) as u32 {
        if busy {
            append(log, random, 3);
        }
        writer.chunk(shard, log.tail(), format!("shard {shard} at {}", log.tail()).as_bytes()).unwrap();
    }
    writer.finish(log).unwrap();
}

impl History {
    fn new(random: &mut Random) -> Self {
        let disk = SimDisk::new(random.next_u64());
        let (moments, records, checkpoints) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let mut history = Self { disk, moments, records, checkpoints, synced: 0 };
        for run in 0..=random.below(2) {
            let (log, _) = open(&history.disk).unwrap();
            let folder = Checkpoints::new(history.disk.shared(), Path::new(DIR), log.log_id());
            for _ in 0..=random.below(4) {
                append(&log, random, 12);
                if random.below(2) == 0 {
                    save(&log, &folder, random);
                }
                log.write_out(log.tail()).unwrap();
                history.note(&folder);
            }
            append(&log, random, 8);
            let close = random.below(4) == 0;
            if close {
                log.close().unwrap();
            } else if run == 0 && random.below(2) == 0 {
                log.sync(log.tail()).unwrap();
            } else {
                log.write_out(log.tail()).unwrap();
            }
            history.synced = log.synced();
            history.note(&folder);
            drop(log);
            history.disk.restart(CrashMode::Process);
        }
        history
    }

    fn note(&mut self, folder: &Checkpoints) {
        let files = files(&self.disk);
        for (name, bytes) in &files {
            let Some(first) = segment_first(name) else { continue };
            let (mut at, mut lsn) = (96, first);
            let end = parse_segment(bytes).unwrap().end as usize;
            while at < end {
                let len = 32 + content(lsn).len();
                self.records.insert(lsn, (name.clone(), at, bytes[at..at + len].to_vec()));
                (at, lsn) = (at + len, lsn + 1);
            }
        }
        for info in folder.list().unwrap() {
            let found = folder.open(&info).unwrap().info().clone();
            self.checkpoints.insert(info.name.clone(), (found, files[&info.name].clone()));
        }
        self.moments.push(files);
    }

    fn last(&self) -> &Files {
        self.moments.last().unwrap()
    }

    /// The records and checkpoints that are still what they were.
    fn intact(&self, files: &Files) -> (Vec<Lsn>, Vec<&CheckpointInfo>) {
        let whole = |(name, at, bytes): &(String, usize, Vec<u8>)| {
            files.get(name).and_then(|now| now.get(*at..*at + bytes.len())).is_some_and(|now| now == bytes)
        };
        let records = self.records.iter().filter(|(_, place)| whole(place)).map(|(lsn, _)| *lsn).collect();
        let sound = self.checkpoints.values().filter(|(info, bytes)| files.get(&info.name) == Some(bytes));
        (records, sound.map(|(info, _)| info).collect())
    }

    /// The records that are intact but for fields that only the record before can verify.
    fn alone(&self, files: &Files) -> impl Iterator<Item = Lsn> {
        let same = |(name, at, bytes): &(String, usize, Vec<u8>)| {
            let now = files.get(name).and_then(|now| now.get(*at..*at + bytes.len()));
            let vouched = |at: usize| (16..22).contains(&at) || (24..32).contains(&at);
            now.is_some_and(|now| {
                now != bytes && (0..bytes.len()).all(|at| vouched(at) || now[at] == bytes[at])
            })
        };
        let alone: Vec<Lsn> =
            self.records.iter().filter(|(_, place)| same(place)).map(|(lsn, _)| *lsn).collect();
        alone.into_iter()
    }

    /// The greatest LSN of a state that can be built from what is intact.
    fn best(&self, files: &Files) -> Option<Lsn> {
        let (records, checkpoints) = self.intact(files);
        let reach =
            |start: Lsn| (start..Lsn::MAX).find(|lsn| records.binary_search(&(lsn + 1)).is_err()).unwrap();
        let built = checkpoints.iter().map(|info| (reach(info.start_lsn), info.last_lsn));
        let from_nothing = files.contains_key("segment-00000000000000000001.log").then(|| (reach(0), 0));
        built.chain(from_nothing).filter(|(tail, last)| tail >= last).map(|(tail, _)| tail).max()
    }
}

/// Damages a copy of the folder in one way; says how, and whether a file of another log came in.
fn damage(history: &History, other: &History, disk: &SimDisk, random: &mut Random) -> (String, bool) {
    let now = files(disk);
    let names: Vec<&String> = now.keys().collect();
    let Some(name) = names.get(random.below(names.len().max(1) as u64) as usize) else {
        return ("nothing is left".to_owned(), false);
    };
    let bytes = &now[*name];
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |at| at + 1);
    let at = random.below(used as u64) as usize;
    let older = &history.moments[random.below(history.moments.len() as u64) as usize];
    match random.below(11) {
        0..3 if bytes.is_empty() => ("nothing".to_owned(), false),
        0..3 => {
            put(disk, name, &[&bytes[..at], &[bytes[at] ^ 1 << random.below(8)], &bytes[at + 1..]].concat());
            (format!("{name}: a bit at {at}"), false)
        }
        3 => {
            put(disk, name, &bytes[..at]);
            (format!("{name}: cut at {at}"), false)
        }
        4 => {
            let end = bytes.len().min(at + 1 + random.below(300) as usize);
            let mut bytes = bytes.clone();
            bytes[at..end].fill(0);
            put(disk, name, &bytes);
            (format!("{name}: zeros from {at} to {end}"), false)
        }
        5 => {
            disk.remove_file(&path(name)).unwrap();
            (format!("{name}: removed"), false)
        }
        6 => {
            let Some(bytes) = older.get(*name) else { return ("nothing".to_owned(), false) };
            put(disk, name, bytes);
            (format!("{name}: an older copy"), false)
        }
        7 => {
            for (name, bytes) in older.iter().filter(|(name, _)| segment_first(name).is_some()) {
                put(disk, name, bytes);
            }
            ("all segments of an older copy".to_owned(), false)
        }
        8 => {
            let Some(last) = now.keys().rfind(|name| segment_first(name).is_some()) else {
                return ("nothing".to_owned(), false);
            };
            disk.remove_file(&path(last)).unwrap();
            (format!("{last}: removed, the last one"), false)
        }
        9 if segment_first(name).is_some() => {
            // In a segment that was left behind the marks stand last.
            let at = used.saturating_sub(1 + random.below(64) as usize);
            put(disk, name, &[&bytes[..at], &[bytes[at] ^ 1 << random.below(8)], &bytes[at + 1..]].concat());
            (format!("{name}: a bit at {at}, near its end"), false)
        }
        _ => {
            let foreign = random.below(4) == 0;
            if foreign && let Some(bytes) = other.last().get(*name) {
                put(disk, name, bytes);
                return (format!("{name}: another log's"), true);
            }
            let file = disk.open(&path(name), Access::ReadWrite).unwrap();
            file.write_at(b"appended", used as u64).unwrap();
            file.fsync().unwrap();
            (format!("{name}: rubbish behind its content"), false)
        }
    }
}

/// What a start does: it looks, reads the newest sound checkpoint and the log behind it, and takes over. Returns the
/// last LSN of the state, which is one that was.
fn start(history: &History, disk: &SimDisk) -> Result<Lsn, LogError> {
    let (log, report) = Log::look(disk.shared(), Clock::manual(1_000), Path::new(DIR), tiny())?;
    let folder = Checkpoints::new(disk.shared(), Path::new(DIR), log.log_id());
    let mut from = 0;
    while let Some(checkpoint) = folder.latest()?.checkpoint {
        if checkpoint.verify(1).is_err() {
            folder.mark_damaged(checkpoint.info());
            continue;
        }
        let info = checkpoint.info();
        assert!(info.last_lsn <= log.tail(), "the log that {} needs is not there", info.name);
        assert_eq!(*info, history.checkpoints[&info.name].0);
        from = info.start_lsn;
        break;
    }
    let mut next = from + 1;
    for (lsn, ms, bytes) in if log.tail() > from { read_all(&log, from + 1)? } else { Vec::new() } {
        assert_eq!((lsn, ms, bytes), (next, next, content(next)));
        next += 1;
    }
    assert!(report.begun_from.is_some() || log.tail() == next - 1);
    log.take_over()?;
    // It goes on.
    let tail = log.tail();
    log.append(tail + 1, &content(tail + 1));
    log.sync(tail + 1)?;
    assert_eq!(read_all(&log, tail + 1)?.len(), 1);
    log.close()?;
    Ok(tail)
}

/// Checks and repairs a damaged folder and compares with what is known of it.
fn verify(history: &History, disk: &SimDisk, foreign: bool) -> Result<(), String> {
    let damaged = files(disk);
    let report = match check(disk, Path::new(DIR)) {
        Ok(report) => report,
        // Two bits of the manifest can make it look like a later version's.
        Err(LogError::UnknownVersion { .. }) => {
            return expect(start(history, disk).is_err(), || "the check was refused alone".to_owned());
        }
        Err(error) => return Err(format!("the check failed: {error}")),
    };
    expect(files(disk) == damaged, || "a check changed something".to_owned())?;
    let started = start(history, &disk.fork(1));
    let best = history.best(&damaged);
    compare_start(&report, started.as_ref().ok().copied(), best)?;
    if started.is_err() {
        let twin = disk.fork(1);
        let _ = start(history, &twin);
        expect(files(&twin) == damaged, || "a refused start changed something".to_owned())?;
    }
    compare_repair(history, disk, &damaged, foreign)
}

fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn compare_start(report: &CheckReport, started: Option<Lsn>, best: Option<Lsn>) -> Result<(), String> {
    // Nothing at all is left, or checkpoints alone.
    let empty = report.log_id.is_none() && report.is_sound();
    let new = empty || report.notes.iter().any(|note| note.contains("checkpoints without a log"));
    if let Some(tail) = started {
        expect(new || best == Some(tail), || format!("started with LSN {tail}, best {best:?}\n{report}"))?;
    }
    expect(!report.is_sound() || started.is_some(), || format!("sound, and refused\n{report}"))?;
    expect(new || report.start == started, || format!("a start gives {started:?}\n{report}"))
}

fn compare_repair(history: &History, disk: &SimDisk, damaged: &Files, foreign: bool) -> Result<(), String> {
    let best = history.best(damaged);
    let repaired = match repair(disk, Path::new(DIR), 7) {
        Ok(report) => report,
        Err(error) => {
            expect(files(disk) == *damaged, || "a refused repair changed something".to_owned())?;
            // A log may be empty because no file has its identity.
            let nothing = best.is_none_or(|best| best == 0);
            let known = !foreign && !matches!(error, LogError::UnknownVersion { .. });
            return expect(nothing || !known, || format!("{error}, where LSN {best:?} is there"));
        }
    };
    let done = repaired.repair.as_ref().ok_or("no report")?;
    let outcome = || format!("{repaired}\nbest is {best:?}");
    if foreign && damaged.get("MANIFEST") != history.last().get("MANIFEST") {
        // Without a manifest the other log's file may be the one that tells the identity.
        return Ok(());
    }
    if !repaired.is_sound() {
        expect(best == Some(done.tail), outcome)?;
        let outlook = repaired.outlook.as_ref().ok_or("no outlook")?;
        expect((outlook.tail, outlook.lost) == (done.tail, done.lost), outcome)?;
        let gone = history.intact(damaged).0.into_iter().filter(|lsn| *lsn > done.tail).count() as u64;
        let most = gone + history.alone(damaged).filter(|lsn| *lsn > done.tail).count() as u64;
        expect((gone..=most).contains(&done.lost.records), || format!("{gone} are gone\n{}", outcome()))?;
        for (name, bytes) in damaged.iter().filter(|(name, bytes)| files(disk).get(*name) != Some(bytes)) {
            let kept = disk.read(&Path::new(&done.folder).join(name)).ok();
            expect(kept.as_ref() == Some(bytes), || format!("{name} has no copy\n{}", outcome()))?;
        }
    }
    let again = check(disk, Path::new(DIR)).map_err(|error| error.to_string())?;
    expect(again.is_sound(), || format!("{}\nand still:\n{again}", outcome()))?;
    let started = start(history, disk).map_err(|error| format!("{error}\n{}", outcome()))?;
    expect(repaired.is_sound() || started == done.tail, || format!("started with {started}\n{}", outcome()))
}

#[test]
fn start_check_and_repair_agree_about_random_damage() {
    let given = std::env::var("ITEMORY_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let mut repaired = 0;
    for seed in given.map_or(0..400u64, |seed| seed..seed + 1) {
        let mut random = Random::seeded(seed);
        let (history, other) = (History::new(&mut random), History::new(&mut random));
        for round in 0..8 {
            let disk = history.disk.fork(round);
            let (mut how, mut foreign) = (Vec::new(), false);
            for _ in 0..=random.below(3) {
                let (what, other) = damage(&history, &other, &disk, &mut random);
                how.push(what);
                foreign |= other;
            }
            if let Err(why) = verify(&history, &disk, foreign) {
                panic!(
                    "ITEMORY_TEST_SEED={seed}, round {round}: {how:?}, durable up to {}: {why}",
                    history.synced
                );
            }
            repaired += u64::from(disk.exists(Path::new(&format!("{DIR}/damaged-7"))));
        }
    }
    assert!(given.is_some() || repaired > 1000, "only {repaired} folders were repaired");
}
