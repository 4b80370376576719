//! Lifting: the hashes that fit the template of a table become its items, one by one while commands run.
//!
//! From the moment a table has its template it is *lifting*. A command on a key that fits the template lifts the hash
//! first, if it is still there. So at any time each such key is either a hash or an item, and commands see it as what
//! it is. Commands on items do not find the table until it is ready. A walk over the shards lifts the other hashes, and
//! then the table is ready. No new hash can be stored under a key that fits the template meanwhile. After a restart the
//! walk begins again.

use super::events::ItemsTell;
use super::{Engine, NotNow, Over, Table, Tx, VIEW_DB};
use crate::effect::{Effect, Structural};
use crate::item::{Item, ItemError, ItemKeys, ItemLimits, TableSchema, Template};
use crate::store::{Entry, Holder, Lent};
use std::sync::Arc;

/// Why lifting did not finish.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LiftError {
    /// A key fits the template but cannot become an item.
    #[error("key '{key}' fits KEYSPACE but cannot become an item: {reason}")]
    Key {
        /// The key.
        key: String,
        /// The reason.
        reason: ItemError,
    },
    /// The log takes no more records, or the data is being read again. The background continues the lifting.
    #[error("it goes on once the log can be written")]
    Later,
    /// A script has keys. The background continues the lifting.
    #[error("it goes on once no script holds the keys")]
    Lent(Lent),
}

impl From<NotNow> for LiftError {
    fn from(reason: NotNow) -> Self {
        if let NotNow::Lent(lent) = reason { Self::Lent(lent) } else { Self::Later }
    }
}

impl LiftError {
    /// The error for a key that cannot become an item.
    pub fn key(name: &[u8], reason: ItemError) -> Self {
        Self::Key { key: String::from_utf8_lossy(name).into_owned(), reason }
    }
}

/// The item with these keys that the hash in an entry becomes.
///
/// # Errors
/// The entry is no hash, its fields have deadlines, or it does not fit the schema.
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

impl Tx<'_> {
    /// Whether a key of this name is stored in [`VIEW_DB`], whatever the name stands for. Its shard is locked.
    pub fn is_stored(&self, name: &[u8]) -> bool {
        let store = &self.engine().store;
        self.locked().peek(store.space(VIEW_DB), name, store.hash(name)).is_some()
    }

    /// The item that the hash of this name becomes; `None` if there is no such key. The shards of both are locked.
    ///
    /// # Errors
    /// The key cannot become an item.
    pub fn liftable(
        &self,
        table: Option<&Table>,
        schema: &TableSchema,
        (name, keys): (&[u8], &ItemKeys),
        limits: &ItemLimits,
    ) -> Result<Option<Item>, ItemError> {
        let store = &self.engine().store;
        let entry = self.locked().peek(store.space(VIEW_DB), name, store.hash(name));
        let Some(entry) = entry.filter(|entry| !entry.expired(self.now())) else { return Ok(None) };
        let item = item_of_hash(schema, keys, entry, limits, self.now())?;
        match table.and_then(|table| self.item(table, keys)) {
            None => Ok(Some(item)),
            Some(_) => Err(ItemError::NotLiftable("the table has an item with its keys")),
        }
    }

    /// Makes an item of the hash of this name, if it is there. The shards of both are locked exclusively; if the
    /// transaction lacks other shards, nothing changes.
    ///
    /// # Errors
    /// The key cannot become an item. It is unchanged then.
    pub fn lift(
        &mut self,
        table: &Table,
        (name, keys): (&[u8], &ItemKeys),
        limits: &ItemLimits,
    ) -> Result<(), ItemError> {
        if !self.is_stored(name) {
            return Ok(());
        }
        if let Some(item) = self.liftable(Some(table), &table.schema, (name, keys), limits)? {
            self.items_telling(ItemsTell::Nothing, |tx| tx.put_item(table, keys, &item));
        }
        if !self.lacks_shards() {
            self.apply(Effect::Delete { db: VIEW_DB as u32, key: name });
        }
        Ok(())
    }
}

impl Engine {
    /// The keys of the item that a name stands for.
    ///
    /// # Errors
    /// The name stands for no item, or its keys are beyond the limits.
    pub fn keys_of(
        schema: &TableSchema,
        template: &Template,
        name: &[u8],
        limits: &ItemLimits,
    ) -> Result<ItemKeys, ItemError> {
        let texts = template.read(name, &schema.keys)?;
        let texts = texts.ok_or(ItemError::NotLiftable("it does not fit the template"))?;
        schema.text_keys(&texts.pk, texts.sk.as_deref(), limits)
    }

