//! Redaction: MONITOR and the slow log show commands without their secrets.

use super::{Command, eq};
use std::borrow::Cow;

const HIDDEN: &[u8] = b"(redacted)";

/// The arguments, with secrets replaced by `(redacted)`.
pub fn shown<'a>(command: &Command, args: &[&'a [u8]]) -> Vec<Cow<'a, [u8]>> {
    let mut shown: Vec<Cow<'a, [u8]>> = args.iter().map(|arg| Cow::Borrowed(*arg)).collect();
    let mut hide = |at: usize| {
        if let Some(arg) = shown.get_mut(at) {
            *arg = Cow::Borrowed(HIDDEN);
        }
    };
    match command.full_name.as_str() {
        "auth" => (1..args.len()).for_each(&mut hide),
        "hello" => {
            for (at, _) in args.iter().enumerate().skip(2).filter(|(_, arg)| eq(arg, "AUTH")) {
                hide(at + 1);
                hide(at + 2);
            }
        }
        "config|set" => {
            for at in (2..args.len()).step_by(2) {
                if crate::config::find(args[at]).is_some_and(crate::config::OptionSpec::is_secret) {
                    hide(at + 1);
                }
            }
        }
        "acl|setuser" => (2..args.len()).for_each(&mut hide),
        _ => {}
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Registry;
    use crate::node::monitor_line;

    fn line(words: &str) -> String {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        let command = Registry::get().lookup(&args).unwrap();
        monitor_line(1_234_000_567, 3, "127.0.0.1:9", false, &shown(command, &args))
    }

    #[test]
    fn secrets_are_left_out() {
        for (words, expected) in [
            ("AUTH hunter2", r#""AUTH" "(redacted)""#),
            ("auth me hunter2", r#""auth" "(redacted)" "(redacted)""#),
            (
                "HELLO 3 SETNAME x auth default hunter2",
                r#""HELLO" "3" "SETNAME" "x" "auth" "(redacted)" "(redacted)""#,
            ),
            (
                "config set timeout 1 requirepass hunter2",
                r#""config" "set" "timeout" "1" "requirepass" "(redacted)""#,
            ),
            ("ACL SETUSER me >hunter2 +get", r#""ACL" "SETUSER" "(redacted)" "(redacted)" "(redacted)""#),
        ] {
            assert_eq!(line(words), format!("+1234.000567 [3 127.0.0.1:9] {expected}\r\n"));
        }
    }
}
