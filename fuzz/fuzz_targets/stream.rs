//! The bytes of a stream: any bytes are decoded or refused, and a decoded stream can be read from both ends, trimmed,
//! added to and written again.
#![no_main]

use itemory::value::rdb::{Decoded, decode_dump, dump_stream};
use itemory::value::stream::{NodeLimits, Stream, StreamId, Trim, TrimBy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(mut stream) = Stream::decode(data) else { return };
    let mut bytes = Vec::new();
    stream.encode(&mut bytes);
    assert_eq!(Stream::decode(&bytes).as_ref(), Ok(&stream));
    let forwards: Vec<StreamId> = stream.range(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
    let mut backwards: Vec<StreamId> = stream.range_rev(StreamId::MIN, StreamId::MAX).map(|entry| entry.id).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_eq!(forwards.len() as u64, stream.len());
    assert!(matches!(decode_dump(&dump_stream(&stream)), Ok(Decoded::Stream(again)) if again.len() == stream.len()));
    if let Some(next) = stream.last_id().next() {
        let pair = [b"field".as_slice(), b"value"];
        assert!(stream.append(next, pair.into_iter(), NodeLimits::default()).is_ok());
        assert!(stream.get(next).is_some());
    }
    let half = Trim { by: TrimBy::MaxLen(stream.len() / 2), approximate: false, limit: 0 };
    if let Some(plan) = stream.plan_trim(half) {
        assert_eq!(stream.trim_through(plan.through), plan.removed);
    }
    assert!(stream.len() <= forwards.len() as u64 / 2 + 1);
    for id in forwards {
        stream.delete(id);
    }
    assert!(stream.len() <= 1);
});
