//! DynamoDB's API as JSON: any operation with any body is carried out or refused with an error, and afterwards the
//! tables' counters equal what the tables hold.
#![no_main]

use std::sync::Arc;

use itemory::aws::{self, AwsError, Memory, Operation};
use itemory::store::Holder;
use itemory::engine::{Engine, Over, ReadSource, Table, Tx};
use itemory::env::Clock;
use itemory::ops::{self, Scan, Segment};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const NOW: u64 = 1_700_000_000_000;
const SHARDS: usize = 4;

/// The tables that exist before every input.
const TABLES: [&str; 2] = [
    r#"{"TableName":"abc","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST"}"#,
    r#"{"TableName":"xyz","AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"},{"AttributeName":"k","AttributeType":"N"}],"KeySchema":[{"AttributeName":"id","KeyType":"HASH"},{"AttributeName":"k","KeyType":"RANGE"}],"BillingMode":"PAY_PER_REQUEST"}"#,
];

// The input's lines: an operation, a blank and its body.
fuzz_target!(|input: &[u8]| {
    let engine = Engine::in_memory(SHARDS, 1, Clock::manual(NOW));
    for body in TABLES {
        call(&engine, b"CreateTable", body.as_bytes());
    }
    for line in input.split(|byte| *byte == b'\n').take(20) {
        let mut parts = line.splitn(2, |byte| *byte == b' ');
        let name = parts.next().unwrap_or_default();
        call(&engine, name, parts.next().unwrap_or_default());
    }
    // Expired items are not shown, but count until they are removed.
    engine.follow_tables();
    let mut record = Vec::new();
    for shard in 0..engine.store.shard_count() {
        engine.expire_shard(shard, &mut record);
    }
    for table in engine.tables.list() {
        check_counts(&engine, &table);
    }
});

fn call(engine: &Engine, name: &[u8], body: &[u8]) {
    let answer = |error: &AwsError| error.to_json();
    let Some(operation) = Operation::of(name) else { return };
    let reply = match aws::read(operation, body, &engine.tables) {
        Err(error) => answer(&error),
        Ok(call) => {
            let mut record = Vec::new();
            let mut call = Some(call);
            let run = |tx: &mut Tx<'_>| {
                let call = call.take().expect("a job over every shard runs once");
                call.run(tx, Memory::Free).unwrap_or_else(|error| answer(&error))
            };
            engine.transact_over(Holder::Tables, Over::Everything, 0, &mut record, run).expect("nothing stops changes")
        }
    };
    let json: Value = serde_json::from_slice(&reply).expect("a reply is JSON");
    assert!(json.is_object());
}

fn check_counts(engine: &Engine, table: &Arc<Table>) {
    let mut record = Vec::new();
    let from = ReadSource { table, index: None };
    let (limit, max_bytes) = (usize::MAX, usize::MAX - 1);
    let scan =
        Scan { from, segment: Segment::WHOLE, start: None, limit, max_bytes, filter: None, whole: false };
    let mut shown = 0;
    let walk = |tx: &mut Tx<'_>| ops::scan(tx, &scan, &mut |_| shown += 1);
    let page = engine.transact_over(Holder::Tables, Over::Everything, 0, &mut record, walk).expect("nothing stops reading");
    let counts = (
        table.counts.items.load(std::sync::atomic::Ordering::Relaxed),
        table.counts.bytes.load(std::sync::atomic::Ordering::Relaxed),
    );
    assert_eq!(counts, (shown, page.bytes as u64), "{}", table.name);
}
