//! Waiting for elements.

use super::End;
use super::moves::{Taking, move_one, take_one};
use crate::command::{Cx, Fail, Outcome, parse_timeout_seconds};
use crate::node::{AwaitedKey, Wait};
use crate::resp::Reply;
use crate::store::Awaited;
use crate::value::stream::StreamId;
use std::borrow::Cow;

/// The arguments that are one of the keys, and how the command is run for one of them alone.
type Alone = for<'a> fn(&'a Wait, &'a AwaitedKey) -> Vec<Cow<'a, [u8]>>;

/// Waits for one of the keys, or answers as if the time were up where that is not possible.
fn wait(
    cx: &mut Cx<'_, '_>,
    args: &[&[u8]],
    (first_key, keys): (usize, usize),
    timeout: Option<u64>,
    alone: Alone,
    reply_at_once: fn(&mut Reply),
) {
    if !cx.may_wait() {
        return reply_at_once(cx.out);
    }
    let now = cx.server.engine.clock.instant();
    let awaited =
        |key: &&[u8]| AwaitedKey { key: (*key).into(), awaited: Awaited::Elements, behind: StreamId::MIN };
    cx.wait(Wait {
        keys: args[first_key..first_key + keys].iter().map(awaited).collect(),
        until: timeout.map(|ms| now.after_ms(ms)),
        args: args.iter().map(|arg| Box::from(*arg)).collect(),
        first_key,
        alone,
        reply_on_timeout: Reply::null_array,
    });
}

fn timeout(cx: &Cx<'_, '_>, arg: &[u8]) -> Result<Option<u64>, Fail> {
    parse_timeout_seconds(arg, cx.tx.now())
}

pub(super) fn blpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Left)
}

pub(super) fn brpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    pop(cx, args, End::Right)
}

fn pop(cx: &mut Cx<'_, '_>, args: &[&[u8]], end: End) -> Outcome {
    let [_, keys @ .., last] = args else { return Ok(()) };
    let timeout = timeout(cx, last)?;
    if !take_one(cx, keys, end)? {
        wait(cx, args, (1, keys.len()), timeout, only_key, Reply::null_array);
    }
    Ok(())
}

/// The command with one key between its name and its last argument.
fn only_key<'a>(wait: &'a Wait, key: &'a AwaitedKey) -> Vec<Cow<'a, [u8]>> {
    let ends = [wait.args.first(), wait.args.last()].map(|arg| arg.map_or(&[][..], |arg| &**arg));
    vec![Cow::Borrowed(ends[0]), Cow::Borrowed(&*key.key), Cow::Borrowed(ends[1])]
}

pub(super) fn blmove(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (from, to) = (End::parse(args[3])?, End::parse(args[4])?);
    let timeout = timeout(cx, args[5])?;
    move_or_wait(cx, args, (from, to), timeout)
}

pub(super) fn brpoplpush(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let timeout = timeout(cx, args[3])?;
    move_or_wait(cx, args, (End::Right, End::Left), timeout)
}

fn move_or_wait(
    cx: &mut Cx<'_, '_>,
    args: &[&[u8]],
    (from, to): (End, End),
    timeout: Option<u64>,
) -> Outcome {
    if !move_one(cx, (args[1], from), (args[2], to))? {
        wait(cx, args, (1, 1), timeout, as_it_is, Reply::null);
    }
    Ok(())
}

fn as_it_is<'a>(wait: &'a Wait, _: &'a AwaitedKey) -> Vec<Cow<'a, [u8]>> {
    wait.args.iter().map(|arg| Cow::Borrowed(&**arg)).collect()
}

pub(super) fn blmpop(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let timeout = timeout(cx, args[1])?;
    let taking = Taking::parse(&args[2..])?;
    if !taking.take(cx)? {
        wait(cx, args, (3, taking.keys.len()), timeout, one_of_several, Reply::null_array);
    }
    Ok(())
}

/// The command with one of its keys: what stands before their number, that number, the key, and what follows them.
fn one_of_several<'a>(wait: &'a Wait, key: &'a AwaitedKey) -> Vec<Cow<'a, [u8]>> {
    let args = || wait.args.iter().map(|arg| Cow::Borrowed(&**arg));
    let before = args().take(wait.first_key - 1);
    let behind = args().skip(wait.first_key + asked_keys(wait));
    before.chain([Cow::Borrowed(&b"1"[..]), Cow::Borrowed(&*key.key)]).chain(behind).collect()
}

/// How many keys the command names. A key that is named twice is waited for once, so these may be more than those that
/// the client waits for.
fn asked_keys(wait: &Wait) -> usize {
    let number = wait.args.get(wait.first_key - 1).and_then(|word| std::str::from_utf8(word).ok());
    number.and_then(|number| number.parse().ok()).unwrap_or(wait.keys.len())
}
