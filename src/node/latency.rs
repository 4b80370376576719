//! The latency monitor: the worst moments of each kind of event.

use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};

/// Samples kept of one kind of event.
const SAMPLES: usize = 160;

/// The samples of one kind of event.
#[derive(Default, Clone)]
pub struct Series {
    /// Second of the epoch and worst ms in it, the oldest first.
    pub samples: VecDeque<(u64, u64)>,
    /// The worst ms of all.
    pub worst: u64,
}

/// What the monitor keeps, by event.
#[derive(Default)]
pub struct LatencyMonitor {
    series: Mutex<BTreeMap<&'static str, Series>>,
}

impl LatencyMonitor {
    /// Notes that an event took `millis` in the given second of the epoch. The caller has compared it with
    /// `latency-monitor-threshold`.
    pub fn record(&self, event: &'static str, second: u64, millis: u64) {
        let mut all = self.series.lock();
        let series = all.entry(event).or_default();
        series.worst = series.worst.max(millis);
        match series.samples.back_mut() {
            Some((last, worst)) if *last == second => *worst = millis.max(*worst),
            _ => {
                if series.samples.len() == SAMPLES {
                    series.samples.pop_front();
                }
                series.samples.push_back((second, millis));
            }
        }
    }

    /// The samples of an event.
    pub fn get(&self, event: &[u8]) -> Option<Series> {
        let name = String::from_utf8_lossy(event);
        self.series.lock().get(&*name).cloned()
    }

    /// The samples of all events.
    pub fn all(&self) -> BTreeMap<&'static str, Series> {
        self.series.lock().clone()
    }

    /// Forgets the samples of the named events, or of all events if none is named. Returns how many events had samples.
    pub fn reset(&self, events: &[&[u8]]) -> usize {
        let mut all = self.series.lock();
        let before = all.len();
        all.retain(|name, _| !events.is_empty() && !events.contains(&name.as_bytes()));
        before - all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_keeps_its_worst_sample_and_the_oldest_go_first() {
        let monitor = LatencyMonitor::default();
        monitor.record("command", 10, 5);
        monitor.record("command", 10, 9);
        monitor.record("command", 10, 7);
        assert_eq!(monitor.get(b"command").unwrap().samples, [(10, 9)]);
        for second in 11..11 + SAMPLES as u64 {
            monitor.record("command", second, 1);
        }
        let series = monitor.get(b"command").unwrap();
        assert_eq!((series.samples.len(), series.samples[0], series.worst), (SAMPLES, (11, 1), 9));
    }
}
