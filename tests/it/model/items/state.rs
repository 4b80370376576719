//! The model: tables as ordered maps of items, and the effect of each request on them.

use serde_json::{Map, Value as Json, json};
use std::collections::BTreeMap;

pub(super) type Item = BTreeMap<String, Json>;

/// Binary keys in ascending order, as base64.
pub(super) const BLOBS: [&str; 4] = ["AA==", "YQ==", "YWI=", "/w=="];
/// A TTL attribute that is more than so many seconds in the past does not count as a deadline, as in DynamoDB.
const NO_TIME: u64 = 5 * 365 * 24 * 60 * 60;
/// How long a transaction's token is remembered, in ms.
const REMEMBERED: u64 = 10 * 60 * 1000;

/// The value of a key attribute. The keys of one table have one type.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scalar {
    N(i64),
    S(String),
    /// An index into [`BLOBS`].
    B(usize),
}

impl Scalar {
    pub(super) fn json(&self) -> Json {
        match self {
            Scalar::N(n) => json!({"N": n.to_string()}),
            Scalar::S(text) => json!({"S": text}),
            Scalar::B(at) => json!({"B": BLOBS[*at]}),
        }
    }
}

pub(super) type Key = (Scalar, Option<Scalar>);

/// The item that has only its key attributes.
pub(super) fn key_item(key: &Key) -> Item {
    let mut item = Item::from([("id".to_owned(), key.0.json())]);
    if let Some(sk) = &key.1 {
        item.insert("k".to_owned(), sk.json());
    }
    item
}

#[derive(Clone, Debug)]
pub(super) enum Condition {
    Exists(String),
    Absent(String),
    Equals(String, Json),
    Less(String, i64),
    And(Box<Condition>, Box<Condition>),
    Or(Box<Condition>, Box<Condition>),
    Not(Box<Condition>),
}

fn number(value: Option<&Json>) -> Option<i64> {
    value?.get("N")?.as_str()?.parse().ok()
}

