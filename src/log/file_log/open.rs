//! Opens the folder: finds the end of the log, or where a new log begins. It changes nothing. `take_over.rs` makes the
//! changes later, once nothing can refuse the start any more.

use super::Shared;
use super::diagnose::{ADVICE, Diagnosis, diagnose, leftovers};
use super::state::{Active, FileLog};
use super::syncer::Syncer;
use super::tail::{Damage, Found, Place};
use super::take_over::{NotYet, TakeOver};
use crate::env::{Access, Clock, Disk, FolderEntry, FolderLock, Random};
use crate::log::checkpoint;
use crate::log::manifest::{MANIFEST, Manifest};
use crate::log::mark::{Behind, Marks};
use crate::log::segment::{SEGMENT_HEADER, SegmentHeader, parse_segment, segment_first, segment_name};
use crate::log::{Begun, LogError, LogId, LogOptions, Lsn, OpenReport, TornEnd};
use parking_lot::Mutex;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};

impl FileLog {
    /// Creates the folder if it is missing, and locks it for a log.
    pub fn lock(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn FolderLock>, LogError> {
        create_folder(disk, dir)?;
        disk.lock(dir).map_err(|error| match error.kind() {
            io::ErrorKind::WouldBlock => LogError::Locked { dir: dir.display().to_string() },
            _ => LogError::io("lock", dir, &error),
        })
    }

    /// Opens the log in `dir`, which stays locked until the result is dropped. It establishes no epoch and changes
    /// nothing in an existing folder. What the report says was cut or removed is cut and removed when the epoch is
    /// established.
    ///
    /// Damage that cannot be a torn end is refused, naming file and offset.
    pub fn open(
        disk: Arc<dyn Disk>,
        clock: Clock,
        dir: &Path,
        options: LogOptions,
        lock: Box<dyn FolderLock>,
    ) -> Result<(Self, OpenReport), LogError> {
        let mut report = OpenReport::default();
        let entries = disk.list(dir).map_err(|error| LogError::io("list", dir, &error))?;
        let manifest = Manifest::load(&*disk, dir)?;
        let mut plan = TakeOver::default();
        plan.remove.extend(temporary(&entries));
        let (manifest, segments, found) = match manifest {
            Some(manifest) if manifest.epoch > 0 => {
                let place = Place { disk: &*disk, dir, id: manifest.id, options };
                let (segments, found) =
                    recover(place, &manifest, segments_in(&entries), &mut plan, &mut report)?;
                (manifest, segments, found)
            }
            unused => {
                // If the log was ever taken over, its folder's name is durable already.
                name_surely(&*disk, dir)?;
                begin(&*disk, &clock, dir, &entries, unused, &mut plan, &mut report)?
            }
        };
        report.removed.clone_from(&plan.remove);
        report.segments = segments.len();
        report.tail = found.tail;
        let log = assemble(disk, clock, dir, options, manifest, segments, &found, lock, plan)?;
        report.first = log.shared.first();
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
    lock: Box<dyn FolderLock>,
    plan: TakeOver,
) -> Result<FileLog, LogError> {
    let file: Arc<dyn crate::env::DiskFile> = Arc::new(NotYet);
    let active = Active {
        file: Arc::clone(&file),
        first: segments.last().copied().unwrap_or(1),
        position: found.offset,
        allocated: found.offset,
        tail: found.tail,
        chain: found.chain,
        next: None,
    };
    let bridged = bridged(&*disk, dir, &segments, &plan)?;
    let folder = disk.open_dir(dir).map_err(|error| LogError::io("open", dir, &error))?;
    let shared = Shared {
        disk,
        dir: dir.to_path_buf(),
        clock,
        options,
        id: manifest.id,
        segments: Mutex::new(segments),
        bridged,
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
        pending: Mutex::new(Some(plan)),
    })
}

/// The first LSN of the first segment, and the last LSN before it that the log knows. The records between the two are
/// in a checkpoint.
fn bridged(
    disk: &dyn Disk,
    dir: &Path,
    segments: &[Lsn],
    plan: &TakeOver,
) -> Result<Option<(Lsn, Lsn)>, LogError> {
    let header = match (&plan.begin, segments.first()) {
        (Some((_, header)), _) => Some(*header),
        (None, Some(first)) => {
            let path = dir.join(segment_name(*first));
            let file = disk.open(&path, Access::Read);
            let file = file.map_err(|error| LogError::io("open", &path, &error))?;
            let mut bytes = [0; SEGMENT_HEADER];
            let got = file.read_at(&mut bytes, 0).map_err(|error| LogError::io("read", &path, &error))?;
            SegmentHeader::decode(bytes.get(..got).unwrap_or_default()).ok()
        }
        (None, None) => None,
    };
    Ok(header.filter(|header| header.last_before + 1 < header.first).map(|h| (h.first, h.last_before)))
}

/// Creates the folder and its missing parents. Each gets a durable name before the next one is created, so a killed
/// process leaves at most one folder without a durable name.
fn create_folder(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    let missing: Vec<&Path> =
        dir.ancestors().take_while(|path| !path.as_os_str().is_empty() && disk.list(path).is_err()).collect();
    let Some(first) = missing.last() else { return Ok(()) };
    if let Some(above) = first.parent().filter(|above| !above.as_os_str().is_empty()) {
        name_surely(disk, above)?;
    }
    for path in missing.into_iter().rev() {
        disk.create_dir_all(path).map_err(|error| LogError::io("create", path, &error))?;
        let parent = holder_of(path);
        if let Err(error) = disk.fsync_dir(parent) {
            // Where parents cannot be synced, a later start would take a folder that is there for one with a durable
            // name.
            let _ = disk.remove_dir(path);
            return Err(LogError::io("fsync", parent, &error));
        }
    }
    Ok(())
}

/// Makes the name of an existing folder durable: the process that created it may have been killed before it did so.
fn name_surely(disk: &dyn Disk, dir: &Path) -> Result<(), LogError> {
    use io::ErrorKind::{InvalidInput, PermissionDenied, ReadOnlyFilesystem, Unsupported};
    let parent = holder_of(dir);
    match disk.fsync_dir(parent) {
        // The four errors below mean that the parent cannot be synced. A start that creates the folder is refused for
        // them.
        Err(error)
            if !matches!(
                error.kind(),
                InvalidInput | PermissionDenied | ReadOnlyFilesystem | Unsupported
            ) =>
        {
            Err(LogError::io("fsync", parent, &error))
        }
        _ => Ok(()),
    }
}

/// The parent of a folder; for the root, the root itself.
fn holder_of(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => dir,
    }
}

