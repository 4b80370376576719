//! One field of a hash of any form.

/// A field as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldRef<'a> {
    /// The field's name.
    pub name: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// Its deadline in ms since the epoch, 0 for none.
    pub expire: u64,
}
