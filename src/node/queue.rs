//! The commands that wait in MULTI, with their arguments.

use crate::env::memory::class_bytes;

/// Bytes of the first chunk of arguments, and of those behind it; a command with longer arguments has a chunk of its
/// own.
const FIRST_CHUNK: usize = 1024;
const NEXT_CHUNK: usize = 16 * 1024;
/// A queue with room for more commands or arguments than that is not used again.
const KEPT: usize = 64;

/// What was looked up of a command's only key when the command came.
#[derive(Clone, Copy)]
pub struct Foreseen {
    /// The hash that chooses the key's shard.
    pub hash: u64,
    /// The space of the database or table.
    pub space: u32,
    /// The tables' generation for which this holds.
    pub tables: u64,
}

/// A command that waits in MULTI.
pub struct Queued<C: 'static> {
    /// The command.
    pub command: &'static C,
    /// What is known of its only key.
    pub foreseen: Option<Foreseen>,
    chunk: usize,
    /// The offset in the chunk at which the first argument begins.
    begin: usize,
    /// The numbers of the arguments' ends.
    ends: (usize, usize),
}

impl<C> Queued<C> {
    /// How many arguments there are, the command's name included.
    #[inline]
    pub fn count_args(&self) -> usize {
        self.ends.1 - self.ends.0
    }
}

/// The commands of MULTI in their order. Their arguments lie one behind the other in a few chunks, which are filled and
/// never moved.
pub struct Queue<C: 'static> {
    commands: Vec<Queued<C>>,
    chunks: Vec<Vec<u8>>,
    /// Bytes allocated for the chunks.
    room: usize,
    /// The offset in its chunk at which each argument ends.
    ends: Vec<usize>,
}

impl<C> Default for Queue<C> {
    fn default() -> Self {
        Self { commands: Vec::new(), chunks: Vec::new(), room: 0, ends: Vec::new() }
    }
}

/// The arguments of a queued command, its name included.
pub struct Args<'q> {
    bytes: &'q [u8],
    begin: usize,
    ends: std::slice::Iter<'q, usize>,
}

impl<'q> Iterator for Args<'q> {
    type Item = &'q [u8];

    #[inline]
    fn next(&mut self) -> Option<&'q [u8]> {
        let end = *self.ends.next()?;
        let begin = std::mem::replace(&mut self.begin, end);
        Some(self.bytes.get(begin..end).unwrap_or_default())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ends.size_hint()
    }
}

impl ExactSizeIterator for Args<'_> {}

impl<C> Queue<C> {
    /// Adds a copy of a command; returns how many bytes its arguments have.
    pub fn push(&mut self, command: &'static C, foreseen: Option<Foreseen>, args: &[&[u8]]) -> usize {
        let len: usize = args.iter().map(|arg| arg.len()).sum();
        let (first, ends) = (self.ends.len(), &mut self.ends);
        ends.reserve(args.len());
        let has_room = self.chunks.last().is_some_and(|last| last.capacity() - last.len() >= len);
        if !has_room {
            let least = if self.chunks.is_empty() { FIRST_CHUNK } else { NEXT_CHUNK };
            let chunk = Vec::with_capacity(least.max(len));
            self.room += class_bytes(chunk.capacity());
            self.chunks.push(chunk);
        }
        let chunk = self.chunks.len() - 1;
        let bytes = &mut self.chunks[chunk];
        let begin = bytes.len();
        for arg in args {
            bytes.extend_from_slice(arg);
            ends.push(bytes.len());
        }
        self.commands.push(Queued { command, foreseen, chunk, begin, ends: (first, self.ends.len()) });
        len
    }

    /// The commands.
    #[inline]
    pub fn commands(&self) -> &[Queued<C>] {
        &self.commands
    }

    /// How many commands there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// How many arguments all commands have together, their names included.
    pub fn count_args(&self) -> usize {
        self.ends.len()
    }

    /// The arguments of one of these commands.
    pub fn args_of(&self, queued: &Queued<C>) -> Args<'_> {
        let bytes = self.chunks.get(queued.chunk).map_or(&[][..], Vec::as_slice);
        let ends = self.ends.get(queued.ends.0..queued.ends.1).unwrap_or_default();
        Args { bytes, begin: queued.begin, ends: ends.iter() }
    }

    /// The commands with their arguments.
    pub fn iter(&self) -> impl Iterator<Item = (&'static C, Args<'_>)> {
        self.commands.iter().map(|queued| (queued.command, self.args_of(queued)))
    }

    /// About how many bytes are allocated.
    #[inline]
    pub fn memory(&self) -> usize {
        self.commands.capacity() * size_of::<Queued<C>>()
            + self.ends.capacity() * size_of::<usize>()
            + self.chunks.capacity() * size_of::<Vec<u8>>()
            + self.room
    }

    /// An empty queue with this one's memory, unless that is large.
    #[must_use]
    pub fn emptied(mut self) -> Self {
        let small = self.commands.capacity() <= KEPT && self.ends.capacity() <= 8 * KEPT;
        if !small || self.chunks.first().is_none_or(|first| first.capacity() > FIRST_CHUNK) {
            return Self::default();
        }
        self.commands.clear();
        self.ends.clear();
        self.chunks.truncate(1);
        self.chunks.iter_mut().for_each(Vec::clear);
        self.room = self.chunks.first().map_or(0, |first| class_bytes(first.capacity()));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static COMMANDS: [u8; 3] = [0, 1, 2];

    fn texts(count: usize, len: usize) -> Vec<Vec<u8>> {
        (0..count).map(|n| vec![n as u8; if n % 3 == 2 { len } else { n % 4 }]).collect()
    }

    #[test]
    fn queued_arguments_are_what_they_were_copied_from() {
        let mut queue = Queue::default();
        for _ in 0..2 {
            let mut model = Vec::new();
            for (n, (count, len)) in
                [(1, 0), (9, 900), (0, 0), (300, 20), (4, 40_000), (1, 0), (3, 0)].into_iter().enumerate()
            {
                let texts = texts(count, len);
                let args: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
                queue.push(&COMMANDS[n % 3], None, &args);
                model.push((COMMANDS[n % 3], texts));
            }
            let seen: Vec<(u8, Vec<Vec<u8>>)> =
                queue.iter().map(|(command, args)| (*command, args.map(<[u8]>::to_vec).collect())).collect();
            assert_eq!(seen, model);
            assert_eq!((queue.len(), queue.is_empty()), (model.len(), false));
            assert_eq!(queue.count_args(), model.iter().map(|(_, texts)| texts.len()).sum::<usize>());
            assert_eq!(queue.args_of(&queue.commands()[1]).len(), 9);
            let bytes: usize = model.iter().flat_map(|(_, texts)| texts).map(Vec::len).sum();
            assert!((bytes..3 * bytes).contains(&queue.memory()), "{} for {bytes}", queue.memory());
            queue = queue.emptied();
            assert!(queue.is_empty() && queue.iter().next().is_none());
        }
    }

    #[test]
    fn what_is_kept_of_a_queue_is_small() {
        let kept = |commands: usize, len: usize| {
            let mut queue = Queue::default();
            let text = vec![7; len];
            for _ in 0..commands {
                assert_eq!(queue.push(&COMMANDS[0], None, &[&text]), len);
            }
            queue.emptied().memory()
        };
        assert!((FIRST_CHUNK..8 * FIRST_CHUNK).contains(&kept(4, 100)));
        assert!(kept(30, 1000) < 8 * FIRST_CHUNK, "the chunks behind the first one are freed");
        assert_eq!((kept(1000, 1), kept(1, 1_000_000)), (0, 0));
    }
}
