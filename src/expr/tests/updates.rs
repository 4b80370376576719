//! Updates and their results.

use super::*;
use crate::item::ItemError;

fn applied(before: &str, text: &str, values: &str) -> Result<Item, String> {
    let bound = update(text, "", values).map_err(|error| error.to_string())?;
    bound.apply(item(before).view(), &ItemLimits::DYNAMODB).map_err(|error| {
        assert!(error.depends_on_item());
        error.to_string()
    })
}

#[test]
fn updates_change_what_they_say() {
    for (before, text, values, after) in [
        ("{}", "SET a = :v", "{':v':{'S':'x'}}", "{'a':{'S':'x'}}"),
        ("{'a':{'N':'1'}}", "SET a = a + :v, b = a", "{':v':{'N':'2'}}", "{'a':{'N':'3'},'b':{'N':'1'}}"),
        ("{'a':{'N':'1'}}", "SET a = :v - a", "{':v':{'N':'0.5'}}", "{'a':{'N':'-0.5'}}"),
        (
            "{'a':{'N':'1'}}",
            "SET b = if_not_exists(b, :z) + :v, a = if_not_exists(a, :z)",
            "{':v':{'N':'2'},':z':{'N':'0'}}",
            "{'a':{'N':'1'},'b':{'N':'2'}}",
        ),
        (
            "{'l':{'L':[{'N':'1'}]}}",
            "SET l = list_append(l, :v), k = list_append(:v, l)",
            "{':v':{'L':[{'N':'2'}]}}",
            "{'l':{'L':[{'N':'1'},{'N':'2'}]},'k':{'L':[{'N':'2'},{'N':'1'}]}}",
        ),
        (
            "{'m':{'M':{'x':{'N':'1'}}},'l':{'L':[{'M':{}}]}}",
            "SET m.y = :v, l[0].k = m.x REMOVE m.x",
            "{':v':{'N':'2'}}",
            "{'m':{'M':{'y':{'N':'2'}}},'l':{'L':[{'M':{'k':{'N':'1'}}}]}}",
        ),
        (
            "{'l':{'L':[{'N':'0'},{'N':'1'},{'N':'2'},{'N':'3'}]}}",
            "SET l[9] = :a, l[7] = :b, l[1] = :c REMOVE l[0], l[2], l[5]",
            "{':a':{'S':'a'},':b':{'S':'b'},':c':{'S':'c'}}",
            "{'l':{'L':[{'S':'c'},{'N':'3'},{'S':'b'},{'S':'a'}]}}",
        ),
        (
            "{'l':{'L':[{'N':'0'},{'L':[{'N':'1'},{'N':'2'}]}]}}",
            "REMOVE l[0], l[1][0]",
            "",
            "{'l':{'L':[{'L':[{'N':'2'}]}]}}",
        ),
        ("{'a':{'N':'1'},'b':{'N':'2'}}", "REMOVE a, c", "", "{'b':{'N':'2'}}"),
        ("{'a':{'N':'1'}}", "ADD a :v, b :v", "{':v':{'N':'2'}}", "{'a':{'N':'3'},'b':{'N':'2'}}"),
        ("{'s':{'SS':['a']}}", "ADD s :v", "{':v':{'SS':['b','a']}}", "{'s':{'SS':['a','b']}}"),
        ("{'s':{'NS':['1','2']}}", "DELETE s :v", "{':v':{'NS':['1.0','7']}}", "{'s':{'NS':['2']}}"),
        ("{'s':{'BS':['AA==']}}", "DELETE s :v", "{':v':{'BS':['AA==']}}", "{}"),
        ("{}", "DELETE s :v", "{':v':{'SS':['a']}}", "{}"),
        (
            "{'a':{'N':'1'}}",
            "set a = :v remove b add c :v",
            "{':v':{'N':'2'}}",
            "{'a':{'N':'2'},'c':{'N':'2'}}",
        ),
    ] {
        assert_eq!(applied(before, text, values), Ok(item(after)), "{text}");
    }
}

#[test]
fn what_does_not_fit_the_item_is_refused() {
    const TYPE: &str = "An operand in the update expression has an incorrect data type";
    const MISSING: &str = "The provided expression refers to an attribute that does not exist in the item";
    const PATH: &str = "The document path provided in the update expression is invalid for update";
    let before = "{'s':{'S':'x'},'n':{'N':'1'},'l':{'L':[]},'m':{'M':{}},'tags':{'SS':['a']}}";
    for (text, values, message) in [
        ("SET a = s + :v", "{':v':{'N':'1'}}", TYPE),
        ("SET a = list_append(n, :v)", "{':v':{'L':[]}}", TYPE),
        ("ADD s :v", "{':v':{'N':'1'}}", TYPE),
        ("ADD tags :v", "{':v':{'NS':['1']}}", TYPE),
        ("DELETE n :v", "{':v':{'SS':['a']}}", TYPE),
        ("SET a = absent", "", MISSING),
        ("SET a = absent + :v", "{':v':{'N':'1'}}", MISSING),
        ("SET absent.a = :v", "{':v':{'N':'1'}}", PATH),
        ("SET s.a = :v", "{':v':{'N':'1'}}", PATH),
        ("SET l.a = :v", "{':v':{'N':'1'}}", PATH),
        ("SET m[0] = :v", "{':v':{'N':'1'}}", PATH),
        ("REMOVE absent.a", "", PATH),
        // A wrong type is reported before a missing attribute, and later sections before earlier ones.
        ("SET a = absent, b = s + :v", "{':v':{'N':'1'}}", TYPE),
        ("SET a = absent REMOVE absent.b", "", PATH),
        // A missing attribute is reported before a sum that is no valid number.
        ("SET a = absent ADD n :v", "{':v':{'N':'1E-60'}}", MISSING),
        ("SET absent.a = :v ADD n :v", "{':v':{'N':'1E-60'}}", PATH),
    ] {
        assert_eq!(applied(before, text, values), Err(message.to_owned()), "{text}");
    }
    let top = "{'n':{'N':'9.9999999999999999999999999999999999999E+125'}}";
    let overflow = "Number overflow. Attempting to store a number with magnitude larger than supported range";
    assert_eq!(applied(top, "SET n = n + :v", "{':v':{'N':'1E+125'}}"), Err(overflow.to_owned()));
    assert_eq!(applied(top, "ADD n :v", "{':v':{'N':'1E+125'}}"), Err(overflow.to_owned()));
}

