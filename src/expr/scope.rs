//! What the placeholders of an expression stand for.

use std::sync::Arc;

use smallvec::SmallVec;

use super::ast::{AttributeName, ValueTerm};
use crate::item::{AttributeValueRef, EncodedValue};

/// Slot of a placeholder that is not defined.
pub(super) const UNDEFINED: u16 = u16::MAX;

/// Definitions of placeholders, ascending.
#[derive(Debug, Default)]
pub(super) struct Definitions {
    pub(super) names: Vec<(Box<str>, Box<str>)>,
    pub(super) values: Vec<(Box<str>, EncodedValue)>,
}

/// Where the placeholders of one expression are defined.
#[derive(Clone, Debug, Default)]
pub(super) struct Scope {
    /// None if the request defines no placeholder.
    pub(super) table: Option<Arc<Definitions>>,
    pub(super) names: SmallVec<[u16; 8]>,
    pub(super) values: SmallVec<[u16; 8]>,
}

impl Scope {
    /// The attribute's name; empty for a placeholder that is not defined, which binding refuses.
    pub(super) fn name<'a>(&'a self, name: &'a AttributeName) -> &'a str {
        match name {
            AttributeName::Plain(name) => name,
            AttributeName::Placeholder(number) => {
                let slot = self.names.get(usize::from(*number)).copied().unwrap_or(UNDEFINED);
                let names = self.table.as_deref().map_or(&[][..], |table| &table.names);
                names.get(usize::from(slot)).map_or("", |(_, name)| name)
            }
        }
    }

    /// The value; null for a placeholder that is not defined, which binding refuses.
    pub(super) fn value<'a>(&'a self, value: &'a ValueTerm) -> AttributeValueRef<'a> {
        match value {
            ValueTerm::Literal(value) => value.view(),
            ValueTerm::Placeholder(number) => {
                let slot = self.values.get(usize::from(*number)).copied().unwrap_or(UNDEFINED);
                let values = self.table.as_deref().map_or(&[][..], |table| &table.values);
                values.get(usize::from(slot)).map_or(AttributeValueRef::Null, |(_, value)| value.view())
            }
        }
    }

    pub(super) fn defines_name(&self, name: &AttributeName) -> bool {
        match name {
            AttributeName::Plain(_) => true,
            AttributeName::Placeholder(number) => {
                self.names.get(usize::from(*number)).is_some_and(|slot| *slot != UNDEFINED)
            }
        }
    }

    pub(super) fn defines_value(&self, value: &ValueTerm) -> bool {
        match value {
            ValueTerm::Literal(_) => true,
            ValueTerm::Placeholder(number) => {
                self.values.get(usize::from(*number)).is_some_and(|slot| *slot != UNDEFINED)
            }
        }
    }
}
