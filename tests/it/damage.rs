//! Tests a torn tail of every length and a flipped byte anywhere, in a data folder that the real binary wrote.

use crate::harness::{Random, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The number of writes in the folder; write number n sets `k<n>` to `v<n>`.
const WRITTEN: usize = 60;
const FLAGS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// The data folder of a server that was killed.
struct Folder {
    master: TempDir,
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|e| e.unwrap().path()) {
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, &target).unwrap();
        }
    }
}

pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() { out.extend(files(&entry)) } else { out.push(entry) }
    }
    out.sort();
    out
}

/// The end of a file's content, if zeros follow it.
pub(crate) fn content_end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|b| *b != 0).map_or(0, |at| at + 1)
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|w| w == what)
}

pub(crate) fn check(folder: &Path, repair: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_itemory"));
    command.arg("check");
    if repair {
        command.arg("--repair");
    }
    command.arg(folder).output().unwrap()
}

impl Folder {
    fn new(with_checkpoint: bool) -> Folder {
        let master = tempfile::Builder::new().prefix("itemory-damage-").tempdir().unwrap();
        let mut server = Server::start_in(&master.path().join("data"), &FLAGS);
        let mut client = server.client();
        for n in 0..WRITTEN {
            assert!(client.run(&format!("SET k{n} v{n}")).is_ok());
            if with_checkpoint && n == WRITTEN / 2 {
                assert!(client.run("SAVE").is_ok());
            }
        }
        server.kill9();
        Folder { master }
    }

    fn data(&self) -> PathBuf {
        self.master.path().join("data")
    }

    /// Makes a copy that a test may damage.
    fn copy(&self) -> (TempDir, PathBuf) {
        let folder = tempfile::Builder::new().prefix("itemory-copy-").tempdir().unwrap();
        let data = folder.path().join("data");
        copy(&self.data(), &data);
        (folder, data)
    }

    /// The segment with the last write, relative to the data folder, and the end of its content.
    fn last_segment(&self) -> (PathBuf, usize) {
        let last = format!("v{}", WRITTEN - 1);
        let file = files(&self.data())
            .into_iter()
            .find(|f| contains(&fs::read(f).unwrap(), last.as_bytes()))
            .expect("a file with the last value");
        let end = content_end(&fs::read(&file).unwrap());
        (file.strip_prefix(self.data()).unwrap().to_path_buf(), end)
    }
}

/// All files of a folder with their contents, except for the lock, which is empty.
pub(crate) fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let named = files(folder).into_iter().filter(|file| !file.ends_with("LOCK"));
    named.map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Starts a server on the folder; `Err` with its output if it refuses to start. A refused start must not change any
/// file.
pub(crate) fn try_start(data: &Path, flags: &[&str]) -> Result<Server, String> {
    let before = contents(data);
    Server::try_start_in(data, flags).inspect_err(|log| {
        assert!(contents(data) == before, "a start that was refused has changed files:\n{log}");
    })
}

/// Starts a server on the folder and returns the number of writes that it has, which must be the first ones; `Err` with
/// its output if it refuses to start.
fn start(data: &Path) -> Result<usize, String> {
    let mut server = try_start(data, &FLAGS)?;
    let mut client = server.client();
    let there: Vec<bool> = (0..WRITTEN)
        .map(|n| {
            let reply = client.run(&format!("GET k{n}"));
            let text = reply.text();
            assert!(reply.is_null() || text == format!("v{n}"), "k{n} is {reply}");
            !reply.is_null()
        })
        .collect();
    let count = there.iter().take_while(|t| **t).count();
    assert!(!there[count..].contains(&true), "a hole in the history: {there:?}");
    assert_eq!(client.run("DBSIZE").int(), Some(count as i64));
    assert!(client.run("SET after 1").is_ok());
    server.kill9();
    server.up();
    assert_eq!(server.client().run("GET after").text(), "1");
    Ok(count)
}

#[test]
fn a_torn_tail_of_every_length_is_cut() {
    let folder = Folder::new(false);
    let (segment, end) = folder.last_segment();
    let mut before = WRITTEN;
    for cut in 0..=200.min(end) {
        for zeros in [false, true] {
            if zeros && cut % 5 != 0 {
                continue;
            }
            let (_keep, data) = folder.copy();
            let file = data.join(&segment);
            let mut bytes = fs::read(&file).unwrap();
            if zeros {
                bytes[end - cut..].fill(0);
            } else {
                bytes.truncate(end - cut);
            }
            fs::write(&file, bytes).unwrap();
            let checked = check(&data, false);
            let count = start(&data).unwrap_or_else(|log| panic!("{cut} bytes cut: refused to start\n{log}"));
            // A frame has at least 32 bytes, so at most so many records have lost a byte.
            assert!(count + cut.div_ceil(32) >= WRITTEN, "{cut} bytes cut: {count} of {WRITTEN} left");
            assert!(count <= before, "{cut} bytes cut: {count} left, {before} before");
            assert!(cut > 0 || count == WRITTEN);
            assert!(!checked.stdout.is_empty(), "check says nothing");
            if !zeros {
                before = count;
            }
        }
    }
    assert!(before < WRITTEN, "the cuts reached no record");
}

