//! Calls that fail while a server starts. Either it serves, or it reports why it does not start and has changed nothing
//! that the next start needs.

use super::Case;
use super::scenes::{agrees, verify};
use crate::harness::{Client, Random, Server};
use crate::writers::Writer;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const WRITERS: usize = 2;
/// The number of writes that are acknowledged before the server is killed, and again after the start.
const LOAD: usize = 30;
/// How often a start is tried if another process has taken the port.
const STARTS: usize = 5;

/// The data folder, its files, and the names that a start may create there.
pub(super) fn files(data: &Path) -> Vec<PathBuf> {
    let there = std::fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let new = ["MANIFEST.tmp", "segment-next-1.tmp", "segment-next-2.tmp", "segment-next-3.tmp"];
    let mut files: Vec<PathBuf> = there.chain(new.iter().map(|name| data.join(name))).collect();
    files.push(data.to_path_buf());
    files
}

fn load(server: &Server, writers: &mut [Writer], case: Case) {
    let (acknowledged, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for writer in writers {
            let (client, acknowledged, over) = (server.client(), &acknowledged, &over);
            scope.spawn(move || writer.run(client, acknowledged, over));
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while acknowledged.load(Relaxed) < LOAD && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(1));
        }
        over.store(true, Relaxed);
    });
    assert!(acknowledged.load(Relaxed) >= LOAD, "{case:?}: writes do not get through: {}", server.log());
}

/// Starts the server while calls fail. Returns whether it serves.
fn start(server: &mut Server, case: Case) -> bool {
    for _ in 0..STARTS {
        let before = server.log().len();
        let (fault, outcome) = server.try_up_with(|server| case.inject(server));
        let Err(status) = outcome else {
            // The fault lasts for a while, and may end the process.
            if let Ok(mut client) = Client::connect(server.address()) {
                client.run("SET probe 1");
            }
            std::thread::sleep(Duration::from_millis(100));
            drop(fault);
            return true;
        };
        let said = server.log()[before..].to_owned();
        if said.contains("ddress already in use") {
            continue;
        }
        assert!(!case.is_harmless() && !status.success(), "{case:?}: {status}: {said}");
        assert!(case.may_abort() || said.contains(case.words()), "{case:?}: {status}: {said}");
        return false;
    }
    panic!("{case:?}: no free port: {}", server.log());
}

pub(super) fn play(case: Case, random: &mut Random) {
    let mut server = case.server();
    let mut writers = Writer::several(WRITERS, random, true, case.refusals());
    load(&server, &mut writers, case);
    if random.one_in(2) {
        assert!(server.client().run("SAVE").is_ok(), "{case:?}");
        load(&server, &mut writers, case);
    }
    if random.one_in(2) {
        assert!(server.stop().success(), "{case:?}: {}", server.log());
    }
    server.kill9();
    let mut state = None;
    if start(&mut server, case) {
        state = agrees(&mut server, case);
        if state.is_some() {
            verify(&server, &mut writers, false, case);
        }
    }
    if state.as_deref() == Some("complete") {
        load(&server, &mut writers, case);
    }
    server.kill9();
    server.up();
    verify(&server, &mut writers, false, case);
    load(&server, &mut writers, case);
}
