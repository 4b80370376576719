//! Progress of learners: streaks, points, counters and badges, each changed by one update expression.

use redis::{Connection, RedisResult, Value, cmd, from_redis_value};
use std::collections::{BTreeSet, HashMap};
use std::error::Error;

/// A learner's item; its values are converted as they are asked for.
type Item = HashMap<String, Value>;

fn number(item: &Item, name: &str) -> RedisResult<i64> {
    Ok(from_redis_value(item[name].clone())?)
}

/// Plays the story on the server at `url`.
pub(crate) fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let db = &mut redis::Client::open(url)?.get_connection()?;
    // One item per learner. On the first run there is nothing to drop, which is an error that does not matter.
    cmd("TABLE.DROP").arg("progress").exec(db).ok();
    cmd("TABLE.CREATE").arg(("progress", "PK", "user", "S", "ATTR", "points", "N")).exec(db)?;
    assert!(enrol(db, "ann")? && enrol(db, "bob")?);
    assert!(!enrol(db, "ann")?);

    // Ann learns on seven days in a row, twice on the last of them.
    let first = 20_000;
    for n in 0..7 {
        let item = finish_lesson(db, "ann", "algebra", first + n, 10)?;
        assert_eq!(number(&item, "streak")?, n + 1);
    }
    let item = finish_lesson(db, "ann", "logic", first + 6, 15)?;
    assert_eq!((number(&item, "streak")?, number(&item, "points")?), (7, 85));
    println!("after a week: {}", show(db, "ann")?);

    // She misses a day: the streak begins again, the best one stays.
    finish_lesson(db, "ann", "logic", first + 8, 15)?;
    let ann: Item = cmd("ITEM.GET").arg(("progress", "ann")).query(db)?;
    assert_eq!((number(&ann, "streak")?, number(&ann, "best")?), (1, 7));
    assert_eq!((number(&ann, "points")?, number(&ann, "started")?), (100, first));
    let lessons: HashMap<String, i64> = from_redis_value(ann["lessons"].clone())?;
    assert_eq!(lessons, HashMap::from([("algebra".into(), 7), ("logic".into(), 2)]));
    let badges: BTreeSet<String> = from_redis_value(ann["badges"].clone())?;
    assert_eq!(badges, BTreeSet::from(["century".into(), "week".into()]));
    println!("after a missed day: {}", show(db, "ann")?);

    // Only what is asked for travels: one counter out of the map.
    let counter = ("progress", "ann", "FIELDS", 1, "lessons.logic", "FORMAT", "JSON");
    assert_eq!(cmd("ITEM.GET").arg(counter).query::<String>(db)?, r#"{"lessons":{"logic":2}}"#);

    // Who has a badge? A condition on one learner, a filter over all.
    finish_lesson(db, "bob", "logic", first, 5)?;
    let has_week = r#"contains(badges, "week")"#;
    for (user, has) in [("ann", Some(1)), ("bob", None)] {
        let check = ("progress", user, "IF", has_week);
        assert_eq!(cmd("ITEM.CHECK").arg(check).query::<Option<i64>>(db)?, has);
    }
    let scan = ("progress", "WHERE", has_week, "FIELDS", 1, "user");
    let mut page: HashMap<String, Value> = cmd("ITEM.SCAN").arg(scan).query(db)?;
    let holders: Vec<HashMap<String, String>> = from_redis_value(page.remove("items").unwrap_or(Value::Nil))?;
    assert_eq!(holders, [HashMap::from([("user".into(), "ann".into())])]);
    println!("has the badge `week`: {}", holders[0]["user"]);

    // Spending points needs enough of them. A badge can be taken back, too.
    let spend = |user| {
        cmd("ITEM.UPDATE").arg(("progress", user, "INCR", 1, "points", -50, "IF", "points >= 50")).clone()
    };
    assert_eq!(spend("bob").query::<Option<String>>(db)?, None);
    let changed: String = spend("ann")
        .arg(("EXPR", "DELETE badges :gone", "VALUES", r#"{":gone":{"SS":["century"]}}"#))
        .arg(("RETURN", "UPDATED", "FORMAT", "JSON"))
        .query(db)?;
    assert_eq!(changed, r#"{"badges":["week"],"points":50}"#);
    println!("bob cannot spend 50 points, ann can");
    Ok(())
}

/// Makes the learner's item; one that is there stays as it is.
fn enrol(db: &mut Connection, user: &str) -> RedisResult<bool> {
    let new = r#"{"streak":0,"best":0,"points":0,"last":0,"lessons":{}}"#;
    let unknown = "attribute_not_exists(user)";
    let made: Option<String> =
        cmd("ITEM.PUT").arg(("progress", user, "JSON", new, "IF", unknown)).query(db)?;
    Ok(made.is_some())
}

/// Counts a lesson finished on a day (days since 1970), and gives the learner's item as it is then.
///
/// On the day after the last one the streak grows, on the same day it stays, and later it begins again. The three conditions
/// exclude each other, so exactly one of these updates happens, and each is one atomic step.
fn finish_lesson(
    db: &mut Connection,
    user: &str,
    lesson: &str,
    day: i64,
    points: i64,
) -> Result<Item, Box<dyn Error>> {
    let cases = [
        (format!("last = {}", day - 1), "streak + 1"),
        (format!("last = {day}"), "streak"),
        (format!("last < {}", day - 1), "1"),
    ];
    let mut item: Option<Item> = None;
    for (condition, streak) in cases {
        let change = format!(
            "SET streak = {streak}, last = {day}, started = if_not_exists(started, :day), \
             lessons.#name = if_not_exists(lessons.#name, :none) + :one"
        );
        item = cmd("ITEM.UPDATE")
            .arg(("progress", user, "INCR", 1, "points", points))
            .arg(("EXPR", change, "IF", condition))
            .arg(("NAMES", format!(r##"{{"#name":"{lesson}"}}"##)))
            .arg(("VALUES", format!(r#"{{":day":{day},":none":0,":one":1}}"#), "RETURN", "NEW"))
            .query(db)?;
        if item.is_some() {
            break;
        }
    }
    let item = item.ok_or("none of the cases held")?;
    // The best streak only ever grows, whoever writes it and in whatever order.
    cmd("ITEM.UPDATE")
        .arg(("progress", user, "EXPR", "SET best = streak", "IF", "best < streak"))
        .exec(db)?;
    if number(&item, "streak")? == 7 {
        award(db, user, "week")?;
    }
    if number(&item, "points")? >= 100 {
        award(db, user, "century")?;
    }
    Ok(item)
}

/// Badges are a set: one that the learner has is not added again.
fn award(db: &mut Connection, user: &str, badge: &str) -> RedisResult<()> {
    cmd("ITEM.UPDATE").arg(("progress", user, "ADD", 1, "badges:ss", format!(r#"["{badge}"]"#))).exec(db)
}

fn show(db: &mut Connection, user: &str) -> RedisResult<String> {
    cmd("ITEM.GET").arg(("progress", user, "FORMAT", "JSON")).query(db)
}
