//! The grammar: from tokens to trees.
//!
//! ```text
//! condition  := and { OR and }            and := not { AND not }         not := NOT not | primary
//! primary    := ( condition ) | comparison
//! comparison := operand comparator operand | operand BETWEEN operand AND operand
//!             | operand IN ( operand {, operand} ) | call
//! operand    := :value | literal | ( operand ) | call | path
//! call       := name ( operand {, operand} )
//! path       := (name | #name) { . (name | #name) | [ index ] }
//! update     := { SET set {, set} | REMOVE path {, path} | (ADD | DELETE) path value {, path value} }
//! set        := path = sum               sum := operand [ (+ | -) operand ] | ( sum )
//! projection := path {, path}
//! ```
//! Only human mode has literals. Where a parenthesis may open a condition or an operand, the condition is tried first.
//! If both fail, the error of the attempt that read further is reported, as AWS does.

use super::ast::{
    Action, AttributeName, Comparator, Condition, Function, FunctionCall, Operand, Parsed, ParsedCondition,
    ParsedProjection, ParsedUpdate, Path, PathStep, SetValue, ValueTerm,
};
use super::check;
use super::error::Reason;
use super::token::{Tok, Token, section_name, tokenize, unquote};
use super::{Dialect, ParseOptions};
use crate::item::{AttributeValue, EncodedValue, Number};

/// Deepest nesting of parentheses and NOT; it bounds the parser's recursion.
const MAX_DEPTH: usize = 100;

/// Why parsing stopped: at a token, after which another alternative may be tried, or with an error that is final.
enum Stop {
    At(usize),
    Now(Reason),
}

type Parse<T> = Result<T, Stop>;

struct Parser<'t> {
    text: &'t str,
    options: &'t ParseOptions,
    tokens: Vec<Token>,
    at: usize,
    names: Vec<Box<str>>,
    values: Vec<Box<str>>,
    operators: usize,
    depth: usize,
}

/// Parses a condition, a filter or a key condition.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_condition(text: &str, options: &ParseOptions) -> Result<ParsedCondition, Reason> {
    let parsed = run(text, options, |parser| parser.condition().map(|(condition, _)| condition))?;
    check::condition(&parsed.root, options)?;
    Ok(parsed)
}

/// Parses an update.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_update(text: &str, options: &ParseOptions) -> Result<ParsedUpdate, Reason> {
    let Parsed { root: (actions, sections), names, values } = run(text, options, Parser::update)?;
    check::update(&actions, &sections, options)?;
    Ok(Parsed { root: actions.into(), names, values })
}

/// Parses a projection.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_projection(text: &str, options: &ParseOptions) -> Result<ParsedProjection, Reason> {
    let parsed = run(text, options, |parser| parser.list(Parser::path))?;
    check::projection(&parsed.root, options)?;
    Ok(parsed)
}

fn run<'t, T>(
    text: &'t str,
    options: &'t ParseOptions,
    parse: impl FnOnce(&mut Parser<'t>) -> Parse<T>,
) -> Result<Parsed<T>, Reason> {
    if text.is_empty() {
        return Err(Reason::Empty);
    }
    if text.len() > options.limits.max_bytes {
        return Err(Reason::TooLong(text.len()));
    }
    let tokens = tokenize(text, options.mode)?;
    let (names, values) = (Vec::new(), Vec::new());
    let mut parser = Parser { text, options, tokens, at: 0, names, values, operators: 0, depth: 0 };
    match parse(&mut parser).and_then(|root| parser.expect(Tok::Eof).map(|_| root)) {
        Ok(root) => Ok(Parsed { root, names: parser.names, values: parser.values }),
        Err(Stop::At(at)) => Err(parser.syntax_error(at)),
        Err(Stop::Now(reason)) => Err(reason),
    }
}

impl<'t> Parser<'t> {
    fn token(&self, at: usize) -> Token {
        let end = self.text.len();
        self.tokens.get(at).copied().unwrap_or(Token { kind: Tok::Eof, start: end, end })
    }

    fn peek(&self) -> Tok {
        self.token(self.at).kind
    }

