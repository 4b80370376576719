//! The image of a shard shows it exactly as it was at the image's LSN, whatever happens to its values while they are
//! read.

use super::as_text::{assert_shown, show, show_shard};
use super::moved::key_in;
use super::random_changes::{Changes, engine_with_large_values, put_table};
use super::*;
use crate::effect::EffectDecoder;
use crate::engine::image::between;

pub(super) fn load(chunk: &[u8], tables: &[u32]) -> Engine {
    let engine = Engine::in_memory(8, 16, Clock::manual(START));
    tables.iter().for_each(|table| put_table(&engine, *table));
    for effect in EffectDecoder::new(chunk).unwrap() {
        let effect = effect.unwrap();
        let hash = engine.store.hash(effect.shard_key().unwrap());
        engine.store.lock_one(hash, Mode::Write, START).apply(&effect, hash);
    }
    engine
}

#[test]
fn an_image_shows_a_shard_as_it_was_whatever_happens_to_it_while_it_is_read() {
    for seed in 0..30 {
        let disk = SimDisk::new(seed);
        let mut changes = Changes::seeded(seed);
        let engine = engine_with_large_values(&disk, &mut changes);
        between::pieces(move |engine| changes.commit_some(engine));
        for shard in 0..engine.store.shard_count() {
            let mut expected = Vec::new();
            show_shard(&engine, shard, &mut expected);
            let tables: Vec<u32> = engine.tables.list().iter().map(|table| table.id).collect();
            let chunk = image_of(&engine, shard);
            assert_shown(&show(&load(&chunk, &tables)), &expected, &format!("seed {seed}, shard {shard}"));
        }
        between::nothing();
    }
}

#[test]
fn a_checkpoint_and_the_log_behind_it_give_back_all_that_happened_while_it_was_written() {
    for seed in 0..25 {
        let disk = SimDisk::new(seed);
        let mut changes = Changes::seeded(1000 + seed);
        let engine = engine_with_large_values(&disk, &mut changes);
        between::pieces(move |engine| changes.commit_some(engine));
        engine.save().unwrap();
        between::nothing();
        engine.sync().unwrap();
        let expected = show(&engine);
        drop(engine);
        disk.restart(CrashMode::PowerLost);
        let engine = open(&disk, AppendFsync::No).unwrap();
        assert_shown(&show(&engine), &expected, &format!("seed {seed}"));
    }
}

fn set(engine: &Engine, key: &[u8], value: &[u8]) {
    commit(engine, &[StringChange::Set { value, expire: None }.on(0, key)]);
}

/// Changes keys as everything does that may change slots: values are replaced, keys come, go, move, and come back.
fn change_keys(engine: &Engine, names: &[Vec<u8>], fresh: &[Vec<u8>]) {
    let [replaced, moved, over, gone, back, ..] = names else { return };
    set(engine, replaced, b"after");
    fresh.iter().for_each(|key| set(engine, key, b"new"));
    let effect = Effect::Move { db: 0, key: moved, to_db: 0, to: over };
    commit(engine, &[effect, Effect::Delete { db: 0, key: gone }]);
    set(engine, gone, b"again");
    let mut record = Vec::new();
    let mut tx = Tx::new(engine, engine.store.lock_all(Mode::Write, START), 0, &mut record);
    tx.begin_undo();
    tx.apply(Effect::Move { db: 0, key: back, to_db: 0, to: moved });
    tx.apply(Effect::Delete { db: 0, key: replaced });
    tx.apply(StringChange::Set { value: b"undone", expire: None }.on(0, back));
    tx.roll_back();
    tx.commit();
}

/// Small values are read in several holds, between which keys change, tables grow, and databases are swapped.
#[test]
fn small_values_are_read_in_pieces_that_show_one_moment() {
    const PIECES: usize = 10;
    const NEVER: usize = usize::MAX;
    // A table of 256 slots has room for 224 keys. It is twice as large if it once had 400; then there is also room for
    // the marks that removed keys leave.
    for (most, keys, swapped_at) in
        [(400, 120, NEVER), (400, 120, 0), (400, 120, 3), (215, 215, NEVER), (215, 215, 1)]
    {
        let engine = Engine::in_memory(2, 16, Clock::manual(START));
        let names: Vec<Vec<u8>> = (0..400).map(|n| key_in(&engine, 0, n)).collect();
        names[..most].iter().for_each(|key| set(&engine, key, b"before"));
        names[keys..most].iter().for_each(|key| commit(&engine, &[Effect::Delete { db: 0, key }]));
        let pieces = std::rc::Rc::new(std::cell::Cell::new(0));
        let counted = std::rc::Rc::clone(&pieces);
        let mut expected = Vec::new();
        show_shard(&engine, 0, &mut expected);
        between::pieces(move |engine| {
            let at = pieces.replace(pieces.get() + 1);
            if at == swapped_at {
                commit(engine, &[Effect::Structural(Structural::SwapDb { a: 0, b: 1 })]);
            }
            for round in 0..if at < PIECES { 3 } else { 0 } {
                let fresh = keys + (at * 3 + round) * 2;
                change_keys(engine, &names[at * 5 + round * 30..keys], &names[fresh..fresh + 2]);
            }
        });
        let chunk = image_of(&engine, 0);
        between::nothing();
        // If slots or owners are about to change, the rest is read at once.
        let whole = most == 400 && swapped_at == NEVER;
        assert_eq!(counted.get() > PIECES, whole, "{} pieces, {keys} keys, {swapped_at}", counted.get());
        assert_shown(&show(&load(&chunk, &[])), &expected, &format!("{keys} keys, swapped at {swapped_at}"));
    }
}

#[test]
fn an_image_of_a_store_that_is_emptied_under_it_is_given_up() {
    let disk = SimDisk::new(3);
    let mut changes = Changes::seeded(3);
    let engine = engine_with_large_values(&disk, &mut changes);
    between::pieces(|engine| engine.store.clear());
    let outcome = engine.save();
    between::nothing();
    assert!(matches!(outcome, Err(crate::engine::EngineError::Loading)), "{outcome:?}");
}
