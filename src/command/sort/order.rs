//! Orders the elements.

use super::options::SortOptions;
use super::pattern::at_key;
use crate::command::Fail;
use crate::engine::Tx;
use crate::text::parse_f64;
use std::borrow::Cow;
use std::cmp::Ordering;

const NOT_NUMBERS: Fail = Fail::new("ERR One or more scores can't be converted into double");

/// The elements that LIMIT chooses, in order. Elements of equal weight are ordered by their bytes. Elements that stay
/// in their own order are passed in it, and LIMIT has chosen them already.
pub(super) fn ordered<'t>(
    tx: &'t Tx<'_>,
    elements: Vec<Cow<'t, [u8]>>,
    options: &SortOptions<'_>,
) -> Result<Vec<Cow<'t, [u8]>>, Fail> {
    if options.unordered {
        return Ok(elements);
    }
    let wanted = options.wanted(elements.len());
    let turn = |order: Ordering| if options.descending { order.reverse() } else { order };
    let ordered: Vec<Cow<'t, [u8]>> = match options.by {
        None if options.alpha => {
            let mut elements = elements;
            elements.sort_unstable_by(|a, b| turn(a.cmp(b)));
            elements
        }
        Some(by) if options.alpha => {
            // The values are not copied, because many elements may refer to one large value.
            let mut weighed: Vec<(Option<&'t [u8]>, Cow<'t, [u8]>)> =
                elements.into_iter().map(|element| (at_key(tx, by, &element), element)).collect();
            weighed.sort_unstable_by(|a, b| turn(a.cmp(b)));
            weighed.into_iter().map(|(_, element)| element).collect()
        }
        by => {
            let weight = |element: &[u8]| match by {
                None => number(element),
                // A missing value counts as 0.
                Some(by) => at_key(tx, by, element).map_or(Ok(0.0), number),
            };
            // What is moved while it is ordered is small: a weight and a position.
            let mut weighed = Vec::with_capacity(elements.len());
            for (at, element) in elements.iter().enumerate() {
                // Zeros of both signs are equal, so both are 0 here. No weight is NaN.
                weighed.push((weight(element)? + 0.0, at));
            }
            weighed.sort_unstable_by(|a: &(f64, usize), b| {
                turn(a.0.total_cmp(&b.0).then_with(|| elements[a.1].cmp(&elements[b.1])))
            });
            let mut elements = elements;
            weighed.into_iter().map(|(_, at)| std::mem::take(&mut elements[at])).collect()
        }
    };
    Ok(ordered.into_iter().skip(wanted.start).take(wanted.len()).collect())
}

/// A number as C reads one: it ends at a NUL, blanks may stand before it, and what is empty is 0.
fn number(text: &[u8]) -> Result<f64, Fail> {
    // Nearly all texts are short.
    let text = &text[..text.iter().position(|byte| *byte == 0).unwrap_or(text.len())];
    if text.is_empty() {
        return Ok(0.0);
    }
    let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0x0b;
    let text = &text[text.iter().take_while(|byte| is_blank(byte)).count()..];
    parse_f64(text).filter(|number| !number.is_nan()).ok_or(NOT_NUMBERS)
}
