//! DUMP and RESTORE: Redis's own serialisation.

use crate::command::fail::{self, Fail};
use crate::command::{Cx, Outcome, eq, parse_int};
use crate::effect::{Effect, HashChange, List, ListChange, ZsetChange};
use crate::engine::{Classes, EFFECT_BYTES, Renewal};
use crate::store::{Entry, Object, Store, ValueRef};
use crate::value::hash::{HashRef, pack_field};
use crate::value::list::encode_all;
use crate::value::rdb::{self, Decoded, Form};
use crate::value::set::{Member, SetRef};
use crate::value::zset::{ZsetRef, compare, pack_member};
use std::sync::atomic::Ordering::Relaxed;

/// A value in Redis's serialisation, with its footer. A list is written in nodes as `list-max-listpack-size` has them.
pub fn serialised(store: &Store, entry: &Entry, now: u64) -> Result<Vec<u8>, Fail> {
    let value = entry.value();
    if let ValueRef::Str(bytes) = value {
        return Ok(rdb::dump_string(bytes));
    }
    if let ValueRef::Boxed(Object::Stream(stream)) = value {
        return Ok(rdb::dump_stream(stream));
    }
    if let Some(set) = value.set() {
        let form = if matches!(set, SetRef::Ints(_)) { Form::Compact } else { Form::Full };
        return Ok(rdb::dump_set(set.iter().map(Member::bytes).collect::<Vec<_>>(), form));
    }
    if let Some(list) = value.list() {
        let node_size = store.thresholds.list_size.load(Relaxed);
        return Ok(rdb::dump_list(list.iter_from(0).map(|element| element.bytes()), node_size.into()));
    }
    if let Some(set) = value.zset() {
        let form = if matches!(set, ZsetRef::Big(_)) { Form::Full } else { Form::Compact };
        return Ok(rdb::dump_zset(set.iter().collect::<Vec<_>>(), form));
    }
    let hash = value.hash().ok_or(fail::WRONG_TYPE)?;
    let form = if matches!(hash, HashRef::Big(_)) { Form::Full } else { Form::Compact };
    let fields = hash.live(now).map(|f| (f.name, f.value, (f.expire != 0).then_some(f.expire)));
    Ok(rdb::dump_hash(fields.collect::<Vec<_>>(), form))
}

pub(super) fn dump(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let now = cx.tx.now();
    cx.tx.set_no_touch(true);
    match cx.tx.entry(args[1]) {
        None => cx.out.null(),
        Some(entry) => cx.out.bulk(&serialised(&cx.tx.engine().store, entry, now)?),
    }
    Ok(())
}

#[derive(Default)]
struct Options {
    replace: bool,
    absolute: bool,
    idle: Option<u64>,
    freq: Option<u32>,
}

impl Options {
    fn parse(mut words: &[&[u8]]) -> Result<Self, Fail> {
        let mut options = Self::default();
        while let Some(word) = words.first() {
            let value = words.get(1);
            match (word, value) {
                (w, _) if eq(w, "replace") => options.replace = true,
                (w, _) if eq(w, "absttl") => options.absolute = true,
                (w, Some(v)) if eq(w, "idletime") && options.freq.is_none() => {
                    options.idle = Some(
                        u64::try_from(parse_int(v)?)
                            .map_err(|_| Fail::new("ERR Invalid IDLETIME value, must be >= 0"))?,
                    );
                    words = &words[1..];
                }
                (w, Some(v)) if eq(w, "freq") && options.idle.is_none() => {
                    let freq = u8::try_from(parse_int(v)?)
                        .map_err(|_| Fail::new("ERR Invalid FREQ value, must be >= 0 and <= 255"))?;
                    options.freq = Some(u32::from(freq));
                    words = &words[1..];
                }
                _ => return Err(fail::SYNTAX),
            }
            words = &words[1..];
        }
        Ok(options)
    }
}

