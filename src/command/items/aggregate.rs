//! Aggregates of a query, which replace its items in the reply.

use super::ArgWords;
use super::show::number;
use crate::command::{Cx, Fail, Outcome, eq};
use crate::item::{ItemError, Number};
use crate::ops::{self, Query};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Count,
    Sum,
    Min,
    Max,
    Avg,
}

/// COUNT, or SUM, MIN, MAX or AVG of an attribute. An item whose attribute is no number is left out of the latter.
pub(super) struct Aggregate {
    kind: Kind,
    attribute: Box<str>,
}

impl Aggregate {
    /// Reads the clause if `word` begins one.
    pub(super) fn read(word: &[u8], words: &mut ArgWords<'_, '_>) -> Result<Option<Self>, Fail> {
        let kind = match word {
            _ if eq(word, "COUNT") => return Ok(Some(Self { kind: Kind::Count, attribute: Box::default() })),
            _ if eq(word, "SUM") => Kind::Sum,
            _ if eq(word, "MIN") => Kind::Min,
            _ if eq(word, "MAX") => Kind::Max,
            _ if eq(word, "AVG") => Kind::Avg,
            _ => return Ok(None),
        };
        Ok(Some(Self { kind, attribute: words.text()?.into() }))
    }

    /// The attribute that is aggregated; `None` for COUNT.
    pub(super) fn attribute(&self) -> Option<&str> {
        (self.kind != Kind::Count).then_some(&*self.attribute)
    }

    /// Runs the query and writes the reply.
    pub(super) fn reply(&self, cx: &mut Cx<'_, '_>, query: &Query<'_>) -> Outcome {
        let (mut seen, mut total, mut failed) = (0, Number::ZERO, None);
        let page = ops::query(cx.tx, query, &mut |item| {
            let Some(value) = self.value(&item) else { return };
            seen += 1;
            match self.kind {
                Kind::Count => {}
                Kind::Sum | Kind::Avg => match total.checked_add(value) {
                    Ok(sum) => total = sum,
                    Err(error) => failed = Some(error),
                },
                Kind::Min if seen > 1 => total = total.min(value),
                Kind::Max if seen > 1 => total = total.max(value),
                Kind::Min | Kind::Max => total = value,
            }
        });
        if let Some(error) = failed {
            return Err(ItemError::from(error).into());
        }
        match self.kind {
            Kind::Count => cx.out.len_int(page.count),
            Kind::Sum => number(cx.out, total),
            Kind::Avg => match total.mean_of(seen) {
                Some(mean) => number(cx.out, mean),
                None => cx.out.null(),
            },
            Kind::Min | Kind::Max if seen == 0 => cx.out.null(),
            Kind::Min | Kind::Max => number(cx.out, total),
        }
        Ok(())
    }

    fn value(&self, item: &crate::item::ItemRef<'_>) -> Option<Number> {
        if self.kind == Kind::Count {
            return None;
        }
        item.get(&*self.attribute)?.as_number()
    }
}
