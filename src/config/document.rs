//! Texts that derive from the table of options: `--help`, the documentation's table, the sample file.

use std::fmt::Write as _;

use super::options::{OptionSpec, specs};
use super::settings::Settings;
use super::spec::Changeable;

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
            let value = spec.written(&defaults).join(", ");
            let about = format!("{} ({}; default {value})", spec.doc(), (spec.describe)());
            _ = write!(text, "  --{}\n{}", spec.name, wrapped(&about, "      "));
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
                spec.written(&defaults).iter().map(|line| format!("`{line}`")).collect();
            let changes = match spec.change {
                Changeable::Live => "live",
                Changeable::Fixed => "at start",
                Changeable::Guarded => "protected",
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
            for line in spec.written(&defaults) {
                _ = writeln!(text, "# {} {line}", spec.name);
            }
        }
    }
    text
}

fn visible() -> impl Iterator<Item = &'static OptionSpec> {
    specs().filter(|spec| !spec.is_hidden())
}

/// The options by their headings, in the order of the table.
fn sections() -> impl Iterator<Item = (&'static str, Vec<&'static OptionSpec>)> {
    let mut sections: Vec<(&str, Vec<&OptionSpec>)> = Vec::new();
    for spec in visible() {
        match sections.last_mut() {
            Some((section, options)) if *section == spec.section => options.push(spec),
            _ => sections.push((spec.section, vec![spec])),
        }
    }
    sections.into_iter()
}

/// Breaks a text into lines, each with a prefix and an end.
fn wrapped(text: &str, prefix: &str) -> String {
    /// The most characters of a line.
    const LINE: usize = 110;
    let mut lines = String::new();
    let mut width = 0;
    for word in text.split_whitespace() {
        if width > 0 && width + 1 + word.len() > LINE {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_config_text;
    use std::collections::HashSet;
    use std::fs;
    use std::path::Path;

    /// Compares a file of the repository with the expected text. With `UPDATE_DOCS` set, writes the file instead.
    fn expect_file(path: &str, expected: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, expected).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap();
        assert!(found == expected, "{} is out of date; run the tests with UPDATE_DOCS=1", path.display());
    }

    #[test]
    fn names_are_unique_and_every_option_is_described() {
        let mut seen = HashSet::new();
        for spec in specs() {
            for name in spec.spellings() {
                assert!(seen.insert(name), "{name} is declared twice");
                assert!(
                    name.bytes().all(|byte| byte.is_ascii_lowercase() || b"-_".contains(&byte)),
                    "{name}"
                );
            }
            let doc = spec.doc();
            assert!(doc.ends_with('.') && !doc.contains("  "), "{}: {doc}", spec.name);
            assert!(spec.no_effect.is_none_or(|reason| reason.ends_with('.')), "{}", spec.name);
        }
    }

    #[test]
    fn the_sample_file_holds_every_option_and_parses() {
        let sample = sample_file();
        expect_file("config/itemory.conf", &sample);
        assert_eq!(parse_config_text(&sample).unwrap(), Settings::default());

        // With every option's line uncommented, the file gives the defaults.
        let is_option = |line: &&str| {
            let name = line.split(' ').next().unwrap_or_default();
            super::super::find(name.as_bytes()).is_some_and(|spec| spec.name == name)
        };
        let options: Vec<&str> =
            sample.lines().filter_map(|line| line.strip_prefix("# ")).filter(is_option).collect();
        let mut settings = parse_config_text(&options.join("\n")).unwrap();
        assert!(settings.dir.is_absolute());
        settings.dir = Settings::default().dir;
        assert_eq!(settings, Settings::default());
        for spec in visible() {
            let start = format!("{} ", spec.name);
            assert!(options.iter().any(|line| line.starts_with(&start)), "{} is missing", spec.name);
        }
    }

    #[test]
    fn the_documentation_holds_the_table() {
        const BEGIN: &str = "<!-- options: generated -->\n";
        let path = "docs/configuration.md";
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap();
        let (before, _) = text.split_once(BEGIN).expect("the marker stands before the table");
        expect_file(path, &format!("{before}{BEGIN}\n{}", options_markdown().trim_end().to_owned() + "\n"));
    }

    #[test]
    fn help_names_every_option_and_fits_a_terminal() {
        let help = help();
        for spec in visible() {
            assert!(help.contains(spec.name), "{} is missing", spec.name);
        }
        assert!(help.lines().all(|line| line.chars().count() <= 110), "{help}");
    }
}
