//! Tests kill -9 while consumers really wait for jobs. Each job is put, at once, into a list, a sorted set, a stream
//! and the first of three lists through which it is moved: whatever a client was told has happened, it has happened
//! once, and no job is halved.

use crate::harness::{Client, Random, Server, Value, until};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

const PRODUCERS: usize = 2;
const ROUNDS: usize = 12;
/// How many jobs are acknowledged, and how many are taken, at least, in a round before the server is killed.
const LOAD: usize = 30;
/// The most jobs that a command takes.
const COUNT: usize = 2;

/// Puts a job, as MULTI does it; the text is a script and the body of a function.
const PUT: &str = "local job, score = ARGV[1], ARGV[2]
redis.call('RPUSH', 'jobs', job)
redis.call('RPUSH', 'moves', job)
redis.call('ZADD', 'ranked', score, job)
return redis.call('XADD', 'log', '*', 'job', job)";

/// The number of jobs that a consumer could take.
const LEFT: &str = "EVAL return(redis.call('ZCARD','ranked')+redis.call('LLEN','jobs')+redis.call('LLEN','moves')\
    +redis.call('LLEN','middle')) 0";

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

struct Producer {
    id: usize,
    random: Random,
    next: usize,
    acknowledged: BTreeSet<String>,
    /// The jobs that were sent when the server was killed.
    in_doubt: BTreeSet<String>,
}

impl Producer {
    fn put(&mut self, job: &str, score: usize) -> Vec<Vec<String>> {
        match self.random.below(3) {
            0 => vec![
                words("MULTI"),
                words(&format!("RPUSH jobs {job}")),
                words(&format!("RPUSH moves {job}")),
                words(&format!("ZADD ranked {score} {job}")),
                words(&format!("XADD log * job {job}")),
                words("EXEC"),
            ],
            1 => {
                let declared = words(&format!("4 jobs moves ranked log {job} {score}"));
                vec![[vec!["EVAL".into(), PUT.into()], declared].concat()]
            }
            _ => vec![words(&format!("FCALL put 0 {job} {score}"))],
        }
    }

    /// Puts jobs, some at a time, until the server is gone or `over` is set.
    fn run(&mut self, mut client: Client, acknowledged: &AtomicUsize, over: &AtomicBool) {
        while !over.load(Relaxed) {
            let mut bytes = Vec::new();
            let mut sent = Vec::new();
            for _ in 0..=self.random.below(3) {
                self.next += 1;
                let job = format!("job{}-{}", self.id, self.next);
                let commands = self.put(&job, self.next);
                commands.iter().for_each(|command| bytes.extend(Client::encode(command)));
                self.in_doubt.insert(job.clone());
                sent.push((job, commands.len()));
            }
            if client.send_raw(&bytes).is_err() {
                return;
            }
            for (job, replies) in sent {
                for _ in 0..replies {
                    match client.read() {
                        Value::Eof | Value::Timeout => return,
                        reply => assert!(!reply.is_error(), "{job}: {reply}"),
                    }
                }
                self.in_doubt.remove(&job);
                self.acknowledged.insert(job);
                acknowledged.fetch_add(1, Relaxed);
            }
        }
    }
}

/// How a consumer takes jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Out of the list `jobs`.
    List,
    /// Out of the sorted set `ranked`.
    Ranked,
    /// From the list `moves` to the list `middle`.
    Moved,
    /// From the list `middle` to the list `done`.
    Done,
    /// As the entries of a stream, which it acknowledges.
    Stream,
}

const WAYS: [Way; 8] =
    [Way::List, Way::List, Way::Ranked, Way::Ranked, Way::Moved, Way::Done, Way::Stream, Way::Stream];

struct Consumer {
    id: usize,
    way: Way,
    random: Random,
    /// The jobs of the replies that were read; of a stream, the identifiers of entries.
    taken: Vec<String>,
    /// The entries for which the reply of XACK was read, or was not.
    acknowledged: BTreeSet<String>,
    in_doubt: BTreeSet<String>,
    /// Whether a command that takes jobs was sent whose reply was not read.
    waits: bool,
}

