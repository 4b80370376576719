//! A blocking client that sends exactly the given bytes and returns exactly the bytes that it receives.

use super::Value;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the client waits for a reply. After that the reply is [`Value::Timeout`].
const REPLY_TIMEOUT: Duration = Duration::from_mins(1);

pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
}

/// Why a parser stopped before a reply was complete.
enum Short {
    /// More bytes may complete the reply.
    More,
    /// The bytes at hand are no reply.
    Bad,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Client> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
        stream.set_write_timeout(Some(REPLY_TIMEOUT))?;
        Ok(Client { stream, buffer: Vec::new(), start: 0 })
    }

    /// A command in RESP: an array of bulk strings.
    pub(crate) fn encode<A: AsRef<[u8]>>(args: &[A]) -> Vec<u8> {
        let mut out = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            let arg = arg.as_ref();
            out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            out.extend_from_slice(arg);
            out.extend_from_slice(b"\r\n");
        }
        out
    }

    pub(crate) fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    pub(crate) fn send<A: AsRef<[u8]>>(&mut self, args: &[A]) -> io::Result<()> {
        self.send_raw(&Self::encode(args))
    }

    /// Sends a command and reads one reply.
    pub(crate) fn call<A: AsRef<[u8]>>(&mut self, args: &[A]) -> Value {
        if self.send(args).is_err() {
            return self.read();
        }
        self.read()
    }

    /// The same for a command written with spaces between its arguments.
    pub(crate) fn run(&mut self, command: &str) -> Value {
        let args: Vec<&str> = command.split_whitespace().collect();
        self.call(&args)
    }

    /// Reads one reply of any type. The end of the stream is [`Value::Eof`], and silence is [`Value::Timeout`].
    pub(crate) fn read(&mut self) -> Value {
        loop {
            let mut at = self.start;
            match parse(&self.buffer, &mut at) {
                Ok(value) => {
                    self.start = at;
                    if self.start == self.buffer.len() {
                        self.buffer.clear();
                        self.start = 0;
                    }
                    return value;
                }
                Err(Short::Bad) => {
                    let rest = self.buffer.split_off(self.start);
                    self.buffer.clear();
                    self.start = 0;
                    return Value::Garbage(rest);
                }
                Err(Short::More) => {}
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Value::Eof,
                Ok(n) => self.buffer.extend_from_slice(&chunk[..n]),
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Value::Timeout;
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(_) => return Value::Eof,
            }
        }
    }
}

impl Client {
    /// Reads until the server closes the connection. Returns whether it does so.
    pub(crate) fn is_closed(&mut self) -> bool {
        loop {
            match self.read() {
                Value::Eof => return true,
                Value::Timeout => return false,
                _ => {}
            }
        }
    }
}

impl Value {
    /// The only reply in these bytes.
    pub(crate) fn parse(bytes: &[u8]) -> Value {
        let mut at = 0;
        match parse(bytes, &mut at) {
            Ok(value) if at == bytes.len() => value,
            _ => Value::Garbage(bytes.to_vec()),
        }
    }
}

fn line<'a>(buffer: &'a [u8], at: &mut usize) -> Result<&'a [u8], Short> {
    let rest = &buffer[*at..];
    let end = rest.windows(2).position(|w| w == b"\r\n").ok_or(Short::More)?;
    *at += end + 2;
    Ok(&rest[..end])
}

fn number(text: &[u8]) -> Result<i64, Short> {
    std::str::from_utf8(text).ok().and_then(|t| t.parse().ok()).ok_or(Short::Bad)
}

fn blob(buffer: &[u8], at: &mut usize, length: usize) -> Result<Vec<u8>, Short> {
    if buffer.len() < *at + length + 2 {
        return Err(Short::More);
    }
    let bytes = buffer[*at..*at + length].to_vec();
    if &buffer[*at + length..*at + length + 2] != b"\r\n" {
        return Err(Short::Bad);
    }
    *at += length + 2;
    Ok(bytes)
}

fn list(buffer: &[u8], at: &mut usize, length: usize) -> Result<Vec<Value>, Short> {
    (0..length).map(|_| parse(buffer, at)).collect()
}

fn pairs(buffer: &[u8], at: &mut usize, length: usize) -> Result<Vec<(Value, Value)>, Short> {
    (0..length).map(|_| Ok((parse(buffer, at)?, parse(buffer, at)?))).collect()
}

fn parse(buffer: &[u8], at: &mut usize) -> Result<Value, Short> {
    let kind = *buffer.get(*at).ok_or(Short::More)?;
    *at += 1;
    let head = line(buffer, at)?;
    let length = || number(head).and_then(|n| usize::try_from(n).map_err(|_| Short::Bad));
    Ok(match kind {
        b'+' => Value::Simple(head.to_vec()),
        b'-' => Value::Error(head.to_vec()),
        b':' => Value::Int(number(head)?),
        b'$' if head == b"-1" => Value::NullBulk,
        b'*' if head == b"-1" => Value::NullArray,
        b'$' => Value::Bulk(blob(buffer, at, length()?)?),
        b'=' => Value::Verbatim(blob(buffer, at, length()?)?),
        b'!' => Value::Error(blob(buffer, at, length()?)?),
        b'*' => Value::Array(list(buffer, at, length()?)?),
        b'~' => Value::Set(list(buffer, at, length()?)?),
        b'>' => Value::Push(list(buffer, at, length()?)?),
        b'%' => Value::Map(pairs(buffer, at, length()?)?),
        b'|' => Value::Attribute(pairs(buffer, at, length()?)?),
        b'_' => Value::Null,
        b'#' if head == b"t" => Value::Bool(true),
        b'#' if head == b"f" => Value::Bool(false),
        b',' => Value::Double(String::from_utf8_lossy(head).into_owned()),
        b'(' => Value::Big(head.to_vec()),
        _ => return Err(Short::Bad),
    })
}
