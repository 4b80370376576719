//! Reads the words of a table's definition that several commands share: attributes, their types, and what a change
//! stream records.

use crate::command::items::ArgWords;
use crate::command::{Fail, eq};
use crate::item::{AttrType, KeyAttr, KeyType, StreamView, TableSchema};

/// Reads the declarations after ATTR: one, and further ones as long as a name and a type follow.
pub(super) fn declarations(schema: &mut TableSchema, words: &mut ArgWords<'_, '_>) -> Result<(), Fail> {
    declare(schema, words)?;
    while words.peek_second().is_some_and(|word| attr_type(word).is_some())
        && !words.peek().is_some_and(is_clause)
    {
        declare(schema, words)?;
    }
    Ok(())
}

fn is_clause(word: &[u8]) -> bool {
    ["PK", "SK", "TTL", "NOTTL", "KEYSPACE", "NOKEYSPACE", "STREAM", "NOSTREAM", "ATTR", "NOATTR", "INDEX"]
        .iter()
        .any(|clause| eq(word, clause))
}

pub(super) fn stream_view(words: &mut ArgWords<'_, '_>) -> Result<StreamView, Fail> {
    let word = words.need()?;
    let view = StreamView::ALL.into_iter().find(|view| eq(word, view.short_name()));
    view.ok_or(Fail::new("VALIDATION a stream's view is one of KEYS NEW OLD BOTH"))
}

fn declare(schema: &mut TableSchema, words: &mut ArgWords<'_, '_>) -> Result<(), Fail> {
    let name = attribute(words)?;
    let declared = attr_type(words.need()?)
        .ok_or(Fail::new("VALIDATION an attribute's type is one of S N B BOOL NULL M L SS NS BS"))?;
    match schema.attrs.insert(name, declared) {
        None => Ok(()),
        Some(_) => Err(Fail::new("VALIDATION an attribute is declared twice")),
    }
}

fn attr_type(word: &[u8]) -> Option<AttrType> {
    AttrType::ALL.into_iter().find(|t| eq(word, t.tag()))
}

/// Reads a key attribute: its name, and its type if it is not S.
pub(super) fn key_attr(words: &mut ArgWords<'_, '_>) -> Result<KeyAttr, Fail> {
    let name = attribute(words)?;
    let of_index = |word| eq(word, "PROJECT") || eq(word, "LOCAL");
    if words.peek().is_none_or(|word| is_clause(word) || of_index(word)) {
        return Ok(KeyAttr::new(name, KeyType::S));
    }
    let key_type = attr_type(words.need()?).and_then(KeyType::from_attr_type);
    Ok(KeyAttr::new(name, key_type.ok_or(Fail::new("VALIDATION a key's type is one of S N B"))?))
}

pub(super) fn attribute(words: &mut ArgWords<'_, '_>) -> Result<String, Fail> {
    let name = words.text()?;
    crate::item::check_name(name.as_bytes())?;
    Ok(name.to_owned())
}
