//! The stored form of table schemas, version 1.
//!
//! ```text
//! schema  := version(1 byte, 0x01) section*
//! section := tag(1 byte) len(varint) body          each tag below at most once, but 3 to 6
//!   1 keys     key [key]                           partition key, sort key
//!   2 ttl      name
//!   3 stream   view since(varint) place [at(varint) place]   a time in which changes are recorded, and its end
//!   4 attr     type(1 byte) name                   a declared attribute
//!   5 index    name local(0|1) n key*n m key*m projection [space(varint) status(1 byte)]
//!   6 setting  name value
//!   7 template text                                the template of the keys that are views of items
//!   8 lifting                                      hashes that fit the template may still be there
//! key        := type(1 byte) name
//! view       := 1 KEYS_ONLY | 2 NEW_IMAGE | 3 OLD_IMAGE | 4 NEW_AND_OLD_IMAGES
//! place      := ms(varint) number(varint)
//! projection := 1 | 2 | 3 n name*n                 ALL, KEYS_ONLY, INCLUDE
//! name, value:= len(varint) UTF-8 bytes
//! status     := 1 ACTIVE, 2 CREATING, 3 REFRESHING
//! type       := 1 S, 2 N, 3 B, 4 BOOL, 5 NULL, 6 M, 7 L, 8 SS, 9 NS, 10 BS
//! ```
//! A schema with an unknown tag is refused, because items would be stored wrongly under a schema that is understood in
//! part.

use super::bytes::{Reader, put_block, put_sized, put_varint};
use super::index::{IndexSchema, IndexStatus, Projection};
use super::key_schema::{KeyAttr, KeySchema};
use super::schema::TableSchema;
use super::stream::{StreamEnd, StreamPlace, StreamSpan, StreamView};
use super::{AttrType, ItemError, KeyType};

const VERSION: u8 = 0x01;
const KEYS: u8 = 1;
const TTL: u8 = 2;
const STREAM: u8 = 3;
const ATTR: u8 = 4;
const INDEX: u8 = 5;
const SETTING: u8 = 6;
const TEMPLATE: u8 = 7;
const LIFTING: u8 = 8;

impl TableSchema {
    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        let mut section = |tag: u8, body: &dyn Fn(&mut Vec<u8>)| {
            out.push(tag);
            // The body cannot fail, so neither can this.
            let _ = put_sized::<()>(&mut out, |out| {
                body(out);
                Ok(())
            });
        };
        section(KEYS, &|out| self.keys.attrs().for_each(|attr| put_key_attr(out, attr)));
        if let Some(name) = &self.ttl {
            section(TTL, &|out| put_block(out, name.as_bytes()));
        }
        for span in &self.streams {
            section(STREAM, &|out| put_span(out, span));
        }
        for (name, attr_type) in &self.attrs {
            section(ATTR, &|out| {
                out.push(type_code(*attr_type));
                put_block(out, name.as_bytes());
            });
        }
        for index in &self.indexes {
            section(INDEX, &|out| put_index(out, index));
        }
        for (name, value) in &self.settings {
            section(SETTING, &|out| {
                put_block(out, name.as_bytes());
                put_block(out, value.as_bytes());
            });
        }
        if let Some(template) = &self.template {
            section(TEMPLATE, &|out| put_block(out, template.as_bytes()));
        }
        if self.lifting {
            section(LIFTING, &|_| {});
        }
        out
    }

    /// Reads the stored form. Any bytes are accepted or refused.
    ///
    /// # Errors
    /// [`ItemError::Corrupt`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ItemError> {
        let mut reader = Reader::new(bytes);
        if reader.byte() != Some(VERSION) {
            return Err(corrupt("unknown format version"));
        }
        let mut keys = None;
        let mut schema = Self::new(KeyAttr::new("", KeyType::S), None);
        while !reader.is_empty() {
            let tag = reader.byte().ok_or(corrupt("a section is cut short"))?;
            let mut body = Reader::new(reader.block().ok_or(corrupt("a section is cut short"))?);
            let filled = match tag {
                KEYS => read_keys(&mut body).and_then(|read| fill(&mut keys, read)),
                TTL => read_name(&mut body).and_then(|name| fill(&mut schema.ttl, name)),
                STREAM => read_span(&mut body).map(|span| schema.streams.push(span)),
                ATTR => read_attr(&mut body).and_then(|(name, t)| match schema.attrs.insert(name, t) {
                    None => Some(()),
                    Some(_) => None,
                }),
                INDEX => read_index(&mut body).map(|index| schema.indexes.push(index)),
                SETTING => read_name(&mut body)
                    .zip(read_name(&mut body))
                    .map(|(name, value)| drop(schema.settings.insert(name, value))),
                TEMPLATE => read_name(&mut body).and_then(|text| fill(&mut schema.template, text)),
                LIFTING => (!std::mem::replace(&mut schema.lifting, true)).then_some(()),
                _ => return Err(corrupt("unknown section")),
            };
            if filled.is_none() || !body.is_empty() {
                return Err(corrupt("a section is damaged"));
            }
        }
        schema.keys = keys.ok_or(corrupt("the keys are missing"))?;
        Ok(schema)
    }
}

