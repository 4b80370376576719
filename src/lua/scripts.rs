//! The scripts that a server knows, by the SHA-1 of their text.

use ahash::AHashMap;
use parking_lot::Mutex;
use sha1::{Digest, Sha1};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// So many scripts that came with EVAL are kept, as in Redis 8. Those that SCRIPT LOAD brought are all kept.
const MOST_EVALUATED: usize = 500;

/// The forty hexadecimal digits of a SHA-1.
pub type Sha = [u8; 40];

/// The SHA-1 of some bytes, in lower case.
pub fn sha_of(bytes: &[u8]) -> Sha {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 40];
    for (pair, byte) in text.chunks_exact_mut(2).zip(Sha1::digest(bytes)) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    text
}

/// The flags that scripts and functions may have.
pub const FLAG_NAMES: [&str; 5] =
    ["no-writes", "allow-oom", "allow-stale", "no-cluster", "allow-cross-slot-keys"];

/// What a script declares in its first line, `#!lua flags=...`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flags {
    /// Whether there is such a line. Without it a script may do what scripts could before there were flags.
    pub declared: bool,
    /// The script writes nothing.
    pub no_writes: bool,
    /// It runs when memory is short.
    pub allow_oom: bool,
}

impl Flags {
    /// Sets a flag by its name; false if there is none of that name.
    pub fn set(&mut self, name: &[u8]) -> bool {
        match name {
            b"no-writes" => self.no_writes = true,
            b"allow-oom" => self.allow_oom = true,
            // There are no stale replicas and no cluster.
            b"allow-stale" | b"no-cluster" | b"allow-cross-slot-keys" => {}
            _ => return false,
        }
        true
    }

    /// The flags of a function, given a bit for each of [`FLAG_NAMES`].
    pub fn of_function(bits: u8) -> Self {
        Self { declared: true, no_writes: bits & 1 != 0, allow_oom: bits & 2 != 0 }
    }

    /// Reads the first line of a script, and says how long it is.
    ///
    /// # Errors
    /// The text of the error.
    pub fn of(body: &[u8]) -> Result<(Self, usize), Vec<u8>> {
        let mut flags = Self::default();
        if !body.starts_with(b"#!") {
            return Ok((flags, 0));
        }
        let end = memchr::memchr(b'\n', body).ok_or(&b"ERR Invalid script shebang"[..])?;
        let about = |text: &str, what: &[u8]| [b"ERR ", text.as_bytes(), what].concat();
        let mut words = body[..end].split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let engine = words.next().unwrap_or_default();
        if engine != b"#!lua" {
            return Err(about("Unexpected engine in script shebang: ", engine));
        }
        flags.declared = true;
        for word in words {
            let names =
                word.strip_prefix(b"flags=").ok_or_else(|| about("Unknown lua shebang option: ", word))?;
            for name in names.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
                if !flags.set(name) {
                    return Err(about("Unexpected flag in script shebang: ", name));
                }
            }
        }
        Ok((flags, end))
    }
}

/// A script.
#[derive(Debug)]
pub struct Script {
    /// The SHA-1 of its text.
    pub sha: Sha,
    /// Its text.
    pub body: Box<[u8]>,
    /// What it declares.
    pub flags: Flags,
    /// Where Lua begins in the text.
    pub(super) code_at: usize,
    /// Whether SCRIPT LOAD brought it.
    is_kept: AtomicBool,
    /// The server has forgotten it, and so must the interpreters.
    pub(super) gone: AtomicBool,
    /// When it was last run, in ms since the epoch.
    last_run: AtomicU64,
    /// Whether it took long the last time, so that it is better begun on a thread of its own.
    pub takes_long: AtomicBool,
}

impl Script {
    /// A script of some text.
    ///
    /// # Errors
    /// The text of the error, if its first line is wrong.
    pub fn new(sha: Sha, body: &[u8]) -> Result<Self, Vec<u8>> {
        let (flags, code_at) = Flags::of(body)?;
        Ok(Self {
            sha,
            body: body.into(),
            flags,
            code_at,
            is_kept: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            last_run: AtomicU64::new(0),
            takes_long: AtomicBool::new(false),
        })
    }

    /// Notes that it is run, `now` being the time in ms since the epoch. Nothing is written twice in one millisecond.
    #[inline]
    pub fn touch(&self, now: u64) {
        if self.last_run.load(Relaxed) != now {
            self.last_run.store(now, Relaxed);
        }
    }

    /// Whether the server has forgotten it.
    pub fn is_gone(&self) -> bool {
        self.gone.load(Relaxed)
    }
}

/// The scripts that a server knows.
#[derive(Default)]
pub struct Scripts {
    known: Mutex<AHashMap<Sha, Arc<Script>>>,
    /// Their texts' bytes.
    bytes: AtomicUsize,
    /// How many were forgotten to make room.
    evicted: AtomicU64,
}

impl Scripts {
    /// The script with a SHA-1 in lower case.
    pub fn get(&self, sha: &Sha) -> Option<Arc<Script>> {
        self.known.lock().get(sha).cloned()
    }

    /// Keeps a script; `loaded`: until SCRIPT FLUSH. Gives the one that is known already, if there is one. `now` is the
    /// time in ms since the epoch.
    pub fn add(&self, script: Arc<Script>, loaded: bool, now: u64) -> Arc<Script> {
        let mut known = self.known.lock();
        let before = known.get(&script.sha).cloned();
        let script = before.unwrap_or_else(|| {
            self.bytes.fetch_add(script.body.len(), Relaxed);
            known.insert(script.sha, Arc::clone(&script));
            script
        });
        if loaded {
            script.is_kept.store(true, Relaxed);
        }
        script.touch(now);
        let evaluated = || known.values().filter(|script| !script.is_kept.load(Relaxed));
        if known.len() > MOST_EVALUATED && evaluated().count() > MOST_EVALUATED {
            let others = evaluated().filter(|other| !Arc::ptr_eq(other, &script));
            let oldest = others.min_by_key(|script| script.last_run.load(Relaxed)).map(|s| s.sha);
            if let Some(oldest) = oldest.and_then(|sha| known.remove(&sha)) {
                oldest.gone.store(true, Relaxed);
                self.bytes.fetch_sub(oldest.body.len(), Relaxed);
                self.evicted.fetch_add(1, Relaxed);
            }
        }
        script
    }

    /// Forgets all scripts.
    pub fn clear(&self) {
        let all = std::mem::take(&mut *self.known.lock());
        self.bytes.store(0, Relaxed);
        all.values().for_each(|script| script.gone.store(true, Relaxed));
    }

    /// How many there are, the bytes of their texts, and how many were forgotten to make room.
    pub fn figures(&self) -> (usize, usize, u64) {
        (self.known.lock().len(), self.bytes.load(Relaxed), self.evicted.load(Relaxed))
    }
}
