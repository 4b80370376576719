//! Opens the folder: creates a log, or finds the end of the one that is there.

use super::tail::{self, Damage, Found, Place};
use super::writer::{Active, Unsynced};
use super::{FileLog, Shared};
use crate::env::{Access, Clock, Disk, FolderEntry, Random};
use crate::log::checkpoint;
use crate::log::manifest::{MANIFEST, Manifest};
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

/// What to do about damage, for error messages.
const ADVICE: &str =
    "`itemory check DIR` shows all damage, `itemory check --repair DIR` cuts it out and keeps a copy";

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
    };
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
        unsynced: Mutex::new(Unsynced { sealed: Vec::new(), current: file, folder: false }),
        syncing: Mutex::new(()),
        prepared: Mutex::new(None),
        frequent_syncs: AtomicBool::new(false),
        room_refused: AtomicBool::new(false),
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

fn segments_in(entries: &[FolderEntry]) -> Vec<Lsn> {
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
    let key = place.id.key();
    write_empty(place, clock.now_ms(), 1, 0, key)?;
    Ok((vec![1], Found { segment: 0, offset: SEGMENT_HEADER as u64, tail: 0, chain: key, damage: None }))
}

/// Writes a segment without records, durably.
fn write_empty(place: Place<'_>, ms: u64, first: Lsn, last_before: Lsn, chain: u32) -> Result<(), LogError> {
    let path = place.dir.join(segment_name(first));
    let header = SegmentHeader {
        id: place.id,
        first,
        last_before,
        previous_first: 0,
        durable: last_before,
        epoch: 0,
        ms,
        chain,
    };
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
    let incarnation = disk.incarnation(dir).map_err(|error| LogError::io("identify", dir, &error))?;
    report.restarted = incarnation != manifest.incarnation;
    report.closed_in_order = manifest.closed.is_some();
    drop_trimmed(place, manifest.trimmed, &mut segments, report)?;
    let headers = check_order(place, manifest.trimmed, &segments)?;
    let witnessed = [
        Some(manifest.trimmed),
        manifest.closed,
        headers.iter().flatten().map(|header| header.durable).max(),
        checkpoint::last_lsn(disk, dir, place.id)?,
    ];
    let durable = witnessed.into_iter().flatten().max().unwrap_or(0);
    // Segments that end at or before the durable LSN were whole once; the replay verifies them as it reads them.
    let mut begin = segments.partition_point(|first| *first <= durable + 1).saturating_sub(1);
    while begin > 0 && headers.get(begin).is_none_or(Option::is_none) {
        begin -= 1;
    }
    check_gaps(place, durable, &segments, &headers)?;
    let mut found = tail::find(place, &segments, begin)?;
    if let Some(damage) = found.damage.take() {
        let records = judge(place, &segments, &found, &damage, durable, !report.restarted)?;
        let cut = cut_off(place, &mut segments, &mut found, &damage, records)?;
        report.cut = Some(cut);
    } else if found.tail < durable {
        let (file, offset) = (place.file(segments[found.segment]), found.offset);
        let what =
            format!("the log ends at LSN {}, but LSN {durable} had been durable; {ADVICE}", found.tail);
        return Err(LogError::Corrupt { file, offset, what });
    }
    for first in segments.iter().skip(begin) {
        let path = dir.join(segment_name(*first));
        let file =
            disk.open(&path, Access::ReadWrite).map_err(|error| LogError::io("open", &path, &error))?;
        file.fsync().map_err(|error| LogError::io("fsync", &path, &error))?;
    }
    disk.fsync_dir(dir).map_err(|error| LogError::io("fsync", dir, &error))?;
    Ok((segments, found))
}

/// Removes segments that a trim had given up before it was interrupted.
fn drop_trimmed(
    place: Place<'_>,
    trimmed: Lsn,
    segments: &mut Vec<Lsn>,
    report: &mut OpenReport,
) -> Result<(), LogError> {
    let needed = segments.partition_point(|first| *first <= trimmed + 1).saturating_sub(1);
    for first in segments.drain(..needed) {
        remove(place.disk, place.dir, &segment_name(first))?;
        report.removed.push(segment_name(first));
    }
    Ok(())
}

/// Reads all headers and refuses a log with a segment missing. Headers that cannot be read are `None`: their damage
/// is judged with all other damage.
fn check_order(
    place: Place<'_>,
    trimmed: Lsn,
    segments: &[Lsn],
) -> Result<Vec<Option<SegmentHeader>>, LogError> {
    let missing = |after: Lsn, what: String| LogError::MissingSegment {
        dir: place.dir.display().to_string(),
        after,
        what: format!("{what}; {ADVICE}"),
    };
    match segments.first() {
        None => return Err(missing(trimmed, "there is no segment at all".to_owned())),
        Some(first) if *first > trimmed + 1 => {
            return Err(missing(trimmed, format!("{} is the first one", segment_name(*first))));
        }
        Some(_) => {}
    }
    let mut headers = Vec::with_capacity(segments.len());
    for first in segments {
        match place.open(*first) {
            Ok(scan) => headers.push(Some(scan.header)),
            Err(LogError::Corrupt { .. }) => headers.push(None),
            Err(other) => return Err(other),
        }
    }
    Ok(headers)
}

/// Refuses a log from the middle of which a segment with durable records is missing. What is missing behind the durable
/// LSN is judged as damage at the end.
fn check_gaps(
    place: Place<'_>,
    durable: Lsn,
    segments: &[Lsn],
    headers: &[Option<SegmentHeader>],
) -> Result<(), LogError> {
    for (before, header) in segments.iter().zip(headers.iter().skip(1)) {
        let Some(header) = header else { continue };
        if header.previous_first != *before && header.last_before <= durable {
            return Err(LogError::MissingSegment {
                dir: place.dir.display().to_string(),
                after: *before,
                what: format!(
                    "{} continues {}; {ADVICE}",
                    segment_name(header.first),
                    segment_name(header.previous_first)
                ),
            });
        }
    }
    Ok(())
}

/// Decides whether damage may be cut off; returns how many valid records would go with it.
fn judge(
    place: Place<'_>,
    segments: &[Lsn],
    found: &Found,
    damage: &Damage,
    durable: Lsn,
    same_system: bool,
) -> Result<u64, LogError> {
    if let Some(refuse) = &damage.refuse {
        return Err(refuse.clone());
    }
    let followers = tail::followers(place, segments, found.tail, damage)?;
    let durable = durable.max(followers.durable);
    let why = if durable > found.tail {
        format!("the records up to LSN {durable} had been durable")
    } else {
        match followers.first {
            Some((file, offset)) if same_system => {
                format!(
                    "{} valid records follow, the first one in {file} at offset {offset}",
                    followers.count
                )
            }
            _ => return Ok(followers.count),
        }
    };
    let what = format!("{} where LSN {} is expected, and {why}; {ADVICE}", damage.what, found.tail + 1);
    Err(LogError::Corrupt { file: place.file(segments[damage.segment]), offset: damage.offset, what })
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
        let key = place.id.key();
        write_empty(place, 0, lsn, found.tail, key)?;
        segments.push(lsn);
        (found.offset, found.chain) = (SEGMENT_HEADER as u64, key);
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
