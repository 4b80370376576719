//! A feed of device readings: millions of items in time order, read by time range, forgotten after a week.

use redis::{Connection, FromRedisValue, RedisResult, ToRedisArgs, Value, cmd, from_redis_value, pipe};
use std::collections::HashMap;
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

type Item = HashMap<String, i64>;

const WEEK_S: i64 = 7 * 24 * 60 * 60;
/// Readings that are sent with one round trip.
const BATCH: usize = 100;

/// Plays the story on the server at `url`, with this many readings of all devices together.
pub(crate) fn run(url: &str, readings: usize, devices: usize) -> Result<(), Box<dyn Error>> {
    let each = (readings / devices) as i64;
    assert!(each >= 1000, "a device needs at least 1000 readings");
    let db = &mut redis::Client::open(url)?.get_connection()?;

    // A device's readings lie together in the order of their time: one reading a second, the newest of them now. On the first
    // run there is no table to drop, which is an error that does not matter.
    cmd("TABLE.DROP").arg("feed").exec(db).ok();
    cmd("TABLE.CREATE")
        .arg(("feed", "PK", "device", "S", "SK", "at", "N", "TTL", "until", "ATTR", "watts", "N"))
        .exec(db)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() as i64;
    write(db, now - each, each, devices)?;
    read(db, now, each)?;
    measure(db, now - each, each, devices)?;

    // Readings are forgotten by themselves: this one after three seconds.
    cmd("ITEM.PUT").arg(("feed", device(7), now + 1, "SET", 1, "watts", 1, "EX", 3)).exec(db)?;
    let mut tries = 0;
    assert_eq!(query::<i64>(db, 7, ("SK", ">", now, "COUNT"))?, 1);
    while query::<i64>(db, 7, ("SK", ">", now, "COUNT"))? > 0 {
        assert!(tries < 200, "the reading outlived its lifetime");
        thread::sleep(Duration::from_millis(50));
        tries += 1;
    }
    assert_eq!(query::<i64>(db, 7, "COUNT")?, each);
    println!("a reading that lived for three seconds is gone");
    Ok(())
}

fn device(number: usize) -> String {
    format!("meter-{number:05}")
}

/// What a device measured; a rule, so that the sums below can be checked.
fn watts(number: usize, at: i64) -> i64 {
    (at + number as i64) % 1000
}

fn query<T: FromRedisValue>(db: &mut Connection, number: usize, clauses: impl ToRedisArgs) -> RedisResult<T> {
    cmd("ITEM.QUERY").arg(("feed", device(number))).arg(clauses).query(db)
}

/// One page of a query: its items' attributes, which are numbers, and the cursor to go on with.
fn page(
    db: &mut Connection,
    number: usize,
    clauses: impl ToRedisArgs,
) -> RedisResult<(Vec<Item>, Option<String>)> {
    let mut reply: HashMap<String, Value> = query(db, number, clauses)?;
    let mut part = |name| reply.remove(name).unwrap_or(Value::Nil);
    Ok((from_redis_value(part("items"))?, from_redis_value(part("cursor"))?))
}

/// Each reading lives for a week from now.
fn write(db: &mut Connection, start: i64, each: i64, devices: usize) -> Result<(), Box<dyn Error>> {
    let begin = Instant::now();
    for first in (start..start + each).step_by(BATCH) {
        for number in 0..devices {
            let mut batch = pipe();
            for at in first..(start + each).min(first + BATCH as i64) {
                batch
                    .cmd("ITEM.PUT")
                    .arg(("feed", device(number), at, "SET", 1, "watts", watts(number, at), "EX", WEEK_S))
                    .ignore();
            }
            // An error among the replies is the result of the whole.
            batch.exec(db)?;
        }
    }
    let seconds = begin.elapsed().as_secs_f64();
    let count = each * devices as i64;
    println!(
        "{count} readings of {devices} devices written in {seconds:.1} s, {:.0} a second",
        count as f64 / seconds
    );
    let memory: redis::InfoDict = cmd("INFO").arg("memory").query(db)?;
    let used: u64 = memory.get("used_memory").ok_or("INFO says what is used")?;
    println!("the server uses {} MB of memory, with everything else in it", used / 1_000_000);
    Ok(())
}