pub(in crate::log) fn segments_in(entries: &[FolderEntry]) -> Vec<Lsn> {
    entries.iter().filter(|entry| !entry.is_dir).filter_map(|entry| segment_first(&entry.name)).collect()
}

/// Files that an interrupted writer left under temporary names.
fn temporary(entries: &[FolderEntry]) -> impl Iterator<Item = String> + '_ {
    let ours = |name: &str| {
        name.starts_with("segment-") || name.starts_with("MANIFEST") || checkpoint::is_temporary(name)
    };
    let names = entries.iter().filter(|entry| !entry.is_dir).map(|entry| &entry.name);
    names.filter(move |name| name.strip_suffix(".tmp").is_some() && ours(name)).cloned()
}

/// Where a new log begins. Segments without a manifest are refused, because nothing says which log they belong to.
/// Beside the manifest of an unfinished creation, empty segments are removed, and segments with records are refused,
/// because such a log has no records. Checkpoints alone are a backup: the new log begins behind the last LSN that they
/// show.
fn begin(
    disk: &dyn Disk,
    clock: &Clock,
    dir: &Path,
    entries: &[FolderEntry],
    unused: Option<Manifest>,
    plan: &mut TakeOver,
    report: &mut OpenReport,
) -> Result<(Manifest, Vec<Lsn>, Found), LogError> {
    report.created = true;
    for first in segments_in(entries) {
        let path = dir.join(segment_name(first));
        let bytes = disk.read(&path).map_err(|error| LogError::io("read", &path, &error))?;
        let manifest = dir.join(MANIFEST).display().to_string();
        let what = match &unused {
            None => format!("it is missing, and there is {}; {ADVICE}", segment_name(first)),
            Some(_) if parse_segment(&bytes).is_ok_and(|summary| summary.last >= first) => {
                format!("it is that of a new log, and there are records in {}; {ADVICE}", segment_name(first))
            }
            Some(_) => {
                plan.remove.push(segment_name(first));
                continue;
            }
        };
        return Err(LogError::Corrupt { file: manifest, offset: 0, what });
    }
    let checkpoints = checkpoint::list(disk, dir)?;
    let known = unused.as_ref().map(|manifest| manifest.id);
    let id = match known {
        Some(id) => Some(id),
        None => checkpoints.iter().rev().find_map(|info| checkpoint::id_of(disk, &dir.join(&info.name))),
    };
    let id = match id {
        Some(id) => id,
        None if checkpoints.is_empty() => new_id(dir)?,
        None => return Err(no_sound_checkpoint(dir)),
    };
    let mut header = SegmentHeader::beginning(id, 1, clock.now_ms());
    if !checkpoints.is_empty() {
        let base = begin_from(disk, dir, id, &checkpoints)?;
        // An LSN that any checkpoint shows is not given again.
        let last = checkpoint::last_lsn(disk, dir, id)?.unwrap_or(0).max(base.last_lsn);
        header = SegmentHeader::beginning(id, last + 1, clock.now_ms());
        header.last_before = base.start_lsn;
        report.begun_from = Some(Begun { name: base.name, start: base.start_lsn, last: base.last_lsn });
    }
    let tail = header.first - 1;
    let manifest = Manifest { id, epoch: 0, incarnation: 0, trimmed: tail, closed: None };
    let (offset, chain) = (SEGMENT_HEADER as u64, header.chain);
    plan.begin = Some((manifest.clone(), header));
    let found = Found { segment: 0, offset, tail, chain, settled: offset, damage: None, next: None };
    Ok((manifest, vec![header.first], found))
}

