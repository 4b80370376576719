//! Tests across the files of this room.

mod messages;
mod model;
mod updates;

use std::sync::Arc;

use super::*;
use crate::item::{
    AttributeValue, AttributeValueRef, Item, ItemBuilder, ItemLimits, Number, map_from_typed_json,
};

/// An item from typed JSON with single quotes.
fn item(json: &str) -> Item {
    let json = serde_json::from_str(&json.replace('\'', "\"")).unwrap();
    Item::from_map(&map_from_typed_json(&json, 32).unwrap()).unwrap()
}

/// A binder from the two maps, with single quotes; empty texts for absent ones.
fn binder(names: &str, values: &str) -> Result<Binder, ExprError> {
    let json = |text: &str| {
        (!text.is_empty())
            .then(|| serde_json::from_str::<serde_json::Value>(&text.replace('\'', "\"")).unwrap())
    };
    Binder::from_json(json(names).as_ref(), json(values).as_ref(), 31, ExprLimits::DYNAMODB)
}

fn invalid(kind: ExprKind) -> impl Fn(Reason) -> ExprError {
    move |reason| ExprError::Invalid { kind, reason }
}

/// A strict condition, bound, with every placeholder used.
fn condition(text: &str, names: &str, values: &str) -> Result<BoundCondition, ExprError> {
    let kind = ExprKind::Condition;
    let parsed = parse_condition(text, &ParseOptions::STRICT).map_err(invalid(kind))?;
    let mut binder = binder(names, values)?;
    let bound = binder.condition(kind, &Arc::new(parsed))?;
    binder.finish()?;
    Ok(bound)
}

/// A strict update, bound, with every placeholder used.
fn update(text: &str, names: &str, values: &str) -> Result<BoundUpdate, ExprError> {
    let parsed = parse_update(text, &ParseOptions::STRICT).map_err(invalid(ExprKind::Update))?;
    let mut binder = binder(names, values)?;
    let bound = binder.update(&Arc::new(parsed))?;
    binder.finish()?;
    Ok(bound)
}

/// A condition in human mode without placeholders.
fn human(text: &str) -> BoundCondition {
    let parsed =
        parse_condition(text, &ParseOptions::HUMAN).unwrap_or_else(|error| panic!("{text}: {error}"));
    Binder::empty(ExprLimits::HUMAN).condition(ExprKind::Condition, &Arc::new(parsed)).unwrap()
}

#[test]
fn conditions_say_what_they_say() {
    let item = item(
        "{'s':{'S':'hello'},'n':{'N':'10'},'b':{'B':'AAEC'},'t':{'BOOL':true},'z':{'NULL':true},
          'ss':{'SS':['a','b']},'ns':{'NS':['1','2.50']},'l':{'L':[{'N':'1'},{'M':{'k':{'S':'v'}}}]},
          'm':{'M':{'x':{'N':'5'},'y':{'L':[{'S':'deep'}]}}},'status':{'S':'open'},'u':{'S':'h\u{e9}\u{1F600}'}}",
    );
    for (text, expected) in [
        ("s = 'hello'", true),
        ("s <> 'hello'", false),
        ("missing <> 'x'", true),
        ("missing = 'x'", false),
        ("NOT missing = 'x'", true),
        ("n = 10.0 AND n < 11 AND n >= 1e1", true),
        ("n > '5'", false),
        ("n = '10'", false),
        ("n BETWEEN 10 AND 10", true),
        ("n IN (1, 2, 10)", true),
        ("n IN (1, 2)", false),
        ("10 = n", true),
        ("-5 < n and n > -5.5", true),
        ("t = true", true),
        ("z = null", true),
        ("z = false", false),
        ("attribute_exists(m.x) AND attribute_not_exists(m.q)", true),
        ("attribute_exists(l[1].k) AND attribute_not_exists(l[2])", true),
        ("attribute_exists(s.x)", false),
        ("attribute_type(ns, 'NS')", true),
        ("attribute_type(missing, 'NS')", false),
        ("begins_with(s, 'he') AND NOT begins_with(s, 'el')", true),
        ("begins_with(missing, 'he')", false),
        ("contains(s, 'ell') AND contains(ss, 'a') AND contains(ns, 2.5) AND contains(l, 1)", true),
        ("contains(ss, 'c') OR contains(ns, '1') OR contains(s, 1)", false),
        ("size(s) = 5 AND size(b) = 3 AND size(ss) = 2 AND size(l) = 2 AND size(m) = 2", true),
        ("size(u) = 4", true),
        ("size(n) > 0", false),
        ("m.y[0] = 'deep'", true),
        ("status = \"open\"", true),
        ("s = 'hello' OR n = 1 AND n = 2", true),
        ("(s = 'hello' OR n = 1) AND n = 2", false),
        ("((s = 'hello'))", true),
        ("not (not (n = 10))", true),
        ("(n) = (10)", true),
        ("s = 'he''llo' OR s = 'he\\'llo' OR s = \"hello\"", true),
    ] {
        assert_eq!(human(text).holds(Some(item.view())), expected, "{text}");
    }
    assert!(human("attribute_not_exists(id)").holds(None));
    assert!(!human("attribute_exists(id)").holds(None));
}

