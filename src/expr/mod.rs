//! `DynamoDB` expressions as pure functions: conditions, filters, key conditions, projections and updates.
//!
//! An expression is processed in three steps. [`parse_condition`], [`parse_update`] and [`parse_projection`] make a
//! tree from its text, with numbers for the placeholders; [`ExprCache`] keeps trees by text. A [`Binder`] joins trees
//! with one request's `#names` and `:values` and checks what depends on them. The bound expressions are then applied to
//! items: [`BoundCondition::holds`], [`BoundUpdate::apply`], [`BoundProjection::apply`],
//! [`BoundCondition::key_ranges`].
//!
//! Two modes share the grammar: strict, which is AWS's to the letter, and human, which takes literals inline and
//! reserves no word. Everything AWS accepts means the same in both.

mod ast;
mod bind;
mod bound;
mod cache;
mod check;
mod error;
mod eval;
mod key_condition;
mod options;
mod parse;
mod path;
mod project;
mod reserved;
mod scope;
#[cfg(test)]
mod tests;
mod token;
mod types;
mod update;
mod walk;

pub use ast::{
    Action, Actions, AttributeName, Comparator, Condition, Function, FunctionCall, Operand, Parsed,
    ParsedCondition, ParsedProjection, ParsedUpdate, Path, PathStep, SetValue, ValueTerm,
};
pub use bind::Binder;
pub use bound::{BoundCondition, BoundUpdate};
pub use cache::ExprCache;
pub use error::{ExprError, ExprKind, Reason};
pub use eval::order;
pub use key_condition::{KeyRanges, KeyTarget};
pub use options::{Dialect, ExprLimits, ParseOptions};
pub use parse::{parse_condition, parse_projection, parse_update};
pub use project::BoundProjection;
