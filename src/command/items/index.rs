//! The clauses of a query or scan about indexes: `INDEX name [pk ...]` and `SK`.

use super::ArgWords;
use crate::command::eq;
use crate::command::fail::{self, Fail};
use crate::engine::{Index, ReadSource, Table};
use crate::expr::{BoundCondition, BoundProjection};
use crate::item::{
    AttributeValueRef, ItemError, ItemLimits, KeyAttr, KeyBytes, KeyForm, KeyType, SortCondition, SortRange,
    put_key, put_key_part,
};

/// The index that a query reads. The first attribute of its partition key stands where the table's partition key would
/// stand; the further ones follow the index's name.
pub(super) struct IndexClause<'a, 'b> {
    pub(super) name: &'a [u8],
    rest: &'b [&'a [u8]],
}

impl<'a, 'b> IndexClause<'a, 'b> {
    pub(super) fn read(words: &mut ArgWords<'a, 'b>, table: &Table) -> Result<Self, Fail> {
        let name = words.need()?;
        let more = table.index(name).map_or(0, |index| index.schema.pk.len() - 1);
        Ok(Self { name, rest: words.take_many(more)? })
    }

    /// The partition key in its stored form.
    pub(super) fn partition(
        &self,
        index: &Index,
        first: &[u8],
        limits: &ItemLimits,
    ) -> Result<KeyBytes, ItemError> {
        let mut key = KeyBytes::new();
        let mut size = 0;
        for (attr, text) in index.schema.pk.iter().zip(std::iter::once(&first).chain(self.rest)) {
            let value = key_value(attr, text)?;
            size += value.size();
            let put = if index.schema.local { put_key } else { put_key_part };
            put(&mut key, &value);
        }
        if size > limits.max_partition_key_bytes {
            return Err(ItemError::PartitionKeyTooLong(limits.max_partition_key_bytes));
        }
        Ok(key)
    }
}

/// The value of a key attribute that a text denotes.
///
/// # Errors
/// The text is no value of the attribute's type, or empty.
pub(super) fn key_value<'t>(attr: &KeyAttr, text: &'t [u8]) -> Result<AttributeValueRef<'t>, ItemError> {
    let value = attr.value_of_text(text)?;
    if value.as_bytes().is_some_and(<[u8]>::is_empty) {
        return Err(ItemError::EmptyKey { name: attr.name.clone(), key_type: attr.key_type });
    }
    Ok(value)
}

/// A condition on a sort key attribute, as the client wrote it.
pub(super) struct SortClause<'a> {
    operator: &'a [u8],
    low: &'a [u8],
    high: &'a [u8],
}

impl<'a> SortClause<'a> {
    /// Reads the condition after `SK`.
    pub(super) fn read(words: &mut ArgWords<'a, '_>) -> Result<Self, Fail> {
        let (operator, low) = (words.need()?, words.need()?);
        let high = if eq(operator, "BETWEEN") { words.need()? } else { low };
        Ok(Self { operator, low, high })
    }

    fn condition(&self, attr: &KeyAttr) -> Result<SortCondition<'a>, Fail> {
        let low = || key_value(attr, self.low);
        Ok(match self.operator {
            b"=" => SortCondition::Eq(low()?),
            b"<" => SortCondition::Lt(low()?),
            b"<=" => SortCondition::Le(low()?),
            b">" => SortCondition::Gt(low()?),
            b">=" => SortCondition::Ge(low()?),
            operator if eq(operator, "BETWEEN") => {
                SortCondition::Between(low()?, key_value(attr, self.high)?)
            }
            operator if eq(operator, "PREFIX") && attr.key_type == KeyType::N => {
                return Err(Fail::new("VALIDATION PREFIX needs a sort key of type S or B"));
            }
            operator if eq(operator, "PREFIX") => SortCondition::BeginsWith(low()?),
            _ => return Err(fail::SYNTAX),
        })
    }
}

/// The range that the conditions on the sort key attributes denote. Condition number n is about attribute number n, and
/// all but the last must be equality.
pub(super) fn sort_range(clauses: &[SortClause<'_>], from: &ReadSource<'_>) -> Result<SortRange, Fail> {
    let (attrs, form, what) = match from.index {
        Some(index) => (index.schema.sk.as_slice(), KeyForm::Index, "index"),
        None => (from.table.schema.keys.sk.as_slice(), KeyForm::Table, "table"),
    };
    if clauses.len() > attrs.len() {
        return Err(match attrs.len() {
            0 => Fail::text(format!("VALIDATION the {what} has no sort key")),
            1 => fail::SYNTAX,
            n => Fail::text(format!("VALIDATION the index has {n} sort key attributes")),
        });
    }
    let (mut equal, mut last) = (Vec::new(), None);
    for (clause, attr) in clauses.iter().zip(attrs) {
        if last.is_some() {
            return Err(Fail::new("VALIDATION of several conditions SK only the last may be other than ="));
        }
        match clause.condition(attr)? {
            SortCondition::Eq(value) if form == KeyForm::Index => equal.push(value),
            condition => last = Some(condition),
        }
    }
    SortRange::new(form, &equal, last).ok_or(fail::SYNTAX)
}

/// The attributes that a projection names.
pub(super) fn roots(fields: Option<&BoundProjection>) -> impl Iterator<Item = &str> {
    fields.into_iter().flat_map(BoundProjection::roots)
}

/// Whether a query must read whole items, because it asks for an attribute that a local index does not hold. A global
/// index never makes it read whole items.
///
/// # Errors
/// The filter uses an attribute that a global index does not hold.
pub(super) fn reads_whole<'n>(
    from: &ReadSource<'_>,
    mut asked: impl Iterator<Item = &'n str>,
    filter: Option<&BoundCondition>,
) -> Result<bool, Fail> {
    let Some(index) = from.index.map(|index| &index.schema) else { return Ok(false) };
    let held = |name: &str| index.projects(&from.table.schema.keys, name.as_bytes());
    let filtered = filter.into_iter().flat_map(BoundCondition::roots).find(|name| !held(name));
    match asked.find(|name| !held(name)).map(str::to_owned).or(filtered) {
        Some(name) if !index.local => Err(Fail::text(format!(
            "VALIDATION the index '{}' does not hold the attribute '{name}'",
            index.name
        ))),
        missing => Ok(missing.is_some()),
    }
}
