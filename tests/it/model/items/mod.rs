//! Random requests on tables of items against a model that is simple enough to be seen to be right: single writes,
//! transactions, batches, queries and scans, tables that are created and dropped, items that expire, and transactions
//! over items and keys. In between there are restarts and checkpoints, and the clock advances.
//!
//! From time to time everything is compared as a whole: each of [`CHECKS`] compares one table. Whatever derives from a
//! table (an index, a change stream) is checked by a function there.

mod changes;
mod make;
mod state;

use super::in_process::InProcess;
use super::{Process, Reopen, Subject};
use crate::harness::{Random, Server, Value};
use itemory::config::AppendFsync;
use make::Text;
use serde_json::{Value as Json, json};
use state::{Action, Item, Key, Model, Scalar, Table, Write, item_json, item_size, key_item};
use std::collections::BTreeMap;

/// The comparisons of a table as a whole. They run when no expired item is left in it.
const CHECKS: [fn(&mut Driver<'_>, &str); 4] = [whole_table, counts, indexes, changes::replayed];

/// The subject, its model, and the history of requests.
struct Driver<'s> {
    subject: &'s mut dyn Subject,
    model: Model,
    random: Random,
    history: Vec<String>,
    movable: bool,
}

/// A reply with sorted sets, and with errors without their texts.
fn plain(json: &Json) -> Json {
    match json {
        Json::Object(object) => {
            let mut out = serde_json::Map::new();
            for (name, inner) in object {
                match name.as_str() {
                    "message" | "Message" => {}
                    "__type" => {
                        let kind = inner.as_str().unwrap().rsplit('#').next().unwrap();
                        out.insert("error".to_owned(), kind.into());
                    }
                    "SS" | "NS" | "BS" => {
                        let mut members = inner.as_array().cloned().unwrap_or_default();
                        members.sort_by_key(ToString::to_string);
                        out.insert(name.clone(), members.into());
                    }
                    _ => drop(out.insert(name.clone(), plain(inner))),
                }
            }
            out.sort_keys();
            out.into()
        }
        Json::Array(list) => list.iter().map(plain).collect(),
        other => other.clone(),
    }
}

impl Driver<'_> {
    fn call(&mut self, words: &[String]) -> Value {
        self.history.push(words.join(" "));
        self.subject.call(0, words)
    }

    fn ddb(&mut self, operation: &str, body: &Json) -> Json {
        let reply = self.call(&["DDB".to_owned(), operation.to_owned(), body.to_string()]);
        let text = reply.text();
        let json = text.strip_prefix("DDB ").unwrap_or(&text);
        plain(&serde_json::from_str(json).unwrap_or_else(|_| panic!("{text}\n{}", self.past())))
    }

    /// The latest requests.
    fn past(&self) -> String {
        self.history[self.history.len().saturating_sub(30)..].join("\n")
    }

    fn expect(&mut self, operation: &str, body: &Json, expected: &Json) {
        let came = self.ddb(operation, body);
        let expected = plain(expected);
        assert!(came == expected, "{came} came, the model says {expected}\n{}", self.past());
    }

    fn pick_table(&mut self) -> Option<String> {
        let names: Vec<&String> = self.model.tables.keys().collect();
        (!names.is_empty()).then(|| names[self.random.below(names.len())].clone())
    }

    fn action(&mut self, name: &str) -> Action {
        let now = self.subject.now();
        make::action(&mut self.random, &self.model, name, now, self.movable)
    }
}

/// Makes one request, or one event.
fn step(driver: &mut Driver<'_>) {
    let now = driver.subject.now();
    match driver.random.below(100) {
        0 => toggle_table(driver),
        1 if driver.random.one_in(3) => toggle_ttl(driver),
        2..=44 => write(driver),
        45..=54 => get(driver),
        55..=66 => query(driver),
        67..=70 => scan(driver),
        71..=76 => batch_write(driver),
        77..=79 => batch_get(driver),
        80..=89 => transact(driver),
        90..=95 => exec(driver),
        _ => {
            if driver.movable {
                let millis = driver.random.below(2000) as u64;
                driver.subject.advance(millis);
                driver.history.push(format!("-- the clock goes from {now} on by {millis}"));
            }
        }
    }
}