fn new_id(dir: &Path) -> Result<LogId, LogError> {
    let mut id = [0; 16];
    Random::fill_secret(&mut id).map_err(|error| LogError::io("draw a log id for", dir, &error))?;
    Ok(LogId(id))
}

/// The newest sound checkpoint in a folder that holds checkpoints alone. All must be of one log.
pub(in crate::log) fn begin_from(
    disk: &dyn Disk,
    dir: &Path,
    id: LogId,
    checkpoints: &[checkpoint::CheckpointInfo],
) -> Result<checkpoint::CheckpointInfo, LogError> {
    for info in checkpoints {
        let path = dir.join(&info.name);
        if let Some(other) = checkpoint::id_of(disk, &path).filter(|other| *other != id) {
            let (found, expected) = (other.to_string(), id.to_string());
            return Err(LogError::Foreign { file: path.display().to_string(), found, expected });
        }
    }
    checkpoint::newest_sound(disk, dir, id)?.ok_or_else(|| no_sound_checkpoint(dir))
}

fn no_sound_checkpoint(dir: &Path) -> LogError {
    LogError::MissingSegment {
        dir: dir.display().to_string(),
        after: 0,
        what: "there is no segment, and no checkpoint is sound; restore the folder from a backup".to_owned(),
    }
}

/// Finds the end of the log, and plans what must be done before the log is written again: cut off a torn end and make
/// everything before it durable.
fn recover(
    place: Place<'_>,
    manifest: &Manifest,
    mut segments: Vec<Lsn>,
    plan: &mut TakeOver,
    report: &mut OpenReport,
) -> Result<(Vec<Lsn>, Found), LogError> {
    let old = leftovers(&segments, manifest.trimmed);
    for first in segments.drain(..old) {
        // A trim's leftover may be damaged, but it cannot belong to another log.
        match place.open(first) {
            Err(error @ (LogError::Foreign { .. } | LogError::UnknownVersion { .. })) => return Err(error),
            _ => plan.remove.push(segment_name(first)),
        }
    }
    let Diagnosis { restarted, begin, mut found, records } = diagnose(place, manifest, &segments)?;
    report.restarted = restarted;
    // If the log ends elsewhere than the manifest says, a later process wrote to it after this manifest.
    report.closed_in_order = manifest.closed == Some(found.tail) && found.damage.is_none();
    if let Some(damage) = found.damage.take() {
        report.cut = Some(cut_off(place, &mut segments, &mut found, &damage, records, plan)?);
    }
    for (index, first) in segments.iter().enumerate().skip(begin) {
        let from = if index == begin { found.settled } else { 0 };
        let to = if index == found.segment { found.offset } else { u64::MAX };
        plan.durable.push((*first, from, if report.closed_in_order { from } else { to }));
    }
    if !report.closed_in_order {
        plan.marks = last_marks(place, &segments)?;
    }
    Ok((segments, found))
}

