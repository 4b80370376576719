//! The background jobs that the bench of holds starts. A case is written as in [`calls`](super::calls).

/// A job of the background.
pub(crate) struct Job {
    /// The holder of the shards, by its name in LATENCY HOLDS.
    pub(crate) holder: &'static str,
    /// The case that starts the job.
    pub(crate) case: &'static str,
    /// The job is done when the reply to this command
    pub(crate) ask: &'static str,
    /// has, or lacks, this text.
    pub(crate) done: Done,
}

/// How a reply shows that a job is done.
pub(crate) enum Done {
    /// The reply has this text.
    Has(&'static str),
    /// The reply lacks this text.
    Lacks(&'static str),
}

const fn job(holder: &'static str, case: &'static str, ask: &'static str, done: Done) -> Job {
    Job { holder, case, ask, done }
}

/// All background jobs. They run after all calls; jobs that take the data away are last.
pub(crate) const JOBS: &[Job] = &[
    job("tables", "? TABLE.DROP fresh ; TABLE.CREATE fresh PK pk", "PING", Done::Has("PONG")),
    job(
        "libraries",
        "FUNCTION LOAD REPLACE \"#!lua name=l\\nredis.register_function('one', function() return 1 end)\"",
        "PING",
        Done::Has("PONG"),
    ),
    job("walk", "KEYS nothing*", "PING", Done::Has("PONG")),
    job("checkpoint", "? SAVE", "PING", Done::Has("PONG")),
    job(
        "state",
        "CONFIG SET appendfsync always ; CONFIG SET appendfsync everysec",
        "PING",
        Done::Has("PONG"),
    ),
    job("populating", "SELECT 2 ; FLUSHDB ; DEBUG POPULATE 1000000 key 20", "PING", Done::Has("PONG")),
    job("copying", "COPY hash copy REPLACE", "INFO memory", Done::Has("mem_shared_by_copies:0")),
    job("copying", "COPY list copy REPLACE", "INFO memory", Done::Has("mem_shared_by_copies:0")),
    job("copying", "COPY scores copy REPLACE", "INFO memory", Done::Has("mem_shared_by_copies:0")),
    job("copying", "COPY set copy REPLACE", "INFO memory", Done::Has("mem_shared_by_copies:0")),
    job(
        "expiry",
        "DEBUG SET-ACTIVE-EXPIRE 0 ; SELECT 3 ; 1000000 x SET e^ v PX 1 ; DEBUG SET-ACTIVE-EXPIRE 1",
        "INFO keyspace",
        Done::Lacks("db3:"),
    ),
    job(
        "expiry",
        "DEBUG SET-ACTIVE-EXPIRE 0 ; SELECT 3 ; 1000 x HSETEX dying PX 5000 FIELDS 1000 <1000 :f^-% v> ; \
         DEBUG SET-ACTIVE-EXPIRE 1",
        "INFO keyspace",
        Done::Lacks("db3:"),
    ),
    job(
        "expiry",
        "DEBUG SET-ACTIVE-EXPIRE 0 ; ? TABLE.DROP dying ; TABLE.CREATE dying PK pk SK sk N TTL until STREAM BOTH INDEX by-v PK v ; \
         1000000 x ITEM.PUT dying p ^ SET 1 v x PX 1 ; DEBUG SET-ACTIVE-EXPIRE 1",
        "TABLE.DESCRIBE dying",
        Done::Has(" items 0 "),
    ),
    job("retiming", "TABLE.ALTER items NOTTL ; TABLE.ALTER items TTL until", "PING", Done::Has("PONG")),
    job(
        "indexing",
        "? TABLE.INDEX DROP items late ; TABLE.INDEX ADD items late PK v SK n N",
        "TABLE.DESCRIBE items",
        Done::Lacks("creating"),
    ),
    job(
        "lifting",
        "? TABLE.DROP people ; 1000000 x HSET person:^ name ann age 7 ; TABLE.CREATE people PK id KEYSPACE person:{id}",
        "TABLE.DESCRIBE people",
        Done::Has(" items 1000000 "),
    ),
    job(
        "trimming",
        "CONFIG SET table-stream-retention-ms 86400000 ; 1000000 x ITEM.UPDATE records p0 INCR 1 n 1 ; \
         CONFIG SET table-stream-retention-ms 1000",
        "XLEN records@stream",
        Done::Has(" 0 "),
    ),
    job(
        "eviction",
        "CONFIG SET maxmemory 0 ; SELECT 4 ; DEBUG POPULATE 1000000 key 20 ; CONFIG SET maxmemory-policy allkeys-random maxmemory 1",
        "INFO stats",
        Done::Lacks("evicted_keys:0\r"),
    ),
    job(
        "flushall",
        "CONFIG SET maxmemory 0 ; DEBUG POPULATE 1000000 key 20 ; FLUSHALL SYNC",
        "PING",
        Done::Has("PONG"),
    ),
    job(
        "flushall",
        "CONFIG SET maxmemory 0 ; DEBUG POPULATE 1000000 key 20 ; FLUSHALL ASYNC",
        "PING",
        Done::Has("PONG"),
    ),
];
