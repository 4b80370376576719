use super::*;
use crate::env::Random;
use crate::log::frame::payload_checksum;

const KEY: u32 = 7;

/// Frames from LSN `first` on whose payloads have these lengths, and the last record.
fn framed(first: Lsn, mut chain: u32, lengths: &[usize]) -> (Vec<u8>, Point) {
    let (mut bytes, mut lsn) = (Vec::new(), first - 1);
    for len in lengths {
        lsn += 1;
        let payload = vec![lsn as u8; *len];
        let sum = payload_checksum(KEY, &[&payload]);
        let (header, next) = FrameHeader::new(*len as u32, sum, lsn, 0, 1).encode(KEY, chain);
        bytes.extend_from_slice(&header);
        bytes.extend_from_slice(&payload);
        chain = next;
    }
    (bytes, Point { lsn, chain })
}

fn options() -> SubmitOptions {
    SubmitOptions { batches: 3, bytes: 1000, batch_bytes: 400, ..SubmitOptions::default() }
}

fn window() -> Window {
    Window::new(Tail { epoch: 1, lsn: 0, chain: 0 }, options())
}

fn hand_over(window: &mut Window, lengths: &[usize]) -> Vec<u8> {
    hand_over_at(1, window, lengths)
}

fn hand_over_at(now: u64, window: &mut Window, lengths: &[usize]) -> Vec<u8> {
    let (mut bytes, end) = framed(window.end.lsn + 1, window.end.chain, lengths);
    let copy = bytes.clone();
    window.hand_over(&mut bytes, end, now);
    assert!(bytes.is_empty());
    copy
}

/// Submits all that the window allows.
fn submit(window: &mut Window) -> Vec<Submission> {
    std::iter::from_fn(|| window.next()).collect()
}

/// A window with six batches of two records each, three of them in flight.
fn busy() -> (Window, Vec<Submission>) {
    let mut window = Window::new(
        Tail { epoch: 1, lsn: 0, chain: 0 },
        SubmitOptions { batches: 6, bytes: 10_000, ..options() },
    );
    let mut sent = Vec::new();
    for _ in 0..6 {
        hand_over(&mut window, &[10, 20]);
        if sent.len() < 3 {
            sent.extend(window.next());
        }
    }
    assert_eq!((sent.len(), window.in_flight().0), (3, 3));
    (window, sent)
}

#[test]
fn no_more_is_in_flight_than_the_window_holds() {
    let mut window = window();
    let all = hand_over(&mut window, &[100; 30]);
    let mut bytes = Vec::new();
    while window.durable() < 30 {
        let sent = submit(&mut window);
        let (batches, in_flight) = window.in_flight();
        assert!(batches <= 3 && in_flight <= 1000 && !sent.is_empty());
        assert!(sent.iter().all(|batch| batch.bytes.len() <= 400));
        sent.iter().for_each(|batch| bytes.extend_from_slice(&batch.bytes));
        assert!(window.next().is_none());
        window.advance(sent[0].last);
    }
    assert_eq!(bytes, all);
    assert_eq!((window.in_flight(), window.oldest()), ((0, 0), 0));
}

#[test]
fn a_record_above_every_bound_is_a_batch_of_its_own_and_passes_alone() {
    let mut window = window();
    hand_over(&mut window, &[10, 5000, 10]);
    let first = submit(&mut window);
    assert_eq!(first.iter().map(|batch| batch.last).collect::<Vec<_>>(), [1]);
    window.advance(1);
    assert_eq!(submit(&mut window).iter().map(|batch| batch.last).collect::<Vec<_>>(), [2]);
    window.advance(2);
    assert_eq!(submit(&mut window).iter().map(|batch| batch.last).collect::<Vec<_>>(), [3]);
}

#[test]
fn what_waits_for_the_window_goes_in_few_batches() {
    let mut window = window();
    for _ in 0..10 {
        hand_over(&mut window, &[1]);
        submit(&mut window);
    }
    assert_eq!(window.in_flight().0, 3);
    window.advance(1);
    let next = submit(&mut window);
    assert_eq!((next.len(), next[0].expected_tail, next[0].last), (1, 3, 10));
}

#[test]
fn a_record_has_waited_since_its_own_hand_over() {
    let mut window = window();
    for (now, lengths) in [(1_000, [10, 10]), (5_000, [10, 10]), (9_000, [10, 10])] {
        hand_over_at(now, &mut window, &lengths);
    }
    assert_eq!(submit(&mut window).len(), 1, "they go in one batch");
    let since = [1_000, 1_000, 5_000, 5_000, 9_000, 9_000, 0];
    for (durable, since) in (0..).zip(since) {
        window.advance(durable);
        assert_eq!(window.oldest(), since, "behind {durable}");
    }
}

#[test]
fn the_memory_of_a_hand_over_is_given_back_though_later_ones_wait() {
    let options = SubmitOptions { batches: 1, batch_bytes: 40_000, ..SubmitOptions::default() };
    let mut window = Window::new(Tail { epoch: 1, lsn: 0, chain: 0 }, options);
    hand_over(&mut window, &[10]);
    let mut sent = submit(&mut window);
    for _ in 0..4 {
        hand_over(&mut window, &[30_000]);
    }
    for lsn in 1..=5 {
        let batch = sent.pop().unwrap();
        assert_eq!((batch.last, sent.len()), (lsn, 0));
        window.advance(lsn);
        sent.extend(submit(&mut window));
        assert!(batch.bytes.is_unique(), "batch {lsn} shares its memory with what waits");
    }
}

