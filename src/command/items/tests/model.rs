//! Tests of tables against a model, live and replayed.

use super::counts;
use crate::command::testing::Harness;
use crate::effect::EffectDecoder;
use crate::engine::Engine;
use crate::env::Clock;
use crate::store::Mode;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
enum Op {
    Put(u8, u8, usize),
    Delete(u8, u8),
}

fn op() -> impl Strategy<Value = Op> {
    let len = prop_oneof![6 => 0..40usize, 2 => 100..900usize];
    prop_oneof![
        3 => (0..3u8, 0..40u8, len).prop_map(|(p, s, n)| Op::Put(p, s, n)),
        1 => (0..3u8, 0..40u8).prop_map(|(p, s)| Op::Delete(p, s)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// The live engine and one into which the log's effects are replayed have the model's items and exact counts.
    #[test]
    fn tables_keep_to_a_model(ops in prop::collection::vec(op(), 1..120)) {
        let mut h = Harness::new();
        h.run("TABLE.CREATE t PK id S SK k S");
        let replica = Engine::in_memory(4, 1, Clock::manual(0));
        let mut model: BTreeMap<(u8, u8), usize> = BTreeMap::new();
        for op in &ops {
            let line = match *op {
                Op::Put(p, s, n) => {
                    model.insert((p, s), n);
                    format!("ITEM.PUT t p{p} k{s:03} SET 1 v {}_", "x".repeat(n))
                }
                Op::Delete(p, s) => {
                    model.remove(&(p, s));
                    format!("ITEM.DEL t p{p} k{s:03}")
                }
            };
            let record = h.record(&line);
            for effect in EffectDecoder::new(&record).into_iter().flatten() {
                let effect = effect.unwrap();
                let hash = replica.store.hash(effect.shard_key().unwrap());
                replica.store.lock_one(hash, Mode::Write, 0).apply(&effect, hash);
            }
        }
        let bytes: usize = model.values().map(|n| (2 + 2) + (1 + 4) + (1 + n + 1)).sum();
        prop_assert_eq!(counts(&h, "t"), (model.len() as u64, bytes as u64));
        let id = h.server.engine.tables.get(b"t").unwrap().id;
        for p in 0..3u8 {
            let name = format!("p{p}");
            let expected: Vec<(Vec<u8>, usize)> = model
                .range((p, 0)..=(p, u8::MAX))
                .map(|((_, s), n)| (format!("k{s:03}").into_bytes(), *n + 1))
                .collect();
            for store in [&h.server.engine.store, &replica.store] {
                let hash = store.hash(name.as_bytes());
                let locked = store.lock_one(hash, Mode::Read, 0);
                let items = locked.peek(id, name.as_bytes(), hash).and_then(|e| e.value().items());
                let found: Vec<(Vec<u8>, usize)> = items
                    .into_iter()
                    .flat_map(|items| items.iter())
                    .map(|(sort, item)| {
                        let item = crate::item::decode_item(item, 32).unwrap();
                        (sort.to_vec(), item.get("v").unwrap().as_bytes().unwrap().len())
                    })
                    .collect();
                prop_assert_eq!(&found, &expected);
            }
            prop_assert_eq!(h.run(&format!("ITEM.QUERY t p{p} COUNT")), format!(":{}", expected.len()));
        }
    }
}
