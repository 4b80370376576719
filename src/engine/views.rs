//! Views: keys of database 0 that stand for items, by the templates of the tables' schemas.
//!
//! The templates alone decide whether a key is a view. No value is stored under such a key: a command that reads it
//! sees a *stand-in*, a hash made of the item. While no table has a template, views cost one relaxed load.

use super::Engine;
use super::aside::StandIn;
use super::table::Table;
use super::tables::{LocalTable, Tables};
use super::tx::Tx;
use crate::item::{
    AttributeValueRef, ItemError, ItemKeys, ItemLimits, ItemRef, KeyBytes, KeyTexts, Template, key_text,
    put_key,
};
use crate::store::collection::ItemsRef;
use crate::store::entry::Parts;
use crate::store::{Entry, Kind, Locked, Object, Thresholds, shown};
use crate::store::{POSITION_BITS, walk_order};
use crate::value::hash::{BigHash, pack_field, packed_fits};
use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The database whose keys may be views.
pub const VIEW_DB: usize = 0;

/// A key that stands for an item.
pub struct ItemView<'k> {
    /// The table.
    pub table: LocalTable,
    /// The item's keys as texts.
    pub texts: KeyTexts<'k>,
}

impl ItemView<'_> {
    /// The item's keys as they are stored.
    ///
    /// # Errors
    /// The keys are beyond the limits.
    pub fn keys(&self, limits: &ItemLimits) -> Result<ItemKeys, ItemError> {
        self.table.schema.text_keys(&self.texts.pk, self.texts.sk.as_deref(), limits)
    }
}

/// The tables with templates, as one thread remembers them.
struct Known {
    /// The [`Tables::version`] for which they were remembered.
    of: (u64, u64),
    tables: Vec<LocalTable>,
}

thread_local! {
    static KNOWN: RefCell<Known> = const { RefCell::new(Known { of: (0, 0), tables: Vec::new() }) };
}

impl Tables {
    /// Whether any table has a template.
    #[inline]
    pub fn have_views(&self) -> bool {
        self.views.load(Relaxed)
    }

    /// The item that a key of [`VIEW_DB`] stands for; `None` if the key is no view.
    ///
    /// # Errors
    /// [`ItemError::BadViewKey`] if the key fits a table's template but is not in the one form in which the table
    /// writes it.
    pub fn view_of<'k>(&self, key: &'k [u8]) -> Result<Option<ItemView<'k>>, ItemError> {
        if !self.have_views() {
            return Ok(None);
        }
        KNOWN.with_borrow_mut(|known| {
            let of = (self.id, self.generation());
            if known.of != of {
                known.tables = self.with_templates().into_iter().map(|t| LocalTable(Rc::new(t))).collect();
                known.of = of;
            }
            for table in &known.tables {
                let Some(template) = &table.template else { continue };
                if let Some(texts) = template.read(key, &table.schema.keys)? {
                    return Ok(Some(ItemView { table: table.clone(), texts }));
                }
            }
            Ok(None)
        })
    }

    /// The table and the stored partition key of the item that a key stands for, by which its shard is locked. `None`
    /// also for a key that [`Tables::view_of`] refuses.
    pub fn view_place(&self, key: &[u8]) -> Option<(u32, KeyBytes)> {
        let view = self.view_of(key).ok()??;
        let mut stored = KeyBytes::new();
        let value = view.table.schema.keys.pk.value_of_text(&view.texts.pk).ok()?;
        put_key(&mut stored, &value);
        Some((view.table.id, stored))
    }

    /// The tables with templates.
    pub fn with_templates(&self) -> Vec<Arc<Table>> {
        if !self.have_views() {
            return Vec::new();
        }
        let mut all = self.list();
        all.retain(|table| table.template.is_some());
        all
    }

    /// A table other than `except` whose template can make a name that this template can make too.
    pub fn overlapping(&self, template: &Template, except: Option<u32>) -> Option<Arc<Table>> {
        let shares =
            |table: &Arc<Table>| table.template.as_ref().is_some_and(|other| other.overlaps(template));
        self.with_templates().into_iter().filter(|table| Some(table.id) != except).find(shares)
    }
}

impl Table {
    /// Visits the names of the keys that stand for a partition's live items.
    pub fn each_view_name(&self, partition: &Entry, now: u64, visit: &mut dyn FnMut(Vec<u8>)) {
        for (sort, item) in partition.value().items().into_iter().flat_map(ItemsRef::iter) {
            if self.expired(&ItemRef::from_bytes_unchecked(item), now) {
                continue;
            }
            if let Some(name) = self.view_name(partition.key(), sort) {
                visit(name);
            }
        }
    }

