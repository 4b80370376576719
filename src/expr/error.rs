//! Everything this room refuses, with the texts that `DynamoDB` answers.

use crate::item::{ItemError, NumberError};

/// Which parameter an expression was given as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExprKind {
    /// `ConditionExpression`.
    Condition,
    /// `FilterExpression`.
    Filter,
    /// `KeyConditionExpression`.
    KeyCondition,
    /// `ProjectionExpression`.
    Projection,
    /// `UpdateExpression`.
    Update,
}

impl ExprKind {
    /// The parameter's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Condition => "ConditionExpression",
            Self::Filter => "FilterExpression",
            Self::KeyCondition => "KeyConditionExpression",
            Self::Projection => "ProjectionExpression",
            Self::Update => "UpdateExpression",
        }
    }
}

impl std::fmt::Display for ExprKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// What is wrong with an expression, independent of its parameter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The text is empty.
    #[error("The expression can not be empty;")]
    Empty,
    /// The text is longer than the limit.
    #[error("Expression size has exceeded the maximum allowed size; expression size: {0}")]
    TooLong(usize),
    /// The text does not follow the grammar. Holds the token where reading stopped, and the text from the token before
    /// it to the token after it.
    #[error("Syntax error; token: \"{token}\", near: \"{near}\"")]
    Syntax {
        /// The token.
        token: String,
        /// The text around it.
        near: String,
    },
    /// A literal string without its closing quote, or a literal number outside the limits.
    #[error("Syntax error; {0}")]
    Literal(String),
    /// Two pairs of parentheses around the same thing.
    #[error("The expression has redundant parentheses;")]
    RedundantParentheses,
    /// Parentheses or NOT nested beyond what the parser follows.
    #[error("The expression is nested too deeply;")]
    TooDeep,
    /// More operators and functions than the limit.
    #[error("The expression contains too many operators; operator count: {0}")]
    TooManyOperators(usize),
    /// A reserved word as an attribute name.
    #[error("Attribute name is a reserved keyword; reserved keyword: {0}")]
    Reserved(String),
    /// A list index above 2147483647.
    #[error("List index is not within the allowable range; index: [{0}]")]
    Index(String),
    /// No function has this name.
    #[error("Invalid function name; function: {0}")]
    UnknownFunction(String),
    /// An update function in a condition.
    #[error("The function is not allowed in a condition expression; function: {0}")]
    NotInCondition(&'static str),
    /// A condition function in an update.
    #[error("The function is not allowed in an update expression; function: {0}")]
    NotInUpdate(&'static str),
    /// A condition used as an operand, or the reverse.
    #[error("The function is not allowed to be used this way in an expression; function: {0}")]
    Misused(&'static str),
    /// Too few or too many operands.
    #[error(
        "Incorrect number of operands for operator or function; operator or function: {function}, number of operands: {count}"
    )]
    OperandCount {
        /// The function.
        function: &'static str,
        /// What it was given.
        count: usize,
    },
    /// A `#name` without a definition.
    #[error("An expression attribute name used in the document path is not defined; attribute name: {0}")]
    UndefinedName(String),
    /// A `:value` without a definition.
    #[error("An expression attribute value used in expression is not defined; attribute value: {0}")]
    UndefinedValue(String),
    /// A path of more elements than the limit.
    #[error("The document path has too many nesting levels; nesting levels: {0}")]
    PathTooDeep(usize),
    /// An operand whose type the operator does not take.
    #[error(
        "Incorrect operand type for operator or function; operator or function: {operator}, operand type: {operand}"
    )]
    OperandType {
        /// The operator or function.
        operator: &'static str,
        /// The operand's type.
        operand: &'static str,
    },
    /// An operand of ADD or DELETE that is not a number or set.
    #[error(
        "Incorrect operand type for operator or function; operator: {clause}, operand type: {operand}, typeSet: ALLOWED_FOR_{clause}_OPERAND"
    )]
    ClauseOperandType {
        /// ADD or DELETE.
        clause: &'static str,
        /// The operand's type, in full.
        operand: &'static str,
    },
    /// A value where a path must stand.
    #[error("Operator or function requires a document path; operator or function: {0}")]
    NeedsPath(&'static str),
    /// An attribute compared with itself.
    #[error(
        "The first operand must be distinct from the remaining operands for this operator or function; operator: {operator}, first operand: {path}"
    )]
    NotDistinct {
        /// The operator or function.
        operator: &'static str,
        /// The path.
        path: String,
    },
    /// Bounds of two types.
    #[error(
        "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: {low}, upper bound operand: {high}"
    )]
    BoundTypes {
        /// Lower bound as AWS prints it.
        low: String,
        /// Upper bound as AWS prints it.
        high: String,
    },
    /// A lower bound above the upper one.
    #[error(
        "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: {low}, upper bound operand: {high}"
    )]
    BoundOrder {
        /// Lower bound as AWS prints it.
        low: String,
        /// Upper bound as AWS prints it.
        high: String,
    },
    /// A list of more operands than the limit.
    #[error("The IN operator is provided with too many operands; number of operands: {0}")]
    TooManyInOperands(usize),
    /// A name that is no type.
    #[error("Invalid attribute type name found; type: {0}, valid types: {{N,BS,L,B,NULL,M,S,SS,NS,BOOL}}")]
    TypeName(String),
    /// Two paths of which one is within the other.
    #[error(
        "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: {0}, path two: {1}"
    )]
    Overlap(String, String),
    /// Two paths that use one attribute as a list and as a map.
    #[error(
        "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: {0}, path two: {1}"
    )]
    Conflict(String, String),
    /// A section given twice.
    #[error("The \"{0}\" section can only be used once in an update expression;")]
    RepeatedSection(&'static str),
}

