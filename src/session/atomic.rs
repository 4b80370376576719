//! ITEM.ATOMIC: transactions that are all or nothing, and the tokens by which each of them is carried out only once.

use crate::command::{Command, Fail, flag, token_key};
use crate::config::Settings;
use crate::effect::{StringChange, TOKENS};
use crate::engine::{EFFECT_BYTES, Tx};
use crate::env::memory;
use crate::node::Queue;
use crate::resp::{Proto, Reply, ReplyDecoder};
use crate::store::ValueRef;
use smallvec::SmallVec;
use xxhash_rust::xxh3::Xxh3Default;

/// How long a token is remembered, as in DynamoDB.
const REMEMBERED_MS: u64 = 10 * 60 * 1000;
/// Bytes of a digest.
const DIGEST: usize = 16;
/// This bit of the protocol's byte says that the number of a database follows it (u32, little endian).
const LEFT: u8 = 0x80;
/// The most bytes that stand before the reply.
const HEAD: usize = DIGEST + 1 + size_of::<u32>();

/// Whether a transaction has a token. If nothing is queued yet, the transaction begins with `command`.
pub(super) fn has_token(queue: &Queue<Command>, command: &Command, args: &[&[u8]]) -> bool {
    match queue.iter().next() {
        Some((first, args)) => {
            let args: SmallVec<[&[u8]; 4]> = args.collect();
            first.has(flag::ATOMIC) && token_key(&args).is_some()
        }
        None => command.has(flag::ATOMIC) && token_key(args).is_some(),
    }
}

/// The bytes that this thread has allocated for other than the replies and the transaction's record, which have limits
/// of their own.
pub(super) fn allocated(tx: &Tx<'_>, out: &Reply) -> i64 {
    memory::thread_bytes() - tx.record_room() as i64 - out.held() as i64
}

/// Why the command whose reply begins at `mark` cancels the transaction, if it does. `before`: what [`allocated`] gave
/// before the transaction.
pub(super) fn cancels(
    tx: &Tx<'_>,
    out: &Reply,
    mark: usize,
    (before, settings): (i64, &Settings),
) -> Option<String> {
    if tx.refused() {
        return Some("ConditionalCheckFailed".to_owned());
    }
    if out.is_above_limit() {
        // The client would not learn the outcome, and a reply that is too large cannot be remembered with its token.
        return Some("ERR the replies are larger than client-output-buffer-limit allows".to_owned());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
    if let Some(error) = out.scalar_at(mark).strip_prefix(b"-") {
        return Some(text(error));
    }
    // What the transaction can be undone by grows with it.
    let taken = allocated(tx, out) - before;
    (taken > settings.transaction_max_memory as i64).then(|| text(&Fail::too_large(settings).0))
}

/// A token, and a digest by which it is seen whether the token comes with the same commands again.
pub(super) struct Token {
    key: Vec<u8>,
    digest: [u8; DIGEST],
}

impl Token {
    /// The token that a transaction begins with.
    pub(super) fn of(queue: &Queue<Command>, db: usize) -> Option<Self> {
        let args: SmallVec<[&[u8]; 4]> = queue.iter().next()?.1.collect();
        let key = token_key(&args)?;
        let mut hasher = Xxh3Default::new();
        hasher.update(&db.to_le_bytes());
        for (_, args) in queue.iter() {
            hasher.update(&args.len().to_le_bytes());
            for arg in args {
                hasher.update(&arg.len().to_le_bytes());
                hasher.update(arg);
            }
        }
        Some(Self { key, digest: hasher.digest128().to_le_bytes() })
    }

    /// If the transaction was carried out before, writes the reply that it had then and returns the database in which
    /// it left the client; `None` if it was not carried out. `db` is the client's database now.
    pub(super) fn replay(&self, tx: &Tx<'_>, db: usize, out: &mut Reply) -> Result<Option<usize>, Fail> {
        let Some(ValueRef::Str(kept)) = tx.entry_in(TOKENS as usize, &self.key).map(|entry| entry.value())
        else {
            return Ok(None);
        };
        let Some((digest, [proto, rest @ ..])) = kept.split_at_checked(DIGEST) else { return Ok(None) };
        if digest != self.digest {
            return Err(Fail::new("TXCANCELLED 0:IdempotentParameterMismatch"));
        }
        let (left, reply) = match rest.split_first_chunk() {
            Some((other, reply)) if proto & LEFT != 0 => (u32::from_le_bytes(*other) as usize, reply),
            _ => (db, rest),
        };
        if *proto & !LEFT == out.proto() as u8 {
            out.raw(reply);
        } else {
            ReplyDecoder::decode_all(reply).unwrap_or_default().iter().for_each(|value| out.value(value));
        }
        Ok(Some(left))
    }

    /// Remembers the reply of a transaction that was carried out, and `left`: the database in which it left the client,
    /// if that is another one than before. If this fails, the caller must undo the transaction.
    pub(super) fn remember(
        &self,
        tx: &mut Tx<'_>,
        left: Option<usize>,
        proto: Proto,
        reply: &[u8],
    ) -> Result<(), Fail> {
        tx.ask(reply.len() + self.key.len() + HEAD + EFFECT_BYTES)?;
        let mut value = Vec::with_capacity(HEAD + reply.len());
        value.extend_from_slice(&self.digest);
        match left {
            None => value.push(proto as u8),
            Some(db) => {
                value.push(proto as u8 | LEFT);
                value.extend_from_slice(&(db as u32).to_le_bytes());
            }
        }
        value.extend_from_slice(reply);
        let expire = Some(tx.now() + REMEMBERED_MS);
        tx.apply(StringChange::Set { value: &value, expire }.on(TOKENS, &self.key));
        Ok(())
    }
}
