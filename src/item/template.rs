//! Templates of key names: they map keys of a database to the items of a table.
//!
//! ```text
//! user:{id}             the text between the literals is the key attribute
//! cart:{user}:{item}    partition key and sort key, in any order
//! sess:*                the whole name is the partition key
//! {{ and }}             braces that are meant
//! ```
//! Names and items correspond one to one. A value in a name ends where a *separator* stands: a character of the
//! template's literals that is none of `A-Z a-z 0-9 - _ . ~`, or the first one behind a value. In a value exactly the
//! separators and `%` are written `%XX`, with two upper-case digits; a number is written in its canonical text. A name
//! whose literals fit but whose values are written otherwise belongs to the table too, and is refused.

use std::borrow::Cow;

use super::key_schema::{KeyAttr, KeySchema};
use super::{ItemError, KeyType, Number};

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 1024;

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bytes([u64; 4]);

impl Bytes {
    const ALL: Self = Self([u64::MAX; 4]);

    fn insert(&mut self, byte: u8) {
        if let Some(word) = self.0.get_mut(usize::from(byte >> 6)) {
            *word |= 1 << (byte & 63);
        }
    }

    fn contains(&self, byte: u8) -> bool {
        self.0.get(usize::from(byte >> 6)).is_some_and(|word| word >> (byte & 63) & 1 == 1)
    }

    fn one(byte: u8) -> Self {
        let mut set = Self::default();
        set.insert(byte);
        set
    }

    fn without(mut self, other: &Self) -> Self {
        self.0.iter_mut().zip(other.0).for_each(|(word, gone)| *word &= !gone);
        self
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(other.0).any(|(a, b)| a & b != 0)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    Partition,
    Sort,
    /// `*`: any text. The value is the whole name, with the literals.
    Any,
}

/// A template of key names, for the keys of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// A literal comes first, and values do not touch.
    parts: Vec<Part>,
    separators: Bytes,
    whole: bool,
}

/// The texts of the key attributes in a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyTexts<'n> {
    /// Partition key.
    pub pk: Cow<'n, [u8]>,
    /// Sort key, for a table that has one.
    pub sk: Option<Cow<'n, [u8]>>,
}

impl Template {
    /// Parses a template for a table with these keys. Each key attribute must stand in it exactly once.
    ///
    /// # Errors
    /// [`ItemError::BadTemplate`].
    pub fn parse(text: &str, keys: &KeySchema) -> Result<Self, ItemError> {
        let bad = |reason: &str| ItemError::BadTemplate { text: text.to_owned(), reason: reason.to_owned() };
        if text.len() > MAX_TEMPLATE {
            return Err(bad("it has more than 1024 bytes"));
        }
        let parts = split(text, keys).map_err(|reason| bad(&reason))?;
        let count = |part: &Part| parts.iter().filter(|other| *other == part).count();
        let whole = count(&Part::Any) > 0;
        if !matches!(parts.first(), Some(Part::Literal(_))) {
            return Err(bad("it must begin with a text that all its keys share"));
        }
        if parts.windows(2).any(|pair| !pair.iter().any(|part| matches!(part, Part::Literal(_)))) {
            return Err(bad("between two values there must be a text"));
        }
        if parts.iter().any(|part| matches!(part, Part::Literal(text) if text.contains(&b'%'))) {
            return Err(bad("% is what values are coded with"));
        }
        if whole {
            if count(&Part::Any) > 1 || parts.iter().any(|part| matches!(part, Part::Partition | Part::Sort))
            {
                return Err(bad("one * stands alone, without attributes in braces"));
            }
            if keys.sk.is_some() || keys.pk.key_type == KeyType::N {
                return Err(bad(
                    "with * the name itself is the key: a partition key of type S or B, and no sort key",
                ));
            }
        } else {
            for (attr, part) in keys.attrs().zip([Part::Partition, Part::Sort]) {
                match count(&part) {
                    1 => {}
                    0 => return Err(bad(&format!("the key attribute {{{}}} is missing", attr.name))),
                    _ => return Err(bad(&format!("{{{}}} stands in it twice", attr.name))),
                }
            }
        }
        Ok(Self { separators: separators(&parts), parts, whole })
    }

