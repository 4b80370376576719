//! Random requests, and their form in AWS's JSON.

use super::state::{
    Action, BLOBS, Change, Condition, Item, Key, Model, Scalar, Table, Write, item_json, key_item,
};
use crate::harness::Random;
use serde_json::{Map, Value as Json, json};

pub(super) const TABLES: [&str; 4] = ["one", "two", "three", "four"];
const ATTRIBUTES: [&str; 6] = ["a", "b", "n", "l", "m", "ss"];

/// Attributes that are keys of indexes. They always have the right type.
pub(super) const INDEXED: [&str; 2] = ["g", "h"];

fn indexed(random: &mut Random, name: &str) -> Json {
    match name {
        "g" => json!({"S": random.pick(&["x", "xy", "z"])}),
        _ => json!({"N": (random.below(6) as i64 - 3).to_string()}),
    }
}

fn strings(random: &mut Random, from: &[&str]) -> Vec<String> {
    let mut some: Vec<String> =
        from.iter().filter(|_| random.one_in(2)).map(|member| (*member).to_owned()).collect();
    if some.is_empty() {
        some.push(from[0].to_owned());
    }
    some
}

/// A value of any of the ten types.
pub(super) fn value(random: &mut Random) -> Json {
    let number = |random: &mut Random| (random.below(40) as i64 - 20).to_string();
    match random.below(12) {
        0 | 1 => json!({"S": random.pick(&["", "a", "b", "ab", "\u{e9}"])}),
        2 | 3 => json!({"N": number(random)}),
        4 => json!({"B": random.pick(&BLOBS)}),
        5 => json!({"BOOL": random.one_in(2)}),
        6 => json!({"NULL": true}),
        7 => json!({"SS": strings(random, &["x", "y", "z"])}),
        8 => json!({"NS": strings(random, &["-7", "1", "20"])}),
        9 => json!({"BS": strings(random, &BLOBS)}),
        10 => json!({"L": [{"N": number(random)}, {"S": "in"}, {"M": {"x": {"NULL": true}}}]}),
        _ => json!({"M": {"k": {"N": number(random)}, "x": {"S": "deep"}}}),
    }
}

/// Usually a value of the type that fits the attribute's name.
fn typical(random: &mut Random, name: &str) -> Json {
    match name {
        _ if random.one_in(4) => value(random),
        "n" | "a" => json!({"N": (random.below(40) as i64 - 20).to_string()}),
        "l" => json!({"L": [{"N": "1"}]}),
        "m" => json!({"M": {"k": {"S": "v"}}}),
        "ss" => json!({"SS": strings(random, &["x", "y", "z"])}),
        _ => value(random),
    }
}

fn scalar(random: &mut Random, kind: char, few: usize) -> Scalar {
    match kind {
        'N' => Scalar::N([-30, -2, 0, 5, 10, 11, 100, 2000][random.below(few)]),
        'S' => Scalar::S(["a", "ab", "b", "ba", "c", "ca", "z", "\u{e9}"][random.below(few)].to_owned()),
        _ => Scalar::B(random.below(few.min(BLOBS.len()))),
    }
}

pub(super) fn key(random: &mut Random, table: &Table) -> Key {
    (scalar(random, table.pk, 3), table.sk.map(|kind| scalar(random, kind, 8)))
}

/// A value for an item's TTL attribute: soon, far away, or no valid time.
fn time(random: &mut Random, now: u64, movable: bool) -> Json {
    let at = match (movable, random.below(4)) {
        (true, 0 | 1) => now / 1000 + random.below(4) as u64,
        (_, 2) => random.below(1000) as u64,
        _ => 33_177_117_420,
    };
    json!({"N": at.to_string()})
}

