//! Loads a data set over one connection, with deep pipelines, and checks every reply.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::process::Control;
use crate::random::Random;
use crate::reply;
use crate::workload::{Dataset, Sizes, Template};

/// Requests that are written before the replies to the ones before them are awaited.
const CHUNK: u64 = 512;

/// The data to load.
pub(crate) struct Fill {
    /// The server's port on the loopback interface.
    pub(crate) port: u16,
    /// How many keys there are.
    pub(crate) keys: u64,
    /// How many requests are sent.
    pub(crate) requests: u64,
    /// Whether keys are drawn at random; otherwise they are taken in turn.
    pub(crate) at_random: bool,
    /// The seed of keys and values.
    pub(crate) seed: u64,
}

/// Sends the setup commands and `requests` fill requests of `dataset`.
pub(crate) fn fill(dataset: &Dataset, sizes: Sizes, what: &Fill) -> Result<(), String> {
    let mut control = Control::connect(what.port)?;
    for command in dataset.setup {
        let answer = control.ask(command)?;
        if answer.starts_with('-') {
            return Err(format!("`{command}`: {answer}"));
        }
    }
    let template = Template::compile(dataset.fill, sizes)?;
    let mut stream = connect(what.port)?;
    let mut replies = Replies { buffer: vec![0; 1 << 16], start: 0, end: 0 };
    let mut random = Random::new(what.seed);
    let mut out = Vec::new();
    let (mut sent, mut waited) = (0, 0);
    while waited < what.requests {
        let count = CHUNK.min(what.requests - sent);
        out.clear();
        for number in sent..sent + count {
            template.render(&mut out, &mut random, |random| {
                if what.at_random { random.below(what.keys) } else { number % what.keys }
            });
        }
        stream.write_all(&out).map_err(|error| format!("write: {error}"))?;
        sent += count;
        // One chunk stays unanswered while the next is written, so that the server never waits for the client.
        let unanswered = if sent < what.requests { CHUNK } else { 0 };
        while sent - waited > unanswered {
            replies.next(&mut stream, dataset)?;
            waited += 1;
        }
    }
    Ok(())
}

fn connect(port: u16) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| format!("connect: {error}"))?;
    stream
        .set_nodelay(true)
        .and_then(|()| stream.set_read_timeout(Some(Duration::from_mins(1))))
        .and_then(|()| stream.set_write_timeout(Some(Duration::from_mins(1))))
        .map_err(|error| format!("socket options: {error}"))?;
    Ok(stream)
}

struct Replies {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Replies {
    fn next(&mut self, stream: &mut TcpStream, dataset: &Dataset) -> Result<(), String> {
        loop {
            if let Some(length) = reply::scan(&self.buffer[self.start..self.end], dataset.expect)? {
                self.start += length;
                return Ok(());
            }
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            match stream.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err("the server closed the connection".into()),
                Ok(count) => self.end += count,
                Err(error) => return Err(format!("read: {error}")),
            }
        }
    }
}
