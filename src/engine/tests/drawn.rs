//! The changes that are drawn at random, on which the tests of images, replay and undoing stand, are of every kind.

use super::random_changes::{Changes, Target, engine_with_large_values};
use super::*;
use crate::effect::{EffectDecoder, EffectError, VERSION};
use std::collections::BTreeSet;

/// Notes the opcodes of what is written.
struct Noting<'e> {
    engine: &'e Engine,
    opcodes: BTreeSet<u8>,
}

impl Target for Noting<'_> {
    fn engine(&self) -> &Engine {
        self.engine
    }

    fn apply(&mut self, effect: Effect<'_>) {
        self.with(&mut |tx| tx.apply(effect));
    }

    fn with(&mut self, work: &mut dyn FnMut(&mut Tx<'_>)) {
        let mut record = Vec::new();
        let locked = self.engine.store.lock_all(Mode::Write, START);
        let mut tx = Tx::new(self.engine, locked, 0, &mut record);
        work(&mut tx);
        tx.commit();
        for effect in EffectDecoder::new(&record).into_iter().flatten() {
            let mut bytes = Vec::new();
            effect.unwrap().encode(&mut bytes);
            self.opcodes.insert(bytes[0]);
        }
    }

    fn fields(&self, db: u32, key: &[u8]) -> Vec<Vec<u8>> {
        let mut record = Vec::new();
        let locked = self.engine.store.lock_all(Mode::Read, START);
        Tx::new(self.engine, locked, 0, &mut record).fields(db, key)
    }

    fn elements(&self, db: u32, key: &[u8]) -> usize {
        let mut record = Vec::new();
        let locked = self.engine.store.lock_all(Mode::Read, START);
        Tx::new(self.engine, locked, 0, &mut record).elements(db, key)
    }
}

#[test]
fn every_effect_is_among_the_changes_that_are_drawn() {
    /// Tables are put before changes are drawn, and a gap is none.
    const APART: [u8; 2] = [16, 18];
    let disk = SimDisk::new(1);
    let mut changes = Changes::seeded(1);
    let engine = engine_with_large_values(&disk, &mut changes);
    let mut target = Noting { engine: &engine, opcodes: BTreeSet::from(APART) };
    for _ in 0..3000 {
        changes.draw(&mut target);
    }
    let is_known = |opcode: &u8| {
        let record = [VERSION, *opcode];
        let found = EffectDecoder::new(&record).unwrap().next();
        found != Some(Err(EffectError::Opcode(*opcode)))
    };
    assert_eq!(target.opcodes, (0..=u8::MAX).filter(is_known).collect());
}
