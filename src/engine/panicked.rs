//! The end of a transaction whose command panics.
//!
//! The command has changed memory up to there, so the log gets the same. A transaction that records its changes is
//! undone instead. An effect that panicked while it was carried out is not logged: it would panic again at each start.
//! It may have left a value half changed, unlike what the log has. Unless the recording has the value as a whole, the
//! value's shard is closed, see `store/closed.rs`.

use super::Tx;
use crate::effect::{self, Effect, EffectDecoder, Subject};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Tx<'_> {
    /// Ends the transaction while its thread panics.
    #[cold]
    pub(super) fn end_in_panic(&mut self) {
        self.close_what_is_half_changed();
        if catch_unwind(AssertUnwindSafe(|| self.roll_back())).is_err() {
            self.locked.close_all();
            self.record.clear();
        }
        self.record.truncate(self.whole);
        if self.record.is_empty() {
            self.effects = 0;
        }
        self.commit_in_place();
    }

    /// Closes the shards of the effects that are in the record and were not carried out.
    fn close_what_is_half_changed(&mut self) {
        let Some(begun) = self.record.get(self.whole.max(1)..).filter(|begun| !begun.is_empty()) else {
            return;
        };
        let begun = [&[effect::VERSION][..], begun].concat();
        for effect in EffectDecoder::new(&begun).into_iter().flatten() {
            let Ok(effect) = effect else { return self.locked.close_all() };
            let sources = effect.sources().filter(|_| matches!(effect, Effect::Move { .. }));
            let subject = match effect.subject() {
                Subject::All => return self.locked.close_all(),
                subject => subject,
            };
            for subject in sources.map(|(db, key)| Subject::Key(db, key)).chain([subject]) {
                self.close(&subject);
            }
        }
    }

    fn close(&self, subject: &Subject<'_>) {
        let store = &self.engine.store;
        let (space, key) = match *subject {
            Subject::Key(db, key) => (store.space(db as usize), key),
            Subject::Partition(table, key) => (table, key),
            Subject::All => return,
        };
        let hash = store.hash(key);
        if !self.locked.keeps_whole(space, key, hash) {
            self.locked.close(hash);
        }
    }

    /// Applies an effect and panics before the effect counts as carried out, as if the change itself had panicked.
    pub fn interrupt(&mut self, effect: &Effect<'_>) {
        let Some(key) = effect.shard_key() else { return };
        self.note(effect);
        self.locked.apply(effect, self.engine.store.hash(key));
        panic!("a change is interrupted on request");
    }
}
