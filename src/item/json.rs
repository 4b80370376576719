//! JSON forms of values: `DynamoDB`'s, with type tags, and plain.
//!
//! Reading the typed form has two steps, as at AWS: [`check_typed_item`] refuses what AWS's deserialiser refuses, and
//! runs for the whole request first; [`typed_value`] then refuses what AWS's validation refuses. Reading plain JSON
//! makes numbers N, objects M and arrays L. Writing plain JSON makes sets arrays and binaries base64; numbers stand
//! verbatim in both directions.

use std::collections::BTreeMap;

use serde_json::Value;

use super::binary::{from_base64, to_base64};
use super::{AttrType, AttributeValue, AttributeValueRef, Item, ItemBuilder, ItemError, ItemRef, Number};

fn serialization(message: impl Into<String>) -> ItemError {
    ItemError::Serialization(message.into())
}

/// Most values in a JSON text. It bounds the memory that the text takes while it is read, which for the shortest values
/// is many times its length.
const MAX_VALUES: usize = 1_000_000;

/// Whether a JSON text has more than a million values.
pub fn has_too_many_values(text: &[u8]) -> bool {
    // Each value takes at least one byte, and one byte stands before it.
    if text.len() / 2 <= MAX_VALUES {
        return false;
    }
    let (mut count, mut quoted, mut escaped) = (0, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count > MAX_VALUES
}

/// Reads a JSON text.
///
/// # Errors
/// [`ItemError::Json`], and [`ItemError::TooManyValues`] for more than a million.
pub fn read_json(text: &[u8]) -> Result<Value, ItemError> {
    if has_too_many_values(text) {
        return Err(ItemError::TooManyValues);
    }
    serde_json::from_slice(text).map_err(|error| ItemError::Json(error.to_string()))
}

/// Checks a JSON object of names to typed values as AWS's deserialiser does.
///
/// # Errors
/// [`ItemError::Serialization`].
pub fn check_typed_item(json: &Value) -> Result<(), ItemError> {
    match json {
        Value::Object(map) => map.values().try_for_each(check_typed_value),
        Value::Null => Ok(()),
        Value::Array(_) => Err(serialization(
            "Unrecognized collection type java.util.Map<java.lang.String, com.amazonaws.dynamodb.v20120810.AttributeValue>",
        )),
        _ => Err(serialization("Unexpected field type")),
    }
}

/// Checks one typed value as AWS's deserialiser does.
///
/// # Errors
/// [`ItemError::Serialization`].
pub fn check_typed_value(json: &Value) -> Result<(), ItemError> {
    let map = match json {
        Value::Object(map) => map,
        Value::Null => return Ok(()),
        Value::Array(_) => {
            return Err(serialization(
                "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue",
            ));
        }
        _ => return Err(serialization("Unexpected value type in payload")),
    };
    for (tag, inner) in map {
        let Some(attr_type) = AttrType::from_tag(tag) else { continue };
        if inner.is_null() {
            continue;
        }
        match attr_type {
            AttrType::S | AttrType::N => check_string(inner)?,
            AttrType::B => check_blob(inner)?,
            AttrType::Bool | AttrType::Null => {
                boolean(inner)?;
            }
            AttrType::Ss | AttrType::Ns => check_list(inner, check_string)?,
            AttrType::Bs => check_list(inner, check_blob)?,
            AttrType::L => check_list(inner, check_typed_value)?,
            AttrType::M => check_typed_item(inner)?,
        }
    }
    Ok(())
}

fn number_token(number: &serde_json::Number) -> &'static str {
    if number.to_string().contains(['.', 'e', 'E']) { "DECIMAL_VALUE" } else { "NUMBER_VALUE" }
}