impl Condition {
    pub(super) fn holds(&self, item: Option<&Item>) -> bool {
        let get = |name: &String| item.and_then(|item| item.get(name));
        match self {
            Condition::Exists(name) => get(name).is_some(),
            Condition::Absent(name) => get(name).is_none(),
            Condition::Equals(name, value) => get(name) == Some(value),
            Condition::Less(name, bound) => number(get(name)).is_some_and(|n| n < *bound),
            Condition::And(left, right) => left.holds(item) && right.holds(item),
            Condition::Or(left, right) => left.holds(item) || right.holds(item),
            Condition::Not(inner) => !inner.holds(item),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    /// SET a = value.
    Set(String, Json),
    /// SET a = b + number.
    Sum(String, String, i64),
    /// SET a = if_not_exists(b, value).
    Default(String, String, Json),
    /// SET m.k = value.
    Within(String, String, Json),
    /// SET a = list_append(a, list).
    Append(String, Json),
    Remove(String),
    /// ADD a number.
    Add(String, i64),
    /// ADD a set of strings.
    Union(String, Vec<String>),
    /// DELETE a set of strings.
    Without(String, Vec<String>),
}

impl Change {
    pub(super) fn attribute(&self) -> &String {
        match self {
            Change::Set(name, _)
            | Change::Sum(name, ..)
            | Change::Default(name, ..)
            | Change::Within(name, ..)
            | Change::Append(name, _)
            | Change::Remove(name)
            | Change::Add(name, _)
            | Change::Union(name, _)
            | Change::Without(name, _) => name,
        }
    }

    /// The attribute's new value, or none, after the change of the item `old`; an error if the change does not fit.
    fn value(&self, old: &Item) -> Result<Option<Json>, Refusal> {
        let current = old.get(self.attribute());
        let members = |value: &Json| -> Option<Vec<String>> {
            Some(value.get("SS")?.as_array()?.iter().map(|m| m.as_str().unwrap().to_owned()).collect())
        };
        Ok(match self {
            Change::Set(_, value) => Some(value.clone()),
            Change::Sum(_, from, by) => {
                let sum = number(old.get(from)).ok_or(Refusal::Invalid)? + by;
                Some(json!({"N": sum.to_string()}))
            }
            Change::Default(_, from, value) => Some(old.get(from).unwrap_or(value).clone()),
            Change::Within(_, key, value) => {
                let mut map = current.and_then(|v| v.get("M")).and_then(Json::as_object).cloned();
                let map = map.as_mut().ok_or(Refusal::Invalid)?;
                map.insert(key.clone(), value.clone());
                Some(json!({"M": map}))
            }
            Change::Append(_, more) => {
                let list = current.and_then(|v| v.get("L")).and_then(Json::as_array);
                let mut list = list.ok_or(Refusal::Invalid)?.clone();
                list.extend(more["L"].as_array().unwrap().iter().cloned());
                Some(json!({"L": list}))
            }
            Change::Remove(_) => None,
            Change::Add(_, by) => {
                let n = if current.is_none() { Some(0) } else { number(current) };
                Some(json!({"N": (n.ok_or(Refusal::Invalid)? + by).to_string()}))
            }
            Change::Union(_, more) => {
                let mut all = match current {
                    None => Vec::new(),
                    Some(value) => members(value).ok_or(Refusal::Invalid)?,
                };
                all.extend(more.iter().cloned());
                all.sort();
                all.dedup();
                Some(json!({"SS": all}))
            }
            Change::Without(_, less) => match current {
                None => None,
                Some(value) => {
                    let left = members(value).ok_or(Refusal::Invalid)?;
                    let left: Vec<_> = left.into_iter().filter(|m| !less.contains(m)).collect();
                    (!left.is_empty()).then(|| json!({"SS": left}))
                }
            },
        })
    }
}

#[derive(Clone, Debug)]
pub(super) enum Write {
    Put(Item),
    Update(Vec<Change>),
    Delete,
    Check,
}

/// A write on one item, alone or in a transaction.
#[derive(Clone, Debug)]
pub(super) struct Action {
    pub(super) table: String,
    pub(super) key: Key,
    pub(super) write: Write,
    pub(super) condition: Option<Condition>,
    /// `ReturnValues` of a write outside of transactions.
    pub(super) returns: &'static str,
    /// Whether a failed condition returns the item.
    pub(super) show: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    Condition,
    Invalid,
}

pub(super) struct Table {
    pub(super) pk: char,
    pub(super) sk: Option<char>,
    pub(super) ttl: Option<String>,
    /// All items, including expired ones that were not removed yet.
    pub(super) items: BTreeMap<Key, Item>,
}

impl Table {
    fn expired(&self, item: &Item, now: u64) -> bool {
        let Some(at) = self.ttl.as_ref().and_then(|name| number(item.get(name))) else { return false };
        let at = at.max(0) as u64 * 1000;
        at <= now && at > now.saturating_sub(NO_TIME * 1000)
    }

    pub(super) fn get(&self, key: &Key, now: u64) -> Option<&Item> {
        self.items.get(key).filter(|item| !self.expired(item, now))
    }

    /// The items that have not expired, in the order of their keys.
    pub(super) fn shown(&self, now: u64) -> impl Iterator<Item = (&Key, &Item)> {
        self.items.iter().filter(move |(_, item)| !self.expired(item, now))
    }

    pub(super) fn remove_expired(&mut self, now: u64) {
        let gone: Vec<Key> = self
            .items
            .iter()
            .filter(|(_, item)| self.expired(item, now))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.items.remove(&key);
        }
    }

    /// The item before and after an action.
    fn plan(&self, action: &Action, now: u64) -> Result<(Option<Item>, Option<Item>), Refusal> {
        let old = self.get(&action.key, now);
        if action.condition.as_ref().is_some_and(|condition| !condition.holds(old)) {
            return Err(Refusal::Condition);
        }
        let new = match &action.write {
            Write::Put(item) => Some(item.clone()),
            Write::Delete => None,
            Write::Check => old.cloned(),
            Write::Update(changes) => {
                let base = old.cloned().unwrap_or_else(|| key_item(&action.key));
                let mut new = base.clone();
                for change in changes {
                    match change.value(&base)? {
                        Some(value) => new.insert(change.attribute().clone(), value),
                        None => new.remove(change.attribute()),
                    };
                }
                // An update that only removes does not create an item.
                let takes = |change: &Change| matches!(change, Change::Remove(_) | Change::Without(..));
                (old.is_some() || changes.is_empty() || !changes.iter().all(takes)).then_some(new)
            }
        };
        Ok((old.cloned(), new))
    }

    fn store(&mut self, action: &Action, new: Option<Item>) {
        match (&action.write, new) {
            (Write::Check, _) | (Write::Update(_), None) => {}
            (_, Some(item)) => drop(self.items.insert(action.key.clone(), item)),
            (_, None) => drop(self.items.remove(&action.key)),
        }
    }
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) tables: BTreeMap<String, Table>,
    /// Counters: keys beside the tables.
    pub(super) counters: BTreeMap<String, i64>,
    /// Tokens of transactions: the time of each first use, and the transaction.
    tokens: BTreeMap<String, (u64, String)>,
}

pub(super) fn item_json(item: &Item) -> Json {
    Json::Object(item.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>())
}

