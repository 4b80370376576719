//! Names of streams, shards and records: ARNs, labels and numbers in AWS's forms.

use super::super::arn::ARN;
use crate::engine::Table;
use crate::item::{StreamPlace, StreamSpan};
use crate::ops::SpanExtent;
use siphasher::sip128::{Hasher128, SipHasher13};
use std::hash::Hasher;

/// What a stream and its shard are called.
pub(in super::super) struct Names {
    pub(in super::super) table: String,
    pub(in super::super) arn: String,
    pub(in super::super) label: String,
    pub(super) shard: String,
}

impl Names {
    pub(in super::super) fn of(table: &Table, span: &StreamSpan) -> Self {
        let label = label(span);
        let arn = format!("{ARN}{}/stream/{label}", table.name);
        let shard = format!("shardId-{:020}-{:08x}", span.since_ms, digest(&arn, (0, 0)) as u32);
        Self { table: table.name.clone(), arn, label, shard }
    }
}

/// A 128-bit digest of a stream and a place. Two different places, of the same stream or of two, practically never have
/// the same digest.
fn digest(arn: &str, (ms, number): StreamPlace) -> u128 {
    let mut hasher = SipHasher13::new();
    hasher.write(arn.as_bytes());
    hasher.write_u64(ms);
    hasher.write_u64(number);
    hasher.finish128().as_u128()
}

/// What identifies a record: 32 hexadecimal digits.
pub(super) fn event_id(arn: &str, place: StreamPlace) -> String {
    format!("{:032x}", digest(arn, place))
}

/// A stream's label: the time at which it was enabled, in UTC.
pub(in super::super) fn label(span: &StreamSpan) -> String {
    let (days, ms) = (span.since_ms / 86_400_000, span.since_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hours, minutes, seconds) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{:03}", ms % 1000)
}

/// The year, month and day that are so many days after 1 January 1970.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March have their leap day at the end, in eras of 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The table's name and the label in a stream's ARN.
pub(super) fn split_arn(arn: &str) -> Option<(&str, &str)> {
    arn.strip_prefix(ARN)?.split_once("/stream/")
}

/// Digits of the number within a millisecond.
const WITHIN: u32 = 12;

/// A place as a sequence number: digits whose order is that of places.
pub(super) fn number((ms, number): StreamPlace) -> String {
    format!("{ms:013}{:0width$}", number.min(10_u64.pow(WITHIN) - 1), width = WITHIN as usize)
}

/// The place of a sequence number.
pub(super) fn place(number: &str) -> Option<StreamPlace> {
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (ms, within) = number.split_at_checked(number.len().checked_sub(WITHIN as usize)?)?;
    Some((ms.parse().ok()?, within.parse().ok()?))
}

/// The first place of a stream: the time at which it was enabled, or an earlier place if the clock was set back
/// afterwards.
pub(super) fn start(span: &StreamSpan, extent: &SpanExtent) -> StreamPlace {
    let (ms, number) = span.after;
    let begun = (span.since_ms, 0).max((ms, number.saturating_add(1)));
    extent.first.map_or(begun, |first| first.min(begun))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::StreamView;

    #[test]
    fn labels_are_times() {
        let label_of = |since_ms| label(&StreamSpan { since_ms, ..StreamSpan::new(StreamView::KeysOnly) });
        assert_eq!(label_of(0), "1970-01-01T00:00:00.000");
        assert_eq!(label_of(951_782_399_999), "2000-02-28T23:59:59.999");
        assert_eq!(label_of(951_782_400_000), "2000-02-29T00:00:00.000");
        assert_eq!(label_of(951_868_800_000), "2000-03-01T00:00:00.000");
        assert_eq!(label_of(1_700_000_000_123), "2023-11-14T22:13:20.123");
        assert_eq!(label_of(4_107_542_400_000), "2100-03-01T00:00:00.000");
    }

    #[test]
    fn sequence_numbers_keep_the_order_and_read_back() {
        let places =
            [(0, 0), (5, 7), (1_700_000_000_000, 0), (1_700_000_000_000, 10), (1_700_000_000_001, 0)];
        let numbers: Vec<String> = places.iter().map(|place| number(*place)).collect();
        assert!(numbers.is_sorted() && numbers.iter().all(|number| (21..=40).contains(&number.len())));
        assert!(numbers.iter().zip(places).all(|(number, found)| place(number) == Some(found)));
        assert_eq!(place("12345678901x000000000000"), None);
        assert_eq!(place("1"), None);
        assert_eq!(place("9999999999999999999999999999999999999999"), None);
    }

    #[test]
    fn arns_are_split() {
        let arn = format!("{ARN}orders/stream/2023-11-14T22:13:20.123");
        assert_eq!(split_arn(&arn), Some(("orders", "2023-11-14T22:13:20.123")));
        assert_eq!(split_arn("arn:aws:dynamodb:us-east-1:000000000000:table/orders"), None);
    }
}
