//! Options whose value has parts: save points, buffer limits, events, percentiles, and a few more.

use super::value::{OptionValue, Words, memory_text, one_text, parse_loose, parse_memory, utf8};

fn words<const N: usize>(words: [String; N]) -> Words {
    words.map(String::into_bytes).into()
}

/// A checkpoint is due when `seconds` have passed since the last one and at least `changes` were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePoint {
    /// Seconds since the last checkpoint.
    pub seconds: u64,
    /// Changes since the last checkpoint.
    pub changes: u64,
}

impl OptionValue for Vec<SavePoint> {
    type Rule = ();

    const MULTI: bool = true;
    const ALWAYS_WRITTEN: bool = true;

    /// Lines of one source add up. A source's first line replaces the save points of other sources, and `""` removes
    /// all.
    fn parse((): &(), words: &[Vec<u8>], old: &Self, again: bool) -> Result<Self, String> {
        let refusal = || "Invalid save parameters".to_owned();
        if words.is_empty() || (words.len() == 1 && words[0].is_empty()) {
            return Ok(Vec::new());
        }
        let mut points = if again { old.clone() } else { Vec::new() };
        for pair in words.chunks(2) {
            let [seconds, changes] = pair else { return Err(refusal()) };
            match (parse_loose(seconds), parse_loose(changes)) {
                (Some(seconds @ 1..), Some(changes @ 0..)) => {
                    points.push(SavePoint { seconds: seconds as u64, changes: changes as u64 });
                }
                _ => return Err(refusal()),
            }
        }
        Ok(points)
    }

    fn show(&self, (): &()) -> Vec<u8> {
        let points: Vec<String> =
            self.iter().map(|point| format!("{} {}", point.seconds, point.changes)).collect();
        points.join(" ").into_bytes()
    }

    fn lines(&self, (): &()) -> Vec<Words> {
        if self.is_empty() {
            return vec![Words::new()];
        }
        self.iter().map(|point| words([point.seconds.to_string(), point.changes.to_string()])).collect()
    }

    fn describe((): &()) -> String {
        "pairs of seconds and changes".to_owned()
    }
}

/// When a client whose replies pile up is disconnected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimit {
    /// Bytes at which it is disconnected at once; 0 is no limit.
    pub hard_bytes: u64,
    /// Bytes above which it may stay only for `soft_seconds`; 0 is no limit.
    pub soft_bytes: u64,
    /// Seconds that it may stay above `soft_bytes`.
    pub soft_seconds: u64,
}

/// The output buffer limit of each class of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients, and those that MONITOR.
    pub normal: OutputLimit,
    /// Replicas.
    pub replica: OutputLimit,
    /// Clients with a subscription.
    pub pubsub: OutputLimit,
}

impl OptionValue for OutputLimits {
    type Rule = ();

    const MULTI: bool = true;

    fn parse((): &(), words: &[Vec<u8>], old: &Self, _: bool) -> Result<Self, String> {
        if !words.len().is_multiple_of(4) {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        }
        let mut limits = *old;
        for group in words.chunks(4) {
            let [class, hard, soft, seconds] = group else { continue };
            let limit = match class.to_ascii_lowercase().as_slice() {
                b"normal" => &mut limits.normal,
                b"slave" | b"replica" => &mut limits.replica,
                b"pubsub" => &mut limits.pubsub,
                _ => {
                    return Err("Invalid client class specified in buffer limit configuration.".to_owned());
                }
            };
            match (parse_memory(hard), parse_memory(soft), parse_loose(seconds)) {
                (Some(hard_bytes), Some(soft_bytes), Some(seconds @ 0..)) => {
                    *limit = OutputLimit { hard_bytes, soft_bytes, soft_seconds: seconds as u64 };
                }
                _ => {
                    return Err("Error in hard, soft or soft_seconds setting in buffer limit configuration."
                        .to_owned());
                }
            }
        }
        Ok(limits)
    }

    fn show(&self, (): &()) -> Vec<u8> {
        let one = |class: &str, limit: &OutputLimit| {
            format!("{class} {} {} {}", limit.hard_bytes, limit.soft_bytes, limit.soft_seconds)
        };
        // Redis keeps the old word for replicas here, and clients compare it.
        let (normal, replica, pubsub) =
            (one("normal", &self.normal), one("slave", &self.replica), one("pubsub", &self.pubsub));
        format!("{normal} {replica} {pubsub}").into_bytes()
    }

    fn lines(&self, (): &()) -> Vec<Words> {
        [("normal", &self.normal), ("replica", &self.replica), ("pubsub", &self.pubsub)]
            .into_iter()
            .map(|(class, limit)| {
                let (hard, soft) =
                    (memory_text(i128::from(limit.hard_bytes)), memory_text(i128::from(limit.soft_bytes)));
                words([class.to_owned(), hard, soft, limit.soft_seconds.to_string()])
            })
            .collect()
    }

