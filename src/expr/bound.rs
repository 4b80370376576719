//! Expressions joined with their values.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use super::ast::{
    Action, Actions, Condition, Operand, Parsed, ParsedCondition, ParsedUpdate, Path, SetValue, ValueTerm,
};
use super::error::ExprError;
use super::path;
use super::project::BoundProjection;
use super::scope::Scope;
use super::walk::{action_operands, condition_paths, operand_paths};
use crate::item::{EncodedValue, TableSchema};

/// A condition, filter or key condition with its values.
#[derive(Clone, Debug)]
pub struct BoundCondition {
    pub(super) parsed: Arc<ParsedCondition>,
    pub(super) scope: Scope,
}

impl BoundCondition {
    /// A condition without placeholders that was not made from an expression. The caller has checked it.
    pub fn literal(condition: Condition) -> Self {
        Self { parsed: Arc::new(Parsed::literal(condition)), scope: Scope::default() }
    }

    /// Whether it has placeholders, whose values a request defines.
    pub fn has_placeholders(&self) -> bool {
        !(self.parsed.names.is_empty() && self.parsed.values.is_empty())
    }

    /// Checks that no path looks into a key attribute of the table or its indexes.
    ///
    /// # Errors
    /// [`ExprError::NestedKey`] or [`ExprError::NestedIndexKey`].
    pub fn check_key_paths(&self, schema: &TableSchema) -> Result<(), ExprError> {
        self.each_path(&mut |path| check_nested(path, &self.scope, schema))
    }

    /// The names of the attributes it looks at, ascending.
    pub fn roots(&self) -> BTreeSet<String> {
        let mut roots = BTreeSet::new();
        // The visitor refuses nothing.
        let _ = self.each_path(&mut |path| {
            roots.insert(self.scope.name(&path.root).to_owned());
            Ok(())
        });
        roots
    }

    pub(super) fn each_path(
        &self,
        visit: &mut dyn FnMut(&Path) -> Result<(), ExprError>,
    ) -> Result<(), ExprError> {
        condition_paths(&self.parsed.root, visit)
    }
}

fn check_nested(path: &Path, scope: &Scope, schema: &TableSchema) -> Result<(), ExprError> {
    if path.steps.is_empty() {
        return Ok(());
    }
    let name = scope.name(&path.root);
    if schema.keys.is_key(name.as_bytes()) {
        return Err(ExprError::NestedKey(name.to_owned()));
    }
    let mut index_keys = schema.indexes.iter().flat_map(|index| index.pk.iter().chain(&index.sk));
    if index_keys.any(|attr| attr.name == name) {
        return Err(ExprError::NestedIndexKey(name.to_owned()));
    }
    Ok(())
}

/// A parsed update, shared with a cache or owned.
#[derive(Clone, Debug)]
pub(super) enum SharedUpdate {
    Shared(Arc<ParsedUpdate>),
    Own(ParsedUpdate),
}

impl Deref for SharedUpdate {
    type Target = ParsedUpdate;

    #[inline]
    fn deref(&self) -> &ParsedUpdate {
        match self {
            Self::Shared(parsed) => parsed,
            Self::Own(parsed) => parsed,
        }
    }
}

/// An update with its values.
#[derive(Clone, Debug)]
pub struct BoundUpdate {
    pub(super) parsed: SharedUpdate,
    pub(super) scope: Scope,
}

impl BoundUpdate {
    /// Replaces the literal that the update sets a whole attribute to by another one of its type. There is none or one,
    /// because an update names no path twice. An update that a cache has too is left as it is.
    pub fn set_literal(&mut self, attribute: &str, value: EncodedValue) {
        let is_it = |path: &Path| path.steps.is_empty() && self.scope.name(&path.root) == attribute;
        let SharedUpdate::Own(parsed) = &mut self.parsed else { return };
        for action in &mut parsed.root {
            if let Action::Set(path, SetValue::Operand(Operand::Value(ValueTerm::Literal(literal)))) = action
                && is_it(path)
            {
                *literal = value;
                return;
            }
        }
    }

    /// An update without placeholders that was not made from an expression. The caller has checked it.
    pub fn literal(actions: impl Into<Actions>) -> Self {
        Self { parsed: SharedUpdate::Own(Parsed::literal(actions.into())), scope: Scope::default() }
    }

    /// Whether it only removes attributes or members of sets. Such an update does not create an item.
    pub fn only_takes_away(&self) -> bool {
        use super::ast::Action::{Delete, Remove};
        !self.parsed.root.is_empty()
            && self.parsed.root.iter().all(|action| matches!(action, Remove(_) | Delete(..)))
    }

    /// Checks that the update changes no key attribute, and that no path looks into one of the table or its indexes.
    ///
    /// # Errors
    /// [`ExprError::UpdatesKey`], [`ExprError::NestedKey`] or [`ExprError::NestedIndexKey`].
    pub fn check_keys(&self, schema: &TableSchema) -> Result<(), ExprError> {
        for action in &self.parsed.root {
            let name = self.scope.name(&action.path().root);
            if schema.keys.is_key(name.as_bytes()) {
                return Err(ExprError::UpdatesKey(name.to_owned()));
            }
        }
        for action in &self.parsed.root {
            check_nested(action.path(), &self.scope, schema)?;
            action_operands(action)
                .try_for_each(|o| operand_paths(o, &mut |p| check_nested(p, &self.scope, schema)))?;
        }
        Ok(())
    }

    /// A projection to the paths that the update changes, as `UPDATED_OLD` and `UPDATED_NEW` return it.
    pub fn touched(&self) -> BoundProjection {
        let paths = self.parsed.root.iter().map(super::ast::Action::path);
        BoundProjection::from_paths(paths, &self.scope)
    }

    /// The places the update changes, printed.
    pub fn paths(&self) -> impl Iterator<Item = String> {
        self.parsed.root.iter().map(|action| path::print(action.path(), &self.scope))
    }
}
