//! Opens the folder: creates a log, or finds the end of the one that is there.

use super::diagnose::{ADVICE, Diagnosis, diagnose, leftovers};
use super::syncer::Syncer;
use super::tail::{Damage, Found, Place};
use super::writer::Active;
use super::{FileLog, Shared};
use crate::env::{Access, Clock, Disk, FolderEntry, Random};
use crate::log::checkpoint;
use crate::log::manifest::{MANIFEST, Manifest};
use crate::log::mark::{Marks, Next};
use crate::log::segment::{SEGMENT_HEADER, SegmentHeader, segment_first, segment_name};
use crate::log::{LogError, LogId, LogOptions, Lsn};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// What opening found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenReport {
    /// The log was created.
    pub created: bool,
    /// The former writer closed the log in order.
    pub closed_in_order: bool,
    /// The system or the mount is another one than the former writer's: the power may have failed.
    pub restarted: bool,
    /// Segments there are.
    pub segments: usize,
    /// The first LSN that can be read.
    pub first: Lsn,
    /// The last LSN; 0 in an empty log.
    pub tail: Lsn,
    /// What was cut off at the end, if anything.
    pub cut: Option<Cut>,
    /// Files that were removed because they were left over from something interrupted.
    pub removed: Vec<String>,
}

/// A torn end that was cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file in which the valid records end.
    pub file: String,
    /// The offset at which it was cut.
    pub offset: u64,
    /// The LSN that the first record cut off had or would have had.
    pub lsn: Lsn,
    /// Bytes cut off, later segments included; secured room is not counted.
    pub bytes: u64,
    /// Valid records among them. They were never durable; they cannot be kept because one before them is missing.
    pub records: u64,
    /// What was found there.
    pub what: String,
}

impl FileLog {
    /// Opens or creates the log in `dir`, which is locked until the result is dropped. No epoch is established yet.
    ///
    /// A torn end is cut off and reported. Damage that cannot be a torn end is refused, naming file and offset, and
    /// nothing is changed.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Clock,
        dir: &Path,
        options: LogOptions,
    ) -> Result<(Self, OpenReport), LogError> {
        create_folder(&*disk, dir)?;
        let lock = disk.lock(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LogError::Locked { dir: dir.display().to_string() },
            _ => LogError::io("lock", dir, &error),
        })?;
        let mut report = OpenReport::default();
        let entries = disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
        remove_temporary(&*disk, dir, &entries, &mut report)?;
        let manifest = match Manifest::load(&*disk, dir)? {
            Some(manifest) => manifest,
            None => new_manifest(&*disk, dir, &entries)?,
        };
        let segments = segments_in(&entries);
        let place = Place { disk: &*disk, dir, id: manifest.id, options };
        let (segments, found) = if manifest.epoch == 0 {
            report.created = true;
            create_first(place, &clock, &segments)?
        } else {
            recover(place, &manifest, segments, &mut report)?
        };
        report.segments = segments.len();
        report.first = segments.first().copied().unwrap_or(1);
        report.tail = found.tail;
        let log = assemble(disk, clock, dir, options, manifest, segments, &found, lock)?;
        Ok((log, report))
    }
}

#[allow(clippy::too_many_arguments)]
fn assemble(
    disk: Arc<dyn Disk>,
    clock: Clock,
    dir: &Path,
    options: LogOptions,
    manifest: Manifest,
    segments: Vec<Lsn>,
    found: &Found,
    lock: Box<dyn crate::env::FolderLock>,
) -> Result<FileLog, LogError> {
    let first = segments.last().copied().unwrap_or(1);
    let path = dir.join(segment_name(first));
    let file = disk.open(&path, Access::ReadWrite).map_err(|error| LogError::io("open", &path, &error))?;
    let allocated = file.len().map_err(|error| LogError::io("measure", &path, &error))?;
    let active = Active {
        file: Arc::clone(&file),
        first,
        position: found.offset,
        allocated: allocated.max(found.offset),
        tail: found.tail,
        chain: found.chain,
        next: None,
    };
    let folder = disk.open_dir(dir).map_err(|error| LogError::io("open", dir, &error))?;
    let shared = Shared {
        disk,
        dir: dir.to_path_buf(),
        clock,
        options,
        id: manifest.id,
        segments: Mutex::new(segments),
        tail: AtomicU64::new(found.tail),
    };
    Ok(FileLog {
        shared: Arc::new(shared),
        lock,
        epoch: AtomicU64::new(manifest.epoch),
        manifest: Mutex::new(manifest),
        active: Mutex::new(active),
        syncer: Syncer::new(dir.to_path_buf(), folder, options.sync_threads, file),
        preparing: Mutex::new(()),
        prepared: Mutex::new(None),
        names: AtomicU64::new(1),
        frequent_syncs: AtomicBool::new(false),
        short: AtomicBool::new(false),
        shortage: Mutex::new(None),
    })
}