/// The marks that say that the last segment is durable, and their offset. The former writer may have been killed before
/// it wrote them, or before they were durable.
fn last_marks(place: Place<'_>, segments: &[Lsn]) -> Result<Option<(Lsn, u64, Marks)>, LogError> {
    let [.., before, last] = segments else { return Ok(None) };
    let header = match place.open(*last) {
        Ok(scan) => scan.header,
        // Only a header that will be written anew, or that a checkpoint makes unnecessary, can be damaged here.
        Err(LogError::Corrupt { .. }) => return Ok(None),
        Err(other) => return Err(other),
    };
    let end = header.previous_end;
    if end == 0 || header.previous_first != *before || header.last_before + 1 != *last {
        return Ok(None);
    }
    let path = place.dir.join(segment_name(*before));
    let failed = |what: &str, error: &io::Error| LogError::io(what, &path, error);
    let file = place.disk.open(&path, Access::Read).map_err(|error| failed("open", &error))?;
    let len = file.len().map_err(|error| failed("measure", &error))?;
    let Some(len) = len.checked_sub(end) else { return Ok(None) };
    let mut bytes = vec![0; len as usize];
    let got = file.read_at(&mut bytes, end).map_err(|error| failed("read", &error))?;
    bytes.truncate(got);
    let marks = Marks { key: header.id.key(), next: *last, chain: header.chain };
    let behind = Behind::of(&bytes, &marks);
    // Bytes that are neither marks nor torn marks are damage and stay as they are.
    Ok((behind.torn_marks || behind.clean).then_some((*before, end, marks)))
}

/// Plans to cut the log off behind the last valid record.
fn cut_off(
    place: Place<'_>,
    segments: &mut Vec<Lsn>,
    found: &mut Found,
    damage: &Damage,
    records: u64,
    plan: &mut TakeOver,
) -> Result<TornEnd, LogError> {
    let mut bytes = 0;
    // If the first segment's header is damaged, nothing in it can be kept: it is written anew instead of cut.
    let rewrite = damage.segment == found.segment && damage.offset < SEGMENT_HEADER as u64;
    let keep = if rewrite { found.segment } else { found.segment + 1 };
    let lsn = found.tail + 1;
    while segments.len() > keep {
        let Some(first) = segments.pop() else { break };
        bytes += used_bytes(place, first, 0)?;
        plan.cut.push(first);
    }
    if rewrite {
        let header = SegmentHeader::beginning(place.id, lsn, 0);
        plan.rewrite = Some(header);
        segments.push(lsn);
        (found.offset, found.chain) = (SEGMENT_HEADER as u64, header.chain);
    } else if let Some(first) = segments.last() {
        bytes += used_bytes(place, *first, found.offset)?;
        plan.cut_at = Some((*first, found.offset));
    }
    let file = segments.last().map(|first| place.file(*first)).unwrap_or_default();
    Ok(TornEnd { file, offset: found.offset, lsn, bytes, records, what: damage.what.clone() })
}

/// Bytes from `offset` on up to the last one that is not zero.
fn used_bytes(place: Place<'_>, first: Lsn, offset: u64) -> Result<u64, LogError> {
    let path = place.dir.join(segment_name(first));
    let bytes = place.disk.read(&path).map_err(|error| LogError::io("read", &path, &error))?;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at as u64 + 1);
    Ok(used.saturating_sub(offset))
}
