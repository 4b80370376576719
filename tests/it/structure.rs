//! Tests the house rules that a machine can check: which room imports which, how long files are, and which words and
//! calls are forbidden.

mod imports;
mod knots;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A leaf, which imports nothing and which every room may import.
const LEAF: &str = "text";

/// Every room and its number. A room imports only rooms with a smaller number, and the leaf.
const ROOMS: &[(&str, u8)] = &[
    ("config", 0),
    ("env", 0),
    ("text", 0),
    ("acl", 1),
    ("value", 1),
    ("item", 1),
    ("resp", 1),
    ("expr", 2),
    ("effect", 2),
    ("lua", 2),
    ("log", 3),
    ("store", 3),
    ("engine", 4),
    ("ops", 5),
    ("node", 5),
    ("aws", 6),
    ("command", 7),
    ("session", 8),
    ("server", 9),
];

/// The most columns of a comment line.
const WIDEST_COMMENT: usize = 120;

/// The most lines of a file without its tests.
const LONGEST_FILE: usize = 600;

/// The most lines of a function, from its name to its closing brace. Tests may have more, because tables of examples
/// do.
const LONGEST_FUNCTION: usize = 70;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files under a folder, without build output and downloads.
fn files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        let name = entry.file_name().unwrap().to_string_lossy().into_owned();
        let skipped = ["target", ".git", "node_modules", "data", "corpus", "artifacts", "__pycache__"]
            .contains(&name.as_str());
        if entry.is_dir() {
            if !skipped {
                files(&entry, out);
            }
        } else if name != "Cargo.lock" && entry.is_file() && !skipped {
            out.push(entry);
        }
    }
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    files(&root().join(folder), &mut out);
    out.sort();
    out
}

fn rust_files(folder: &str) -> impl Iterator<Item = (PathBuf, String)> {
    files_in(folder).into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")).map(|f| {
        let text = fs::read_to_string(&f).unwrap();
        (f.strip_prefix(root()).unwrap().to_path_buf(), text)
    })
}

/// The text of a file before its tests.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod ").next().unwrap_or(text)
}

/// The files of `effect` that do not belong to a type of value.
const EFFECTS_OF_NO_TYPE: &[&str] = &["any", "codec", "mod", "own", "parts", "record", "structural", "tests"];

#[test]
fn a_type_of_value_has_one_file_of_effects_and_one_folder_in_the_store() {
    let name_of = |path: &Path, depth: usize| {
        let part = path.components().nth(depth).unwrap().as_os_str().to_string_lossy().into_owned();
        part.trim_end_matches(".rs").to_owned()
    };
    let effects = rust_files("src/effect").map(|(path, _)| name_of(&path, 2));
    let effects: BTreeSet<String> =
        effects.filter(|name| !EFFECTS_OF_NO_TYPE.contains(&name.as_str())).collect();
    for part in ["mod.rs", "image.rs"] {
        let folders = rust_files("src/store/types").map(|(path, _)| path);
        let folders = folders.filter(|path| path.components().count() == 5 && path.ends_with(part));
        assert_eq!(folders.map(|path| name_of(&path, 3)).collect::<BTreeSet<_>>(), effects, "{part}");
    }
}