/// Sets `slot`; `None` if it is set already.
fn fill<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    match slot.replace(value) {
        None => Some(()),
        Some(_) => None,
    }
}

fn put_key_attr(out: &mut Vec<u8>, attr: &KeyAttr) {
    out.push(type_code(attr.key_type.attr_type()));
    put_block(out, attr.name.as_bytes());
}

fn put_index(out: &mut Vec<u8>, index: &IndexSchema) {
    put_block(out, index.name.as_bytes());
    out.push(u8::from(index.local));
    for attrs in [&index.pk, &index.sk] {
        put_varint(out, attrs.len() as u64);
        for attr in attrs {
            put_key_attr(out, attr);
        }
    }
    match &index.projection {
        Projection::All => out.push(1),
        Projection::KeysOnly => out.push(2),
        Projection::Include(names) => {
            out.push(3);
            put_varint(out, names.len() as u64);
            for name in names {
                put_block(out, name.as_bytes());
            }
        }
    }
    put_varint(out, u64::from(index.space));
    out.push(match index.status {
        IndexStatus::Active => 1,
        IndexStatus::Creating => 2,
        IndexStatus::Refreshing => 3,
    });
}

fn put_place(out: &mut Vec<u8>, (ms, number): StreamPlace) {
    put_varint(out, ms);
    put_varint(out, number);
}

fn put_span(out: &mut Vec<u8>, span: &StreamSpan) {
    out.push(view_code(span.view));
    put_varint(out, span.since_ms);
    put_place(out, span.after);
    if let Some(end) = span.end {
        put_varint(out, end.at_ms);
        put_place(out, end.through);
    }
}

fn read_place_of_stream(reader: &mut Reader<'_>) -> Option<StreamPlace> {
    Some((reader.varint()?, reader.varint()?))
}

fn read_span(reader: &mut Reader<'_>) -> Option<StreamSpan> {
    let view = view_of(reader.byte()?)?;
    let (since_ms, after) = (reader.varint()?, read_place_of_stream(reader)?);
    let end = if reader.is_empty() {
        None
    } else {
        Some(StreamEnd { at_ms: reader.varint()?, through: read_place_of_stream(reader)? })
    };
    Some(StreamSpan { view, since_ms, after, end })
}

fn read_name(reader: &mut Reader<'_>) -> Option<String> {
    String::from_utf8(reader.block()?.to_vec()).ok()
}

fn read_key_attr(reader: &mut Reader<'_>) -> Option<KeyAttr> {
    let key_type = KeyType::from_attr_type(type_of(reader.byte()?)?)?;
    Some(KeyAttr { name: read_name(reader)?, key_type })
}

fn read_keys(reader: &mut Reader<'_>) -> Option<KeySchema> {
    let pk = read_key_attr(reader)?;
    let sk = if reader.is_empty() { None } else { Some(read_key_attr(reader)?) };
    Some(KeySchema { pk, sk })
}

fn read_attr(reader: &mut Reader<'_>) -> Option<(String, AttrType)> {
    let attr_type = type_of(reader.byte()?)?;
    Some((read_name(reader)?, attr_type))
}

fn read_index(reader: &mut Reader<'_>) -> Option<IndexSchema> {
    let name = read_name(reader)?;
    let local = match reader.byte()? {
        0 => false,
        1 => true,
        _ => return None,
    };
    let pk = read_many(reader, read_key_attr)?;
    let sk = read_many(reader, read_key_attr)?;
    let projection = match reader.byte()? {
        1 => Projection::All,
        2 => Projection::KeysOnly,
        3 => Projection::Include(read_many(reader, read_name)?),
        _ => return None,
    };
    // The first stored schemas did not hold an index's space and status, because indexes could not be made yet.
    let (space, status) = if reader.is_empty() { (0, IndexStatus::Active) } else { read_place(reader)? };
    Some(IndexSchema { name, local, pk, sk, projection, space, status })
}

fn read_place(reader: &mut Reader<'_>) -> Option<(u32, IndexStatus)> {
    let space = u32::try_from(reader.varint()?).ok()?;
    let status = match reader.byte()? {
        1 => IndexStatus::Active,
        2 => IndexStatus::Creating,
        3 => IndexStatus::Refreshing,
        _ => return None,
    };
    Some((space, status))
}