fn check_string(json: &Value) -> Result<(), ItemError> {
    match json {
        Value::String(_) | Value::Null => Ok(()),
        Value::Bool(true) => Err(serialization("TRUE_VALUE cannot be converted to String")),
        Value::Bool(false) => Err(serialization("FALSE_VALUE cannot be converted to String")),
        Value::Number(number) => {
            Err(serialization(format!("{} cannot be converted to String", number_token(number))))
        }
        Value::Array(_) => Err(serialization("Unrecognized collection type class java.lang.String")),
        Value::Object(_) => Err(serialization("Start of structure or map found where not expected")),
    }
}

fn check_blob(json: &Value) -> Result<(), ItemError> {
    match json {
        Value::String(text) => from_base64(text).map(|_| ()),
        Value::Null => Ok(()),
        Value::Bool(_) | Value::Number(_) => {
            Err(serialization("only base-64-encoded strings are convertible to bytes"))
        }
        Value::Array(_) => Err(serialization("Unrecognized collection type class java.nio.ByteBuffer")),
        Value::Object(_) => Err(serialization("Start of structure or map found where not expected")),
    }
}

fn boolean(json: &Value) -> Result<bool, ItemError> {
    match json {
        Value::Bool(value) => Ok(*value),
        Value::Null => Ok(false),
        Value::String(text) => match text.to_ascii_uppercase().as_str() {
            "TRUE" | "1" | "YES" => Ok(true),
            "FALSE" | "0" | "NO" => Ok(false),
            _ => Err(serialization("Unexpected token received from parser")),
        },
        Value::Number(number) => {
            Err(serialization(format!("{} cannot be converted to Boolean", number_token(number))))
        }
        Value::Array(_) => Err(serialization("Unrecognized collection type class java.lang.Boolean")),
        Value::Object(_) => Err(serialization("Start of structure or map found where not expected")),
    }
}

fn check_list(json: &Value, member: impl Fn(&Value) -> Result<(), ItemError>) -> Result<(), ItemError> {
    match json {
        Value::Array(list) => list.iter().try_for_each(member),
        Value::Object(_) => Err(serialization("Start of structure or map found where not expected")),
        _ => Err(serialization("Unexpected field type")),
    }
}

/// Reads a JSON object of names to typed values, nested at most `max_depth` levels.
///
/// # Errors
/// The first error; errors of the deserialiser come before those of validation.
pub fn map_from_typed_json(
    json: &Value,
    max_depth: usize,
) -> Result<BTreeMap<String, AttributeValue>, ItemError> {
    check_typed_item(json)?;
    let Value::Object(map) = json else { return Ok(BTreeMap::new()) };
    typed_map(map, max_depth)
}

fn typed_map(
    map: &serde_json::Map<String, Value>,
    max_depth: usize,
) -> Result<BTreeMap<String, AttributeValue>, ItemError> {
    map.iter()
        .map(|(name, json)| {
            super::value::check_name(name.as_bytes())?;
            Ok((name.clone(), typed_value_checked(json, max_depth)?))
        })
        .collect()
}

/// Reads one typed value that [`check_typed_value`] accepted, nested at most `max_depth` levels.
///
/// # Errors
/// AWS's validation errors: no or several types, numbers, sets, nesting.
pub fn typed_value(json: &Value, max_depth: usize) -> Result<AttributeValue, ItemError> {
    check_typed_value(json)?;
    typed_value_checked(json, max_depth)
}

fn typed_value_checked(json: &Value, max_depth: usize) -> Result<AttributeValue, ItemError> {
    let Value::Object(map) = json else { return Err(ItemError::NoType) };
    let mut found = None;
    let mut several = false;
    for (tag, inner) in map {
        let Some(attr_type) = AttrType::from_tag(tag) else { continue };
        if inner.is_null() {
            continue;
        }
        let value = typed_inner(attr_type, inner, max_depth)?;
        several |= found.replace(value).is_some();
    }
    if several {
        return Err(ItemError::SeveralTypes);
    }
    found.ok_or(ItemError::NoType)
}

