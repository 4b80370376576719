#![allow(clippy::indexing_slicing)]
use super::bytes::HEADER;
use super::hash::REGISTERS;
use super::*;
use proptest::prelude::*;

fn count(hll: &Hll) -> u64 {
    HllRef::of(hll.bytes()).unwrap().count().unwrap()
}

#[test]
fn the_self_test_passes() {
    assert_eq!(self_test(), Ok(()));
}

#[test]
fn an_empty_one_has_redis_s_bytes() {
    let empty = Hll::empty(3000);
    assert_eq!(empty.bytes(), b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    assert_eq!(count(&empty), 0);
}

#[test]
fn what_is_no_hyperloglog_is_none() {
    let dense = {
        let mut hll = Hll::empty(0);
        hll.make_dense().unwrap();
        hll.bytes().to_vec()
    };
    assert!(HllRef::of(&dense).is_some() && HllRef::of(&dense[..dense.len() - 1]).is_none());
    let (other_form, other_magic) =
        (b"HYLL\x02\0\0\0\0\0\0\0\0\0\0\0", b"HYLX\x01\0\0\0\0\0\0\0\0\0\0\0\x7f\xff");
    for bytes in [&b""[..], b"HYLL", other_form, other_magic] {
        assert!(HllRef::of(bytes).is_none(), "{bytes:?}");
    }
}

proptest! {
    #[test]
    fn forms_have_the_same_registers(
        elements in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..400), most in 0..4000usize,
    ) {
        let (mut one, mut dense, mut registers) = (Hll::empty(most), Hll::empty(most), Registers::default());
        dense.make_dense().unwrap();
        let mut written = dense.bytes().to_vec();
        for element in &elements {
            let found = HllRef::of(&written).unwrap();
            let (change, stale) = (found.dense_change(element), stale_change(found));
            prop_assert_eq!(stale.is_some(), found.cached().is_some());
            if let (Some((at, pair)), stale) = (change, stale) {
                written[at..at + 2].copy_from_slice(&pair);
                stale.into_iter().for_each(|(at, [byte])| written[at] = byte);
            }
            prop_assert_eq!(one.add(element), dense.add(element));
            prop_assert_eq!(&written, dense.bytes());
            prop_assert_eq!(one.add(element), Ok(false));
            registers.add(element);
        }
        let mut merged = Registers::default();
        merged.merge(HllRef::of(one.bytes()).unwrap()).unwrap();
        prop_assert_eq!(merged.all(), registers.all());
        prop_assert_eq!(count(&one), count(&dense));
        prop_assert_eq!(registers.count(), count(&one));
        one.make_dense().unwrap();
        prop_assert_eq!(one.bytes(), dense.bytes());
    }

    #[test]
    fn raised_registers_are_the_greatest(steps in prop::collection::vec((0..200usize, 1..40u8), 1..200)) {
        let (mut hll, mut model) = (Hll::empty(3000), vec![0u8; REGISTERS]);
        for (index, value) in steps {
            let index = index * 81;
            prop_assert_eq!(hll.raise(index, value), Ok(model[index] < value));
            model[index] = value.max(model[index]);
            let mut registers = Registers::default();
            registers.merge(HllRef::of(hll.bytes()).unwrap()).unwrap();
            prop_assert_eq!(registers.all(), model.as_slice());
        }
    }

    /// Any bytes after a header are counted, changed and described, or refused.
    #[test]
    fn corrupt_bytes_are_refused(
        body in prop::collection::vec(any::<u8>(), 0..300), header in any::<[u8; 11]>(), cut in any::<bool>(),
        valid in any::<bool>(), at in any::<prop::sample::Index>(), index in 0..REGISTERS, value in 1..60u8,
    ) {
        let mut bytes = b"HYLL\x01".to_vec();
        bytes.extend_from_slice(&header);
        if valid {
            let mut hll = Hll::empty(3000);
            body.chunks(2).for_each(|element| assert!(hll.add(element).is_ok()));
            bytes.extend_from_slice(&hll.bytes()[HEADER..]);
            let at = HEADER + at.index(bytes.len() - HEADER);
            if cut { bytes.truncate(at) } else { bytes[at] = value }
        } else {
            bytes.extend_from_slice(&body);
        }
        let found = HllRef::of(&bytes).unwrap();
        let sound = found.count().is_ok();
        prop_assert_eq!(Registers::default().merge(found).is_ok(), sound);
        let _ = found.describe();
        let mut hll = Hll::of(found, 3000);
        let raised = hll.raise(index, value);
        prop_assert!(!sound || raised.is_ok());
        prop_assert_eq!(Hll::of(found, 3000).make_dense().is_ok(), sound);
    }
}
