//! What the operating system tells about this process and the machine.

use std::sync::OnceLock;
use std::time::Duration;

/// Seconds of processor time that the process has used.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    /// In its own code.
    pub user: f64,
    /// In the kernel.
    pub system: f64,
}

/// The processor time so far, in steps of 10 ms. Reads a small virtual file.
pub fn cpu_time() -> CpuTime {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The program's name, in parentheses, may hold any characters.
    let fields: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .map(|field| field.parse().unwrap_or(0))
        .collect();
    // The kernel reports ticks of 10 ms, independent of its own timer rate.
    let seconds = |at: usize| fields.get(at).map_or(0.0, |ticks| *ticks as f64 / 100.0);
    CpuTime { user: seconds(10), system: seconds(11) }
}

/// Bytes of the process that are in memory. Reads a small virtual file.
pub fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size() as u64
}

/// Bytes of memory that the machine has.
pub fn total_memory() -> u64 {
    static TOTAL: OnceLock<u64> = OnceLock::new();
    *TOTAL.get_or_init(|| {
        let info = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = info.lines().find_map(|line| line.strip_prefix("MemTotal:"));
        let kib: u64 = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        kib * 1024
    })
}

/// The operating system's name, release and architecture.
pub fn system_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        format!("Linux {} {}", release.trim(), std::env::consts::ARCH)
    })
}

/// Raises the number of files that the process may open to `wanted`, as far as the system allows. Returns the resulting
/// number.
pub fn raise_file_limit(wanted: u64) -> u64 {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let possible = limit.maximum.unwrap_or(u64::MAX).min(wanted);
    limit.current = Some(possible);
    if setrlimit(Resource::Nofile, limit).is_ok() { possible } else { current }
}

/// From now on, files that this process creates have mode 0600 from the first moment, and folders 0700. Permissions
/// that are set later, such as those of a unix socket, are not limited.
pub fn keep_files_private() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// The path of the running program.
pub fn executable() -> String {
    std::env::current_exe().map(|path| path.display().to_string()).unwrap_or_default()
}

/// Whether systemd waits to be told about the state of this process.
pub fn is_supervised() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

/// How long [`rest`] sleeps at least. The system adds some 50 us.
const REST: Duration = Duration::from_micros(if cfg!(test) { 0 } else { 50 });

/// Rests for an instant before a piece of background work that holds a shard. A thread that has just slept has a time
/// slice before it, and other threads have had the processor. So the system seldom interrupts the thread while it holds
/// the shard, for which others would wait. A lower priority does the opposite.
pub fn rest() {
    std::thread::sleep(REST);
}

/// Lets threads that were woken on this processor run, between two pieces of background work. With the lazy preemption
/// of newer kernels the running thread may otherwise continue until the next tick, up to 4 ms. Costs a system call,
/// about 0.1 us.
pub fn give_way() {
    // Every system call is a point of preemption. sched_yield would in addition cost its caller a whole time slice.
    let _ = rustix::process::getpid();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_knows_itself() {
        assert!(resident_bytes() > 100_000);
        assert!(total_memory() > resident_bytes());
        assert!(system_name().starts_with("Linux "));
        assert!(!executable().is_empty());
        let before = cpu_time();
        assert!(cpu_time().user >= before.user);
    }
}
