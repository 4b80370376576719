//! Commands that depend on the present value of a string, and the digest of a value.

use super::str_of;
use crate::command::{Cx, Fail, Outcome, eq};
use crate::effect::Effect;
use crate::engine::Classes;
use crate::value::digest::{has_digest, string_digest};

/// A comparison of a key's string with an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Test {
    Equal,
    Differs,
    DigestEqual,
    DigestDiffers,
}

impl Test {
    pub(super) fn parse(word: &[u8]) -> Option<Self> {
        const WORDS: [(&str, Test); 4] = [
            ("IFEQ", Test::Equal),
            ("IFNE", Test::Differs),
            ("IFDEQ", Test::DigestEqual),
            ("IFDNE", Test::DigestDiffers),
        ];
        WORDS.iter().find(|(known, _)| eq(word, known)).map(|(_, test)| *test)
    }

    /// Whether the comparison holds for a string. The case of a digest does not matter.
    ///
    /// # Errors
    /// The operand of a comparison by digest does not have a digest's length.
    pub(super) fn holds(self, bytes: &[u8], operand: &[u8]) -> Result<bool, Fail> {
        Ok(match self {
            Self::Equal => bytes == operand,
            Self::Differs => bytes != operand,
            Self::DigestEqual => same_digest(bytes, operand)?,
            Self::DigestDiffers => !same_digest(bytes, operand)?,
        })
    }

    /// Whether the comparison holds if there is no key: a missing key differs from every operand.
    pub(super) fn holds_for_missing(self) -> bool {
        matches!(self, Self::Differs | Self::DigestDiffers)
    }
}

fn same_digest(bytes: &[u8], operand: &[u8]) -> Result<bool, Fail> {
    has_digest(bytes, operand).map_err(|error| Fail::text(error.to_string()))
}

pub(super) fn delifeq(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let equal = cx.string(args[1])? == Some(args[2]);
    delete_if(cx, args[1], equal);
    Ok(())
}

pub(super) fn delex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let key = args[1];
    let found = cx.tx.entry(key);
    let wanted = match (args, found) {
        ([_, _], found) => found.is_some(),
        ([_, _, _, _], None) => false,
        ([_, _, word, operand], Some(entry)) => {
            let bytes = str_of(entry)
                .map_err(|_| Fail::new("ERR Key should be of string type if conditions are specified"))?;
            let test = Test::parse(word)
                .ok_or(Fail::new("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"))?;
            test.holds(bytes, operand)?
        }
        _ => return Err(Fail::arity("delex")),
    };
    delete_if(cx, key, wanted);
    Ok(())
}

fn delete_if(cx: &mut Cx<'_, '_>, key: &[u8], wanted: bool) {
    if wanted {
        cx.tx.apply(Effect::Delete { db: cx.db(), key });
        cx.tell(Classes::GENERIC, "del", key);
    }
    cx.out.int(i64::from(wanted));
}

pub(super) fn digest(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    match cx.tx.entry(args[1]) {
        None => cx.out.null(),
        Some(entry) => cx.out.bulk(string_digest(str_of(entry)?).as_bytes()),
    }
    Ok(())
}
