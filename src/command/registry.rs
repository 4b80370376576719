//! The command table at work: lookup by name, and the keys among a command's arguments.

use super::fail::{Fail, SHOWN, as_text};
use super::spec::{COMPRESSED_BYTES, HEAVY_BYTES, flag};
use super::types::{Begin, Command, Find, KeySpec, Multi, Registry, Spec};
use crate::engine::Tables;
use ahash::AHashMap;
use smallvec::SmallVec;

/// The longest name of a command or subcommand that is looked up; longer names are unknown.
pub(super) const MAX_NAME: usize = 64;

fn lower(name: &[u8], into: &mut [u8; MAX_NAME]) -> Option<usize> {
    let target = into.get_mut(..name.len())?;
    target.copy_from_slice(name);
    target.make_ascii_lowercase();
    Some(name.len())
}

fn only_key(spec: &Spec) -> usize {
    match spec.keys {
        // The arguments decide whether more shards are locked, so there is no single key.
        _ if spec.alone.is_some() => 0,
        [KeySpec { begin: Begin::Index(at), find: Find::Range { last: 0, .. }, .. }] => *at,
        _ => 0,
    }
}

/// Full names and specs by id, while commands get their ids.
#[derive(Default)]
struct Listed {
    names: Vec<String>,
    specs: Vec<&'static Spec>,
}

impl Command {
    fn new(spec: &'static Spec, parent: Option<(&Spec, usize)>, into: &mut Listed) -> Self {
        let Listed { names, specs } = into;
        let (full_name, id) = match parent {
            Some((parent, id)) if parent.has(flag::HIDDEN_SUBS) => (parent.name.to_owned(), id),
            Some((parent, _)) => (format!("{}|{}", parent.name, spec.name), names.len()),
            None => (spec.name.to_owned(), names.len()),
        };
        if id == names.len() {
            names.push(full_name.clone());
            specs.push(spec);
        }
        let subs = spec.subs.iter().map(|s| (s.name.as_bytes(), Self::new(s, Some((spec, id)), into)));
        Self { subs: subs.collect(), spec, full_name, id, only_key: only_key(spec) }
    }

    /// Whether a flag is set.
    #[inline]
    pub fn has(&self, bit: u64) -> bool {
        self.spec.has(bit)
    }

    /// Whether all of the command's effects can be undone, as ITEM.ATOMIC requires of its commands.
    pub fn is_undoable(&self) -> bool {
        if is_write(self) {
            !self.has(flag::WHOLE | flag::ALL_SHARDS)
        } else {
            // What is published goes out at the commit.
            self.has(flag::READONLY | flag::TELLS) || self.has(flag::PUBSUB) && self.has(flag::MAY_REPLICATE)
        }
    }

    /// Whether a call of a command that is `LONG` or `HEAVY` takes long. O(arguments)
    pub fn takes_long(&self, args: &[&[u8]]) -> bool {
        let most = if self.has(flag::COMPRESSED) { COMPRESSED_BYTES } else { HEAVY_BYTES };
        self.has(flag::LONG) || self.has(flag::HEAVY) && args.iter().any(|arg| arg.len() > most)
    }

    /// The name of the first element that a call looks up in the value at its only key.
    #[inline]
    pub fn first_element<'a>(&self, args: &[&'a [u8]]) -> Option<&'a [u8]> {
        let at = match isize::from(self.spec.element) {
            0 => return None,
            before_end if before_end < 0 => args.len().checked_add_signed(before_end)?,
            at => at.unsigned_abs(),
        };
        args.get(at).copied()
    }

    /// Checks the number of arguments, which includes the name.
    #[inline]
    pub fn check_arity(&self, count: usize) -> Result<(), Fail> {
        let arity = self.spec.arity;
        let fits = if arity >= 0 { count == arity as usize } else { count >= arity.unsigned_abs() as usize };
        if fits { Ok(()) } else { Err(Fail::arity(&self.full_name)) }
    }

    /// Whether the command has no keys, whatever its arguments are.
    #[inline]
    pub fn is_keyless(&self) -> bool {
        self.spec.keys.is_empty() && self.spec.item_keys.is_none()
    }

    /// Whether its reply may show stored data or the outcome of a change. Commands about connections, transactions and
    /// subscriptions as such do not.
    #[inline]
    pub fn may_show_data(&self) -> bool {
        !matches!(self.spec.group, "connection" | "transactions" | "pubsub")
    }

    /// Calls `visit` with each key in its stored form, which decides the shard, and with the table if the key is a
    /// table's. A key that may be a view (the database decides) is visited twice, as a plain key and as the item's
    /// partition key.
    pub fn each_key(&self, tables: &Tables, args: &[&[u8]], visit: &mut dyn FnMut(Option<u32>, &[u8])) {
        if let Some(find) = self.spec.item_keys {
            find(tables, args, &mut |found| visit(Some(found.table), found.key));
        } else if let Some(positions) = self.key_positions(args) {
            for at in positions {
                visit(None, args[at]);
                if let Some((table, key)) = tables.view_place(args[at]) {
                    visit(Some(table), &key);
                }
            }
        }
    }

    /// The positions of the keys in `args`; `None` if the arguments are no valid use of the command.
    pub fn key_positions(&self, args: &[&[u8]]) -> Option<SmallVec<[usize; 8]>> {
        let mut found = SmallVec::new();
        if self.only_key != 0 {
            if self.only_key < args.len() {
                found.push(self.only_key);
            }
            return Some(found);
        }
        for key in self.spec.keys {
            keys_of(key, args, &mut found)?;
        }
        Some(found)
    }
}

