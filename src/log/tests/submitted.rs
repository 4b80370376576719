//! A log whose store takes batches and answers later, over the simulated service.

use super::{payload, read_all};
use crate::env::Clock;
use crate::log::simulated::{SimFault, SimOptions, SimPlace, SimService};
use crate::log::{Log, LogError, LogOptions, LogPlace, LogStore, Lsn, RecordBatch, SubmitOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const FAULTS: [SimFault; 5] = [
    SimFault::LostRequest,
    SimFault::LateRequest,
    SimFault::LostAnswer,
    SimFault::LateAnswer,
    SimFault::DoubleAnswer,
];

/// Does something until a condition holds; a long time without it is a failure.
fn until(what: &str, mut condition: impl FnMut() -> bool, mut meanwhile: impl FnMut()) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}");
        meanwhile();
        std::thread::yield_now();
    }
}

/// Lets messages arrive until a condition holds.
fn deliver_until(service: &SimService, what: &str, condition: impl FnMut() -> bool) {
    until(what, condition, || _ = service.deliver());
}

fn wait(what: &str, condition: impl FnMut() -> bool) {
    until(what, condition, || std::thread::sleep(Duration::from_micros(50)));
}

fn opened_with(service: &SimService, submit: SubmitOptions) -> (Log, Clock) {
    let clock = Clock::manual(1_000);
    let options = LogOptions { submit, ..LogOptions::default() };
    (Log::over(service.writer(), clock.clone(), options).unwrap(), clock)
}

fn opened(service: &SimService) -> Log {
    opened_with(service, SubmitOptions::default()).0
}

/// Appends records up to LSN `last`, each in a batch of its own.
fn submit_up_to(service: &SimService, log: &Log, last: Lsn) {
    while log.tail() < last {
        let before = service.submissions();
        let lsn = log.append(1, &payload(log.tail() + 1));
        log.write_out(lsn).unwrap();
        wait("a batch is submitted", || service.submissions() > before);
    }
}

/// The service has these records and no others, as they were appended.
fn verify(service: &SimService, last: Lsn) {
    let log = opened(service);
    let all = read_all(&log, 1).unwrap();
    assert_eq!(all.len() as Lsn, last);
    for (at, (lsn, _, bytes)) in (1..).zip(&all) {
        assert_eq!((*lsn, bytes), (at, &payload(at)));
    }
}

#[test]
fn a_record_is_written_and_synced_once_the_service_has_said_so() {
    let service = SimService::stepped(SimOptions::default());
    let log = opened(&service);
    assert!(log.answers_later());
    submit_up_to(&service, &log, 1);
    assert_eq!((log.written(), log.synced()), (0, 0));
    assert!(service.deliver(), "the request");
    assert_eq!((service.tail(), log.written(), log.synced()), (1, 0, 0));
    assert!(log.pending_bytes() > 0);
    assert!(service.deliver(), "the answer");
    assert_eq!((log.written(), log.synced(), log.pending_bytes()), (1, 1, 0));
    log.sync(1).unwrap();
    verify(&service, 1);
}

#[test]
fn several_batches_are_in_flight_and_no_more_than_the_window_holds() {
    let service = SimService::stepped(SimOptions::default());
    let (log, _) = opened_with(&service, SubmitOptions { batches: 3, ..SubmitOptions::default() });
    submit_up_to(&service, &log, 3);
    for lsn in 4..=20 {
        log.append(1, &payload(lsn));
        log.write_out(lsn).unwrap();
    }
    let stats = log.stats().submitted.unwrap();
    assert_eq!((stats.batches, stats.unknown, stats.resolving), (3, 0, false));
    assert!(stats.bytes < stats.kept_bytes as usize);
    deliver_until(&service, "all is durable", || log.synced() == 20);
    assert_eq!(service.submissions(), 4, "what had to wait went as one batch");
    verify(&service, 20);
}