fn typed_inner(attr_type: AttrType, inner: &Value, max_depth: usize) -> Result<AttributeValue, ItemError> {
    let text = |json: &Value| json.as_str().unwrap_or_default().to_owned();
    let list = inner.as_array().map(Vec::as_slice).unwrap_or_default();
    match attr_type {
        AttrType::S => Ok(AttributeValue::S(text(inner))),
        AttrType::N => Ok(AttributeValue::N(text(inner).parse()?)),
        AttrType::B => Ok(AttributeValue::B(from_base64(&text(inner))?)),
        AttrType::Bool => Ok(AttributeValue::Bool(boolean(inner)?)),
        AttrType::Null if boolean(inner)? => Ok(AttributeValue::Null),
        AttrType::Null => Err(ItemError::NullNotTrue),
        AttrType::Ss => AttributeValue::string_set(list.iter().map(text).collect()),
        AttrType::Ns => {
            let numbers: Result<Vec<Number>, _> = list.iter().map(|json| text(json).parse()).collect();
            AttributeValue::number_set(numbers?)
        }
        AttrType::Bs => {
            let members: Result<Vec<_>, _> = list.iter().map(|json| from_base64(&text(json))).collect();
            AttributeValue::binary_set(members?)
        }
        AttrType::L | AttrType::M if max_depth == 0 => Err(ItemError::TooDeep),
        AttrType::L => {
            let values: Result<Vec<_>, _> =
                list.iter().map(|json| typed_value_checked(json, max_depth - 1)).collect();
            Ok(AttributeValue::L(values?))
        }
        AttrType::M => match inner {
            Value::Object(map) => {
                let entries = map.iter().map(|(name, json)| {
                    super::value::check_name(name.as_bytes())?;
                    Ok((name.clone(), typed_value_checked(json, max_depth - 1)?))
                });
                Ok(AttributeValue::M(entries.collect::<Result<_, ItemError>>()?))
            }
            _ => Ok(AttributeValue::M(BTreeMap::new())),
        },
    }
}

/// The value of plain JSON: numbers N, objects M, arrays L, nested at most `max_depth` levels.
///
/// # Errors
/// For numbers outside the limits, empty names and too deep nesting.
pub fn plain_value(json: &Value, max_depth: usize) -> Result<AttributeValue, ItemError> {
    Ok(match json {
        Value::Null => AttributeValue::Null,
        Value::Bool(value) => AttributeValue::Bool(*value),
        Value::Number(number) => AttributeValue::N(number.to_string().parse()?),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(_) | Value::Object(_) if max_depth == 0 => return Err(ItemError::TooDeep),
        Value::Array(list) => {
            let values: Result<_, _> = list.iter().map(|json| plain_value(json, max_depth - 1)).collect();
            AttributeValue::L(values?)
        }
        Value::Object(map) => {
            let entries = map.iter().map(|(name, json)| {
                super::value::check_name(name.as_bytes())?;
                Ok((name.clone(), plain_value(json, max_depth - 1)?))
            });
            AttributeValue::M(entries.collect::<Result<_, ItemError>>()?)
        }
    })
}

/// The item of a plain JSON object.
///
/// # Errors
/// When the text is no JSON object, or as [`plain_value`].
pub fn item_from_plain_json(text: &[u8], max_depth: usize) -> Result<Item, ItemError> {
    let json = read_json(text)?;
    let Value::Object(map) = &json else {
        return Err(ItemError::Json("an item must be an object".to_owned()));
    };
    let mut builder = ItemBuilder::new();
    for (name, json) in map {
        builder.put_owned(name, &plain_value(json, max_depth)?)?;
    }
    Ok(builder.finish())
}

/// Appends an item as one JSON object with type tags.
pub fn write_typed_json(item: &ItemRef<'_>, out: &mut Vec<u8>) {
    write_entries(item.iter(), out, write_typed_value);
}

