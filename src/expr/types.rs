//! The checks that need the placeholders' definitions, in AWS's order: what is defined, types of operands, bounds.

use super::ast::{
    Action, AttributeName, Condition, Function, FunctionCall, Operand, Path, SetValue, ValueTerm,
};
use super::check::operand_count;
use super::error::Reason;
use super::eval::order;
use super::options::ExprLimits;
use super::path;
use super::scope::Scope;
use super::walk::{action_operands, operand_paths};
use crate::item::{AttrType, AttributeValueRef};
use smallvec::SmallVec;

type Check = Result<(), Reason>;

/// What AWS prints for an operand that may have any type.
const ANY_TYPE: &str =
    "{SS,M,DECIMAL,DOUBLESET,HDS,N,B,DICT,INTSET,BOOL,HD,BS,INT,DECIMALSET,NULL,FLOAT,FS,S,L,NS,DOUBLE}";

/// Checks one expression.
pub(super) struct Checker<'a> {
    scope: &'a Scope,
    limits: &'a ExprLimits,
    names: &'a [Box<str>],
    values: &'a [Box<str>],
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        scope: &'a Scope,
        limits: &'a ExprLimits,
        names: &'a [Box<str>],
        values: &'a [Box<str>],
    ) -> Self {
        Self { scope, limits, names, values }
    }

    pub(super) fn condition(&self, condition: &Condition) -> Check {
        match condition {
            Condition::Compare(comparator, left, right) => {
                self.operand(left)?;
                self.operand(right)?;
                self.distinct(comparator.symbol(), left, std::slice::from_ref(right))?;
                if matches!(comparator, super::ast::Comparator::Eq | super::ast::Comparator::Ne) {
                    return Ok(());
                }
                [left, right].into_iter().try_for_each(|o| self.orderable(comparator.symbol(), o))
            }
            Condition::Between(value, low, high) => {
                [value, low, high].into_iter().try_for_each(|o| self.operand(o))?;
                self.distinct("BETWEEN", value, std::slice::from_ref(low))?;
                self.distinct("BETWEEN", value, std::slice::from_ref(high))?;
                [value, low, high].into_iter().try_for_each(|o| self.orderable("BETWEEN", o))?;
                self.bounds(low, high)
            }
            Condition::In(value, list) => {
                self.operand(value)?;
                list.iter().try_for_each(|o| self.operand(o))?;
                if list.len() > self.limits.max_in_operands {
                    return Err(Reason::TooManyInOperands(list.len()));
                }
                self.distinct("IN", value, list)
            }
            Condition::Call(call) => self.call(call),
            Condition::All(all) | Condition::Any(all) => all.iter().try_for_each(|c| self.condition(c)),
            Condition::Not(inner) => self.condition(inner),
        }
    }

    /// Checks the names of the changed paths, then overlaps, then every name, then values and types. The last two go
    /// from the last action to the first.
    pub(super) fn update(&self, actions: &[Action]) -> Check {
        if let [only] = actions
            && sets_plain(only)
        {
            return Ok(());
        }
        let paths: SmallVec<[&Path; 4]> = actions.iter().map(Action::path).collect();
        if actions.iter().all(sets_plain) {
            return path::check_overlaps(&paths, self.scope);
        }
        paths.iter().try_for_each(|path| path::names(path).try_for_each(|name| self.name(name)))?;
        path::check_overlaps(&paths, self.scope)?;
        for action in actions.iter().rev() {
            path::names(action.path()).try_for_each(|name| self.name(name))?;
            action_operands(action).try_for_each(|operand| {
                let mut names = Ok(());
                let _ = operand_paths(operand, &mut |path| {
                    if names.is_ok() {
                        names = path::names(path).try_for_each(|name| self.name(name));
                    }
                    Ok(())
                });
                names
            })?;
        }
        actions.iter().rev().try_for_each(|action| self.action(action))
    }

    pub(super) fn projection(&self, paths: &[Path]) -> Check {
        paths.iter().try_for_each(|path| self.path(path))?;
        path::check_overlaps(&paths.iter().collect::<Vec<_>>(), self.scope)
    }

    fn action(&self, action: &Action) -> Check {
        self.path(action.path())?;
        match action {
            Action::Set(_, SetValue::Operand(operand)) => self.operand(operand),
            Action::Set(_, SetValue::Plus(both)) => self.arithmetic("+", &both.0, &both.1),
            Action::Set(_, SetValue::Minus(both)) => self.arithmetic("-", &both.0, &both.1),
            Action::Remove(_) => Ok(()),
            Action::Add(_, value) | Action::Delete(_, value) => {
                self.value(value)?;
                let attr_type = self.scope.value(value).attr_type();
                let is_add = matches!(action, Action::Add(..));
                if attr_type.is_set() || (is_add && attr_type == AttrType::N) {
                    return Ok(());
                }
                let clause = action.clause();
                Err(Reason::ClauseOperandType { clause, operand: long_name(attr_type) })
            }
        }
    }

    fn arithmetic(&self, operator: &'static str, left: &Operand, right: &Operand) -> Check {
        self.operand(left)?;
        self.operand(right)?;
        [left, right].into_iter().try_for_each(|o| self.only(operator, o, |t| t == AttrType::N))
    }

    fn name(&self, name: &AttributeName) -> Check {
        match name {
            AttributeName::Placeholder(number) if !self.scope.defines_name(name) => {
                Err(Reason::UndefinedName(text_of(self.names, *number)))
            }
            _ => Ok(()),
        }
    }

    fn path(&self, path: &Path) -> Check {
        path::names(path).try_for_each(|name| self.name(name))?;
        let elements = 1 + path.steps.len();
        if elements > self.limits.max_path_elements {
            return Err(Reason::PathTooDeep(elements));
        }
        Ok(())
    }

    fn value(&self, value: &ValueTerm) -> Check {
        match value {
            ValueTerm::Placeholder(number) if !self.scope.defines_value(value) => {
                Err(Reason::UndefinedValue(text_of(self.values, *number)))
            }
            _ => Ok(()),
        }
    }

    fn operand(&self, operand: &Operand) -> Check {
        match operand {
            Operand::Path(path) => self.path(path),
            Operand::Value(value) => self.value(value),
            Operand::Call(call) => self.call(call),
        }
    }

    fn call(&self, call: &FunctionCall) -> Check {
        operand_count(call)?;
        call.args.iter().try_for_each(|operand| self.operand(operand))?;
        let name = call.function.name();
        let (Some(first), rest) = (call.args.first(), call.args.get(1..).unwrap_or_default()) else {
            return Ok(());
        };
        let needs_path = matches!(
            call.function,
            Function::AttributeExists
                | Function::AttributeNotExists
                | Function::AttributeType
                | Function::IfNotExists
        );
        if needs_path && !matches!(first, Operand::Path(_)) {
            return Err(Reason::NeedsPath(name));
        }
        if !matches!(call.function, Function::Size | Function::ListAppend) {
            self.distinct(name, first, rest)?;
        }
        match call.function {
            Function::Size => {
                self.only(name, first, |t| !matches!(t, AttrType::N | AttrType::Bool | AttrType::Null))
            }
            Function::BeginsWith => {
                let check = |o| self.only(name, o, |t| matches!(t, AttrType::S | AttrType::B));
                call.args.iter().try_for_each(check)
            }
            Function::AttributeType => rest.first().map_or(Ok(()), |second| self.type_name(second)),
            Function::ListAppend => {
                call.args.iter().try_for_each(|o| self.only(name, o, |t| t == AttrType::L))
            }
            _ => Ok(()),
        }
    }

    fn type_name(&self, operand: &Operand) -> Check {
        let refused = |operand| Err(Reason::OperandType { operator: "attribute_type", operand });
        match operand {
            Operand::Value(value) => match self.scope.value(value) {
                AttributeValueRef::S(name) => {
                    let name = String::from_utf8_lossy(name);
                    match AttrType::from_tag(&name) {
                        Some(_) => Ok(()),
                        None => Err(Reason::TypeName(name.into_owned())),
                    }
                }
                other => refused(other.attr_type().tag()),
            },
            Operand::Call(_) => refused("N"),
            Operand::Path(_) => refused(ANY_TYPE),
        }
    }

    /// The type of an operand that is the same for every item.
    fn static_type(&self, operand: &Operand) -> Option<AttrType> {
        match operand {
            Operand::Value(value) => Some(self.scope.value(value).attr_type()),
            Operand::Call(call) if call.function == Function::Size => Some(AttrType::N),
            _ => None,
        }
    }

    fn only(&self, operator: &'static str, operand: &Operand, allowed: impl Fn(AttrType) -> bool) -> Check {
        match self.static_type(operand) {
            Some(attr_type) if !allowed(attr_type) => {
                Err(Reason::OperandType { operator, operand: attr_type.tag() })
            }
            _ => Ok(()),
        }
    }

    fn orderable(&self, operator: &'static str, operand: &Operand) -> Check {
        self.only(operator, operand, |t| matches!(t, AttrType::S | AttrType::N | AttrType::B))
    }

    fn distinct(&self, operator: &'static str, first: &Operand, rest: &[Operand]) -> Check {
        let Operand::Path(first) = first else { return Ok(()) };
        let repeated = rest
            .iter()
            .any(|other| matches!(other, Operand::Path(other) if path::same(first, other, self.scope)));
        if repeated {
            return Err(Reason::NotDistinct { operator, path: path::print(first, self.scope) });
        }
        Ok(())
    }

    fn bounds(&self, low: &Operand, high: &Operand) -> Check {
        let (Operand::Value(low), Operand::Value(high)) = (low, high) else { return Ok(()) };
        let (low, high) = (self.scope.value(low), self.scope.value(high));
        let print =
            |low: &AttributeValueRef<'_>, high: &AttributeValueRef<'_>| (print_value(low), print_value(high));
        match order(&low, &high) {
            None => {
                let (low, high) = print(&low, &high);
                Err(Reason::BoundTypes { low, high })
            }
            Some(std::cmp::Ordering::Greater) => {
                let (low, high) = print(&low, &high);
                Err(Reason::BoundOrder { low, high })
            }
            Some(_) => Ok(()),
        }
    }
}

