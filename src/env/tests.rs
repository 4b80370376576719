use super::*;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

fn on_both(test: impl Fn(&dyn Disk, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    test(&OsDisk, dir.path());
    test(&SimDisk::new(1), Path::new("/"));
}

#[test]
fn a_manual_clock_moves_only_by_hand() {
    let clock = Clock::manual(1_000);
    let twin = clock.clone();
    clock.as_manual().unwrap().advance_ms(5);
    assert_eq!((twin.now_ms(), twin.monotonic_micros()), (1_005, 5_000));
    clock.as_manual().unwrap().set_ms(3);
    assert_eq!((twin.now_ms(), twin.monotonic_micros()), (3, 5_000));
    assert!(Clock::System.now_ms() > 1_700_000_000_000);
    assert!(Clock::System.as_manual().is_none());
}

#[test]
fn random_numbers_repeat_and_stay_in_bounds() {
    let (mut a, mut b) = (Random::seeded(7), Random::seeded(7));
    assert_eq!(a.next_u64(), b.next_u64());
    assert_ne!(Random::seeded(8).next_u64(), Random::seeded(7).next_u64());
    let mut seen = [false; 5];
    for _ in 0..200 {
        seen[a.below(5) as usize] = true;
    }
    assert_eq!(seen, [true; 5]);
    assert_eq!(a.below(0), 0);
    let (mut one, mut two) = ([0; 13], [0; 13]);
    Random::fill_secret(&mut one).unwrap();
    a.fill(&mut two);
    assert!(one != [0; 13] && two != [0; 13] && one != two);
    assert_ne!(Random::from_os().unwrap().next_u64(), Random::from_os().unwrap().next_u64());
}

#[test]
fn files_are_created_written_read_cut_and_renamed() {
    on_both(|disk, dir| {
        let path = dir.join("a/b");
        assert_eq!(disk.create(&path.join("x")).unwrap_err().kind(), ErrorKind::NotFound);
        disk.create_dir_all(&path).unwrap();
        disk.create_dir_all(&path).unwrap();
        let file = disk.create(&path.join("x")).unwrap();
        assert_eq!(disk.create(&path.join("x")).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert!(file.is_empty().unwrap());
        file.write_at(b"hello", 2).unwrap();
        file.set_len(6).unwrap();
        file.fdatasync().unwrap();
        file.fsync().unwrap();
        assert_eq!(disk.read(&path.join("x")).unwrap(), b"\0\0hell");
        let mut bytes = [9; 4];
        assert_eq!(file.read_at(&mut bytes, 3).unwrap(), 3);
        assert_eq!(&bytes, b"ell\x09");
        assert_eq!(file.read_at(&mut bytes, 100).unwrap(), 0);
        for how in [Preallocate::Zeros, Preallocate::Reserve] {
            let len = file.len().unwrap();
            file.preallocate(len, 100_000, how).unwrap();
            assert_eq!(file.len().unwrap(), len + 100_000);
        }
        assert!(disk.read(&path.join("x")).unwrap()[6..].iter().all(|byte| *byte == 0));
        disk.create(&path.join("y")).unwrap().write_at(b"old", 0).unwrap();
        disk.rename(&path.join("x"), &path.join("y")).unwrap();
        disk.rename(&path.join("y"), &dir.join("a/z")).unwrap();
        disk.fsync_dir(&path).unwrap();
        assert!(
            disk.exists(&dir.join("a/z")) && !disk.exists(&path.join("x")) && !disk.exists(&path.join("y"))
        );
        let names: Vec<_> =
            disk.list(&dir.join("a")).unwrap().into_iter().map(|e| (e.name, e.is_dir)).collect();
        assert_eq!(names, [("b".to_owned(), true), ("z".to_owned(), false)]);
        assert!(disk.remove_dir(&dir.join("a")).is_err());
        disk.remove_file(&dir.join("a/z")).unwrap();
        assert_eq!(disk.remove_file(&dir.join("a/z")).unwrap_err().kind(), ErrorKind::NotFound);
        disk.remove_dir(&path).unwrap();
        disk.put(&dir.join("a/r"), b"one").unwrap();
        disk.put(&dir.join("a/r"), b"second").unwrap();
        assert_eq!(disk.read(&dir.join("a/r")).unwrap(), b"second");
        assert_eq!(disk.list(&dir.join("a")).unwrap().len(), 1);
        let read_only = disk.open(&dir.join("a/r"), Access::Read).unwrap();
        assert!(read_only.write_at(b"x", 0).is_err());
        assert!(disk.free_space(dir).unwrap() > 1_000_000);
    });
}

#[test]
fn a_locked_folder_is_refused_until_it_is_free() {
    on_both(|disk, dir| {
        let lock = disk.lock(dir).unwrap();
        assert_eq!(disk.lock(dir).unwrap_err().kind(), ErrorKind::WouldBlock);
        drop(lock);
        disk.lock(dir).unwrap();
        assert_eq!(disk.incarnation(dir).unwrap(), disk.incarnation(dir).unwrap());
    });
}

fn two_files() -> (SimDisk, Arc<dyn DiskFile>) {
    let disk = SimDisk::new(3);
    let file = disk.create(Path::new("/synced")).unwrap();
    file.write_at(b"abc", 0).unwrap();
    file.fdatasync().unwrap();
    disk.fsync_dir(Path::new("/")).unwrap();
    file.write_at(b"X", 1).unwrap();
    disk.create(Path::new("/unsynced")).unwrap().fsync().unwrap();
    (disk, file)
}

#[test]
fn a_power_cut_loses_what_was_not_synced_and_a_kill_does_not() {
    let (disk, file) = two_files();
    let before = disk.incarnation(Path::new("/")).unwrap();
    disk.restart(CrashMode::Process);
    assert_eq!(disk.read(Path::new("/synced")).unwrap(), b"aXc");
    assert!(disk.exists(Path::new("/unsynced")));
    assert!(file.len().is_err(), "the handle belongs to a dead process");
    assert_eq!(disk.incarnation(Path::new("/")).unwrap(), before);
    disk.restart(CrashMode::PowerLost);
    assert_eq!(disk.read(Path::new("/synced")).unwrap(), b"abc");
    assert!(!disk.exists(Path::new("/unsynced")));
    assert_ne!(disk.incarnation(Path::new("/")).unwrap(), before);
}

#[test]
fn a_torn_write_keeps_some_sectors_and_loses_others() {
    let disk = SimDisk::new(5);
    let path = Path::new("/f");
    let file = disk.create(path).unwrap();
    file.preallocate(0, 512 * 64, Preallocate::Zeros).unwrap();
    file.fsync().unwrap();
    disk.fsync_dir(Path::new("/")).unwrap();
    file.write_at(&vec![1; 512 * 64], 0).unwrap();
    let twin = disk.fork(6);
    disk.restart(CrashMode::PowerTorn);
    twin.restart(CrashMode::PowerTorn);
    let bytes = disk.read(path).unwrap();
    let kept = bytes.chunks(512).filter(|sector| sector[0] == 1).count();
    assert!(kept > 0 && kept < 64);
    assert!(bytes.chunks(512).all(|sector| sector.iter().all(|byte| *byte == sector[0])));
    assert_ne!(bytes, twin.read(path).unwrap());
}

#[test]
fn crashes_come_when_they_were_set() {
    let (disk, file) = two_files();
    disk.crash_at_sync(disk.sync_points() + 2);
    file.fdatasync().unwrap();
    assert!(file.fdatasync().is_err());
    assert!(disk.is_down() && disk.list(Path::new("/")).is_err());
    disk.restart(CrashMode::PowerLost);
    assert_eq!(disk.read(Path::new("/synced")).unwrap(), b"aXc");
    let file = disk.open(Path::new("/synced"), Access::ReadWrite).unwrap();
    disk.crash_at_change(disk.changes() + 1);
    assert!(file.write_at(&[7; 1000], 0).is_err());
    assert!(disk.is_down());
}

#[test]
fn a_failed_sync_hides_the_loss_from_the_next_one() {
    let (disk, file) = two_files();
    disk.fail(Fault::Sync, 1, SimDisk::EIO);
    assert_eq!(file.fdatasync().unwrap_err().raw_os_error(), Some(5));
    file.fdatasync().unwrap();
    disk.restart(CrashMode::PowerLost);
    assert_eq!(disk.read(Path::new("/synced")).unwrap(), b"abc");
}

#[test]
fn faults_come_once_at_their_call() {
    let (disk, file) = two_files();
    disk.fail(Fault::Write, 2, SimDisk::ENOSPC);
    file.write_at(b"1", 0).unwrap();
    assert_eq!(file.write_at(b"2", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    file.write_at(b"3", 0).unwrap();
    disk.fail(Fault::SyncDir, 1, SimDisk::EIO);
    assert!(disk.fsync_dir(Path::new("/")).is_err());
    disk.fail(Fault::Read, 1, SimDisk::EIO);
    assert!(file.read_at(&mut [0], 0).is_err());
}

#[test]
fn a_full_disk_refuses_what_does_not_fit() {
    let disk = SimDisk::new(1);
    let file = disk.create(Path::new("/f")).unwrap();
    disk.set_capacity(Some(10));
    assert_eq!(file.write_at(&[1; 12], 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!((disk.used(), disk.free_space(Path::new("/")).unwrap()), (0, 10));
    file.write_at(&[2; 10], 0).unwrap();
    assert!(file.set_len(11).is_err());
    assert!(file.preallocate(10, 1, Preallocate::Reserve).is_err());
    file.set_len(4).unwrap();
    file.preallocate(4, 6, Preallocate::Reserve).unwrap();
    // A long write leaves the sectors for which there was room.
    disk.set_capacity(Some(600));
    assert!(file.write_at(&[3; 700], 0).is_err());
    assert_eq!(file.len().unwrap(), 512);
    disk.set_capacity(None);
    file.write_at(&[3; 12], 0).unwrap();
}