/// Why an expression, its placeholders, or its effect on an item was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExprError {
    /// Something is wrong with the expression itself.
    #[error("Invalid {kind}: {}", reason_text(*kind, reason))]
    Invalid {
        /// The parameter.
        kind: ExprKind,
        /// What is wrong.
        reason: Reason,
    },
    /// A map of placeholders without entries.
    #[error("{0} must not be empty")]
    EmptyMap(&'static str),
    /// A placeholder that is not `#` or `:` and letters, digits or `_`.
    #[error("{map} contains invalid key: Syntax error; key: \"{key}\"")]
    BadKey {
        /// The parameter.
        map: &'static str,
        /// The placeholder.
        key: String,
    },
    /// A placeholder of more than 255 bytes.
    #[error(
        "{map} contains invalid key: The expression attribute map contains a key that is too long; size of key: {size}"
    )]
    LongKey {
        /// The parameter.
        map: &'static str,
        /// Its bytes.
        size: usize,
    },
    /// A `#name` that stands for nothing.
    #[error("ExpressionAttributeNames contains invalid value: Empty attribute name for key {0}")]
    EmptyName(String),
    /// A `:value` that is not a valid value.
    #[error("ExpressionAttributeValues contains invalid value: {error} for key {key}")]
    BadValue {
        /// The placeholder.
        key: String,
        /// What is wrong with the value.
        error: ItemError,
    },
    /// Definitions of names that no expression uses.
    #[error("Value provided in ExpressionAttributeNames unused in expressions: keys: {{{0}}}")]
    UnusedNames(String),
    /// Definitions of values that no expression uses.
    #[error("Value provided in ExpressionAttributeValues unused in expressions: keys: {{{0}}}")]
    UnusedValues(String),
    /// A path into a key attribute.
    #[error(
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: {0}"
    )]
    NestedKey(String),
    /// A path into a key attribute of an index.
    #[error(
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: {0}"
    )]
    NestedIndexKey(String),
    /// An update of a key attribute.
    #[error(
        "One or more parameter values were invalid: Cannot update attribute {0}. This attribute is part of the key"
    )]
    UpdatesKey(String),
    /// A filter of a query on a key attribute.
    #[error("Filter Expression can only contain non-primary key attributes: Primary key attribute: {0}")]
    FilterOnKey(String),
    /// An operator that key conditions do not have.
    #[error("Invalid operator used in KeyConditionExpression: {0}")]
    KeyOperator(&'static str),
    /// A function within a key condition's comparison.
    #[error("KeyConditionExpressions cannot contain nested operations")]
    KeyNestedOperation,
    /// A path below a top-level attribute in a key condition.
    #[error(
        "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes"
    )]
    KeyNestedPath,
    /// Two attributes in one comparison of a key condition.
    #[error("Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition")]
    KeyManyPaths,
    /// No attribute in a comparison of a key condition.
    #[error("Invalid condition in KeyConditionExpression: No key attribute specified")]
    KeyNoPath,
    /// A key condition whose first operand is not the attribute.
    #[error(
        "Invalid condition in KeyConditionExpression: {0} operator must have the key attribute as its first operand"
    )]
    KeyFirstOperand(&'static str),
    /// Two conditions on one key attribute.
    #[error("KeyConditionExpressions must only contain one condition per key")]
    KeyTwice,
    /// A key attribute without a condition, or a condition on another attribute.
    #[error("Query condition missed key schema element{}", element(.0.as_ref()))]
    KeyMissing(Option<String>),
    /// Another condition than equality on a partition key.
    #[error("Query key condition not supported")]
    KeyNotSupported,
    /// A value of another type than the key attribute's.
    #[error("One or more parameter values were invalid: Condition parameter type does not match schema type")]
    KeyType,
    /// An update that reads an attribute which the item lacks.
    #[error("The provided expression refers to an attribute that does not exist in the item")]
    MissingAttribute,
    /// An update that writes where the item has no map or list.
    #[error("The document path provided in the update expression is invalid for update")]
    InvalidPath,
    /// An update whose operand is of a type that does not fit.
    #[error("An operand in the update expression has an incorrect data type")]
    UpdateOperandType,
    /// A result that is not a valid number.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// A result that is not a valid item, or a value that is not a valid key.
    #[error(transparent)]
    Item(#[from] ItemError),
}

impl ExprError {
    /// True for errors that depend on the updated item. A transaction reports them per item.
    pub fn depends_on_item(&self) -> bool {
        matches!(
            self,
            Self::MissingAttribute
                | Self::InvalidPath
                | Self::UpdateOperandType
                | Self::Number(_)
                | Self::Item(_)
        )
    }
}

/// Only conditions and filters say how long they were.
fn reason_text(kind: ExprKind, reason: &Reason) -> String {
    match reason {
        Reason::TooLong(_) if !matches!(kind, ExprKind::Filter | ExprKind::Condition) => {
            "Expression size has exceeded the maximum allowed size;".to_owned()
        }
        reason => reason.to_string(),
    }
}

fn element(name: Option<&String>) -> String {
    name.map(|name| format!(": {name}")).unwrap_or_default()
}
