//! HOTKEYS: the keys on which commands spend most time or most bytes, while somebody asks for it.

use crate::env::Instant;
use crate::env::process::cpu_time;
use ahash::AHashMap;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The most bytes that the names of the counted keys take. When there would be more, the keys with less are forgotten
/// until half of it is free. A longer name than that half is not counted.
const MOST_BYTES: usize = 16 << 20;
/// For each key that is shown, so many are counted. When there are twice as many, the lower half is forgotten.
const COUNTED_FOR_EACH: usize = 100;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct HotKeysAsked {
    /// The time of processors.
    pub cpu: bool,
    /// The bytes of requests and replies.
    pub net: bool,
    /// How many keys are shown for each of them.
    pub count: usize,
    /// One of so many commands is counted for its keys, by chance.
    pub sample: u64,
    /// After how many milliseconds counting ends by itself.
    pub duration_ms: Option<u64>,
}

/// Keys with what they have taken. Which keys are forgotten depends on what came before, so counts are estimates as
/// soon as there are more keys than are counted.
#[derive(Debug, Default)]
struct Ranking {
    counts: AHashMap<Box<[u8]>, u64>,
    room: usize,
    /// The bytes of the names.
    bytes: usize,
}

impl Ranking {
    fn add(&mut self, key: &[u8], amount: u64) {
        if let Some(count) = self.counts.get_mut(key) {
            *count += amount;
            return;
        }
        if key.len() > MOST_BYTES / 2 {
            return;
        }
        if self.counts.len() >= 2 * self.room || self.bytes + key.len() > MOST_BYTES {
            self.forget_some();
        }
        self.bytes += key.len();
        self.counts.insert(key.into(), amount);
    }

    /// Forgets the keys that have taken less: all but `room`, and as many as it takes to have half of the bytes free. A
    /// name that does not fit beside those that have taken more does not displace the shorter ones behind it.
    fn forget_some(&mut self) {
        let mut bytes = 0;
        let fits = |(key, _): &(Box<[u8]>, u64)| {
            let fits = bytes + key.len() <= MOST_BYTES / 2;
            if fits {
                bytes += key.len();
            }
            fits
        };
        self.counts = self.top(self.room).into_iter().filter(fits).collect();
        self.bytes = bytes;
    }

    /// The keys that have taken most, the first one most.
    fn top(&self, count: usize) -> Vec<(Box<[u8]>, u64)> {
        let mut all: Vec<(&[u8], u64)> = self.counts.iter().map(|(key, count)| (&**key, *count)).collect();
        all.sort_unstable_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(other.0)));
        all.truncate(count);
        all.into_iter().map(|(key, count)| (key.into(), count)).collect()
    }
}

/// What one command has taken.
#[derive(Clone, Copy, Debug)]
pub struct Spent {
    /// Its duration, in ns.
    pub nanos: u64,
    /// The bytes of its arguments and its reply.
    pub bytes: u64,
}

/// A session of counting. It stays until it is reset or the next one begins.
#[derive(Debug)]
struct Session {
    wanted: HotKeysAsked,
    began: Instant,
    began_unix_ms: u64,
    /// The processor time of the process when it began, in ms: of itself and of the system for it.
    cpu_ms: (u64, u64),
    /// How long it took and the processor time that it ended with, once it has ended.
    ended: Option<(u64, (u64, u64))>,
    all: Spent,
    by_cpu: Ranking,
    by_net: Ranking,
}

/// What HOTKEYS GET shows.
#[derive(Debug)]
pub struct HotKeysFound {
    /// Whether it goes on.
    pub active: bool,
    /// What was asked for.
    pub wanted: HotKeysAsked,
    /// When it began, in ms since the epoch.
    pub began_unix_ms: u64,
    /// For how long keys were counted, in ms.
    pub duration_ms: u64,
    /// The processor time of the process meanwhile, in ms: of itself and of the system for it.
    pub cpu_ms: (u64, u64),
    /// What all commands took.
    pub all: Spent,
    /// The keys with most processor time, in ns.
    pub by_cpu: Vec<(Box<[u8]>, u64)>,
    /// The keys with most bytes.
    pub by_net: Vec<(Box<[u8]>, u64)>,
}

/// The processor time of the process in ms: of itself and of the system for it.
fn cpu_ms() -> (u64, u64) {
    let used = cpu_time();
    ((used.user * 1000.0) as u64, (used.system * 1000.0) as u64)
}

/// The counting of hot keys. Commands are not slowed by more than a look at a flag while it is off.
#[derive(Default, Debug)]
pub struct HotKeys {
    active: AtomicBool,
    session: Mutex<Option<Session>>,
}