/// Drops a table, or creates one.
fn toggle_table(driver: &mut Driver<'_>) {
    let name = driver.random.pick(&make::TABLES).to_owned();
    if driver.model.tables.len() > 1 && driver.model.tables.remove(&name).is_some() {
        let reply = driver.ddb("DeleteTable", &json!({"TableName": name}));
        assert_eq!(reply["TableDescription"]["TableStatus"], "DELETING", "{reply}");
        return;
    }
    create_table(driver, &name);
}

fn create_table(driver: &mut Driver<'_>, name: &str) {
    let kind = |random: &mut Random| ['S', 'N', 'B'][random.below(3)];
    let (pk, sk) = (kind(&mut driver.random), (!driver.random.one_in(4)).then(|| kind(&mut driver.random)));
    let mut attributes = vec![json!({"AttributeName": "id", "AttributeType": pk.to_string()})];
    let mut keys = vec![json!({"AttributeName": "id", "KeyType": "HASH"})];
    if let Some(sk) = sk {
        attributes.push(json!({"AttributeName": "k", "AttributeType": sk.to_string()}));
        keys.push(json!({"AttributeName": "k", "KeyType": "RANGE"}));
    }
    let mut body = json!({"TableName": name, "KeySchema": keys, "BillingMode": "PAY_PER_REQUEST"});
    if driver.random.one_in(2) {
        attributes.push(json!({"AttributeName": "g", "AttributeType": "S"}));
        attributes.push(json!({"AttributeName": "h", "AttributeType": "N"}));
        // The check of indexes passes partition keys as text.
        index_definitions(&mut driver.random, sk.is_some() && pk != 'B', &mut body);
    }
    body["AttributeDefinitions"] = attributes.into();
    if !driver.random.one_in(3) {
        body["StreamSpecification"] = json!({"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"});
    }
    let reply = driver.ddb("CreateTable", &body);
    if driver.model.tables.contains_key(name) {
        assert_eq!(reply, json!({"error": "ResourceInUseException"}));
        return;
    }
    assert_eq!(reply["TableDescription"]["TableStatus"], "CREATING", "{reply}");
    driver.model.tables.insert(name.to_owned(), Table { pk, sk, ttl: None, items: BTreeMap::new() });
}

/// A global index on `g` and `h`, and a local one on `h` if the table can have one.
fn index_definitions(random: &mut Random, with_sort: bool, body: &mut Json) {
    let key = |name: &str, role: &str| json!({"AttributeName": name, "KeyType": role});
    let projection = [
        json!({"ProjectionType": "ALL"}),
        json!({"ProjectionType": "KEYS_ONLY"}),
        json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a", "m"]}),
    ];
    let mut projection = || projection[random.below(3)].clone();
    body["GlobalSecondaryIndexes"] = json!([
        {"IndexName": "by-g", "KeySchema": [key("g", "HASH"), key("h", "RANGE")], "Projection": projection()}
    ]);
    if with_sort {
        body["LocalSecondaryIndexes"] = json!([
            {"IndexName": "by-h", "KeySchema": [key("id", "HASH"), key("h", "RANGE")], "Projection": projection()}
        ]);
    }
}

fn toggle_ttl(driver: &mut Driver<'_>) {
    let Some(name) = driver.pick_table() else { return };
    let table = driver.model.tables.get_mut(&name).unwrap();
    table.ttl = if table.ttl.is_some() { None } else { Some("ttl".to_owned()) };
    let specification = json!({"AttributeName": "ttl", "Enabled": table.ttl.is_some()});
    let body = json!({"TableName": name, "TimeToLiveSpecification": specification});
    driver.expect("UpdateTimeToLive", &body, &json!({"TimeToLiveSpecification": specification}));
}

