//! Templates of key names: what they take apart, and what they refuse.

use super::*;
use proptest::prelude::*;

fn keys(pk: KeyType, sk: Option<KeyType>) -> KeySchema {
    KeySchema { pk: KeyAttr::new("id", pk), sk: sk.map(|sk| KeyAttr::new("at", sk)) }
}

fn parse(text: &str, keys: &KeySchema) -> Result<Template, String> {
    Template::parse(text, keys).map_err(|error| error.to_string())
}

/// The key texts in a name, `-` where it is not the template's, or why it is refused.
fn read(template: &str, keys: &KeySchema, name: &str) -> String {
    let template = parse(template, keys).unwrap();
    match template.read(name.as_bytes(), keys) {
        Ok(None) => "-".to_owned(),
        Ok(Some(texts)) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let sk = texts.sk.as_deref();
            assert_eq!(template.name(&texts.pk, sk).as_deref(), Some(name.as_bytes()));
            format!("{}{}", text(&texts.pk), sk.map(|sk| format!("|{}", text(sk))).unwrap_or_default())
        }
        Err(error) => error.to_string(),
    }
}

#[test]
fn names_are_taken_apart() {
    let one = keys(KeyType::S, None);
    let two = keys(KeyType::S, Some(KeyType::N));
    for (template, keys, name, expected) in [
        ("user:{id}", &one, "user:42", "42"),
        ("user:{id}", &one, "user:a-b_c.d~e", "a-b_c.d~e"),
        ("user:{id}", &one, "user:42:friends", "-"),
        ("user:{id}", &one, "user:", "-"),
        ("user:{id}", &one, "user", "-"),
        ("user:{id}", &one, "users:1", "-"),
        ("user:{id}", &one, "user:a%3Ab%25", "a:b%"),
        ("user:{id}", &one, "user:a/b é", "a/b é"),
        ("user-{id}", &one, "user-1-2", "1-2"),
        ("u/{id}/profile", &one, "u/7/profile", "7"),
        ("u/{id}/profile", &one, "u/7/profiles", "-"),
        ("{{u{id}}}", &one, "{u7}", "7"),
        ("{{u:{id}}}x", &one, "{u:a%7Db}x", "a}b"),
        ("sess:*", &one, "sess:a:b", "sess:a:b"),
        ("sess:*", &one, "sess:", "-"),
        ("s*e", &one, "s%41e", "s%41e"),
        ("s*e", &one, "se", "-"),
        ("c:{id}:{at}", &two, "c:ann:7", "ann|7"),
        ("c:{at}-{id}", &two, "c:7-ann", "ann|7"),
        ("c:{at}-{id}", &two, "c:%2D7-ann", "ann|-7"),
        ("c:{id}:{at}", &two, "c:ann:7:1", "-"),
        ("orders*", &one, "orders@stream", "-"),
    ] {
        assert_eq!(read(template, keys, name), expected, "{template} {name}");
    }
}

#[test]
fn what_is_written_otherwise_is_refused() {
    let one = keys(KeyType::S, None);
    let two = keys(KeyType::S, Some(KeyType::N));
    for (template, keys, name) in [
        ("user:{id}", &one, "user:50%"),
        ("user:{id}", &one, "user:%41"),
        ("user:{id}", &one, "user:a%3ab"),
        ("c:{id}:{at}", &two, "c:ann:x"),
        ("c:{id}:{at}", &two, "c:ann:07"),
        ("c:{id}:{at}", &two, "c:ann:1e3"),
    ] {
        assert!(read(template, keys, name).starts_with("key '"), "{template} {name}");
        assert!(parse(template, keys).unwrap().claims(name.as_bytes()));
    }
    let template = parse("user:{id}", &one).unwrap();
    assert!(template.read(b"user:\xFF", &one).is_err());
    assert_eq!(
        read("c:{id}:{at}", &two, "c:ann:x"),
        "key 'c:ann:x' is not one of its table's: attribute at: it is no number"
    );
}

#[test]
fn templates_are_checked() {
    let one = keys(KeyType::S, None);
    let two = keys(KeyType::S, Some(KeyType::N));
    for (template, keys) in [
        ("", &one),
        ("user", &one),
        ("{id}", &one),
        ("*", &one),
        ("user:{name}", &one),
        ("user:{id", &one),
        ("user:id}", &one),
        ("user:{id}:{id}", &one),
        ("user:{id}:*", &one),
        ("user%{id}", &one),
        ("a*b*", &one),
        ("c:{id}", &two),
        ("c:{id}{at}", &two),
        ("c:*", &two),
        ("n:*", &keys_n()),
        (&format!("u:{{id}}{}", "x".repeat(1024)), &one),
    ] {
        assert!(parse(template, keys).unwrap_err().starts_with("KEYSPACE"), "{template}");
    }
}

fn keys_n() -> KeySchema {
    keys(KeyType::N, None)
}

#[test]
fn templates_that_share_a_name_overlap() {
    let one = keys(KeyType::S, None);
    let overlap = |a: &str, b: &str| {
        let (a, b) = (parse(a, &one).unwrap(), parse(b, &one).unwrap());
        assert_eq!(a.overlaps(&b), b.overlaps(&a));
        a.overlaps(&b)
    };
    assert!(overlap("user:{id}", "user:{id}"));
    assert!(overlap("user:{id}", "user*"));
    assert!(overlap("user:{id}", "u*"));
    assert!(overlap("user:1{id}", "user:{id}"));
    assert!(overlap("a*z", "ab*"));
    assert!(!overlap("user:{id}", "user:{id}:cart"));
    assert!(!overlap("user:{id}", "users:{id}"));
    assert!(!overlap("a*z", "a/{id}/y"));
    assert!(overlap("a*z", "a/{id}/{{z"));
}

proptest! {
    #[test]
    fn items_and_names_correspond(pk in "[a-c:%/}é-]{1,6}", sk: i64, at in 0_usize..4) {
        let two = keys(KeyType::S, Some(KeyType::N));
        let text = ["k:{id}:{at}", "k-{at}-{id}", "k/{id}|{at}", "a{id}b{at}c"][at];
        let template = Template::parse(text, &two).unwrap();
        let sk = sk.to_string();
        let name = template.name(pk.as_bytes(), Some(sk.as_bytes())).unwrap();
        let read = template.read(&name, &two).unwrap().unwrap();
        prop_assert_eq!(&*read.pk, pk.as_bytes());
        prop_assert_eq!(read.sk.as_deref(), Some(sk.as_bytes()));
    }

    #[test]
    fn no_two_names_stand_for_one_item(name in "k[:a%0-9A-F]{0,9}") {
        let two = keys(KeyType::B, Some(KeyType::N));
        let template = Template::parse("k:{id}:{at}", &two).unwrap();
        if let Ok(Some(texts)) = template.read(name.as_bytes(), &two) {
            prop_assert_eq!(template.name(&texts.pk, texts.sk.as_deref()).unwrap(), name.as_bytes());
        }
    }

    #[test]
    fn names_of_two_templates_overlap(name in "[ab:]{1,6}", i in 0_usize..5, j in 0_usize..5) {
        let one = keys(KeyType::B, None);
        let texts = ["a{id}", "a:{id}", "a*", "a{id}:b", "a*b"];
        let [a, b] = [i, j].map(|at| Template::parse(texts[at], &one).unwrap());
        if a.claims(name.as_bytes()) && b.claims(name.as_bytes()) {
            prop_assert!(a.overlaps(&b));
        }
    }
}
