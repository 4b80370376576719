//! A small scanner of replies that can tell a right reply from a wrong one.
//!
//! It measures how many bytes the first reply in a buffer takes, and refuses a reply of another kind than the
//! request must get. So an error reply, a missing key or a desynchronised stream fails the run instead of
//! being counted as a fast answer.

/// The reply that a request must get.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Expect {
    /// The simple string `OK`.
    Ok,
    /// An integer.
    Integer,
    /// A bulk string that is not nil and not empty.
    Bulk,
    /// An array of this many elements, or a map of half as many pairs.
    Array(usize),
    /// An array of this many elements or fewer.
    AtMost(usize),
    /// A page of items: a map that begins with an array `items` of this many.
    Page(usize),
    /// The replies to MULTI, this many commands and EXEC, none of which may be an error.
    Transaction(usize),
}

/// The bytes that the first reply in `buffer` takes, or `None` if it is not complete yet.
///
/// # Errors
/// A text that shows the beginning of the reply, if it is not what `expect` says.
#[inline]
pub(crate) fn scan(buffer: &[u8], expect: Expect) -> Result<Option<usize>, String> {
    match expect {
        Expect::Ok if buffer.starts_with(b"+OK\r\n") => return Ok(Some(5)),
        Expect::Transaction(commands) => return scan_transaction(buffer, commands),
        Expect::Bulk => {
            if let Some((length, start)) = short_length(buffer) {
                let end = start + length + 2;
                return Ok((buffer.len() >= end).then_some(end));
            }
        }
        _ => {}
    }
    let Some(end) = skip(buffer, 0, 0)? else {
        // A wrong first byte is reported at once, because the rest of an error may not arrive.
        return if buffer.first().is_none_or(|&kind| fits_kind(kind, expect)) {
            Ok(None)
        } else {
            Err(describe(buffer, expect))
        };
    };
    if fits(&buffer[..end], expect) { Ok(Some(end)) } else { Err(describe(buffer, expect)) }
}

/// The bytes of all replies to a transaction.
fn scan_transaction(buffer: &[u8], commands: usize) -> Result<Option<usize>, String> {
    const QUEUED: &[u8] = b"+QUEUED\r\n";
    let refused = || Err(describe(buffer, Expect::Transaction(commands)));
    let start = b"+OK\r\n".len() + commands * QUEUED.len();
    for (at, byte) in buffer.iter().take(start).enumerate() {
        let right = if at < 5 { b"+OK\r\n"[at] } else { QUEUED[(at - 5) % QUEUED.len()] };
        if *byte != right {
            return refused();
        }
    }
    if buffer.len() <= start {
        return Ok(None);
    }
    let done = &buffer[start..];
    if !fits_kind(done[0], Expect::Array(commands)) {
        return refused();
    }
    let Some(end) = skip(done, 0, 0)? else { return Ok(None) };
    let errors = done[..end].windows(3).any(|three| three == b"\n-E" || three == b"\n-V");
    if errors || !fits(&done[..end], Expect::Array(commands)) { refused() } else { Ok(Some(start + end)) }
}

/// Length and start of the text of a bulk string with one to four digits of length, the everyday case.
#[inline]
fn short_length(buffer: &[u8]) -> Option<(usize, usize)> {
    let digits = buffer.strip_prefix(b"$")?;
    let mut length = 0;
    for (at, &byte) in digits.iter().take(5).enumerate() {
        match byte {
            b'0'..=b'9' => length = length * 10 + usize::from(byte - b'0'),
            b'\r' if length > 0 => return Some((length, at + 3)),
            _ => return None,
        }
    }
    None
}

fn fits_kind(kind: u8, expect: Expect) -> bool {
    match expect {
        Expect::Ok => kind == b'+',
        Expect::Integer => kind == b':',
        Expect::Bulk => kind == b'$',
        Expect::Array(_) | Expect::AtMost(_) | Expect::Page(_) => matches!(kind, b'*' | b'%'),
        // The reply to MULTI.
        Expect::Transaction(_) => kind == b'+',
    }
}

fn fits(reply: &[u8], expect: Expect) -> bool {
    let count = || line(reply, 1).and_then(|(text, _)| number(text));
    fits_kind(reply[0], expect)
        && match expect {
            Expect::Ok => reply == b"+OK\r\n",
            Expect::Integer => count().is_some(),
            Expect::Bulk => count().is_some_and(|length| length > 0),
            Expect::Array(elements) => {
                let each = if reply[0] == b'%' { 2 } else { 1 };
                count().is_some_and(|count| count * each == elements as i64)
            }
            Expect::AtMost(most) => count().is_some_and(|count| (0..=most as i64).contains(&count)),
            Expect::Page(items) => line(reply, 1)
                .and_then(|(_, at)| reply[at..].strip_prefix(b"$5\r\nitems\r\n*"))
                .and_then(|rest| line(rest, 0))
                .is_some_and(|(text, _)| number(text) == Some(items as i64)),
            Expect::Transaction(_) => false,
        }
}

