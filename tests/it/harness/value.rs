//! A reply as it was received: every RESP2 and RESP3 type is a different value.

use std::fmt;

/// One reply. Two replies are equal if their wire types and bytes are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Int(i64),
    Bulk(Vec<u8>),
    /// `$-1` of RESP2.
    NullBulk,
    /// `*-1` of RESP2.
    NullArray,
    /// `_` of RESP3.
    Null,
    Bool(bool),
    /// The text of a double, as it was sent.
    Double(String),
    Big(Vec<u8>),
    /// A verbatim string, with its three-letter format and colon.
    Verbatim(Vec<u8>),
    Array(Vec<Value>),
    Set(Vec<Value>),
    Push(Vec<Value>),
    Map(Vec<(Value, Value)>),
    Attribute(Vec<(Value, Value)>),
    /// The server closed the connection.
    Eof,
    /// Nothing arrived within the client's time limit.
    Timeout,
    /// Bytes that are no reply.
    Garbage(Vec<u8>),
}

impl Value {
    /// The bytes of a string-like reply, or the digits of an integer.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        match self {
            Self::Simple(b) | Self::Error(b) | Self::Bulk(b) | Self::Big(b) => Some(b.clone()),
            Self::Verbatim(b) => Some(b.get(4..).unwrap_or_default().to_vec()),
            Self::Int(i) => Some(i.to_string().into_bytes()),
            Self::Double(d) => Some(d.clone().into_bytes()),
            _ => None,
        }
    }

    /// The same as text, lossy; empty for a reply without bytes.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes().unwrap_or_default()).into_owned()
    }

    /// The integer, if the reply is one or a string that spells one.
    pub(crate) fn int(&self) -> Option<i64> {
        match self {
            Self::Int(i) => Some(*i),
            Self::Bulk(b) => std::str::from_utf8(b).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The elements of any list-like reply; the keys and values in turn of a map.
    pub(crate) fn items(&self) -> Vec<Value> {
        match self {
            Self::Array(v) | Self::Set(v) | Self::Push(v) => v.clone(),
            Self::Map(v) | Self::Attribute(v) => v.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect(),
            _ => Vec::new(),
        }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null | Self::NullBulk | Self::NullArray)
    }

    pub(crate) fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    pub(crate) fn is_ok(&self) -> bool {
        *self == Self::Simple(b"OK".to_vec())
    }

    /// The same reply, with the elements of every list, set and map sorted.
    pub(crate) fn sorted(&self) -> Value {
        let sort = |v: &[Value]| {
            let mut v: Vec<Value> = v.iter().map(Value::sorted).collect();
            v.sort();
            v
        };
        match self {
            Self::Array(v) => Self::Array(sort(v)),
            Self::Set(v) => Self::Set(sort(v)),
            Self::Push(v) => Self::Push(sort(v)),
            Self::Map(v) => {
                let mut v: Vec<_> = v.iter().map(|(k, v)| (k.sorted(), v.sorted())).collect();
                v.sort();
                Self::Map(v)
            }
            other => other.clone(),
        }
    }

    /// The shape of the reply: types and lengths, without the contents.
    pub(crate) fn shape(&self) -> String {
        let list = |v: &[Value]| v.iter().map(Value::shape).collect::<Vec<_>>().join(" ");
        match self {
            Self::Simple(_) => "simple".into(),
            Self::Error(e) => {
                format!("error {}", String::from_utf8_lossy(e).split(' ').next().unwrap_or_default())
            }
            Self::Int(_) => "int".into(),
            Self::Bulk(_) => "bulk".into(),
            Self::Bool(_) => "bool".into(),
            Self::Double(_) => "double".into(),
            Self::Big(_) => "big".into(),
            Self::Verbatim(v) => {
                format!("verbatim {}", String::from_utf8_lossy(v.get(..3).unwrap_or_default()))
            }
            Self::Array(v) => format!("[{}]", list(v)),
            Self::Set(v) => format!("set[{}]", list(v)),
            Self::Push(v) => format!("push[{}]", list(v)),
            Self::Map(v) | Self::Attribute(v) => {
                let pairs: Vec<_> = v.iter().map(|(k, v)| format!("{} {}", k.shape(), v.shape())).collect();
                format!("map[{}]", pairs.join(" "))
            }
            other => other.to_string(),
        }
    }
}

fn quoted(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    write!(f, "\"")?;
    let cut = bytes.len().min(400);
    for b in &bytes[..cut] {
        match b {
            b'"' => write!(f, "\\\"")?,
            b'\\' => write!(f, "\\\\")?,
            b'\n' => write!(f, "\\n")?,
            b'\r' => write!(f, "\\r")?,
            0x20..=0x7e => write!(f, "{}", *b as char)?,
            other => write!(f, "\\x{other:02x}")?,
        }
    }
    if cut < bytes.len() {
        write!(f, "... {} bytes", bytes.len())?;
    }
    write!(f, "\"")
}

/// Writes a reply in the notation in which scripts give expected replies.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, open: &str, v: &[Value]| {
            write!(f, "{open}[")?;
            for (i, v) in v.iter().enumerate() {
                write!(f, "{}{v}", if i == 0 { "" } else { " " })?;
            }
            write!(f, "]")
        };
        match self {
            Self::Simple(b) => write!(f, "+{}", String::from_utf8_lossy(b)),
            Self::Error(b) => write!(f, "-{}", String::from_utf8_lossy(b)),
            Self::Int(i) => write!(f, ":{i}"),
            Self::Bulk(b) => quoted(f, b),
            Self::NullBulk => write!(f, "nil($-1)"),
            Self::NullArray => write!(f, "nil(*-1)"),
            Self::Null => write!(f, "nil(_)"),
            Self::Bool(b) => write!(f, "#{}", if *b { 't' } else { 'f' }),
            Self::Double(d) => write!(f, ",{d}"),
            Self::Big(b) => write!(f, "({}", String::from_utf8_lossy(b)),
            Self::Verbatim(b) => {
                write!(f, "=")?;
                quoted(f, b)
            }
            Self::Array(v) => list(f, "", v),
            Self::Set(v) => list(f, "~", v),
            Self::Push(v) => list(f, ">", v),
            Self::Map(v) | Self::Attribute(v) => {
                write!(f, "{}", if matches!(self, Self::Map(_)) { "{" } else { "|{" })?;
                for (i, (k, v)) in v.iter().enumerate() {
                    write!(f, "{}{k} {v}", if i == 0 { "" } else { " " })?;
                }
                write!(f, "}}")
            }
            Self::Eof => write!(f, "<closed>"),
            Self::Timeout => write!(f, "<no reply>"),
            Self::Garbage(b) => {
                write!(f, "<garbage>")?;
                quoted(f, b)
            }
        }
    }
}
