//! Turns a key condition into a partition key and a range of sort keys.

use super::ast::{Comparator, Condition, Function, FunctionCall, Operand, Path};
use super::bound::BoundCondition;
use super::error::ExprError;
use super::scope::Scope;
use crate::item::{
    AttributeValueRef, IndexSchema, ItemError, ItemLimits, KeyAttr, KeyBytes, KeyForm, KeySchema,
    SortCondition, SortRange, put_key, put_key_part,
};

/// The keys of a table or an index that is queried.
#[derive(Clone, Copy, Debug)]
pub struct KeyTarget<'s> {
    /// Partition key attributes.
    pub pk: &'s [KeyAttr],
    /// Sort key attributes.
    pub sk: &'s [KeyAttr],
    /// How the partition key is encoded.
    pub pk_form: KeyForm,
    /// How the sort key is encoded.
    pub sk_form: KeyForm,
}

impl<'s> KeyTarget<'s> {
    /// A table's.
    pub fn table(keys: &'s KeySchema) -> Self {
        Self {
            pk: std::slice::from_ref(&keys.pk),
            sk: keys.sk.as_slice(),
            pk_form: KeyForm::Table,
            sk_form: KeyForm::Table,
        }
    }

    /// An index's.
    pub fn index(index: &'s IndexSchema) -> Self {
        // A local index is partitioned by the table's partition key.
        let pk_form = if index.local { KeyForm::Table } else { KeyForm::Index };
        Self { pk: &index.pk, sk: &index.sk, pk_form, sk_form: KeyForm::Index }
    }

    /// The names of all its attributes.
    pub fn names(&self) -> impl Iterator<Item = &'s str> + Clone {
        self.pk.iter().chain(self.sk).map(|attr| attr.name.as_str())
    }
}

/// What a query reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRanges {
    /// The partition key.
    pub pk: KeyBytes,
    /// The range of sort keys.
    pub sk: SortRange,
}

/// A condition on one attribute, which is the left operand.
struct One<'a> {
    path: &'a Path,
    test: Test<'a>,
}

enum Test<'a> {
    Compare(Comparator, &'a Operand),
    Between(&'a Operand, &'a Operand),
    BeginsWith(&'a Operand),
}

impl BoundCondition {
    /// Checks that a query's filter does not use key attributes.
    ///
    /// # Errors
    /// [`ExprError::FilterOnKey`].
    pub fn check_filter(&self, keys: &KeyTarget<'_>) -> Result<(), ExprError> {
        self.each_path(&mut |path| {
            let name = self.scope.name(&path.root);
            if keys.names().any(|key| key == name) {
                return Err(ExprError::FilterOnKey(name.to_owned()));
            }
            Ok(())
        })
    }

    /// What a query with this key condition reads.
    ///
    /// # Errors
    /// Unless the condition is an AND of: equality on every partition key attribute; equality on the first sort key
    /// attributes, any number of them; at most one other condition on the next sort key attribute. Also for values of
    /// other types than the attributes'.
    pub fn key_ranges(&self, target: &KeyTarget<'_>, limits: &ItemLimits) -> Result<KeyRanges, ExprError> {
        let mut ones = Vec::new();
        collect(&self.parsed.root, &mut ones)?;
        let name = |one: &One<'_>| self.scope.name(&one.path.root).to_owned();
        for (at, one) in ones.iter().enumerate() {
            if ones.iter().take(at).any(|earlier| name(earlier) == name(one)) {
                return Err(ExprError::KeyTwice);
            }
        }
        let of = |attr: &KeyAttr| ones.iter().find(|one| name(one) == attr.name);
        let mut pk = KeyBytes::new();
        let mut pk_size = 0;
        for attr in target.pk {
            let one = of(attr).ok_or_else(|| ExprError::KeyMissing(Some(attr.name.clone())))?;
            let Test::Compare(Comparator::Eq, operand) = &one.test else {
                return Err(ExprError::KeyNotSupported);
            };
            let value = key_value(attr, operand, &self.scope)?;
            pk_size += value.size();
            match target.pk_form {
                KeyForm::Table => put_key(&mut pk, &value),
                KeyForm::Index => put_key_part(&mut pk, &value),
            };
        }
        if pk_size > limits.max_partition_key_bytes {
            return Err(ItemError::PartitionKeyTooLong(limits.max_partition_key_bytes).into());
        }
        let mut known = target.pk.len();
        let mut equal = Vec::new();
        let mut last = None;
        for attr in target.sk {
            let Some(one) = of(attr) else { break };
            known += 1;
            match sort_condition(attr, one, &self.scope)? {
                SortCondition::Eq(value) if target.sk_form == KeyForm::Index => equal.push(value),
                condition => {
                    last = Some(condition);
                    break;
                }
            }
        }
        if known < ones.len() {
            // A condition was not used: its attribute is no key, or a sort key attribute before it has no condition.
            let missed = target.sk.iter().find(|attr| of(attr).is_none());
            return Err(match missed {
                Some(attr) => ExprError::KeyMissing(Some(attr.name.clone())),
                None => ExprError::KeyNotSupported,
            });
        }
        let sk = SortRange::new(target.sk_form, &equal, last).ok_or(ExprError::KeyType)?;
        Ok(KeyRanges { pk, sk })
    }
}

fn collect<'a>(condition: &'a Condition, ones: &mut Vec<One<'a>>) -> Result<(), ExprError> {
    match condition {
        Condition::All(all) => all.iter().try_for_each(|one| collect(one, ones)),
        Condition::Any(_) => Err(ExprError::KeyOperator("OR")),
        Condition::Not(_) => Err(ExprError::KeyOperator("NOT")),
        Condition::In(..) => Err(ExprError::KeyOperator("IN")),
        Condition::Compare(Comparator::Ne, ..) => Err(ExprError::KeyOperator("<>")),
        Condition::Compare(comparator, left, right) => {
            let (path, comparator, operand) = match (path_of(left)?, path_of(right)?) {
                (Some(_), Some(_)) => return Err(ExprError::KeyManyPaths),
                (Some(path), None) => (path, *comparator, right),
                (None, Some(path)) => (path, comparator.mirrored(), left),
                (None, None) => return Err(ExprError::KeyNoPath),
            };
            ones.push(One { path, test: Test::Compare(comparator, operand) });
            Ok(())
        }
        Condition::Between(value, low, high) => {
            let path = first_path(value, "BETWEEN")?;
            no_path(low)?;
            no_path(high)?;
            ones.push(One { path, test: Test::Between(low, high) });
            Ok(())
        }
        Condition::Call(FunctionCall { function: Function::BeginsWith, args }) => match args.as_slice() {
            [first, prefix] => {
                let path = first_path(first, "begins_with")?;
                no_path(prefix)?;
                ones.push(One { path, test: Test::BeginsWith(prefix) });
                Ok(())
            }
            _ => Err(ExprError::KeyNotSupported),
        },
        Condition::Call(call) => Err(ExprError::KeyOperator(call.function.name())),
    }
}