    fn describe((): &()) -> String {
        "class, hard limit, soft limit, soft seconds".to_owned()
    }
}

/// Which key events are published, and on which kinds of channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyspaceEvents(u32);

impl KeyspaceEvents {
    /// `K`: publish on `__keyspace@<db>__:<key>`.
    pub const KEYSPACE: Self = Self(1);
    /// `E`: publish on `__keyevent@<db>__:<event>`.
    pub const KEYEVENT: Self = Self(1 << 1);
    /// `g`: commands of any type such as DEL, EXPIRE, RENAME.
    pub const GENERIC: Self = Self(1 << 2);
    /// `$`: string commands.
    pub const STRING: Self = Self(1 << 3);
    /// `l`: list commands.
    pub const LIST: Self = Self(1 << 4);
    /// `s`: set commands.
    pub const SET: Self = Self(1 << 5);
    /// `h`: hash commands.
    pub const HASH: Self = Self(1 << 6);
    /// `z`: sorted set commands.
    pub const ZSET: Self = Self(1 << 7);
    /// `x`: a key expired.
    pub const EXPIRED: Self = Self(1 << 8);
    /// `e`: a key was evicted.
    pub const EVICTED: Self = Self(1 << 9);
    /// `t`: stream commands.
    pub const STREAM: Self = Self(1 << 10);
    /// `m`: a key that does not exist was read; not part of `A`.
    pub const KEY_MISS: Self = Self(1 << 11);
    /// `d`: module types.
    pub const MODULE: Self = Self(1 << 12);
    /// `n`: a key was created; not part of `A`.
    pub const NEW: Self = Self(1 << 13);
    /// `S`: publish the fields on `__subkeyspace@<db>__:<key>`.
    pub const SUBKEYSPACE: Self = Self(1 << 14);
    /// `T`: publish the fields on `__subkeyevent@<db>__:<event>`.
    pub const SUBKEYEVENT: Self = Self(1 << 15);
    /// `I`: publish on `__subkeyspaceitem@<db>__:<key>\n<field>`.
    pub const SUBKEYSPACEITEM: Self = Self(1 << 16);
    /// `V`: publish the fields on `__subkeyspaceevent@<db>__:<event>|<key>`.
    pub const SUBKEYSPACEEVENT: Self = Self(1 << 17);
    /// `o`: another value took the place of a key's; not part of `A`.
    pub const OVERWRITTEN: Self = Self(1 << 18);
    /// `c`: that value is of another type; not part of `A`.
    pub const TYPE_CHANGED: Self = Self(1 << 19);

    /// `A`: every class but `m`, `n`, `o` and `c`.
    pub const ALL: Self = Self(
        Self::GENERIC.0
            | Self::STRING.0
            | Self::LIST.0
            | Self::SET.0
            | Self::HASH.0
            | Self::ZSET.0
            | Self::EXPIRED.0
            | Self::EVICTED.0
            | Self::STREAM.0
            | Self::MODULE.0,
    );

    /// Whether any of the classes of `other` is on.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// The classes of `A` in the order in which Redis writes them.
    const CLASSES: [(u8, Self); 10] = [
        (b'g', Self::GENERIC),
        (b'$', Self::STRING),
        (b'l', Self::LIST),
        (b's', Self::SET),
        (b'h', Self::HASH),
        (b'z', Self::ZSET),
        (b'x', Self::EXPIRED),
        (b'e', Self::EVICTED),
        (b't', Self::STREAM),
        (b'd', Self::MODULE),
    ];
    const OTHERS: [(u8, Self); 10] = [
        (b'K', Self::KEYSPACE),
        (b'E', Self::KEYEVENT),
        (b'm', Self::KEY_MISS),
        (b'n', Self::NEW),
        (b'o', Self::OVERWRITTEN),
        (b'c', Self::TYPE_CHANGED),
        (b'S', Self::SUBKEYSPACE),
        (b'T', Self::SUBKEYEVENT),
        (b'I', Self::SUBKEYSPACEITEM),
        (b'V', Self::SUBKEYSPACEEVENT),
    ];
}

