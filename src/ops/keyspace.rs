//! Making keys views of a table's items: which templates may be, and the hashes that become items. The caller holds every shard
//! exclusively.

use super::OpError;
use crate::effect::Effect;
use crate::engine::{Table, Tx, VIEW_DB};
use crate::item::{Item, ItemError, ItemKeys, ItemLimits, TableSchema, Template};
use crate::store::Entry;

/// Hashes that are to become items, all of which can.
#[derive(Default)]
pub struct Lifting {
    names: Vec<Box<[u8]>>,
    changed: bool,
    bytes: usize,
}

impl Lifting {
    /// More than the bytes that lifting adds to the log's record.
    pub fn record_bytes(&self) -> usize {
        self.bytes
    }
}

/// More than what an effect takes beside names and values.
const EFFECT_BYTES: usize = 64;

/// Checks the template of a schema that a table is to have (`table` is the one that has it already, if there is one), and finds
/// the keys that fit it. Changes nothing. O(keys of the database).
///
/// # Errors
/// When the schema contradicts itself, another table's template shares a name with it, or a key that fits it cannot become an
/// item: it is no hash, its fields have deadlines, it does not fit the schema, or there is an item with its keys.
pub fn prepare_views(
    tx: &Tx<'_>,
    table: Option<&Table>,
    schema: &TableSchema,
    limits: &ItemLimits,
) -> Result<Lifting, OpError> {
    schema.validate()?;
    let changed = schema.keyspace.as_ref() != table.and_then(|table| table.schema.keyspace.as_ref());
    let Some(template) = schema.template()?.filter(|_| changed) else {
        return Ok(Lifting { changed, ..Lifting::default() });
    };
    if let Some(other) = tx.engine().tables.overlapping(&template, table.map(|table| table.id)) {
        let keyspace = |schema: &TableSchema| schema.keyspace.clone().unwrap_or_default();
        let (new, old, table) = (keyspace(schema), keyspace(&other.schema), other.name.clone());
        return Err(OpError::TemplatesOverlap { new, old, table });
    }
    let store = &tx.engine().store;
    let (mut names, mut failed, mut bytes) = (Vec::new(), None, 0);
    store.for_each(tx.locked(), store.space(VIEW_DB), &mut |entry| {
        if failed.is_some() || !template.claims(entry.key()) {
            return;
        }
        match check(tx, table, schema, &template, entry, limits) {
            Ok(item) => {
                names.push(Box::from(entry.key()));
                let copies = 1 + schema.indexes.len();
                bytes +=
                    2 * (entry.key().len() + EFFECT_BYTES) + copies * (item.as_bytes().len() + EFFECT_BYTES);
            }
            Err(error) => {
                let key = String::from_utf8_lossy(entry.key()).into_owned();
                failed = Some(OpError::CannotLift { key, reason: error });
            }
        }
    });
    match failed {
        None => Ok(Lifting { names, changed, bytes }),
        Some(error) => Err(error),
    }
}

/// The item that a key becomes, if it can.
fn check(
    tx: &Tx<'_>,
    table: Option<&Table>,
    schema: &TableSchema,
    template: &Template,
    entry: &Entry,
    limits: &ItemLimits,
) -> Result<Item, ItemError> {
    let (keys, item) = item_of(schema, template, entry, limits, tx.now())?;
    let items = table.and_then(|table| tx.items(table, &keys.pk));
    match items.and_then(|items| items.get(&keys.sk)) {
        None => Ok(item),
        Some(_) => Err(ItemError::NotLiftable("the table has an item with its keys")),
    }
}

/// The item that a hash becomes.
fn item_of(
    schema: &TableSchema,
    template: &Template,
    entry: &Entry,
    limits: &ItemLimits,
    now: u64,
) -> Result<(ItemKeys, Item), ItemError> {
    let texts = template.read(entry.key(), &schema.keys)?;
    let texts = texts.ok_or(ItemError::NotLiftable("it does not fit the template"))?;
    let keys = schema.text_keys(&texts.pk, texts.sk.as_deref(), limits)?;
    let item = item_of_hash(schema, &keys, entry, limits, now)?;
    Ok((keys, item))
}

/// The item with these keys that the hash in an entry becomes.
///
/// # Errors
/// When it is no hash, its fields have deadlines, or it does not fit the schema.
pub fn item_of_hash(
    schema: &TableSchema,
    keys: &ItemKeys,
    entry: &Entry,
    limits: &ItemLimits,
    now: u64,
) -> Result<Item, ItemError> {
    let hash = entry.value().hash().ok_or(ItemError::NotLiftable("it is no hash"))?;
    if hash.live(now).any(|field| field.expire != 0) {
        return Err(ItemError::NotLiftable("its fields have deadlines, which attributes have not"));
    }
    let fields = hash.live(now).map(|field| (field.name, field.value));
    schema.item_of_fields(keys, fields, entry.expire(), limits)
}

/// Makes items of the hashes that [`prepare_views`] found, once the table has its schema. O(size of the hashes).
pub fn lift(tx: &mut Tx<'_>, table: &Table, lifting: &Lifting, limits: &ItemLimits) {
    let store = &tx.engine().store;
    if lifting.changed {
        // What a watched key is has changed.
        store.raise_all();
    }
    let Some(template) = &table.template else { return };
    let space = store.space(VIEW_DB);
    for name in &lifting.names {
        let Some(entry) = tx.locked().peek(space, name, store.hash(name)) else { continue };
        let Ok((keys, item)) = item_of(&table.schema, template, entry, limits, tx.now()) else { continue };
        tx.apply(Effect::Delete { db: VIEW_DB as u32, key: name });
        tx.put_item(table, &keys, &item);
    }
}
