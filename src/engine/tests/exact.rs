//! The image of a shard shows it exactly as it was at the image's LSN, whatever happens to its values while they are
//! read.

use super::as_text::{assert_shown, show, show_shard};
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

fn name(n: usize) -> Vec<u8> {
    format!("key:{n}").into_bytes()
}

fn set(engine: &Engine, n: usize, value: &[u8]) {
    commit(engine, &[StringChange::Set { value, expire: None }.on(0, &name(n))]);
}

/// Small values are read in several holds, between which keys change, come, go and move, tables grow, and databases are
/// swapped.
#[test]
fn small_values_are_read_in_pieces_that_show_one_moment() {
    const KEYS: usize = 400;
    const PIECES: usize = 10;
    for swapped_at in [0, 3, PIECES + 1] {
        let engine = Engine::in_memory(2, 16, Clock::manual(START));
        (0..KEYS).for_each(|n| set(&engine, n, b"before"));
        let pieces = std::rc::Rc::new(std::cell::Cell::new(0));
        let counted = std::rc::Rc::clone(&pieces);
        let mut expected = Vec::new();
        show_shard(&engine, 0, &mut expected);
        between::pieces(move |engine| {
            let at = pieces.replace(pieces.get() + 1);
            if at == swapped_at {
                commit(engine, &[Effect::Structural(Structural::SwapDb { a: 0, b: 1 })]);
            }
            for n in (at..PIECES).take(1).flat_map(|at| (at * 7..KEYS).step_by(5 * PIECES)) {
                set(engine, n, b"after");
                set(engine, KEYS + 8 * n, b"new");
                let (from, to, gone) = (name(n + 1), name(n + 2), name(n + 3));
                commit(engine, &[Effect::Move { db: 0, key: &from, to_db: 0, to: &to }]);
                commit(engine, &[Effect::Delete { db: 0, key: &gone }]);
                set(engine, n + 3, b"again");
            }
        });
        let chunk = image_of(&engine, 0);
        between::nothing();
        // What would change slots or owners has the rest read at once.
        assert!(swapped_at < PIECES || counted.get() > 3, "{} pieces", counted.get());
        assert_shown(&show(&load(&chunk, &[])), &expected, &format!("swapped at {swapped_at}"));
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
