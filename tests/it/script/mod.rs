//! Behaviour scripts: plain text that is run on two servers at once, whose replies are compared to the byte.
//!
//! A script is a list of cases. Before each case both servers are flushed, and all connections are new. Each case runs
//! once in RESP2 and once in RESP3 (then `HELLO 3` is sent first on every connection).
//!
//! ```text
//! !flags --requirepass secret     the servers' flags, for the file (before its first case) or for one case
//! !nohello                        do not send HELLO 3; the case itself does what it needs
//! !norefs                         there is no referee: every command's reply must be written out
//! === name of the case
//! SET k "a\r\n\x00"               arguments as redis-cli takes them
//! [b] GET k                       on the connection called b
//! @3 HELLO 3                      only in the RESP3 run (@2: only in the RESP2 run)
//! ~ KEYS *                        compare without regard to the order inside lists, sets and maps
//! ? TIME                          compare types and lengths only
//! ?err FOO                        an error on both sides with the same first word
//! %50 PTTL k                      integers may differ by 50
//! ?keys CLIENT LIST               compare the names in `name=value` or `name:value` text
//! .. CONFIG SET maxmemory 0       do not compare
//! !diff:word CMD                  the replies differ, and docs/compatibility.md says why under that word
//!                                 (TTL and HTTL may tell a little less than written, as time passes)
//! = +OK                           the reply to the command before, on both servers (with !diff: on ours)
//!                                 (:..9 stands for any integer from 0 to 9)
//! >> BLPOP q 0                    send only
//! <                               read one reply (also what was pushed)
//! raw "PING\r\n"                  send these bytes
//! $x= DUMP k                      keep the reply; ${x} gives it back in a later argument,
//!                                 ${ref:x} gives the referee's to both servers
//! SET k ${rep:ab:100}             "ab" a hundred times
//! !for 1 600 HSET h f${i} ${i}    a loop, pipelined
//! !each C GET | STRLEN            the next line (or the lines between !begin and !end) once for each
//! {C} k
//! !sleep 30                       milliseconds
//! !until DBSIZE                   call until the reply is the one in the next line, by which alone it is compared
//! !close b                        close a connection
//! ```

mod compare;
mod expect;
mod parse;
mod run;

pub(crate) use compare::{TIME_LEFT, slack};
pub(crate) use parse::arguments;
pub(crate) use run::{Pair, run_file};
