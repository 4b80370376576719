//! Values given as text with a name whose suffix may give the type: `qty:n 2`, `tags:ss '["a","b"]'`, `raw:b bytes`.
//!
//! The type is never guessed from the text: without a suffix a value has its declared type, and without a declaration
//! it is a string.

use super::binary::from_base64;
use super::bytes::is_utf8;
use super::json::{plain_value, read_json};
use super::{AttrType, AttributeValue, AttributeValueRef, EncodedValue, ItemBuilder, ItemError, Number};

/// What a suffix asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Suffix {
    Type(AttrType),
    Json,
}

/// Bytes of the longest suffix.
const LONGEST_SUFFIX: usize = "null".len();

/// Splits a known suffix off a name: `s`, `n`, `b`, `raw`, `bool`, `null`, `ss`, `ns`, `bs`, `l`, `m` or `json`, in
/// lower case after the last colon. The flag says that there was one.
pub fn split_suffix(name: &str) -> (&str, bool) {
    let (base, suffix) = split(name);
    (base, suffix.is_some())
}

fn split(name: &str) -> (&str, Option<Suffix>) {
    let known = |suffix: &str| {
        Some(Suffix::Type(match suffix {
            "s" => AttrType::S,
            "n" => AttrType::N,
            "b" | "raw" => AttrType::B,
            "bool" => AttrType::Bool,
            "null" => AttrType::Null,
            "ss" => AttrType::Ss,
            "ns" => AttrType::Ns,
            "bs" => AttrType::Bs,
            "l" => AttrType::L,
            "m" => AttrType::M,
            "json" => return Some(Suffix::Json),
            _ => return None,
        }))
    };
    // A colon further ahead does not begin a suffix, because no suffix is longer.
    let end = name.len().saturating_sub(1 + LONGEST_SUFFIX);
    if !name.as_bytes()[end..].contains(&b':') {
        return (name, None);
    }
    match name.rsplit_once(':') {
        Some((base, suffix)) if !base.is_empty() => match known(suffix) {
            Some(suffix) => (base, Some(suffix)),
            None => (name, None),
        },
        _ => (name, None),
    }
}

/// The attribute and value of a name/text pair. `declared` gives the declared type of an attribute by its name
/// without suffix; containers may nest `max_depth` levels.
///
/// # Errors
/// When the text does not fit the type, or the suffix contradicts the declaration.
pub fn parse_typed<'n>(
    name: &'n str,
    text: &[u8],
    declared: impl FnOnce(&str) -> Option<AttrType>,
    max_depth: usize,
) -> Result<(&'n str, AttributeValue), ItemError> {
    let (name, value) = read_typed(name, text, declared, max_depth)?;
    Ok(match value {
        Typed::Scalar(value) => (name, value.to_owned_value()),
        Typed::Owned(value) => (name, value),
    })
}

/// As [`parse_typed`], with the value in stored form.
///
/// # Errors
/// As [`parse_typed`], and for values that no item can have.
pub fn encode_typed<'n>(
    name: &'n str,
    text: &[u8],
    declared: impl FnOnce(&str) -> Option<AttrType>,
    max_depth: usize,
) -> Result<(&'n str, EncodedValue), ItemError> {
    let (name, value) = read_typed(name, text, declared, max_depth)?;
    Ok(match value {
        Typed::Scalar(value) => (name, EncodedValue::of(&value)),
        Typed::Owned(value) => (name, EncodedValue::new(&value)?),
    })
}

/// The value of a type that a text denotes, for the attribute `name`; containers may nest `max_depth` levels.
///
/// # Errors
/// When the text does not fit the type.
pub(super) fn parse_as(
    name: &str,
    text: &[u8],
    attr_type: AttrType,
    max_depth: usize,
) -> Result<AttributeValue, ItemError> {
    Ok(match value_of(name, text, attr_type, max_depth)? {
        Typed::Scalar(value) => value.to_owned_value(),
        Typed::Owned(value) => value,
    })
}

/// A value read from a text: a scalar that borrows the text, or an owned value.
enum Typed<'t> {
    Scalar(AttributeValueRef<'t>),
    Owned(AttributeValue),
}

