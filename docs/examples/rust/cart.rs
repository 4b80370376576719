//! A shopping cart: stock that cannot be oversold, and an order that is placed as a whole or not at all.

use redis::{Cmd, Connection, RedisResult, Value, cmd, from_redis_value, pipe};
use std::collections::HashMap;
use std::error::Error;
use std::thread;

type Item = HashMap<String, String>;

/// Plays the story on the server at `url`.
pub(crate) fn run(url: &str) -> Result<(), Box<dyn Error>> {
    let client = redis::Client::open(url)?;
    let db = &mut client.get_connection()?;
    set_up(db)?;

    // One product, one condition: the update happens only if there is enough, and its reply is nil otherwise.
    let hundred = ("products", "book", "INCR", 1, "stock", -100, "IF", "stock >= 100");
    let refused: Option<String> = cmd("ITEM.UPDATE").arg(hundred).query(db)?;
    assert_eq!(refused, None);
    println!("a hundred books: refused, and there are still {}", stock(db, "book")?);

    // Twenty buyers at the same time, five books: five get one.
    let one = ("products", "book", "INCR", 1, "stock", -1, "IF", "stock >= 1");
    let buy = || cmd("ITEM.UPDATE").arg(one).query::<Option<String>>(&mut client.get_connection()?);
    let replies: Vec<RedisResult<Option<String>>> = thread::scope(|scope| {
        let buyers: Vec<_> = (0..20).map(|_| scope.spawn(buy)).collect();
        buyers.into_iter().filter_map(|buyer| buyer.join().ok()).collect()
    });
    let sold = replies.iter().filter(|reply| matches!(reply, Ok(Some(_)))).count();
    assert_eq!((sold, stock(db, "book")?), (5, 0), "{replies:?}");
    println!("twenty buyers of five books: {sold} got one");

    // Ann buys two boards and the only clock.
    add_to_cart(db, "ann", "board")?;
    add_to_cart(db, "ann", "board")?;
    add_to_cart(db, "ann", "clock")?;
    let lines = cart(db, "ann")?;
    let lines: Vec<_> = lines.iter().map(|line| (line["sku"].as_str(), line["qty"].as_str())).collect();
    assert_eq!(lines, [("board", "2"), ("clock", "1")]);
    let (number, order) = order_of(db, "ann")?;
    transact(db, &order)?;
    assert_eq!((stock(db, "board")?, stock(db, "clock")?), (8, 0));
    assert_eq!(cart(db, "ann")?, Vec::<Item>::new());
    let placed: String = cmd("ITEM.GET").arg(("orders", "ann", number, "FORMAT", "JSON")).query(db)?;
    assert!(placed.contains(r#""total":105"#), "{placed}");
    println!("ann's order: {placed}");

    // Bob wants a board and a clock. The clock is gone, so the whole transaction is cancelled: the board stays in stock,
    // his cart stays full, and no order is counted. The error says which command failed, counted from ITEM.ATOMIC as 0.
    add_to_cart(db, "bob", "board")?;
    add_to_cart(db, "bob", "clock")?;
    let (_, cancelled) = order_of(db, "bob")?;
    match transact(db, &cancelled) {
        Err(error) if error.code() == Some("TXCANCELLED") => {
            assert_eq!(error.detail(), Some("2:ConditionalCheckFailed"));
            println!("bob's order: {error}");
        }
        other => return Err(format!("bob bought a clock that was not there: {other:?}").into()),
    }
    assert_eq!((stock(db, "board")?, cart(db, "bob")?.len()), (8, 2));
    let orders: i64 = cmd("ITEM.QUERY").arg(("orders", "bob", "COUNT")).query(db)?;
    assert_eq!((orders, count_of_orders(db)?), (0, 1));

    // Ann's reply got lost and her program sends the same transaction again: it is answered as before, and sells nothing twice.
    transact(db, &order)?;
    assert_eq!((stock(db, "board")?, count_of_orders(db)?), (8, 1));
    println!(
        "ann's order sent again: boards left {}, orders placed {}",
        stock(db, "board")?,
        count_of_orders(db)?
    );
    Ok(())
}

/// Three tables. A cart's lines share the partition key `user`, so one query reads a whole cart; a line that nobody touches
/// for a day expires by its attribute `until`.
fn set_up(db: &mut Connection) -> Result<(), Box<dyn Error>> {
    for table in ["products", "carts", "orders"] {
        // On the first run there is nothing to drop, which is an error that does not matter.
        cmd("TABLE.DROP").arg(table).exec(db).ok();
    }
    cmd("DEL").arg("orders:placed").exec(db)?;
    let create = |name| cmd("TABLE.CREATE").arg(name).clone();
    create("products").arg(("PK", "sku", "S", "ATTR", "stock", "N", "price", "N")).exec(db)?;
    create("carts")
        .arg(("PK", "user", "S", "SK", "sku", "S", "TTL", "until"))
        .arg(("ATTR", "qty", "N"))
        .exec(db)?;
    create("orders").arg(("PK", "user", "S", "SK", "number", "N", "ATTR", "total", "N")).exec(db)?;
    for (sku, stock, price) in [("board", 10, 40), ("clock", 1, 25), ("book", 5, 18)] {
        cmd("ITEM.PUT").arg(("products", sku, "SET", 2, "stock", stock, "price", price)).exec(db)?;
    }
    Ok(())
}

fn stock(db: &mut Connection, sku: &str) -> RedisResult<i64> {
    let item: HashMap<String, i64> =
        cmd("ITEM.GET").arg(("products", sku, "FIELDS", 1, "stock")).query(db)?;
    Ok(item["stock"])
}

fn count_of_orders(db: &mut Connection) -> RedisResult<i64> {
    cmd("GET").arg("orders:placed").query(db)
}

fn add_to_cart(db: &mut Connection, user: &str, sku: &str) -> RedisResult<()> {
    cmd("ITEM.UPDATE").arg(("carts", user, sku, "INCR", 1, "qty", 1, "EX", 24 * 60 * 60)).exec(db)
}

/// A query's reply is a map: `items`, `count`, `scanned` and `cursor`.
fn cart(db: &mut Connection, user: &str) -> RedisResult<Vec<Item>> {
    let mut page: HashMap<String, Value> = cmd("ITEM.QUERY").arg(("carts", user)).query(db)?;
    Ok(from_redis_value(page.remove("items").unwrap_or(Value::Nil))?)
}

/// The transaction that takes each line of a user's cart out of stock, writes the order and empties the cart.
fn order_of(db: &mut Connection, user: &str) -> Result<(i64, Vec<Cmd>), Box<dyn Error>> {
    let number: i64 = cmd("INCR").arg("orders:number").query(db)?;
    // The token makes it safe to send this very transaction again when its reply was lost.
    let mut take = vec![cmd("ITEM.ATOMIC").arg(("TOKEN", format!("order-{number}"))).clone()];
    let mut empty = Vec::new();
    let (mut total, mut lines) = (0, Vec::new());
    for line in cart(db, user)? {
        let (sku, qty): (&str, i64) = (&line["sku"], line["qty"].parse()?);
        let product: Item = cmd("ITEM.GET").arg(("products", sku)).query(db)?;
        total += qty * product["price"].parse::<i64>()?;
        lines.push(format!(r#"{{"sku":"{sku}","qty":{qty}}}"#));
        let mut update = cmd("ITEM.UPDATE");
        update.arg(("products", sku, "INCR", 1, "stock", -qty));
        update.arg(("IF", "stock >= :n", "VALUES", format!(r#"{{":n":{qty}}}"#)));
        take.push(update);
        // A cart that was changed meanwhile on another device is not emptied.
        empty.push(cmd("ITEM.DEL").arg(("carts", user, sku, "IF", format!("qty = {qty}"))).clone());
    }
    let order = format!(r#"{{"total":{total},"lines":[{}]}}"#, lines.join(","));
    let unused = "attribute_not_exists(number)";
    take.push(cmd("ITEM.PUT").arg(("orders", user, number, "JSON", order, "IF", unused)).clone());
    take.extend(empty);
    take.push(cmd("INCR").arg("orders:placed").clone());
    Ok((number, take))
}

/// Sends the commands between MULTI and EXEC. The crate's atomic pipelines would do, but they do not tell why EXEC was refused.
fn transact(db: &mut Connection, commands: &[Cmd]) -> RedisResult<Value> {
    let mut queue = pipe();
    queue.cmd("MULTI").ignore();
    for command in commands {
        queue.add_command(command.clone()).ignore();
    }
    let queued = queue.exec(db);
    let done = cmd("EXEC").query(db);
    queued.and(done)
}
