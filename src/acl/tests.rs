use super::*;
use std::borrow::Cow;

/// A table of commands: `get` and `set`, the container `config` with two subcommands, and `select`.
struct Table;

const NAMES: [&str; 6] = ["get", "set", "config", "config|get", "config|set", "select"];

impl CommandNames for Table {
    fn count(&self) -> usize {
        NAMES.len()
    }

    fn find(&self, name: &[u8]) -> Option<NamedCommand> {
        let number = NAMES.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        let subs = if number == 2 { vec![3, 4] } else { Vec::new() };
        Some(NamedCommand { number, name: NAMES[number].to_owned(), subs })
    }

    fn in_category(&self, category: &[u8]) -> Option<Vec<usize>> {
        match &*category.to_ascii_lowercase() {
            b"read" => Some(vec![0]),
            b"write" => Some(vec![1]),
            b"admin" => Some(vec![2, 3, 4]),
            _ => None,
        }
    }
}

const CONTEXT: RuleContext<'static> = RuleContext { names: &Table, all_channels: false };

fn applied(rules: &str) -> Result<UserRules, RuleError> {
    let mut user = UserRules::fresh(NAMES.len(), false);
    let rules = merged(rules.split(' ').map(str::as_bytes)).unwrap();
    rules.iter().try_for_each(|rule| user.apply(rule, CONTEXT))?;
    Ok(user)
}

fn user(rules: &str) -> UserRules {
    applied(rules).unwrap()
}

fn text(rules: &str) -> String {
    String::from_utf8(user(rules).text()).unwrap()
}