impl HotKeys {
    /// Whether commands are to be counted.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Relaxed)
    }

    /// Begins to count. False if that was begun already.
    pub fn start(&self, wanted: HotKeysAsked, now: Instant, unix_ms: u64) -> bool {
        let mut session = self.session.lock();
        if self.is_going_on(&mut session, now) {
            return false;
        }
        let ranking = || Ranking { counts: AHashMap::new(), room: wanted.count * COUNTED_FOR_EACH, bytes: 0 };
        *session = Some(Session {
            wanted,
            began: now,
            began_unix_ms: unix_ms,
            cpu_ms: cpu_ms(),
            ended: None,
            all: Spent { nanos: 0, bytes: 0 },
            by_cpu: ranking(),
            by_net: ranking(),
        });
        self.active.store(true, Relaxed);
        true
    }

    /// Ends the counting, and keeps what was counted. False if there was none.
    pub fn stop(&self, now: Instant) -> bool {
        let mut session = self.session.lock();
        let going_on = self.is_going_on(&mut session, now);
        if let Some(session) = session.as_mut().filter(|_| going_on) {
            session.ended = Some((now.ms_since(session.began), cpu_ms()));
            self.active.store(false, Relaxed);
        }
        going_on
    }

    /// Forgets what was counted. False if the counting goes on.
    pub fn reset(&self, now: Instant) -> bool {
        let mut session = self.session.lock();
        if self.is_going_on(&mut session, now) {
            return false;
        }
        *session = None;
        true
    }

    /// Counts a command. `chance` is a random number, and `keys` gives the command's keys.
    pub fn count(
        &self,
        spent: Spent,
        now: Instant,
        chance: u64,
        keys: &mut dyn FnMut(&mut dyn FnMut(&[u8])),
    ) {
        let mut guard = self.session.lock();
        if !self.is_going_on(&mut guard, now) {
            return;
        }
        let Some(session) = &mut *guard else { return };
        session.all.nanos += spent.nanos;
        session.all.bytes += spent.bytes;
        if !chance.is_multiple_of(session.wanted.sample) {
            return;
        }
        let mut number = 0;
        keys(&mut |_| number += 1);
        keys(&mut |key| {
            if session.wanted.cpu {
                session.by_cpu.add(key, spent.nanos / number);
            }
            if session.wanted.net {
                session.by_net.add(key, spent.bytes / number);
            }
        });
    }

    /// What was counted so far; nothing if it never began or was reset.
    pub fn report(&self, now: Instant) -> Option<HotKeysFound> {
        let mut guard = self.session.lock();
        let active = self.is_going_on(&mut guard, now);
        let session = guard.as_ref()?;
        let (duration_ms, cpu) = session.ended.unwrap_or_else(|| (now.ms_since(session.began), cpu_ms()));
        let count = session.wanted.count;
        Some(HotKeysFound {
            active,
            wanted: session.wanted,
            began_unix_ms: session.began_unix_ms,
            duration_ms,
            cpu_ms: (cpu.0.saturating_sub(session.cpu_ms.0), cpu.1.saturating_sub(session.cpu_ms.1)),
            all: session.all,
            by_cpu: session.by_cpu.top(count),
            by_net: session.by_net.top(count),
        })
    }

    /// Whether a session goes on. It ends here if its time is up.
    fn is_going_on(&self, session: &mut Option<Session>, now: Instant) -> bool {
        let Some(session) = session.as_mut().filter(|session| session.ended.is_none()) else { return false };
        let passed = now.ms_since(session.began);
        if let Some(most) = session.wanted.duration_ms.filter(|most| passed >= *most) {
            session.ended = Some((most, cpu_ms()));
            self.active.store(false, Relaxed);
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(duration_ms: Option<u64>) -> HotKeysAsked {
        HotKeysAsked { cpu: true, net: true, count: 2, sample: 1, duration_ms }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_nanos(0).after_ms(ms)
    }

    fn count(hot: &HotKeys, now: Instant, nanos: u64, keys: &[&[u8]]) {
        let visit = &mut |each: &mut dyn FnMut(&[u8])| keys.iter().for_each(|key| each(key));
        hot.count(Spent { nanos, bytes: 2 * nanos }, now, 0, visit);
    }

    #[test]
    fn the_hottest_keys_are_found_among_many() {
        let hot = HotKeys::default();
        assert!(hot.start(wanted(None), at(0), 7));
        assert!(!hot.start(wanted(None), at(0), 7));
        for round in 0..10_000_u32 {
            count(&hot, at(1), 10, &[b"often"]);
            count(&hot, at(1), 8, &[b"both", b"also"]);
            count(&hot, at(1), 1, &[format!("seldom{round}").as_bytes()]);
        }
        let session = hot.session.lock();
        let kept = session.as_ref().unwrap().by_cpu.counts.len();
        drop(session);
        assert!(kept <= 2 * 2 * COUNTED_FOR_EACH, "{kept}");
        let report = hot.report(at(5)).unwrap();
        assert!(report.active);
        assert_eq!((report.began_unix_ms, report.duration_ms), (7, 5));
        assert_eq!(report.by_cpu, [(Box::from(&b"often"[..]), 100_000), (Box::from(&b"also"[..]), 40_000)]);
        assert_eq!(report.by_net, [(Box::from(&b"often"[..]), 200_000), (Box::from(&b"also"[..]), 80_000)]);
        assert_eq!((report.all.nanos, report.all.bytes), (190_000, 380_000));
        assert!(!hot.reset(at(5)));
        assert!(hot.stop(at(6)));
        assert!(!hot.stop(at(6)));
        assert_eq!(hot.report(at(9)).unwrap().duration_ms, 6);
        assert!(hot.reset(at(9)));
        assert!(hot.report(at(9)).is_none());
    }

    #[test]
    fn long_names_are_counted_within_bounded_memory() {
        let hot = HotKeys::default();
        assert!(hot.start(wanted(None), at(0), 0));
        let (hottest, too_long) = (vec![b'h'; MOST_BYTES / 2], vec![b'x'; MOST_BYTES / 2 + 1]);
        count(&hot, at(1), 1000, &[hottest.as_slice()]);
        count(&hot, at(1), 5000, &[too_long.as_slice()]);
        for number in 0..60_u8 {
            count(&hot, at(1), 1 + u64::from(number), &[vec![number; 1 << 20].as_slice()]);
            let session = hot.session.lock();
            let ranking = &session.as_ref().unwrap().by_cpu;
            let bytes: usize = ranking.counts.keys().map(|key| key.len()).sum();
            assert!(bytes == ranking.bytes && bytes <= MOST_BYTES);
        }
        let report = hot.report(at(1)).unwrap();
        let found: Vec<(usize, u64)> = report.by_cpu.iter().map(|(key, nanos)| (key.len(), *nanos)).collect();
        assert_eq!(found, [(hottest.len(), 1000), (1 << 20, 60)]);
    }

    #[test]
    fn long_names_do_not_displace_the_hot_keys_below_them() {
        let hot = HotKeys::default();
        assert!(hot.start(wanted(None), at(0), 0));
        count(&hot, at(1), 50, &[b"hot"]);
        for number in 0..10_u8 {
            count(&hot, at(1), 100, &[vec![number; 5 << 20].as_slice()]);
        }
        let session = hot.session.lock();
        let ranking = &session.as_ref().unwrap().by_cpu;
        let bytes: usize = ranking.counts.keys().map(|key| key.len()).sum();
        assert!(bytes == ranking.bytes && bytes <= MOST_BYTES);
        assert_eq!(ranking.counts.get(&b"hot"[..]), Some(&50));
    }

    #[test]
    fn counting_ends_when_its_time_is_up() {
        let hot = HotKeys::default();
        assert!(hot.start(wanted(Some(100)), at(0), 0));
        count(&hot, at(99), 1, &[b"before"]);
        count(&hot, at(100), 1, &[b"behind"]);
        assert!(!hot.is_active());
        let report = hot.report(at(500)).unwrap();
        assert_eq!((report.active, report.duration_ms), (false, 100));
        assert_eq!(report.by_cpu, [(Box::from(&b"before"[..]), 1)]);
        assert!(hot.start(wanted(None), at(600), 0));
        assert!(hot.report(at(600)).unwrap().by_cpu.is_empty());
    }

    #[test]
    fn only_what_was_asked_for_is_counted() {
        let hot = HotKeys::default();
        assert!(hot.start(HotKeysAsked { net: false, sample: 3, ..wanted(None) }, at(0), 0));
        for chance in 0..9 {
            let visit = &mut |each: &mut dyn FnMut(&[u8])| each(b"k");
            hot.count(Spent { nanos: 1, bytes: 1 }, at(0), chance, visit);
        }
        let report = hot.report(at(0)).unwrap();
        assert_eq!(report.by_cpu, [(Box::from(&b"k"[..]), 3)]);
        assert!(report.by_net.is_empty());
        assert_eq!(report.all.nanos, 9);
    }
}