impl Consumer {
    fn command(&mut self) -> String {
        let lines: &[&str] = match self.way {
            Way::List => &["BLPOP jobs 0", "BRPOP other jobs 0", "BLMPOP 0 2 other jobs LEFT COUNT 2"],
            Way::Ranked => &["BZPOPMIN ranked 0", "BZPOPMAX other ranked 0", "BZMPOP 0 1 ranked MIN COUNT 2"],
            Way::Moved => &["BLMOVE moves middle LEFT RIGHT 0", "BRPOPLPUSH moves middle 0"],
            Way::Done => &["BLMOVE middle done RIGHT LEFT 0", "BLMOVE middle done LEFT RIGHT 0"],
            Way::Stream => return format!("XREADGROUP GROUP g c{} COUNT 2 BLOCK 0 STREAMS log >", self.id),
        };
        self.random.pick(lines).to_owned()
    }

    /// What a reply has brought.
    fn told(&self, reply: &Value) -> Vec<String> {
        let items = reply.items();
        let texts = |all: &[Value]| all.iter().map(Value::text).collect();
        match self.way {
            Way::Moved | Way::Done => vec![reply.text()],
            Way::Stream => items[0].items()[1].items().iter().map(|entry| entry.items()[0].text()).collect(),
            Way::List if items[1].items().is_empty() => texts(&items[1..]),
            Way::List => texts(&items[1].items()),
            // BZPOPMIN replies key, member and score, BZMPOP the key and pairs.
            Way::Ranked if items.len() == 3 => texts(&items[1..2]),
            Way::Ranked => items[1].items().iter().map(|pair| pair.items()[0].text()).collect(),
        }
    }

    /// Takes jobs until the server is gone.
    fn run(&mut self, mut client: Client, taken: &AtomicUsize) {
        loop {
            let command = self.command();
            self.waits = true;
            let told = match client.run(&command) {
                Value::Eof => return,
                Value::Timeout => panic!("{command} has no reply"),
                reply if reply.is_error() => panic!("{command}: {reply}"),
                reply => self.told(&reply),
            };
            self.waits = false;
            taken.fetch_add(told.len(), Relaxed);
            if self.way == Way::Stream && !self.random.one_in(4) {
                self.in_doubt.extend(told.iter().cloned());
                self.taken.extend(told.iter().cloned());
                let acknowledge = [words("XACK log g"), told.clone()].concat();
                match client.call(&acknowledge) {
                    Value::Eof => return,
                    reply => assert_eq!(reply, Value::Int(told.len() as i64), "{told:?} were pending"),
                }
                told.iter().for_each(|id| assert!(self.in_doubt.remove(id)));
                self.acknowledged.extend(told);
            } else {
                self.taken.extend(told);
            }
        }
    }
}

/// The elements, each of which must be there once.
fn unique(what: &str, all: impl IntoIterator<Item = String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for one in all {
        assert!(!seen.contains(&one), "{what}: {one} is there twice");
        seen.insert(one);
    }
    seen
}

fn list(client: &mut Client, command: &str) -> Vec<String> {
    let reply = client.run(command);
    assert!(!reply.is_error(), "{command}: {reply}");
    reply.items().iter().map(Value::text).collect()
}

/// Checks everything that clients were told against what the server has.
struct Checks<'a> {
    client: Client,
    consumers: &'a [Consumer],
    /// The jobs that there are, in the order in which they were put.
    jobs: Vec<String>,
    /// The identifiers of the stream's entries, in the same order.
    ids: Vec<String>,
}

impl<'a> Checks<'a> {
    /// Takes all jobs from the stream, which keeps them.
    fn new(server: &Server, producers: &mut [Producer], consumers: &'a [Consumer]) -> Self {
        let mut client = server.client();
        let entries = client.run("XRANGE log - +").items();
        let (mut ids, mut jobs) = (Vec::new(), Vec::new());
        for entry in entries {
            ids.push(entry.items()[0].text());
            jobs.push(entry.items()[1].items()[1].text());
        }
        let all = unique("the stream", jobs.iter().cloned());
        for producer in producers {
            let own = format!("job{}-", producer.id);
            let found: BTreeSet<String> = all.iter().filter(|job| job.starts_with(&own)).cloned().collect();
            let lost: Vec<_> = producer.acknowledged.difference(&found).collect();
            assert!(lost.is_empty(), "{lost:?} were acknowledged and are lost");
            let surplus: Vec<_> = found
                .difference(&producer.acknowledged)
                .filter(|job| !producer.in_doubt.contains(*job))
                .collect();
            assert!(surplus.is_empty(), "{surplus:?} were taken back, and are there again");
            producer.acknowledged = found;
            producer.in_doubt.clear();
        }
        Self { client, consumers, jobs, ids }
    }

