//! The commands that a worker has looked up, by their names as clients sent them.

use crate::command::Command;
use smallvec::SmallVec;

/// How many names a worker remembers at most. A place is chosen by a few of the name's bytes, so that names which
/// clients use together hardly ever drive each other out.
const PLACES: usize = 64;
/// The longest name that is remembered. Those of all commands that have no subcommands are shorter.
const LONGEST: usize = 24;

/// Commands that have no subcommands, by name.
pub(super) struct Names {
    places: Box<[Option<(&'static Command, SmallVec<[u8; LONGEST]>)>]>,
}

impl Default for Names {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| None).collect() }
    }
}

#[inline]
fn place(name: &[u8]) -> usize {
    let [first, middle, last] = match name {
        [] => [0; 3],
        [first, .., last] => [*first, name[name.len() / 2], *last],
        [only] => [*only; 3],
    };
    let mixed = name.len() ^ usize::from(first) << 1 ^ usize::from(middle) << 3 ^ usize::from(last);
    mixed % PLACES
}

impl Names {
    /// The command of a name, if it is remembered.
    #[inline]
    pub(super) fn get(&self, name: &[u8]) -> Option<&'static Command> {
        let (command, known) = self.places[place(name)].as_ref()?;
        (known.as_slice() == name).then_some(*command)
    }

    /// Remembers the name of a command, in place of another one.
    pub(super) fn remember(&mut self, name: &[u8], command: &'static Command) {
        if name.len() <= LONGEST {
            self.places[place(name)] = Some((command, SmallVec::from_slice(name)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::testing::Harness;

    #[test]
    fn a_name_is_that_of_its_command_however_it_is_written() {
        let h = Harness::new();
        let mut names = Names::default();
        let mut known = 0;
        for command in h.server.registry.commands() {
            let lower = command.spec.name.as_bytes();
            for name in [lower.to_vec(), lower.to_ascii_uppercase()] {
                names.remember(&name, command);
                assert!(names.get(&name).is_some_and(|found| found.id == command.id));
            }
        }
        for command in h.server.registry.commands() {
            let name = command.spec.name.as_bytes();
            let found = names.get(name);
            assert!(found.is_none_or(|found| found.id == command.id));
            known += usize::from(found.is_some());
        }
        assert!((1..=PLACES).contains(&known));
        assert!(names.get(b"").is_none() && names.get(b"x").is_none() && names.get(&[b'a'; 100]).is_none());
    }

    #[test]
    fn the_commands_of_a_transaction_do_not_drive_each_other_out() {
        let h = Harness::new();
        let mut names = Names::default();
        let used = ["MULTI", "EXEC", "ITEM.ATOMIC", "ITEM.UPDATE", "ITEM.PUT", "HSET", "SET", "GET", "INCR"];
        for name in used {
            let Ok(command) = h.server.registry.lookup(&[name.as_bytes()]) else { panic!("{name}") };
            names.remember(name.as_bytes(), command);
        }
        assert!(used.iter().all(|name| names.get(name.as_bytes()).is_some()));
    }
}
