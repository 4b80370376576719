//! Reads the notation of a command's arguments into the tree that COMMAND DOCS shows.
//!
//! The notation is that of Redis's documentation: lower-case words are arguments, upper-case words are tokens, `[...]`
//! is optional, `<a | b>` is a choice, and `x [x ...]` is an argument that may be repeated.

/// What an argument is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArgKind {
    /// Any text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// A key.
    Key,
    /// A glob pattern.
    Pattern,
    /// A time since the epoch.
    UnixTime,
    /// A word that is written as it is.
    Token,
    /// One of several alternatives.
    OneOf,
    /// Several arguments in a row.
    Block,
}

impl ArgKind {
    /// Redis's name for the kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "string",
            Self::Integer => "integer",
            Self::Double => "double",
            Self::Key => "key",
            Self::Pattern => "pattern",
            Self::UnixTime => "unix-time",
            Self::Token => "pure-token",
            Self::OneOf => "oneof",
            Self::Block => "block",
        }
    }
}

/// One argument, a choice or a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arg {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ArgKind,
    /// The word that stands before it; for a `Token`, the word itself.
    pub token: Option<String>,
    /// Whether it is optional.
    pub optional: bool,
    /// Whether it may be repeated.
    pub multiple: bool,
    /// Whether its token is repeated too.
    pub multiple_token: bool,
    /// The parts of a choice or a block.
    pub args: Vec<Arg>,
}

impl Arg {
    fn new(name: impl Into<String>, kind: ArgKind) -> Self {
        Self {
            name: name.into(),
            kind,
            token: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            args: Vec::new(),
        }
    }

    fn word(word: &str) -> Self {
        if is_token(word) {
            let name = match word {
                "*" => "auto-id".to_owned(),
                "=" => "equal".to_owned(),
                "~" => "approximately".to_owned(),
                word => word.to_ascii_lowercase(),
            };
            return Self { token: Some(word.to_owned()), ..Self::new(name, ArgKind::Token) };
        }
        Self::new(word, kind_of(word))
    }

    /// Whether two arguments differ at most in being optional or repeated.
    fn resembles(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.token == other.token
            && self.args == other.args
    }
}

fn is_token(word: &str) -> bool {
    matches!(word, "*" | "=" | "~")
        || (word.bytes().any(|byte| byte.is_ascii_uppercase())
            && !word.bytes().any(|byte| byte.is_ascii_lowercase()))
}

/// The names of arguments that are whole numbers.
const INTEGERS: &[&str] = &[
    "seconds",
    "milliseconds",
    "count",
    "numkeys",
    "numfields",
    "offset",
    "index",
    "index1",
    "index2",
    "start",
    "end",
    "stop",
    "bit",
    "decrement",
    "cursor",
    "db",
    "destination-db",
    "destination-index",
    "client-id",
    "timeout",
    "numreplicas",
    "numlocal",
    "ttl",
    "frequency",
    "len",
    "min-match-len",
    "protover",
    "version",
    "maxage",
    "port",
    "numsub",
    "n",
    "limit",
];

fn kind_of(name: &str) -> ArgKind {
    match name {
        "key" | "newkey" | "source" | "destination" | "destkey" | "key1" | "key2" | "sourcekey" => {
            ArgKind::Key
        }
        "pattern" => ArgKind::Pattern,
        "score" | "min" | "max" | "longitude" | "latitude" | "radius" | "width" | "height" | "weight" => {
            ArgKind::Double
        }
        name if name.starts_with("unix-time") || name.starts_with("timestamp") => ArgKind::UnixTime,
        name if INTEGERS.contains(&name) => ArgKind::Integer,
        _ => ArgKind::Text,
    }
}

