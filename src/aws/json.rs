//! Writing JSON replies member by member, straight into their bytes.

use crate::item::{ItemRef, write_typed_json};

/// An object that is being written.
pub(super) struct ObjectWriter<'o> {
    out: &'o mut Vec<u8>,
    empty: bool,
}

/// Appends a JSON string.
pub(super) fn write_text(out: &mut Vec<u8>, text: &str) {
    // Writing a string into memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, text);
}

impl<'o> ObjectWriter<'o> {
    pub(super) fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, empty: true }
    }

    /// Begins a member; the caller writes its value.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.empty {
            self.out.push(b',');
        }
        self.empty = false;
        write_text(self.out, name);
        self.out.push(b':');
        self.out
    }

    pub(super) fn text(&mut self, name: &str, value: &str) {
        write_text(self.key(name), value);
    }

    pub(super) fn int(&mut self, name: &str, value: u64) {
        let mut text = itoa::Buffer::new();
        let text = text.format(value);
        self.key(name).extend_from_slice(text.as_bytes());
    }

    pub(super) fn bool(&mut self, name: &str, value: bool) {
        self.key(name).extend_from_slice(if value { b"true" } else { b"false" });
    }

    /// A number with at least one digit behind the point, as AWS writes capacity units and times.
    pub(super) fn double(&mut self, name: &str, value: f64) {
        self.key(name).extend_from_slice(format!("{value:?}").as_bytes());
    }

    pub(super) fn item(&mut self, name: &str, item: ItemRef<'_>) {
        write_typed_json(&item, self.key(name));
    }

    /// A member that is an object.
    pub(super) fn object(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let mut inner = ObjectWriter::begin(self.key(name));
        fill(&mut inner);
        inner.end();
    }

    /// A member that is an array, each of whose values is written by a function.
    pub(super) fn array<T>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>),
    ) {
        let out = self.key(name);
        out.push(b'[');
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            write(value, out);
        }
        out.push(b']');
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}