#[test]
fn an_unknown_outcome_at_each_position_is_not_noticed() {
    for fault in FAULTS {
        for nth in 1..=6 {
            let service = SimService::stepped(SimOptions::default());
            let log = opened(&service);
            service.fail(nth, fault);
            submit_up_to(&service, &log, 6);
            deliver_until(&service, "all is durable", || log.synced() == 6);
            let lsn = log.append(1, &payload(7));
            log.write_out(lsn).unwrap();
            // What is late arrives too, and changes nothing.
            deliver_until(&service, "the next one", || log.synced() == 7 && service.under_way() == 0);
            log.reserve(1).unwrap();
            assert!(log.failure().is_none(), "{fault:?} {nth}");
            verify(&service, 7);
        }
    }
}

#[test]
fn a_batch_that_was_lost_leaves_doubt_that_is_counted() {
    let service = SimService::stepped(SimOptions::default());
    let log = opened(&service);
    service.fail(2, SimFault::LostRequest);
    submit_up_to(&service, &log, 3);
    deliver_until(&service, "all is durable", || log.synced() == 3);
    assert!(log.stats().submitted.unwrap().unknown > 0);
    assert!(service.submissions() > 3);
}

#[test]
fn a_fenced_writer_never_acknowledges_again() {
    let service = SimService::stepped(SimOptions::default());
    let old = opened(&service);
    submit_up_to(&service, &old, 2);
    deliver_until(&service, "two are durable", || old.synced() == 2);
    // One whose answer is under way, and one whose request is.
    submit_up_to(&service, &old, 3);
    service.deliver();
    submit_up_to(&service, &old, 4);
    let new = opened(&service);
    assert_eq!(new.tail(), 3);
    deliver_until(&service, "the old writer is told", || old.failure().is_some());
    let fenced = LogError::Fenced { epoch: 1, current: 2 };
    assert_eq!(old.failure(), Some(&fenced));
    let synced = old.synced();
    assert!((2..=3).contains(&synced), "what was kept before the fence may still be told");
    assert_eq!(old.sync(4), Err(fenced.clone()));
    assert_eq!(old.reserve(1), Err(fenced.clone()));
    assert_eq!(old.maintain(), Err(fenced.clone()));
    assert_eq!(old.close(), Err(fenced));
    submit_up_to(&service, &new, 6);
    deliver_until(&service, "the new writer goes on", || new.synced() == 6);
    while service.deliver() {}
    assert_eq!(old.synced(), synced);
}

#[test]
fn a_writer_that_is_in_doubt_learns_that_it_was_fenced() {
    let service = SimService::stepped(SimOptions::default());
    let old = opened(&service);
    service.fail(1, SimFault::LostRequest);
    submit_up_to(&service, &old, 1);
    let new = opened(&service);
    submit_up_to(&service, &new, 1);
    deliver_until(&service, "the old writer asks", || old.failure().is_some());
    assert_eq!(old.failure(), Some(&LogError::Fenced { epoch: 1, current: 2 }));
    assert_eq!(old.synced(), 0);
    deliver_until(&service, "the new writer goes on", || new.synced() == 1);
}

#[test]
fn a_writer_without_the_leadership_says_why_it_refuses() {
    for busy in [false, true] {
        let service = SimService::stepped(SimOptions::default());
        let log = opened(&service);
        if busy {
            submit_up_to(&service, &log, 2);
        }
        service.depose("node 3 leads now");
        let lost = LogError::LeadershipLost { why: "node 3 leads now".to_owned() };
        assert_eq!(log.sync(log.append(1, b"x")), Err(lost.clone()));
        assert!(lost.is_final() && lost.is_superseded());
        while service.deliver() {}
        assert_eq!((log.synced(), log.reserve(0)), (0, Err(lost)));
        let next = opened(&service);
        submit_up_to(&service, &next, next.tail() + 1);
        deliver_until(&service, "the next one writes", || next.synced() == next.tail());
    }
}

#[test]
fn a_log_that_ends_with_another_writers_record_is_given_up() {
    for lost in [false, true] {
        let service = SimService::stepped(SimOptions::default());
        let log = opened(&service);
        if lost {
            service.fail(1, SimFault::LostRequest);
        }
        // Somebody writes in the same epoch.
        let stranger = service.writer();
        let mut bytes = vec![0; 32];
        let chain = foreign_frame(&log, &mut bytes);
        let batch = RecordBatch { first: 1, last: 1, chain, durable: 0, bytes: &bytes };
        assert_eq!(stranger.append(1, 0, &batch), Ok(1));
        submit_up_to(&service, &log, 1);
        deliver_until(&service, "it is noticed", || log.failure().is_some());
        assert_eq!(log.failure(), Some(&LogError::TailMoved { expected: 0, actual: 1 }));
        assert_eq!(log.synced(), 0);
    }
}

