//! The texts that AWS answers, one refusal each.

use super::*;
use crate::item::{
    AttributeValueRef, IndexSchema, IndexStatus, ItemKeys, ItemLimits, KeyAttr, KeyBytes, KeySchema, KeyType,
    Projection, TableSchema, put_key,
};

fn refused_condition(text: &str, names: &str, values: &str) -> String {
    condition(text, names, values).map(|_| ()).unwrap_err().to_string()
}

fn refused_update(text: &str, names: &str, values: &str) -> String {
    update(text, names, values).map(|_| ()).unwrap_err().to_string()
}

#[test]
fn syntax_errors_show_the_token_and_its_neighbours() {
    for (text, token, near) in [
        ("a-b", "-", "a-b"),
        ("foo", "<EOF>", "foo"),
        ("attribute_not_exists(", "<EOF>", "("),
        ("a = :v AND", "<EOF>", "AND"),
        ("contains (themes, :theme", "<EOF>", ":theme"),
        ("a  =  =  :v", "=", "=  =  :v"),
        ("a = :v b", "b", ":v b"),
        ("AND a = :v", "AND", "AND a"),
        ("a = :a AND __b = :b", "_", "AND __"),
        ("a = 5", "5", "= 5"),
        ("a = 'x'", "'", "= 'x"),
        ("(a = :v", "<EOF>", ":v"),
        ("a IN ()", ")", "()"),
        ("a BETWEEN :a OR :b", "OR", ":a OR :b"),
        ("a[x] = :v", "x", "[x]"),
        ("a[:v] = :v", ":v", "[:v]"),
        ("NOT (#attr0)", "<EOF>", ")"),
        ("# = :v", "#", "# ="),
        ("a = \u{e9}", "\u{e9}", "= \u{e9}"),
        (" ", "<EOF>", " "),
    ] {
        assert_eq!(
            refused_condition(text, "", ""),
            format!("Invalid ConditionExpression: Syntax error; token: \"{token}\", near: \"{near}\""),
            "{text}"
        );
    }
    for (text, token, near) in [
        ("INVALID SYNTAX HERE", "INVALID", "INVALID SYNTAX"),
        ("ADD hits : incr", ":", "hits : incr"),
        ("SET a = :a, ", "<EOF>", ", "),
        ("SET a", "<EOF>", "a"),
        ("SET", "<EOF>", "SET"),
        ("SET a = list_append(a, 0)", "0", ", 0)"),
        ("SET a = :a, updated = :b REMOVE", "<EOF>", "REMOVE"),
        ("SET a = :a + :b + :c", "+", ":b + :c"),
        ("ADD a b", "b", "a b"),
    ] {
        assert_eq!(
            refused_update(text, "", ""),
            format!("Invalid UpdateExpression: Syntax error; token: \"{token}\", near: \"{near}\""),
            "{text}"
        );
    }
    for (text, token, near) in [("!!!", "!", "!!"), ("a b", "b", "a b"), ("a,", "<EOF>", ",")] {
        assert_eq!(
            parse_projection(text, &ParseOptions::STRICT).unwrap_err().to_string(),
            format!("Syntax error; token: \"{token}\", near: \"{near}\""),
            "{text}"
        );
    }
}

