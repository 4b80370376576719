//! COMMAND DOCS: what commands do and which arguments they take.

use super::history;
use super::registry::{shown_subs, sorted};
use super::spec::{Begin, Spec};
use super::syntax::{Arg, ArgKind, parse};
use super::{Command, Cx, Outcome};
use crate::resp::Reply;

pub(super) fn docs(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let registry = cx.server.registry;
    let commands = match &args[2..] {
        [] => sorted(registry),
        names => {
            let mut found: Vec<&Command> = Vec::new();
            for command in names.iter().filter_map(|name| registry.by_full_name(name)) {
                if found.iter().all(|other| other.id != command.id) {
                    found.push(command);
                }
            }
            found
        }
    };
    cx.out.map(commands.len());
    for command in commands {
        reply_docs(cx.out, command);
    }
    Ok(())
}

/// Writes a command's name and its documentation.
fn reply_docs(out: &mut Reply, command: &Command) {
    let spec = command.spec;
    let args = parse(spec.syntax);
    let subs = shown_subs(command);
    out.bulk(command.full_name.as_bytes());
    let (deprecated, changes) =
        (history::deprecated(&command.full_name), history::changes(&command.full_name));
    let system =
        spec.name == "debug" && spec.group == "server" || matches!(spec.name, "pfdebug" | "pfselftest");
    let parts = [!args.is_empty(), !subs.is_empty(), !changes.is_empty(), system];
    let there = parts.into_iter().filter(|there| *there).count();
    out.map(4 + there + if deprecated.is_some() { 3 } else { 0 });
    for (name, text) in [
        ("summary", spec.summary.trim_end_matches('.')),
        ("since", spec.since),
        ("group", spec.group),
        ("complexity", spec.complexity),
    ] {
        out.bulk(name.as_bytes());
        out.bulk(text.as_bytes());
    }
    if deprecated.is_some() || system {
        out.bulk(b"doc_flags");
        out.set(1);
        out.simple(if system { "syscmd" } else { "deprecated" });
    }
    if let Some(deprecated) = deprecated {
        for (name, text) in [("deprecated_since", deprecated.since), ("replaced_by", deprecated.replaced_by)]
        {
            out.bulk(name.as_bytes());
            out.bulk(text.as_bytes());
        }
    }
    if !changes.is_empty() {
        out.bulk(b"history");
        out.set(changes.len());
        for (version, change) in changes {
            out.array(2);
            out.bulk(version.as_bytes());
            out.bulk(change.as_bytes());
        }
    }
    if !args.is_empty() {
        out.bulk(b"arguments");
        reply_args(out, spec, &args, &mut 0);
    }
    if !subs.is_empty() {
        out.bulk(b"subcommands");
        out.map(subs.len());
        for sub in subs {
            reply_docs(out, sub);
        }
    }
}

/// Writes the arguments of one level. `keys` counts the key arguments so far; argument number n has key specification
/// n, and those after the last specification have the last.
fn reply_args(out: &mut Reply, spec: &Spec, args: &[Arg], keys: &mut usize) {
    out.array(args.len());
    for arg in args {
        reply_arg(out, spec, arg, keys);
    }
}

fn reply_arg(out: &mut Reply, spec: &Spec, arg: &Arg, keys: &mut usize) {
    let index = (arg.kind == ArgKind::Key && !spec.keys.is_empty()).then(|| {
        let index = key_spec_of(spec, arg, *keys);
        *keys += 1;
        index
    });
    let flags: Vec<&str> = [
        (arg.optional, "optional"),
        (arg.multiple, "multiple"),
        (arg.multiple_token && arg.multiple, "multiple_token"),
    ]
    .into_iter()
    .filter(|(on, _)| *on)
    .map(|(_, name)| name)
    .collect();
    let is_group = matches!(arg.kind, ArgKind::OneOf | ArgKind::Block);
    let parts = [index.is_some(), arg.token.is_some(), !flags.is_empty(), true];
    out.map(2 + parts.into_iter().filter(|there| *there).count());
    out.bulk(b"name");
    out.bulk(arg.name.as_bytes());
    out.bulk(b"type");
    out.bulk(kind_of(spec, arg).name().as_bytes());
    if !is_group {
        out.bulk(b"display_text");
        out.bulk(arg.name.as_bytes());
    }
    if let Some(index) = index {
        out.bulk(b"key_spec_index");
        out.len_int(index);
    }
    if let Some(token) = &arg.token {
        out.bulk(b"token");
        out.bulk(token.as_bytes());
    }
    if !flags.is_empty() {
        out.bulk(b"flags");
        out.set(flags.len());
        for flag in flags {
            out.simple(flag);
        }
    }
    if is_group {
        out.bulk(b"arguments");
        reply_args(out, spec, &arg.args, keys);
    }
}

/// The kind of an argument. An `increment` is a double for commands whose names end in `float`, and behind `BYFLOAT`;
/// else it is an integer.
fn kind_of(spec: &Spec, arg: &Arg) -> ArgKind {
    match arg.name.as_str() {
        "increment" if spec.name.ends_with("float") || arg.token.as_deref() == Some("BYFLOAT") => {
            ArgKind::Double
        }
        "increment" => ArgKind::Integer,
        _ => arg.kind,
    }
}

/// The index of the key specification for an argument that is a key: the one whose keyword is the argument's token,
/// else number `nth`.
fn key_spec_of(spec: &Spec, arg: &Arg, nth: usize) -> usize {
    let by_token = arg.token.as_ref().and_then(|token| {
        spec.keys
            .iter()
            .position(|key| matches!(key.begin, Begin::Keyword(word, _) | Begin::Option(word, ..) | Begin::LastOption(word, ..) if word.eq_ignore_ascii_case(token)))
    });
    by_token.unwrap_or_else(|| nth.min(spec.keys.len() - 1))
}
