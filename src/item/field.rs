//! Attributes as fields of a hash: converts values to texts, and texts to values.
//!
//! A string and a binary are their bytes, a number its canonical text, a boolean `1` or `0`, a null the empty text;
//! maps, lists and sets are JSON. Writing a field keeps the attribute's type. A new attribute gets its declared type.
//! Without a declaration it becomes a string, or a binary if the text is not UTF-8.

use super::json::write_plain_value;
use super::key_schema::KeyAttr;
use super::schema::TableSchema;
use super::typed::parse_as;
use super::value::check_name;
use super::{
    AttrType, AttributeValue, AttributeValueRef, Item, ItemBuilder, ItemError, ItemKeys, ItemLimits, Number,
    read_key,
};

impl AttributeValueRef<'_> {
    /// Appends the text of the value as a field of a hash.
    pub fn write_field(&self, out: &mut Vec<u8>) {
        match self {
            Self::S(bytes) | Self::B(bytes) => out.extend_from_slice(bytes),
            Self::Bool(value) => out.push(if *value { b'1' } else { b'0' }),
            Self::Null => {}
            value => write_plain_value(value, out),
        }
    }
}

impl Number {
    /// A time in ms since the epoch as a TTL attribute holds it: seconds, with a fraction where there is one.
    pub fn from_millis(at: u64) -> Self {
        Self::from_parts(false, u128::from(at), -3).unwrap_or(Self::ZERO)
    }
}

impl TableSchema {
    /// The value of an attribute (not a key) after its field is set to a text; `current` is the type of its present
    /// value.
    ///
    /// # Errors
    /// [`ItemError::NotOfType`] for a text that does not fit the type.
    pub fn field_value(
        &self,
        name: &str,
        text: &[u8],
        current: Option<AttrType>,
        max_depth: usize,
    ) -> Result<AttributeValue, ItemError> {
        check_name(name.as_bytes())?;
        let ttl = (self.ttl.as_deref() == Some(name)).then_some(AttrType::N);
        let kept = current.filter(|t| *t != AttrType::Null);
        let attr_type = match self.declared_type(name).or(ttl).or(kept) {
            Some(attr_type) => attr_type,
            None => AttrType::S,
        };
        if attr_type == AttrType::S
            && self.declared_type(name).is_none()
            && std::str::from_utf8(text).is_err()
        {
            return Ok(AttributeValue::B(text.to_vec()));
        }
        parse_as(name, text, attr_type, max_depth)
            .map_err(|_| ItemError::NotOfType { name: name.to_owned(), attr_type })
    }

    /// The key attribute of this name, with its value in an item.
    pub fn key_attr(&self, keys: &ItemKeys, name: &[u8]) -> Option<(&KeyAttr, AttributeValue)> {
        let stored = [&keys.pk, &keys.sk];
        let (attr, stored) = self.keys.attrs().zip(stored).find(|(attr, _)| attr.name.as_bytes() == name)?;
        Some((attr, read_key(attr.key_type, stored).ok()?))
    }

    /// If the field is a key attribute, checks that the text denotes the key's present value. Returns whether the field
    /// is a key attribute.
    ///
    /// # Errors
    /// [`ItemError::KeyReadOnly`].
    pub fn check_key_field(
        &self,
        keys: &ItemKeys,
        name: &[u8],
        text: Option<&[u8]>,
    ) -> Result<bool, ItemError> {
        let Some((attr, value)) = self.key_attr(keys, name) else { return Ok(false) };
        match text.map(|text| attr.value_of_text(text)) {
            Some(Ok(given)) if given.to_owned_value() == value => Ok(true),
            _ => Err(ItemError::KeyReadOnly(attr.name.clone())),
        }
    }

