//! Conditions and updates against a second, simple implementation on owned values, and random texts.

use std::collections::BTreeMap;

use super::*;
use proptest::prelude::*;

type Map = BTreeMap<String, AttributeValue>;

/// A condition as the model knows it, over the attributes a, b and c.
#[derive(Clone, Debug)]
enum Cond {
    Cmp(&'static str, String, i64),
    Exists(String),
    Between(String, i64, i64),
    In(String, Vec<i64>),
    Not(Box<Cond>),
    And(Box<Cond>, Box<Cond>),
    Or(Box<Cond>, Box<Cond>),
}

fn any_cond() -> impl Strategy<Value = Cond> {
    let name = || "[abc]";
    let number = || 0_i64..4;
    let leaf = prop_oneof![
        (prop::sample::select(vec!["=", "<>", "<", "<=", ">", ">="]), name(), number())
            .prop_map(|(op, name, n)| Cond::Cmp(op, name, n)),
        name().prop_map(Cond::Exists),
        (name(), number(), number()).prop_map(|(name, a, b)| Cond::Between(name, a.min(b), a.max(b))),
        (name(), prop::collection::vec(number(), 1..3)).prop_map(|(name, list)| Cond::In(name, list)),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|c| Cond::Not(Box::new(c))),
            (inner.clone(), inner.clone()).prop_map(|(x, y)| Cond::And(Box::new(x), Box::new(y))),
            (inner.clone(), inner).prop_map(|(x, y)| Cond::Or(Box::new(x), Box::new(y))),
        ]
    })
}

/// The text with only the parentheses that precedence needs.
fn print(cond: &Cond, level: u8) -> String {
    let (text, own) = match cond {
        Cond::Cmp(op, name, n) => (format!("{name} {op} {n}"), 3),
        Cond::Exists(name) => (format!("attribute_exists({name})"), 3),
        Cond::Between(name, low, high) => (format!("{name} BETWEEN {low} AND {high}"), 3),
        Cond::In(name, list) => {
            let list: Vec<String> = list.iter().map(ToString::to_string).collect();
            (format!("{name} IN ({})", list.join(", ")), 3)
        }
        Cond::Not(inner) => (format!("NOT {}", print(inner, 2)), 2),
        Cond::And(x, y) => (format!("{} AND {}", print(x, 1), print(y, 1)), 1),
        Cond::Or(x, y) => (format!("{} OR {}", print(x, 0), print(y, 0)), 0),
    };
    if own < level { format!("({text})") } else { text }
}

fn model_holds(cond: &Cond, item: &BTreeMap<String, i64>) -> bool {
    let get = |name: &String| item.get(name).copied();
    match cond {
        Cond::Cmp(op, name, n) => match (get(name), *op) {
            (value, "=") => value == Some(*n),
            (value, "<>") => value != Some(*n),
            (Some(value), "<") => value < *n,
            (Some(value), "<=") => value <= *n,
            (Some(value), ">") => value > *n,
            (Some(value), _) => value >= *n,
            (None, _) => false,
        },
        Cond::Exists(name) => get(name).is_some(),
        Cond::Between(name, low, high) => get(name).is_some_and(|value| value >= *low && value <= *high),
        Cond::In(name, list) => get(name).is_some_and(|value| list.contains(&value)),
        Cond::Not(inner) => !model_holds(inner, item),
        Cond::And(x, y) => model_holds(x, item) && model_holds(y, item),
        Cond::Or(x, y) => model_holds(x, item) || model_holds(y, item),
    }
}