fn write(driver: &mut Driver<'_>) {
    let Some(name) = driver.pick_table() else { return };
    let action = driver.action(&name);
    let (operation, body) = make::request(&action, true);
    let now = driver.subject.now();
    let expected = driver.model.write(&action, now);
    driver.expect(&format!("{operation}Item"), &body, &expected);
}

fn key_json(key: &Key) -> Json {
    item_json(&key_item(key))
}

fn get(driver: &mut Driver<'_>) {
    let Some(name) = driver.pick_table() else { return };
    let table = &driver.model.tables[&name];
    let key = make::key(&mut driver.random, table);
    let expected = match table.get(&key, driver.subject.now()) {
        Some(item) => json!({"Item": item_json(item)}),
        None => json!({}),
    };
    let body = json!({"TableName": name, "Key": key_json(&key)});
    driver.expect("GetItem", &body, &expected);
}

/// The meaning of a condition on the sort key.
type SortTest = Box<dyn Fn(&Scalar) -> bool>;

fn sort_condition(random: &mut Random, key: &Scalar, text: &mut Text) -> (String, SortTest) {
    let (one, value) = (key.clone(), text.value(&key.json()));
    let compare = |sign: &str, test: fn(std::cmp::Ordering) -> bool| -> (String, SortTest) {
        (format!("k {sign} {value}"), Box::new(move |sort: &Scalar| test(sort.cmp(&one))))
    };
    match (random.below(7), key) {
        (0, _) => compare("=", std::cmp::Ordering::is_eq),
        (1, _) => compare("<", std::cmp::Ordering::is_lt),
        (2, _) => compare("<=", std::cmp::Ordering::is_le),
        (3, _) => compare(">", std::cmp::Ordering::is_gt),
        (6, Scalar::S(prefix)) => {
            let prefix = prefix.clone();
            let test = move |sort: &Scalar| matches!(sort, Scalar::S(text) if text.starts_with(&prefix));
            (format!("begins_with(k, {value})"), Box::new(test))
        }
        (5, Scalar::N(low)) => {
            let (low, high) = (*low, low + 20);
            let top = text.value(&Scalar::N(high).json());
            let test = move |sort: &Scalar| matches!(sort, Scalar::N(n) if (low..=high).contains(n));
            (format!("k BETWEEN {value} AND {top}"), Box::new(test))
        }
        _ => compare(">=", std::cmp::Ordering::is_ge),
    }
}

/// Makes a query page by page, in both directions.
fn query(driver: &mut Driver<'_>) {
    let Some(name) = driver.pick_table() else { return };
    let (now, random) = (driver.subject.now(), &mut driver.random);
    let table = &driver.model.tables[&name];
    let (pk, sk) = make::key(random, table);
    let mut text = Text::default();
    let mut expression = format!("id = {}", text.value(&pk.json()));
    let mut test: SortTest = Box::new(|_| true);
    if let Some(sort) = sk.filter(|_| random.one_in(2)) {
        let (more, meaning) = sort_condition(random, &sort, &mut text);
        expression = format!("{expression} AND {more}");
        test = meaning;
    }
    let forward = random.one_in(2);
    let mut body =
        json!({"TableName": name, "KeyConditionExpression": expression, "ScanIndexForward": forward});
    let of_partition = table.shown(now).filter(|(key, _)| key.0 == pk);
    let mut expected: Vec<Json> = of_partition
        .filter(|(key, _)| key.1.as_ref().is_none_or(&test))
        .map(|(_, item)| plain(&item_json(item)))
        .collect();
    if !forward {
        expected.reverse();
    }
    if random.one_in(2) {
        body["Limit"] = (1 + random.below(4)).into();
    }
    text.finish(&mut body);
    let (items, scanned) = read_all(driver, "Query", body, expected.len());
    assert!(items == expected, "{items:?} came, the model says {expected:?}\n{}", driver.past());
    assert_eq!(scanned, expected.len());
}