    /// The name of the key that stands for an item, if there is one.
    pub fn view_name(&self, partition: &[u8], sort: &[u8]) -> Option<Vec<u8>> {
        let template = self.template.as_ref()?;
        let keys = &self.schema.keys;
        let sk = match &keys.sk {
            Some(attr) => Some(key_text(attr.key_type, sort)?),
            None => None,
        };
        template.name(&key_text(keys.pk.key_type, partition)?, sk.as_deref())
    }
}

/// A cursor holds the upper bits of a partition's place in the order of a walk; the other bits are shifted out.
const UNIT_SHIFT: u32 = u64::BITS - POSITION_BITS;

impl Engine {
    /// One step of a walk over the keys that are views. Visits about `count` of their names from a position on, and
    /// returns the position from which to continue; `None` at the end. All tables are walked together in the order of
    /// their partitions, so every item that is there throughout is visited exactly once. The items of one partition key
    /// come in one step. Each shard is locked by itself, unless `locked` holds all of them.
    pub fn walk_views(
        &self,
        locked: &Locked<'_>,
        from: u64,
        count: usize,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Option<u64> {
        let mut names: Vec<(u64, Vec<u8>)> = Vec::new();
        let mut cut = None;
        for table in self.tables.with_templates() {
            let (mut seen, mut last) = (0, None);
            self.store.walk(locked, table.id, (from << UNIT_SHIFT, u64::MAX), &mut |_, partition| {
                let hash = self.store.hash(partition.key());
                if self.store.is_closed(self.store.shard_of(hash)) {
                    return ControlFlow::Continue(());
                }
                let unit = walk_order(hash) >> UNIT_SHIFT;
                if cut.is_some_and(|cut| unit >= cut) {
                    return ControlFlow::Break(());
                }
                if seen >= count && last != Some(unit) {
                    cut = Some(unit);
                    return ControlFlow::Break(());
                }
                last = Some(unit);
                table.each_view_name(partition, locked.now, &mut |name| {
                    seen += 1;
                    names.push((unit, name));
                });
                ControlFlow::Continue(())
            });
        }
        let shown = names.iter().filter(|(unit, _)| cut.is_none_or(|cut| *unit < cut));
        shown.for_each(|(_, name)| visit(name));
        cut
    }

    /// How many keys of database 0 are views: the items of tables with templates, including expired items that are not
    /// removed yet.
    pub fn view_count(&self) -> u64 {
        shown::note_everything();
        self.tables.with_templates().iter().map(|table| table.counts.items.load(Relaxed)).sum()
    }
}

impl Tx<'_> {
    /// The stand-in for a key of the current database.
    #[inline]
    pub(super) fn stand_in_of(&self, key: &[u8]) -> Option<&StandIn> {
        self.aside.as_ref()?.stand_ins.iter().find(|stand_in| *stand_in.key == *key)
    }

    /// From now on, lookups of this key in the current database find a hash made of the item, or nothing if there is no
    /// item. The item's shard is locked.
    pub fn stand_in(&mut self, key: &[u8], table: &Table, keys: &ItemKeys) {
        let entry = self.partition(table.id, &keys.pk).and_then(|partition| {
            let clock = partition.clock();
            let item = ItemRef::from_bytes_unchecked(partition.value().items()?.get(&keys.sk)?);
            let expire = table.deadline(&item, self.now());
            (expire.is_none_or(|at| at > self.now()))
                .then(|| hash_of(&self.locked, key, &item, expire, clock))
        });
        self.aside.get_or_insert_default().stand_ins.push(StandIn { key: key.into(), entry });
    }

    /// Whether there are stand-ins.
    pub fn has_stand_ins(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| !aside.stand_ins.is_empty())
    }

    /// Ends the effect of [`Tx::stand_in`].
    pub fn forget_stand_ins(&mut self) {
        if let Some(aside) = &mut *self.aside {
            aside.stand_ins.clear();
        }
    }
}

/// A hash with an item's attributes as fields.
fn hash_of(locked: &Locked<'_>, key: &[u8], item: &ItemRef<'_>, expire: Option<u64>, clock: u32) -> Entry {
    let mut payload = Vec::with_capacity(item.as_bytes().len() + 32);
    let mut text = Vec::new();
    for (name, value) in *item {
        if let AttributeValueRef::S(bytes) | AttributeValueRef::B(bytes) = value {
            pack_field(&mut payload, false, name, bytes, 0);
        } else {
            text.clear();
            value.write_field(&mut text);
            pack_field(&mut payload, false, name, &text, 0);
        }
    }
    let Thresholds { hash_entries, hash_value, .. } = &locked.store().thresholds;
    let space = locked.store().space(VIEW_DB);
    if packed_fits(&payload, false, hash_entries.load(Relaxed), hash_value.load(Relaxed)) {
        return Entry::new(&Parts { space, key, expire, kind: Kind::Hash, payload: &payload }, clock);
    }
    let big = Box::new(Object::Hash(BigHash::from_packed(&payload, false)));
    Entry::boxed(space, key, expire, big, clock)
}
