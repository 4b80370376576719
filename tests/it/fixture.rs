//! Data folders that former versions wrote can always be opened; see `tests/fixtures/README.md`.

use crate::harness::Server;
use itemory::effect::{Effect, EffectDecoder, StringChange};
use itemory::env::{Clock, OsDisk};
use itemory::log::checkpoint::Checkpoints;
use itemory::log::{Log, LogOptions, RecordRun};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// Copies a folder, without the files that `leave_out` names.
fn copy(folder: &str, leave_out: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !leave_out.contains(&name.as_str()) {
            fs::copy(entry.path(), dir.path().join(name)).unwrap();
        }
    }
    dir
}

/// Runs all commands of the folder's file and compares the replies. A command is a line; the next line is its reply,
/// indented, in the notation of the harness.
fn compare(server: &Server, folder: &str, what: &str) {
    let text = fs::read_to_string(fixtures().join(folder).with_extension("txt")).unwrap();
    let mut client = server.client();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.len() > 60);
    let mut wrong = Vec::new();
    for pair in lines.chunks(2) {
        let [command, expected] = pair else { panic!("a command without a reply") };
        let found = format!("    {}", client.run(command).sorted());
        if found != *expected {
            wrong.push(format!("{command}\n{found}"));
        }
    }
    assert!(wrong.is_empty(), "{what}: the replies are now\n{}", wrong.join("\n"));
}

const FLAGS: [&str; 2] = ["--enable-debug-command", "yes"];

fn is_all_there(folder: &str) {
    let dir = copy(folder, &[]);
    let mut server = Server::start_in(dir.path(), &FLAGS);
    compare(&server, folder, "opened");
    // The folder as this version keeps it: first from the log, then from a checkpoint of its own with another number of
    // shards.
    server.kill9();
    server.up();
    compare(&server, folder, "opened again");
    assert!(server.client().run("SAVE").is_ok());
    server.restart();
    compare(&server, folder, "from a new checkpoint");
}

#[test]
fn what_the_first_version_wrote_is_all_there() {
    is_all_there("data-v1");
}

#[test]
fn what_was_moved_copied_combined_and_restored_is_all_there() {
    is_all_there("data-v2");
}

#[test]
fn sets_and_hyperloglogs_are_all_there() {
    is_all_there("data-sets");
}

#[test]
fn lists_are_all_there() {
    is_all_there("data-lists");
}

#[test]
fn sorted_sets_are_all_there() {
    is_all_there("data-zsets");
}

/// The log of `data-v2` after its newer checkpoint, after the older one, and as a whole.
#[test]
fn the_log_of_the_second_folder_names_what_values_were_made_from() {
    let dir = copy("data-v2", &[]);
    let (log, _) = Log::open(OsDisk::shared(), Clock::System, dir.path(), LogOptions::default()).unwrap();
    let checkpoints = Checkpoints::new(OsDisk::shared(), dir.path(), log.log_id());
    let infos = checkpoints.list().unwrap();
    assert_eq!(infos.len(), 2);
    assert_eq!(checkpoints.latest().unwrap().checkpoint.unwrap().prologue()[0], 3);
    let last = log.tail();
    for from in infos.iter().map(|info| info.start_lsn).chain([0]) {
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        let (mut reader, mut piece) = (log.read_from(from + 1).unwrap(), RecordRun::new());
        while piece.last() < last && reader.next_piece(&mut piece).unwrap() {
            for record in piece.records() {
                for effect in EffectDecoder::new(record.payload).unwrap() {
                    *found
                        .entry(match effect.unwrap() {
                            Effect::Move { .. } => "moved",
                            Effect::Copy { .. } => "copied",
                            Effect::Combine { .. } => "combined",
                            Effect::String { change: StringChange::Restore { .. }, .. } => "restored",
                            _ => "other",
                        })
                        .or_default() += 1;
                }
            }
        }
        let enough =
            ["moved", "copied", "combined", "restored"].iter().all(|what| found.get(what) >= Some(&2));
        assert!(enough, "behind {from}: {found:?}");
    }
}

#[test]
fn the_older_checkpoint_and_the_log_behind_it_give_the_same() {
    for (folder, newer) in [
        ("data-v1", "checkpoint-0000000002-00000000000000000118.ckpt"),
        ("data-v2", "checkpoint-0000000002-00000000000000000069.ckpt"),
        ("data-sets", "checkpoint-0000000002-00000000000000000094.ckpt"),
        ("data-lists", "checkpoint-0000000002-00000000000000000136.ckpt"),
        ("data-zsets", "checkpoint-0000000002-00000000000000000029.ckpt"),
    ] {
        let dir = copy(folder, &[newer]);
        compare(&Server::start_in(dir.path(), &FLAGS), folder, "from the older checkpoint");
    }
}

#[test]
fn a_data_folder_that_uses_more_databases_is_refused() {
    let dir = copy("data-v1", &[]);
    let error = Server::try_start_in(dir.path(), &["--databases", "15"]).err().unwrap();
    assert!(error.contains("database 15 is in use, but the option databases is 15"), "{error}");
}