/// The position of the option `word`. The arguments of `others` are skipped.
fn option_at(args: &[&[u8]], word: &str, others: &[(&str, usize)]) -> Option<usize> {
    let mut at = 1;
    while let Some(arg) = args.get(at) {
        if arg.eq_ignore_ascii_case(word.as_bytes()) {
            return Some(at);
        }
        let (_, values) = others.iter().find(|(name, _)| arg.eq_ignore_ascii_case(name.as_bytes()))?;
        at += 1 + values;
    }
    None
}

/// Where the last of an option stands among the arguments from a number on. As in Redis, what is not known is passed
/// over, and so is an option at the end that lacks its arguments: the command refuses both.
fn last_option_at(args: &[&[u8]], word: &str, from: usize, known: &[(&str, usize)]) -> Option<usize> {
    let (mut at, mut last) = (from, None);
    while let Some(arg) = args.get(at) {
        let option = known.iter().find(|(name, _)| arg.eq_ignore_ascii_case(name.as_bytes()));
        let (name, values) = option.map_or(("", 0), |(name, values)| (*name, *values));
        if name == word && at + values < args.len() {
            last = Some(at);
        }
        at += 1 + values;
    }
    last
}

/// Adds the positions of the keys of one key specification to `found`; `None` if the arguments do not fit it.
pub(super) fn keys_of(spec: &KeySpec, args: &[&[u8]], found: &mut SmallVec<[usize; 8]>) -> Option<()> {
    let begin = match spec.begin {
        Begin::Index(at) => at,
        Begin::Keyword(word, from) => {
            let matches = |i: &usize| args[*i].eq_ignore_ascii_case(word.as_bytes());
            let hit = if from >= 0 {
                (from as usize..args.len()).find(matches)
            } else {
                let start = args.len().checked_sub(from.unsigned_abs() as usize)?;
                (1..=start).rev().find(matches)
            };
            match hit {
                Some(at) => at + 1,
                None => return Some(()),
            }
        }
        Begin::LastOption(word, from, known) => match last_option_at(args, word, from, known) {
            Some(at) => at + 1,
            None => return Some(()),
        },
        Begin::Option(word, _, others) => match option_at(args, word, others) {
            Some(at) => at + 1,
            None => return Some(()),
        },
    };
    match spec.find {
        Find::Range { last, step, limit } => {
            let end = if last >= 0 {
                begin + last as usize
            } else if limit > 1 {
                begin + (args.len().checked_sub(begin)? / limit).checked_sub(1)?
            } else {
                args.len().checked_sub(last.unsigned_abs() as usize)?
            };
            found.extend((begin..=end).step_by(step.max(1)).filter(|i| *i < args.len()));
        }
        Find::Number { at, first, step } => {
            let number = crate::text::parse_i64_strict(args.get(begin + at)?)?;
            let count = usize::try_from(number).ok()?;
            let first = begin + first;
            if count.checked_mul(step.max(1))?.checked_add(first)? > args.len() + step.max(1) - 1 {
                return None;
            }
            found.extend((first..args.len()).step_by(step.max(1)).take(count));
        }
    }
    Some(())
}

