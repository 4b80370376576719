//! A record of effects: any bytes are decoded or refused, and decoded effects survive a round trip.
#![no_main]

use itemory::effect::{EffectDecoder, VERSION};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut record = vec![VERSION];
    record.extend_from_slice(data);
    let Ok(decoder) = EffectDecoder::new(&record) else { return };
    let effects: Vec<_> = decoder.map_while(Result::ok).collect();
    let mut again = vec![VERSION];
    effects.iter().for_each(|effect| effect.encode(&mut again));
    let decoded: Result<Vec<_>, _> = EffectDecoder::new(&again).expect("the version is known").collect();
    assert_eq!(decoded.expect("own bytes are read"), effects);
});