impl Typed<'_> {
    fn attr_type(&self) -> AttrType {
        match self {
            Self::Scalar(value) => value.attr_type(),
            Self::Owned(value) => value.attr_type(),
        }
    }
}

fn read_typed<'n, 't>(
    name: &'n str,
    text: &'t [u8],
    declared: impl FnOnce(&str) -> Option<AttrType>,
    max_depth: usize,
) -> Result<(&'n str, Typed<'t>), ItemError> {
    let (base, suffix) = split(name);
    super::value::check_name(base.as_bytes())?;
    let declared = declared(base);
    let value = match suffix {
        Some(Suffix::Json) => Typed::Owned(json_value(base, text, max_depth)?),
        Some(Suffix::Type(attr_type)) => value_of(base, text, attr_type, max_depth)?,
        None => value_of(base, text, declared.unwrap_or(AttrType::S), max_depth)?,
    };
    if declared.is_some_and(|declared| declared != value.attr_type()) {
        return Err(bad(base, "the value's type is not the declared one"));
    }
    Ok((base, value))
}

impl ItemBuilder {
    /// Sets an attribute from a name, perhaps with a suffix, and a text, as [`parse_typed`] reads them. Scalars are
    /// stored directly from the text.
    ///
    /// # Errors
    /// As [`parse_typed`].
    pub fn put_text<'n>(
        &mut self,
        name: &'n str,
        text: &[u8],
        declared: impl FnOnce(&str) -> Option<AttrType>,
        max_depth: usize,
    ) -> Result<&'n str, ItemError> {
        let (name, value) = read_typed(name, text, declared, max_depth)?;
        match value {
            Typed::Scalar(value) => self.put(name, &value)?,
            Typed::Owned(value) => self.put_owned(name, &value)?,
        };
        Ok(name)
    }
}

fn value_of<'t>(
    name: &str,
    text: &'t [u8],
    attr_type: AttrType,
    max_depth: usize,
) -> Result<Typed<'t>, ItemError> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
    let scalar = match attr_type {
        AttrType::S if is_utf8(text) => AttributeValueRef::S(text),
        AttrType::S => return Err(bad(name, "a string must be UTF-8, binaries take the suffix :b")),
        AttrType::N => AttributeValueRef::N(Number::from_text(text)?),
        AttrType::B => AttributeValueRef::B(text),
        AttrType::Bool if is(&["true", "1"]) => AttributeValueRef::Bool(true),
        AttrType::Bool if is(&["false", "0"]) => AttributeValueRef::Bool(false),
        AttrType::Bool => return Err(bad(name, "a boolean is true or false")),
        AttrType::Null if is(&["", "null", "true"]) => AttributeValueRef::Null,
        AttrType::Null => return Err(bad(name, "a null has the text null or none")),
        _ => return container_of(name, text, attr_type, max_depth).map(Typed::Owned),
    };
    Ok(Typed::Scalar(scalar))
}

fn container_of(
    name: &str,
    text: &[u8],
    attr_type: AttrType,
    max_depth: usize,
) -> Result<AttributeValue, ItemError> {
    match attr_type {
        AttrType::Ss => AttributeValue::string_set(members(name, text)?),
        AttrType::Ns => {
            let numbers: Result<Vec<Number>, _> = members(name, text)?.iter().map(|m| m.parse()).collect();
            AttributeValue::number_set(numbers?)
        }
        AttrType::Bs => {
            let members = members(name, text)?;
            let decoded: Result<Vec<_>, _> = members.iter().map(|m| from_base64(m)).collect();
            match decoded {
                Ok(members) => AttributeValue::binary_set(members),
                Err(_) => Err(bad(name, "a set of binaries is a JSON array of base64 strings")),
            }
        }
        _ => {
            let value = json_value(name, text, max_depth)?;
            match (attr_type, value.attr_type()) {
                (wanted, found) if wanted == found => Ok(value),
                (AttrType::L, _) => Err(bad(name, "a list is a JSON array")),
                _ => Err(bad(name, "a map is a JSON object")),
            }
        }
    }
}