/// Appends a value with its type tag, as `{"S":"text"}`.
pub fn write_typed_value(value: &AttributeValueRef<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(value.attr_type().tag().as_bytes());
    out.extend_from_slice(b"\":");
    match value {
        AttributeValueRef::Null => out.extend_from_slice(b"true"),
        AttributeValueRef::N(number) => write_quoted_number(*number, out),
        AttributeValueRef::Ns(set) => write_list(set.iter(), out, |value, out| {
            if let AttributeValueRef::N(number) = value {
                write_quoted_number(*number, out);
            }
        }),
        AttributeValueRef::Ss(set) | AttributeValueRef::Bs(set) => {
            write_list(set.iter(), out, write_plain_value);
        }
        AttributeValueRef::L(list) => write_list(list.iter(), out, write_typed_value),
        AttributeValueRef::M(map) => write_entries(map.iter(), out, write_typed_value),
        scalar => write_plain_value(scalar, out),
    }
    out.push(b'}');
}

/// Appends an item as one plain JSON object.
pub fn write_plain_json(item: &ItemRef<'_>, out: &mut Vec<u8>) {
    write_entries(item.iter(), out, write_plain_value);
}

/// Appends a value as plain JSON: sets as arrays, binaries in base64, numbers verbatim.
pub fn write_plain_value(value: &AttributeValueRef<'_>, out: &mut Vec<u8>) {
    match value {
        AttributeValueRef::Null => out.extend_from_slice(b"null"),
        AttributeValueRef::Bool(true) => out.extend_from_slice(b"true"),
        AttributeValueRef::Bool(false) => out.extend_from_slice(b"false"),
        AttributeValueRef::N(number) => number.write_text(out),
        AttributeValueRef::S(text) => write_string(text, out),
        AttributeValueRef::B(bytes) => {
            out.push(b'"');
            out.extend_from_slice(to_base64(bytes).as_bytes());
            out.push(b'"');
        }
        AttributeValueRef::Ss(list)
        | AttributeValueRef::Ns(list)
        | AttributeValueRef::Bs(list)
        | AttributeValueRef::L(list) => {
            write_list(list.iter(), out, write_plain_value);
        }
        AttributeValueRef::M(map) => write_entries(map.iter(), out, write_plain_value),
    }
}

fn write_quoted_number(number: Number, out: &mut Vec<u8>) {
    out.push(b'"');
    number.write_text(out);
    out.push(b'"');
}

/// A JSON string; bytes that are not UTF-8, which no stored string has, become replacement characters.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(text);
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, text.as_ref());
}

fn write_list<'a>(
    values: impl Iterator<Item = AttributeValueRef<'a>>,
    out: &mut Vec<u8>,
    write: impl Fn(&AttributeValueRef<'a>, &mut Vec<u8>),
) {
    out.push(b'[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(&value, out);
    }
    out.push(b']');
}