/// The end of the reply that begins at `at`, with everything nested in it.
fn skip(buffer: &[u8], at: usize, depth: usize) -> Result<Option<usize>, String> {
    if depth > 16 {
        return Err("a reply is nested deeper than 16".into());
    }
    let Some(&kind) = buffer.get(at) else { return Ok(None) };
    let Some((text, mut end)) = line(buffer, at + 1) else { return Ok(None) };
    let elements = match kind {
        b'+' | b'-' | b':' | b',' | b'#' | b'_' | b'(' => return Ok(Some(end)),
        b'$' | b'=' | b'!' => {
            let length = number(text).ok_or("a bulk string without a length")?;
            let whole = if length < 0 { end } else { end + length as usize + 2 };
            return Ok((buffer.len() >= whole).then_some(whole));
        }
        b'*' | b'~' | b'>' => number(text).ok_or("an array without a length")?,
        b'%' => number(text).ok_or("a map without a length")? * 2,
        other => return Err(format!("a reply of unknown kind {:?}", char::from(other))),
    };
    for _ in 0..elements {
        match skip(buffer, end, depth + 1)? {
            Some(next) => end = next,
            None => return Ok(None),
        }
    }
    Ok(Some(end))
}

/// The text from `at` to the end of its line, and where the next line begins.
fn line(buffer: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = buffer.get(at..)?;
    let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&rest[..end], at + end + 2))
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

fn describe(buffer: &[u8], expect: Expect) -> String {
    let start = String::from_utf8_lossy(&buffer[..buffer.len().min(120)]);
    format!("expected {expect:?}, the server replied {start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_whole_replies_and_waits_for_the_rest() {
        let cases: [(&[u8], Expect); 10] = [
            (b"+OK\r\n", Expect::Ok),
            (b":-12\r\n", Expect::Integer),
            (b"$3\r\nabc\r\n", Expect::Bulk),
            (b"$12\r\nabc\r\nabcdefg\r\n", Expect::Bulk),
            (b"*2\r\n$1\r\na\r\n:1\r\n", Expect::Array(2)),
            (b"*1\r\n:1\r\n", Expect::AtMost(2)),
            (b"%1\r\n$1\r\na\r\n*2\r\n$-1\r\n_\r\n", Expect::Array(2)),
            (b"*3\r\n#t\r\n,1.5\r\n+x\r\n", Expect::Array(3)),
            (b"*2\r\n$5\r\nitems\r\n*2\r\n*0\r\n*0\r\n", Expect::Page(2)),
            (b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n:1\r\n", Expect::Transaction(2)),
        ];
        for (reply, expect) in cases {
            let mut more = reply.to_vec();
            more.extend_from_slice(b"+OK\r\n");
            assert_eq!(scan(&more, expect), Ok(Some(reply.len())), "{expect:?}");
            for end in 0..reply.len() {
                assert_eq!(scan(&reply[..end], expect), Ok(None), "{expect:?} cut at {end}");
            }
        }
    }

    #[test]
    fn refuses_other_replies() {
        let cases: [(&[u8], Expect); 15] = [
            (b"-ERR no\r\n", Expect::Ok),
            (b"-E", Expect::Bulk),
            (b"+QUEUED\r\n", Expect::Ok),
            (b"$-1\r\n", Expect::Bulk),
            (b"$0\r\n\r\n", Expect::Bulk),
            (b"+OK\r\n", Expect::Integer),
            (b"*2\r\n:1\r\n:2\r\n", Expect::Array(4)),
            (b"*-1\r\n", Expect::Array(2)),
            (b"*2\r\n:1\r\n:2\r\n", Expect::AtMost(1)),
            (b"*2\r\n$5\r\nitems\r\n*1\r\n*0\r\n", Expect::Page(2)),
            (b"-ERR no\r\n", Expect::Page(2)),
            (b"+OK\r\n-E", Expect::Transaction(2)),
            (b"+OK\r\n+QUEUED\r\n+QUEUED\r\n-TXC", Expect::Transaction(2)),
            (b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n+OK\r\n-ERR no\r\n", Expect::Transaction(2)),
            (b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*1\r\n+OK\r\n", Expect::Transaction(2)),
        ];
        for (reply, expect) in cases {
            assert!(scan(reply, expect).is_err(), "{expect:?}");
        }
    }
}
