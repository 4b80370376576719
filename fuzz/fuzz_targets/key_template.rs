//! Templates of key names: any text parses or is refused, names and items correspond one to one, and names that belong
//! to two templates make them overlap.
#![no_main]

use itemory::item::{KeyAttr, KeySchema, KeyType, Template};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str, &[u8], &[u8], bool)| {
    let (text, other, name, pk, sorted) = input;
    let keys = KeySchema {
        pk: KeyAttr::new("a", KeyType::B),
        sk: sorted.then(|| KeyAttr::new("b", KeyType::N)),
    };
    let Ok(template) = Template::parse(text, &keys) else { return };
    if let Ok(Some(texts)) = template.read(name, &keys) {
        assert_eq!(template.name(&texts.pk, texts.sk.as_deref()).as_deref(), Some(name));
    }
    if let Some(name) = template.name(pk, sorted.then_some(b"7".as_slice()))
        && !pk.is_empty()
    {
        let texts = template.read(&name, &keys).expect("its own names are rightly written").expect("they are its own");
        assert_eq!(&*texts.pk, pk);
    }
    if let Ok(second) = Template::parse(other, &keys) {
        let shared = template.claims(name) && second.claims(name);
        assert!(!shared || template.overlaps(&second));
        assert_eq!(template.overlaps(&second), second.overlaps(&template));
    }
});
