//! A data folder that the first version wrote is opened for ever; see `tests/fixtures/README.md`.

use crate::harness::Server;
use std::fs;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// A copy of the folder, without the files that `leave_out` names.
fn copy(leave_out: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixtures().join("data-v1")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if !leave_out.contains(&name.as_str()) {
            fs::copy(entry.path(), dir.path().join(name)).unwrap();
        }
    }
    dir
}

/// Asks everything that the file of commands asks. A command is a line; its reply, in the notation of the harness, the
/// next one, indented.
fn compare(server: &Server, what: &str) {
    let text = fs::read_to_string(fixtures().join("data-v1.txt")).unwrap();
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

#[test]
fn what_the_first_version_wrote_is_all_there() {
    let dir = copy(&[]);
    let mut server = Server::start_in(dir.path(), &FLAGS);
    compare(&server, "opened");
    // As this version keeps it: from the log again, then from a checkpoint of its own with another number of shards.
    server.kill9();
    server.up();
    compare(&server, "opened again");
    assert!(server.client().run("SAVE").is_ok());
    server.restart();
    compare(&server, "from a new checkpoint");
}

#[test]
fn the_older_checkpoint_and_the_log_behind_it_give_the_same() {
    let dir = copy(&["checkpoint-0000000002-00000000000000000118.ckpt"]);
    compare(&Server::start_in(dir.path(), &FLAGS), "from the older checkpoint");
}

#[test]
fn a_data_folder_that_uses_more_databases_is_refused() {
    let dir = copy(&[]);
    let error = Server::try_start_in(dir.path(), &["--databases", "15"]).err().unwrap();
    assert!(error.contains("database 15 is in use, but the option databases is 15"), "{error}");
}
