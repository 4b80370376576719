//! DynamoDB expressions: any text with any placeholders is parsed, bound and applied, or refused with an error.
#![no_main]

use std::sync::Arc;

use itemory::expr::{Binder, ExprKind, ParseOptions, parse_condition, parse_projection, parse_update};
use itemory::item::{HARD_MAX_DEPTH, Item, ItemLimits, decode_item, item_from_plain_json};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

// The input's lines: an expression, its names and its values as JSON, and an item as plain JSON.
fuzz_target!(|input: &str| {
    let mut lines = input.splitn(4, '\n');
    let text = lines.next().unwrap_or_default();
    let mut json = || lines.next().and_then(|line| serde_json::from_str::<Value>(line).ok());
    let (names, values) = (json(), json());
    let item = lines
        .next()
        .and_then(|line| item_from_plain_json(line.as_bytes(), HARD_MAX_DEPTH).ok())
        .unwrap_or_else(|| {
            item_from_plain_json(b"{\"a\":1,\"b\":[1,\"x\"],\"c\":{\"d\":\"y\"}}", 9).expect("an item")
        });
    for options in [ParseOptions::STRICT, ParseOptions::HUMAN] {
        let Ok(mut binder) = Binder::from_json(names.as_ref(), values.as_ref(), 32, options.limits) else {
            continue;
        };
        run(text, &options, &mut binder, &item);
        let _ = binder.finish();
    }
});

fn run(text: &str, options: &ParseOptions, binder: &mut Binder, item: &Item) {
    if let Ok(parsed) = parse_condition(text, options)
        && let Ok(bound) = binder.condition(ExprKind::Condition, &Arc::new(parsed))
    {
        assert_eq!(bound.holds(Some(item.view())), bound.holds(Some(item.view())));
        let _ = bound.holds(None);
    }
    if let Ok(parsed) = parse_projection(text, options)
        && let Ok(bound) = binder.projection(&parsed)
    {
        check(&bound.apply(item.view()).expect("a part of an item is an item"));
    }
    if let Ok(parsed) = parse_update(text, options)
        && let Ok(bound) = binder.update(&Arc::new(parsed))
        && let Ok(updated) = bound.apply(item.view(), &ItemLimits::DYNAMODB)
    {
        check(&updated);
        let _ = bound.touched().apply(updated.view());
    }
}

fn check(item: &Item) {
    assert!(decode_item(item.as_bytes(), HARD_MAX_DEPTH).is_ok());
}