/// The members of a set: a JSON array of strings, or of numbers taken verbatim.
fn members(name: &str, text: &[u8]) -> Result<Vec<String>, ItemError> {
    let reason = "a set is a JSON array of strings or numbers";
    let refusal = || bad(name, reason);
    let serde_json::Value::Array(json) = read_of(name, text, reason)? else { return Err(refusal()) };
    json.into_iter()
        .map(|member| match member {
            serde_json::Value::String(text) => Ok(text),
            serde_json::Value::Number(number) => Ok(number.to_string()),
            _ => Err(refusal()),
        })
        .collect()
}

fn json_value(name: &str, text: &[u8], max_depth: usize) -> Result<AttributeValue, ItemError> {
    plain_value(&read_of(name, text, "the text is not JSON")?, max_depth)
}

fn read_of(name: &str, text: &[u8], reason: &'static str) -> Result<serde_json::Value, ItemError> {
    read_json(text).map_err(|error| match error {
        ItemError::Json(_) => bad(name, reason),
        error => error,
    })
}

fn bad(name: &str, reason: &'static str) -> ItemError {
    ItemError::BadText { name: name.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(name: &str, text: &str) -> Result<(String, AttributeValue), String> {
        let declared = |name: &str| (name == "when").then_some(AttrType::N);
        parse_typed(name, text.as_bytes(), declared, 32)
            .map(|(name, value)| (name.to_owned(), value))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn suffixes_give_types_and_nothing_is_guessed() {
        let s = |text: &str| AttributeValue::from(text);
        assert_eq!(parse("zip", "01234"), Ok(("zip".into(), s("01234"))));
        assert_eq!(parse("qty:n", "2"), Ok(("qty".into(), AttributeValue::from(2))));
        assert_eq!(parse("on:bool", "true"), Ok(("on".into(), AttributeValue::from(true))));
        assert_eq!(parse("x:null", ""), Ok(("x".into(), AttributeValue::Null)));
        assert_eq!(parse("raw:b", "ab"), Ok(("raw".into(), AttributeValue::B(b"ab".to_vec()))));
        assert_eq!(
            parse("tags:ss", r#"["b","a"]"#),
            Ok(("tags".into(), AttributeValue::Ss(["a".to_owned(), "b".to_owned()].into())))
        );
        assert_eq!(
            parse("ids:ns", r#"[1, "2", 1e1]"#),
            Ok(("ids".into(), AttributeValue::Ns([1, 2, 10].map(Number::from).into())))
        );
        assert_eq!(
            parse("doc:json", r#"{"a":[1,true,null]}"#).unwrap().1,
            AttributeValue::M(
                [("a".to_owned(), AttributeValue::L(vec![1.into(), true.into(), AttributeValue::Null]))]
                    .into()
            )
        );
        assert_eq!(parse("a:b:c", "v"), Ok(("a:b:c".into(), s("v"))));
        assert_eq!(parse(":n", "v"), Ok((":n".into(), s("v"))));
        assert_eq!(parse("when", "5"), Ok(("when".into(), AttributeValue::from(5))));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (name, text) in [
            ("qty:n", "two"),
            ("on:bool", "maybe"),
            ("x:null", "0"),
            ("tags:ss", "[]"),
            ("tags:ss", r#"["a","a"]"#),
            ("tags:ss", "a"),
            ("ids:ns", r#"["x"]"#),
            ("ids:ns", "[1,1.0]"),
            ("bins:bs", r#"["?"]"#),
            ("doc:json", "{"),
            ("list:l", "{}"),
            ("when:s", "5"),
            ("when", "noon"),
            ("", "v"),
        ] {
            assert!(parse(name, text).is_err(), "{name} {text}");
        }
        assert!(parse_typed("s", b"\xFF", |_| None, 32).is_err());
    }

    #[test]
    fn builders_take_texts_directly() {
        let mut builder = crate::item::ItemBuilder::new();
        let declared = |name: &str| (name == "when").then_some(AttrType::N);
        assert_eq!(builder.put_text("n:n", b"2", declared, 32), Ok("n"));
        assert_eq!(builder.put_text("when", b"7", declared, 32), Ok("when"));
        assert_eq!(builder.put_text("t:ss", br#"["a"]"#, declared, 32), Ok("t"));
        assert!(builder.put_text("b:bool", b"?", declared, 32).is_err());
        let item = builder.finish();
        assert_eq!(item.view().get("when"), Some(AttributeValueRef::N(Number::from(7))));
        assert_eq!(item.view().len(), 3);
    }
}
