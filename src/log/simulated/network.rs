//! Messages under way: requests, answers, and the timers that wait for an answer.

use super::options::{SimFault, SimOptions};
use super::service::KeptLog;
use crate::env::Random;
use crate::log::Lsn;
use crate::log::submit::{BatchObserver, News, Submission};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;
use std::sync::Arc;

/// A writer's connection, by its place in the list.
pub(super) type LinkId = usize;

/// News for a watcher.
pub(super) type Told = (Arc<dyn BatchObserver>, News);

#[derive(Debug, Default)]
struct Link {
    /// The epoch that its process established last.
    epoch: u64,
    watcher: Option<Arc<dyn BatchObserver>>,
    /// When its last request and its last answer arrive, so that the next ones do not arrive before.
    last_request: u64,
    last_answer: u64,
    /// The greatest LSN that it was told to be durable.
    told: Lsn,
    /// Its process is dead.
    cut: bool,
}

/// What arrives.
#[derive(Debug)]
enum Message {
    Request {
        epoch: u64,
        batch: Submission,
        fault: Option<SimFault>,
    },
    Answer(News),
    /// The writer gives up waiting for the answer to a batch between these two LSNs.
    Timeout(Lsn, Lsn),
}

#[derive(Debug)]
struct UnderWay {
    due: u64,
    /// Orders two messages that are due at the same time.
    number: u64,
    link: LinkId,
    message: Message,
}

impl PartialEq for UnderWay {
    fn eq(&self, other: &Self) -> bool {
        (self.due, self.number) == (other.due, other.number)
    }
}

impl Eq for UnderWay {}

impl PartialOrd for UnderWay {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnderWay {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.due, self.number).cmp(&(other.due, other.number))
    }
}

#[derive(Debug)]
pub(super) struct Network {
    options: SimOptions,
    random: Random,
    links: Vec<Link>,
    under_way: BinaryHeap<Reverse<UnderWay>>,
    numbers: u64,
    events: u64,
    submissions: u64,
    /// The faults of numbered submissions.
    script: BTreeMap<u64, SimFault>,
    pub(super) down: bool,
    pub(super) kill_at: Option<u64>,
    pub(super) killed: bool,
}

impl Network {
    pub(super) fn new(options: &SimOptions) -> Self {
        Self {
            options: *options,
            random: Random::seeded(options.seed),
            links: Vec::new(),
            under_way: BinaryHeap::new(),
            numbers: 0,
            events: 0,
            submissions: 0,
            script: BTreeMap::new(),
            down: false,
            kill_at: None,
            killed: false,
        }
    }

    pub(super) fn connect(&mut self) -> LinkId {
        self.links.push(Link::default());
        self.links.len() - 1
    }

    pub(super) fn watch(&mut self, link: LinkId, watcher: Arc<dyn BatchObserver>) {
        self.links[link].watcher = Some(watcher);
    }

    /// The process behind a link is gone: it gets no more messages.
    pub(super) fn disconnect(&mut self, link: LinkId) {
        self.links[link].cut = true;
        self.links[link].watcher = None;
    }

    pub(super) fn note_epoch(&mut self, link: LinkId, epoch: u64) {
        self.links[link].epoch = epoch;
    }

    pub(super) fn watchers_of(&self, epoch: u64) -> Vec<Arc<dyn BatchObserver>> {
        let of_epoch = self.links.iter().filter(|link| link.epoch == epoch);
        of_epoch.filter_map(|link| link.watcher.clone()).collect()
    }

    /// Whether a question of a writer is answered, and after how many microseconds.
    pub(super) fn ask(&mut self, link: LinkId) -> Option<u64> {
        let lost = self.chance(self.options.lost_requests) || self.chance(self.options.lost_answers);
        let micros = self.way(self.options.request_micros) + self.way(self.options.answer_micros);
        (!self.down && !self.links[link].cut && !lost).then_some(micros)
    }

    pub(super) fn script(&mut self, nth: u64, fault: SimFault) {
        self.script.insert(self.submissions + nth, fault);
    }

    pub(super) fn next_due(&self) -> Option<u64> {
        self.under_way.peek().map(|Reverse(next)| next.due)
    }

    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    pub(super) fn events(&self) -> u64 {
        self.events
    }