#[test]
fn conditions_are_refused_in_the_documented_words() {
    let v = "{':v':{'S':'x'}}";
    for (text, names, values, message) in [
        ("", "", "", "The expression can not be empty;"),
        ("((a = :v))", "", v, "The expression has redundant parentheses;"),
        ("((a)) = :v", "", v, "The expression has redundant parentheses;"),
        ("name = :v", "", v, "Attribute name is a reserved keyword; reserved keyword: name"),
        ("a.Status = :v", "", v, "Attribute name is a reserved keyword; reserved keyword: Status"),
        ("a[2147483648] = :v", "", v, "List index is not within the allowable range; index: [2147483648]"),
        ("foo(a)", "", "", "Invalid function name; function: foo"),
        ("Size(a) = :v", "", v, "Invalid function name; function: Size"),
        (
            "if_not_exists(a, :v) = :v",
            "",
            v,
            "The function is not allowed in a condition expression; function: if_not_exists",
        ),
        (
            "a = attribute_exists(b)",
            "",
            "",
            "The function is not allowed to be used this way in an expression; function: attribute_exists",
        ),
        (
            "size(a)",
            "",
            "",
            "The function is not allowed to be used this way in an expression; function: size",
        ),
        (
            "attribute_exists(a, b)",
            "",
            "",
            "Incorrect number of operands for operator or function; operator or function: attribute_exists, number of operands: 2",
        ),
        (
            "#a = :v",
            "",
            v,
            "An expression attribute name used in the document path is not defined; attribute name: #a",
        ),
        (
            "a = :w",
            "",
            v,
            "An expression attribute value used in expression is not defined; attribute value: :w",
        ),
        (
            "a < :v",
            "",
            "{':v':{'BOOL':true}}",
            "Incorrect operand type for operator or function; operator or function: <, operand type: BOOL",
        ),
        (
            "begins_with(a, :v)",
            "",
            "{':v':{'N':'1'}}",
            "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N",
        ),
        (
            "size(:v) = :v",
            "",
            "{':v':{'N':'1'}}",
            "Incorrect operand type for operator or function; operator or function: size, operand type: N",
        ),
        (
            "attribute_type(a, :v)",
            "",
            v,
            "Invalid attribute type name found; type: x, valid types: {N,BS,L,B,NULL,M,S,SS,NS,BOOL}",
        ),
        (
            "attribute_exists(:v)",
            "",
            v,
            "Operator or function requires a document path; operator or function: attribute_exists",
        ),
        (
            "a.b[1] = a.b[1]",
            "",
            "",
            "The first operand must be distinct from the remaining operands for this operator or function; operator: =, first operand: [a, b, [1]]",
        ),
        (
            "a BETWEEN :a AND :b",
            "",
            "{':a':{'N':'2'},':b':{'N':'1'}}",
            "The BETWEEN operator requires upper bound to be greater than or equal to lower bound; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {N:1}",
        ),
        (
            "a BETWEEN :a AND :b",
            "",
            "{':a':{'N':'2'},':b':{'S':'x'}}",
            "The BETWEEN operator requires same data type for lower and upper bounds; lower bound operand: AttributeValue: {N:2}, upper bound operand: AttributeValue: {S:x}",
        ),
    ] {
        assert_eq!(
            refused_condition(text, names, values),
            format!("Invalid ConditionExpression: {message}"),
            "{text}"
        );
    }
}

#[test]
fn limits_are_named() {
    let long = format!("a = :{}", "v".repeat(4092));
    assert_eq!(
        refused_condition(&long, "", ""),
        "Invalid ConditionExpression: Expression size has exceeded the maximum allowed size; expression size: 4097"
    );
    let long = format!("SET a = :{}", "v".repeat(4088));
    assert_eq!(
        refused_update(&long, "", ""),
        "Invalid UpdateExpression: Expression size has exceeded the maximum allowed size;"
    );
    let many = vec!["a=:v"; 151].join(" OR ");
    assert_eq!(
        refused_condition(&many, "", "{':v':{'N':'1'}}"),
        "Invalid ConditionExpression: The expression contains too many operators; operator count: 301"
    );
    let list = vec![":v"; 101].join(",");
    assert_eq!(
        refused_condition(&format!("a IN ({list})"), "", "{':v':{'N':'1'}}"),
        "Invalid ConditionExpression: The IN operator is provided with too many operands; number of operands: 101"
    );
    let deep = format!("attribute_exists(a{})", ".b".repeat(32));
    assert_eq!(
        refused_condition(&deep, "", ""),
        "Invalid ConditionExpression: The document path has too many nesting levels; nesting levels: 33"
    );
    let nested = format!("{}a = :v{}", "(NOT ".repeat(220), ")".repeat(220));
    assert!(parse_condition(&nested, &ParseOptions::STRICT).is_err());
    let parentheses = "(".repeat(2000);
    assert!(parse_condition(&parentheses, &ParseOptions::HUMAN).is_err());
    assert!(parse_condition(&vec!["NOT"; 1000].join(" "), &ParseOptions::STRICT).is_err());
}

