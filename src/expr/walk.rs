//! Walks over the paths and operands of expressions.

use super::ast::{Action, Condition, Operand, Path, SetValue};
use super::error::ExprError;

/// Calls `visit` with every path of a condition.
pub(super) fn condition_paths(
    condition: &Condition,
    visit: &mut dyn FnMut(&Path) -> Result<(), ExprError>,
) -> Result<(), ExprError> {
    match condition {
        Condition::Compare(_, left, right) => {
            operand_paths(left, visit)?;
            operand_paths(right, visit)
        }
        Condition::Between(value, low, high) => {
            operand_paths(value, visit)?;
            operand_paths(low, visit)?;
            operand_paths(high, visit)
        }
        Condition::In(value, list) => {
            operand_paths(value, visit)?;
            list.iter().try_for_each(|operand| operand_paths(operand, visit))
        }
        Condition::Call(call) => call.args.iter().try_for_each(|operand| operand_paths(operand, visit)),
        Condition::All(all) | Condition::Any(all) => all.iter().try_for_each(|c| condition_paths(c, visit)),
        Condition::Not(inner) => condition_paths(inner, visit),
    }
}

/// Calls `visit` with every path of an operand.
pub(super) fn operand_paths(
    operand: &Operand,
    visit: &mut dyn FnMut(&Path) -> Result<(), ExprError>,
) -> Result<(), ExprError> {
    match operand {
        Operand::Path(path) => visit(path),
        Operand::Value(_) => Ok(()),
        Operand::Call(call) => call.args.iter().try_for_each(|operand| operand_paths(operand, visit)),
    }
}

/// The operands that an action reads.
pub(super) fn action_operands(action: &Action) -> impl Iterator<Item = &Operand> {
    let (first, second) = match action {
        Action::Set(_, SetValue::Operand(one)) => (Some(one), None),
        Action::Set(_, SetValue::Plus(both) | SetValue::Minus(both)) => (Some(&both.0), Some(&both.1)),
        _ => (None, None),
    };
    first.into_iter().chain(second)
}
