//! The checks that need only the text, in AWS's order: reserved words, list indexes, names and places of functions, and
//! the number of their operands.

use super::ast::{
    Action, AttributeName, Condition, Function, FunctionCall, Operand, Path, PathStep, SetValue,
};
use super::error::Reason;
use super::reserved::is_reserved;
use super::{Dialect, ParseOptions};

type Check = Result<(), Reason>;

/// Which grammar the operand stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Condition,
    Update,
}

pub(super) fn condition(root: &Condition, options: &ParseOptions) -> Check {
    match root {
        Condition::Compare(_, left, right) => {
            operand(left, Place::Condition, options)?;
            operand(right, Place::Condition, options)
        }
        Condition::Between(value, low, high) => {
            [value, low, high].into_iter().try_for_each(|o| operand(o, Place::Condition, options))
        }
        Condition::In(value, list) => {
            operand(value, Place::Condition, options)?;
            list.iter().try_for_each(|o| operand(o, Place::Condition, options))
        }
        Condition::Call(call) => function(call, Place::Condition, true, options),
        Condition::All(all) | Condition::Any(all) => all.iter().try_for_each(|c| condition(c, options)),
        Condition::Not(inner) => condition(inner, options),
    }
}

pub(super) fn update(actions: &[Action], sections: &[&'static str], options: &ParseOptions) -> Check {
    for (at, section) in sections.iter().enumerate() {
        if sections.iter().take(at).any(|earlier| earlier == section) {
            continue;
        }
        for action in actions.iter().filter(|action| action.clause() == *section) {
            path(action.path(), options)?;
            if let Action::Set(_, value) = action {
                match value {
                    SetValue::Operand(one) => operand(one, Place::Update, options)?,
                    SetValue::Plus(both) | SetValue::Minus(both) => {
                        operand(&both.0, Place::Update, options)?;
                        operand(&both.1, Place::Update, options)?;
                    }
                }
            }
        }
        if sections.iter().skip(at + 1).any(|later| later == section) {
            return Err(Reason::RepeatedSection(section));
        }
    }
    Ok(())
}

pub(super) fn projection(paths: &[Path], options: &ParseOptions) -> Check {
    paths.iter().try_for_each(|p| path(p, options))
}

fn operand(operand: &Operand, place: Place, options: &ParseOptions) -> Check {
    match operand {
        Operand::Path(p) => path(p, options),
        Operand::Value(_) => Ok(()),
        Operand::Call(call) => function(call, place, false, options),
    }
}

fn function(call: &FunctionCall, place: Place, as_condition: bool, options: &ParseOptions) -> Check {
    let function = &call.function;
    if let Function::Unknown(name) = function {
        return Err(Reason::UnknownFunction(name.to_string()));
    }
    let of_update = matches!(function, Function::IfNotExists | Function::ListAppend);
    if place == Place::Update && !of_update {
        return Err(Reason::NotInUpdate(function.name()));
    }
    if place == Place::Condition {
        if of_update {
            return Err(Reason::NotInCondition(function.name()));
        }
        if function.is_condition() != as_condition {
            return Err(Reason::Misused(function.name()));
        }
        // The operands of an update's functions are counted later, once the placeholders are known.
        operand_count(call)?;
    }
    call.args.iter().try_for_each(|o| operand(o, place, options))
}

/// Checks how many operands a function was given.
pub(super) fn operand_count(call: &FunctionCall) -> Check {
    if call.args.len() == call.function.operands() {
        return Ok(());
    }
    Err(Reason::OperandCount { function: call.function.name(), count: call.args.len() })
}

fn path(path: &Path, options: &ParseOptions) -> Check {
    name(&path.root, options)?;
    for step in &path.steps {
        match step {
            PathStep::Name(n) => name(n, options)?,
            PathStep::Index(index) if *index > 2_147_483_647 => return Err(Reason::Index(index.to_string())),
            PathStep::Index(_) => {}
        }
    }
    Ok(())
}

fn name(name: &AttributeName, options: &ParseOptions) -> Check {
    match name {
        AttributeName::Plain(name) if options.mode == Dialect::Strict && is_reserved(name) => {
            Err(Reason::Reserved(name.to_string()))
        }
        _ => Ok(()),
    }
}