    /// The key texts in a name, if the name fits the template.
    ///
    /// # Errors
    /// [`ItemError::BadViewKey`] for a name whose literals fit, but whose values are not written as [`Template::name`]
    /// writes them.
    pub fn read<'n>(&self, name: &'n [u8], keys: &KeySchema) -> Result<Option<KeyTexts<'n>>, ItemError> {
        let Some((pk, sk)) = self.cut(name) else { return Ok(None) };
        let decode = |attr: &KeyAttr, raw: &'n [u8]| -> Result<Cow<'n, [u8]>, ItemError> {
            let bad = |reason| ItemError::BadViewKey {
                key: String::from_utf8_lossy(name).into_owned(),
                name: attr.name.clone(),
                reason,
            };
            let text = if self.whole { Cow::Borrowed(raw) } else { self.decode(raw).map_err(bad)? };
            check(attr, &text).map_err(bad)?;
            Ok(text)
        };
        let sk = match (&keys.sk, sk) {
            (Some(attr), Some(raw)) => Some(decode(attr, raw)?),
            _ => None,
        };
        Ok(Some(KeyTexts { pk: decode(&keys.pk, pk)?, sk }))
    }

    /// Whether a name's literals fit the template, even if its values are not written correctly.
    pub fn claims(&self, name: &[u8]) -> bool {
        self.cut(name).is_some()
    }

    /// The name of an item's key. `None` if the item has no name: its partition key does not fit `*`, or the name is
    /// that of a change stream.
    pub fn name(&self, pk: &[u8], sk: Option<&[u8]>) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(pk.len() + 16);
        if self.whole {
            out.extend_from_slice(pk);
        } else {
            for part in &self.parts {
                match part {
                    Part::Literal(text) => out.extend_from_slice(text),
                    Part::Partition => self.encode(pk, &mut out),
                    Part::Sort => self.encode(sk?, &mut out),
                    Part::Any => {}
                }
            }
        }
        self.claims(&out).then_some(out)
    }

    /// What every name begins with.
    pub fn prefix(&self) -> &[u8] {
        match self.parts.first() {
            Some(Part::Literal(text)) => text,
            _ => b"",
        }
    }

    /// Whether there is a name that belongs to both templates.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (a, b) = (self.steps(), other.steps());
        let width = b.len() + 1;
        let mut seen = vec![false; (a.len() + 1) * width];
        let mut open = vec![(0, 0)];
        while let Some((i, j)) = open.pop() {
            match seen.get_mut(i * width + j) {
                Some(seen) if !*seen => *seen = true,
                _ => continue,
            }
            match (a.get(i), b.get(j)) {
                (None, None) => return true,
                (Some((_, true)), None) => open.push((i + 1, j)),
                (None, Some((_, true))) => open.push((i, j + 1)),
                (Some((x, x_loops)), Some((y, y_loops))) => {
                    if *x_loops {
                        open.push((i + 1, j));
                    }
                    if *y_loops {
                        open.push((i, j + 1));
                    }
                    if x.meets(y) {
                        open.push((i + usize::from(!x_loops), j + usize::from(!y_loops)));
                    }
                }
                _ => {}
            }
        }
        false
    }

    /// The template as steps. Each step takes one byte of a set or, if its flag is set, any number of them.
    fn steps(&self) -> Vec<(Bytes, bool)> {
        let mut steps = Vec::new();
        for part in &self.parts {
            let set = match part {
                Part::Literal(text) => {
                    steps.extend(text.iter().map(|byte| (Bytes::one(*byte), false)));
                    continue;
                }
                Part::Partition | Part::Sort => Bytes::ALL.without(&self.separators),
                Part::Any => Bytes::ALL,
            };
            steps.extend([(set, false), (set, true)]);
        }
        steps
    }

    /// The values in a name as they are written there, partition key first.
    fn cut<'n>(&self, name: &'n [u8]) -> Option<(&'n [u8], Option<&'n [u8]>)> {
        let mut rest = name.strip_prefix(self.prefix())?;
        if is_stream(name) {
            return None;
        }
        if self.whole {
            let tail: &[u8] = match self.parts.get(2) {
                Some(Part::Literal(text)) => text,
                _ => b"",
            };
            return (!rest.strip_suffix(tail)?.is_empty()).then_some((name, None));
        }
        let (mut pk, mut sk) = (None, None);
        for part in self.parts.get(1..)? {
            if let Part::Literal(text) = part {
                rest = rest.strip_prefix(text.as_slice())?;
                continue;
            }
            let end = rest.iter().position(|byte| self.separators.contains(*byte)).unwrap_or(rest.len());
            let (value, tail) = rest.split_at_checked(end)?;
            if value.is_empty() {
                return None;
            }
            *(if *part == Part::Partition { &mut pk } else { &mut sk }) = Some(value);
            rest = tail;
        }
        if rest.is_empty() { Some((pk?, sk)) } else { None }
    }

    fn encode(&self, value: &[u8], out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
        for &byte in value {
            if byte == b'%' || self.separators.contains(byte) {
                let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
            } else {
                out.push(byte);
            }
        }
    }

    fn decode<'n>(&self, raw: &'n [u8]) -> Result<Cow<'n, [u8]>, &'static str> {
        if !raw.contains(&b'%') {
            return Ok(Cow::Borrowed(raw));
        }
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'A'..=b'F' => Some(byte - b'A' + 10),
            _ => None,
        };
        let mut out = Vec::with_capacity(raw.len());
        let mut bytes = raw.iter().copied();
        while let Some(byte) = bytes.next() {
            if byte != b'%' {
                out.push(byte);
                continue;
            }
            let code = bytes.next().and_then(digit).zip(bytes.next().and_then(digit));
            let code = code.map(|(high, low)| high << 4 | low);
            match code.filter(|code| *code == b'%' || self.separators.contains(*code)) {
                Some(code) => out.push(code),
                None => return Err("% is written %25, and only separators are written as % and two digits"),
            }
        }
        Ok(Cow::Owned(out))
    }
}