    /// An item made of a hash: its keys, its fields, its deadline in ms since the epoch.
    ///
    /// # Errors
    /// When a field has no name of an attribute, does not fit the declared type, or is a key attribute of another
    /// value; when there is a deadline but no TTL attribute; and as [`TableSchema::item_keys`] and
    /// [`TableSchema::check_size`].
    pub fn item_of_fields<'f>(
        &self,
        keys: &ItemKeys,
        fields: impl Iterator<Item = (&'f [u8], &'f [u8])>,
        deadline: Option<u64>,
        limits: &ItemLimits,
    ) -> Result<Item, ItemError> {
        let mut builder = ItemBuilder::new();
        for (name, value) in self.keys_to_map(keys)? {
            builder.put_owned(name, &value)?;
        }
        for (name, text) in fields {
            if self.check_key_field(keys, name, Some(text))? {
                continue;
            }
            match std::str::from_utf8(name) {
                // Most fields are plain strings and need no owned value.
                Ok(known) if self.plain_string(known, text) => {
                    builder.put(known, &AttributeValueRef::S(text))?
                }
                Ok(known) => {
                    builder.put_owned(known, &self.field_value(known, text, None, limits.max_depth)?)?
                }
                Err(_) => return Err(ItemError::NameNotUtf8),
            };
        }
        if let Some(at) = deadline {
            let ttl = self.ttl.as_ref().ok_or(ItemError::NoTtl)?;
            builder.put(ttl, &AttributeValueRef::N(Number::from_millis(at)))?;
        }
        let item = builder.finish();
        self.item_keys(&item.view(), limits)?;
        self.check_size(&item.view(), limits)?;
        Ok(item)
    }

    fn plain_string(&self, name: &str, text: &[u8]) -> bool {
        self.ttl.as_deref() != Some(name)
            && self.declared_type(name).is_none_or(|t| t == AttrType::S)
            && std::str::from_utf8(text).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{KeyType, plain_value};

    fn schema() -> TableSchema {
        let mut schema = TableSchema::new(KeyAttr::new("id", KeyType::N), None);
        schema.ttl = Some("until".into());
        schema.attrs.insert("age".into(), AttrType::N);
        schema.attrs.insert("raw".into(), AttrType::B);
        schema
    }

    fn text(value: &AttributeValue) -> String {
        let encoded = crate::item::EncodedValue::new(value).unwrap();
        let mut out = Vec::new();
        encoded.view().write_field(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn values_are_read_as_texts_and_texts_give_them_back() {
        let schema = schema();
        let json = |text: &str| plain_value(&serde_json::from_str(text).unwrap(), 32).unwrap();
        let set = AttributeValue::string_set(vec!["b".into(), "a".into()]).unwrap();
        let bytes = AttributeValue::binary_set(vec![vec![1, 2]]).unwrap();
        let number: Number = "12.50".parse().unwrap();
        for (value, expected) in [
            ("plain".into(), "plain"),
            (AttributeValue::N(number), "12.5"),
            (true.into(), "1"),
            (false.into(), "0"),
            (json(r#"{"a":[1,null,"x"]}"#), r#"{"a":[1,null,"x"]}"#),
            (json("[]"), "[]"),
            (set, r#"["a","b"]"#),
            (bytes, r#"["AQI="]"#),
        ] {
            assert_eq!(text(&value), expected);
            let again = schema.field_value("x", expected.as_bytes(), Some(value.attr_type()), 32);
            assert_eq!(again, Ok(value));
        }
        assert_eq!(text(&AttributeValue::Null), "");
        assert_eq!(schema.field_value("x", b"now", Some(AttrType::Null), 32), Ok("now".into()));
    }

    #[test]
    fn new_fields_have_their_declared_type_or_are_text_or_bytes() {
        let schema = schema();
        let value = |name: &str, text: &[u8]| schema.field_value(name, text, None, 32);
        assert_eq!(value("n", b"7"), Ok("7".into()));
        assert_eq!(value("n", b"\xFF"), Ok(AttributeValue::B(b"\xFF".to_vec())));
        assert_eq!(value("n:n", b"7"), Ok("7".into()));
        assert_eq!(value("age", b"7"), Ok(7.into()));
        assert_eq!(value("raw", b"7"), Ok(AttributeValue::B(b"7".to_vec())));
        assert_eq!(value("until", b"7"), Ok(7.into()));
        let refused = value("age", b"seven").unwrap_err().to_string();
        assert_eq!(refused, "attribute age has the type N, which the text does not fit");
        assert!(schema.field_value("x", b"2", Some(AttrType::Bool), 32).is_err());
    }

    #[test]
    fn hashes_become_items() {
        let (mut schema, limits) = (schema(), ItemLimits::DYNAMODB);
        let keys = schema.text_keys(b"7", None, &limits).unwrap();
        let lift = |schema: &TableSchema, fields: &[(&[u8], &[u8])], at| {
            schema
                .item_of_fields(&keys, fields.iter().copied(), at, &limits)
                .map(|item| format!("{:?}", item.view().to_map()))
        };
        assert_eq!(
            lift(&schema, &[(b"id", b"7.0"), (b"a", b"x"), (b"age", b"3")], Some(1_700_000_000_250)).unwrap(),
            r#"{"a": S("x"), "age": N(3), "id": N(7), "until": N(1700000000.25)}"#
        );
        assert_eq!(lift(&schema, &[(b"id", b"8")], None), Err(ItemError::KeyReadOnly("id".into())));
        assert_eq!(lift(&schema, &[(b"", b"8")], None), Err(ItemError::EmptyName));
        assert_eq!(lift(&schema, &[(b"\xFF", b"8")], None), Err(ItemError::NameNotUtf8));
        assert!(lift(&schema, &[(b"age", b"old")], None).is_err());
        schema.ttl = None;
        assert_eq!(lift(&schema, &[], Some(5)), Err(ItemError::NoTtl));
    }
}
