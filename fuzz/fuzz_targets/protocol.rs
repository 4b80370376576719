//! What a client sends, cut anywhere: the fast lane gives what the general decoder gives, whatever the cuts.
#![no_main]

use itemory::resp::oracle::decode_equals_oracle;
use libfuzzer_sys::fuzz_target;

// The first byte's low three bits count the cuts; a byte for each says where, in 256ths of the rest.
fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else { return };
    let Some((cuts, data)) = rest.split_at_checked(usize::from(count & 7)) else { return };
    let cuts: Vec<usize> = cuts.iter().map(|&cut| usize::from(cut) * data.len() / 256).collect();
    decode_equals_oracle(data, &cuts);
});
