//! Sessions: they expire by themselves, live on while they are used, and can be listed and ended per user.

use redis::{Connection, RedisResult, Value, cmd, from_redis_value, pipe};
use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Read as _;
use std::thread;
use std::time::Duration;

type Item = HashMap<String, String>;

const LIFETIME_S: u32 = 30 * 60;

/// Plays the story on the server at `url`.
pub(crate) fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let db = &mut redis::Client::open(url)?.get_connection()?;
    // A user's sessions share a partition key, so that they can be listed. A cookie holds both keys: user and id. On the first
    // run there is nothing to drop, which is an error that does not matter.
    cmd("TABLE.DROP").arg("sessions").exec(db).ok();
    cmd("TABLE.CREATE")
        .arg(("sessions", "PK", "user", "S", "SK", "id", "S", "TTL", "expires"))
        .arg(("ATTR", "requests", "N"))
        .exec(db)?;
    let phone = log_in(db, "ann", "phone")?;
    let laptop = log_in(db, "ann", "laptop")?;
    log_in(db, "bob", "tablet")?;
    assert_eq!(devices(db, "ann")?, ["laptop", "phone"]);
    assert_eq!(devices(db, "bob")?, ["tablet"]);
    println!("ann is logged in on {:?}", devices(db, "ann")?);

    // Each request finds the session and prolongs it.
    touch(db, "ann", &phone)?;
    let session = touch(db, "ann", &phone)?.ok_or("the session is there")?;
    assert_eq!((session["requests"].as_str(), session["device"].as_str()), ("2", "phone"));
    println!("her phone's session: {session:?}");

    // A session that was made up, or belongs to somebody else, is none.
    assert_eq!(touch(db, "ann", "made-up")?, None);
    assert_eq!(touch(db, "bob", &phone)?, None);

    // A session that nobody uses is over at its second, for every reader; touching it does not bring it back. This one is
    // given a second more.
    let kiosk = log_in(db, "ann", "kiosk")?;
    assert!(devices(db, "ann")?.contains(&"kiosk".into()));
    cmd("ITEM.UPDATE").arg(("sessions", "ann", &kiosk, "EX", 1)).exec(db)?;
    let mut tries = 0;
    while cmd("ITEM.GET").arg(("sessions", "ann", &kiosk)).query::<Option<Item>>(db)?.is_some() {
        assert!(tries < 200, "the session outlived its lifetime");
        thread::sleep(Duration::from_millis(50));
        tries += 1;
    }
    assert_eq!(touch(db, "ann", &kiosk)?, None);
    assert_eq!(devices(db, "ann")?, ["laptop", "phone"]);
    println!("the kiosk's session has expired; left are {:?}", devices(db, "ann")?);

    // Ann changes her password on the phone and is logged out everywhere else.
    assert_eq!(log_out_elsewhere(db, "ann", &phone)?, 1);
    assert_eq!(devices(db, "ann")?, ["phone"]);
    assert_eq!(touch(db, "ann", &laptop)?, None);
    assert_eq!(devices(db, "bob")?, ["tablet"]);
    println!("after logging out elsewhere: {:?}", devices(db, "ann")?);
    Ok(())
}

/// Begins a session that ends by itself when its lifetime is over.
fn log_in(db: &mut Connection, user: &str, device: &str) -> Result<String, Box<dyn Error>> {
    let mut secret = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut secret)?;
    let session = format!("{:032x}", u128::from_be_bytes(secret));
    let made: Option<String> = cmd("ITEM.PUT")
        .arg(("sessions", user, &session, "SET", 2, "device", device, "requests", 0))
        .arg(("IF", "attribute_not_exists(id)", "EX", LIFETIME_S))
        .query(db)?;
    assert!(made.is_some());
    Ok(session)
}

/// Counts a request and sets the lifetime anew, in one step. `None` if there is no such session any more.
fn touch(db: &mut Connection, user: &str, session: &str) -> RedisResult<Option<Item>> {
    cmd("ITEM.UPDATE")
        .arg(("sessions", user, session, "INCR", 1, "requests", 1))
        .arg(("IF", "attribute_exists(id)", "EX", LIFETIME_S, "RETURN", "NEW"))
        .query(db)
}

/// All sessions of a user; those that have expired are not among them.
fn sessions(db: &mut Connection, user: &str) -> RedisResult<Vec<Item>> {
    let mut page: HashMap<String, Value> = cmd("ITEM.QUERY").arg(("sessions", user)).query(db)?;
    Ok(from_redis_value(page.remove("items").unwrap_or(Value::Nil))?)
}

fn devices(db: &mut Connection, user: &str) -> RedisResult<Vec<String>> {
    let mut devices: Vec<String> =
        sessions(db, user)?.into_iter().filter_map(|mut session| session.remove("device")).collect();
    devices.sort();
    Ok(devices)
}

/// Ends all sessions of a user but one, all at once.
fn log_out_elsewhere(db: &mut Connection, user: &str, keep: &str) -> RedisResult<i64> {
    let mut step = pipe();
    step.atomic();
    for session in sessions(db, user)? {
        if session["id"] != keep {
            step.cmd("ITEM.DEL").arg(("sessions", user, &session["id"]));
        }
    }
    let ended: Vec<i64> = step.query(db)?;
    Ok(ended.iter().sum())
}