/// Reads all pages. Returns the items and how many were looked at.
fn read_all(driver: &mut Driver<'_>, operation: &str, mut body: Json, most: usize) -> (Vec<Json>, usize) {
    let limit = body.get("Limit").and_then(Json::as_u64).map_or(usize::MAX, |limit| limit as usize);
    let (mut items, mut scanned) = (Vec::new(), 0);
    // A limit may end a page exactly at the last item; then another, empty page follows.
    for _ in 0..=most + 1 {
        let page = driver.ddb(operation, &body);
        assert!(page.get("error").is_none(), "{page}\n{}", driver.past());
        let of_page = page["ScannedCount"].as_u64().unwrap() as usize;
        assert!(of_page <= limit, "{page}");
        scanned += of_page;
        let new = page["Items"].as_array().unwrap();
        assert_eq!(page["Count"].as_u64().unwrap() as usize, new.len());
        items.extend(new.iter().cloned());
        match page.get("LastEvaluatedKey") {
            Some(last) => body["ExclusiveStartKey"] = last.clone(),
            None => return (items, scanned),
        }
    }
    panic!("there is always one more page\n{}", driver.past());
}

/// Makes a scan in segments, with a filter.
fn scan(driver: &mut Driver<'_>) {
    let Some(name) = driver.pick_table() else { return };
    let (now, random) = (driver.subject.now(), &mut driver.random);
    let all: Vec<Item> = driver.model.tables[&name].shown(now).map(|(_, item)| item.clone()).collect();
    let mut body = json!({"TableName": name});
    if random.one_in(2) {
        body["Limit"] = (1 + random.below(5)).into();
    }
    let condition = make::condition(random, 0);
    let mut text = Text::default();
    body["FilterExpression"] = text.condition(&condition).into();
    text.finish(&mut body);
    let segments = 1 + random.below(4);
    let (mut items, mut scanned) = (Vec::new(), 0);
    for segment in 0..segments {
        let mut body = body.clone();
        if segments > 1 {
            body["Segment"] = segment.into();
            body["TotalSegments"] = segments.into();
        }
        let (more, looked_at) = read_all(driver, "Scan", body, all.len());
        items.extend(more);
        scanned += looked_at;
    }
    let mut expected: Vec<Json> =
        all.iter().filter(|item| condition.holds(Some(item))).map(|item| plain(&item_json(item))).collect();
    expected.sort_by_key(ToString::to_string);
    items.sort_by_key(ToString::to_string);
    assert!(items == expected, "{items:?} came, the model says {expected:?}\n{}", driver.past());
    assert_eq!(scanned, all.len(), "{}", driver.past());
}

/// Distinct keys of several tables.
fn several(driver: &mut Driver<'_>) -> Vec<(String, Key)> {
    let mut keys = Vec::new();
    for _ in 0..=driver.random.below(6) {
        let Some(name) = driver.pick_table() else { break };
        let key = make::key(&mut driver.random, &driver.model.tables[&name]);
        if !keys.contains(&(name.clone(), key.clone())) {
            keys.push((name, key));
        }
    }
    keys
}

fn batch_write(driver: &mut Driver<'_>) {
    let now = driver.subject.now();
    let mut requests = serde_json::Map::new();
    for (name, key) in several(driver) {
        let write = if driver.random.one_in(3) {
            Write::Delete
        } else {
            Write::Put(make::item(&mut driver.random, &key, now, driver.movable))
        };
        let request = match &write {
            Write::Put(item) => json!({"PutRequest": {"Item": item_json(item)}}),
            _ => json!({"DeleteRequest": {"Key": key_json(&key)}}),
        };
        let list = requests.entry(name.clone()).or_insert_with(|| json!([]));
        list.as_array_mut().unwrap().push(request);
        let action = Action { table: name, key, write, condition: None, returns: "NONE", show: false };
        driver.model.write(&action, now);
    }
    if !requests.is_empty() {
        driver.expect("BatchWriteItem", &json!({"RequestItems": requests}), &json!({"UnprocessedItems": {}}));
    }
}