    fn of(&self, way: Way) -> impl Iterator<Item = &'a Consumer> {
        self.consumers.iter().filter(move |consumer| consumer.way == way)
    }

    /// All that consumers of one way were told.
    fn taken(&self, way: Way) -> BTreeSet<String> {
        unique("what was taken", self.of(way).flat_map(|consumer| consumer.taken.iter().cloned()))
    }

    /// Jobs that are taken away: each is there, or was taken. `gone` has those whose taker was never told of them.
    fn popped(&mut self, way: Way, command: &str, gone: &mut BTreeSet<String>) {
        let left = list(&mut self.client, command);
        if way == Way::List {
            let mut rest = self.jobs.iter();
            let in_order = left.iter().all(|job| rest.any(|other| other == job));
            assert!(in_order, "{left:?} have another order than when they were put");
        }
        let left = unique(command, left);
        let taken = self.taken(way);
        for job in &left {
            assert!(!taken.contains(job) && !gone.contains(job), "{job} was taken, and is there again");
        }
        let all: BTreeSet<String> = self.jobs.iter().cloned().collect();
        let unknown: Vec<_> = left.union(&taken).filter(|job| !all.contains(*job)).collect();
        assert!(unknown.is_empty(), "{way:?}: {unknown:?} were halved");
        let missing: Vec<String> = all
            .into_iter()
            .filter(|j| !left.contains(j) && !taken.contains(j) && !gone.contains(j))
            .collect();
        let under_way = COUNT * self.of(way).filter(|consumer| consumer.waits).count();
        assert!(missing.len() <= under_way, "{way:?}: {missing:?} are lost; {under_way} were under way");
        gone.extend(missing);
    }

    /// Jobs that are moved: each is in exactly one list, and not in one from which a client was told it was taken.
    fn moved(&mut self) {
        let lists =
            ["moves", "middle", "done"].map(|key| list(&mut self.client, &format!("LRANGE {key} 0 -1")));
        let found = unique("the lists", lists.iter().flatten().cloned());
        let all: BTreeSet<String> = self.jobs.iter().cloned().collect();
        assert!(found == all, "in the lists and not put, or put and in no list: {:?}", &found ^ &all);
        for (way, sources) in [(Way::Moved, &lists[..1]), (Way::Done, &lists[..2])] {
            let taken = self.taken(way);
            let back: Vec<_> = sources.iter().flatten().filter(|job| taken.contains(*job)).collect();
            assert!(back.is_empty(), "{way:?}: {back:?} were moved, and are where they were");
        }
    }

    /// Entries that were read: each is pending for its reader until it is acknowledged, and no other one is.
    fn read(&mut self) {
        let taken = self.taken(Way::Stream);
        let groups = self.client.run("XINFO GROUPS log").items()[0].items();
        let at = groups.iter().position(|item| item.text() == "last-delivered-id").unwrap();
        let last = groups[at + 1].text();
        let read = self.ids.iter().position(|id| *id == last).map_or(0, |at| at + 1);
        let pending = self.client.run("XPENDING log g - + 1000000").items();
        let pending: BTreeMap<String, String> =
            pending.iter().map(|one| (one.items()[0].text(), one.items()[1].text())).collect();
        for (n, id) in self.ids.iter().enumerate() {
            let mut readers = self.of(Way::Stream).filter(|consumer| consumer.taken.contains(id));
            let Some(reader) = readers.next() else {
                // One that was read must be pending for somebody, who may not have been told of it.
                assert_eq!(pending.contains_key(id), n < read, "{id}, which nobody was told of");
                continue;
            };
            assert!(n < read, "{id} was read, and would be read again");
            let own = format!("c{}", reader.id);
            match pending.get(id) {
                Some(owner) => assert!(*owner == own && !reader.acknowledged.contains(id), "{id}: {owner}"),
                None => assert!(reader.acknowledged.contains(id) || reader.in_doubt.contains(id), "{id}"),
            }
        }
        let known: BTreeSet<String> = self.ids.iter().cloned().collect();
        let halved: Vec<_> = taken.iter().chain(pending.keys()).filter(|id| !known.contains(*id)).collect();
        assert!(halved.is_empty(), "{halved:?} were read, and are not there");
    }
}

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// kill -9 while jobs are put and taken.
    UnderLoad,
    /// kill -9 when every consumer waits for the next job.
    Waiting,
    /// SIGTERM when every consumer waits.
    Orderly,
}

