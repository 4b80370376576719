//! Users as lines of text, `user name rule ...`: in the configuration, in a file of users, and as arguments.

use super::pattern::check_text;

/// A user's name and rules, as they were given.
pub type UserLine = (Vec<u8>, Vec<Vec<u8>>);

/// Why a line of a file of users is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineFault {
    /// It does not begin with `user` and a name.
    NoUser,
    /// The name has a blank or a zero byte.
    BadName,
    /// A selector is not closed. The text is the selector's beginning.
    Unmatched(Vec<u8>),
}

/// Joins the arguments between the parentheses of a selector to one rule.
///
/// # Errors
/// The argument that opens a selector which is not closed.
pub fn merged<'a>(rules: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Vec<u8>>, &'a [u8]> {
    let mut whole: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<(&[u8], Vec<u8>)> = None;
    for rule in rules {
        match &mut open {
            // As in Redis, a selector that was open is forgotten.
            _ if rule.starts_with(b"(") && !rule.ends_with(b")") => open = Some((rule, rule.to_vec())),
            None => whole.push(rule.to_vec()),
            Some((_, selector)) => {
                selector.push(b' ');
                selector.extend_from_slice(rule);
                if rule.ends_with(b")") {
                    whole.extend(open.take().map(|(_, selector)| selector));
                }
            }
        }
    }
    match open {
        None => Ok(whole),
        Some((first, _)) => Err(first),
    }
}

/// Reads the lines of a file of users. Empty lines and comments are passed over; lines are numbered from 1.
pub fn parse_lines(text: &[u8]) -> impl Iterator<Item = (usize, Result<UserLine, LineFault>)> {
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).enumerate();
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with(b"#"))
        .map(|(at, line)| (at + 1, parse(line)))
}

fn parse(line: &[u8]) -> Result<UserLine, LineFault> {
    // As in Redis, nothing is quoted here, because no name and no pattern has a blank, and each blank ends a word. An
    // empty rule has no effect.
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let [b"user", name, rules @ ..] = &*words else { return Err(LineFault::NoUser) };
    check_text(name).map_err(|_| LineFault::BadName)?;
    let rules = merged(rules.iter().copied());
    Ok((name.to_vec(), rules.map_err(|open| LineFault::Unmatched(open.to_vec()))?))
}
