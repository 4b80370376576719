//! Digests of values: `DEBUG DIGEST` and `DEBUG DIGEST-VALUE`, which show whether two servers hold the same data, and
//! `DIGEST` of Redis 8.4, which a client uses in conditions on strings.
//!
//! The first two use two steps. *Adding* bytes is the exclusive or with their SHA-1; the order of additions does not
//! matter. *Mixing* bytes in adds them and then takes the SHA-1 of the result; here the order matters.

use super::ValueError;
use super::stream::StreamId;
use sha1::{Digest as _, Sha1};
use std::fmt;

/// Twenty bytes that are the same for the same data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest([u8; 20]);

impl Digest {
    fn sha1(bytes: &[u8]) -> [u8; 20] {
        Sha1::digest(bytes).into()
    }

    fn add(&mut self, bytes: &[u8]) {
        for (place, byte) in self.0.iter_mut().zip(Self::sha1(bytes)) {
            *place ^= byte;
        }
    }

    fn mix(&mut self, bytes: &[u8]) {
        self.add(bytes);
        self.0 = Self::sha1(&self.0);
    }
}

/// Forty hexadecimal digits.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The types of values, by their number in Redis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestKind {
    /// A string.
    String = 0,
    /// A list.
    List = 1,
    /// A set.
    Set = 2,
    /// A sorted set.
    ZSet = 3,
    /// A hash.
    Hash = 4,
    /// A stream.
    Stream = 6,
}

/// The digest of one value, fed with its elements: in order for strings (one element), lists and streams, in any order
/// for the others.
#[derive(Debug, Clone)]
pub struct ValueDigest {
    digest: Digest,
    text: Vec<u8>,
}

impl ValueDigest {
    /// Begins with the value's type; for the digest of a whole data set also with its key.
    pub fn new(key: Option<&[u8]>, kind: DigestKind) -> Self {
        let mut digest = Digest::default();
        if let Some(key) = key {
            digest.mix(key);
        }
        digest.mix(&(kind as u32).to_be_bytes());
        Self { digest, text: Vec::new() }
    }

    /// A string's bytes, or the next element of a list.
    pub fn element(&mut self, bytes: &[u8]) {
        self.digest.mix(bytes);
    }

    /// A member of a set.
    pub fn member(&mut self, member: &[u8]) {
        self.digest.add(member);
    }

    /// A member of a sorted set.
    pub fn scored(&mut self, member: &[u8], score: f64) {
        let mut pair = Digest::default();
        pair.mix(member);
        pair.mix(percent_17g(score).as_bytes());
        self.digest.add(&pair.0);
    }

    /// A field of a hash. Whether it expires is part of the digest; its deadline is not.
    pub fn field(&mut self, field: &[u8], value: &[u8], expires: bool) {
        let mut pair = Digest::default();
        pair.mix(field);
        pair.mix(value);
        if expires {
            pair.add(b"!!hexpire!!");
        }
        self.digest.add(&pair.0);
    }

    /// The identifier of the next entry of a stream; its fields and values follow as elements.
    pub fn entry(&mut self, id: StreamId) {
        use std::io::Write as _;
        self.text.clear();
        // Writing to a vector cannot fail.
        let _ = write!(self.text, "{}.{}", id.ms, id.seq);
        self.digest.mix(&self.text);
    }

    /// The value's digest. Whether its key expires is part of the digest; its deadline is not.
    pub fn finish(mut self, expires: bool) -> Digest {
        if expires {
            self.digest.add(b"!!expire!!");
        }
        self.digest
    }
}

/// The digest of all databases. Empty ones are left out; the others come in ascending order.
#[derive(Debug, Clone, Default)]
pub struct DatasetDigest(Digest);

impl DatasetDigest {
    /// The keys that follow belong to this database.
    pub fn database(&mut self, index: u32) {
        self.0.mix(&index.to_be_bytes());
    }