impl Registry {
    /// The registry of some families.
    pub(super) fn of(families: &[&'static [Spec]]) -> Self {
        let mut by_name = AHashMap::new();
        let mut listed = Listed::default();
        for spec in families.iter().flat_map(|family| family.iter()) {
            let command = Command::new(spec, None, &mut listed);
            let before = by_name.insert(Box::from(spec.name.as_bytes()), command);
            debug_assert!(before.is_none(), "two commands are called {}", spec.name);
        }
        Self { by_name, names: listed.names, specs: listed.specs }
    }

    /// The number of commands and subcommands; every id is less.
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// The full name of the command with this id.
    pub fn name_of(&self, id: usize) -> Option<&str> {
        self.names.get(id).map(String::as_str)
    }

    /// Finds a command by its name, regardless of upper and lower case.
    pub fn command(&self, name: &[u8]) -> Option<&Command> {
        let mut buffer = [0; MAX_NAME];
        let len = lower(name, &mut buffer)?;
        self.by_name.get(&buffer[..len])
    }

    /// Finds the command or subcommand that `args` call.
    ///
    /// # Errors
    /// The command, or a container's subcommand, is unknown.
    pub fn lookup(&self, args: &[&[u8]]) -> Result<&Command, Fail> {
        let Some(command) = self.command(args[0]) else { return Err(unknown_command(args)) };
        if command.subs.is_empty() {
            return Ok(command);
        }
        // A container without a subcommand answers itself, or its arity refuses the call.
        let Some(name) = args.get(1) else { return Ok(command) };
        let mut buffer = [0; MAX_NAME];
        let sub = lower(name, &mut buffer).and_then(|len| command.subs.get(&buffer[..len]));
        match sub {
            Some(sub) if !command.has(flag::HIDDEN_SUBS) || sub.check_arity(args.len()).is_ok() => Ok(sub),
            // The container DDB answers to an unknown operation, as AWS does.
            None if command.spec.name == "ddb" => Ok(command),
            None if !command.has(flag::HIDDEN_SUBS) => Err(Fail::unknown_sub(command.spec.name, name)),
            _ => Ok(command),
        }
    }

    /// Finds a command by its name, or a subcommand by `parent|sub`.
    pub fn by_full_name(&self, name: &[u8]) -> Option<&Command> {
        let Some(bar) = memchr::memchr(b'|', name) else { return self.command(name) };
        let mut buffer = [0; MAX_NAME];
        let len = lower(&name[bar + 1..], &mut buffer)?;
        self.command(&name[..bar])?.subs.get(&buffer[..len])
    }

    /// All commands without subcommands, in no particular order.
    pub fn commands(&self) -> impl ExactSizeIterator<Item = &Command> {
        self.by_name.values()
    }

    /// All commands and subcommands, in no particular order.
    pub fn all(&self) -> impl Iterator<Item = &Command> {
        self.by_name.values().flat_map(|c| std::iter::once(c).chain(c.subs.values()))
    }
}

fn unknown_command(args: &[&[u8]]) -> Fail {
    let mut shown = Vec::new();
    for arg in &args[1..] {
        if shown.len() >= SHOWN {
            break;
        }
        let arg = as_text(arg, SHOWN - shown.len());
        shown.extend_from_slice(&[b"'", arg, b"' "].concat());
    }
    let name = as_text(args[0], SHOWN);
    Fail::bytes([b"ERR unknown command '", name, b"', with args beginning with: ", &shown].concat())
}

/// Whether a command's lookups count as keyspace hits and misses.
pub fn counts_lookups(command: &Command) -> bool {
    !is_write(command) && !command.has(flag::SCRIPT) || command.has(flag::COUNTED)
}

/// Whether a command may change data.
pub fn is_write(command: &Command) -> bool {
    command.has(flag::WRITE | flag::CACHES)
}

impl Multi {
    /// Whether the transaction is all or nothing.
    pub fn is_atomic(&self) -> bool {
        self.queue.commands().first().is_some_and(|first| first.command.has(flag::ATOMIC))
    }
}

/// The subcommands that COMMAND shows, by name.
pub(super) fn shown_subs(command: &Command) -> Vec<&Command> {
    if command.has(flag::HIDDEN_SUBS) {
        return Vec::new();
    }
    let mut subs: Vec<&Command> = command.subs.values().collect();
    subs.sort_by_key(|sub| sub.spec.name);
    subs
}

/// All commands by name, without subcommands.
pub(super) fn sorted(registry: &Registry) -> Vec<&Command> {
    let mut commands: Vec<&Command> = registry.commands().collect();
    commands.sort_by_key(|command| command.spec.name);
    commands
}

#[cfg(test)]
mod tests {
    use crate::command::Registry;

    /// The words of a call with each optional part left out, after the command's name.
    fn shortest(syntax: &str) -> Vec<&str> {
        let mut depth = 0;
        let words = syntax.split_whitespace().filter(move |word| {
            let before = depth;
            depth += word.matches('[').count();
            let outside = depth == 0;
            depth -= word.matches(']').count();
            outside && before == 0
        });
        words.collect()
    }

    #[test]
    fn an_element_is_named_where_the_table_says() {
        let mut count = 0;
        for command in Registry::get().all() {
            let words = shortest(command.spec.syntax);
            let args: Vec<&[u8]> =
                std::iter::once(command.spec.name).chain(words).map(str::as_bytes).collect();
            let Some(element) = command.first_element(&args) else {
                assert_eq!(command.spec.element, 0, "{}", command.full_name);
                continue;
            };
            assert!(element == b"member" || element == b"field", "{}", command.full_name);
            assert_eq!(args[command.only_key], b"key", "{}", command.full_name);
            assert!(command.first_element(&args[..1]).is_none_or(|name| name == args[0]));
            count += 1;
        }
        assert!(count > 20, "{count}");
    }
}