fn failed(item: Option<&Item>) -> Json {
    let mut error = json!({"error": "ConditionalCheckFailedException"});
    if let Some(item) = item {
        error["Item"] = item_json(item);
    }
    error
}

impl Model {
    /// The reply to a write outside of transactions.
    pub(super) fn write(&mut self, action: &Action, now: u64) -> Json {
        let table = self.tables.get_mut(&action.table).unwrap();
        let (old, new) = match table.plan(action, now) {
            Ok(plan) => plan,
            Err(Refusal::Condition) => return failed(table.get(&action.key, now).filter(|_| action.show)),
            Err(Refusal::Invalid) => return json!({"error": "ValidationException"}),
        };
        let Write::Update(changes) = &action.write else {
            table.store(action, new);
            return match old.filter(|_| action.returns == "ALL_OLD") {
                Some(old) => json!({"Attributes": item_json(&old)}),
                None => json!({}),
            };
        };
        let touched = |item: Option<&Item>| -> Option<Item> {
            let mut part = Item::new();
            for change in changes {
                let Some(value) = item.and_then(|item| item.get(change.attribute())) else { continue };
                let value = match change {
                    Change::Within(_, key, _) => match value.get("M").and_then(|map| map.get(key)) {
                        Some(inner) => json!({"M": {key.clone(): inner}}),
                        None => continue,
                    },
                    _ => value.clone(),
                };
                part.insert(change.attribute().clone(), value);
            }
            (!part.is_empty()).then_some(part)
        };
        let shown = match action.returns {
            "ALL_OLD" => old,
            "UPDATED_OLD" => touched(old.as_ref()),
            "ALL_NEW" => new.clone(),
            "UPDATED_NEW" => touched(new.as_ref()),
            _ => None,
        };
        table.store(action, new);
        match shown {
            Some(item) => json!({"Attributes": item_json(&item)}),
            None => json!({}),
        }
    }

    /// The reply to a transaction.
    pub(super) fn transact(&mut self, actions: &[Action], token: Option<&str>, now: u64) -> Json {
        let meaning = format!("{actions:?}");
        if let Some((at, known)) = token.and_then(|token| self.tokens.get(token))
            && now < at + REMEMBERED
        {
            let same = *known == meaning;
            return if same { json!({}) } else { json!({"error": "IdempotentParameterMismatchException"}) };
        }
        let plans: Vec<_> =
            actions.iter().map(|action| self.tables[&action.table].plan(action, now)).collect();
        if plans.iter().any(Result::is_err) {
            let reason = |(action, plan): (&Action, &Result<_, Refusal>)| match plan {
                Ok(_) => json!({"Code": "None"}),
                Err(Refusal::Invalid) => json!({"Code": "ValidationError"}),
                Err(Refusal::Condition) => {
                    let item = self.tables[&action.table].get(&action.key, now);
                    let mut reason = json!({"Code": "ConditionalCheckFailed"});
                    if let Some(item) = item.filter(|_| action.show) {
                        reason["Item"] = item_json(item);
                    }
                    reason
                }
            };
            let reasons: Vec<Json> = actions.iter().zip(&plans).map(reason).collect();
            return json!({"error": "TransactionCanceledException", "CancellationReasons": reasons});
        }
        for (action, (_, new)) in actions.iter().zip(plans.into_iter().flatten()) {
            self.tables.get_mut(&action.table).unwrap().store(action, new);
        }
        if let Some(token) = token {
            self.tokens.insert(token.to_owned(), (now, meaning));
        }
        json!({})
    }
}

/// The size of an item in bytes, by the rules that AWS publishes.
pub(super) fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &Json) -> usize {
    let (tag, inner) = value.as_object().unwrap().iter().next().unwrap();
    let text = || inner.as_str().unwrap();
    let members = || inner.as_array().unwrap().iter();
    let blob = |text: &str| text.len() / 4 * 3 - text.matches('=').count();
    match tag.as_str() {
        "S" => text().len(),
        "B" => blob(text()),
        "N" => number_size(text()),
        "SS" => members().map(|m| m.as_str().unwrap().len()).sum(),
        "NS" => members().map(|m| number_size(m.as_str().unwrap())).sum(),
        "BS" => members().map(|m| blob(m.as_str().unwrap())).sum(),
        "L" => 3 + members().map(|m| 1 + value_size(m)).sum::<usize>(),
        "M" => {
            let entries = inner.as_object().unwrap().iter();
            3 + entries.map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>()
        }
        _ => 1,
    }
}

fn number_size(text: &str) -> usize {
    let digits = text.trim_start_matches('-').trim_end_matches('0');
    1 + usize::from(text.starts_with('-')) + digits.len().div_ceil(2)
}
