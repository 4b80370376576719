//! Runs the cases of [`calls`](super::calls) on a server.

use super::jobs::Done;
use super::reasons::BUDGET_MICROS;
use itemory::text::split_words;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

/// The number of commands that are sent before their replies are read.
const WINDOW: usize = 1_000;
/// The bytes of a reply that are kept to be looked at.
const SHOWN_BYTES: usize = 64 << 10;
/// How often the end of a job is checked, and the pause between two checks.
const LOOKS: usize = 1_200;
const PAUSE: Duration = Duration::from_millis(50);

/// The size of the cases.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    /// As they are written.
    Full,
    /// So small that they only show that every command is accepted.
    Small,
}

impl Scale {
    /// A text with its millions replaced by the scale's number.
    fn of(self, text: &str) -> String {
        if self == Self::Small { text.replace("1000000", "10") } else { text.to_owned() }
    }

    fn repeats(self, count: usize) -> usize {
        if self == Self::Small { count.min(10) } else { count }
    }

    fn bytes(self, count: usize) -> usize {
        if self == Self::Small { count.min(1_000) } else { count }
    }
}

/// The commands of a case; the last one is measured.
pub(crate) fn commands(case: &str) -> Vec<&str> {
    case.split(" ; ").collect()
}

/// A command without its prefixes, whether it is refused, and how often it is sent.
pub(crate) fn stripped(command: &str) -> (&str, Refusal, usize) {
    if let Some(rest) = command.strip_prefix("! ") {
        return (rest, Refusal::Always, 1);
    }
    if let Some(rest) = command.strip_prefix("? ") {
        return (rest, Refusal::Perhaps, 1);
    }
    let repeated = command.split_once(" x ").and_then(|(count, rest)| Some((rest, count.parse().ok()?)));
    let (rest, count) = repeated.unwrap_or((command, 1));
    (rest, Refusal::Never, count)
}

/// Whether a command is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// It must not be refused.
    Never,
    /// It may be refused.
    Perhaps,
    /// It must be refused.
    Always,
}

/// The words of a command.
pub(crate) fn words(command: &str, number: usize, scale: Scale) -> Vec<Vec<u8>> {
    let numbered = command.replace('^', &number.to_string());
    let mut text = String::new();
    let mut rest = numbered.as_str();
    while let Some((before, after)) = rest.split_once('<') {
        text += before;
        let Some((count, separator, body, behind)) = repetition(after) else {
            text.push('<');
            rest = after;
            continue;
        };
        let count = if separator == '*' { scale.bytes(count) } else { count };
        for n in 0..count {
            if n > 0 && separator != '*' {
                text.push(separator);
            }
            if separator == '*' { text += body } else { text += &body.replace('%', &n.to_string()) }
        }
        rest = behind;
    }
    text += rest;
    split_words(text.as_bytes()).expect("quotes are closed")
}

/// The parts of a text after an opening bracket, and the text after the closing bracket.
fn repetition(text: &str) -> Option<(usize, char, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let count = text[..digits].parse().ok()?;
    let (separator, rest) = text[digits..].split_at_checked(1)?;
    let (body, behind) = rest.strip_prefix(':')?.split_once('>')?;
    Some((count, separator.chars().next()?, body, behind))
}

/// A reply: its parts as text, separated by blanks, and the bytes of its first string.
#[derive(Default)]
pub(crate) struct Answer {
    /// The text, with a blank at its beginning and its end.
    pub(crate) text: String,
    /// The payload of DUMP.
    pub(crate) string: Vec<u8>,
    /// Whether it is an error.
    pub(crate) is_error: bool,
}

impl Answer {
    fn json(&self, name: &str) -> String {
        let from = format!("\"{name}\":\"");
        let found = self.text.split_once(&from).and_then(|(_, rest)| rest.split_once('"'));
        found.map_or("missing", |(value, _)| value).to_owned()
    }
}

/// One connection.
pub(crate) struct Client<S> {
    stream: BufReader<S>,
    /// The unexpected replies.
    pub(crate) faults: Vec<String>,
}

impl<S: Read + Write> Client<S> {
    /// Makes a client of a stream.
    pub(crate) fn new(stream: S) -> Self {
        Self { stream: BufReader::with_capacity(1 << 16, stream), faults: Vec::new() }
    }

    fn send(&mut self, commands: &[Vec<Vec<u8>>]) {
        let mut out = Vec::new();
        for command in commands {
            out.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
            for word in command {
                out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
                out.extend_from_slice(word);
                out.extend_from_slice(b"\r\n");
            }
        }
        self.stream.get_mut().write_all(&out).expect("the server reads");
    }