fn batch_get(driver: &mut Driver<'_>) {
    let now = driver.subject.now();
    let (mut requests, mut expected) = (serde_json::Map::new(), serde_json::Map::new());
    for (name, key) in several(driver) {
        let table = &driver.model.tables[&name];
        let keys = requests.entry(name.clone()).or_insert_with(|| json!({"Keys": []}));
        keys["Keys"].as_array_mut().unwrap().push(key_json(&key));
        let items = expected.entry(name).or_insert_with(|| json!([]));
        items.as_array_mut().unwrap().extend(table.get(&key, now).map(item_json));
    }
    if !requests.is_empty() {
        let expected = json!({"Responses": expected, "UnprocessedKeys": {}});
        driver.expect("BatchGetItem", &json!({"RequestItems": requests}), &expected);
    }
}

fn transact(driver: &mut Driver<'_>) {
    let now = driver.subject.now();
    let mut actions: Vec<Action> = Vec::new();
    for _ in 0..=driver.random.below(4) {
        let Some(name) = driver.pick_table() else { return };
        let mut action = driver.action(&name);
        // In a transaction an update needs an expression, and a check needs a condition.
        if matches!(&action.write, Write::Update(changes) if changes.is_empty()) || driver.random.one_in(6) {
            action.write = Write::Check;
            action.condition = Some(make::condition(&mut driver.random, 0));
        }
        action.returns = "NONE";
        if !actions.iter().any(|other| other.table == action.table && other.key == action.key) {
            actions.push(action);
        }
    }
    let items: Vec<Json> = actions
        .iter()
        .map(|action| {
            let (kind, body) = make::request(action, false);
            json!({kind: body})
        })
        .collect();
    let token = driver.random.one_in(4).then(|| format!("token-{}", driver.random.below(1_000_000)));
    let mut body = json!({"TransactItems": items});
    if let Some(token) = &token {
        body["ClientRequestToken"] = token.clone().into();
    }
    let expected = driver.model.transact(&actions, token.as_deref(), now);
    driver.expect("TransactWriteItems", &body, &expected);
    if token.is_some() && driver.random.one_in(2) {
        let expected = driver.model.transact(&actions, token.as_deref(), now);
        driver.expect("TransactWriteItems", &body, &expected);
    }
}

/// Changes items and a key in one EXEC, all or nothing.
fn exec(driver: &mut Driver<'_>) {
    let now = driver.subject.now();
    let Some(name) = driver.pick_table() else { return };
    let table = &driver.model.tables[&name];
    if table.pk == 'B' || table.sk == Some('B') {
        return;
    }
    let (key, n) = (make::key(&mut driver.random, table), driver.random.below(20) as i64 - 10);
    let old = table.get(&key, now).cloned();
    let all_or_nothing = driver.random.one_in(2);
    let holds = state::Condition::Less("n".to_owned(), 0).holds(old.as_ref());
    let text = |scalar: &Scalar| match scalar {
        Scalar::N(n) => n.to_string(),
        Scalar::S(text) => text.clone(),
        Scalar::B(_) => String::new(),
    };
    let mut put = vec!["ITEM.PUT".to_owned(), name.clone(), text(&key.0)];
    put.extend(key.1.as_ref().map(text));
    put.extend(["SET", "1", "n:n"].map(str::to_owned));
    put.extend([n.to_string(), "IF".to_owned(), "n < 0".to_owned()]);
    let counter = format!("{{{}}}counter", text(&key.0));
    driver.call(&["MULTI".to_owned()]);
    if all_or_nothing {
        driver.call(&["ITEM.ATOMIC".to_owned()]);
    }
    driver.call(&["INCRBY".to_owned(), counter.clone(), n.to_string()]);
    driver.call(&put);
    let reply = driver.call(&["EXEC".to_owned()]);
    if all_or_nothing && !holds {
        let text = reply.text();
        assert!(text.starts_with("TXCANCELLED 2:ConditionalCheckFailed"), "{reply}\n{}", driver.past());
        return;
    }
    assert!(!reply.is_error(), "{reply}\n{}", driver.past());
    *driver.model.counters.entry(counter).or_default() += n;
    if holds {
        let table = driver.model.tables.get_mut(&name).unwrap();
        let mut item = key_item(&key);
        item.insert("n".to_owned(), json!({"N": n.to_string()}));
        table.items.insert(key, item);
    }
}

