//! Tests secondary indexes: each always holds what a rebuild from its table would hold.

mod load;
mod model;

use crate::harness::Value;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Sends a command and returns its reply.
pub(crate) type Call<'c> = &'c mut dyn FnMut(&[String]) -> Value;

/// A member of a reply that is a map.
fn member(map: &Value, name: &str) -> Value {
    let items = map.items();
    let at = items.chunks(2).position(|pair| pair[0].text() == name);
    at.map_or_else(|| panic!("no {name} in {map}"), |at| items[at * 2 + 1].clone())
}

fn run(call: Call<'_>, line: &str) -> Value {
    let reply = call(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
    assert!(!reply.is_error(), "{line}: {reply}");
    reply
}

/// An index in its table's description.
struct Definition {
    name: String,
    pk: Vec<(String, String)>,
    sk: Vec<(String, String)>,
    /// The projected attributes beside keys; `None` for all attributes.
    project: Option<Vec<String>>,
    active: bool,
    items: i64,
}

fn attributes(list: &Value) -> Vec<(String, String)> {
    list.items().iter().map(|attr| (attr.items()[0].text(), attr.items()[1].text())).collect()
}

fn definition(described: &Value) -> Definition {
    let project = member(described, "project");
    Definition {
        name: member(described, "name").text(),
        pk: attributes(&member(described, "pk")),
        sk: attributes(&member(described, "sk")),
        project: match project {
            Value::Array(names) => Some(names.iter().map(Value::text).collect()),
            text if text.text() == "ALL" => None,
            _ => Some(Vec::new()),
        },
        active: member(described, "status").text() == "ACTIVE",
        items: member(described, "items").int().unwrap(),
    }
}

/// All items of a scan, which is read page by page.
fn scan(call: Call<'_>, what: &str) -> Vec<Json> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = run(call, &format!("ITEM.SCAN {what} FORMAT DDB LIMIT 700{cursor}"));
        let texts = member(&page, "items").items();
        items.extend(texts.iter().map(|item| serde_json::from_str::<Json>(&item.text()).unwrap()));
        match member(&page, "cursor") {
            next if next.is_null() => return items,
            next => cursor = format!(" CURSOR {}", next.text()),
        }
    }
}

impl Definition {
    /// The entry that the index should have for an item; `None` if it should have none.
    fn entry(&self, item: &Json, table_keys: &[String]) -> Option<Json> {
        let keys = || self.pk.iter().chain(&self.sk);
        keys().all(|(name, tag)| item[name].get(tag).is_some()).then_some(())?;
        let Some(extra) = &self.project else { return Some(item.clone()) };
        let held = |name: &String| {
            table_keys.contains(name) || extra.contains(name) || keys().any(|(key, _)| key == name)
        };
        let map = item.as_object().unwrap().iter().filter(|(name, _)| held(name));
        Some(Json::Object(map.map(|(name, value)| (name.clone(), value.clone())).collect()))
    }

    fn partition(&self, item: &Json) -> Vec<String> {
        self.pk.iter().map(|(name, tag)| item[name][tag].as_str().unwrap().to_owned()).collect()
    }

    /// Whether two entries are in the order of the index's sort keys.
    fn in_order(&self, a: &Json, b: &Json) -> bool {
        for (name, tag) in &self.sk {
            let text = |item: &Json| item[name][tag].as_str().unwrap().to_owned();
            let order = match tag.as_str() {
                "N" => text(a).parse::<f64>().unwrap().total_cmp(&text(b).parse::<f64>().unwrap()),
                _ => text(a).cmp(&text(b)),
            };
            if order.is_ne() {
                return order.is_lt();
            }
        }
        true
    }
}

fn sorted(items: &[Json]) -> Vec<String> {
    let mut texts: Vec<String> = items.iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

/// Compares every complete index of a table with the entries that the items should have, and returns the number of
/// indexes. With `counts`, the item counts must agree too; expired items count until they are removed.
pub(crate) fn check(call: Call<'_>, table: &str, counts: bool) -> usize {
    let described = run(call, &format!("TABLE.DESCRIBE {table}"));
    let items = scan(call, table);
    let keys: Vec<String> = ["pk", "sk"]
        .iter()
        .map(|role| member(&described, role))
        .filter(|key| !key.is_null())
        .map(|key| key.items()[0].text())
        .collect();
    let indexes: Vec<Definition> = member(&described, "indexes").items().iter().map(definition).collect();
    let active: Vec<&Definition> = indexes.iter().filter(|index| index.active).collect();
    for index in &active {
        let expected: Vec<Json> = items.iter().filter_map(|item| index.entry(item, &keys)).collect();
        let found = scan(call, &format!("{table} INDEX {}", index.name));
        assert_eq!(sorted(&found), sorted(&expected), "index {} of {table}", index.name);
        if counts {
            assert_eq!(index.items, expected.len() as i64, "the count of {}", index.name);
        }
        let mut partitions: BTreeMap<Vec<String>, Vec<Json>> = BTreeMap::new();
        for entry in expected {
            partitions.entry(index.partition(&entry)).or_default().push(entry);
        }
        for (partition, expected) in partitions.iter().take(20) {
            let (first, rest) = partition.split_first().unwrap();
            let clause = [std::slice::from_ref(&index.name), rest].concat().join(" ");
            let line = format!("ITEM.QUERY {table} {first} INDEX {clause} FORMAT DDB");
            let found: Vec<Json> = member(&run(call, &line), "items")
                .items()
                .iter()
                .map(|item| serde_json::from_str(&item.text()).unwrap())
                .collect();
            assert_eq!(sorted(&found), sorted(expected), "{line}");
            assert!(found.windows(2).all(|pair| index.in_order(&pair[0], &pair[1])), "{line}: {found:?}");
        }
    }
    if counts {
        assert_eq!(member(&described, "items").int().unwrap(), items.len() as i64, "items of {table}");
    }
    active.len()
}