impl OptionValue for KeyspaceEvents {
    type Rule = ();

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let mut events = 0;
        for letter in one_text(words)?.bytes() {
            let mut known = Self::CLASSES.iter().chain(&Self::OTHERS);
            events |= match known.find(|(known, _)| *known == letter) {
                Some((_, class)) => class.0,
                None if letter == b'A' => Self::ALL.0,
                None => return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdnocSTIV'.".to_owned()),
            };
        }
        Ok(Self(events))
    }

    fn show(&self, (): &()) -> Vec<u8> {
        let mut letters = Vec::new();
        let on = |list: &[(u8, Self)]| -> Vec<u8> {
            list.iter().filter(|(_, class)| self.has(*class)).map(|(letter, _)| *letter).collect()
        };
        if self.0 & Self::ALL.0 == Self::ALL.0 {
            letters.push(b'A');
        } else {
            letters.extend(on(&Self::CLASSES));
        }
        letters.extend(on(&Self::OTHERS));
        letters
    }

    fn describe((): &()) -> String {
        "letters of Ag$lshzxeKEtmdnocSTIV".to_owned()
    }
}

/// Which percentiles INFO latencystats reports.
impl OptionValue for Vec<f64> {
    type Rule = ();

    const MULTI: bool = true;
    const ALWAYS_WRITTEN: bool = true;

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let mut percentiles = Vec::with_capacity(words.len());
        if words.len() == 1 && words[0].is_empty() {
            return Ok(percentiles);
        }
        for word in words {
            let number: f64 = utf8(word)
                .ok()
                .and_then(|word| word.parse().ok())
                .filter(|number: &f64| !number.is_nan())
                .ok_or("Invalid latency-tracking-info-percentiles parameters")?;
            if !(0.0..=100.0).contains(&number) {
                return Err(
                    "latency-tracking-info-percentiles parameters should sit between [0.0,100.0]".to_owned()
                );
            }
            percentiles.push(number);
        }
        Ok(percentiles)
    }

    fn show(&self, (): &()) -> Vec<u8> {
        let short = |number: &f64| {
            let text = format!("{number:.6}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        self.iter().map(short).collect::<Vec<_>>().join(" ").into_bytes()
    }

    fn describe((): &()) -> String {
        "percentiles, 0 to 100".to_owned()
    }
}

/// How many threads execute commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkerThreads(u16);

impl WorkerThreads {
    /// One thread per core.
    pub const PER_CORE: Self = Self(0);

    /// The number of threads: at least 1, at most 128.
    pub fn count(self) -> usize {
        match self.0 {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(128)),
            count => usize::from(count),
        }
    }
}

impl OptionValue for WorkerThreads {
    type Rule = ();

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let rule = super::value::int(0, 128);
        <u16 as OptionValue>::parse(&rule, words, &0, false).map(Self)
    }

    fn show(&self, (): &()) -> Vec<u8> {
        self.count().to_string().into_bytes()
    }

    fn lines(&self, (): &()) -> Vec<Words> {
        vec![words([self.0.to_string()])]
    }

    fn describe((): &()) -> String {
        "integer, 0 (one per core) to 128".to_owned()
    }
}

/// What the kernel's out-of-memory killer thinks of the server, for options that are only accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OomScores(pub(super) [i16; 3]);

impl OptionValue for OomScores {
    type Rule = ();

    const MULTI: bool = true;

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let mut scores = [0; 3];
        if words.len() != scores.len() {
            return Err("wrong number of arguments".to_owned());
        }
        for (score, word) in scores.iter_mut().zip(words) {
            *score = match parse_loose(word) {
                Some(value @ -2000..=2000) => value as i16,
                _ => {
                    return Err(
                        "Invalid oom-score-adj-values, elements must be between -2000 and 2000.".to_owned()
                    );
                }
            };
        }
        Ok(Self(scores))
    }

    fn show(&self, (): &()) -> Vec<u8> {
        let [primary, replica, child] = self.0;
        format!("{primary} {replica} {child}").into_bytes()
    }

    fn describe((): &()) -> String {
        "three integers, -2000 to 2000".to_owned()
    }
}

/// The server that is copied, for options that are only accepted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Upstream(Option<(String, u16)>);

impl OptionValue for Upstream {
    type Rule = ();

    const MULTI: bool = true;

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let [host, port] = words else { return Err("wrong number of arguments".to_owned()) };
        if host.eq_ignore_ascii_case(b"no") && port.eq_ignore_ascii_case(b"one") {
            return Ok(Self(None));
        }
        match parse_loose(port) {
            Some(port @ 0..=65535) => Ok(Self(Some((utf8(host)?.to_owned(), port as u16)))),
            _ => Err("Invalid master port".to_owned()),
        }
    }

    fn show(&self, (): &()) -> Vec<u8> {
        self.0.as_ref().map_or_else(Vec::new, |(host, port)| format!("{host} {port}").into_bytes())
    }

    fn lines(&self, (): &()) -> Vec<Words> {
        vec![match &self.0 {
            Some((host, port)) => words([host.clone(), port.to_string()]),
            None => words(["no", "one"].map(str::to_owned)),
        }]
    }

    fn describe((): &()) -> String {
        "host and port".to_owned()
    }
}
