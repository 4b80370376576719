//! MGET, MSET, MSETNX and MSETEX: whole values of several keys.

use super::options::{For, Precondition, StringOptions, Ttl};
use super::{put, set_to};
use crate::command::{Cx, Fail, Outcome, parse_int};
use crate::store::{Entry, ValueRef};

pub(super) fn mget(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    cx.out.array(args.len() - 1);
    for key in &args[1..] {
        match cx.tx.entry(key).map(Entry::value) {
            Some(ValueRef::Str(bytes)) => cx.out.bulk(bytes),
            _ => cx.out.null(),
        }
    }
    Ok(())
}

/// The keys and values after the name; an odd number of arguments is an error.
fn pairs<'a, 'b>(args: &'b [&'a [u8]], name: &str) -> Result<&'b [[&'a [u8]; 2]], Fail> {
    match args[1..].as_chunks() {
        (pairs, []) => Ok(pairs),
        _ => Err(Fail::arity(name)),
    }
}

pub(super) fn mset(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    for [key, value] in pairs(args, "mset")? {
        set_to(cx, key, value, None);
    }
    cx.out.ok();
    Ok(())
}

pub(super) fn msetnx(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let pairs = pairs(args, "msetnx")?;
    let free = pairs.iter().all(|[key, _]| cx.tx.entry(key).is_none());
    if free {
        for [key, value] in pairs {
            put(cx, key, value, None);
        }
    }
    cx.out.int(i64::from(free));
    Ok(())
}

pub(super) fn msetex(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let count = parse_int(args[1])
        .ok()
        .filter(|count| (1..=i64::from(i32::MAX)).contains(count))
        .ok_or(Fail::new("ERR invalid numkeys value"))?;
    let (pairs, rest) = args[2..]
        .split_at_checked(count as usize * 2)
        .ok_or(Fail::new("ERR wrong number of key-value pairs"))?;
    let (pairs, _) = pairs.as_chunks::<2>();
    let options = StringOptions::parse(rest, For::MSetEx)?;
    let expire = options.ttl.deadline(cx.tx.now(), "msetex")?;
    let wanted = match options.condition {
        Precondition::Absent => pairs.iter().all(|[key, _]| cx.tx.entry(key).is_none()),
        Precondition::Present => pairs.iter().all(|[key, _]| cx.tx.entry(key).is_some()),
        _ => true,
    };
    if wanted {
        for [key, value] in pairs {
            if options.ttl == Ttl::Keep {
                let kept = cx.tx.entry(key).and_then(Entry::expire);
                set_to(cx, key, value, kept);
            } else {
                put(cx, key, value, expire);
            }
        }
    }
    cx.out.int(i64::from(wanted));
    Ok(())
}