#[test]
fn updates_are_refused_in_the_documented_words() {
    let n = "{':v':{'N':'1'}}";
    for (text, names, values, message) in [
        (
            "SET a = :v SET b = :v",
            "",
            n,
            "The \"SET\" section can only be used once in an update expression;",
        ),
        ("SET status = :v", "", n, "Attribute name is a reserved keyword; reserved keyword: status"),
        ("SET a = foo(b)", "", "", "Invalid function name; function: foo"),
        ("SET a = size(b)", "", "", "The function is not allowed in an update expression; function: size"),
        (
            "SET a = if_not_exists(b)",
            "",
            "",
            "Incorrect number of operands for operator or function; operator or function: if_not_exists, number of operands: 1",
        ),
        (
            "SET a = if_not_exists(:v, :v)",
            "",
            n,
            "Operator or function requires a document path; operator or function: if_not_exists",
        ),
        (
            "SET a = list_append(:v, b)",
            "",
            n,
            "Incorrect operand type for operator or function; operator or function: list_append, operand type: N",
        ),
        (
            "SET a = b + :v",
            "",
            "{':v':{'S':'x'}}",
            "Incorrect operand type for operator or function; operator or function: +, operand type: S",
        ),
        (
            "ADD a :v",
            "",
            "{':v':{'S':'x'}}",
            "Incorrect operand type for operator or function; operator: ADD, operand type: STRING, typeSet: ALLOWED_FOR_ADD_OPERAND",
        ),
        (
            "DELETE a :v",
            "",
            n,
            "Incorrect operand type for operator or function; operator: DELETE, operand type: NUMBER, typeSet: ALLOWED_FOR_DELETE_OPERAND",
        ),
        (
            "SET a = :v REMOVE #a",
            "{'#a':'a'}",
            n,
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a], path two: [a]",
        ),
        (
            "SET a.b = :v, a = :v",
            "",
            n,
            "Two document paths overlap with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a]",
        ),
        (
            "SET a.b = :v, a[1] = :v",
            "",
            n,
            "Two document paths conflict with each other; must remove or rewrite one of these paths; path one: [a, b], path two: [a, [1]]",
        ),
        (
            "SET #x = :v",
            "",
            n,
            "An expression attribute name used in the document path is not defined; attribute name: #x",
        ),
        (
            "SET a = :w",
            "",
            n,
            "An expression attribute value used in expression is not defined; attribute value: :w",
        ),
    ] {
        assert_eq!(
            refused_update(text, names, values),
            format!("Invalid UpdateExpression: {message}"),
            "{text}"
        );
    }
}

#[test]
fn placeholders_are_checked() {
    for (names, values, message) in [
        (
            "{'#a':'a','#b':'b'}",
            "",
            "Value provided in ExpressionAttributeNames unused in expressions: keys: {#b}",
        ),
        (
            "{'#a':'a'}",
            "{':v':{'N':'1'}}",
            "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}",
        ),
        ("{}", "", "ExpressionAttributeNames must not be empty"),
        ("", "{}", "ExpressionAttributeValues must not be empty"),
        ("{'a':'a'}", "", "ExpressionAttributeNames contains invalid key: Syntax error; key: \"a\""),
        ("{'#':'a'}", "", "ExpressionAttributeNames contains invalid key: Syntax error; key: \"#\""),
        ("", "{'#v':{'N':'1'}}", "ExpressionAttributeValues contains invalid key: Syntax error; key: \"#v\""),
        (
            "",
            "{':v':{'N':'x'}}",
            "ExpressionAttributeValues contains invalid value: The parameter cannot be converted to a numeric value: x for key :v",
        ),
        (
            "",
            "{':v':{'SS':[]}}",
            "ExpressionAttributeValues contains invalid value: One or more parameter values were invalid: An string set  may not be empty for key :v",
        ),
        ("", "{':v':{'S':1}}", "NUMBER_VALUE cannot be converted to String"),
    ] {
        assert_eq!(refused_condition("attribute_exists(#a)", names, values), message);
    }
    // Several unused keys come in the order of Java's hash sets.
    let names = "{'#a':'a','#zeta':'z','#beta':'b','#gamma':'g'}";
    let message = refused_condition("attribute_exists(#a)", names, "");
    assert_eq!(
        message,
        "Value provided in ExpressionAttributeNames unused in expressions: keys: {#gamma, #beta, #zeta}"
    );
}