fn path_of(operand: &Operand) -> Result<Option<&Path>, ExprError> {
    match operand {
        Operand::Path(path) if path.steps.is_empty() => Ok(Some(path)),
        Operand::Path(_) => Err(ExprError::KeyNestedPath),
        Operand::Value(_) => Ok(None),
        Operand::Call(_) => Err(ExprError::KeyNestedOperation),
    }
}

fn first_path<'a>(operand: &'a Operand, operator: &'static str) -> Result<&'a Path, ExprError> {
    path_of(operand)?.ok_or(ExprError::KeyFirstOperand(operator))
}

fn no_path(operand: &Operand) -> Result<(), ExprError> {
    match path_of(operand)? {
        Some(_) => Err(ExprError::KeyManyPaths),
        None => Ok(()),
    }
}

fn key_value<'a>(
    attr: &KeyAttr,
    operand: &'a Operand,
    scope: &'a Scope,
) -> Result<AttributeValueRef<'a>, ExprError> {
    let Operand::Value(value) = operand else { return Err(ExprError::KeyNestedOperation) };
    let value = scope.value(value);
    if value.attr_type() != attr.key_type.attr_type() {
        return Err(ExprError::KeyType);
    }
    if value.as_bytes().is_some_and(<[u8]>::is_empty) {
        return Err(ItemError::EmptyKey { name: attr.name.clone(), key_type: attr.key_type }.into());
    }
    Ok(value)
}

fn sort_condition<'a>(
    attr: &KeyAttr,
    one: &One<'a>,
    scope: &'a Scope,
) -> Result<SortCondition<'a>, ExprError> {
    let value = |operand: &'a Operand| key_value(attr, operand, scope);
    Ok(match one.test {
        Test::Compare(Comparator::Eq, operand) => SortCondition::Eq(value(operand)?),
        Test::Compare(Comparator::Lt, operand) => SortCondition::Lt(value(operand)?),
        Test::Compare(Comparator::Le, operand) => SortCondition::Le(value(operand)?),
        Test::Compare(Comparator::Gt, operand) => SortCondition::Gt(value(operand)?),
        Test::Compare(Comparator::Ge, operand) => SortCondition::Ge(value(operand)?),
        Test::Compare(Comparator::Ne, _) => return Err(ExprError::KeyOperator("<>")),
        Test::Between(low, high) => SortCondition::Between(value(low)?, value(high)?),
        Test::BeginsWith(prefix) => SortCondition::BeginsWith(value(prefix)?),
    })
}