fn read(db: &mut Connection, now: i64, each: i64) -> Result<(), Box<dyn Error>> {
    // A minute from the middle of a device's feed: in order, or as one figure that the server works out.
    let middle = now - each + each / 2;
    let minute = ("SK", "BETWEEN", middle, middle + 59, "FIELDS", 2, "at", "watts");
    let (readings, _) = page(db, 7, minute)?;
    let found: Vec<(i64, i64)> = readings.iter().map(|reading| (reading["at"], reading["watts"])).collect();
    let expected: Vec<(i64, i64)> = (middle..middle + 60).map(|at| (at, watts(7, at))).collect();
    assert_eq!(found, expected);
    let minute = ("SK", "BETWEEN", middle, middle + 59);
    let most = expected.iter().map(|(_, watts)| *watts).max().unwrap_or_default();
    let mean = expected.iter().map(|(_, watts)| *watts).sum::<i64>() as f64 / 60.0;
    assert_eq!(query::<i64>(db, 7, (minute, "COUNT"))?, 60);
    assert_eq!(query::<i64>(db, 7, (minute, "MAX", "watts"))?, most);
    assert!((query::<f64>(db, 7, (minute, "AVG", "watts"))? - mean).abs() < 1e-9);
    println!("a minute of {} has {} readings, at most {most} watts", device(7), found.len());

    // The latest reading, and the last ones above a threshold.
    let (latest, _) = page(db, 7, ("DESC", "LIMIT", 1, "FIELDS", 2, "at", "watts"))?;
    assert_eq!(latest[0]["at"], now - 1);
    let (high, _) = page(db, 7, ("SK", ">=", now - 600, "WHERE", "watts > 990", "DESC", "FIELDS", 1, "at"))?;
    let high: Vec<i64> = high.iter().map(|reading| reading["at"]).collect();
    let expected: Vec<i64> = (now - 600..now).rev().filter(|at| watts(7, *at) > 990).collect();
    assert_eq!(high, expected);
    println!("its latest: {:?}", latest[0]);

    // A long range page by page: send the cursor of the last page to go on behind it.
    let mut seen = Vec::new();
    let range = ("SK", ">=", now - 1000, "LIMIT", 300, "FIELDS", 1, "at");
    let (mut items, mut cursor) = page(db, 7, range)?;
    loop {
        seen.extend(items.iter().map(|reading| reading["at"]));
        let Some(position) = cursor else { break };
        (items, cursor) = page(db, 7, (range, "CURSOR", position))?;
    }
    assert_eq!(seen, (now - 1000..now).collect::<Vec<_>>());
    println!("the last {} readings came in pages of 300", seen.len());
    Ok(())
}

/// How long does a query of a minute take, whichever device and time?
fn measure(db: &mut Connection, start: i64, each: i64, devices: usize) -> Result<(), Box<dyn Error>> {
    let mut times = Vec::new();
    for n in 0..1000 {
        // Steps without a pattern: multiples of large primes.
        let at = start + (n * 7_368_787) % (each - 60);
        let number = (n as usize * 15_485_863) % devices;
        let begin = Instant::now();
        let found: HashMap<String, Value> = query(db, number, ("SK", "BETWEEN", at, at + 59))?;
        times.push(begin.elapsed());
        assert_eq!(from_redis_value::<i64>(found["count"].clone())?, 60);
    }
    times.sort();
    let (middle, late) = (times[500].as_micros(), times[990].as_micros());
    println!(
        "a minute out of {} readings takes {middle} us (median), {late} us (p99)",
        each * devices as i64
    );
    Ok(())
}
