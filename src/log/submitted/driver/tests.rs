use super::*;
use crate::log::frame::{FrameHeader, payload_checksum};
use crate::log::simulated::{SimOptions, SimService};
use crate::log::{Log, LogOptions, Submission};
use std::time::Instant;

/// A store that rejects each batch at once, and always says the same of its log's end.
#[derive(Debug)]
struct Rejecting {
    watcher: OnceLock<Arc<dyn BatchObserver>>,
    tail: Tail,
    asked: Mutex<Vec<Instant>>,
}

impl Submit for Rejecting {
    fn watch(&self, watcher: Arc<dyn BatchObserver>) {
        let _ = self.watcher.set(watcher);
    }

    fn submit(&self, _epoch: u64, batch: Submission) {
        self.watcher.get().unwrap().tell(News::Rejected(batch.expected_tail));
    }

    fn resolve(&self, _epoch: u64) -> Result<Tail, LogError> {
        self.asked.lock().push(Instant::now());
        Ok(self.tail)
    }
}

fn wait(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_mins(1), "{what}");
        std::thread::sleep(Duration::from_micros(100));
    }
}

/// Hands one record over to a store of epoch 1 that says of its log's end what `tail` makes of the record's chain.
fn submitted(tail: impl FnOnce(u32) -> Tail) -> (Submitted, Arc<Rejecting>) {
    let (header, chain) = FrameHeader::new(0, payload_checksum(7, &[]), 1, 0, 1).encode(7, 0);
    let store = Arc::new(Rejecting { watcher: OnceLock::new(), tail: tail(chain), asked: Mutex::default() });
    let begun = Tail { epoch: 1, lsn: 0, chain: 0 };
    let submit = Arc::clone(&store) as Arc<dyn Submit>;
    let clock = Clock::manual(1_000);
    let submitted = Submitted::new(submit, begun, SubmitOptions::default(), clock, Arc::default());
    submitted.begin(begun).unwrap();
    submitted.hand_over(&Mutex::new(PendingFrames { bytes: header.to_vec(), tail: 1, chain }));
    (submitted, store)
}

#[test]
fn a_store_that_answers_and_keeps_nothing_is_asked_less_and_less_often() {
    let (submitted, store) = submitted(|_| Tail { epoch: 1, lsn: 0, chain: 0 });
    wait("it is asked eight times", || store.asked.lock().len() >= 8);
    submitted.end();
    let asked = store.asked.lock();
    let pauses: u32 = (0..7).map(|doubled| 1 << doubled).sum();
    assert!(asked[7] - asked[0] >= PAUSES.0 * pauses, "{:?}", asked[7] - asked[0]);
}

#[test]
fn an_end_of_a_newer_epoch_fences_though_the_last_record_is_ours() {
    for lsn in [0, 1] {
        let tail = |chain| Tail { epoch: 2, lsn, chain: if lsn == 1 { chain } else { 0 } };
        let (submitted, store) = submitted(tail);
        let failure = &submitted.shared.failure;
        wait("it fails", || failure.get().is_some());
        assert_eq!(failure.get(), Some(&LogError::Fenced { epoch: 1, current: 2 }));
        assert_eq!(submitted.wait(2), Err(LogError::Fenced { epoch: 1, current: 2 }));
        assert_eq!((submitted.durable(), store.asked.lock().len()), (lsn, 1), "what is there is durable");
    }
}

#[test]
fn a_failure_is_seen_only_once_the_watermark_stands_still() {
    let service = SimService::stepped(SimOptions::default());
    let log = Log::over(service.writer(), Clock::manual(1_000), LogOptions::default()).unwrap();
    log.write_out(log.append(1, b"x")).unwrap();
    wait("a batch is submitted", || service.submissions() == 1);
    let shared = &log.submitted.as_ref().unwrap().shared;
    std::thread::scope(|scope| {
        let mut inner = shared.inner.lock();
        let failing = scope.spawn(|| log.fail(LogError::Closed));
        // Long enough for a failure to become visible if it were noted without the lock.
        std::thread::sleep(Duration::from_millis(20));
        shared.advance(&mut inner, 1);
        assert!(log.failure().is_none());
        drop(inner);
        assert_eq!(failing.join().unwrap(), LogError::Closed);
    });
    assert_eq!((log.failure(), log.synced()), (Some(&LogError::Closed), 1));
}