/// A scan of the whole table shows the model's items.
fn whole_table(driver: &mut Driver<'_>, name: &str) {
    let now = driver.subject.now();
    let mut expected: Vec<Json> =
        driver.model.tables[name].shown(now).map(|(_, item)| plain(&item_json(item))).collect();
    let (mut items, _) = read_all(driver, "Scan", json!({"TableName": name}), expected.len());
    expected.sort_by_key(ToString::to_string);
    items.sort_by_key(ToString::to_string);
    assert!(items == expected, "{items:?} came, the model says {expected:?}\n{}", driver.past());
}

/// The table's counters equal what the table holds.
fn counts(driver: &mut Driver<'_>, name: &str) {
    let items = &driver.model.tables[name].items;
    let (count, bytes) = (items.len(), items.values().map(item_size).sum::<usize>());
    let reply = driver.ddb("DescribeTable", &json!({"TableName": name}));
    let table = &reply["Table"];
    assert_eq!(
        (&table["ItemCount"], &table["TableSizeBytes"]),
        (&count.into(), &bytes.into()),
        "{}",
        driver.past()
    );
}

/// Each index holds what a rebuild from the table would hold.
fn indexes(driver: &mut Driver<'_>, name: &str) {
    crate::indexes::check(&mut |words| driver.call(words), name, true);
}

/// Compares everything, after expired items were removed.
fn check_all(driver: &mut Driver<'_>) {
    let now = driver.subject.now();
    driver.subject.remove_expired();
    for (key, n) in driver.model.counters.clone() {
        assert_eq!(driver.call(&["GET".to_owned(), key]).text(), n.to_string(), "{}", driver.past());
    }
    let names: Vec<String> = driver.model.tables.keys().cloned().collect();
    for name in names {
        driver.model.tables.get_mut(&name).unwrap().remove_expired(now);
        for check in CHECKS {
            check(driver, &name);
        }
    }
}

fn compare(mut subject: impl Subject, steps: usize) {
    let movable = subject.advance(0);
    let random = Random::from_environment("model of items");
    let mut driver =
        Driver { subject: &mut subject, model: Model::default(), random, history: Vec::new(), movable };
    for name in &make::TABLES[..3] {
        create_table(&mut driver, name);
    }
    for _ in 0..steps {
        if driver.random.one_in(300) {
            let how = if driver.random.one_in(3) { Reopen::Orderly } else { Reopen::Kill };
            driver.subject.reopen(how);
            driver.history.push(format!("-- {how:?}"));
            check_all(&mut driver);
        }
        if driver.random.one_in(400) {
            driver.subject.checkpoint();
            driver.history.push("-- checkpoint".into());
        }
        if driver.random.one_in(150) {
            check_all(&mut driver);
        }
        step(&mut driver);
    }
    check_all(&mut driver);
}

#[test]
fn the_binary_is_as_the_model() {
    let flags = ["--appendonly", "yes", "--appendfsync", "everysec"];
    compare(Process::new(Server::start(&flags), 1), 4000);
}

#[test]
fn the_code_over_a_simulated_disk_is_as_the_model() {
    for fsync in [AppendFsync::Always, AppendFsync::Everysec, AppendFsync::Always, AppendFsync::Everysec] {
        compare(InProcess::new(fsync, 1), 4000);
    }
}