#[test]
fn what_waits_takes_at_most_three_times_the_memory_of_its_bytes() {
    let mut random = Random::seeded(5);
    let mut window = Window::new(Tail { epoch: 1, lsn: 0, chain: 0 }, SubmitOptions::default());
    let (mut pending, mut all) = (Vec::new(), 0);
    for round in 0..3_000 {
        // Mostly small ones, and bursts.
        let most = if round % 50 == 0 { 200_000 } else { 3_000 };
        let lengths: Vec<usize> = (0..=random.below(4)).map(|_| random.below(most) as usize).collect();
        let (bytes, end) = framed(window.end.lsn + 1, window.end.chain, &lengths);
        bytes.chunks(1_000).for_each(|chunk| pending.extend_from_slice(chunk));
        all += bytes.len();
        window.hand_over(&mut pending, end, 1);
        assert!(pending.is_empty());
    }
    let capacity: usize = window.uncut.iter().map(|uncut| uncut.bytes.capacity()).sum();
    assert!(capacity <= 3 * all + COLLECTED, "{capacity} for {all}");
    assert_eq!(window.uncut.iter().map(|uncut| uncut.bytes.len()).sum::<usize>(), all);
}

#[test]
fn each_part_of_the_log_that_is_durable_leaves_the_rest_to_be_submitted_again() {
    for at in 0..=6 {
        for resolve in [false, true] {
            let (mut window, sent) = busy();
            let all: Vec<u8> = sent.iter().flat_map(|batch| batch.bytes.to_vec()).collect();
            let frames = [42, 52].repeat(3);
            let kept: usize = frames[..at].iter().sum();
            let freed = if resolve {
                let chain = window.chain_at(at as Lsn).unwrap();
                let freed = window.resolved(0, Tail { epoch: 1, lsn: at as Lsn, chain }).unwrap();
                assert_eq!(window.in_flight(), (0, 0));
                freed
            } else {
                window.advance(at as Lsn)
            };
            assert_eq!((freed, window.durable()), (kept, at as Lsn));
            assert_eq!(window.advance(at as Lsn), 0, "news that come twice change nothing");
            if resolve {
                let again = submit(&mut window);
                assert_eq!(again[0].expected_tail, at as Lsn);
                let bytes: Vec<u8> = again.iter().flat_map(|batch| batch.bytes.to_vec()).collect();
                assert_eq!(bytes[..all.len() - kept], all[kept..]);
            }
        }
    }
}

#[test]
fn what_was_never_submitted_is_not_durable() {
    let (mut window, _) = busy();
    window.advance(12);
    assert_eq!(window.durable(), 6);
}

#[test]
fn an_end_that_is_not_ours_does_not_fit() {
    let (mut window, _) = busy();
    window.advance(3);
    let tail = |lsn, chain| Tail { epoch: 1, lsn, chain };
    assert_eq!(window.resolved(3, tail(2, 1)), Err(Misfit::Missing));
    for lsn in [3, 5, 6] {
        let chain = window.chain_at(lsn).unwrap();
        assert_eq!(window.resolved(3, tail(lsn, chain ^ 1)), Err(Misfit::Foreign));
    }
    assert_eq!(window.resolved(3, tail(7, 1)), Err(Misfit::Foreign), "it was not submitted");
    assert_eq!(window.resolved(2, tail(2, 1)), Ok(0), "news were faster than the answer");
    assert_eq!(window.durable(), 3);
}

/// A service that loses, keeps, and answers late and twice, against the window.
#[test]
fn whatever_becomes_of_batches_each_record_is_kept_once_and_in_order() {
    for seed in 0..200 {
        let mut random = Random::seeded(seed);
        let mut window = window();
        let mut expected = Vec::new();
        let (mut kept, mut tail) = (Vec::new(), Tail { epoch: 1, lsn: 0, chain: 0 });
        let mut wire: Vec<Submission> = Vec::new();
        let mut told: Vec<Lsn> = Vec::new();
        for round in 0.. {
            match random.below(6) {
                0 if round < 300 => {
                    let lengths: Vec<usize> =
                        (0..=random.below(4)).map(|_| random.below(300) as usize).collect();
                    expected.extend(hand_over(&mut window, &lengths));
                }
                1 => {
                    let next = window.next();
                    assert!(next.as_ref().is_none_or(|batch| batch.bytes.len() <= 400));
                    wire.extend(next);
                }
                2 if !wire.is_empty() => {
                    // Out of order now and then: one that was called unknown arrives late.
                    let at = random.below(wire.len() as u64) as usize;
                    let batch = wire.remove(if random.below(4) > 0 { 0 } else { at });
                    if batch.expected_tail == tail.lsn && random.below(8) > 0 {
                        kept.extend_from_slice(&batch.bytes);
                        (tail.lsn, tail.chain) = (batch.last, batch.chain);
                        told.push(batch.last);
                    }
                }
                3 if !told.is_empty() => {
                    let at = random.below(told.len() as u64) as usize;
                    window.advance(told[at]);
                }
                4 if random.below(4) == 0 => {
                    let asked = window.durable();
                    window.resolved(asked, tail).unwrap();
                }
                _ if round > 300 && window.durable() == window.end() => break,
                _ => {}
            }
            assert!(window.durable() <= tail.lsn, "nothing is called durable that is not");
        }
        assert_eq!(kept, expected, "seed {seed}");
    }
}
