//! Waiting for one of several keys of lists and sorted sets: for what the client waits, and the form in which the
//! command runs for one of its keys.

use super::{Cx, Fail, parse_timeout_seconds};
use crate::node::{AwaitedKey, Wait};
use crate::resp::Reply;
use crate::store::Awaited;
use crate::value::stream::StreamId;
use std::borrow::Cow;

/// Makes the arguments with which a command runs for one of its keys.
pub(super) type Alone = for<'a> fn(&'a Wait, &'a AwaitedKey) -> Vec<Cow<'a, [u8]>>;

/// How one kind of command waits.
pub(super) struct Form {
    /// What one of the keys must hold.
    pub(super) awaited: Awaited,
    pub(super) alone: Alone,
    /// The reply where waiting is not possible, as in a transaction. BLMOVE's differs from its reply after a timeout.
    pub(super) reply_at_once: fn(&mut Reply),
}

/// Waits for one of the keys, or answers at once where waiting is not possible. `keys` are the position of the first
/// key among the arguments and the number of keys; `timeout` is in ms, `None` waits for ever.
pub(super) fn wait(
    cx: &mut Cx<'_, '_>,
    args: &[&[u8]],
    (first_key, keys): (usize, usize),
    timeout: Option<u64>,
    form: &Form,
) {
    if !cx.may_wait() {
        return (form.reply_at_once)(cx.out);
    }
    let now = cx.server.engine.clock.instant();
    let awaited =
        |key: &&[u8]| AwaitedKey { key: (*key).into(), awaited: form.awaited.clone(), behind: StreamId::MIN };
    cx.wait(Wait {
        keys: args[first_key..first_key + keys].iter().map(awaited).collect(),
        until: timeout.map(|ms| now.after_ms(ms)),
        args: args.iter().map(|arg| Box::from(*arg)).collect(),
        first_key,
        alone: form.alone,
        reply_on_timeout: Reply::null_array,
    });
}

/// Reads the timeout of a command that waits, in ms; `None` waits for ever.
pub(super) fn timeout(cx: &Cx<'_, '_>, arg: &[u8]) -> Result<Option<u64>, Fail> {
    parse_timeout_seconds(arg, cx.tx.now())
}

/// The arguments of a command whose keys stand between its name and its last argument, with one of the keys only.
pub(super) fn only_key<'a>(wait: &'a Wait, key: &'a AwaitedKey) -> Vec<Cow<'a, [u8]>> {
    let ends = [wait.args.first(), wait.args.last()].map(|arg| arg.map_or(&[][..], |arg| &**arg));
    vec![Cow::Borrowed(ends[0]), Cow::Borrowed(&*key.key), Cow::Borrowed(ends[1])]
}

/// The arguments of a command whose keys follow their number, with one of the keys only: what stands before the number,
/// 1, the key, and what follows the keys.
pub(super) fn one_of_several<'a>(wait: &'a Wait, key: &'a AwaitedKey) -> Vec<Cow<'a, [u8]>> {
    let args = || wait.args.iter().map(|arg| Cow::Borrowed(&**arg));
    // The client waits once for a key that it names twice, so the command may name more keys than `wait.keys` has.
    let number = wait.args.get(wait.first_key - 1).and_then(|word| std::str::from_utf8(word).ok());
    let named = number.and_then(|number| number.parse().ok()).unwrap_or(wait.keys.len());
    let (before, behind) = (args().take(wait.first_key - 1), args().skip(wait.first_key + named));
    before.chain([Cow::Borrowed(&b"1"[..]), Cow::Borrowed(&*key.key)]).chain(behind).collect()
}
