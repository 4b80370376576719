//! Texts that derive from the table of options: `--help`, the documentation's table, the sample file.

use std::fmt::Write as _;

use super::settings::Settings;
use super::spec::{Change, Spec, specs};

/// What `itemory --version` prints.
pub fn version() -> String {
    format!("Itemory server v={}", env!("CARGO_PKG_VERSION"))
}

/// What `itemory --help` prints.
pub fn help() -> String {
    let mut text = String::from(
        "Itemory: DynamoDB's items at in-memory speed, reached with any Redis client\n\n\
         Usage: itemory [FILE | -] [--OPTION VALUE ...] [-]\n\
         \x20      itemory check [--repair] DIR\n\
         \x20      itemory --help | --version\n\n\
         FILE is a configuration file with lines 'OPTION VALUE', '-' is standard input. An option can also be given\n\
         as a variable ITEMORY_OPTION (upper case, underscores for dashes), ITEMORY_CONFIG names the file. A flag wins\n\
         over a variable, a variable over the file.\n\n\
         'itemory check DIR' verifies the log and the checkpoints of a data folder; '--repair' cuts what is damaged,\n\
         says what it dropped, and keeps a copy.\n",
    );
    let defaults = Settings::default();
    for (section, options) in sections().filter(|(_, options)| options[0].no_effect.is_none()) {
        _ = write!(text, "\n{section}\n");
        for spec in options {
            let value = (spec.lines)(&defaults).join(", ");
            _ = write!(
                text,
                "  --{} ({}; default {})\n{}",
                spec.name,
                (spec.describe)(),
                value,
                indented(spec)
            );
        }
    }
    text.push_str("\nOptions of Redis that are accepted without effect:\n");
    let others: Vec<&str> = visible().filter(|spec| spec.no_effect.is_some()).map(|spec| spec.name).collect();
    text.push_str(&wrapped(&others.join(", "), "  "));
    text
}

/// The table of options for `docs/configuration.md`.
pub fn options_markdown() -> String {
    let defaults = Settings::default();
    let mut text = String::new();
    for (section, options) in sections() {
        _ = write!(text, "### {section}\n\n");
        if let Some(reason) = options[0].no_effect {
            _ = write!(text, "Without effect. {reason}\n\n");
        }
        text.push_str("| Option | Type | Default | Changes | Meaning |\n| --- | --- | --- | --- | --- |\n");
        for spec in options {
            let names: Vec<String> = spec.spellings().map(|name| format!("`{name}`")).collect();
            let default: Vec<String> =
                (spec.lines)(&defaults).iter().map(|line| format!("`{line}`")).collect();
            let changes = match spec.change {
                Change::Live => "live",
                Change::Fixed => "at start",
                Change::Guarded => "protected",
            };
            _ = writeln!(
                text,
                "| {} | {} | {} | {changes} | {} |",
                names.join(", "),
                (spec.describe)(),
                default.join("<br>"),
                spec.doc().replace('|', "\\|")
            );
        }
        text.push('\n');
    }
    text
}

/// The sample file `config/itemory.conf`: every option, commented out, with its default.
pub fn sample_file() -> String {
    let defaults = Settings::default();
    let mut text = String::from(
        "# Itemory's options with their defaults. Remove the '#' before a line to change it.\n\
         #\n\
         # A line is 'option value'; values with spaces stand in quotes, where \\n, \\t, \\\" and \\xHH are understood.\n\
         # Sizes take the units k, m, g (powers of 1000) and kb, mb, gb (powers of 1024). Every option is also a flag\n\
         # (--option value) and a variable (ITEMORY_OPTION); a flag wins over a variable, a variable over this file.\n\
         # 'include FILE' reads another file at its place, 'rename-command NAME NEWNAME' renames a command or, with\n\
         # \"\" as the new name, takes it away.\n",
    );
    for (section, options) in sections() {
        _ = write!(text, "\n#### {section}\n");
        if let Some(reason) = options[0].no_effect {
            text.push_str(&wrapped(&format!("Without effect. {reason}"), "# "));
        }
        for spec in options {
            text.push('\n');
            text.push_str(&wrapped(spec.doc(), "# "));
            for line in (spec.lines)(&defaults) {
                _ = writeln!(text, "# {} {line}", spec.name);
            }
        }
    }
    text
}

fn visible() -> impl Iterator<Item = &'static Spec> {
    specs().filter(|spec| !spec.is_hidden())
}

/// The options by their headings, in the order of the table.
fn sections() -> impl Iterator<Item = (&'static str, Vec<&'static Spec>)> {
    let mut sections: Vec<(&str, Vec<&Spec>)> = Vec::new();
    for spec in visible() {
        match sections.last_mut() {
            Some((section, options)) if *section == spec.section => options.push(spec),
            _ => sections.push((spec.section, vec![spec])),
        }
    }
    sections.into_iter()
}

fn indented(spec: &Spec) -> String {
    wrapped(spec.doc(), "      ")
}

/// Breaks a text into lines of at most 110 characters, each with a prefix and an end.
fn wrapped(text: &str, prefix: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > 110 {
            lines.push('\n');
            width = 0;
        }
        let before = if width == 0 { prefix } else { " " };
        lines.push_str(before);
        lines.push_str(word);
        width += before.len() + word.len();
    }
    lines.push('\n');
    lines
}
