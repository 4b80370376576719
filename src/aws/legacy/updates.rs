//! `AttributeUpdates`: what happens to whole attributes.

use super::super::body::{Body, Violations};
use super::super::error::AwsError;
use super::{invalid, value};
use crate::expr::{
    Action, BoundUpdate, Function, FunctionCall, Operand, Path, SetValue, ValueTerm as Literal,
};
use crate::item::{AttrType, AttributeValue, EncodedValue, check_name};
use serde_json::Value;

/// Checks that all actions exist.
pub(in crate::aws) fn constrain_updates(body: Body<'_>, violations: &mut Violations) {
    for (name, update) in body.map("AttributeUpdates").into_iter().flat_map(|map| map.0) {
        if let Some(action) = update.get("Action").and_then(Value::as_str) {
            let path = format!("attributeUpdates.{name}.member.action");
            violations.one_of_at(action, &path, &["ADD", "DELETE", "PUT"]);
        }
    }
}

/// The update of `AttributeUpdates`.
///
/// # Errors
/// AWS's, for values that do not fit their action.
pub(in crate::aws) fn attribute_updates(body: Body<'_>) -> Result<Option<BoundUpdate>, AwsError> {
    let Some(updates) = body.map("AttributeUpdates") else { return Ok(None) };
    let mut actions = Vec::new();
    for (name, update) in updates.0 {
        if let Value::Object(update) = update {
            check_name(name.as_bytes())?;
            actions.push(action(name, Body(update))?);
        }
    }
    Ok((!actions.is_empty()).then(|| BoundUpdate::literal(actions)))
}

fn action(name: &str, update: Body<'_>) -> Result<Action, AwsError> {
    let path = Path::attribute(name);
    let action = update.text("Action").unwrap_or("PUT");
    let Some(given) = update.get("Value").map(value).transpose()? else {
        if action == "DELETE" {
            return Ok(Action::Remove(path));
        }
        return Err(invalid("Only DELETE action is allowed when no attribute value is specified"));
    };
    let attr_type = given.attr_type();
    let literal = Literal::Literal(EncodedValue::new(&given)?);
    match action {
        "ADD" if attr_type == AttrType::L => appended(path, literal),
        "ADD" if attr_type == AttrType::N || attr_type.is_set() => Ok(Action::Add(path, literal)),
        "ADD" => Err(invalid(&format!("ADD action is not supported for the type {attr_type}"))),
        "DELETE" if attr_type.is_set() => Ok(Action::Delete(path, literal)),
        "DELETE" => {
            Err(invalid(&format!("DELETE action with value is not supported for the type {attr_type}")))
        }
        _ => Ok(Action::Set(path, SetValue::Operand(Operand::Value(literal)))),
    }
}

/// ADD of a list appends its values to the existing list, or to an empty one.
fn appended(path: Path, more: Literal) -> Result<Action, AwsError> {
    let none = Operand::literal(&AttributeValue::L(Vec::new()))?;
    let args = vec![Operand::Path(path.clone()), none];
    let present = Operand::Call(FunctionCall { function: Function::IfNotExists, args });
    let args = vec![present, Operand::Value(more)];
    let appended = Operand::Call(FunctionCall { function: Function::ListAppend, args });
    Ok(Action::Set(path, SetValue::Operand(appended)))
}
