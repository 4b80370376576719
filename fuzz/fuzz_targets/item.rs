//! Items: stored bytes, both JSON forms and table schemas are read or refused, and survive a round trip.
#![no_main]

use itemory::item::{
    HARD_MAX_DEPTH, Item, TableSchema, decode_item, item_from_plain_json, map_from_typed_json,
    write_plain_json, write_typed_json,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(item) = decode_item(data, HARD_MAX_DEPTH) {
        check(&item.to_item());
    }
    if let Ok(item) = item_from_plain_json(data, HARD_MAX_DEPTH) {
        check(&item);
    }
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(data)
        && let Ok(map) = map_from_typed_json(&json, HARD_MAX_DEPTH)
        && let Ok(item) = Item::from_map(&map)
    {
        check(&item);
    }
    if let Ok(schema) = TableSchema::from_bytes(data) {
        assert_eq!(TableSchema::from_bytes(&schema.to_bytes()), Ok(schema));
    }
});

fn check(item: &Item) {
    assert!(decode_item(item.as_bytes(), HARD_MAX_DEPTH).is_ok());
    let view = item.view();
    let mut plain = Vec::new();
    write_plain_json(&view, &mut plain);
    assert!(std::str::from_utf8(&plain).is_ok());
    let mut typed = Vec::new();
    write_typed_json(&view, &mut typed);
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(&typed) {
        let map = map_from_typed_json(&json, HARD_MAX_DEPTH).expect("own JSON is read");
        assert_eq!(map, view.to_map());
    }
}