    /// The digest of a key and its value; a database's keys may come in any order.
    pub fn key(&mut self, value: Digest) {
        self.0.add(&value.0);
    }

    /// The digest of all; zeros where there is nothing.
    pub fn finish(self) -> Digest {
        self.0
    }
}

/// A number as C's `%.17g` writes it.
pub fn percent_17g(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() { "nan".into() } else { format!("{value}") };
    }
    let scientific = format!("{value:.16e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| text.trim_end_matches('0').trim_end_matches('.').to_owned();
    if (-4..17).contains(&exponent) {
        let decimals = (16 - exponent).unsigned_abs() as usize;
        let fixed = format!("{value:.decimals$}");
        return if decimals == 0 { fixed } else { trim(&fixed) };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(mantissa), exponent.unsigned_abs())
}

/// The answer of `DIGEST`: XXH3 of the string in 16 hexadecimal digits. O(length).
pub fn string_digest(bytes: &[u8]) -> String {
    format!("{:016x}", xxhash_rust::xxh3::xxh3_64(bytes))
}

/// Whether a string has the digest that was given for `IFDEQ` or `IFDNE`, in digits of either case. O(length).
///
/// # Errors
/// [`ValueError::DigestLength`] if `digest` does not have 16 characters. As in Redis, characters that are no digits are
/// no error; they never match.
pub fn has_digest(bytes: &[u8], digest: &[u8]) -> Result<bool, ValueError> {
    if digest.len() == 16 {
        Ok(string_digest(bytes).as_bytes().eq_ignore_ascii_case(digest))
    } else {
        Err(ValueError::DigestLength)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_c_writes_them() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (0.1, "0.10000000000000001"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (12_345_678_901_234_567_890.0, "1.2345678901234567e+19"),
            (0.0001, "0.0001"),
            (0.00001, "1.0000000000000001e-05"),
            (1e300, "1.0000000000000001e+300"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (0.999_999_999_999_999_99, "1"),
            (99_999_999_999_999_999.0, "1e+17"),
        ] {
            assert_eq!(percent_17g(value), text);
        }
    }

    #[test]
    fn strings_have_the_documented_digest() {
        assert_eq!(string_digest(b"Hello world"), "b6acb9d84a38ff74");
        let zeros =
            b"v8lf0c11xh8ymlqztfd3eeq16kfn4sspw7fqmnuuq3k3t75em5wdizgcdw7uc26nnf961u2jkfzkjytls2kwlj7626sd";
        assert_eq!(string_digest(zeros), "00006c38adf31777");
        assert_eq!(has_digest(b"Hello world", b"B6ACB9D84A38FF74"), Ok(true));
        assert_eq!(has_digest(b"Hello world", b"zzzzzzzzzzzzzzzz"), Ok(false));
        assert_eq!(has_digest(zeros, b"6c38adf31777"), Err(ValueError::DigestLength));
    }

    #[test]
    fn what_counts_and_what_does_not() {
        let hash = |fields: &[(&str, bool)]| {
            let mut digest = ValueDigest::new(None, DigestKind::Hash);
            for (field, expires) in fields {
                digest.field(field.as_bytes(), b"v", *expires);
            }
            digest.finish(false)
        };
        assert_eq!(hash(&[("a", false), ("b", false)]), hash(&[("b", false), ("a", false)]));
        assert_ne!(hash(&[("a", false), ("b", false)]), hash(&[("a", true), ("b", false)]));
        let list = |items: &[&str], expires| {
            let mut digest = ValueDigest::new(Some(b"key"), DigestKind::List);
            for item in items {
                digest.element(item.as_bytes());
            }
            digest.finish(expires)
        };
        assert_ne!(list(&["a", "b"], false), list(&["b", "a"], false));
        assert_ne!(list(&["a", "b"], false), list(&["a", "b"], true));
        assert_eq!(DatasetDigest::default().finish().to_string(), "0".repeat(40));
    }
}
