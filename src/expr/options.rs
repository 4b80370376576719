//! How expressions are read.

/// The variant of the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// AWS's, to the letter.
    Strict,
    /// With inline literals and without reserved words.
    Human,
}

/// Limits on expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExprLimits {
    /// Longest text in bytes.
    pub max_bytes: usize,
    /// Most operators and functions.
    pub max_operators: usize,
    /// Most operands of IN.
    pub max_in_operands: usize,
    /// Most elements of a document path.
    pub max_path_elements: usize,
}

impl ExprLimits {
    /// The limits AWS documents.
    pub const DYNAMODB: Self =
        Self { max_bytes: 4096, max_operators: 300, max_in_operands: 100, max_path_elements: 32 };

    /// The limits of human mode: sixteen times AWS's.
    pub const HUMAN: Self =
        Self { max_bytes: 65_536, max_operators: 4800, max_in_operands: 1600, max_path_elements: 256 };
}

/// Mode and limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseOptions {
    /// The mode.
    pub mode: Dialect,
    /// The limits.
    pub limits: ExprLimits,
}

impl ParseOptions {
    /// AWS's mode and limits.
    pub const STRICT: Self = Self { mode: Dialect::Strict, limits: ExprLimits::DYNAMODB };
    /// Human mode and its limits.
    pub const HUMAN: Self = Self { mode: Dialect::Human, limits: ExprLimits::HUMAN };
}
