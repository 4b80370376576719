//! Faults that strace injects into a running server's system calls.

use super::Server;
use std::collections::HashSet;
use std::fs::{self, DirEntry, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// An attached strace. Dropping it removes the fault and leaves the server running.
pub(crate) struct Fault {
    strace: Child,
    folder: TempDir,
    pid: u32,
}

/// How long it may take until all threads of a server have stopped between two calls.
const STOPPING: Duration = Duration::from_mins(1);
/// The text that strace writes for a thread that has stopped.
const STOPPED: &str = " --- stopped by SIGSTOP ---";

impl Fault {
    /// Injects a fault into calls of `syscalls` (names separated by commas). `fault` has the form of strace's `inject`,
    /// such as `error=EIO:when=1+`. With `files`, only calls on one of these files count.
    pub(crate) fn inject(server: &Server, syscalls: &str, fault: &str, files: &[PathBuf]) -> Fault {
        let folder = tempfile::Builder::new().prefix("itemory-strace-").tempdir().unwrap();
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &server.pid().to_string(), "-o"]).arg(folder.path().join("trace"));
        command.args(["-e", &format!("trace={syscalls}"), "-e", &format!("inject={syscalls}:{fault}")]);
        for file in files {
            command.arg("-P").arg(file);
        }
        let mut strace = command.stderr(Stdio::piped()).spawn().expect("strace");
        let mut lines = BufReader::new(strace.stderr.take().unwrap()).lines();
        let attached = lines.by_ref().map_while(Result::ok).find(|l| l.contains("attached"));
        assert!(attached.is_some(), "strace did not attach");
        // The rest of strace's output is read to its end, so that strace never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        Fault { strace, folder, pid: server.pid() }
    }

    fn trace(&self) -> String {
        fs::read_to_string(self.folder.path().join("trace")).unwrap_or_default()
    }

    /// Stops the server and waits until no thread is within a call, which is so when strace has written of each thread
    /// that it has stopped. Returns at once if the process ends.
    fn stop_between_calls(&self) {
        let before = self.trace().len();
        if !signal(self.pid, "-STOP") {
            return;
        }
        let deadline = Instant::now() + STOPPING;
        loop {
            let trace = self.trace();
            let stopped: HashSet<&str> = trace[before..]
                .lines()
                .filter_map(|line| line.strip_suffix(STOPPED))
                .map(str::trim)
                .collect();
            let Ok(tasks) = fs::read_dir(format!("/proc/{}/task", self.pid)) else { return };
            // A thread that has ended, and a process that has ended before its parent asked for its status, is not
            // waited for.
            let runs = |path: PathBuf| {
                let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
                stat.rsplit(") ")
                    .next()
                    .is_some_and(|state| !state.is_empty() && !state.starts_with(['Z', 'X']))
            };
            let is_within = |task: &DirEntry| {
                !stopped.contains(task.file_name().to_string_lossy().as_ref()) && runs(task.path())
            };
            if !tasks.flatten().any(|task| is_within(&task)) {
                return;
            }
            if Instant::now() > deadline {
                eprintln!("a thread of {} does not stop", self.pid);
                return;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The number of calls that got the fault so far.
    pub(crate) fn hits(&self) -> usize {
        self.trace().lines().filter(|l| l.contains("INJECTED") || l.contains("DELAYED")).count()
    }
}

/// Sends a signal to a process. Returns false if there is no such process.
fn signal(pid: u32, signal: &str) -> bool {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).stderr(Stdio::null()).status();
    sent.is_ok_and(|status| status.success())
}

impl Drop for Fault {
    /// If strace ended while it held a call whose error it had not yet returned, the call would fail as one that does
    /// not exist. So strace ends while the server is stopped.
    fn drop(&mut self) {
        self.stop_between_calls();
        signal(self.strace.id(), "-INT");
        drop(self.strace.wait());
        signal(self.pid, "-CONT");
    }
}

/// A small file system of its own, which is removed when this is dropped.
pub(crate) struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Makes an ext4 file system of so many megabytes in a file. If mounting is not permitted, returns `None` and says
    /// so on standard error.
    pub(crate) fn new(megabytes: u64) -> Option<SmallDisk> {
        let folder = tempfile::Builder::new().prefix("itemory-disk-").tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
        let made = Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(&image).status();
        assert!(made.expect("mkfs.ext4").success());
        let at = folder.path().join("mount");
        fs::create_dir(&at).unwrap();
        let as_loop = Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&at).output().unwrap();
        if !as_loop.status.success() {
            let size = format!("size={megabytes}m");
            let tmpfs = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&at).output();
            let tmpfs = tmpfs.unwrap();
            if !tmpfs.status.success() {
                eprintln!(
                    "\n*** NOT TESTED on a full disk: mounting is not permitted here ***\n{}{}",
                    String::from_utf8_lossy(&as_loop.stderr),
                    String::from_utf8_lossy(&tmpfs.stderr)
                );
                return None;
            }
        }
        Some(SmallDisk { folder })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("mount")
    }

    /// Fills the disk except for `bytes` bytes, with a file that [`SmallDisk::make_room`] removes.
    pub(crate) fn fill_but(&self, bytes: u64) {
        let free = free_bytes(&self.path());
        let mut ballast = Command::new("fallocate");
        ballast.args(["-l", &free.saturating_sub(bytes).to_string()]).arg(self.path().join("ballast"));
        assert!(ballast.status().expect("fallocate").success());
    }

    pub(crate) fn make_room(&self) {
        fs::remove_file(self.path().join("ballast")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(self.path()).status());
    }
}

fn free_bytes(path: &Path) -> u64 {
    let out = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(path).output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let mut numbers = text.split_whitespace().map(|n| n.parse::<u64>().unwrap());
    numbers.next().unwrap() * numbers.next().unwrap()
}
