//! A client's bytes, split anywhere: the fast decoder gives the same commands as the general one.
#![no_main]

use itemory::resp::oracle::decode_equals_oracle;
use libfuzzer_sys::fuzz_target;

// The first byte's low three bits are the number of cuts; then one byte for each cut is its position, in 256ths of the
// rest.
fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((cuts, data)) = rest.split_at_checked(usize::from(count & 7)) else { return };
    let cuts: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) * data.len() / 256).collect();
    decode_equals_oracle(data, &cuts);
});