/// Reads the notation. A malformed part becomes a plain word; a test checks that no command has one.
pub fn parse(syntax: &str) -> Vec<Arg> {
    let spaced: String = syntax
        .chars()
        .flat_map(|c| {
            let alone = "[]<>|".contains(c);
            [alone.then_some(' '), Some(c), alone.then_some(' ')]
        })
        .flatten()
        .collect();
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut parser = Parser { words: &words, at: 0 };
    let mut args = Vec::new();
    while parser.at < words.len() {
        args.extend(parser.sequence());
        // A closing bracket without an opening one.
        parser.at += 1;
    }
    args
}

struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).copied()
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.peek() == Some(word);
        self.at += usize::from(found);
        found
    }

    /// Reads arguments in a row, up to a closing bracket or a bar.
    fn sequence(&mut self) -> Vec<Arg> {
        let mut args: Vec<Arg> = Vec::new();
        while let Some(word) = self.peek() {
            match word {
                "]" | ">" | "|" => break,
                "[" => {
                    self.at += 1;
                    self.optional(&mut args);
                }
                "<" => {
                    self.at += 1;
                    let choice = self.choice();
                    self.eat(">");
                    Self::push(&mut args, choice);
                }
                "..." => {
                    self.at += 1;
                    if let Some(last) = args.last_mut() {
                        last.multiple = true;
                    }
                }
                word => {
                    self.at += 1;
                    Self::push(&mut args, Arg::word(word));
                }
            }
        }
        args
    }

    /// Adds an argument. If a token without argument precedes it, the token becomes the argument's.
    fn push(args: &mut Vec<Arg>, mut arg: Arg) {
        if let Some(last) = args.last()
            && last.kind == ArgKind::Token
            && !last.optional
            && arg.token.is_none()
        {
            arg.token.clone_from(&last.token);
            args.pop();
        }
        args.push(arg);
    }

    /// Reads alternatives up to the closing bracket as one argument.
    fn choice(&mut self) -> Arg {
        let mut alternatives = Vec::new();
        loop {
            alternatives.push(self.sequence());
            if !self.eat("|") {
                break;
            }
        }
        let mut alternatives: Vec<Arg> = alternatives.into_iter().filter_map(as_one).collect();
        if alternatives.len() == 1 {
            return alternatives.remove(0);
        }
        let names: Vec<&str> = alternatives.iter().map(|arg| arg.name.as_str()).collect();
        let name = choice_name(&names);
        Arg { args: alternatives, ..Arg::new(name, ArgKind::OneOf) }
    }

    /// Reads the inside of square brackets: an optional argument, or the mark that the arguments before it may be
    /// repeated.
    fn optional(&mut self, args: &mut Vec<Arg>) {
        let begun = self.at;
        let inner = self.sequence();
        if self.peek() == Some("|") {
            self.at = begun;
            let mut choice = self.choice();
            self.eat("]");
            choice.optional = true;
            args.push(choice);
            return;
        }
        self.eat("]");
        let repeats = inner.last().is_some_and(|last| last.multiple);
        let count = inner.len();
        if repeats && args.len() >= count {
            let before = &args[args.len() - count..];
            if before.iter().zip(&inner).all(|(a, b)| a.resembles(b)) {
                let mut whole = args.split_off(args.len() - count);
                let many = as_one(std::mem::take(&mut whole));
                args.extend(many.map(|arg| Arg {
                    multiple: true,
                    multiple_token: arg.token.is_some(),
                    ..arg
                }));
                return;
            }
        }
        args.extend(as_one(inner).map(|arg| Arg { optional: true, ..arg }));
    }
}

/// Makes one argument of several in a row. If the first of them has a token, the token becomes the block's.
fn as_one(mut args: Vec<Arg>) -> Option<Arg> {
    if args.len() <= 1 {
        return args.pop();
    }
    let names: Vec<&str> = args.iter().map(|arg| arg.name.as_str()).collect();
    let name = names.join("-");
    let token = match &mut args[0] {
        first if first.kind != ArgKind::Token && !first.optional && !first.multiple => first.token.take(),
        _ => None,
    };
    let name = token.as_ref().map_or(name, |token| token.to_ascii_lowercase());
    Some(Arg { token, args, ..Arg::new(name, ArgKind::Block) })
}

