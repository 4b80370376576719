//! GEOADD.

use super::args::parse_position;
use crate::command::zsets::zadd;
use crate::command::{Cx, Outcome, eq, fail};
use std::borrow::Cow;

/// Runs ZADD with the positions' scores.
pub(super) fn geoadd(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let options = args[2..].iter().take_while(|arg| eq(arg, "nx") || eq(arg, "xx") || eq(arg, "ch")).count();
    let (options, triples) = args[2..].split_at(options);
    let given = |word| options.iter().any(|option| eq(option, word));
    if !triples.len().is_multiple_of(3) || (given("nx") && given("xx")) {
        return Err(fail::SYNTAX);
    }
    let mut pairs: Vec<Cow<'_, [u8]>> = Vec::with_capacity(triples.len() / 3 * 2);
    for triple in triples.chunks_exact(3) {
        let score = parse_position(triple[0], triple[1])?.to_score();
        pairs.push(Cow::Owned(score.to_string().into_bytes()));
        pairs.push(Cow::Borrowed(triple[2]));
    }
    let before = args[..2].iter().chain(options).copied();
    let args: Vec<&[u8]> = before.chain(pairs.iter().map(|part| &**part)).collect();
    zadd(cx, &args)
}