pub(super) fn item(random: &mut Random, key: &Key, now: u64, movable: bool) -> Item {
    let mut item = key_item(key);
    for name in ATTRIBUTES {
        if random.one_in(2) {
            item.insert(name.to_owned(), typical(random, name));
        }
    }
    if random.one_in(3) {
        item.insert("ttl".to_owned(), time(random, now, movable));
    }
    for name in INDEXED {
        if random.one_in(2) {
            item.insert(name.to_owned(), indexed(random, name));
        }
    }
    item
}

pub(super) fn condition(random: &mut Random, depth: usize) -> Condition {
    let name = |random: &mut Random| random.pick(&ATTRIBUTES).to_owned();
    match random.below(if depth < 2 { 8 } else { 5 }) {
        0 if random.one_in(2) => Condition::Exists("id".to_owned()),
        0 => Condition::Exists(name(random)),
        1 => Condition::Absent(name(random)),
        2 | 3 => {
            let name = name(random);
            let value = typical(random, &name);
            Condition::Equals(name, value)
        }
        4 => Condition::Less("n".to_owned(), random.below(20) as i64 - 10),
        5 => Condition::And(condition(random, depth + 1).into(), condition(random, depth + 1).into()),
        6 => Condition::Or(condition(random, depth + 1).into(), condition(random, depth + 1).into()),
        _ => Condition::Not(condition(random, depth + 1).into()),
    }
}

fn change(random: &mut Random, name: &str) -> Change {
    let owned = name.to_owned();
    let other = random.pick(&ATTRIBUTES).to_owned();
    let by = random.below(20) as i64 - 10;
    match random.below(10) {
        0 | 1 => Change::Set(owned, typical(random, name)),
        2 => Change::Sum(owned, "n".to_owned(), by),
        3 => Change::Remove(owned),
        4 if other != name => Change::Default(owned, other, value(random)),
        _ => match name {
            "m" => Change::Within(owned, random.pick(&["k", "x", "new"]).to_owned(), value(random)),
            "l" => Change::Append(owned, json!({"L": [value(random)]})),
            "ss" if random.one_in(2) => Change::Union(owned, strings(random, &["w", "x", "y"])),
            "ss" => Change::Without(owned, strings(random, &["x", "y", "z"])),
            _ => Change::Add(owned, by),
        },
    }
}

pub(super) fn write(random: &mut Random, key: &Key, now: u64, movable: bool) -> Write {
    match random.below(9) {
        0..=3 => Write::Put(item(random, key, now, movable)),
        4..=6 => {
            let changes = ATTRIBUTES.iter().filter(|_| random.one_in(3)).copied().collect::<Vec<_>>();
            let mut changes: Vec<Change> = changes.into_iter().map(|name| change(random, name)).collect();
            for name in INDEXED.iter().filter(|_| random.one_in(6)).copied().collect::<Vec<_>>() {
                let owned = name.to_owned();
                let remove = random.one_in(3);
                changes.push(if remove {
                    Change::Remove(owned)
                } else {
                    Change::Set(owned, indexed(random, name))
                });
            }
            if random.one_in(4) {
                changes.push(Change::Set("ttl".to_owned(), time(random, now, movable)));
            }
            Write::Update(changes)
        }
        _ => Write::Delete,
    }
}

