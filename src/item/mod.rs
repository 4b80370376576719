//! `DynamoDB` values: numbers, attribute values, items in their stored bytes, keys in order-preserving bytes, sizes,
//! JSON forms and table schemas. Pure values and functions: no store, no protocol, no clock.
//!
//! - [`AttributeValue`] is a value in owned form, [`AttributeValueRef`] one inside stored bytes.
//! - [`Item`] is an item as it is stored, one compact byte string (drawn in `codec.rs`); [`ItemRef`] reads single
//!   attributes of it without decoding the rest, [`ItemBuilder`] makes it, [`decode_item`] checks foreign bytes.
//! - [`TableSchema`] says which attributes are keys; [`TableSchema::item_keys`] turns an item into its partition and
//!   sort key bytes, ordered under `memcmp` as the values are (drawn in `keys.rs`).

mod arithmetic;
mod binary;
mod bytes;
mod codec;
mod edit;
mod error;
mod field;
mod index;
mod json;
mod key_range;
mod key_schema;
mod keys;
mod limits;
mod number;
mod schema;
mod schema_codec;
mod size;
mod stored;
mod stream;
mod tag;
mod template;
mod typed;
mod types;
mod value;
mod view;

pub use binary::{from_base64, to_base64};
pub use codec::{EncodedValue, HARD_MAX_DEPTH};
pub use edit::ItemEditor;
pub use error::ItemError;
pub use index::{IndexSchema, IndexStatus, Projection, entry_item};
pub use json::{
    check_typed_item, check_typed_value, has_too_many_values, item_from_plain_json, map_from_typed_json,
    plain_value, read_json, typed_value, write_plain_json, write_plain_value, write_typed_json,
    write_typed_value,
};
pub use key_range::{KeyForm, SortCondition, SortRange};
pub use key_schema::{ItemKeys, KeyAttr, KeySchema};
pub use keys::{
    KeyBytes, key_text, prefix_end, put_key, put_key_part, put_key_part_prefix, read_key, read_key_part,
    text_of_key,
};
pub use limits::ItemLimits;
pub use number::{Number, NumberError};
pub use schema::{TableSchema, check_resource_name};
pub use stored::{Item, ItemBuilder, ItemRef, decode_item};
pub use stream::{StreamEnd, StreamPlace, StreamSpan, StreamView};
pub use template::{KeyTexts, Template};
pub use typed::{encode_typed, parse_typed, split_suffix};
pub use types::{AttrType, KeyType};
pub use value::{AttributeValue, check_name};
pub use view::{AttributeValueRef, Entries, MapRef, StoredList, Values};
