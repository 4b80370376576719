//! The trees of expressions, independent of their text.
//!
//! The parser makes these trees from text; other front ends (typed clauses of commands, older request forms, query
//! languages) make them directly. Placeholders are indexes into the tables of [`Parsed`], so that one tree serves any
//! values.

use crate::item::{AttributeValue, EncodedValue, ItemError};
use smallvec::SmallVec;

/// A name: written out, or a `#placeholder` by its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeName {
    /// The attribute's name.
    Plain(Box<str>),
    /// Number in [`Parsed::names`].
    Placeholder(u16),
}

/// A step below an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathStep {
    /// An entry of a map.
    Name(AttributeName),
    /// A value of a list.
    Index(u64),
}

/// A document path: an attribute and steps below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The attribute.
    pub root: AttributeName,
    /// The steps.
    pub steps: Vec<PathStep>,
}

impl Path {
    /// The path of a top-level attribute.
    pub fn attribute(name: impl Into<Box<str>>) -> Self {
        Self { root: AttributeName::Plain(name.into()), steps: Vec::new() }
    }
}

/// A value: a `:placeholder` by its number, or a literal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ValueTerm {
    /// Number in [`Parsed::values`].
    Placeholder(u16),
    /// The value itself.
    Literal(EncodedValue),
}

/// Functions of conditions and updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    /// `attribute_exists(path)`.
    AttributeExists,
    /// `attribute_not_exists(path)`.
    AttributeNotExists,
    /// `attribute_type(path, type)`.
    AttributeType,
    /// `begins_with(operand, prefix)`.
    BeginsWith,
    /// `contains(operand, part)`.
    Contains,
    /// `size(operand)`.
    Size,
    /// `if_not_exists(path, operand)`.
    IfNotExists,
    /// `list_append(operand, operand)`.
    ListAppend,
    /// The name of a function that does not exist. A checked expression does not contain it.
    Unknown(Box<str>),
}

impl Function {
    /// The function's name as it is written.
    pub fn name(&self) -> &'static str {
        match self {
            Self::AttributeExists => "attribute_exists",
            Self::AttributeNotExists => "attribute_not_exists",
            Self::AttributeType => "attribute_type",
            Self::BeginsWith => "begins_with",
            Self::Contains => "contains",
            Self::Size => "size",
            Self::IfNotExists => "if_not_exists",
            Self::ListAppend => "list_append",
            Self::Unknown(_) => "",
        }
    }

    pub(super) fn from_name(name: &str) -> Self {
        const ALL: [Function; 8] = [
            Function::AttributeExists,
            Function::AttributeNotExists,
            Function::AttributeType,
            Function::BeginsWith,
            Function::Contains,
            Function::Size,
            Function::IfNotExists,
            Function::ListAppend,
        ];
        ALL.into_iter().find(|f| f.name() == name).unwrap_or_else(|| Self::Unknown(name.into()))
    }

    pub(super) fn operands(&self) -> usize {
        match self {
            Self::AttributeExists | Self::AttributeNotExists | Self::Size => 1,
            _ => 2,
        }
    }

    /// True for functions that are conditions by themselves.
    pub(super) fn is_condition(&self) -> bool {
        !matches!(self, Self::Size | Self::IfNotExists | Self::ListAppend)
    }
}

/// A function with its operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionCall {
    /// The function.
    pub function: Function,
    /// The operands.
    pub args: Vec<Operand>,
}

/// What comparators and functions work on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// An attribute or something within it.
    Path(Path),
    /// A value.
    Value(ValueTerm),
    /// A function that yields a value: `size` in conditions, `if_not_exists` and `list_append` in updates.
    Call(FunctionCall),
}

impl Operand {
    /// A literal.
    ///
    /// # Errors
    /// When the value is not valid.
    pub fn literal(value: &AttributeValue) -> Result<Self, ItemError> {
        Ok(Self::Value(ValueTerm::Literal(EncodedValue::new(value)?)))
    }
}

/// Comparators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparator {
    /// `=`
    Eq,
    /// `<>`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Comparator {
    /// As it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "<>",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// The comparator with its operands exchanged.
    pub(super) fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }
}

/// A condition, a filter or a key condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `left op right`.
    Compare(Comparator, Operand, Operand),
    /// `value BETWEEN low AND high`.
    Between(Operand, Operand, Operand),
    /// `value IN (list)`.
    In(Operand, Vec<Operand>),
    /// A function that is a condition.
    Call(FunctionCall),
    /// All of several, joined by AND.
    All(Vec<Condition>),
    /// Any of several, joined by OR.
    Any(Vec<Condition>),
    /// The opposite.
    Not(Box<Condition>),
}

/// The value that SET gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetValue {
    /// An operand.
    Operand(Operand),
    /// The sum of two numbers. Boxed like the difference, so that the usual action is small.
    Plus(Box<(Operand, Operand)>),
    /// The difference of two numbers.
    Minus(Box<(Operand, Operand)>),
}

/// One action of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Sets what is at the path.
    Set(Path, SetValue),
    /// Removes what is at the path.
    Remove(Path),
    /// Adds a number to a number, or members to a set.
    Add(Path, ValueTerm),
    /// Removes members from a set.
    Delete(Path, ValueTerm),
}

impl Action {
    /// What the action changes.
    pub fn path(&self) -> &Path {
        match self {
            Self::Set(path, _) | Self::Remove(path) | Self::Add(path, _) | Self::Delete(path, _) => path,
        }
    }

    /// The section the action stands in.
    pub(super) fn clause(&self) -> &'static str {
        match self {
            Self::Set(..) => "SET",
            Self::Remove(_) => "REMOVE",
            Self::Add(..) => "ADD",
            Self::Delete(..) => "DELETE",
        }
    }
}

/// An expression with the placeholders it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The tree.
    pub root: T,
    /// The `#names` it uses, by number.
    pub names: Vec<Box<str>>,
    /// The `:values` it uses, by number.
    pub values: Vec<Box<str>>,
}

impl<T> Parsed<T> {
    /// A tree without placeholders.
    pub fn literal(root: T) -> Self {
        Self { root, names: Vec::new(), values: Vec::new() }
    }
}

/// A parsed condition, filter or key condition.
pub type ParsedCondition = Parsed<Condition>;
/// A parsed update, its actions in the order they are written.
pub type ParsedUpdate = Parsed<Actions>;
/// The actions of an update; a single one needs no allocation.
pub type Actions = SmallVec<[Action; 1]>;
/// A parsed projection.
pub type ParsedProjection = Parsed<Vec<Path>>;
