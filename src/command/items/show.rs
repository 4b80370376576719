//! Writes items into replies: as protocol types, or as one JSON string.

use super::ArgWords;
use crate::command::eq;
use crate::command::fail::{self, Fail};
use crate::expr::BoundProjection;
use crate::item::{AttributeValueRef, ItemError, ItemRef, Number, write_plain_json, write_typed_json};
use crate::resp::Reply;

/// The form of items in a reply (`FORMAT`).
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Format {
    /// Each value as the protocol's nearest type.
    #[default]
    Native,
    /// Plain JSON.
    Json,
    /// JSON with DynamoDB's type tags.
    Ddb,
}

impl Format {
    /// Reads the argument of the clause.
    pub(super) fn read(words: &mut ArgWords<'_, '_>) -> Result<Self, Fail> {
        let word = words.need()?;
        match word {
            _ if eq(word, "NATIVE") => Ok(Self::Native),
            _ if eq(word, "JSON") => Ok(Self::Json),
            _ if eq(word, "DDB") => Ok(Self::Ddb),
            _ => Err(fail::SYNTAX),
        }
    }
}

/// Which parts of items are shown, and in which form.
#[derive(Default)]
pub(super) struct View {
    pub(super) format: Format,
    /// Only these parts are shown; `None` shows all.
    pub(super) fields: Option<BoundProjection>,
}

impl View {
    /// Writes an item.
    pub(super) fn item(&self, out: &mut Reply, item: ItemRef<'_>) -> Result<(), ItemError> {
        match (self.format, &self.fields) {
            (Format::Native, None) => {
                out.map(item.len());
                for (name, value) in item {
                    out.bulk(name);
                    native(out, &value);
                }
            }
            (Format::Native, Some(fields)) => {
                let begun = out.begin_deferred();
                let mut count = 0;
                fields.each(item, |name, value| {
                    out.bulk(name.as_bytes());
                    native(out, value);
                    count += 1;
                    Ok::<(), ItemError>(())
                })?;
                out.end_map(begun, count);
            }
            (format, None) => json(out, format, item),
            (format, Some(fields)) => json(out, format, fields.apply(item)?.view()),
        }
        Ok(())
    }
}

fn json(out: &mut Reply, format: Format, item: ItemRef<'_>) {
    let mut text = Vec::with_capacity(item.as_bytes().len() * 2);
    match format {
        Format::Ddb => write_typed_json(&item, &mut text),
        _ => write_plain_json(&item, &mut text),
    }
    out.bulk(&text);
}

/// Writes a value as the protocol's nearest type.
pub(super) fn native(out: &mut Reply, value: &AttributeValueRef<'_>) {
    match value {
        AttributeValueRef::S(bytes) | AttributeValueRef::B(bytes) => out.bulk(bytes),
        AttributeValueRef::N(value) => number(out, *value),
        AttributeValueRef::Bool(value) => out.bool(*value),
        AttributeValueRef::Null => out.null(),
        AttributeValueRef::M(map) => {
            out.map(map.len());
            for (name, value) in *map {
                out.bulk(name);
                native(out, &value);
            }
        }
        AttributeValueRef::L(list) => {
            out.array(list.len());
            list.iter().for_each(|value| native(out, &value));
        }
        AttributeValueRef::Ss(set) | AttributeValueRef::Ns(set) | AttributeValueRef::Bs(set) => {
            out.set(set.len());
            set.iter().for_each(|value| native(out, &value));
        }
    }
}

/// In RESP3 an integer if it fits 64 bits, a double if a double holds it exactly, else a string. In RESP2 a string.
pub(super) fn number(out: &mut Reply, number: Number) {
    match (out.is_resp3(), number.as_i64()) {
        (true, Some(int)) => return out.int(int),
        (false, Some(int)) => return out.bulk_int(int),
        (true, None) => {
            if let Some(double) = number.as_f64() {
                return out.double(double);
            }
        }
        (false, None) => {}
    }
    let mut text = Vec::with_capacity(48);
    number.write_text(&mut text);
    out.bulk(&text);
}
