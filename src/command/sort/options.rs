//! The options of SORT and SORT_RO.

use crate::command::{Fail, eq, fail, parse_int};

#[derive(Default)]
pub(super) struct SortOptions<'a> {
    /// BY with a place for the element.
    pub(super) by: Option<&'a [u8]>,
    /// Whether BY has no place for the element, so the elements stay in their own order.
    pub(super) unordered: bool,
    /// LIMIT: the number of elements that are skipped, and the number that are shown, all if negative.
    pub(super) limit: Option<(i64, i64)>,
    pub(super) get: Vec<&'a [u8]>,
    pub(super) descending: bool,
    pub(super) alpha: bool,
    pub(super) store: Option<&'a [u8]>,
}

impl<'a> SortOptions<'a> {
    /// Reads the options. `named_only`: the client's user may not read all keys, so it may read no key that a pattern
    /// makes.
    pub(super) fn parse(args: &[&'a [u8]], may_store: bool, named_only: bool) -> Result<Self, Fail> {
        let mut options = Self::default();
        let mut rest = args.get(2..).unwrap_or_default();
        while let [word, values @ ..] = rest {
            rest = match values {
                _ if eq(word, "asc") => {
                    options.descending = false;
                    values
                }
                _ if eq(word, "desc") => {
                    options.descending = true;
                    values
                }
                _ if eq(word, "alpha") => {
                    options.alpha = true;
                    values
                }
                [offset, count, behind @ ..] if eq(word, "limit") => {
                    options.limit = Some((parse_int(offset)?, parse_int(count)?));
                    behind
                }
                [target, behind @ ..] if may_store && eq(word, "store") => {
                    options.store = Some(target);
                    behind
                }
                [pattern, behind @ ..] if eq(word, "by") => {
                    // As in Redis, one BY without `*` switches the ordering off, even if another BY follows.
                    options.unordered |= !pattern.contains(&b'*');
                    if named_only && pattern.contains(&b'*') {
                        return Err(Fail::new(
                            "ERR BY option of SORT denied due to insufficient ACL permissions.",
                        ));
                    }
                    options.by = Some(pattern);
                    behind
                }
                [pattern, behind @ ..] if eq(word, "get") => {
                    if named_only {
                        return Err(Fail::new(
                            "ERR GET option of SORT denied due to insufficient ACL permissions.",
                        ));
                    }
                    options.get.push(pattern);
                    behind
                }
                _ => return Err(fail::SYNTAX),
            };
        }
        Ok(options)
    }

    /// For STORE the members of a set are ordered as texts, because a set has no order of its own.
    pub(super) fn order_members(&mut self) {
        if self.unordered {
            (self.unordered, self.alpha, self.by) = (false, true, None);
        }
    }

    /// Whether keys are read whose names contain elements.
    pub(super) fn reaches_others(&self) -> bool {
        self.by.is_some() && !self.unordered || self.get.iter().any(|pattern| pattern.contains(&b'*'))
    }

    /// Which of so many elements are looked at, in their own order or against it.
    pub(super) fn taken(&self, len: usize) -> std::ops::Range<usize> {
        if self.unordered { self.wanted(len) } else { 0..len }
    }

    /// Which of so many ordered elements are wanted.
    pub(super) fn wanted(&self, len: usize) -> std::ops::Range<usize> {
        let Some((offset, count)) = self.limit else { return 0..len };
        let start = usize::try_from(offset).unwrap_or(0).min(len);
        let count = usize::try_from(count).unwrap_or(len);
        start..start.saturating_add(count).min(len)
    }
}