fn write_entries<'a>(
    entries: impl Iterator<Item = (&'a [u8], AttributeValueRef<'a>)>,
    out: &mut Vec<u8>,
    write: impl Fn(&AttributeValueRef<'a>, &mut Vec<u8>),
) {
    out.push(b'{');
    for (index, (name, value)) in entries.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(name, out);
        out.push(b':');
        write(&value, out);
    }
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::EncodedValue;
    use crate::item::stored::tests::any_value;
    use proptest::prelude::*;

    fn typed(text: &str) -> Result<AttributeValue, String> {
        typed_value(&serde_json::from_str(text).unwrap(), 32).map_err(|error| error.to_string())
    }

    #[test]
    fn typed_json_is_refused_in_the_documented_words() {
        let invalid = "One or more parameter values were invalid: ";
        for (text, message) in [
            ("{}", "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes".to_owned()),
            (r#"{"X":"1"}"#, "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes".to_owned()),
            (r#"{"S":"a","N":"1"}"#, "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported datatypes".to_owned()),
            (r#"{"S":"a","N":"b"}"#, "The parameter cannot be converted to a numeric value: b".to_owned()),
            (r#"{"N":""}"#, "The parameter cannot be converted to a numeric value".to_owned()),
            (r#"{"NULL":false}"#, format!("{invalid}Null attribute value types must have the value of true")),
            (r#"{"NULL":"no"}"#, format!("{invalid}Null attribute value types must have the value of true")),
            (r#"{"SS":[]}"#, format!("{invalid}An string set  may not be empty")),
            (r#"{"NS":[]}"#, format!("{invalid}An number set  may not be empty")),
            (r#"{"BS":[]}"#, format!("{invalid}Binary sets should not be empty")),
            (r#"{"SS":["a","a"]}"#, format!("{invalid}Input collection [a, a] contains duplicates.")),
            (r#"{"NS":["1","1.0"]}"#, "Input collection contains duplicates".to_owned()),
            (r#"{"BS":["Yg==","Yg=="]}"#, format!("{invalid}Input collection [Yg==, Yg==]of type BS contains duplicates.")),
            (r#"{"S":1}"#, "NUMBER_VALUE cannot be converted to String".to_owned()),
            (r#"{"S":1.5}"#, "DECIMAL_VALUE cannot be converted to String".to_owned()),
            (r#"{"N":true}"#, "TRUE_VALUE cannot be converted to String".to_owned()),
            (r#"{"N":[]}"#, "Unrecognized collection type class java.lang.String".to_owned()),
            (r#"{"N":{}}"#, "Start of structure or map found where not expected".to_owned()),
            (r#"{"B":"abc"}"#, "Base64 encoded length is expected a multiple of 4 bytes but found: 3".to_owned()),
            (r#"{"B":1}"#, "only base-64-encoded strings are convertible to bytes".to_owned()),
            (r#"{"BOOL":"maybe"}"#, "Unexpected token received from parser".to_owned()),
            (r#"{"L":"a"}"#, "Unexpected field type".to_owned()),
            (r#""a""#, "Unexpected value type in payload".to_owned()),
            ("[]", "Unrecognized collection type class com.amazonaws.dynamodb.v20120810.AttributeValue".to_owned()),
        ] {
            assert_eq!(typed(text), Err(message), "{text}");
        }
        // The deserialiser checks the whole value before validation begins.
        assert_eq!(
            typed(r#"{"L":[{"N":"b"},{"S":1}]}"#),
            Err("NUMBER_VALUE cannot be converted to String".to_owned())
        );
        assert_eq!(typed(r#"{"BOOL":"yes"}"#), Ok(AttributeValue::Bool(true)));
    }

    #[test]
    fn plain_json_keeps_numbers_verbatim() {
        let text = br#"{"n":12345678901234567890123456789012345678,"m":{"l":[1.50,null,true,"x"]},"e":1e3}"#;
        let item = item_from_plain_json(text, 32).unwrap();
        let mut out = Vec::new();
        write_plain_json(&item.view(), &mut out);
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#"{"e":1000,"m":{"l":[1.5,null,true,"x"]},"n":12345678901234567890123456789012345678}"#
        );
        for bad in ["[]", "{", r#"{"":1}"#, r#"{"n":1e126}"#, r#"{"a":1} x"#] {
            assert!(item_from_plain_json(bad.as_bytes(), 32).is_err(), "{bad}");
        }
        assert!(item_from_plain_json(br#"{"a":[[1]]}"#, 1).is_err());
    }

    proptest! {
        #[test]
        fn typed_json_round_trips(value in any_value()) {
            let mut out = Vec::new();
            write_typed_value(&EncodedValue::new(&value).unwrap().view(), &mut out);
            let json: Value = serde_json::from_slice(&out).unwrap();
            prop_assert_eq!(typed_value(&json, 32), Ok(value));
        }

        #[test]
        fn plain_json_is_json(value in any_value()) {
            let mut out = Vec::new();
            write_plain_value(&EncodedValue::new(&value).unwrap().view(), &mut out);
            prop_assert!(plain_value(&serde_json::from_slice(&out).unwrap(), 32).is_ok());
        }
    }
}