pub(super) fn action(random: &mut Random, model: &Model, name: &str, now: u64, movable: bool) -> Action {
    let table = &model.tables[name];
    let key = key(random, table);
    let write = write(random, &key, now, movable);
    let returns = match write {
        Write::Update(_) => random.pick(&["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]),
        _ => random.pick(&["NONE", "ALL_OLD"]),
    };
    let returns: &'static str = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"]
        .into_iter()
        .find(|r| r == &returns)
        .unwrap();
    let condition = random.one_in(3).then(|| condition(random, 0));
    Action { table: name.to_owned(), key, write, condition, returns, show: random.one_in(2) }
}

/// Expressions as text, with their placeholders.
#[derive(Default)]
pub(super) struct Text {
    names: Map<String, Json>,
    values: Map<String, Json>,
}

impl Text {
    fn name(&mut self, name: &str) -> String {
        let key = format!("#{name}");
        self.names.insert(key.clone(), name.into());
        key
    }

    pub(super) fn value(&mut self, value: &Json) -> String {
        let key = format!(":v{}", self.values.len());
        self.values.insert(key.clone(), value.clone());
        key
    }

    fn number(&mut self, n: i64) -> String {
        self.value(&json!({"N": n.to_string()}))
    }

    pub(super) fn condition(&mut self, condition: &Condition) -> String {
        match condition {
            Condition::Exists(name) => format!("attribute_exists({})", self.name(name)),
            Condition::Absent(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::Equals(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Condition::Less(name, bound) => format!("{} < {}", self.name(name), self.number(*bound)),
            Condition::And(left, right) => format!("({}) AND ({})", self.part(left), self.part(right)),
            Condition::Or(left, right) => format!("({}) OR ({})", self.part(left), self.part(right)),
            Condition::Not(inner) => format!("NOT ({})", self.part(inner)),
        }
    }

    fn part(&mut self, condition: &Condition) -> String {
        self.condition(condition)
    }

    fn changes(&mut self, changes: &[Change]) -> String {
        let mut sections: [(&str, Vec<String>); 4] =
            [("SET", vec![]), ("REMOVE", vec![]), ("ADD", vec![]), ("DELETE", vec![])];
        for change in changes {
            let name = self.name(change.attribute());
            let (section, text) = match change {
                Change::Set(_, value) => (0, format!("{name} = {}", self.value(value))),
                Change::Sum(_, from, by) => {
                    (0, format!("{name} = {} + {}", self.name(from), self.number(*by)))
                }
                Change::Default(_, from, value) => {
                    (0, format!("{name} = if_not_exists({}, {})", self.name(from), self.value(value)))
                }
                Change::Within(_, key, value) => (0, format!("{name}.#{key} = {}", self.within(key, value))),
                Change::Append(_, list) => (0, format!("{name} = list_append({name}, {})", self.value(list))),
                Change::Remove(_) => (1, name),
                Change::Add(_, by) => (2, format!("{name} {}", self.number(*by))),
                Change::Union(_, set) => (2, format!("{name} {}", self.value(&json!({"SS": set})))),
                Change::Without(_, set) => (3, format!("{name} {}", self.value(&json!({"SS": set})))),
            };
            sections[section].1.push(text);
        }
        let given = sections.iter().filter(|(_, texts)| !texts.is_empty());
        given.map(|(section, texts)| format!("{section} {}", texts.join(", "))).collect::<Vec<_>>().join(" ")
    }

    fn within(&mut self, key: &str, value: &Json) -> String {
        self.name(key);
        self.value(value)
    }

    pub(super) fn finish(self, body: &mut Json) {
        if !self.names.is_empty() {
            body["ExpressionAttributeNames"] = self.names.into();
        }
        if !self.values.is_empty() {
            body["ExpressionAttributeValues"] = self.values.into();
        }
    }
}

/// The operation and the body of an action in AWS's API.
pub(super) fn request(action: &Action, alone: bool) -> (&'static str, Json) {
    let mut text = Text::default();
    let mut body = json!({"TableName": action.table});
    let operation = match &action.write {
        Write::Put(item) => {
            body["Item"] = item_json(item);
            "Put"
        }
        Write::Update(changes) => {
            if !changes.is_empty() {
                body["UpdateExpression"] = text.changes(changes).into();
            }
            "Update"
        }
        Write::Delete => "Delete",
        Write::Check => "ConditionCheck",
    };
    if body.get("Item").is_none() {
        body["Key"] = item_json(&key_item(&action.key));
    }
    if let Some(condition) = &action.condition {
        body["ConditionExpression"] = text.condition(condition).into();
    }
    if alone {
        body["ReturnValues"] = action.returns.into();
    }
    if action.show {
        body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD".into();
    }
    text.finish(&mut body);
    (operation, body)
}