#[test]
fn strict_texts_mean_the_same_in_both_modes() {
    let item = item("{'a':{'N':'1'},'status':{'S':'x'}}");
    let text = "#s = :s AND (a = :n OR NOT a <> :n) AND size(#s) IN (:n, a)";
    let (names, values) = ("{'#s':'status'}", "{':s':{'S':'x'},':n':{'N':'1'}}");
    assert!(condition(text, names, values).unwrap().holds(Some(item.view())));
    let parsed = parse_condition(text, &ParseOptions::HUMAN).unwrap();
    assert_eq!(parsed, parse_condition(text, &ParseOptions::STRICT).unwrap());
}

#[test]
fn projections_keep_what_is_named() {
    let item = item(
        "{'a':{'S':'x'},'b':{'L':[{'N':'0'},{'N':'1'},{'M':{'c':{'N':'2'},'d':{'N':'3'}}}]},'m':{'M':{'x':{'N':'5'}}}}",
    );
    for (text, expected) in [
        ("a", "{'a':{'S':'x'}}"),
        ("a, absent", "{'a':{'S':'x'}}"),
        ("b[2].c, b[0]", "{'b':{'L':[{'N':'0'},{'M':{'c':{'N':'2'}}}]}}"),
        ("b[9], m.q, a.b, b.c", "{}"),
        ("m", "{'m':{'M':{'x':{'N':'5'}}}}"),
        ("m.x, #a", "{'a':{'S':'x'},'m':{'M':{'x':{'N':'5'}}}}"),
    ] {
        let parsed = parse_projection(text, &ParseOptions::STRICT).unwrap();
        let mut binder = binder("{'#a':'a'}", "").unwrap();
        let projection = binder.projection(&parsed);
        if text == "b[9], m.q, a.b, b.c" {
            assert_eq!(
                projection.unwrap_err().to_string().split(';').next(),
                Some("Invalid ProjectionExpression: Two document paths conflict with each other")
            );
            continue;
        }
        assert_eq!(projection.unwrap().apply(item.view()).unwrap(), self::item(expected), "{text}");
    }
    let whole = BoundProjection::attributes(["m", "none"]);
    assert_eq!(whole.apply(item.view()).unwrap(), self::item("{'m':{'M':{'x':{'N':'5'}}}}"));
}

/// Few names are looked up, many are found in one walk.
#[test]
fn a_projection_of_any_number_of_names_keeps_those_that_are_there() {
    for (there, wanted) in [(0, 20), (3, 20), (40, 5), (40, 4), (40, 60), (60, 20)] {
        // Of every three numbers the item has the first, and the projection wants the first and the second.
        let name = |n: usize| format!("a{n:03}");
        let mut builder = ItemBuilder::new();
        for n in (0..there).map(|n| 3 * n) {
            builder.put(name(n), &AttributeValueRef::Bool(n % 2 == 0)).unwrap();
        }
        let item = builder.finish();
        let wanted: Vec<usize> = (0..wanted).map(|n| n / 2 * 3 + n % 2).collect();
        let projection = BoundProjection::attributes(wanted.iter().map(|n| name(*n)));
        let kept = projection.apply(item.view()).unwrap();
        let names: Vec<String> =
            kept.view().iter().map(|(name, _)| String::from_utf8(name.to_vec()).unwrap()).collect();
        let expected: Vec<String> =
            wanted.iter().filter(|n| *n % 3 == 0 && *n / 3 < there).map(|n| name(*n)).collect();
        assert_eq!(names, expected, "{there} {wanted:?}");
    }
}

