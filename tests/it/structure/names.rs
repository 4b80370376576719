//! Two types never share a name where a reader of the code meets both.

use super::{rust_files, without_tests};
use std::collections::BTreeMap;

/// A type that is visible outside its file.
struct Declared {
    /// Whether other rooms see it.
    is_public: bool,
    /// The room in which it is declared, and its file.
    room: String,
    file: String,
}

/// The types of all rooms that are visible outside their files, by name. An alias that stands for a type of the same
/// name is the same thing.
fn declared() -> BTreeMap<String, Vec<Declared>> {
    let mut types: BTreeMap<String, Vec<Declared>> = BTreeMap::new();
    for (file, text) in rust_files("src") {
        let room = file.iter().nth(1).unwrap_or_default().to_string_lossy().into_owned();
        let file = file.display().to_string();
        if file.contains("/tests/") || file.ends_with("/tests.rs") {
            continue;
        }
        for line in without_tests(&text).lines().map(str::trim_start) {
            let mut words = line.split_whitespace();
            let is_public = match words.next() {
                Some("pub") => true,
                Some("pub(in") => {
                    words.next();
                    false
                }
                Some(word) if word.starts_with("pub(") => false,
                _ => continue,
            };
            let is_type = |word| matches!(word, "struct" | "enum" | "trait" | "union" | "type");
            let Some(name) = words.next().filter(|word| is_type(*word)).and_then(|_| words.next()) else {
                continue;
            };
            let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            let is_alias = line.contains(" type ") && line.contains(&format!("::{name}<"));
            // A macro's `$Name` is no name.
            if name.is_empty() || is_alias {
                continue;
            }
            types.entry(name).or_default().push(Declared {
                is_public,
                room: room.clone(),
                file: file.clone(),
            });
        }
    }
    types
}

/// A name that other rooms see is declared once; within a room so is every name that other files see. Two rooms may
/// each have a type of their own for what only they know: nobody meets both.
#[test]
fn two_types_never_share_a_name() {
    let mut shared = Vec::new();
    for (name, types) in declared() {
        let is_public = types.iter().any(|declared| declared.is_public);
        let mut rooms: Vec<&str> = types.iter().map(|declared| declared.room.as_str()).collect();
        rooms.sort_unstable();
        if types.len() > 1 && (is_public || rooms.windows(2).any(|two| two[0] == two[1])) {
            let files: Vec<&str> = types.iter().map(|declared| declared.file.as_str()).collect();
            shared.push(format!("{name}: {}", files.join(", ")));
        }
    }
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}
