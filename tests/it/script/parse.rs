//! Reads script files into cases and steps.

use super::compare::{Mode, TIME_LEFT};
use super::expect::Expected;
use std::fs;
use std::path::Path;

/// A piece of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Bytes(Vec<u8>),
    /// A stored reply of this server.
    Kept(String),
    /// A stored reply of the referee.
    Referee(String),
    /// The counter of `!for`.
    Counter,
}

pub(crate) type Argument = Vec<Piece>;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// Sends a command and reads its reply.
    Call(Vec<Argument>),
    /// Sends a command and leaves its reply unread.
    Send(Vec<Argument>),
    /// Sends bytes as they are.
    Raw(Argument),
    /// Reads a reply.
    Read,
    Close,
    Sleep(u64),
    /// Repeats a command until the reply is the expected one.
    Until(Vec<Argument>),
    /// Pipelined calls with the counter in this range, both ends included.
    Loop(i64, i64, Vec<Argument>),
}

#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) connection: String,
    pub(crate) action: Action,
    pub(crate) only: Option<u8>,
    pub(crate) mode: Mode,
    pub(crate) difference: Option<String>,
    pub(crate) keep: Option<String>,
    pub(crate) expected: Option<Expected>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) flags: Vec<String>,
    pub(crate) hello: bool,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    pub(crate) referee: bool,
    pub(crate) cases: Vec<Case>,
}

/// Reads a script.
pub(crate) fn read(path: &Path) -> Script {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut script = Script { referee: true, cases: Vec::new() };
    let mut head = Case { hello: true, ..Case::default() };
    for (line, text) in expand(&text) {
        let at = || format!("{}:{line}: {text}", path.display());
        let case = script.cases.last_mut().unwrap_or(&mut head);
        if let Some(name) = text.strip_prefix("===") {
            let mut new = head.clone();
            name.trim().clone_into(&mut new.name);
            script.cases.push(new);
        } else if let Some(flags) = text.strip_prefix("!flags") {
            let flags = tokens(flags).unwrap_or_else(|e| panic!("{}: {e}", at()));
            case.flags.extend(flags.into_iter().map(|t| String::from_utf8(plain(&t)).unwrap()));
        } else if text == "!nohello" {
            case.hello = false;
        } else if text == "!norefs" {
            script.referee = false;
        } else if let Some(expected) = text.strip_prefix("= ") {
            let last = case.steps.last_mut().unwrap_or_else(|| panic!("{}: no command before", at()));
            let expected = Expected::parse(expected).unwrap_or_else(|e| panic!("{}: {e}", at()));
            let time_left = last.mode == Mode::TimeLeft;
            last.expected = Some(if time_left { expected.of_time_left() } else { expected });
        } else {
            assert!(!case.name.is_empty(), "{}: outside of a case", at());
            case.steps.push(step(line, &text).unwrap_or_else(|e| panic!("{}: {e}", at())));
        }
    }
    script
}

/// Removes comments and empty lines, and expands `!each`.
fn expand(text: &str) -> Vec<(usize, String)> {
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(n, l)| (n + 1, l.trim().to_owned()))
        .filter(|(_, l)| !l.is_empty() && !l.starts_with('#'));
    let mut out = Vec::new();
    let mut variables: Vec<(String, Vec<String>)> = Vec::new();
    while let Some((n, line)) = lines.next() {
        if let Some(rest) = line.strip_prefix("!each ") {
            let (name, values) = rest.split_once(' ').expect("!each NAME a | b");
            variables.push((name.to_owned(), values.split(" | ").map(|v| v.trim().to_owned()).collect()));
            continue;
        }
        let mut block = vec![(n, line)];
        if block[0].1 == "!begin" {
            block = lines.by_ref().take_while(|(_, l)| l != "!end").collect();
        }
        let mut versions = vec![block];
        for (name, values) in variables.drain(..) {
            let name = format!("{{{name}}}");
            let with = |value: &String, block: &Vec<(usize, String)>| -> Vec<(usize, String)> {
                block.iter().map(|(n, l)| (*n, l.replace(&name, value))).collect()
            };
            versions = versions.iter().flat_map(|b| values.iter().map(move |v| with(v, b))).collect();
        }
        out.extend(versions.into_iter().flatten());
    }
    out
}

