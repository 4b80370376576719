//! The modules that each module names, read from the text of the sources.

use super::rust_files;
use std::collections::{BTreeMap, BTreeSet};

/// A module's path from the crate's root: `["log", "file_log", "open"]`.
pub(super) type Path = Vec<String>;

/// The modules of the crate, without those of tests.
pub(super) struct Modules {
    modules: BTreeMap<Path, Module>,
}

#[derive(Default)]
struct Module {
    /// The names that `use` declares, with their paths.
    names: BTreeMap<String, Path>,
    /// The paths in the module's own code, without re-exports.
    paths: BTreeSet<Path>,
}

impl Modules {
    /// Reads all sources.
    pub(super) fn read() -> Self {
        let (mut texts, mut of_tests) = (BTreeMap::new(), BTreeSet::new());
        for (file, text) in rust_files("src") {
            let mut path: Path =
                file.with_extension("").iter().skip(1).map(|p| p.to_string_lossy().into_owned()).collect();
            if path.last().is_some_and(|name| name == "mod") {
                path.pop();
            }
            let (code, tests) = code(&text);
            of_tests.extend(tests.into_iter().map(|name| [path.clone(), vec![name]].concat()));
            texts.insert(path, tokens(&code));
        }
        texts.retain(|path, _| !(1..=path.len()).any(|n| of_tests.contains(&path[..n])));
        let paths: BTreeSet<Path> = texts.keys().cloned().collect();
        let modules = texts.iter().map(|(path, tokens)| (path.clone(), module(path, tokens, &paths)));
        Self { modules: modules.collect() }
    }

    /// The folders, without the crate's root.
    pub(super) fn folders(&self) -> BTreeSet<&[String]> {
        self.modules.keys().filter(|path| path.len() > 1).map(|path| &path[..path.len() - 1]).collect()
    }

    /// Each import: the module that imports, the module that is imported, and the path in the source.
    pub(super) fn imports(&self) -> impl Iterator<Item = (&Path, Path, String)> {
        self.modules.iter().flat_map(move |(path, module)| {
            module.paths.iter().map(move |to| (path, self.home(to.clone(), 0), to.join("::")))
        })
    }

    /// The module that defines the target of a path. Re-exports are followed.
    fn home(&self, path: Path, hops: usize) -> Path {
        let known = (0..=path.len()).rev().find(|n| self.modules.contains_key(&path[..*n])).unwrap_or(0);
        let exported = path.get(known).and_then(|name| self.modules.get(&path[..known])?.names.get(name));
        match exported {
            Some(target) if hops < 8 => self.home([target.as_slice(), &path[known + 1..]].concat(), hops + 1),
            _ => path[..known].to_vec(),
        }
    }
}

/// The text without items that are built only for tests, and the names of modules among those.
fn code(text: &str) -> (String, Vec<String>) {
    let (mut out, mut tests) = (String::new(), Vec::new());
    let mut skipped: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if let Some(depth) = skipped {
            let name = line.split_once("mod ").and_then(|(_, name)| name.strip_suffix(';'));
            tests.extend(name.map(str::to_owned));
            // The item ends at the first line with its indentation that closes something.
            if indent == depth && line.ends_with([';', '}', ',']) {
                skipped = None;
            }
        } else if line.trim() == "#[cfg(test)]" {
            skipped = Some(indent);
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    (out, tests)
}

/// Identifiers, `::` and single characters, without comments and strings.
fn tokens(code: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '"' => string(rest),
            // Outside of strings a backslash only occurs in a character.
            '\\' => 2,
            '\'' if rest.starts_with("'\"'") => 3,
            ':' if rest.starts_with("::") => {
                out.push("::".to_owned());
                2
            }
            _ if c == '_' || c.is_alphanumeric() => {
                let len = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
                let (word, behind) = rest.split_at(len);
                let hashes = behind.len() - behind.trim_start_matches('#').len();
                let raw = matches!(word, "r" | "br") && behind[hashes..].starts_with('"');
                if !raw {
                    out.push(word.to_owned());
                }
                let close = format!("\"{}", "#".repeat(hashes));
                let string = || behind[hashes + 1..].find(&close).map(|at| hashes + 1 + at + close.len());
                len + if raw { string().expect("a raw string ends") } else { 0 }
            }
            _ => {
                if !c.is_whitespace() {
                    out.push(c.to_string());
                }
                c.len_utf8()
            }
        };
        rest = &rest[len..];
    }
    out
}