fn choice_name(names: &[&str]) -> String {
    const EXPIRY: [&str; 4] = ["seconds", "milliseconds", "unix-time-seconds", "unix-time-milliseconds"];
    match names {
        ["nx", "xx", ..] | ["fnx", "fxx"] => "condition".to_owned(),
        ["gt", "lt"] => "comparison".to_owned(),
        names if names.iter().any(|name| EXPIRY.contains(name)) => "expiration".to_owned(),
        names => names.join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree as text with parentheses.
    fn show(args: &[Arg]) -> String {
        let one = |arg: &Arg| {
            let mut text = match arg.kind {
                ArgKind::OneOf | ArgKind::Block => {
                    format!("{}:{}({})", arg.name, arg.kind.name(), show(&arg.args))
                }
                kind => format!("{}:{}", arg.name, kind.name()),
            };
            if let Some(token) = &arg.token {
                text = format!("{token}={text}");
            }
            text.push_str(if arg.optional { "?" } else { "" });
            text.push_str(if arg.multiple { "+" } else { "" });
            text.push_str(if arg.multiple_token { "+" } else { "" });
            text
        };
        args.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn notation_becomes_a_tree() {
        for (syntax, tree) in [
            ("", ""),
            ("key", "key:key"),
            ("key [key ...]", "key:key+"),
            ("key value [key value ...]", "key-value:block(key:key value:string)+"),
            ("[section [section ...]]", "section:string?+"),
            ("key [count]", "key:key count:integer?"),
            (
                "key [NX | XX | GT | LT]",
                "key:key condition:oneof(NX=nx:pure-token XX=xx:pure-token GT=gt:pure-token LT=lt:pure-token)?",
            ),
            (
                "key value [EX seconds | KEEPTTL]",
                "key:key value:string expiration:oneof(EX=seconds:integer KEEPTTL=keepttl:pure-token)?",
            ),
            (
                "cursor [MATCH pattern] [COUNT count]",
                "cursor:integer MATCH=pattern:pattern? COUNT=count:integer?",
            ),
            ("key FIELDS numfields field [field ...]", "key:key FIELDS=numfields:integer field:string+"),
            ("key [LIMIT offset count]", "key:key LIMIT=limit:block(offset:integer count:integer)?"),
            ("[GET pattern [GET pattern ...]]", "GET=pattern:pattern?++"),
            (
                "<AND | OR> destkey key",
                "and-or:oneof(AND=and:pure-token OR=or:pure-token) destkey:key key:key",
            ),
            (
                "<host port | NO ONE>",
                "host-port-no-one:oneof(host-port:block(host:string port:integer) no-one:block(NO=no:pure-token \
                 ONE=one:pure-token))",
            ),
            (
                "[TYPE <NORMAL | PUBSUB>]",
                "TYPE=normal-pubsub:oneof(NORMAL=normal:pure-token PUBSUB=pubsub:pure-token)?",
            ),
        ] {
            assert_eq!(show(&parse(syntax)), tree, "{syntax}");
        }
    }

    #[test]
    fn every_commands_syntax_is_readable() {
        for command in crate::command::Registry::get().all() {
            let syntax = command.spec.syntax;
            for (open, close) in [('[', ']'), ('<', '>')] {
                assert_eq!(
                    syntax.matches(open).count(),
                    syntax.matches(close).count(),
                    "{}: {syntax}",
                    command.full_name
                );
            }
            let has_arguments = command.spec.arity != 1 && command.spec.subs.is_empty();
            assert!(
                !has_arguments || !parse(syntax).is_empty() || command.spec.arity.abs() <= 2,
                "{} has arguments but no syntax",
                command.full_name
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn anything_can_be_read(syntax in r"([\[\]<>|.a-cA-C*= ]|key|\.\.\.){0,40}") {
            parse(&syntax);
        }
    }
}