/// A flipped byte is found. The start is refused with file and offset, or, if the byte may be in a torn tail, the log
/// is cut there. No wrong value is ever served.
#[test]
fn a_flipped_byte_anywhere_is_found() {
    let mut random = Random::from_environment("flipped bytes");
    let folder = Folder::new(false);
    let (segment, end) = folder.last_segment();
    let mut refused = 0;
    for round in 0..120 {
        let (_keep, data) = folder.copy();
        let at = if round < 20 { round * end / 20 } else { random.below(end) };
        let file = data.join(&segment);
        let mut bytes = fs::read(&file).unwrap();
        bytes[at] ^= 1 << random.below(8);
        fs::write(&file, bytes).unwrap();
        let checked = check(&data, false);
        match start(&data) {
            Ok(count) => assert!(at + 200 > end, "byte {at} of {end} flipped, started with {count} writes"),
            Err(log) => {
                refused += 1;
                assert!(
                    !checked.status.success(),
                    "byte {at}: `check` found nothing, but the start was refused"
                );
                let name = segment.file_name().unwrap().to_string_lossy();
                let said = format!("{log}{}", String::from_utf8_lossy(&checked.stdout));
                assert!(said.contains(&*name) && said.contains("offset"), "byte {at}: {said}");
            }
        }
    }
    assert!(refused > 20, "only {refused} starts were refused");
}

/// The same for every file of a folder with a checkpoint.
#[test]
fn a_flipped_byte_in_any_file_never_gives_wrong_data() {
    let mut random = Random::from_environment("flipped bytes in any file");
    let folder = Folder::new(true);
    assert_eq!(start(&folder.copy().1), Ok(WRITTEN));
    for file in files(&folder.data()) {
        let relative = file.strip_prefix(folder.data()).unwrap().to_path_buf();
        let end = content_end(&fs::read(&file).unwrap());
        for _ in 0..if end == 0 { 0 } else { 12 } {
            let (_keep, data) = folder.copy();
            let at = random.below(end);
            let mut bytes = fs::read(data.join(&relative)).unwrap();
            bytes[at] ^= 1 << random.below(8);
            fs::write(data.join(&relative), bytes).unwrap();
            if let Ok(count) = start(&data) {
                assert!(count >= WRITTEN / 2, "{}: byte {at}: {count} writes left", relative.display());
            }
        }
    }
}

/// `check --repair` cuts the log at the damage, reports what it dropped and keeps a copy; then the server starts.
#[test]
fn repair_cuts_at_the_damage_and_keeps_a_copy() {
    let folder = Folder::new(false);
    let (segment, end) = folder.last_segment();
    let (_keep, data) = folder.copy();
    let original = fs::read(data.join(&segment)).unwrap();
    let mut bytes = original.clone();
    bytes[end / 2] ^= 0x10;
    fs::write(data.join(&segment), &bytes).unwrap();
    assert!(start(&data).is_err(), "started over damage in the middle");
    assert!(!check(&data, false).status.success());
    let repaired = check(&data, true);
    let said = String::from_utf8_lossy(&repaired.stdout).into_owned();
    assert!(repaired.status.success(), "{said}{}", String::from_utf8_lossy(&repaired.stderr));
    assert!(check(&data, false).status.success(), "still damaged after the repair");
    let kept = files(data.parent().unwrap()).into_iter().any(|f| {
        let copy = fs::read(f).unwrap();
        contains(&copy, &bytes[end / 2..end.min(end / 2 + 100)])
    });
    assert!(kept, "no copy of what was dropped: {said}");
    let count = start(&data).expect("a start after the repair");
    assert!(count > 10 && count < WRITTEN, "{count} writes left");
}

/// Only one process can open a folder at a time.
#[test]
fn one_process_for_one_folder() {
    let first = Server::start(&FLAGS);
    let refused = Server::try_start_in(first.data(), &FLAGS).err().expect("a second process on the folder");
    assert!(refused.contains("in use"), "{refused}");
    assert!(first.client().run("SET k v").is_ok());
}