/// Whether the name is that of a change stream, which no template includes.
fn is_stream(name: &[u8]) -> bool {
    name.ends_with(b"@stream")
}

/// Cuts a template's text into its parts.
fn split(text: &str, keys: &KeySchema) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = Vec::new();
    let mut rest = text;
    let close = |literal: &mut Vec<u8>, parts: &mut Vec<Part>| {
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(literal)));
        }
    };
    while let Some(next) = rest.chars().next() {
        if let Some(brace) = ["{{", "}}"].into_iter().find(|brace| rest.starts_with(brace)) {
            literal.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
            rest = rest.get(brace.len()..).unwrap_or_default();
            continue;
        }
        match next {
            '{' => {
                let inner = rest.get(1..).unwrap_or_default();
                let (name, behind) =
                    inner.split_once('}').ok_or("a brace is not closed; {{ is a brace that is meant")?;
                let at = keys.attrs().position(|attr| attr.name == name);
                close(&mut literal, &mut parts);
                parts.push(match at {
                    Some(0) => Part::Partition,
                    Some(_) => Part::Sort,
                    None => return Err(format!("{{{name}}} is no key attribute of the table")),
                });
                rest = behind;
                continue;
            }
            '}' => return Err("a brace was not opened; }} is a brace that is meant".to_owned()),
            '*' => {
                close(&mut literal, &mut parts);
                parts.push(Part::Any);
            }
            _ => literal.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
    }
    close(&mut literal, &mut parts);
    Ok(parts)
}

fn separators(parts: &[Part]) -> Bytes {
    let mut set = Bytes::default();
    for (at, part) in parts.iter().enumerate() {
        let Part::Literal(text) = part else { continue };
        let marks =
            text.iter().filter(|b| !b.is_ascii_alphanumeric() && !b"-_.~".contains(b) && b.is_ascii());
        marks.chain(text.first().filter(|_| at > 0)).for_each(|byte| set.insert(*byte));
    }
    set
}

/// Checks that a text is the one form of a value of the attribute's type.
fn check(attr: &KeyAttr, text: &[u8]) -> Result<(), &'static str> {
    match attr.key_type {
        KeyType::B => Ok(()),
        KeyType::S if std::str::from_utf8(text).is_ok() => Ok(()),
        KeyType::S => Err("a string must be UTF-8"),
        KeyType::N => {
            let number = Number::from_text(text).map_err(|_| "it is no number")?;
            let mut shown = Vec::with_capacity(text.len());
            number.write_text(&mut shown);
            if shown == text {
                Ok(())
            } else {
                Err("a number is written as it is shown, without zeros that say nothing")
            }
        }
    }
}

#[cfg(test)]
mod tests;