/// Creates the folder and makes its name durable, and those of the folders above it that did not exist.
fn create_folder(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && disk.list(path).is_err()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    disk.create_dir_all(dir).map_err(|error| LogError::io("create", dir, &error))?;
    for path in missing {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        disk.fsync_dir(parent).map_err(|error| LogError::io("fsync", parent, &error))?;
    }
    Ok(())
}

pub(in crate::log) fn segments_in(entries: &[FolderEntry]) -> Vec<Lsn> {
    entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| segment_first(&entry.name)).collect()
}

/// The manifest of a new log. Records without a manifest are refused, for nobody knows whose they are.
fn new_manifest(disk: &dyn Disk, dir: &Path, entries: &[FolderEntry]) -> Result<Manifest, LogError> {
    if let Some(first) = segments_in(entries).first() {
        let what = format!("it is missing, and there is {}; {ADVICE}", segment_name(*first));
        return Err(LogError::Corrupt { file: dir.join(MANIFEST).display().to_string(), offset: 0, what });
    }
    let mut id = [0; 16];
    Random::fill_secret(&mut id).map_err(|error| LogError::io("draw a log id for", dir, &error))?;
    let manifest = Manifest { id: LogId(id), epoch: 0, incarnation: 0, trimmed: 0, closed: None };
    manifest.store(disk, dir)?;
    Ok(manifest)
}

fn remove(disk: &dyn Disk, dir: &Path, name: &str) -> Result<(), LogError> {
    let path = dir.join(name);
    disk.remove_file(&path).map_err(|error| LogError::io("remove", &path, &error))
}

/// Removes what an interrupted writer left under a temporary name.
fn remove_temporary(
    disk: &dyn Disk,
    dir: &Path,
    entries: &[FolderEntry],
    report: &mut OpenReport,
) -> Result<(), LogError> {
    let ours = |name: &str| {
        name.starts_with("segment-") || name.starts_with("MANIFEST") || checkpoint::is_temporary(name)
    };
    for entry in entries.iter().filter(|entry| entry.name.strip_suffix(".tmp").is_some() && ours(&entry.name))
    {
        remove(disk, dir, &entry.name)?;
        report.removed.push(entry.name.clone());
    }
    Ok(())
}

/// Creates the first segment. Until epoch 1 is established no record can have been written, so that files of an
/// interrupted creation are replaced.
fn create_first(place: Place<'_>, clock: &Clock, segments: &[Lsn]) -> Result<(Vec<Lsn>, Found), LogError> {
    for first in segments {
        remove(place.disk, place.dir, &segment_name(*first))?;
    }
    let header = beginning(place, clock.now_ms(), 1);
    write_empty(place, &header)?;
    let (offset, chain) = (SEGMENT_HEADER as u64, header.chain);
    Ok((vec![1], Found { segment: 0, offset, tail: 0, chain, settled: offset, damage: None, next: None }))
}

/// The header of a segment with which a log begins at LSN `first`.
fn beginning(place: Place<'_>, ms: u64, first: Lsn) -> SegmentHeader {
    let (last_before, chain) = (first - 1, place.id.key());
    SegmentHeader {
        id: place.id,
        first,
        last_before,
        previous_first: 0,
        durable: last_before,
        epoch: 0,
        ms,
        chain,
        previous_end: 0,
    }
}

/// Writes a segment without records, durably.
pub(in crate::log) fn write_empty(place: Place<'_>, header: &SegmentHeader) -> Result<(), LogError> {
    let path = place.dir.join(segment_name(header.first));
    let file = place.disk.create(&path).map_err(|error| LogError::io("create", &path, &error))?;
    file.write_at(&header.encode(), 0).map_err(|error| LogError::io("write", &path, &error))?;
    file.fsync().map_err(|error| LogError::io("fsync", &path, &error))?;
    place.disk.fsync_dir(place.dir).map_err(|error| LogError::io("fsync", place.dir, &error))
}

/// Finds the end of the log, cuts a torn end off, and makes everything before it durable.
fn recover(
    place: Place<'_>,
    manifest: &Manifest,
    mut segments: Vec<Lsn>,
    report: &mut OpenReport,
) -> Result<(Vec<Lsn>, Found), LogError> {
    let Place { disk, dir, .. } = place;
    report.closed_in_order = manifest.closed.is_some();
    for first in segments.drain(..leftovers(&segments, manifest.trimmed)) {
        remove(disk, dir, &segment_name(first))?;
        report.removed.push(segment_name(first));
    }
    let Diagnosis { restarted, begin, mut found, records } = diagnose(place, manifest, &segments)?;
    report.restarted = restarted;
    if let Some(damage) = found.damage.take() {
        report.cut = Some(cut_off(place, &mut segments, &mut found, &damage, records)?);
    }
    for (index, first) in segments.iter().enumerate().skip(begin) {
        let from = if index == begin { found.settled } else { 0 };
        let to = if index == found.segment { found.offset } else { u64::MAX };
        make_durable(place, *first, from, if report.closed_in_order { from } else { to })?;
    }
    disk.fsync_dir(dir).map_err(|error| LogError::io("fsync", dir, &error))?;
    if !report.closed_in_order {
        mark_last(place, &segments)?;
    }
    Ok((segments, found))
}