    /// The keys in a shard that fit a template.
    fn fitting(&self, shard: usize, template: &Template) -> Result<Vec<Box<[u8]>>, LiftError> {
        let mut found = Vec::new();
        // The table's space is not replaced by another: a database with views cannot be swapped, and after a flush no
        // new key has a name that fits the template.
        let space = self.store.space(VIEW_DB);
        let now = self.clock.now_ms();
        let walked = self.store.walk_in_pieces((shard, space), now, Holder::Lifting, &mut |entry| {
            if template.claims(entry.key()) {
                found.push(Box::from(entry.key()));
            }
        });
        walked.map_err(LiftError::Lent).map(|()| found)
    }

    /// Checks that the hashes which fit a schema's template can become items of the table; the table is `None` if it is
    /// yet to be created. Each key is checked by itself. The caller holds no lock.
    ///
    /// # Errors
    /// The first key that cannot become an item.
    pub fn check_liftable(
        &self,
        table: Option<&Table>,
        schema: &TableSchema,
        limits: &ItemLimits,
    ) -> Result<(), LiftError> {
        let Ok(Some(template)) = schema.template() else { return Ok(()) };
        let mut record = Vec::new();
        for shard in 0..self.store.shard_count() {
            for name in self.fitting(shard, &template)? {
                let failed = |reason| LiftError::key(&name, reason);
                let keys = Self::keys_of(schema, &template, &name, limits).map_err(failed)?;
                let hashes = [self.store.hash(&name), self.store.hash(&keys.pk)];
                let checked =
                    self.transact_over(Holder::Lifting, Over::Reading(&hashes), VIEW_DB, &mut record, |tx| {
                        tx.liftable(table, schema, (&name, &keys), limits)
                    });
                checked.map_err(LiftError::from)?.map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Lifts the hashes of a table that is lifting, and makes the table ready. The caller holds no lock.
    ///
    /// # Errors
    /// The first key that cannot become an item. The others have become items, and the table becomes ready once that
    /// key is gone.
    pub fn lift_table(&self, id: u32, limits: &ItemLimits) -> Result<(), LiftError> {
        let _alone = self.lifting.lock();
        let mut failed = None;
        let mut record = Vec::new();
        for shard in 0..self.store.shard_count() {
            let _upkeep = self.upkeep.lock();
            let Some(_permit) = self.works.permit() else { return Err(LiftError::Later) };
            if !self.state().permits_work() || self.refusal(0).is_some() {
                return Err(LiftError::Later);
            }
            // The table may have been dropped meanwhile.
            let lifting = self.tables.by_id(id).filter(|table| table.schema.lifting);
            let Some(table) = lifting else { return Ok(()) };
            let Some(template) = &table.template else { return Ok(()) };
            for name in self.fitting(shard, template)? {
                // If no change may be made now, the hash is found again when the walk is repeated.
                let lifted = self.lift_one(&table, template, &name, limits, &mut record);
                if let Err(reason) = lifted.map_err(LiftError::from)? {
                    failed.get_or_insert_with(|| LiftError::key(&name, reason));
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        self.make_ready(id, &mut record);
        Ok(())
    }

    fn lift_one(
        &self,
        table: &Table,
        template: &Template,
        name: &[u8],
        limits: &ItemLimits,
        record: &mut Vec<u8>,
    ) -> Result<Result<(), ItemError>, NotNow> {
        let keys = match Self::keys_of(&table.schema, template, name, limits) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error)),
        };
        let hashes = [self.store.hash(name), self.store.hash(&keys.pk)];
        // Other settings of the table may change meanwhile, and an index may become complete.
        let same = |now: &Table| now.schema.lifting && now.schema.template == table.schema.template;
        self.transact_over(Holder::Lifting, Over::Hashes(&hashes), VIEW_DB, record, |tx| {
            tx.expect_more_shards();
            match self.tables.by_id(table.id) {
                Some(now) if same(&now) => tx.lift(&now, (name, &keys), limits),
                _ => Ok(()),
            }
        })
    }

    fn make_ready(&self, id: u32, record: &mut Vec<u8>) {
        // If no change may be made now, the table stays lifting and is made ready later.
        let _ = self.transact_over(Holder::Lifting, Over::Everything, VIEW_DB, record, |tx| {
            let lifting = |table: &Arc<Table>| table.schema.lifting;
            if let Some(table) = self.tables.by_id(id).filter(lifting) {
                let schema = TableSchema { lifting: false, ..table.schema.clone() };
                let (name, created, schema) = (table.name.as_bytes(), table.created, schema.to_bytes());
                tx.apply(Structural::TablePut { table: id, created, name, schema: &schema });
            }
        });
    }

    /// Continues with tables whose lifting was interrupted. The background calls it. The caller holds no lock.
    pub(super) fn lift_interrupted(&self) {
        if !self.tables.any_lifting() || self.lifting.is_locked() {
            return;
        }
        for table in self.tables.list().iter().filter(|table| table.schema.lifting) {
            match self.lift_table(table.id, &ItemLimits::UNLIMITED) {
                Ok(()) => tracing::info!(table = table.name, "hashes have become items"),
                Err(error) => tracing::warn!(table = table.name, "hashes cannot become items yet: {error}"),
            }
        }
    }
}
