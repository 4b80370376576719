//! Crashes under transactions of random changes of every type: what a start finds is exactly what there was after one
//! of the transactions, and none that was acknowledged is missing.

use super::as_text::show;
use super::random_changes::{Changes, prepare};
use super::*;
use crate::env::Random;

const TRANSACTIONS: u64 = 25;
const HISTORIES: u64 = 4;
/// The crashes of each history, of both kinds.
const CRASHES: u64 = 5;

/// Commits transactions until the disk goes down. Returns the contents after each of them (the first before any), and
/// how many of them were acknowledged.
fn play(disk: &SimDisk, seed: u64) -> (Vec<Vec<String>>, usize) {
    let Ok(engine) = open(disk, AppendFsync::Always) else { return (vec![Vec::new()], 0) };
    let mut changes = Changes::seeded(seed);
    changes.structural = false;
    let mut contents = vec![show(&engine)];
    prepare(&engine);
    contents.push(show(&engine));
    let mut acknowledged = 0;
    for n in 0..=TRANSACTIONS {
        if engine.settle().is_err() || disk.is_down() {
            break;
        }
        acknowledged = contents.len() - 1;
        if n % 9 == 8 {
            drop(engine.save());
        }
        let mut record = Vec::new();
        let mut tx = Tx::new(&engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
        (0..12).for_each(|_| changes.draw(&mut tx));
        tx.commit();
        contents.push(show(&engine));
    }
    (contents, acknowledged)
}

#[test]
fn a_crash_at_any_change_of_the_disk_loses_and_halves_nothing_of_any_type() {
    let mut random = Random::seeded(7);
    for seed in 0..HISTORIES {
        let whole = SimDisk::new(seed);
        let (contents, _) = play(&whole, seed);
        let most = contents.iter().map(Vec::len).max().unwrap();
        assert!(most > 30, "a history of {most} values is none of every type");
        for n in 0..2 * CRASHES {
            let disk = SimDisk::new(seed);
            let at = if n % 2 == 0 {
                let at = 1 + random.below(whole.sync_points());
                disk.crash_at_sync(at);
                at
            } else {
                let at = 1 + random.below(whole.changes());
                disk.crash_at_change(at);
                at
            };
            let (contents, acknowledged) = play(&disk, seed);
            let mode = [CrashMode::PowerLost, CrashMode::PowerTorn, CrashMode::Process][n as usize % 3];
            disk.restart(mode);
            let engine = open(&disk, AppendFsync::Always).unwrap();
            let found = show(&engine);
            let what = format!("history {seed}, crash {n} at {at}, {mode:?}");
            let fits = contents[acknowledged..].contains(&found);
            assert!(fits, "{what}: {acknowledged} of {} were acknowledged", contents.len() - 1);
        }
    }
}