fn keys() -> KeySchema {
    KeySchema { pk: KeyAttr::new("id", KeyType::S), sk: Some(KeyAttr::new("ts", KeyType::N)) }
}

fn key_ranges(text: &str, keys: &KeySchema) -> Result<KeyRanges, ExprError> {
    let values = "{':s':{'S':'x'},':e':{'S':''},':n':{'N':'1'},':m':{'N':'9'}}";
    let kind = ExprKind::KeyCondition;
    let parsed = parse_condition(text, &ParseOptions::STRICT).map_err(invalid(kind))?;
    let bound = binder("", values)?.condition(kind, &Arc::new(parsed))?;
    bound.key_ranges(&KeyTarget::table(keys), &ItemLimits::DYNAMODB)
}

#[test]
fn key_conditions_are_refused_in_the_documented_words() {
    for (text, message) in [
        ("id = :s OR ts = :n", "Invalid operator used in KeyConditionExpression: OR"),
        ("NOT id = :s", "Invalid operator used in KeyConditionExpression: NOT"),
        ("id IN (:s)", "Invalid operator used in KeyConditionExpression: IN"),
        ("id <> :s", "Invalid operator used in KeyConditionExpression: <>"),
        ("contains(id, :s)", "Invalid operator used in KeyConditionExpression: contains"),
        ("size(id) = :n", "KeyConditionExpressions cannot contain nested operations"),
        (
            "id.x = :s",
            "Invalid KeyConditionExpression: KeyConditionExpressions cannot have conditions on nested attributes",
        ),
        (
            "id = ts",
            "Invalid condition in KeyConditionExpression: Multiple attribute names used in one condition",
        ),
        (":s = :e", "Invalid condition in KeyConditionExpression: No key attribute specified"),
        (
            ":n BETWEEN ts AND :n",
            "Invalid condition in KeyConditionExpression: BETWEEN operator must have the key attribute as its first operand",
        ),
        (
            "begins_with(:s, id)",
            "Invalid condition in KeyConditionExpression: begins_with operator must have the key attribute as its first operand",
        ),
        ("id = :s AND id = :s", "KeyConditionExpressions must only contain one condition per key"),
        ("ts = :n", "Query condition missed key schema element: id"),
        ("id = :s AND extra = :n", "Query condition missed key schema element: ts"),
        ("id > :s", "Query key condition not supported"),
        ("id = :s AND ts = :n AND x = :n", "Query key condition not supported"),
        (
            "id = :n",
            "One or more parameter values were invalid: Condition parameter type does not match schema type",
        ),
        (
            "id = :e",
            "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an empty string value. Key: id",
        ),
    ] {
        assert_eq!(key_ranges(text, &keys()).unwrap_err().to_string(), message, "{text}");
    }
}

#[test]
fn key_conditions_become_ranges() {
    let number = |n: i64| {
        let mut out = crate::item::KeyBytes::new();
        put_key(&mut out, &AttributeValueRef::N(Number::from(n)));
        out
    };
    for (text, within) in [
        ("id = :s", [true, true, true, true, true]),
        ("id = :s AND ts = :n", [false, true, false, false, false]),
        ("ts > :n AND :s = id", [false, false, true, true, true]),
        ("id = :s AND :n >= ts", [true, true, false, false, false]),
        ("(id = :s) AND (ts BETWEEN :n AND :m)", [false, true, true, true, false]),
    ] {
        let ranges = key_ranges(text, &keys()).unwrap();
        assert_eq!(ranges.pk.as_slice(), b"x");
        let found = [0, 1, 5, 9, 10].map(|n| ranges.sk.contains(&number(n)));
        assert_eq!(found, within, "{text}");
    }
}