fn read(key: &'static str) -> KeyUse<'static> {
    KeyUse::Key(Cow::Borrowed(key.as_bytes()), Need { read: true, write: false })
}

fn write(key: &'static str) -> KeyUse<'static> {
    KeyUse::Key(Cow::Borrowed(key.as_bytes()), Need { read: false, write: true })
}

fn check(user: &UserRules, command: &str, args: &[&str], keys: &[KeyUse<'_>]) -> Result<(), Denied> {
    let number = NAMES.iter().position(|known| *known == command).unwrap();
    let first_arg = args.first().map(|arg| arg.as_bytes());
    user.check(&CommandUse { number, is_free: false, first_arg, keys, channels: &[] })
}

#[test]
fn rules_are_shown_in_their_order_and_replace_earlier_ones() {
    for (rules, shown) in [
        ("", "off resetchannels -@all"),
        ("on nopass allkeys allchannels allcommands", "on nopass ~* &* +@all"),
        ("+@all -get", "off resetchannels +@all -get"),
        ("+@all -get +GET", "off resetchannels +@all +get"),
        ("+config|get -config +config|set", "off resetchannels -@all -config +config|set"),
        ("+@read -@read +@READ", "off resetchannels -@all +@read"),
        ("+get +@all", "off resetchannels +@all"),
        ("+select|0 +select|1", "off resetchannels -@all +select|0 +select|1"),
        ("%R~a %W~a %w~b ~c", "off ~a %W~b ~c resetchannels -@all"),
        ("&a &b &a", "off resetchannels &a &b -@all"),
        (
            "skip-sanitize-payload (~x +get)",
            "off skip-sanitize-payload resetchannels -@all (~x resetchannels -@all +get)",
        ),
        ("(+get) clearselectors", "off resetchannels -@all"),
        ("on ~* +get reset", "off sanitize-payload resetchannels -@all"),
    ] {
        assert_eq!(text(rules), shown, "{rules}");
        assert_eq!(text(shown), shown, "what is shown makes an equal user");
    }
}

#[test]
fn bad_rules_are_refused() {
    use RuleError::*;
    for (rules, error) in [
        ("nosuch", Syntax),
        ("+nosuch", UnknownName),
        ("-get|x", UnknownName),
        ("+@nosuch", UnknownName),
        ("+config|nosuch", UnknownName),
        ("+config|get|x", FirstArgOfSub),
        ("+select|", Syntax),
        ("%~a", Syntax),
        ("%X~a", Syntax),
        ("%RR~a", Syntax),
        ("%", Syntax),
        ("~* ~a", AfterAllKeys),
        ("&* &a", AfterAllChannels),
        ("<no", NoSuchPassword),
        ("#0", BadHash),
        ("#2BD806C97F0E00AF1A1FC3328FA763A9269723C8DB8FAC4F93AF71DB186D6E90", BadHash),
        ("(nosuch)", Syntax),
        ("((+get))", Syntax),
    ] {
        assert_eq!(applied(rules), Err(error), "{rules}");
    }
    assert_eq!(merged([&b"(+get"[..], b"~a"].into_iter()), Err(&b"(+get"[..]));
    assert_eq!(merged([&b"(+get"[..], b"(+set"].into_iter()), Err(&b"(+set"[..]));
}

#[test]
fn one_selector_must_allow_all_of_a_command() {
    let user = user("+get ~a (+set %W~b) (+get %R~c*)");
    assert_eq!(check(&user, "get", &[], &[read("a")]), Ok(()));
    assert_eq!(check(&user, "get", &[], &[read("cc")]), Ok(()));
    assert_eq!(check(&user, "get", &[], &[read("b")]), Err(Denied::Key(0)));
    assert_eq!(check(&user, "get", &[], &[read("a"), read("c")]), Err(Denied::Key(1)));
    assert_eq!(check(&user, "set", &[], &[write("b")]), Ok(()));
    assert_eq!(check(&user, "set", &[], &[write("a")]), Err(Denied::Key(0)));
    assert_eq!(check(&user, "config|get", &[], &[]), Err(Denied::Command));
}

#[test]
fn what_commands_use_unnamed_needs_all_keys() {
    let every = |read, write| KeyUse::Every(Cow::Borrowed(b"*"), Need { read, write });
    for (rules, reads, writes) in
        [("~*", true, true), ("%R~*", true, false), ("%RW~*", true, true), ("~** ~?*", false, false)]
    {
        let user = user(&format!("+get {rules}"));
        assert_eq!(check(&user, "get", &[], &[every(true, false)]).is_ok(), reads, "{rules}");
        assert_eq!(check(&user, "get", &[], &[every(false, true)]).is_ok(), writes, "{rules}");
    }
}

#[test]
fn a_first_argument_is_allowed_until_the_command_is_changed_as_a_whole() {
    let limited = user("+select|0");
    assert_eq!(check(&limited, "select", &["0"], &[]), Ok(()));
    assert_eq!(check(&limited, "select", &["1"], &[]), Err(Denied::Command));
    assert_eq!(check(&limited, "select", &[], &[]), Err(Denied::Command));
    let none = user("+select|0 -select");
    assert_eq!(check(&none, "select", &["0"], &[]), Err(Denied::Command));
}

#[test]
fn passwords_are_accepted_by_their_hashes() {
    let mut rules = user("on >one #3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3");
    assert_eq!(rules.passwords().len(), 2);
    let accepts = |rules: &UserRules, password: &str| rules.accepts(&PasswordHash::of(password.as_bytes()));
    assert!(accepts(&rules, "one") && accepts(&rules, "two") && !accepts(&rules, ""));
    assert_eq!(
        PasswordHash::of(b"one").to_string(),
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    );
    rules.apply(b"<one", CONTEXT).unwrap();
    assert!(!accepts(&rules, "one"));
    rules.apply(b"nopass", CONTEXT).unwrap();
    assert!(accepts(&rules, "anything"));
    rules.apply(b"off", CONTEXT).unwrap();
    assert!(!accepts(&rules, "anything"));
    assert!(!format!("{rules:?}").contains("7692"));
}

#[test]
fn lines_of_users_are_read_with_their_numbers() {
    let lines: Vec<_> =
        parse_lines(b"# users\n\n user a  on (+get ~a) ~\"b\r\nuser\nUSER b\nuser a\tb\nuser c (+get\n")
            .collect();
    let words = ["", "on", "(+get ~a)", "~\"b"].map(|word| word.as_bytes().to_vec()).to_vec();
    assert_eq!(
        lines,
        [
            (3, Ok((b"a".to_vec(), words))),
            (4, Err(LineFault::NoUser)),
            (5, Err(LineFault::NoUser)),
            (6, Err(LineFault::BadName)),
            (7, Err(LineFault::Unmatched(b"(+get".to_vec()))),
        ]
    );
}
