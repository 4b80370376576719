//! Tests `check` by a user who may read the folder but not change it, and on a read-only file system.

use crate::damage::{contents, files};
use crate::harness::Server;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// A data folder with a checkpoint and several segments, and a copy of the program that every user may run.
struct Folder {
    keep: TempDir,
}

impl Folder {
    fn new() -> Self {
        let keep = tempfile::Builder::new().prefix("itemory-looking-").tempdir().unwrap();
        fs::set_permissions(keep.path(), Permissions::from_mode(0o755)).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_itemory"), keep.path().join("itemory")).unwrap();
        fs::set_permissions(keep.path().join("itemory"), Permissions::from_mode(0o755)).unwrap();
        let folder = Self { keep };
        let flags = ["--appendonly", "yes", "--appendfsync", "always", "--log-segment-size", "16kb"];
        let mut server = Server::start_in(&folder.data(), &flags);
        let mut client = server.client();
        for n in 0..600 {
            assert!(client.run(&format!("SET k{n} v{n}")).is_ok());
            if n == 300 {
                assert!(client.run("SAVE").is_ok());
            }
        }
        server.kill9();
        folder.allow(0o444, 0o555);
        folder
    }

    fn data(&self) -> PathBuf {
        self.keep.path().join("data")
    }

    /// Sets the permissions of all files and of the folder.
    fn allow(&self, file: u32, folder: u32) {
        files(&self.data()).iter().for_each(|path| permit(path, file));
        permit(&self.data(), folder);
    }

    /// The output of the program for a user who is not the superuser.
    fn look(&self, words: &[&str], at: &Path) -> Output {
        let mut command = Command::new(self.keep.path().join("itemory"));
        command.arg("check").args(words).arg(at).current_dir("/");
        if fs::metadata("/proc/self").unwrap().uid() == 0 {
            command.uid(NOBODY).gid(NOBODY);
        }
        command.output().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Without this a user who is not the superuser could not remove the folder.
        permit(&self.data(), 0o755);
    }
}

fn permit(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn who_may_only_read_the_folder_can_check_it() {
    let folder = Folder::new();
    let data = folder.data();
    for with_lock in [true, false] {
        if !with_lock {
            permit(&data, 0o755);
            fs::remove_file(data.join("LOCK")).unwrap();
            permit(&data, 0o555);
        }
        let before = (files(&data), contents(&data));
        let looked = folder.look(&[], &data);
        assert_eq!(looked.status.code(), Some(0), "{}", said(&looked));
        assert!(said(&looked).contains("600"), "{}", said(&looked));
        assert!((files(&data), contents(&data)) == before, "nothing is created or changed");
        let repaired = folder.look(&["--repair"], &data);
        assert_eq!(repaired.status.code(), Some(2), "{}", said(&repaired));
        assert!((files(&data), contents(&data)) == before, "nothing is created or changed");
    }
}

#[test]
fn what_cannot_be_read_is_no_damage() {
    let folder = Folder::new();
    let data = folder.data();
    let before = contents(&data);
    for file in files(&data) {
        permit(&file, 0);
        let looked = folder.look(&[], &data);
        let text = format!("{}: {}", file.display(), said(&looked));
        if file.ends_with("LOCK") {
            assert_eq!(looked.status.code(), Some(0), "{text}");
            assert!(text.contains("it could not be seen whether a server uses the folder"), "{text}");
        } else if file.extension().is_some_and(|extension| extension == "tmp") {
            assert_eq!(looked.status.code(), Some(0), "what was never finished is not needed: {text}");
        } else {
            assert_eq!(looked.status.code(), Some(2), "{text}");
            assert!(
                text.contains(&file.display().to_string()) && text.contains("ermission denied"),
                "{text}"
            );
        }
        permit(&file, 0o444);
    }
    for mode in [0, 0o444, 0o111] {
        permit(&data, mode);
        let looked = folder.look(&[], &data);
        assert_eq!(looked.status.code(), Some(2), "{mode:o}: {}", said(&looked));
    }
    permit(&data, 0o555);
    assert!(contents(&data) == before);
    assert_eq!(folder.look(&[], &data).status.code(), Some(0));
}

#[test]
fn damage_is_told_to_who_may_only_read() {
    let folder = Folder::new();
    let data = folder.data();
    let first = files(&data).into_iter().rfind(|file| file.extension().is_some_and(|e| e == "ckpt")).unwrap();
    let mut bytes = fs::read(&first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    permit(&first, 0o644);
    fs::write(&first, bytes).unwrap();
    permit(&first, 0o444);
    let looked = folder.look(&[], &data);
    assert_eq!(looked.status.code(), Some(1), "{}", said(&looked));
}

/// A folder that is mounted once more, read-only, at another place.
struct ReadOnly(PathBuf);

impl ReadOnly {
    /// If mounting is not permitted, returns `None` and says so on standard error.
    fn of(data: &Path, at: PathBuf) -> Option<Self> {
        fs::create_dir(&at).unwrap();
        let mount = |words: &[&str]| Command::new("mount").args(words).arg(data).arg(&at).output().unwrap();
        let bound = mount(&["--bind"]);
        if !bound.status.success() {
            eprintln!("\n*** NOT TESTED on a read-only mount: {} ***", said(&bound).trim());
            return None;
        }
        let seen = Self(at);
        let remount = Command::new("mount").args(["-o", "remount,ro,bind"]).arg(&seen.0).output().unwrap();
        if !remount.status.success() {
            eprintln!("\n*** NOT TESTED on a read-only mount: {} ***", said(&remount).trim());
            return None;
        }
        Some(seen)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[test]
fn a_folder_on_a_read_only_mount_can_be_checked() {
    let folder = Folder::new();
    let data = folder.data();
    folder.allow(0o644, 0o755);
    for with_lock in [true, false] {
        if !with_lock {
            fs::remove_file(data.join("LOCK")).unwrap();
        }
        let at = folder.keep.path().join(format!("seen-{with_lock}"));
        let Some(seen) = ReadOnly::of(&data, at) else { return };
        let before = (files(&data), contents(&data));
        let check = |words: &[&str]| {
            let program = env!("CARGO_BIN_EXE_itemory");
            Command::new(program).arg("check").args(words).arg(&seen.0).output().unwrap()
        };
        let looked = check(&[]);
        assert_eq!(looked.status.code(), Some(0), "{}", said(&looked));
        let repaired = check(&["--repair"]);
        assert_eq!(repaired.status.code(), Some(2), "{}", said(&repaired));
        assert!((files(&data), contents(&data)) == before, "nothing is created or changed");
    }
}