/// The header of an empty record with LSN 1 that another writer might have made; returns its chain.
fn foreign_frame(log: &Log, bytes: &mut [u8]) -> u32 {
    let key = log.log_id().key();
    let sum = super::super::frame::payload_checksum(key, &[]);
    let (header, chain) = super::super::frame::FrameHeader::new(0, sum, 1, 999, 1).encode(key, 0);
    bytes.copy_from_slice(&header);
    chain
}

#[test]
fn a_service_that_is_out_of_reach_refuses_writes_only_after_a_while_and_loses_none() {
    let service = SimService::stepped(SimOptions::default());
    let (log, clock) =
        opened_with(&service, SubmitOptions { patience_ms: 5_000, ..SubmitOptions::default() });
    service.set_down(true);
    submit_up_to(&service, &log, 3);
    deliver_until(&service, "the outcome is unknown", || log.stats().submitted.unwrap().resolving);
    log.reserve(1).unwrap();
    log.write_out(log.append(1, &payload(4))).unwrap();
    clock.as_manual().unwrap().advance_ms(5_001);
    log.maintain().unwrap();
    let error = log.reserve(1).unwrap_err();
    assert!(
        matches!(&error, LogError::Unavailable { .. }) && !error.is_final() && !error.is_full(),
        "{error}"
    );
    // The cause of its last failure may have changed since.
    assert!(matches!(log.sync(4), Err(LogError::Unavailable { .. })), "who waits for all of it is told");
    assert_eq!((log.synced(), log.stats().disk_full), (0, true));
    assert!(log.close().is_err() && log.failure().is_none());
    service.set_down(false);
    deliver_until(&service, "it comes right", || log.synced() == 4);
    log.maintain().unwrap();
    log.reserve(1).unwrap();
    assert!(log.failure().is_none());
    verify(&service, 4);
}

#[test]
fn writes_are_refused_once_the_memory_is_used_up_and_accepted_again() {
    let service = SimService::stepped(SimOptions::default());
    let options = SubmitOptions { kept_bytes: 1_000, batches: 2, ..SubmitOptions::default() };
    let (log, _) = opened_with(&service, options);
    let mut appended = 0;
    while log.reserve(100).is_ok() {
        appended += 1;
        log.append(1, &payload(appended));
        log.write_out(appended).unwrap();
    }
    assert!((8..=30).contains(&appended), "{appended}");
    assert!(matches!(log.reserve(0), Err(LogError::Unavailable { .. })));
    deliver_until(&service, "all is durable", || log.synced() == appended);
    log.reserve(100).unwrap();
    log.reserve(1 << 20).unwrap();
    verify(&service, appended);
}

#[test]
fn a_close_waits_for_what_is_in_flight() {
    let service = SimService::stepped(SimOptions::default());
    let log = opened(&service);
    service.fail(2, SimFault::LateRequest);
    submit_up_to(&service, &log, 3);
    let done = std::thread::scope(|scope| {
        let closing = scope.spawn(|| log.close());
        deliver_until(&service, "it is closed", || closing.is_finished());
        closing.join().unwrap()
    });
    assert_eq!(done, Ok(()));
    assert_eq!((log.synced(), service.tail()), (3, 3));
    assert_eq!(log.reserve(0), Err(LogError::Closed));
    assert!(service.writer().is_closed());
    while service.deliver() {}
    verify(&service, 3);
    assert!(!service.writer().is_closed(), "another writer has begun");
}

#[test]
fn a_writer_goes_on_behind_what_the_one_before_wrote_until_it_was_fenced() {
    let service = SimService::stepped(SimOptions::default());
    let old = opened(&service);
    let place = SimPlace::new(&service);
    let (new, report) = Log::look_at(&place, Clock::manual(1), LogOptions::default()).unwrap();
    assert!(matches!(new.reserve(0), Err(LogError::Unavailable { .. })));
    submit_up_to(&service, &old, 5);
    deliver_until(&service, "five are durable", || old.synced() == 5);
    new.take_over().unwrap();
    assert_eq!((report.tail, new.tail(), new.synced()), (0, 5, 5));
    submit_up_to(&service, &new, 6);
    deliver_until(&service, "the new one writes", || new.synced() == 6);
    drop((old, new));
    verify(&service, 6);
}

