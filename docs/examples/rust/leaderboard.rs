//! A leaderboard: the best scores from an index in descending order, ranks by counting, scores changed atomically.

use redis::{
    Connection, ErrorKind, FromRedisValue, RedisResult, ToRedisArgs, Value, cmd, from_redis_value, pipe,
};
use std::collections::HashMap;
use std::error::Error;

/// Plays the story on the server at `url`.
pub(crate) fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let db = &mut redis::Client::open(url)?.get_connection()?;
    // One item per game and player, found by the player's name; the index keeps the items of a game in the order of their
    // scores. On the first run there is nothing to drop, which is an error that does not matter.
    cmd("TABLE.DROP").arg("scores").exec(db).ok();
    cmd("DEL").arg("chess:played").exec(db)?;
    cmd("TABLE.CREATE")
        .arg(("scores", "PK", "game", "S", "SK", "player", "S", "ATTR", "score", "N", "won", "N"))
        .exec(db)?;
    cmd("TABLE.INDEX").arg(("ADD", "scores", "by_score", "PK", "game", "S", "SK", "score", "N")).exec(db)?;

    // A thousand players, each with a score of its own: player-0000 has 0, player-0999 has 9990.
    let mut batch = pipe();
    for n in 0..1000 {
        batch.cmd("ITEM.PUT").arg(("scores", "chess", name(n), "SET", 1, "score", n * 10)).ignore();
    }
    batch.exec(db)?;
    assert_eq!(best(db, 3)?, [(name(999), 9990), (name(998), 9980), (name(997), 9970)]);
    assert_eq!((rank(db, &name(999))?, rank(db, &name(0))?), (1, 1000));
    println!("the best: {:?}", best(db, 3)?);

    // Ann comes from nowhere. Each read of the index shows her as she is at that moment: it is never behind the items.
    assert_eq!(play(db, "ann", 9975)?, 9975);
    assert_eq!(rank(db, "ann")?, 3);
    assert_eq!(play(db, "ann", 20)?, 9995);
    assert_eq!((rank(db, "ann")?, best(db, 1)?), (1, vec![("ann".into(), 9995)]));
    assert_eq!(games(db)?, 2);
    println!("ann is number {} after {} games", rank(db, "ann")?, games(db)?);

    // A game that may not count changes nothing: nobody falls below zero, and no game is counted.
    // Sent by hand, for an atomic pipeline does not tell why EXEC was refused.
    let mut step = pipe();
    step.cmd("MULTI").cmd("ITEM.ATOMIC").cmd("INCR").arg("chess:played");
    step.cmd("ITEM.UPDATE").arg(("scores", "chess", name(0), "INCR", 1, "score", -5, "IF", "score >= 5"));
    step.exec(db)?;
    match cmd("EXEC").query::<Value>(db) {
        Err(error) if error.code() == Some("TXCANCELLED") => {
            assert_eq!(error.detail(), Some("2:ConditionalCheckFailed"));
            println!("{} cannot lose 5 points: {error}", name(0));
        }
        other => return Err(format!("a score fell below zero: {other:?}").into()),
    }
    assert_eq!((games(db)?, rank(db, &name(0))?), (2, 1001));

    // The neighbours of a player: some above, nearest first, and some below.
    let above = players(db, ("SK", ">", 5000, "LIMIT", 2))?;
    let below = players(db, ("SK", "<", 5000, "DESC", "LIMIT", 2))?;
    assert_eq!(above, [(name(501), 5010), (name(502), 5020)]);
    assert_eq!(below, [(name(499), 4990), (name(498), 4980)]);
    println!("around {}: {above:?} {below:?}", name(500));
    Ok(())
}

fn name(n: i64) -> String {
    format!("player-{n:04}")
}

/// Adds points to a score and counts the game in a Redis key: both or neither, and the index with them.
fn play(db: &mut Connection, player: &str, points: i64) -> RedisResult<i64> {
    let mut step = pipe();
    step.atomic().cmd("ITEM.ATOMIC").ignore();
    step.cmd("ITEM.UPDATE")
        .arg(("scores", "chess", player, "INCR", 2, "score", points, "won", i64::from(points > 0)))
        .arg(("RETURN", "NEW"));
    step.cmd("INCR").arg("chess:played").ignore();
    let (item,): (HashMap<String, String>,) = step.query(db)?;
    item["score"].parse().map_err(|_| (ErrorKind::UnexpectedReturnType, "a score is a number").into())
}

fn games(db: &mut Connection) -> RedisResult<i64> {
    cmd("GET").arg("chess:played").query(db)
}

fn ranking<T: FromRedisValue>(db: &mut Connection, clauses: impl ToRedisArgs) -> RedisResult<T> {
    cmd("ITEM.QUERY").arg(("scores", "chess", "INDEX", "by_score")).arg(clauses).query(db)
}

/// Players and scores in the order that the clauses ask for.
fn players(db: &mut Connection, clauses: impl ToRedisArgs) -> RedisResult<Vec<(String, i64)>> {
    let mut page: HashMap<String, Value> = ranking(db, clauses)?;
    let items: Vec<HashMap<String, Value>> = from_redis_value(page.remove("items").unwrap_or(Value::Nil))?;
    items
        .into_iter()
        .map(|mut item| {
            let mut part = |name| item.remove(name).unwrap_or(Value::Nil);
            Ok((from_redis_value(part("player"))?, from_redis_value(part("score"))?))
        })
        .collect()
}

/// The players with the highest scores.
fn best(db: &mut Connection, count: usize) -> RedisResult<Vec<(String, i64)>> {
    players(db, ("DESC", "LIMIT", count))
}

/// 1 for the highest score: one more than there are players with a higher one.
fn rank(db: &mut Connection, player: &str) -> RedisResult<i64> {
    let item: HashMap<String, i64> =
        cmd("ITEM.GET").arg(("scores", "chess", player, "FIELDS", 1, "score")).query(db)?;
    Ok(1 + ranking::<i64>(db, ("SK", ">", item["score"], "COUNT"))?)
}