#[test]
fn index_keys_of_several_attributes_take_equality_then_one_range() {
    let index = IndexSchema {
        name: "multi".into(),
        local: false,
        pk: vec![KeyAttr::new("a", KeyType::S), KeyAttr::new("b", KeyType::N)],
        sk: vec![KeyAttr::new("c", KeyType::S), KeyAttr::new("d", KeyType::N)],
        projection: Projection::All,
        space: 0,
        status: IndexStatus::Active,
    };
    let values = "{':s':{'S':'x'},':n':{'N':'1'}}";
    let ranges = |text: &str| {
        let parsed = Arc::new(parse_condition(text, &ParseOptions::STRICT).unwrap());
        let bound = binder("", values).unwrap().condition(ExprKind::KeyCondition, &parsed).unwrap();
        bound.key_ranges(&KeyTarget::index(&index), &ItemLimits::DYNAMODB).map_err(|error| error.to_string())
    };
    let entry = item("{'a':{'S':'x'},'b':{'N':'1'},'c':{'S':'x'},'d':{'N':'5'}}");
    let own = ItemKeys { pk: KeyBytes::from_slice(b"i"), sk: KeyBytes::new() };
    let keys = index.entry_keys(&keys(), &own, &entry.view()).unwrap();
    for (text, within) in [
        ("a = :s AND b = :n", true),
        ("b = :n AND a = :s AND c = :s", true),
        ("a = :s AND b = :n AND c = :s AND d > :n", true),
        ("a = :s AND b = :n AND c = :s AND d < :n", false),
        ("a = :s AND b = :n AND c > :s", false),
        ("a = :s AND b = :n AND begins_with(c, :s)", true),
    ] {
        let ranges = ranges(text).unwrap();
        assert_eq!(ranges.pk, keys.pk, "{text}");
        assert_eq!(ranges.sk.contains(&keys.sk), within, "{text}");
    }
    assert_eq!(ranges("a = :s"), Err("Query condition missed key schema element: b".into()));
    assert_eq!(
        ranges("a = :s AND b = :n AND d = :n"),
        Err("Query condition missed key schema element: c".into())
    );
    assert_eq!(
        ranges("a = :s AND b = :n AND c > :s AND d = :n"),
        Err("Query key condition not supported".into())
    );
}

#[test]
fn key_attributes_are_guarded() {
    let mut schema = TableSchema::new(KeyAttr::new("id", KeyType::S), Some(KeyAttr::new("ts", KeyType::N)));
    schema.indexes.push(IndexSchema {
        name: "idx".into(),
        local: false,
        pk: vec![KeyAttr::new("mail", KeyType::S)],
        sk: Vec::new(),
        projection: Projection::All,
        space: 0,
        status: IndexStatus::Active,
    });
    let n = "{':v':{'N':'1'}}";
    let refused = |text: &str| update(text, "", n).unwrap().check_keys(&schema).unwrap_err().to_string();
    assert_eq!(
        refused("SET ts = :v"),
        "One or more parameter values were invalid: Cannot update attribute ts. This attribute is part of the key"
    );
    assert_eq!(
        refused("SET a = ts.x + :v"),
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: Key: ts"
    );
    assert_eq!(
        refused("SET mail.x = :v"),
        "Key attributes must be scalars; list random access '[]' and map lookup '.' are not allowed: IndexKey: mail"
    );
    let bound = condition("id[0] = :v", "", n).unwrap();
    assert!(bound.check_key_paths(&schema).is_err());
    let target = KeyTarget::table(&schema.keys);
    assert_eq!(
        condition("size(ts) > :v", "", n).unwrap().check_filter(&target).unwrap_err().to_string(),
        "Filter Expression can only contain non-primary key attributes: Primary key attribute: ts"
    );
    assert!(condition("extra > :v", "", n).unwrap().check_filter(&target).is_ok());
}
