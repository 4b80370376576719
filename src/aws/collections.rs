//! ItemCollectionMetrics: how large the item collections are that a request changed, for tables with local indexes.

use super::body::Body;
use super::json::ObjectWriter;
use super::request::Asked;
use crate::engine::Tx;
use crate::item::{Item, ItemKeys, KeyBytes};
use crate::store::collection::ItemsRef;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many items of a collection are measured to estimate its size.
const SAMPLES: usize = 64;

/// The item collections that a request changed, if it asks for them.
pub(super) struct Collections {
    asked: bool,
    seen: BTreeSet<(u32, KeyBytes)>,
    /// By the table's name or ARN in the request: the partition key as an item, and the collection's size in bytes.
    found: BTreeMap<Arc<str>, Vec<(Item, usize)>>,
}

impl Collections {
    /// Reads `ReturnItemCollectionMetrics` from a request.
    pub(super) fn asked(body: Body<'_>) -> Self {
        let asked = body.text("ReturnItemCollectionMetrics") == Some("SIZE");
        Self { asked, seen: BTreeSet::new(), found: BTreeMap::new() }
    }

    /// Notes the collection of a written item.
    pub(super) fn note(&mut self, tx: &Tx<'_>, table: &Asked, keys: &ItemKeys) {
        let locals = || table.indexes.iter().filter(|index| index.schema.local);
        if !self.asked || locals().next().is_none() || !self.seen.insert((table.id, keys.pk.clone())) {
            return;
        }
        let spaces = locals().map(|index| index.schema.space).chain([table.id]);
        let bytes = spaces.filter_map(|space| tx.collection(space, &keys.pk)).map(size_of).sum();
        let Ok(mut map) = table.schema.keys_to_map(keys) else { return };
        map.retain(|name, _| *name == table.schema.keys.pk.name);
        let Ok(key) = Item::from_map(&map) else { return };
        self.found.entry(Arc::clone(&table.by)).or_default().push((key, bytes));
    }

    /// The member of a reply about one item.
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        if let Some(metrics) = self.found.values().flatten().next() {
            one(metrics, object.key("ItemCollectionMetrics"));
        }
    }

    /// The member of a reply about several tables.
    pub(super) fn write_all(&self, object: &mut ObjectWriter<'_>) {
        if self.asked {
            object.object("ItemCollectionMetrics", |object| {
                for (table, all) in &self.found {
                    object.array(table, all, one);
                }
            });
        }
    }
}

fn size_of(items: ItemsRef<'_>) -> usize {
    match items {
        ItemsRef::Packed(packed) => packed.len(),
        ItemsRef::Big(items) => items.memory(SAMPLES),
    }
}

fn one((key, bytes): &(Item, usize), out: &mut Vec<u8>) {
    let gigabytes = (bytes >> 30) as f64;
    let mut object = ObjectWriter::begin(out);
    object.item("ItemCollectionKey", key.view());
    object.array("SizeEstimateRangeGB", [gigabytes, gigabytes + 1.0], |bound, out| {
        out.extend_from_slice(format!("{bound:?}").as_bytes());
    });
    object.end();
}