fn round(
    server: &mut Server,
    end: End,
    producers: &mut [Producer],
    consumers: &mut [Consumer],
    random: &mut Random,
) {
    let (put, taken, over) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let waiting = consumers.len().to_string();
    std::thread::scope(|scope| {
        for consumer in consumers {
            let (client, taken) = (server.client(), &taken);
            scope.spawn(move || consumer.run(client, taken));
        }
        let mut putting = Vec::new();
        for producer in producers {
            let (client, put, over) = (server.client(), &put, &over);
            putting.push(scope.spawn(move || producer.run(client, put, over)));
        }
        until("jobs are put and taken", || put.load(Relaxed) >= LOAD && taken.load(Relaxed) >= LOAD);
        std::thread::sleep(Duration::from_millis(random.below(100) as u64));
        if random.one_in(3) {
            let reply = server.client().run(random.pick(&["BGSAVE", "BGREWRITEAOF"]));
            assert!(!reply.is_error(), "{reply}");
            std::thread::sleep(Duration::from_millis(random.below(30) as u64));
        }
        if end != End::UnderLoad {
            over.store(true, Relaxed);
            putting.into_iter().for_each(|thread| thread.join().unwrap());
            let mut client = server.client();
            until("everybody waits for the next job", || {
                server.info("blocked_clients") == waiting && client.run(LEFT) == Value::Int(0)
            });
        }
        match end {
            End::Orderly => assert!(server.stop().success(), "{}", server.log()),
            End::UnderLoad | End::Waiting => server.kill9(),
        }
    });
    server.up();
}

fn kill_who_waits(mut server: Server, rounds: usize) {
    let mut random = Random::from_environment("queues");
    let mut client = server.client();
    let library =
        format!("#!lua name=queues\nredis.register_function('put', function(KEYS, ARGV) {PUT} end)");
    assert_eq!(client.call(&["FUNCTION", "LOAD", &library]).text(), "queues");
    assert!(client.run("XGROUP CREATE log g 0 MKSTREAM").is_ok());
    let mut producers: Vec<Producer> = (0..PRODUCERS)
        .map(|id| Producer {
            id,
            random: random.fork(),
            next: 0,
            acknowledged: BTreeSet::new(),
            in_doubt: BTreeSet::new(),
        })
        .collect();
    let mut consumers: Vec<Consumer> = (WAYS.iter().enumerate())
        .map(|(id, way)| Consumer {
            id,
            way: *way,
            random: random.fork(),
            taken: Vec::new(),
            acknowledged: BTreeSet::new(),
            in_doubt: BTreeSet::new(),
            waits: false,
        })
        .collect();
    let (mut popped, mut ranked) = (BTreeSet::new(), BTreeSet::new());
    for n in 0..rounds {
        let end = [End::UnderLoad, End::UnderLoad, End::Waiting, End::Orderly][n % 4];
        round(&mut server, end, &mut producers, &mut consumers, &mut random);
        if end != End::UnderLoad {
            // A command that waited for the next job has taken none.
            consumers.iter_mut().for_each(|consumer| consumer.waits = false);
        }
        let mut checks = Checks::new(&server, &mut producers, &consumers);
        checks.popped(Way::List, "LRANGE jobs 0 -1", &mut popped);
        checks.popped(Way::Ranked, "ZRANGE ranked 0 -1", &mut ranked);
        checks.moved();
        checks.read();
        eprintln!("round {n}, {end:?}: {} jobs", checks.jobs.len());
    }
}

fn itemory(appendfsync: &str) {
    kill_who_waits(Server::start(&["--appendonly", "yes", "--appendfsync", appendfsync]), ROUNDS);
}

#[test]
fn what_waiting_clients_were_told_is_kept_at_always() {
    itemory("always");
}

#[test]
fn what_waiting_clients_were_told_is_kept_at_everysec() {
    itemory("everysec");
}

/// The referee passes the same load and the same checks, so the test is sound.
#[test]
fn the_referee_keeps_what_waiting_clients_were_told() {
    kill_who_waits(Server::referee(&["--appendonly", "yes", "--appendfsync", "always"]), 4);
}