fn step(line: usize, text: &str) -> Result<Step, String> {
    let mut step = Step {
        line,
        text: text.to_owned(),
        connection: String::new(),
        action: Action::Read,
        only: None,
        mode: Mode::Exact,
        difference: None,
        keep: None,
        expected: None,
    };
    let mut rest = text;
    let mut send_only = false;
    loop {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        match word {
            "@2" => step.only = Some(2),
            "@3" => step.only = Some(3),
            ">>" => send_only = true,
            "<" => return Ok(step),
            "raw" => {
                step.action = Action::Raw(tokens(after)?.pop().ok_or("nothing to send")?);
                return Ok(step);
            }
            "!close" => {
                after.clone_into(&mut step.connection);
                step.action = Action::Close;
                return Ok(step);
            }
            "!sleep" => {
                step.action = Action::Sleep(after.parse().map_err(|_| "milliseconds")?);
                return Ok(step);
            }
            "!until" => {
                step.action = Action::Until(tokens(after)?);
                step.mode = Mode::Ignored;
                return Ok(step);
            }
            "!for" => {
                let mut words = after.splitn(3, ' ');
                let mut bound = || words.next().and_then(|w| w.parse().ok()).ok_or("!for FROM TO command");
                let (from, to) = (bound()?, bound()?);
                let command = tokens(words.next().ok_or("!for FROM TO command")?)?;
                step.action = Action::Loop(from, to, command);
                return Ok(step);
            }
            _ => {
                if let Some(name) = word.strip_prefix('[').and_then(|w| w.strip_suffix(']')) {
                    name.clone_into(&mut step.connection);
                } else if let Some(word) = word.strip_prefix("!diff:") {
                    step.difference = Some(word.to_owned());
                } else if let Some(name) = word.strip_prefix('$').and_then(|w| w.strip_suffix('=')) {
                    step.keep = Some(name.to_owned());
                } else if let Some(mode) = Mode::parse(word) {
                    step.mode = mode;
                } else {
                    break;
                }
            }
        }
        rest = after.trim_start();
    }
    let command = tokens(rest)?;
    let name = command.first().map(plain).unwrap_or_default();
    if step.mode == Mode::Exact && TIME_LEFT.iter().any(|told| name.eq_ignore_ascii_case(told.as_bytes())) {
        step.mode = Mode::TimeLeft;
    }
    step.action = if send_only { Action::Send(command) } else { Action::Call(command) };
    Ok(step)
}

/// The bytes of an argument without variables.
pub(crate) fn plain(argument: &Argument) -> Vec<u8> {
    argument.iter().flat_map(|p| if let Piece::Bytes(b) = p { b.clone() } else { Vec::new() }).collect()
}

/// The arguments of a command line without variables.
pub(crate) fn arguments(line: &str) -> Vec<Vec<u8>> {
    tokens(line).unwrap_or_else(|e| panic!("{line}: {e}")).iter().map(plain).collect()
}

/// Splits a line into arguments as redis-cli does.
pub(crate) fn tokens(text: &str) -> Result<Vec<Argument>, String> {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    loop {
        while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
            at += 1;
        }
        if at >= bytes.len() {
            return Ok(out);
        }
        let mut argument = Argument::new();
        while let Some(&b) = bytes.get(at) {
            match b {
                b' ' | b'\t' => break,
                b'"' => at = double_quoted(bytes, at + 1, &mut argument)?,
                b'\'' => {
                    let end = bytes[at + 1..].iter().position(|b| *b == b'\'').ok_or("unbalanced '")?;
                    push(&mut argument, &bytes[at + 1..=at + end]);
                    at += end + 2;
                }
                b'$' if bytes.get(at + 1) == Some(&b'{') => at = variable(bytes, at + 2, &mut argument)?,
                _ => {
                    push(&mut argument, &[b]);
                    at += 1;
                }
            }
        }
        if argument.is_empty() {
            argument.push(Piece::Bytes(Vec::new()));
        }
        out.push(argument);
    }
}

fn push(argument: &mut Argument, bytes: &[u8]) {
    match argument.last_mut() {
        Some(Piece::Bytes(b)) => b.extend_from_slice(bytes),
        _ => argument.push(Piece::Bytes(bytes.to_vec())),
    }
}

fn double_quoted(bytes: &[u8], mut at: usize, argument: &mut Argument) -> Result<usize, String> {
    loop {
        match bytes.get(at) {
            None => return Err("unbalanced \"".into()),
            Some(b'"') => return Ok(at + 1),
            Some(b'\\') => {
                let next = *bytes.get(at + 1).ok_or("a lone \\")?;
                at += 2;
                let byte = match next {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'a' => 7,
                    b'b' => 8,
                    b'x' => {
                        let digits = bytes.get(at..at + 2).ok_or("two digits after \\x")?;
                        at += 2;
                        let digits = std::str::from_utf8(digits).map_err(|e| e.to_string())?;
                        u8::from_str_radix(digits, 16).map_err(|e| e.to_string())?
                    }
                    other => other,
                };
                push(argument, &[byte]);
            }
            Some(b'$') if bytes.get(at + 1) == Some(&b'{') => at = variable(bytes, at + 2, argument)?,
            Some(b) => {
                push(argument, &[*b]);
                at += 1;
            }
        }
    }
}

fn variable(bytes: &[u8], at: usize, argument: &mut Argument) -> Result<usize, String> {
    let end = at + bytes[at..].iter().position(|b| *b == b'}').ok_or("unbalanced ${")?;
    let name = std::str::from_utf8(&bytes[at..end]).map_err(|e| e.to_string())?;
    if let Some(rest) = name.strip_prefix("rep:") {
        let (text, times) = rest.rsplit_once(':').ok_or("${rep:TEXT:TIMES}")?;
        let times = times.parse().map_err(|_| "${rep:TEXT:TIMES}")?;
        push(argument, text.repeat(times).as_bytes());
    } else if let Some(name) = name.strip_prefix("ref:") {
        argument.push(Piece::Referee(name.to_owned()));
    } else if name == "i" {
        argument.push(Piece::Counter);
    } else {
        argument.push(Piece::Kept(name.to_owned()));
    }
    Ok(end + 1)
}
