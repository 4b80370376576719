//! Runs the behaviour scripts in `tests/scripts` on the tested server beside a real redis-server, and on that server
//! beside itself.

use crate::script::{Pair, run_file};
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")
}

macro_rules! scripts {
    ($($name:ident)*) => {
        /// The tested server (or the one that the environment names) and the referee give the same replies.
        mod target {
            $(#[test]
            fn $name() {
                super::run_file(&super::folder().join(concat!(stringify!($name), ".txt")), super::Pair::TargetAndReferee);
            })*
        }

        /// Two runs of the referee give the same replies, so a difference is the target's.
        mod referee {
            $(#[test]
            fn $name() {
                super::run_file(&super::folder().join(concat!(stringify!($name), ".txt")), super::Pair::RefereeTwice);
            })*
        }

        const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
    };
}

scripts! {
    acl bitmaps client command config connection dump errors eviction expire functions geo hashes hyperloglog items keys libraries lists newer_connection newer_hashes newer_lists newer_server newer_sets newer_streams newer_strings newer_zsets notifications protocol pubsub scan scripting server sets sort streams strings transactions zsets
}

#[test]
fn every_script_is_run() {
    let mut found: Vec<String> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    let mut listed: Vec<&str> = SCRIPTS.to_vec();
    listed.sort_unstable();
    assert_eq!(found, listed);
}
