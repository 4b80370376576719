//! Tests `check`, `check --repair` and starts of the binary on damaged and on partial folders.

use crate::damage::{check, content_end, contents, copy, files, try_start};
use crate::harness::{Client, Random, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use tempfile::TempDir;

const FLAGS: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Sets `k<n>` to `v<n>` for all n of the range, in one pipeline.
fn set(client: &mut Client, range: std::ops::Range<usize>) {
    for n in range.clone() {
        client.send(&["SET".to_owned(), format!("k{n}"), format!("v{n}")]).unwrap();
    }
    for n in range {
        assert!(client.read().is_ok(), "k{n}");
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The number of keys, which must be those that were set first.
fn count(server: &Server) -> usize {
    let mut client = server.client();
    let size = usize::try_from(client.run("DBSIZE").int().unwrap()).unwrap();
    for n in 0..size {
        client.send(&["GET".to_owned(), format!("k{n}")]).unwrap();
    }
    for n in 0..size {
        assert_eq!(client.read().text(), format!("v{n}"), "k{n} of {size}");
    }
    size
}

fn started(data: &Path) -> Result<usize, String> {
    let mut server = try_start(data, &FLAGS)?;
    let size = count(&server);
    assert!(server.client().run("SET after 1").is_ok());
    server.kill9();
    server.up();
    assert_eq!(server.client().run("GET after").text(), "1");
    assert!(server.client().run("DEL after").int() == Some(1));
    server.kill9();
    Ok(size)
}

fn temporary() -> (TempDir, PathBuf) {
    let folder = tempfile::Builder::new().prefix("itemory-repair-").tempdir().unwrap();
    let data = folder.path().join("data");
    (folder, data)
}

fn segments(data: &Path) -> Vec<PathBuf> {
    files(data).into_iter().filter(|f| f.extension().is_some_and(|e| e == "log")).collect()
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 4;
    fs::write(file, bytes).unwrap();
}

/// Makes the folder look like one on another file system and after another boot.
fn move_elsewhere(data: &Path) {
    let manifest = fs::read_to_string(data.join("MANIFEST")).unwrap();
    let lines = manifest.lines().filter(|line| !line.starts_with("crc "));
    let moved = |line: &str| match line.strip_prefix("incarnation ") {
        Some(_) => format!("incarnation {:032x}\n", 7),
        None => format!("{line}\n"),
    };
    let body: String = lines.map(moved).collect();
    let text = format!("{body}crc {:08x}\n", crc32fast::hash(body.as_bytes()));
    fs::write(data.join("MANIFEST"), text).unwrap();
}

const NOTHING_DROPPED: &str = "0 valid records were dropped in all";

/// The first LSN of the last segment, if `how` says that this segment was removed.
fn lost_from(how: &str) -> Option<usize> {
    let (file, _) = how.split_once(": removed, the last one")?;
    file.rsplit_once("segment-")?.1.strip_suffix(".log")?.parse().ok()
}

#[test]
fn a_missing_last_segment_costs_what_was_in_it_and_nothing_else() {
    let (_keep, data) = temporary();
    let flags = [&FLAGS[..], &["--log-segment-size", "16kb"]].concat();
    let mut server = Server::start_in(&data, &flags);
    set(&mut server.client(), 0..900);
    server.kill9();
    let last = segments(&data).pop().unwrap();
    fs::remove_file(&last).unwrap();
    let first = lost_from(&format!("{}: removed, the last one", last.display())).unwrap();
    let found = check(&data, false);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    assert_eq!(number(&said(&found), "a repair would keep everything up to LSN "), Some(first - 1));
    let before = contents(&data);
    assert!(started(&data).is_err(), "a start would hand its LSNs out again");
    assert!(contents(&data) == before);
    let repaired = check(&data, true);
    assert_eq!(repaired.status.code(), Some(0), "{}", said(&repaired));
    assert!(said(&repaired).contains(NOTHING_DROPPED), "{}", said(&repaired));
    assert_eq!(started(&data), Ok(first - 1));
}

#[test]
fn damage_that_checkpoints_cover_loses_nothing() {
    let (_keep, data) = temporary();
    let mut server = Server::start_in(&data, &FLAGS);
    set(&mut server.client(), 0..1000);
    assert!(server.client().run("SAVE").is_ok());
    assert!(server.client().run("SAVE").is_ok());
    set(&mut server.client(), 1000..6000);
    server.kill9();
    for at in [40, 100, 5000] {
        let (_keep, damaged) = temporary();
        copy(&data, &damaged);
        flip(&segments(&damaged)[0], at);
        let found = check(&damaged, false);
        assert_eq!(found.status.code(), Some(1), "{}", said(&found));
        let repaired = check(&damaged, true);
        assert_eq!(repaired.status.code(), Some(0), "{}", said(&repaired));
        assert!(said(&repaired).contains(NOTHING_DROPPED), "{}", said(&repaired));
        assert_eq!(check(&damaged, false).status.code(), Some(0));
        assert_eq!(started(&damaged), Ok(6000), "{}", said(&repaired));
    }
}

#[test]
fn a_flipped_bit_in_a_folder_that_was_moved_is_said_with_numbers() {
    let (_keep, data) = temporary();
    let mut server = Server::start_in(&data, &["--appendonly", "yes", "--appendfsync", "no"]);
    set(&mut server.client(), 0..20_001);
    server.kill9();
    move_elsewhere(&data);
    let sound = check(&data, false);
    assert_eq!(sound.status.code(), Some(0), "{}", said(&sound));
    let file = &segments(&data)[0];
    let at = fs::read(file).unwrap().windows(4).position(|bytes| bytes == b"v549").unwrap();
    flip(file, at);
    let found = check(&data, false);
    assert_eq!(found.status.code(), Some(1), "{}", said(&found));
    assert!(said(&found).contains("keep everything up to LSN 549"), "{}", said(&found));
    assert!(said(&found).contains("19451 valid records between LSN 551 and 20001"), "{}", said(&found));
    let refused = started(&data).unwrap_err();
    assert!(refused.contains("19451 valid records follow"), "{refused}");
    let repaired = check(&data, true);
    assert!(said(&repaired).contains("19451 valid records"), "{}", said(&repaired));
    assert_eq!(started(&data), Ok(549));
}

#[test]
fn a_folder_of_checkpoints_alone_is_a_backup() {
    let (_keep, data) = temporary();
    let mut server = Server::start_in(&data, &FLAGS);
    set(&mut server.client(), 0..500);
    assert!(server.client().run("SAVE").is_ok());
    set(&mut server.client(), 500..600);
    server.kill9();
    let (_keep, backup) = temporary();
    fs::create_dir_all(&backup).unwrap();
    for file in files(&data).iter().filter(|file| file.extension().is_some_and(|e| e == "ckpt")) {
        fs::copy(file, backup.join(file.file_name().unwrap())).unwrap();
    }
    let before = contents(&backup);
    let found = check(&backup, false);
    assert_eq!(found.status.code(), Some(0), "{}", said(&found));
    assert!(said(&found).contains("a new log goes on from checkpoint-"), "{}", said(&found));
    assert!(contents(&backup) == before && !backup.join("LOCK").exists());
    let id = |output: &Output| said(output).lines().next().map(str::to_owned);
    assert_eq!(id(&found), id(&check(&data, false)));
    assert_eq!(started(&backup), Ok(500));
    let found = check(&backup, false);
    assert_eq!((found.status.code(), id(&found)), (Some(0), id(&check(&data, false))));
    assert_eq!(started(&backup), Ok(500));
}

#[test]
fn the_exit_code_tells_damage_from_what_could_not_be_looked_at() {
    let (_keep, data) = temporary();
    assert_eq!(check(&data, false).status.code(), Some(2));
    assert_eq!(check(Path::new("--nonsense"), false).status.code(), Some(2));
    let mut server = Server::start_in(&data, &FLAGS);
    set(&mut server.client(), 0..10);
    let used = check(&data, false);
    assert_eq!(used.status.code(), Some(2), "{}", said(&used));
    assert!(said(&used).contains("in use"));
    assert_eq!(check(&data, true).status.code(), Some(2));
    server.kill9();
    fs::remove_file(data.join("LOCK")).unwrap();
    let before = contents(&data);
    assert_eq!(check(&data, false).status.code(), Some(0));
    assert!(contents(&data) == before && !data.join("LOCK").exists(), "a check only reads");
    fs::remove_file(&segments(&data)[0]).unwrap();
    assert_eq!(check(&data, false).status.code(), Some(1));
    assert_eq!(check(&data, true).status.code(), Some(1), "nothing is left");
}

/// The number that follows a text in the output.
fn number(text: &str, before: &str) -> Option<usize> {
    let digits = text.split(before).nth(1)?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Damages one file of a folder, and returns a description.
fn damage(data: &Path, random: &mut Random) -> String {
    let all: Vec<PathBuf> = files(data).into_iter().filter(|file| !file.ends_with("LOCK")).collect();
    let file = &all[random.below(all.len())];
    let mut bytes = fs::read(file).unwrap();
    let end = content_end(&bytes).max(1);
    let at = random.below(end);
    let what = match random.below(5) {
        4 => {
            let last = segments(data).pop().unwrap();
            fs::remove_file(&last).unwrap();
            return format!("{}: removed, the last one", last.display());
        }
        0 => {
            bytes.truncate(at);
            "cut"
        }
        1 => {
            let to = bytes.len().min(at + 1 + random.below(3000));
            bytes[at..to].fill(0);
            "zeros"
        }
        2 => {
            fs::remove_file(file).unwrap();
            return format!("{}: removed", file.display());
        }
        _ => {
            bytes[at] ^= 1 << random.below(8);
            "a bit"
        }
    };
    fs::write(file, bytes).unwrap();
    format!("{}: {what} at {at}", file.display())
}

#[test]
fn start_check_and_repair_agree_about_random_damage() {
    const WRITTEN: usize = 900;
    let mut random = Random::from_environment("start, check and repair");
    let (_keep, data) = temporary();
    let flags = [&FLAGS[..], &["--log-segment-size", "16kb"]].concat();
    let mut server = Server::start_in(&data, &flags);
    for part in 0..9 {
        set(&mut server.client(), part * 100..part * 100 + 100);
        if [3, 6].contains(&part) {
            assert!(server.client().run("SAVE").is_ok());
        }
    }
    server.kill9();
    let mut repaired = 0;
    for _ in 0..25 {
        let (_keep, damaged) = temporary();
        copy(&data, &damaged);
        let how = damage(&damaged, &mut random);
        let found = check(&damaged, false);
        let text = format!("{how}\n{}", said(&found));
        let sound = found.status.success();
        let (_again, twin) = temporary();
        copy(&damaged, &twin);
        let start = started(&twin);
        assert!(!sound || start.is_ok(), "sound, and refused: {text}\n{start:?}");
        if let Ok(kept) = start {
            let goes_on = number(&text, "goes on all the same, with everything up to LSN ");
            assert!(sound || goes_on == Some(kept), "{kept} keys are there: {text}");
        }
        let done = check(&damaged, true);
        let text = format!("{text}\n{}", said(&done));
        assert!(done.status.success(), "{text}");
        let kept = started(&damaged).unwrap_or_else(|log| panic!("refused after a repair: {text}\n{log}"));
        if !sound {
            assert_eq!(number(&text, "the log now ends with LSN "), Some(kept), "{text}");
            assert_eq!(number(&text, "a repair would keep everything up to LSN "), Some(kept), "{text}");
            repaired += 1;
        }
        assert!(start.is_err() || start == Ok(kept), "{text}");
        if let Some(first) = lost_from(&how) {
            assert!(!sound && kept == first - 1 && text.contains(NOTHING_DROPPED), "{text}");
        }
        assert!(kept <= WRITTEN);
    }
    assert!(repaired > 8, "only {repaired} folders were repaired");
}
