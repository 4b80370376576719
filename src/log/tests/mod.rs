//! Tests of the whole room on the simulated disk.

#![allow(clippy::case_sensitive_file_extension_comparisons)]

mod basics;
mod check;
mod checkpoints;
mod crash;
mod damage;
mod faults;
mod fixture;
mod marks;
mod model;
mod owner;
mod passing;
mod places;
mod repair;
mod submitted;

use super::*;
use crate::env::{Clock, SimDisk};
use std::path::Path;
use std::sync::Arc;

pub(super) const DIR: &str = "/data";

/// Segments of a few hundred bytes, so that every test rotates.
pub(super) fn tiny() -> LogOptions {
    LogOptions {
        segment_bytes: 600,
        keep_free_bytes: 0,
        secure_bytes: 256,
        piece_bytes: 128,
        sync_threads: 1,
        ..LogOptions::default()
    }
}

pub(super) fn open(disk: &SimDisk) -> Result<(Arc<Log>, OpenReport), LogError> {
    let (log, report) = Log::open(disk.shared(), Clock::manual(1_000), Path::new(DIR), tiny())?;
    Ok((Arc::new(log), report))
}

pub(super) fn read_all(log: &Log, from: Lsn) -> Result<Vec<(Lsn, u64, Vec<u8>)>, LogError> {
    let mut reader = log.read_from(from)?;
    let mut piece = RecordRun::new();
    let mut all = Vec::new();
    while reader.next_piece(&mut piece)? {
        all.extend(piece.records().map(|record| (record.lsn, record.ms, record.payload.to_vec())));
        assert_eq!(all.last().map_or(0, |last| last.0), piece.last());
    }
    Ok(all)
}

/// A payload that tells its LSN, of a length that varies with it.
pub(super) fn payload(lsn: Lsn) -> Vec<u8> {
    let mut bytes = format!("record {lsn} ").into_bytes();
    bytes.resize(bytes.len() + (lsn as usize * 7) % 90, lsn as u8);
    bytes
}