#[test]
fn trees_can_be_made_without_text() {
    let literal = |value: i64| Operand::literal(&AttributeValue::N(Number::from(value))).unwrap();
    let tree = Condition::All(vec![
        Condition::Compare(Comparator::Ge, Operand::Path(Path::attribute("n")), literal(3)),
        Condition::Not(Box::new(Condition::In(Operand::Path(Path::attribute("n")), vec![literal(4)]))),
    ]);
    let parsed = Arc::new(Parsed::literal(tree));
    let bound = Binder::empty(ExprLimits::DYNAMODB).condition(ExprKind::Filter, &parsed).unwrap();
    assert!(bound.holds(Some(item("{'n':{'N':'5'}}").view())));
    assert!(!bound.holds(Some(item("{'n':{'N':'4'}}").view())));
}

#[test]
fn parentheses_stand_around_operands_and_sums() {
    let found = item("{'s':{'S':'hello'},'n':{'N':'10'}}");
    for (text, expected) in [
        ("(size(s)) = n - 5", None),
        ("(size(s)) < n", Some(true)),
        ("(size(s)) IN (:a)", Some(true)),
        ("(size(s)) BETWEEN (:a) AND n", Some(true)),
        ("(attribute_exists(s))", Some(true)),
        ("(attribute_exists(s)) AND (n = :a)", Some(false)),
        ("((size(s))) = n", None),
    ] {
        let values = if text.contains(":a") { "{':a':{'N':'5'}}" } else { "" };
        let holds = condition(text, "", values).map(|bound| bound.holds(Some(found.view())));
        assert_eq!(holds.ok(), expected, "{text}");
    }
    for (text, expected) in [
        ("SET x = (n + :a)", Some("15")),
        ("SET x = (n) + (:a)", Some("15")),
        ("SET x = (n)", Some("10")),
        ("SET x = (n - (:a))", Some("5")),
        ("SET x = ((n + :a))", None),
        ("SET x = (n + :a) - :a", None),
        ("SET x = (n + :a", None),
    ] {
        let values = if text.contains(":a") { "{':a':{'N':'5'}}" } else { "" };
        let new =
            update(text, "", values).map(|bound| bound.apply(found.view(), &ItemLimits::DYNAMODB).unwrap());
        let x = new.map(|item| item.view().get(b"x").unwrap().to_owned_value());
        assert_eq!(x.ok(), expected.map(|n| AttributeValue::N(n.parse().unwrap())), "{text}");
    }
    assert_eq!(
        parse_update("SET x = (n + :a) - :a", &ParseOptions::STRICT).unwrap_err().to_string(),
        "Syntax error; token: \"-\", near: \") - :a\""
    );
}

#[test]
fn what_is_bound_keeps_no_definitions_that_it_does_not_use() {
    let mut binder = binder("{'#n':'n'}", "{':v':{'S':'large'}}").unwrap();
    let mut bind = |text| {
        let parsed = Arc::new(parse_condition(text, &ParseOptions::HUMAN).unwrap());
        binder.condition(ExprKind::Condition, &parsed).unwrap()
    };
    let (without, with_name, with_value) = (bind("n = 1"), bind("#n = 1"), bind("n = :v"));
    assert!(without.scope.table.is_none() && without.holds(Some(item("{'n':{'N':'1'}}").view())));
    assert!(with_name.scope.table.is_some() && with_name.holds(Some(item("{'n':{'N':'1'}}").view())));
    assert!(with_value.scope.table.is_some() && with_value.holds(Some(item("{'n':{'S':'large'}}").view())));
}
