//! Files of one room may know each other in one direction. What two files need from each other belongs in a third file.

use super::imports::Modules;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The imports within a folder: importing file, imported file, and the paths.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The rule holds for the files directly in each folder:
///
/// - A folder within it counts as one file, and its own files are checked separately; so does `x.rs` together with
///   `x/`.
/// - The folder's own `mod.rs` (or `x.rs` beside `x/`) is a file like the others, named `mod`. Its declarations and
///   re-exports do not count. A type that it defines and its children use counts, and so does a child that it calls. A
///   facade that only re-exports is in no knot, nor is one that calls its children and that they do not know.
/// - A path counts for the file that defines its target: re-exports are followed, those of `mod.rs` too. Methods do not
///   count: `impl Engine` may be spread over many files, each of which knows the file of `Engine`.
#[test]
fn files_of_a_room_know_each_other_in_one_direction() {
    let modules = Modules::read();
    let mut found = String::new();
    for folder in modules.folders() {
        let graph = graph(&modules, folder);
        for knot in knots(&graph) {
            let _ = write!(found, "\n{}: {}{}", folder.join("/"), knot.join(" "), threads(&graph, &knot));
        }
    }
    assert!(found.is_empty(), "{found}");
}

fn graph(modules: &Modules, folder: &[String]) -> Graph {
    let node = |path: &[String]| {
        let below = path.strip_prefix(folder)?;
        Some(below.first().map_or_else(|| "mod".to_owned(), Clone::clone))
    };
    let mut graph = Graph::new();
    for (from, to, written) in modules.imports() {
        let (Some(from), Some(to)) = (node(from), node(&to)) else { continue };
        if from != to {
            graph.entry(from).or_default().entry(to).or_default().insert(written);
        }
    }
    graph
}

/// The largest groups of files in which each file reaches all others.
fn knots(graph: &Graph) -> BTreeSet<Vec<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph
        .keys()
        .map(|from| {
            let (mut reached, mut todo) = (BTreeSet::new(), vec![from]);
            while let Some(next) = todo.pop() {
                let further = graph.get(next).into_iter().flat_map(BTreeMap::keys);
                todo.extend(further.filter(|to| reached.insert(*to)));
            }
            (from, reached)
        })
        .collect();
    let tied =
        |a: &String, b: &String| reached[a].contains(b) && reached.get(b).is_some_and(|r| r.contains(a));
    reached
        .keys()
        .filter(|file| tied(file, file))
        .map(|file| reached[file].iter().filter(|other| tied(file, other)).map(|f| (*f).clone()).collect())
        .collect()
}

/// A knot's imports, one line each.
fn threads(graph: &Graph, knot: &[String]) -> String {
    let mut out = String::new();
    for (from, targets) in graph.iter().filter(|(from, _)| knot.contains(from)) {
        for (to, paths) in targets.iter().filter(|(to, _)| knot.contains(to)) {
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let _ = write!(out, "\n    {from} -> {to}: {}", paths.join(", "));
        }
    }
    out
}
