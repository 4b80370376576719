//! Measures a server's memory, and reads the bounds that the code defines for it.

use super::Server;
use std::path::{Path, PathBuf};

/// A megabyte.
pub(crate) const MB: usize = 1 << 20;

/// A figure of the process's status, in bytes.
fn status(server: &Server, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap() * 1024
}

/// The most bytes of the process that were resident at one time. The kernel notes it from inexact counters when memory
/// is given back, so that a later reading may be some hundred kilobytes less than an earlier one.
pub(crate) fn peak(server: &Server) -> usize {
    status(server, "VmHWM")
}

/// By how many bytes the peak is above one that was read before.
pub(crate) fn grown_since(before: usize, server: &Server) -> usize {
    peak(server).saturating_sub(before)
}

/// The resident bytes of the process. Resets the peak to this value.
pub(crate) fn resident(server: &Server) -> usize {
    std::fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    status(server, "VmRSS")
}

/// `used_memory` in bytes.
pub(crate) fn used(server: &Server) -> usize {
    server.info("used_memory").parse().unwrap()
}

fn sources(under: &Path, all: &mut Vec<PathBuf>) {
    if under.is_file() {
        return all.push(under.to_owned());
    }
    for entry in std::fs::read_dir(under).unwrap() {
        sources(&entry.unwrap().path(), all);
    }
}

/// The value of the constant with this name. It must be defined only once in the files under `at`, as a product or a
/// shift of numbers.
pub(crate) fn constant(at: &str, name: &str) -> usize {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(at), &mut files);
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    let head = format!("const {name}: ");
    let found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_once(&head)?.1.split_once("= "))
        .map(|(_, value)| value)
        .collect();
    let [value] = found[..] else { panic!("{name} is not defined once in {at}: {found:?}") };
    let number = |text: &str| text.trim().replace('_', "").parse::<usize>().unwrap();
    let value = value.trim_end_matches(';');
    match value.split_once("<<") {
        Some((base, shift)) => number(base) << number(shift),
        None => value.split('*').map(number).product(),
    }
}