/// Whether an action sets a whole attribute, written out, to a literal. Such actions need no check except for overlaps.
fn sets_plain(action: &Action) -> bool {
    match action {
        Action::Set(
            Path { root: AttributeName::Plain(_), steps },
            SetValue::Operand(Operand::Value(ValueTerm::Literal(_))),
        ) => steps.is_empty(),
        _ => false,
    }
}

fn text_of(table: &[Box<str>], number: u16) -> String {
    table.get(usize::from(number)).map(ToString::to_string).unwrap_or_default()
}

fn long_name(attr_type: AttrType) -> &'static str {
    match attr_type {
        AttrType::S => "STRING",
        AttrType::N => "NUMBER",
        AttrType::B => "BINARY",
        AttrType::Bool => "BOOLEAN",
        AttrType::Null => "NULL",
        AttrType::M => "MAP",
        AttrType::L => "LIST",
        AttrType::Ss => "STRING_SET",
        AttrType::Ns => "NUMBER_SET",
        AttrType::Bs => "BINARY_SET",
    }
}

fn print_value(value: &AttributeValueRef<'_>) -> String {
    let content = match value {
        AttributeValueRef::S(text) => String::from_utf8_lossy(text).into_owned(),
        AttributeValueRef::B(bytes) => format!("java.nio.HeapByteBuffer[pos=0 lim={0} cap={0}]", bytes.len()),
        AttributeValueRef::N(number) => number.to_string(),
        // Values of other types cannot be bounds.
        _ => String::new(),
    };
    format!("AttributeValue: {{{}:{content}}}", value.attr_type())
}
