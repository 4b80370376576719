//! Options that take one of a few words.

use super::value::{OptionValue, one_word};

/// Builds the reply to a word that is none of the choices.
fn not_among<'a>(names: impl Iterator<Item = &'a str>) -> String {
    format!("argument(s) must be one of the following: {}", names.collect::<Vec<_>>().join(", "))
}

macro_rules! choices {
    ($(
        $(#[$about:meta])*
        $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    )+) => {$(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// The word for it in the configuration.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl OptionValue for $name {
            type Rule = ();

            fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
                let refusal = || not_among([$($word),+].into_iter());
                let word = one_word(words).map_err(|_| refusal())?;
                $(if word.eq_ignore_ascii_case($word.as_bytes()) { return Ok(Self::$variant); })+
                Err(refusal())
            }

            fn show(&self, (): &()) -> Vec<u8> {
                self.name().as_bytes().to_vec()
            }

            fn describe((): &()) -> String {
                concat!("one of" $(, " ", $word)+).replace(" ", ", ").replacen(", ", " ", 2)
            }
        }
    )+};
}

choices! {
    /// Which channels new users may use.
    NewUserChannels {
        /// All.
        All = "allchannels",
        /// None.
        None = "resetchannels",
    }

    /// When the log is forced to the disk.
    AppendFsync {
        /// Once a second, in the background.
        Everysec = "everysec",
        /// Before a write is acknowledged.
        Always = "always",
        /// When the operating system likes.
        No = "no",
    }

    /// What is removed when `maxmemory` is reached.
    EvictionPolicy {
        /// The least recently used of the keys with an expiry.
        VolatileLru = "volatile-lru",
        /// The least frequently used of the keys with an expiry.
        VolatileLfu = "volatile-lfu",
        /// Any of the keys with an expiry.
        VolatileRandom = "volatile-random",
        /// The key that expires soonest.
        VolatileTtl = "volatile-ttl",
        /// The least recently used of all keys.
        AllkeysLru = "allkeys-lru",
        /// The least frequently used of all keys.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// Nothing: writes that need memory are refused.
        Noeviction = "noeviction",
    }

    /// How much is logged.
    LogLevel {
        /// Everything, for development.
        Debug = "debug",
        /// Rarely useful details too.
        Verbose = "verbose",
        /// What matters in production.
        Notice = "notice",
        /// Only what needs attention.
        Warning = "warning",
        /// Nothing.
        Nothing = "nothing",
    }

    /// How log lines look.
    LogFormat {
        /// For people.
        Pretty = "pretty",
        /// One JSON object a line.
        Json = "json",
    }

    /// Who may use something that is dangerous.
    ProtectedAction {
        /// Nobody.
        No = "no",
        /// Everybody.
        Yes = "yes",
        /// Clients on a loopback address or the unix socket.
        Local = "local",
    }

    /// Which service manager is told when the server is ready.
    Supervised {
        /// Upstart, by stopping oneself.
        Upstart = "upstart",
        /// systemd, through `NOTIFY_SOCKET`.
        Systemd = "systemd",
        /// systemd if it set `NOTIFY_SOCKET`, else none.
        Auto = "auto",
        /// None.
        No = "no",
    }
}

impl EvictionPolicy {
    /// Only keys that have an expiry may be removed.
    pub fn volatile_only(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }

    /// Keys are chosen by how often they are used, so OBJECT FREQ answers and OBJECT IDLETIME does not.
    pub fn counts_frequency(self) -> bool {
        matches!(self, Self::VolatileLfu | Self::AllkeysLfu)
    }
}

impl ProtectedAction {
    /// Whether a client may, which is local or not.
    pub fn allows(self, client_is_local: bool) -> bool {
        self == Self::Yes || (self == Self::Local && client_is_local)
    }
}

/// One of a few words, for options that are only accepted: `name` is the chosen one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word(pub(super) &'static str);

impl OptionValue for Word {
    type Rule = &'static [&'static str];

    fn parse(rule: &Self::Rule, words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let chosen = one_word(words)
            .ok()
            .and_then(|word| rule.iter().find(|name| word.eq_ignore_ascii_case(name.as_bytes())));
        chosen.map(|name| Self(name)).ok_or_else(|| not_among(rule.iter().copied()))
    }

    fn show(&self, _: &Self::Rule) -> Vec<u8> {
        self.0.as_bytes().to_vec()
    }

    fn describe(rule: &Self::Rule) -> String {
        format!("one of {}", rule.join(", "))
    }
}

/// Any number of a few words, for options that are only accepted; none of them reads `default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalFlags(pub(super) Vec<&'static str>);

const SIGNAL_FLAGS: [&str; 5] = ["default", "save", "nosave", "now", "force"];

impl OptionValue for SignalFlags {
    type Rule = ();

    const MULTI: bool = true;

    fn parse((): &(), words: &[Vec<u8>], _: &Self, _: bool) -> Result<Self, String> {
        let known =
            |word: &Vec<u8>| SIGNAL_FLAGS.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()));
        if words.is_empty() || !words.iter().all(known) {
            return Err(not_among(SIGNAL_FLAGS.into_iter()));
        }
        let given = |name: &&str| words.iter().any(|word| word.eq_ignore_ascii_case(name.as_bytes()));
        if given(&"save") && given(&"nosave") {
            return Err("shutdown options SAVE and NOSAVE can't be used simultaneously".to_owned());
        }
        Ok(Self(SIGNAL_FLAGS.into_iter().skip(1).filter(given).collect()))
    }

    fn show(&self, (): &()) -> Vec<u8> {
        if self.0.is_empty() { b"default".to_vec() } else { self.0.join(" ").into_bytes() }
    }

    fn describe((): &()) -> String {
        format!("some of {}", SIGNAL_FLAGS.join(", "))
    }
}