/// Reads as many values as the count says. Memory grows only with the values that the bytes hold.
fn read_many<T>(reader: &mut Reader<'_>, read: impl Fn(&mut Reader<'_>) -> Option<T>) -> Option<Vec<T>> {
    let count = reader.varint()?;
    let mut out = Vec::new();
    for _ in 0..count {
        out.push(read(reader)?);
    }
    Some(out)
}

const TYPES: [(u8, AttrType); 10] = [
    (1, AttrType::S),
    (2, AttrType::N),
    (3, AttrType::B),
    (4, AttrType::Bool),
    (5, AttrType::Null),
    (6, AttrType::M),
    (7, AttrType::L),
    (8, AttrType::Ss),
    (9, AttrType::Ns),
    (10, AttrType::Bs),
];

fn type_code(attr_type: AttrType) -> u8 {
    TYPES.iter().find(|(_, t)| *t == attr_type).map_or(0, |(code, _)| *code)
}

fn type_of(code: u8) -> Option<AttrType> {
    TYPES.iter().find(|(c, _)| *c == code).map(|(_, t)| *t)
}

fn view_code(view: StreamView) -> u8 {
    match view {
        StreamView::KeysOnly => 1,
        StreamView::NewImage => 2,
        StreamView::OldImage => 3,
        StreamView::NewAndOldImages => 4,
    }
}

fn view_of(code: u8) -> Option<StreamView> {
    use StreamView::{KeysOnly, NewAndOldImages, NewImage, OldImage};
    [KeysOnly, NewImage, OldImage, NewAndOldImages].into_iter().find(|view| view_code(*view) == code)
}

fn corrupt(reason: &'static str) -> ItemError {
    ItemError::Corrupt { what: "schema", reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full() -> TableSchema {
        let mut schema =
            TableSchema::new(KeyAttr::new("id", KeyType::B), Some(KeyAttr::new("at", KeyType::N)));
        schema.ttl = Some("expires".into());
        let end = StreamEnd { at_ms: 9, through: (8, 300) };
        schema.streams.push(StreamSpan {
            view: StreamView::KeysOnly,
            since_ms: 7,
            after: (5, 6),
            end: Some(end),
        });
        schema.streams.push(StreamSpan::new(StreamView::NewAndOldImages));
        schema.template = Some("feed:{id}:{at}".into());
        schema.lifting = true;
        schema.attrs.insert("on".into(), AttrType::Bool);
        schema.settings.insert("billing-mode".into(), "PAY_PER_REQUEST".into());
        for (name, projection) in [
            ("one", Projection::All),
            ("two", Projection::KeysOnly),
            ("three", Projection::Include(vec!["a".into(), "b".into()])),
        ] {
            schema.indexes.push(IndexSchema {
                name: name.into(),
                local: name == "two",
                pk: vec![KeyAttr::new("id", KeyType::B)],
                sk: vec![KeyAttr::new("x", KeyType::S), KeyAttr::new("y", KeyType::N)],
                projection,
                space: 300,
                status: if name == "one" { IndexStatus::Creating } else { IndexStatus::Active },
            });
        }
        schema
    }

    #[test]
    fn schemas_round_trip() {
        for schema in [full(), TableSchema::new(KeyAttr::new("k", KeyType::S), None)] {
            assert_eq!(TableSchema::from_bytes(&schema.to_bytes()), Ok(schema));
        }
    }

    #[test]
    fn indexes_without_a_place_are_read_as_they_were_written() {
        let section = [5, 12, 2, b'i', b'x', 0, 1, 1, 1, b'm', 0, 2, 7, 1];
        let mut bytes = vec![1, 1, 3, 1, 1, b'k'];
        bytes.extend_from_slice(&section);
        let with = TableSchema::from_bytes(&bytes).unwrap();
        assert_eq!((with.indexes[0].space, with.indexes[0].status), (7, IndexStatus::Active));
        bytes.truncate(bytes.len() - 2);
        bytes[7] = 10;
        let without = TableSchema::from_bytes(&bytes).unwrap();
        assert_eq!((without.indexes[0].space, without.indexes[0].status), (0, IndexStatus::Active));
    }

    #[test]
    fn the_format_is_what_the_drawing_says() {
        let schema = TableSchema::new(KeyAttr::new("k", KeyType::S), Some(KeyAttr::new("n", KeyType::N)));
        assert_eq!(schema.to_bytes(), [1, 1, 6, 1, 1, b'k', 2, 1, b'n']);
    }

    proptest! {
        #[test]
        fn damaged_schemas_are_refused_or_read(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut bytes = full().to_bytes();
            let index = at.index(bytes.len());
            bytes[index] = byte;
            let _ = TableSchema::from_bytes(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            let _ = TableSchema::from_bytes(&bytes);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes: Vec<u8>) {
            let _ = TableSchema::from_bytes(&bytes);
        }
    }
}