    pub(super) fn submissions(&self) -> u64 {
        self.submissions
    }

    fn chance(&mut self, of_thousand: u64) -> bool {
        of_thousand > 0 && self.random.below(1000) < of_thousand
    }

    fn way(&mut self, (shortest, longest): (u64, u64)) -> u64 {
        shortest + self.random.below(longest.saturating_sub(shortest) + 1)
    }

    fn put(&mut self, due: u64, link: LinkId, message: Message) {
        self.numbers += 1;
        self.under_way.push(Reverse(UnderWay { due, number: self.numbers, link, message }));
    }

    /// What happens to a batch, by the script or by chance.
    fn fault(&mut self) -> Option<SimFault> {
        self.submissions += 1;
        if let Some(fault) = self.script.remove(&self.submissions) {
            return Some(fault);
        }
        let SimOptions { lost_requests, late_requests, lost_answers, late_answers, double_answers, .. } =
            self.options;
        [
            (lost_requests, SimFault::LostRequest),
            (late_requests, SimFault::LateRequest),
            (lost_answers, SimFault::LostAnswer),
            (late_answers, SimFault::LateAnswer),
            (double_answers, SimFault::DoubleAnswer),
        ]
        .into_iter()
        .find_map(|(chance, fault)| self.chance(chance).then_some(fault))
    }

    /// Sends a batch on its way.
    pub(super) fn submit(&mut self, now: u64, link: LinkId, epoch: u64, batch: Submission) {
        let (fault, late) = (self.fault(), self.options.timeout_micros);
        let way = self.way(self.options.request_micros);
        self.put(now + late, link, Message::Timeout(batch.expected_tail, batch.last));
        let due = match fault {
            Some(SimFault::LostRequest) => return,
            Some(SimFault::LateRequest) => now + way + late + late / 2,
            _ => {
                let due = (now + way).max(self.links[link].last_request);
                self.links[link].last_request = due;
                due
            }
        };
        self.put(due, link, Message::Request { epoch, batch, fault });
    }

    /// Sends an answer on its way.
    fn answer(&mut self, now: u64, link: LinkId, news: News, fault: Option<SimFault>) {
        let way = self.way(self.options.answer_micros);
        let late = self.options.timeout_micros;
        let due = match fault {
            Some(SimFault::LostAnswer) => return,
            Some(SimFault::LateAnswer) => now + way + late + late / 2,
            _ => {
                let due = (now + way).max(self.links[link].last_answer);
                self.links[link].last_answer = due;
                due
            }
        };
        if fault == Some(SimFault::DoubleAnswer) {
            self.put(due + late / 4, link, Message::Answer(news.clone()));
        }
        self.put(due, link, Message::Answer(news));
    }

    /// Lets the next message arrive; returns the news for a watcher, if any.
    pub(super) fn deliver(&mut self, now: u64, kept: &mut KeptLog) -> Option<Told> {
        self.events += 1;
        if self.kill_at == Some(self.events) {
            return self.kill(kept.tail().epoch);
        }
        let Reverse(UnderWay { link, message, .. }) = self.under_way.pop()?;
        if self.links[link].cut {
            return None;
        }
        let news = match message {
            Message::Request { .. } | Message::Answer(_) if self.down => return None,
            Message::Request { epoch, batch, fault } => {
                let news = kept.keep(epoch, &batch);
                self.answer(now, link, news, fault);
                return None;
            }
            Message::Answer(news) => {
                if let News::Durable(upto) = news {
                    self.links[link].told = self.links[link].told.max(upto);
                }
                news
            }
            Message::Timeout(_, last) if last <= self.links[link].told => return None,
            Message::Timeout(after, _) => {
                News::Unknown { after, cause: "an answer did not come in time".to_owned() }
            }
        };
        self.links[link].watcher.clone().map(|watcher| (watcher, news))
    }

    /// Kills the process of an epoch.
    fn kill(&mut self, epoch: u64) -> Option<Told> {
        self.killed = true;
        let link = self.links.iter_mut().find(|link| link.epoch == epoch)?;
        link.cut = true;
        let news = News::LeadershipLost { why: "the process is dead".to_owned() };
        link.watcher.take().map(|watcher| (watcher, news))
    }
}
