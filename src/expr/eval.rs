//! Whether an item satisfies a condition.

use std::cmp::Ordering;

use super::ast::{Comparator, Condition, Function, FunctionCall, Operand};
use super::bound::BoundCondition;
use super::path;
use super::scope::Scope;
use crate::item::{AttributeValueRef, ItemRef, Number};

impl BoundCondition {
    /// True when the item, or its absence, satisfies the condition. Reads only the attributes that are named.
    pub fn holds(&self, item: Option<ItemRef<'_>>) -> bool {
        let item = item.unwrap_or(ItemRef::EMPTY);
        holds(&self.parsed.root, &self.scope, item)
    }
}

fn holds(condition: &Condition, scope: &Scope, item: ItemRef<'_>) -> bool {
    match condition {
        Condition::Compare(comparator, left, right) => {
            compare(*comparator, value(left, scope, item), value(right, scope, item))
        }
        Condition::Between(operand, low, high) => {
            let operand = value(operand, scope, item);
            compare(Comparator::Ge, operand, value(low, scope, item))
                && compare(Comparator::Le, operand, value(high, scope, item))
        }
        Condition::In(operand, list) => {
            let operand = value(operand, scope, item);
            operand.is_some() && list.iter().any(|other| value(other, scope, item) == operand)
        }
        Condition::Call(call) => call_holds(call, scope, item),
        Condition::All(all) => all.iter().all(|one| holds(one, scope, item)),
        Condition::Any(any) => any.iter().any(|one| holds(one, scope, item)),
        Condition::Not(inner) => !holds(inner, scope, item),
    }
}

/// The operand's value for this item, if it has one.
fn value<'a>(operand: &'a Operand, scope: &'a Scope, item: ItemRef<'a>) -> Option<AttributeValueRef<'a>> {
    match operand {
        Operand::Path(path) => path::find(path, scope, item),
        Operand::Value(value) => Some(scope.value(value)),
        Operand::Call(call) if call.function == Function::Size => {
            let size = size(&value(call.args.first()?, scope, item)?)?;
            Some(AttributeValueRef::N(Number::from(size as i64)))
        }
        Operand::Call(_) => None,
    }
}

/// The value of `size`: a string's length in UTF-16 units, a binary's bytes, the number of members of a set, list or
/// map.
fn size(value: &AttributeValueRef<'_>) -> Option<usize> {
    match value {
        AttributeValueRef::S(text) => Some(utf16_len(text)),
        AttributeValueRef::B(bytes) => Some(bytes.len()),
        AttributeValueRef::L(list)
        | AttributeValueRef::Ss(list)
        | AttributeValueRef::Ns(list)
        | AttributeValueRef::Bs(list) => Some(list.len()),
        AttributeValueRef::M(map) => Some(map.len()),
        AttributeValueRef::N(_) | AttributeValueRef::Bool(_) | AttributeValueRef::Null => None,
    }
}

/// The length in UTF-16 units of UTF-8 text: two for a character of four bytes, one for any other.
fn utf16_len(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    let first = |byte: &&u8| **byte & 0xC0 != 0x80;
    text.iter().filter(first).count() + text.iter().filter(|byte| **byte >= 0xF0).count()
}

/// Values of different types are not equal. Only two strings, two numbers or two binaries have an order. A missing
/// value is not equal to anything and has no order.
fn compare(
    comparator: Comparator,
    left: Option<AttributeValueRef<'_>>,
    right: Option<AttributeValueRef<'_>>,
) -> bool {
    let equal = || left.is_some() && left == right;
    let ordered = |accepted: fn(Ordering) -> bool| match (left, right) {
        (Some(left), Some(right)) => order(&left, &right).is_some_and(accepted),
        _ => false,
    };
    match comparator {
        Comparator::Eq => equal(),
        Comparator::Ne => !equal(),
        Comparator::Lt => ordered(Ordering::is_lt),
        Comparator::Le => ordered(Ordering::is_le),
        Comparator::Gt => ordered(Ordering::is_gt),
        Comparator::Ge => ordered(Ordering::is_ge),
    }
}

/// The order of two values of one type that has an order.
pub fn order(left: &AttributeValueRef<'_>, right: &AttributeValueRef<'_>) -> Option<Ordering> {
    match (left, right) {
        (AttributeValueRef::S(a), AttributeValueRef::S(b))
        | (AttributeValueRef::B(a), AttributeValueRef::B(b)) => Some(a.cmp(b)),
        (AttributeValueRef::N(a), AttributeValueRef::N(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn call_holds(call: &FunctionCall, scope: &Scope, item: ItemRef<'_>) -> bool {
    let arg = |at: usize| call.args.get(at).and_then(|operand| value(operand, scope, item));
    match call.function {
        Function::AttributeExists => arg(0).is_some(),
        Function::AttributeNotExists => arg(0).is_none(),
        Function::AttributeType => match (arg(0), arg(1)) {
            (Some(value), Some(AttributeValueRef::S(tag))) => value.attr_type().tag().as_bytes() == tag,
            _ => false,
        },
        Function::BeginsWith => match (arg(0), arg(1)) {
            (Some(AttributeValueRef::S(whole)), Some(AttributeValueRef::S(prefix)))
            | (Some(AttributeValueRef::B(whole)), Some(AttributeValueRef::B(prefix))) => {
                whole.starts_with(prefix)
            }
            _ => false,
        },
        Function::Contains => arg(0).zip(arg(1)).is_some_and(|(whole, part)| contains(&whole, &part)),
        // A checked condition never is one of these.
        Function::Size | Function::IfNotExists | Function::ListAppend | Function::Unknown(_) => false,
    }
}

fn contains(whole: &AttributeValueRef<'_>, part: &AttributeValueRef<'_>) -> bool {
    match (whole, part) {
        (AttributeValueRef::S(whole), AttributeValueRef::S(part))
        | (AttributeValueRef::B(whole), AttributeValueRef::B(part)) => {
            memchr::memmem::find(whole, part).is_some()
        }
        (AttributeValueRef::Ss(set), AttributeValueRef::S(_))
        | (AttributeValueRef::Ns(set), AttributeValueRef::N(_))
        | (AttributeValueRef::Bs(set), AttributeValueRef::B(_)) => set.contains(part),
        (AttributeValueRef::L(list), part) => list.contains(part),
        _ => false,
    }
}
