//! The channels on which the server itself tells what happens to keys.

/// A kind of such channels: of keys, of events, or of the fields of hashes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum OwnChannel {
    /// `__keyspace@0__:key`
    Keyspace,
    /// `__keyevent@0__:event`
    Keyevent,
    /// `__subkeyspace@0__:key`
    Subkeyspace,
    /// `__subkeyevent@0__:event`
    Subkeyevent,
    /// `__subkeyspaceitem@0__:key`, a line break and the field
    Subkeyspaceitem,
    /// `__subkeyspaceevent@0__:event|key`
    Subkeyspaceevent,
}

impl OwnChannel {
    pub(super) const ALL: [Self; 6] = [
        Self::Keyspace,
        Self::Keyevent,
        Self::Subkeyspace,
        Self::Subkeyevent,
        Self::Subkeyspaceitem,
        Self::Subkeyspaceevent,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Keyspace => "keyspace",
            Self::Keyevent => "keyevent",
            Self::Subkeyspace => "subkeyspace",
            Self::Subkeyevent => "subkeyevent",
            Self::Subkeyspaceitem => "subkeyspaceitem",
            Self::Subkeyspaceevent => "subkeyspaceevent",
        }
    }

    /// What the names of the channels of this kind begin with in a database.
    pub(super) fn beginning(self, db: u32) -> Vec<u8> {
        format!("__{}@{db}__:", self.name()).into_bytes()
    }

    /// The kind that a channel is of by its name, whatever the database is.
    pub(super) fn of(channel: &[u8]) -> Option<Self> {
        let behind = channel.strip_prefix(b"__")?;
        let end = memchr::memchr(b'@', behind)?;
        let name = behind.get(..end)?;
        Self::ALL.into_iter().find(|kind| kind.name().as_bytes() == name)
    }

    /// Whether a message there names all fields of an event.
    pub(super) fn lists_fields(self) -> bool {
        matches!(self, Self::Subkeyspace | Self::Subkeyevent | Self::Subkeyspaceevent)
    }

    /// Whether what is told there is about the fields of a hash.
    pub(super) fn is_of_fields(self) -> bool {
        !matches!(self, Self::Keyspace | Self::Keyevent)
    }
}

#[cfg(test)]
mod tests {
    use super::OwnChannel;

    #[test]
    fn a_channel_is_of_the_kind_that_its_name_begins_with() {
        for kind in OwnChannel::ALL {
            let name = [kind.beginning(7), b"a@b".to_vec()].concat();
            assert_eq!(OwnChannel::of(&name), Some(kind));
        }
        for other in ["__keyspace", "keyspace@0__:a", "__key@0__:a", "__", "", "__@"] {
            assert_eq!(OwnChannel::of(other.as_bytes()), None, "{other}");
        }
    }
}