/// Marks in the segment before the last one that the last one is durable. The former writer may have been killed before
/// it did, or before the marks were durable.
fn mark_last(place: Place<'_>, segments: &[Lsn]) -> Result<(), LogError> {
    let [.., before, last] = segments else { return Ok(()) };
    let header = place.open(*last)?.header;
    let path = place.dir.join(segment_name(*before));
    let failed = |what: &str, error: &io::Error| LogError::io(what, &path, error);
    if header.previous_end == 0 || header.previous_first != *before || header.last_before + 1 != *last {
        return Ok(());
    }
    let file = place.disk.open(&path, Access::ReadWrite).map_err(|error| failed("open", &error))?;
    let marks = Marks { key: header.id.key(), next: *last, chain: header.chain }.encode(Next::Durable);
    if file.len().map_err(|error| failed("measure", &error))? < header.previous_end {
        return Ok(());
    }
    file.write_at(&marks, header.previous_end).map_err(|error| failed("write", &error))?;
    file.fsync().map_err(|error| failed("fsync", &error))
}

/// Makes a segment durable whose bytes `from..to` may not be. They are written again before they are synced: if a sync of
/// the former process failed, the system may have kept the bytes in memory and taken them for written, and would skip
/// them now.
fn make_durable(place: Place<'_>, first: Lsn, from: u64, to: u64) -> Result<(), LogError> {
    const STEP: u64 = 1 << 20;
    let path = place.dir.join(segment_name(first));
    let failed = |what: &str, error: &std::io::Error| LogError::io(what, &path, error);
    let file = place.disk.open(&path, Access::ReadWrite).map_err(|error| failed("open", &error))?;
    let mut buffer = Vec::new();
    let mut at = from;
    while at < to {
        buffer.resize((to - at).min(STEP) as usize, 0);
        let got = file.read_at(&mut buffer, at).map_err(|error| failed("read", &error))?;
        if got == 0 {
            break;
        }
        buffer.truncate(got);
        file.write_at(&buffer, at).map_err(|error| failed("write", &error))?;
        at += got as u64;
    }
    file.fsync().map_err(|error| failed("fsync", &error))
}

/// Cuts the log off behind the last valid record: later segments go first, the last one of them first, so that an
/// interrupted cut leaves a log with a torn end again.
fn cut_off(
    place: Place<'_>,
    segments: &mut Vec<Lsn>,
    found: &mut Found,
    damage: &Damage,
    records: u64,
) -> Result<Cut, LogError> {
    let Place { disk, dir, .. } = place;
    let mut bytes = 0;
    // A first segment whose header is damaged has no place to cut at: it is written anew.
    let rewrite = damage.segment == found.segment && damage.offset < SEGMENT_HEADER as u64;
    let keep = if rewrite { found.segment } else { found.segment + 1 };
    let lsn = found.tail + 1;
    while segments.len() > keep {
        let Some(first) = segments.pop() else { break };
        bytes += used_bytes(place, first, 0)?;
        remove(disk, dir, &segment_name(first))?;
        disk.fsync_dir(dir).map_err(|error| LogError::io("fsync", dir, &error))?;
    }
    if rewrite {
        let header = beginning(place, 0, lsn);
        write_empty(place, &header)?;
        segments.push(lsn);
        (found.offset, found.chain) = (SEGMENT_HEADER as u64, header.chain);
    } else if let Some(first) = segments.last() {
        bytes += used_bytes(place, *first, found.offset)?;
        let path = dir.join(segment_name(*first));
        let file =
            disk.open(&path, Access::ReadWrite).map_err(|error| LogError::io("open", &path, &error))?;
        file.set_len(found.offset).map_err(|error| LogError::io("cut", &path, &error))?;
        file.fsync().map_err(|error| LogError::io("fsync", &path, &error))?;
    }
    let file = segments.last().map(|first| place.file(*first)).unwrap_or_default();
    Ok(Cut { file, offset: found.offset, lsn, bytes, records, what: damage.what.clone() })
}

/// Bytes from `offset` on up to the last one that is not zero.
fn used_bytes(place: Place<'_>, first: Lsn, offset: u64) -> Result<u64, LogError> {
    let path = place.dir.join(segment_name(first));
    let bytes = place.disk.read(&path).map_err(|error| LogError::io("read", &path, &error))?;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
    Ok(used.saturating_sub(offset))
}