    fn read(&mut self) -> Answer {
        let mut answer = Answer { text: " ".into(), ..Answer::default() };
        let (mut wanted, mut line) = (1_i64, Vec::new());
        while wanted > 0 {
            wanted -= 1;
            line.clear();
            self.stream.read_until(b'\n', &mut line).expect("a reply");
            let head = String::from_utf8_lossy(line.trim_ascii_end()).into_owned();
            let length = || head[1..].parse::<i64>().expect("a length");
            let shown = match head.as_bytes().first() {
                Some(b'*') => {
                    wanted += length().max(0);
                    continue;
                }
                Some(b'$') if length() < 0 => "nil".to_owned(),
                Some(b'$') => self.string(length() as usize, &mut answer),
                Some(b'-') => {
                    answer.is_error |= answer.text == " ";
                    head
                }
                Some(b'+' | b':') => head[1..].to_owned(),
                _ => panic!("no reply: {head:?}"),
            };
            if answer.text.len() < SHOWN_BYTES {
                answer.text += &shown;
                answer.text.push(' ');
            }
        }
        answer
    }

    fn string(&mut self, length: usize, answer: &mut Answer) -> String {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes).expect("a string");
        bytes.truncate(length);
        let shown = String::from_utf8_lossy(&bytes[..length.min(SHOWN_BYTES)]).into_owned();
        if answer.string.is_empty() {
            answer.string = bytes;
        }
        shown
    }

    /// Sends one command of words and reads its reply.
    pub(crate) fn call(&mut self, words: Vec<Vec<u8>>) -> Answer {
        self.send(&[words]);
        self.read()
    }

    /// The same for a line of words.
    pub(crate) fn ask(&mut self, line: &str) -> Answer {
        self.call(words(line, 0, Scale::Full))
    }

    /// Runs a command of a case as often as it says; returns the last reply.
    pub(crate) fn run(&mut self, command: &str, scale: Scale, before: &Answer) -> Answer {
        let scaled = scale.of(command);
        let (line, refusal, count) = stripped(&scaled);
        let mut last = Answer::default();
        let mut number = 0;
        let count = scale.repeats(count);
        while number < count {
            let end = count.min(number + WINDOW);
            let batch =
                (number..end).map(|n| self.complete(words(line, n, scale), before)).collect::<Vec<_>>();
            self.send(&batch);
            for _ in number..end {
                last = self.read();
                if refusal != Refusal::Perhaps && last.is_error != (refusal == Refusal::Always) {
                    let shown: String = line.chars().take(100).collect();
                    self.faults.push(format!("{shown}: {}", last.text.chars().take(300).collect::<String>()));
                }
            }
            number = end;
        }
        last
    }

    /// Replaces the parts of words that come from the server.
    fn complete(&mut self, mut words: Vec<Vec<u8>>, before: &Answer) -> Vec<Vec<u8>> {
        for word in &mut words {
            if word.len() > SHOWN_BYTES {
                continue;
            }
            let Ok(mut text) = String::from_utf8(word.clone()) else { continue };
            if let Some(key) = text.strip_prefix("<dump:").and_then(|rest| rest.strip_suffix('>')) {
                *word = self.ask(&format!("DUMP {key}")).string;
                continue;
            }
            while let Some((head, rest)) = text.split_once("<json:") {
                let (name, tail) = rest.split_once('>').expect("a closing bracket");
                text = [head, &before.json(name), tail].concat();
                *word = text.clone().into_bytes();
            }
        }
        words
    }

    /// Waits until `done` accepts the reply to a command.
    pub(crate) fn wait(&mut self, ask: &str, scale: Scale, done: impl Fn(&str) -> bool) {
        for _ in 0..LOOKS {
            if done(&self.ask(&scale.of(ask)).text) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("{ask}: {}", self.ask(ask).text);
    }
}

/// The holds of a case by holder: the longest in microseconds, and how many were longer than [`BUDGET_MICROS`], in
/// whole octaves.
pub(crate) type Held = BTreeMap<String, (u64, u64)>;

/// Runs a case on a connection of its own. `watcher` resets the statistics of holds before the measured command and
/// reads them after it.
pub(crate) fn run_case<S: Read + Write>(
    client: &mut Client<S>,
    watcher: &mut Client<S>,
    case: &str,
    scale: Scale,
    done: impl FnOnce(&mut Client<S>),
) -> Held {
    let commands = commands(case);
    let mut before = Answer::default();
    for (at, command) in commands.iter().enumerate() {
        if at + 1 == commands.len() {
            watcher.ask("CONFIG RESETSTAT");
        }
        before = client.run(command, scale, &before);
    }
    done(watcher);
    held(&watcher.ask("INFO holdstats").text)
}

/// Parses INFO holdstats.
fn held(info: &str) -> Held {
    let line = |line: &str| {
        let (name, figures) = line.strip_prefix("hold_")?.split_once(":holds=")?;
        let (longest, sizes) = figures.split_once("longest_usec=")?.1.split_once(",from_usec=")?;
        let over = sizes.split(';').filter_map(|size| {
            let (from, count) = size.split_once(':')?;
            let from: u64 = from.parse().ok()?;
            (from >= BUDGET_MICROS).then_some(count.parse::<u64>().ok()?)
        });
        Some((name.to_owned(), (longest.parse().ok()?, over.sum())))
    };
    info.lines().filter_map(|text| line(text.trim())).collect()
}

/// Whether a job is done.
pub(crate) fn is_done(done: &Done, scale: Scale, text: &str) -> bool {
    match done {
        Done::Has(wanted) => text.contains(&scale.of(wanted)),
        Done::Lacks(unwanted) => !text.contains(*unwanted),
    }
}
