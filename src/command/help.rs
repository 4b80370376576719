//! The HELP subcommand of every container, derived from the command table.

use super::{Command, Cx, Fail, Outcome};

/// Answers with two lines for each subcommand: its name with its arguments, and what it does.
pub(super) fn help(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let Some(container) = cx.server.registry.command(args[0]) else {
        return Err(Fail::new("ERR unknown command"));
    };
    let mut subs: Vec<&Command> = container.subs.values().collect();
    subs.sort_by_key(|sub| (sub.spec.name == "help", sub.spec.name));
    cx.out.array(1 + 2 * subs.len());
    let name = container.spec.name.to_ascii_uppercase();
    cx.out.simple(format!("{name} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"));
    for sub in subs {
        let line = format!("{} {}", sub.spec.name.to_ascii_uppercase(), sub.spec.syntax);
        cx.out.simple(line.trim_end());
        cx.out.simple(format!("    {}", sub.spec.summary));
    }
    Ok(())
}