pub(super) fn restore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, db, now) = (args[1], cx.db(), cx.tx.now());
    let options = Options::parse(&args[4..])?;
    if !options.replace && cx.tx.exists(key) {
        return Err(Fail::new("BUSYKEY Target key name already exists."));
    }
    let ttl =
        u64::try_from(parse_int(args[2])?).map_err(|_| Fail::new("ERR Invalid TTL value, must be >= 0"))?;
    let unsigned = cx.server.engine.skip_checksums.load(Relaxed);
    let decode = if unsigned { rdb::decode_unsigned_dump } else { rdb::decode_dump };
    let decoded = decode(args[3]).map_err(|error| Fail::text(error.to_string()))?;
    let expire = match (ttl, options.absolute) {
        (0, _) => None,
        (at, true) => Some(at),
        // As in Redis the sum wraps around, and a key that then seems to have expired is not made.
        (ttl, false) => Some(u64::try_from((now as i64).wrapping_add(ttl as i64)).unwrap_or(0)),
    };
    let replaces = cx.tx.exists(key);
    if expire.is_some_and(|at| at <= now) {
        return make_nothing(cx, key, replaces);
    }
    // Redis removes what was there, so the key is new. A stream is put in that way here too.
    let renews = match decoded {
        Decoded::String(value) => {
            cx.tx.restore_string(key, (args[3], &value), expire)?;
            replaces
        }
        Decoded::Hash(fields) => {
            let live: Vec<_> = fields.iter().filter(|f| f.2.is_none_or(|at| at > now)).collect();
            let ttl = live.iter().any(|f| f.2.is_some());
            let mut payload = Vec::new();
            for f in &live {
                pack_field(&mut payload, ttl, &f.0, &f.1, f.2.unwrap_or(0));
            }
            cx.tx.ask(payload.len() + key.len() + EFFECT_BYTES)?;
            if live.is_empty() {
                return make_nothing(cx, key, replaces);
            }
            cx.tx.apply(HashChange::Put { expire, ttl, payload: &payload }.on(db, key));
            replaces
        }
        Decoded::Stream(stream) => {
            cx.tx.put_stream(key, &stream, expire)?;
            false
        }
        Decoded::Set(members) => {
            let members: Vec<&[u8]> = members.iter().map(Vec::as_slice).collect();
            cx.tx.put_set(key, List::Slices(&members), expire, Renewal::New)?;
            false
        }
        Decoded::List(elements) => {
            let entries = encode_all(elements.iter().map(Vec::as_slice));
            cx.tx.ask(entries.len() + key.len() + EFFECT_BYTES)?;
            cx.tx.apply(ListChange::Put { payload: &entries, expire }.on(db, key));
            replaces
        }
        Decoded::ZSet(mut members) => {
            members.sort_unstable_by(|a, b| compare((a.1, &a.0), (b.1, &b.0)));
            let mut payload = Vec::new();
            members.iter().for_each(|(member, score)| pack_member(&mut payload, member, *score));
            cx.tx.ask(payload.len() + key.len() + EFFECT_BYTES)?;
            cx.tx.apply(ZsetChange::Put { payload: &payload, expire }.on(db, key));
            replaces
        }
    };
    if renews {
        cx.tx.tell_new(db, key);
    }
    cx.tell(Classes::GENERIC, "restore", key);
    note_age(cx, key, &options);
    cx.out.ok();
    Ok(())
}

/// Puts nothing in place of what is at a key, for the payload holds nothing that has not expired.
fn make_nothing(cx: &mut Cx<'_, '_>, key: &[u8], replaces: bool) -> Outcome {
    if replaces {
        cx.tx.apply(Effect::Delete { db: cx.db(), key });
        cx.tell(Classes::GENERIC, "del", key);
    }
    cx.out.ok();
    Ok(())
}

/// Takes over the age or frequency that the payload's sender knows.
fn note_age(cx: &mut Cx<'_, '_>, key: &[u8], options: &Options) {
    cx.tx.set_no_touch(true);
    let now = cx.tx.now();
    let store = &cx.tx.engine().store;
    let lfu = store.lfu.load(std::sync::atomic::Ordering::Relaxed);
    let Some(entry) = cx.tx.entry(key) else { return };
    match (options.idle, options.freq) {
        (Some(idle), _) if !lfu => entry.set_clock(((now / 1000).saturating_sub(idle)) as u32 & 0xff_ffff),
        (_, Some(freq)) if lfu => entry.set_clock(((now / 60_000) as u32 & 0xffff) << 8 | freq),
        _ => {}
    }
}