/// The length of a string with its quotes.
fn string(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.expect("a string ends").0 + 1
}

fn module(path: &[String], tokens: &[String], known: &BTreeSet<Path>) -> Module {
    let (mut module, mut exported) = (Module::default(), BTreeMap::new());
    let mut code = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" && tokens[at + 1] != "<" {
            let end = at + tokens[at..].iter().position(|t| t == ";").expect("`use` ends");
            let public = tokens[..at].last().is_some_and(|t| t == "pub" || t == ")");
            let mut names = Vec::new();
            leaves(&mut tokens[at + 1..end].iter().map(String::as_str), &[], &mut names);
            for (to, name) in names {
                let Some(to) = absolute(path, &to, known) else { continue };
                if public {
                    exported.insert(name.clone(), to.clone());
                } else {
                    module.paths.insert(to.clone());
                }
                module.names.insert(name, to);
            }
            at = end;
        } else {
            let mut end = at + 1;
            while tokens.get(end).is_some_and(|t| t == "::") && tokens.get(end + 1).is_some() {
                end += 2;
            }
            // `pub(in path)` and `mod name` do not import anything.
            let before = |words: &[&str]| {
                let from = at.saturating_sub(words.len());
                tokens[from..at].iter().map(String::as_str).eq(words.iter().copied())
            };
            if !before(&["(", "in"]) && !before(&["mod"]) {
                code.push(&tokens[at..end]);
            }
            at = end - 1;
        }
        at += 1;
    }
    for written in code {
        let words: Path = written.iter().filter(|t| *t != "::").cloned().collect();
        let to = exported.get(&words[0]).cloned();
        let to = to.or_else(|| (words.len() > 1).then(|| absolute(path, &words, known)).flatten());
        module.paths.extend(to);
    }
    module
}

/// The leaves of an import tree, each with its name in the module.
fn leaves(tokens: &mut dyn Iterator<Item = &str>, prefix: &[String], out: &mut Vec<(Path, String)>) {
    let mut words: Path = Vec::new();
    let mut name: Option<String> = None;
    loop {
        let token = tokens.next();
        match token {
            None | Some("}" | ",") => {
                let is_leaf = !words.is_empty();
                words.pop_if(|word| word == "self" && !prefix.is_empty());
                let path = [prefix, &words].concat();
                let last = path.last().cloned().filter(|_| is_leaf);
                out.extend(last.map(|last| (path, name.take().unwrap_or(last))));
                words.clear();
                if token != Some(",") {
                    return;
                }
            }
            Some("{") => {
                leaves(tokens, &[prefix, &words].concat(), out);
                words.clear();
            }
            Some("as") => name = tokens.next().map(str::to_owned),
            Some("::") => {}
            Some(word) => words.push(word.to_owned()),
        }
    }
}

/// The path of an import from the crate's root; `None` if it is not of this crate.
fn absolute(module: &[String], written: &[String], known: &BTreeSet<Path>) -> Option<Path> {
    let supers = written.iter().take_while(|word| *word == "super").count();
    Some(match written[0].as_str() {
        "crate" => written[1..].to_vec(),
        "self" => [module, &written[1..]].concat(),
        "super" => [&module[..module.len().checked_sub(supers)?], &written[supers..]].concat(),
        child => {
            let inner = [module, &[child.to_owned()]].concat();
            known.contains(&inner).then(|| [module, written].concat())?
        }
    })
}
