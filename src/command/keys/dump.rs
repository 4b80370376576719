//! DUMP and RESTORE: Redis's own serialisation.

use crate::command::fail::{self, Fail};
use crate::command::prepared::ahead;
use crate::command::{Cx, Outcome, Preparation, Reading, eq, parse_int};
use crate::config::Settings;
use crate::effect::{Effect, HashChange, List, ListChange, ZsetChange};
use crate::engine::{Classes, EFFECT_BYTES, Renewal};
use crate::store::{Built, Entry, MOST_PACKED, Object, Store, ValueRef};
use crate::text::parse_i64_strict;
use crate::value::ValueError;
use crate::value::hash::{HashRef, pack_field};
use crate::value::rdb::{self, Decoded, DumpForm, HashField};
use crate::value::set::{Member, SetRef};
use crate::value::zset::{ZsetRef, pack_all, packed_fits};
use std::sync::atomic::Ordering::Relaxed;

/// A value in Redis's serialisation, with its footer. Lists have nodes of the size that `list-max-listpack-size` gives.
pub fn serialised(store: &Store, entry: &Entry, now: u64) -> Result<Vec<u8>, Fail> {
    let value = entry.value();
    if let ValueRef::Str(bytes) = value {
        return Ok(rdb::dump_string(bytes));
    }
    if let ValueRef::Boxed(Object::Stream(stream)) = value {
        return Ok(rdb::dump_stream(stream));
    }
    if let Some(set) = value.set() {
        let form = if matches!(set, SetRef::Ints(_)) { DumpForm::Compact } else { DumpForm::Full };
        return Ok(rdb::dump_set(set.iter().map(Member::bytes).collect::<Vec<_>>(), form));
    }
    if let Some(list) = value.list() {
        let node_size = store.thresholds.list_size.load(Relaxed);
        return Ok(rdb::dump_list(list.iter_from(0).map(|element| element.bytes()), node_size.into()));
    }
    if let Some(set) = value.zset() {
        let form = if matches!(set, ZsetRef::Big(_)) { DumpForm::Full } else { DumpForm::Compact };
        return Ok(rdb::dump_zset(set.iter().collect::<Vec<_>>(), form));
    }
    let hash = value.hash().ok_or(fail::WRONG_TYPE)?;
    let form = if matches!(hash, HashRef::Big(_)) { DumpForm::Full } else { DumpForm::Compact };
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

/// Reads a long payload before the key's shard is locked.
pub(super) const AHEAD: Preparation =
    Preparation { read: |with, args| ahead(with, args, Read::signed), keys: None };

/// The value of a payload, and the time in ms since the epoch at which it was read.
struct Read {
    at: u64,
    value: Value,
}

/// The value of a payload. Values in compact form are built by the store when it applies the effect.
enum Value {
    /// A hash whose fields have all expired.
    Nothing,
    /// A hash in the packed form, and whether its fields have deadlines.
    Packed(bool, Vec<u8>),
    /// The members of a set that has a compact form.
    Members(Vec<Vec<u8>>),
    /// The entries of a list that may be packed.
    Entries(Vec<u8>),
    /// The members of a packed sorted set.
    Scored(Vec<u8>),
    /// Any other value.
    Built(Built),
}

type Decode = fn(&[u8]) -> Result<Decoded, ValueError>;

impl Read {
    /// Reads a request's payload and checks its checksum.
    fn signed(with: &Reading<'_>, args: &[&[u8]]) -> Result<Self, Fail> {
        Self::of(with, args, rdb::decode_dump)
    }

    /// Reads a request's payload with `decode`.
    fn of(with: &Reading<'_>, args: &[&[u8]], decode: Decode) -> Result<Self, Fail> {
        let decoded = decode(args[3]).map_err(|error| Fail::text(error.to_string()))?;
        Ok(Self { at: with.now, value: Value::of(decoded, with) })
    }
}

impl Value {
    fn of(decoded: Decoded, with: &Reading<'_>) -> Self {
        let built = |decoded| Built::of(decoded, with.now).map_or(Self::Nothing, Self::Built);
        match decoded {
            Decoded::Hash(fields) => {
                Self::packed(&fields, with).unwrap_or_else(|| built(Decoded::Hash(fields)))
            }
            Decoded::Set(members) if is_compact(&members, with.settings) => Self::Members(members),
            Decoded::List(elements) => {
                let entries = elements.into_entries();
                let may_be_packed = entries.len() <= MOST_PACKED;
                if may_be_packed { Self::Entries(entries) } else { Self::Built(Built::list(&entries)) }
            }
            Decoded::ZSet(members) => {
                let payload = pack_all(members);
                let [most, longest] =
                    [with.settings.zset_max_listpack_entries, with.settings.zset_max_listpack_value];
                let fits = packed_fits(&payload, most as usize, longest as usize);
                if fits { Self::Scored(payload) } else { Self::Built(Built::zset(&payload)) }
            }
            other @ (Decoded::String(_) | Decoded::Set(_) | Decoded::Stream(_)) => built(other),
        }
    }

    /// The live fields of a hash in the packed form; `None` if there are too many, or if one is too long.
    fn packed(fields: &[HashField], with: &Reading<'_>) -> Option<Self> {
        let live = || fields.iter().filter(|f| f.2.is_none_or(|at| at > with.now));
        let [most, longest] =
            [with.settings.hash_max_listpack_entries, with.settings.hash_max_listpack_value];
        let fits = |len: usize| len as u64 <= longest;
        if live().count() as u64 > most || !live().all(|f| fits(f.0.len()) && fits(f.1.len())) {
            return None;
        }
        let ttl = live().any(|f| f.2.is_some());
        let mut packed = Vec::new();
        for f in live() {
            pack_field(&mut packed, ttl, &f.0, &f.1, f.2.unwrap_or(0));
        }
        Some(if packed.is_empty() { Self::Nothing } else { Self::Packed(ttl, packed) })
    }
}

/// Whether a set of these members has a compact form.
fn is_compact(members: &[Vec<u8>], settings: &Settings) -> bool {
    let count = members.len() as u64;
    let longest = settings.set_max_listpack_value;
    count <= settings.set_max_intset_entries && members.iter().all(|name| parse_i64_strict(name).is_some())
        || count <= settings.set_max_listpack_entries
            && members.iter().all(|name| name.len() as u64 <= longest)
}

/// The value of the request's payload, read here unless it was read ahead.
fn read(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Result<Read, Fail> {
    let unsigned = cx.server.engine.skip_checksums.load(Relaxed);
    let ahead = cx.take_prepared::<Result<Read, Fail>>();
    ahead.filter(|read| read.is_ok() || !unsigned).unwrap_or_else(|| {
        let decode = if unsigned { rdb::decode_unsigned_dump } else { rdb::decode_dump };
        Read::of(&cx.reading(), args, decode)
    })
}

pub(super) fn restore(cx: &mut Cx<'_, '_>, args: &[&[u8]]) -> Outcome {
    let (key, db, now) = (args[1], cx.db(), cx.tx.now());
    let options = Options::parse(&args[4..])?;
    if !options.replace && cx.tx.exists(key) {
        return Err(Fail::new("BUSYKEY Target key name already exists."));
    }
    let ttl =
        u64::try_from(parse_int(args[2])?).map_err(|_| Fail::new("ERR Invalid TTL value, must be >= 0"))?;
    let expire = match (ttl, options.absolute) {
        (0, _) => None,
        (at, true) => Some(at),
        // As in Redis the sum wraps around. If the key then seems to have expired, it is not created.
        (ttl, false) => Some(u64::try_from((now as i64).wrapping_add(ttl as i64)).unwrap_or(0)),
    };
    let Read { at, value } = read(cx, args)?;
    let (replaces, old) = (cx.tx.exists(key), cx.replaced_type(cx.tx.db, key));
    // As in Redis a replaced key counts as new; for a small set an effect of its own replaces it.
    let renews = match value {
        Value::Nothing => return make_nothing(cx, key, replaces),
        value if expire.is_some_and(|at| at <= now) => {
            cx.free_later(value);
            return make_nothing(cx, key, replaces);
        }
        Value::Packed(ttl, payload) => {
            cx.tx.ask(payload.len() + key.len() + EFFECT_BYTES)?;
            cx.tx.apply(HashChange::Put { expire, ttl, payload: &payload }.on(db, key));
            replaces
        }
        Value::Members(members) => {
            let members: Vec<&[u8]> = members.iter().map(Vec::as_slice).collect();
            cx.tx.put_set(key, List::Slices(&members), expire, Renewal::New)?;
            false
        }
        Value::Entries(entries) => {
            cx.tx.ask(entries.len() + key.len() + EFFECT_BYTES)?;
            cx.tx.apply(ListChange::Put { payload: &entries, expire }.on(db, key));
            replaces
        }
        Value::Scored(payload) => {
            cx.tx.ask(payload.len() + key.len() + EFFECT_BYTES)?;
            cx.tx.apply(ZsetChange::Put { payload: &payload, expire }.on(db, key));
            replaces
        }
        Value::Built(built) => {
            cx.tx.restore(key, (args[3], at), built, expire)?;
            replaces
        }
    };
    if renews {
        cx.tx.tell_new(db, key);
    }
    cx.tell(Classes::GENERIC, "restore", key);
    cx.tell_replaced_by_present(cx.tx.db, key, old);
    note_age(cx, key, &options);
    cx.out.ok();
    Ok(())
}

/// Removes the present value of a key, because the payload has nothing that has not expired.
fn make_nothing(cx: &mut Cx<'_, '_>, key: &[u8], replaces: bool) -> Outcome {
    if replaces {
        cx.tx.apply(Effect::Delete { db: cx.db(), key });
        cx.tell(Classes::GENERIC, "del", key);
    }
    cx.out.ok();
    Ok(())
}

/// Sets the idle time or the frequency that the request gives. If it gives no frequency, the key begins with that of a
/// new one, even in place of another key.
fn note_age(cx: &mut Cx<'_, '_>, key: &[u8], options: &Options) {
    cx.tx.set_no_touch(true);
    let now = cx.tx.now();
    let store = &cx.tx.engine().store;
    let lfu = store.lfu.load(std::sync::atomic::Ordering::Relaxed);
    let Some(entry) = cx.tx.entry(key) else { return };
    match (options.idle, options.freq) {
        (Some(idle), _) if !lfu => entry.set_clock(((now / 1000).saturating_sub(idle)) as u32 & 0xff_ffff),
        (_, Some(freq)) if lfu => entry.set_clock(((now / 60_000) as u32 & 0xffff) << 8 | freq),
        _ => entry.set_clock(store.fresh_clock(now)),
    }
}