    fn word(&self, token: Token) -> &'t str {
        self.text.get(token.start..token.end).unwrap_or_default()
    }

    fn next(&mut self) -> Token {
        let token = self.token(self.at);
        self.at += 1;
        token
    }

    fn take(&mut self, kind: Tok) -> bool {
        let found = self.peek() == kind;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, kind: Tok) -> Parse<Token> {
        if self.peek() == kind { Ok(self.next()) } else { Err(Stop::At(self.at)) }
    }

    fn syntax_error(&self, at: usize) -> Reason {
        let token = self.token(at);
        let from = if at == 0 { 0 } else { self.token(at - 1).start };
        let to = self.token(at + 1).end;
        let shown = if token.kind == Tok::Eof { "<EOF>" } else { self.word(token) };
        Reason::Syntax {
            token: shown.to_owned(),
            near: self.text.get(from..to).unwrap_or_default().to_owned(),
        }
    }

    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parse<T>) -> Parse<Vec<T>> {
        let mut out = vec![one(self)?];
        while self.take(Tok::Comma) {
            out.push(one(self)?);
        }
        Ok(out)
    }

    fn operator(&mut self) -> Parse<()> {
        self.operators += 1;
        if self.operators > self.options.limits.max_operators {
            return Err(Stop::Now(Reason::TooManyOperators(self.operators)));
        }
        Ok(())
    }

    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Parse<T>) -> Parse<T> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::Now(Reason::TooDeep));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// A condition, and whether parentheses enclose the whole of it.
    fn condition(&mut self) -> Parse<(Condition, bool)> {
        self.joined(Tok::Or, Condition::Any, |parser| parser.joined(Tok::And, Condition::All, Self::not))
    }

    fn joined(
        &mut self,
        by: Tok,
        join: fn(Vec<Condition>) -> Condition,
        one: impl Fn(&mut Self) -> Parse<(Condition, bool)>,
    ) -> Parse<(Condition, bool)> {
        let first = one(self)?;
        if self.peek() != by {
            return Ok(first);
        }
        let mut all = vec![first.0];
        while self.take(by) {
            self.operator()?;
            all.push(one(self)?.0);
        }
        Ok((join(all), false))
    }

    fn not(&mut self) -> Parse<(Condition, bool)> {
        if self.take(Tok::Not) {
            self.operator()?;
            let (inner, _) = self.deeper(Self::not)?;
            return Ok((Condition::Not(Box::new(inner)), false));
        }
        if self.peek() != Tok::LParen {
            return Ok((self.comparison()?, false));
        }
        let (start, operators) = (self.at, self.operators);
        let first = match self.deeper(Self::condition_in_parentheses) {
            Err(Stop::At(first)) => first,
            // The parentheses enclose an operand: a function's value.
            Ok((Condition::Call(_), _)) if self.at_comparator() => self.at,
            other => return other,
        };
        (self.at, self.operators) = (start, operators);
        match self.comparison() {
            Err(Stop::At(second)) => Err(Stop::At(first.max(second))),
            other => Ok((other?, false)),
        }
    }

    fn at_comparator(&self) -> bool {
        use Tok::{Between, Eq, Ge, Gt, In, Le, Lt, Ne};
        matches!(self.peek(), Eq | Ne | Lt | Le | Gt | Ge | Between | In)
    }

    fn condition_in_parentheses(&mut self) -> Parse<(Condition, bool)> {
        self.expect(Tok::LParen)?;
        let (inner, again) = self.condition()?;
        self.expect(Tok::RParen)?;
        self.no_redundance(again)?;
        Ok((inner, true))
    }

    fn no_redundance(&self, again: bool) -> Parse<()> {
        if again && self.options.mode == Dialect::Strict {
            return Err(Stop::Now(Reason::RedundantParentheses));
        }
        Ok(())
    }

    fn comparison(&mut self) -> Parse<Condition> {
        let (left, _) = self.operand()?;
        let comparator = match self.peek() {
            Tok::Eq => Comparator::Eq,
            Tok::Ne => Comparator::Ne,
            Tok::Lt => Comparator::Lt,
            Tok::Le => Comparator::Le,
            Tok::Gt => Comparator::Gt,
            Tok::Ge => Comparator::Ge,
            Tok::Between => {
                self.next();
                self.operator()?;
                let low = self.operand()?.0;
                self.expect(Tok::And)?;
                let high = self.operand()?.0;
                return Ok(Condition::Between(left, low, high));
            }
            Tok::In => {
                self.next();
                self.operator()?;
                self.expect(Tok::LParen)?;
                let list = self.list(|parser| parser.operand().map(|(operand, _)| operand))?;
                self.expect(Tok::RParen)?;
                return Ok(Condition::In(left, list));
            }
            _ => {
                return match left {
                    Operand::Call(call) => Ok(Condition::Call(call)),
                    _ => Err(Stop::At(self.at)),
                };
            }
        };
        self.next();
        self.operator()?;
        let (right, _) = self.operand()?;
        Ok(Condition::Compare(comparator, left, right))
    }

    /// An operand, and whether parentheses enclose the whole of it.
    fn operand(&mut self) -> Parse<(Operand, bool)> {
        if let Some(literal) = self.literal()? {
            return Ok((Operand::Value(literal), false));
        }
        let operand = match self.peek() {
            Tok::Value => Operand::Value(self.value_placeholder()?),
            Tok::LParen => {
                self.next();
                let (inner, again) = self.deeper(Self::operand)?;
                self.expect(Tok::RParen)?;
                self.no_redundance(again)?;
                return Ok((inner, true));
            }
            Tok::Ident if self.token(self.at + 1).kind == Tok::LParen => {
                Operand::Call(self.deeper(Self::call)?)
            }
            Tok::Ident | Tok::Name => Operand::Path(self.path()?),
            _ => return Err(Stop::At(self.at)),
        };
        Ok((operand, false))
    }

    fn call(&mut self) -> Parse<FunctionCall> {
        let name = self.next();
        self.operator()?;
        self.expect(Tok::LParen)?;
        let args = self.list(|parser| parser.operand().map(|(operand, _)| operand))?;
        self.expect(Tok::RParen)?;
        Ok(FunctionCall { function: Function::from_name(self.word(name)), args })
    }

    /// A literal of human mode: a number, a quoted string, true, false or null.
    fn literal(&mut self) -> Parse<Option<ValueTerm>> {
        if self.options.mode == Dialect::Strict {
            return Ok(None);
        }
        let (token, after) = (self.token(self.at), self.token(self.at + 1));
        let (text, len) = match token.kind {
            Tok::Int | Tok::Number | Tok::Text => (self.word(token), 1),
            Tok::Minus if matches!(after.kind, Tok::Int | Tok::Number) && token.end == after.start => {
                (self.text.get(token.start..after.end).unwrap_or_default(), 2)
            }
            Tok::Ident if !matches!(after.kind, Tok::Dot | Tok::LBracket | Tok::LParen) => {
                (self.word(token), 1)
            }
            _ => return Ok(None),
        };
        let value = match token.kind {
            Tok::Ident if text.eq_ignore_ascii_case("true") => AttributeValue::Bool(true),
            Tok::Ident if text.eq_ignore_ascii_case("false") => AttributeValue::Bool(false),
            Tok::Ident if text.eq_ignore_ascii_case("null") => AttributeValue::Null,
            Tok::Ident => return Ok(None),
            Tok::Text => AttributeValue::S(unquote(text).ok_or_else(|| {
                Stop::Now(Reason::Literal("a string knows the escapes \\\\ \\' \\\" \\n \\r \\t".to_owned()))
            })?),
            _ => {
                let number: Result<Number, _> = text.parse();
                AttributeValue::N(number.map_err(|error| Stop::Now(Reason::Literal(error.to_string())))?)
            }
        };
        self.at += len;
        let encoded = EncodedValue::new(&value).map_err(|e| Stop::Now(Reason::Literal(e.to_string())))?;
        Ok(Some(ValueTerm::Literal(encoded)))
    }

    fn value_placeholder(&mut self) -> Parse<ValueTerm> {
        let token = self.expect(Tok::Value)?;
        let word = self.word(token);
        number_of(&mut self.values, word).map(ValueTerm::Placeholder)
    }

    fn name(&mut self) -> Parse<AttributeName> {
        match self.peek() {
            Tok::Ident => {
                let token = self.next();
                Ok(AttributeName::Plain(self.word(token).into()))
            }
            Tok::Name => {
                let token = self.next();
                let word = self.word(token);
                number_of(&mut self.names, word).map(AttributeName::Placeholder)
            }
            _ => Err(Stop::At(self.at)),
        }
    }

    fn path(&mut self) -> Parse<Path> {
        let root = self.name()?;
        let mut steps = Vec::new();
        loop {
            if self.take(Tok::Dot) {
                steps.push(PathStep::Name(self.name()?));
            } else if self.take(Tok::LBracket) {
                let token = self.expect(Tok::Int)?;
                // An index that does not fit `u64` is outside the allowed range too.
                steps.push(PathStep::Index(self.word(token).parse().unwrap_or(u64::MAX)));
                self.expect(Tok::RBracket)?;
            } else {
                return Ok(Path { root, steps });
            }
        }
    }

    /// The actions, and the sections in the order they are written.
    fn update(&mut self) -> Parse<(Vec<Action>, Vec<&'static str>)> {
        let (mut actions, mut sections) = (Vec::new(), Vec::new());
        loop {
            let token = self.token(self.at);
            let section = match token.kind {
                Tok::Section | Tok::Ident => section_name(self.word(token).as_bytes()),
                _ => None,
            };
            let section = section.ok_or(Stop::At(self.at))?;
            self.next();
            sections.push(section);
            actions.extend(match section {
                "SET" => self.list(Self::set)?,
                "REMOVE" => self.list(|parser| parser.path().map(Action::Remove))?,
                "ADD" => self.list(|parser| Ok(Action::Add(parser.path()?, parser.value()?)))?,
                _ => self.list(|parser| Ok(Action::Delete(parser.path()?, parser.value()?)))?,
            });
            if self.peek() == Tok::Eof {
                return Ok((actions, sections));
            }
        }
    }

    fn set(&mut self) -> Parse<Action> {
        let path = self.path()?;
        self.expect(Tok::Eq)?;
        let (value, _) = self.set_value()?;
        Ok(Action::Set(path, value))
    }

    /// The value of a SET, and whether parentheses enclose the whole of it.
    fn set_value(&mut self) -> Parse<(SetValue, bool)> {
        if self.peek() != Tok::LParen {
            return Ok((self.sum()?, false));
        }
        let (start, operators) = (self.at, self.operators);
        let first = match self.deeper(Self::set_value_in_parentheses) {
            // The parentheses enclose only the first operand.
            Ok(_) if matches!(self.peek(), Tok::Plus | Tok::Minus) => self.at,
            Err(Stop::At(first)) => first,
            other => return other,
        };
        (self.at, self.operators) = (start, operators);
        match self.sum() {
            Err(Stop::At(second)) => Err(Stop::At(first.max(second))),
            other => Ok((other?, false)),
        }
    }

    fn set_value_in_parentheses(&mut self) -> Parse<(SetValue, bool)> {
        self.expect(Tok::LParen)?;
        let (inner, again) = self.set_value()?;
        self.expect(Tok::RParen)?;
        self.no_redundance(again)?;
        Ok((inner, true))
    }

    fn sum(&mut self) -> Parse<SetValue> {
        let (first, _) = self.operand()?;
        let join = match self.peek() {
            Tok::Plus => SetValue::Plus,
            Tok::Minus => SetValue::Minus,
            _ => return Ok(SetValue::Operand(first)),
        };
        self.next();
        self.operator()?;
        let (second, _) = self.operand()?;
        Ok(join(Box::new((first, second))))
    }

    fn value(&mut self) -> Parse<ValueTerm> {
        match self.literal()? {
            Some(literal) => Ok(literal),
            None => self.value_placeholder(),
        }
    }
}

/// The number of a placeholder; its first use gets a new number.
fn number_of(table: &mut Vec<Box<str>>, placeholder: &str) -> Parse<u16> {
    let at = table.iter().position(|known| known.as_ref() == placeholder).unwrap_or_else(|| {
        table.push(placeholder.into());
        table.len() - 1
    });
    u16::try_from(at).map_err(|_| Stop::Now(Reason::TooManyOperators(at)))
}
