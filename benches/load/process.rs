//! Reads figures of the server's process, and starts background work in the server during a run.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

/// Processor time that all threads of process `pid` have used, in nanoseconds, user and system together.
///
/// It is the sum of what `/proc/PID/task/*/schedstat` shows, except that threads which have ended are in it
/// and that a running thread is counted up to this instant and not up to its last tick.
#[allow(unsafe_code)]
pub(crate) fn cpu_nanos(pid: i32) -> Result<u64, String> {
    let mut clock = 0;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both calls write into the variable that they are given, which outlives them, and nothing else.
    let result = unsafe {
        match libc::clock_getcpuclockid(pid, &raw mut clock) {
            0 => libc::clock_gettime(clock, &raw mut time),
            error => error,
        }
    };
    if result != 0 {
        return Err(format!("the processor clock of process {pid} cannot be read ({result})"));
    }
    Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Resident memory of process `pid` in kibibytes.
pub(crate) fn resident_kib(pid: i32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .ok_or_else(|| format!("{path} has no VmRSS"))
}

const RUNNING: u8 = 0;
const FINISHED: u8 = 1;
const FAILED: u8 = 2;

/// A command such as BGSAVE, which was sent from a thread of its own. The thread waits until the server has finished
/// it.
pub(crate) struct Background {
    state: Arc<AtomicU8>,
}

impl Background {
    /// Sends `command` to the server at `port`, then asks ten times a second whether it still goes on: a save, or the
    /// filling of an index that the command adds to the table `bench`.
    pub(crate) fn start(port: u16, command: &str) -> Result<Background, String> {
        let state = Arc::new(AtomicU8::new(RUNNING));
        let (shared, command) = (Arc::clone(&state), command.to_owned());
        std::thread::Builder::new()
            .spawn(move || {
                let result = run_command(port, &command);
                if let Err(error) = &result {
                    eprintln!("{command}: {error}");
                }
                shared.store(if result.is_ok() { FINISHED } else { FAILED }, Ordering::Release);
            })
            .map_err(|error| format!("no thread for the background command: {error}"))?;
        Ok(Background { state })
    }

    /// Whether the server has finished.
    pub(crate) fn is_finished(&self) -> Result<bool, String> {
        match self.state.load(Ordering::Acquire) {
            RUNNING => Ok(false),
            FINISHED => Ok(true),
            _ => Err("the background command failed".into()),
        }
    }
}

fn run_command(port: u16, command: &str) -> Result<(), String> {
    let mut control = Control::connect(port)?;
    let reply = control.ask(command)?;
    if reply.starts_with('-') {
        return Err(reply);
    }
    let (question, busy) = if command.starts_with("TABLE.INDEX ") {
        ("DDB DescribeTable '{\"TableName\":\"bench\"}'", INDEXING)
    } else {
        ("INFO persistence", SAVING)
    };
    loop {
        std::thread::sleep(Duration::from_millis(100));
        let state = control.ask(question)?;
        if state.starts_with('-') {
            return Err(state);
        }
        if state.contains("rdb_last_bgsave_status:err") {
            return Err("the server's last save failed".into());
        }
        if !busy.iter().any(|sign| state.contains(sign)) {
            return Ok(());
        }
    }
}

/// The lines of INFO while a server saves.
const SAVING: &[&str] = &["rdb_bgsave_in_progress:1", "aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"];
/// The text in a table's description while one of its indexes is filled.
const INDEXING: &[&str] = &["\"IndexStatus\":\"CREATING\""];

/// A blocking connection for single commands.
pub(crate) struct Control {
    stream: BufReader<TcpStream>,
}

impl Control {
    /// Connects to the server at `port` on the loopback interface; replies must come within a minute.
    pub(crate) fn connect(port: u16) -> Result<Control, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("connect: {error}"))?;
        stream.set_read_timeout(Some(Duration::from_mins(1))).map_err(|error| error.to_string())?;
        Ok(Control { stream: BufReader::new(stream) })
    }

    /// Sends an inline command and returns its reply: a line, or the text of a bulk string.
    pub(crate) fn ask(&mut self, command: &str) -> Result<String, String> {
        let fail = |error: std::io::Error| format!("`{command}`: {error}");
        self.stream.get_mut().write_all(format!("{command}\r\n").as_bytes()).map_err(fail)?;
        let mut line = String::new();
        self.stream.read_line(&mut line).map_err(fail)?;
        let Some(length) = line.strip_prefix('$').and_then(|digits| digits.trim_end().parse::<usize>().ok())
        else {
            return if line.is_empty() { Err(format!("`{command}`: no reply")) } else { Ok(line) };
        };
        let mut text = vec![0; length + 2];
        self.stream.read_exact(&mut text).map_err(fail)?;
        Ok(String::from_utf8_lossy(&text[..length]).into_owned())
    }
}