#[test]
fn who_is_to_be_woken_is_woken_by_the_watermark_and_by_the_end() {
    let service = SimService::stepped(SimOptions::default());
    let log = opened(&service);
    let woken = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&woken);
    log.wake_by(Box::new(move || _ = count.fetch_add(1, Ordering::SeqCst)));
    submit_up_to(&service, &log, 1);
    assert_eq!(woken.load(Ordering::SeqCst), 0);
    deliver_until(&service, "it is durable", || log.synced() == 1);
    wait("the waker is called", || woken.load(Ordering::SeqCst) == 1);
    service.depose("for a test");
    assert_eq!(woken.load(Ordering::SeqCst), 2);
}

#[test]
fn a_bad_service_in_real_time_keeps_what_many_threads_have_synced() {
    let service = SimService::new(SimOptions {
        seed: 11,
        timeout_micros: 20_000,
        lost_requests: 20,
        late_requests: 20,
        lost_answers: 20,
        late_answers: 20,
        double_answers: 50,
        ..SimOptions::round_trip(1_500)
    })
    .unwrap();
    let options = LogOptions {
        submit: SubmitOptions { batches: 4, batch_bytes: 500, ..SubmitOptions::default() },
        ..LogOptions::default()
    };
    let open = || (0..50).find_map(|_| Log::over(service.writer(), Clock::System, options).ok()).unwrap();
    let log = open();
    let synced = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (log, synced) = (&log, &synced);
            scope.spawn(move || {
                for n in 0..100_u64 {
                    let lsn = log.append(n, &[thread.to_le_bytes(), n.to_le_bytes()].concat());
                    if n % 3 == 0 {
                        log.sync(lsn).unwrap();
                        synced.fetch_max(lsn, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    log.sync(log.tail()).unwrap();
    assert!(log.failure().is_none() && synced.load(Ordering::SeqCst) <= log.synced());
    drop(log);
    let all = read_all(&open(), 1).unwrap();
    assert_eq!(all.len(), 400);
    for thread in 0..4_u64 {
        let own = all.iter().filter(|(_, _, bytes)| bytes[..8] == thread.to_le_bytes());
        assert!(own.map(|(_, n, _)| *n).eq(0..100), "each once and in order");
    }
}

#[test]
fn a_superseded_writer_neither_trims_the_log_nor_changes_the_checkpoints() {
    for deposed in [false, true] {
        let service = SimService::stepped(SimOptions::default());
        let place = SimPlace::new(&service);
        let old = opened(&service);
        submit_up_to(&service, &old, 5);
        deliver_until(&service, "five are durable", || old.synced() == 5);
        let of_old = place.checkpoints(old.log_id(), old.epoch());
        let begin = |name: &str| {
            let mut writer = of_old.create(name).unwrap();
            writer.seal().unwrap();
            writer
        };
        begin("named").finish().unwrap();
        let begun = begin("begun");
        let new = (!deposed).then(|| opened(&service));
        if deposed {
            service.depose("node 3 leads now");
        }
        let refusals = [
            begun.finish(),
            of_old.create("another").map(drop),
            of_old.remove(&["named"]),
            of_old.remove_unfinished(),
            old.store().trim_to(old.epoch(), 5).map(drop),
        ];
        for refusal in refusals {
            assert!(matches!(&refusal, Err(error) if error.is_superseded()), "{refusal:?}");
        }
        let names: Vec<_> = of_old.list().unwrap().into_iter().map(|blob| blob.name).collect();
        assert_eq!((names, old.store().stats().first), (vec!["named".to_owned()], 1));
        let new = new.unwrap_or_else(|| opened(&service));
        place.checkpoints(new.log_id(), new.epoch()).remove(&["named"]).unwrap();
        assert!(new.store().trim_to(new.epoch(), 5).unwrap() > 0);
    }
}