/// An update action as the model knows it: on an attribute, or on an entry of the map `m`.
#[derive(Clone, Debug)]
enum Act {
    Set(String, i64),
    Plus(String, String, i64),
    Remove(String),
    Add(String, i64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let place = || prop_oneof!["[abc]", "m\\.[xy]"];
    let number = || -3_i64..4;
    prop_oneof![
        (place(), number()).prop_map(|(p, n)| Act::Set(p, n)),
        (place(), place(), number()).prop_map(|(p, q, n)| Act::Plus(p, q, n)),
        place().prop_map(Act::Remove),
        (place(), number()).prop_map(|(p, n)| Act::Add(p, n)),
    ]
}

fn target(act: &Act) -> &str {
    match act {
        Act::Set(place, _) | Act::Plus(place, ..) | Act::Remove(place) | Act::Add(place, _) => place,
    }
}

fn text_of(acts: &[Act]) -> String {
    let section = |name: &str, one: &dyn Fn(&Act) -> Option<String>| {
        let parts: Vec<String> = acts.iter().filter_map(one).collect();
        if parts.is_empty() { String::new() } else { format!("{name} {} ", parts.join(", ")) }
    };
    let set = section("SET", &|act| match act {
        Act::Set(place, n) => Some(format!("{place} = {n}")),
        Act::Plus(place, from, n) => Some(format!("{place} = {from} + {n}")),
        _ => None,
    });
    let remove = section("REMOVE", &|act| match act {
        Act::Remove(place) => Some(place.clone()),
        _ => None,
    });
    let add = section("ADD", &|act| match act {
        Act::Add(place, n) => Some(format!("{place} {n}")),
        _ => None,
    });
    format!("{set}{remove}{add}")
}

/// The updated item as a flat map of places; `None` if the update must be refused.
fn model_apply(acts: &[Act], before: &BTreeMap<String, i64>) -> Option<BTreeMap<String, i64>> {
    let mut after = before.clone();
    for act in acts {
        match act {
            Act::Set(place, n) => drop(after.insert(place.clone(), *n)),
            Act::Plus(place, from, n) => drop(after.insert(place.clone(), before.get(from)? + n)),
            Act::Remove(place) => drop(after.remove(place)),
            Act::Add(place, n) => drop(after.insert(place.clone(), before.get(place).unwrap_or(&0) + n)),
        }
    }
    Some(after)
}

fn stored(flat: &BTreeMap<String, i64>) -> Item {
    let mut map = Map::new();
    let mut inner = Map::new();
    for (place, n) in flat {
        match place.strip_prefix("m.") {
            Some(name) => inner.insert(name.to_owned(), (*n).into()),
            None => map.insert(place.clone(), (*n).into()),
        };
    }
    map.insert("m".into(), AttributeValue::M(inner));
    Item::from_map(&map).unwrap()
}

proptest! {
    #[test]
    fn conditions_agree_with_the_model(
        cond in any_cond(),
        item in prop::collection::btree_map("[abc]", 0_i64..4, 0..4),
    ) {
        let text = print(&cond, 0);
        let map: Map = item.iter().map(|(name, n)| (name.clone(), (*n).into())).collect();
        let stored = Item::from_map(&map).unwrap();
        prop_assert_eq!(human(&text).holds(Some(stored.view())), model_holds(&cond, &item), "{}", text);
    }

    #[test]
    fn updates_agree_with_the_model(
        acts in prop::collection::vec(any_act(), 1..6),
        before in prop::collection::btree_map(prop_oneof!["[abc]", "m\\.[xy]"], -3_i64..4, 0..5),
    ) {
        let text = text_of(&acts);
        let parsed = Arc::new(parse_update(&text, &ParseOptions::HUMAN).unwrap());
        let bound = Binder::empty(ExprLimits::HUMAN).update(&parsed);
        let mut targets: Vec<&str> = acts.iter().map(target).collect();
        targets.sort_unstable();
        if targets.windows(2).any(|pair| pair[0] == pair[1]) {
            prop_assert!(bound.unwrap_err().to_string().contains("overlap"));
            return Ok(());
        }
        let after = bound.unwrap().apply(stored(&before).view(), &ItemLimits::DYNAMODB);
        prop_assert_eq!(after.ok(), model_apply(&acts, &before).map(|after| stored(&after)), "{}", text);
    }

    #[test]
    fn no_text_panics(text in "[ab#:=<>(),.\\[\\]0-9'\" +-]{0,40}|(NOT |AND |OR |IN |BETWEEN |SET |ADD |a|=|:v|\\(|\\)| )*|\\PC{0,20}") {
        for options in [ParseOptions::STRICT, ParseOptions::HUMAN] {
            let _ = parse_condition(&text, &options);
            let _ = parse_update(&text, &options);
            let _ = parse_projection(&text, &options);
        }
    }

    #[test]
    fn strict_acceptance_implies_human_acceptance(
        text in "(NOT |AND |OR |a|b\\.c| = | < |:v|#n|size\\(a\\)|\\(|\\)| IN \\(:v\\)|attribute_exists\\(a\\)){1,8}",
    ) {
        if let Ok(strict) = parse_condition(&text, &ParseOptions::STRICT) {
            prop_assert_eq!(parse_condition(&text, &ParseOptions::HUMAN), Ok(strict));
        }
    }
}