#[test]
fn rooms_import_only_downwards() {
    let rooms: BTreeMap<&str, u8> = ROOMS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, text) in rust_files("src") {
        let mut parts = file.components().skip(1);
        let first = parts.next().unwrap().as_os_str().to_string_lossy().into_owned();
        let room = first.trim_end_matches(".rs").to_owned();
        if room == "lib" || room == "main" {
            continue;
        }
        let Some(number) = rooms.get(room.as_str()) else {
            wrong.push(format!("{}: `{room}` is no room", file.display()));
            continue;
        };
        for (n, line) in without_tests(&text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for import in code.split("crate::").skip(1) {
                let name: String =
                    import.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
                let imported = rooms.get(name.as_str());
                let leaf = name == LEAF && room != LEAF;
                if name != room && !leaf && imported.is_some_and(|i| i >= number) {
                    wrong.push(format!("{}:{}: `{room}` imports `{name}`", file.display(), n + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn rooms_are_listed_from_the_bottom_up() {
    let text = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut highest = 0;
    for line in text.lines() {
        let Some(room) = line.strip_prefix("pub mod ").and_then(|l| l.strip_suffix(';')) else { continue };
        let number = ROOMS.iter().find(|(name, _)| *name == room);
        let (_, number) = number.unwrap_or_else(|| panic!("`{room}` has no number"));
        assert!(*number >= highest, "`{room}` stands after a room of a higher number");
        highest = *number;
    }
}

#[test]
fn dashmap_lives_in_the_store_alone() {
    let elsewhere: Vec<String> = rust_files("src")
        .filter(|(file, text)| !file.starts_with("src/store") && text.contains("dashmap::"))
        .map(|(file, _)| file.display().to_string())
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn unsafe_code_lives_in_few_files() {
    // `entry/block` owns the memory of entries, `raw_table` uses DashMap's internal table, `memory` is the allocator,
    // `lua/host` lends a script's functions what its caller has, `lua/call` speaks Lua's own interface.
    let known = [
        "src/env/memory",
        "src/env/prefetch",
        "src/lua/call",
        "src/lua/host",
        "src/store/entry/block",
        "src/store/raw_table",
    ];
    let code = ["unsafe_code", "unsafe {", "unsafe fn", "unsafe impl", "unsafe extern", "unsafe trait"];
    let elsewhere: Vec<_> = rust_files("src")
        .filter(|(_, text)| code.iter().any(|code| text.contains(code)))
        .map(|(file, _)| file.display().to_string())
        .filter(|file| !known.iter().any(|known| file.starts_with(known)))
        .collect();
    assert!(elsewhere.is_empty(), "{elsewhere:?}");
}

#[test]
fn files_are_short() {
    let long: Vec<String> = ["src", "tests", "benches"]
        .into_iter()
        .filter(|folder| root().join(folder).is_dir())
        .flat_map(rust_files)
        .map(|(file, text)| (file, without_tests(&text).lines().count()))
        .filter(|(file, lines)| *lines > LONGEST_FILE && !file.to_string_lossy().contains("tests"))
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "{}", long.join("\n"));
}

/// The name of the function that begins on a line, and how far the line is indented.
fn function(line: &str) -> Option<(usize, &str)> {
    let code = line.trim_start();
    let (before, after) = code.split_once("fn ")?;
    let qualifiers = before.split_whitespace().all(|word| {
        word.starts_with("pub") || ["const", "async", "unsafe", "extern", "\"C\"", "in"].contains(&word)
    });
    let name = after.split(|c: char| c != '_' && !c.is_alphanumeric()).next()?;
    (qualifiers && !name.is_empty()).then_some((line.len() - code.len(), name))
}

#[test]
fn functions_are_short() {
    let mut long = Vec::new();
    for (file, text) in ["src", "benches"].into_iter().flat_map(rust_files) {
        if file.to_string_lossy().contains("tests") {
            continue;
        }
        let mut open: Vec<(usize, &str, usize)> = Vec::new();
        for (at, line) in without_tests(&text).lines().enumerate() {
            if let Some((indent, name)) = function(line).filter(|_| !line.ends_with([';', '}'])) {
                open.push((indent, name, at));
            }
            let indent = line.len() - line.trim_start().len();
            // A function ends with a brace that stands where its first line does; one without a body with a semicolon.
            let ends = matches!(line.trim(), "}" | ");")
                || line.trim_start().starts_with(") ->") && line.ends_with(';');
            if let Some((_, name, begin)) = open.pop_if(|(of, ..)| ends && *of == indent) {
                let lines = at - begin + 1;
                if lines > LONGEST_FUNCTION {
                    long.push(format!("{}: `{name}` has {lines} lines", file.display()));
                }
            }
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}

#[test]
fn comments_are_narrow() {
    let mut wide = Vec::new();
    for (file, text) in ["src", "tests", "benches", "fuzz"].into_iter().flat_map(rust_files) {
        for (n, line) in text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with("//")) {
            let columns = line.chars().count();
            if columns > WIDEST_COMMENT {
                wide.push(format!("{}:{}: {columns} columns", file.display(), n + 1));
            }
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
}

/// The repository names no folder of a machine and no address of a package registry.
#[test]
fn nothing_outside_the_repository_is_named() {
    let banned: Vec<String> = [
        ["/wo", "rk/"],
        ["/ro", "ot/"],
        ["crates", ".io"],
        ["pypi", ".org"],
        ["files.python", "hosted"],
        ["npmjs", ".org"],
        ["npmjs", ".com"],
        ["deb.deb", "ian"],
        ["PRODUCT", ".md"],
        ["HOUSE", ".md"],
        ["BRIEF", ".md"],
    ]
    .iter()
    .map(|parts| parts.concat())
    .collect();
    let mut found = Vec::new();
    for file in files_in(".") {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for (n, line) in text.lines().enumerate() {
            for word in banned.iter().filter(|word| line.contains(word.as_str())) {
                found.push(format!("{}:{}: {word}", file.display(), n + 1));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Every difference that a script marks is explained, and every explained difference is marked in a script.
#[test]
fn differences_are_explained() {
    let explained: Vec<String> = fs::read_to_string(root().join("docs/compatibility.md"))
        .unwrap()
        .lines()
        .filter_map(|l| l.strip_prefix("- `")?.split_once('`').map(|(word, _)| word.to_owned()))
        .collect();
    let mut marked: Vec<String> = Vec::new();
    for file in files_in("tests/scripts") {
        for line in fs::read_to_string(&file).unwrap().lines() {
            for word in line.split_whitespace().filter_map(|w| w.strip_prefix("!diff:")) {
                marked.push(word.to_owned());
            }
        }
    }
    for word in &marked {
        assert!(explained.contains(word), "docs/compatibility.md does not explain `{word}`");
    }
    for word in &explained {
        assert!(marked.contains(word), "no script shows the difference `{word}`");
    }
}