#[test]
fn nesting_stays_within_the_limit() {
    let mut json = "{'M':{}}".to_owned();
    for _ in 0..30 {
        json = format!("{{'M':{{'a':{json}}}}}");
    }
    let before = format!("{{'a':{json}}}");
    let path = vec!["a"; 31].join(".");
    assert!(applied(&before, &format!("SET {path}.b = :v"), "{':v':{'N':'1'}}").is_ok());
    let deeper = applied(&before, &format!("SET {path}.b = :v"), "{':v':{'L':[]}}");
    assert!(deeper.unwrap_err().starts_with("Nesting Levels have exceeded supported limits"));
}

#[test]
fn touched_places_are_answered_alone() {
    let before = item("{'a':{'N':'1'},'m':{'M':{'x':{'N':'1'},'y':{'N':'2'}}},'z':{'N':'0'}}");
    let bound = update("SET m.x = :v, b = :v REMOVE a", "", "{':v':{'N':'7'}}").unwrap();
    let after = bound.apply(before.view(), &ItemLimits::DYNAMODB).unwrap();
    let old = bound.touched().apply(before.view()).unwrap();
    let new = bound.touched().apply(after.view()).unwrap();
    assert_eq!(old, item("{'a':{'N':'1'},'m':{'M':{'x':{'N':'1'}}}}"));
    assert_eq!(new, item("{'b':{'N':'7'},'m':{'M':{'x':{'N':'7'}}}}"));
}

#[test]
fn human_mode_takes_literals_and_section_words_as_names() {
    let text = "SET add = 1, remove = if_not_exists(set, 'x'), n = n - -2 ADD total 1.5 REMOVE delete";
    let parsed = Arc::new(parse_update(text, &ParseOptions::HUMAN).unwrap());
    let bound = Binder::empty(ExprLimits::HUMAN).update(&parsed).unwrap();
    let before = item("{'n':{'N':'1'},'delete':{'N':'1'}}");
    let after = bound.apply(before.view(), &ItemLimits::DYNAMODB).unwrap();
    assert_eq!(after, item("{'add':{'N':'1'},'remove':{'S':'x'},'n':{'N':'3'},'total':{'N':'1.5'}}"));
    assert!(parse_update("SET a = 'x", &ParseOptions::HUMAN).is_err());
    assert!(parse_update("SET a = '\\q'", &ParseOptions::HUMAN).is_err());
    assert!(parse_update("SET a = 1e200", &ParseOptions::HUMAN).is_err());
}

#[test]
fn values_that_are_too_large_together_are_not_made() {
    let before = item(
        "{'b':{'S':'1234567890'},'l':{'L':[{'S':'12345'},{'S':'1'}]},'n':{'N':'-123'},'s':{'SS':['abcde']}}",
    );
    let limited = |text: &str, bytes: usize| {
        let parsed = Arc::new(parse_update(text, &ParseOptions::HUMAN).unwrap());
        let values = "{':l':{'L':[{'S':'1234567'}]},':s':{'SS':['abcde','f']}}";
        let bound = binder("", values).unwrap().update(&parsed).unwrap();
        let limits = ItemLimits { max_item_bytes: bytes, ..ItemLimits::DYNAMODB };
        bound.apply(before.view(), &limits).map_err(|error| error.to_string())
    };
    let unlimited = |text: &str| limited(text, usize::MAX).unwrap();
    // Each update is given with the size of its new values.
    for (text, bytes) in [
        ("SET a = b, c = b, d = if_not_exists(e, b)", 30),
        ("SET a = 'xyz', c = true", 4),
        ("SET a = list_append(l, list_append(:l, l))", 11 + 11 + 11),
        ("SET a = list_append(l, :l), c = l, b = l[0]", 11 + 11 + 11 + 5),
        ("SET l[7] = b, l[8] = b", 20),
        ("ADD t :s, s :s", 12),
        ("REMOVE b DELETE s :s", 0),
    ] {
        assert_eq!(limited(text, bytes), Ok(unlimited(text)), "{text}");
        if let Some(less) = bytes.checked_sub(1) {
            let error = limited(text, less).unwrap_err();
            assert_eq!(error, ItemError::ItemTooLarge.to_string(), "{text}");
        }
        assert!(unlimited(text).view().size() >= bytes);
    }
    // The size is checked last.
    for (text, message) in [
        ("SET a = b, c = b, d = absent", "does not exist in the item"),
        ("SET a = b, c = b ADD b :s", "incorrect data type"),
        ("SET a = list_append(l, l), c = list_append(l, b)", "incorrect data type"),
        ("SET a = b, c = b, n.a = 1", "document path"),
    ] {
        let error = limited(text, 5).unwrap_err();
        assert!(error.contains(message), "{text}: {error}");
    }
}
