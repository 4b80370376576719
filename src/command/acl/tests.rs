//! Users' rules in every form in which commands come.

use crate::command::testing::Harness;
use crate::config::{ProtectedAction, Settings};
use proptest::prelude::*;

/// A server with a table, a table whose items have views, and a second client that is the user `u`.
fn server() -> Harness {
    let settings = Settings { enable_debug_command: ProtectedAction::Yes, ..Settings::default() };
    let mut t = Harness::with(settings);
    t.connect();
    for line in ["TABLE.CREATE items PK id S", "TABLE.CREATE seen PK id S KEYSPACE v:{id}"] {
        assert_eq!(t.run(line), "+OK");
    }
    t
}

/// Gives the user `u` these rules alone.
fn allow(t: &mut Harness, rules: &str) {
    assert_eq!(t.run(&format!("ACL SETUSER u reset on nopass {rules}")), "+OK", "{rules}");
}

fn log_in(t: &mut Harness) {
    assert_eq!(t.run_as(1, "AUTH u x"), "+OK");
}

/// All that is stored, as an operator sees it.
fn contents(t: &mut Harness) -> String {
    ["DEBUG DIGEST", "ITEM.SCAN items", "ITEM.SCAN seen", "DBSIZE"].map(|line| t.run(line)).join(" ")
}

fn fill(t: &mut Harness) {
    for line in [
        "FLUSHALL",
        "SET a:str 1",
        "SET b:str 2",
        "RPUSH a:list x y",
        "RPUSH b:list x y",
        "SADD a:set x y",
        "ZADD a:zset 1 x",
        "HSET a:hash f 1",
        "GEOADD a:geo 1 1 x",
        "XADD a:stream 1-1 f v",
        "PFADD a:hll x",
        "ITEM.PUT items a:1 SET 1 n v",
        "HSET v:1 n 1",
    ] {
        t.run(line);
    }
}

/// Commands, and what their user needs: `r` reads, `w` changes, `m` looks at metadata, each with a key; `*` stands for
/// all keys, `&` for a channel.
const CASES: &[(&str, &str)] = &[
    ("GET a:str", "r a:str"),
    ("SET a:str v", "w a:str"),
    ("SET a:str GET", "w a:str"),
    ("SET a:str v GET", "rw a:str"),
    ("GETDEL a:str", "rw a:str"),
    ("GETEX a:str EX 10", "rw a:str"),
    ("INCR b:str", "rw b:str"),
    ("APPEND b:str x", "w b:str"),
    ("STRLEN a:str", "m a:str"),
    ("MGET a:str b:str", "r a:str,r b:str"),
    ("MSET a:str 1 b:str 2", "w a:str,w b:str"),
    ("BITOP NOT b:new a:str", "w b:new,r a:str"),
    ("BITFIELD a:str GET u8 0", "r a:str"),
    ("BITFIELD a:str SET u8 0 1", "rw a:str"),
    ("HSET a:hash g 2", "w a:hash"),
    ("HGETALL a:hash", "r a:hash"),
    ("HLEN a:hash", "m a:hash"),
    ("HINCRBY a:hash f 1", "rw a:hash"),
    ("LMOVE a:list b:list LEFT RIGHT", "rw a:list,w b:list"),
    ("LPOP a:list", "rw a:list"),
    ("LLEN b:list", "m b:list"),
    ("LMPOP 2 a:list b:list LEFT", "rw a:list,rw b:list"),
    ("BLPOP a:list b:list 0", "rw a:list,rw b:list"),
    ("SMOVE a:set b:set x", "rw a:set,w b:set"),
    ("SINTERSTORE b:new a:set", "w b:new,r a:set"),
    ("SISMEMBER a:set x", "m a:set"),
    ("SMEMBERS a:set", "r a:set"),
    ("ZRANGESTORE b:new a:zset 0 -1", "w b:new,r a:zset"),
    ("ZUNION 1 a:zset", "r a:zset"),
    ("ZINCRBY a:zset 1 x", "rw a:zset"),
    ("GEORADIUS a:geo 1 1 10 km STORE b:new", "r a:geo,w b:new"),
    ("GEOSEARCHSTORE b:new a:geo FROMLONLAT 1 1 BYRADIUS 10 km", "w b:new,r a:geo"),
    ("XADD a:stream * f v", "w a:stream"),
    ("XREAD STREAMS a:stream 0", "r a:stream"),
    ("XLEN a:stream", "m a:stream"),
    ("PFADD a:hll y", "w a:hll"),
    ("PFCOUNT a:hll", "r a:hll"),
    ("DEL a:str b:str", "w a:str,w b:str"),
    ("EXISTS a:str", "m a:str"),
    ("TYPE b:str", "m b:str"),
    ("PTTL b:str", "r b:str"),
    ("EXPIRE a:str 10", "w a:str"),
    ("RENAME a:str b:new", "rw a:str,w b:new"),
    ("COPY a:str b:new", "r a:str,w b:new"),
    ("DUMP a:str", "r a:str"),
    ("SORT a:set ALPHA", "r a:set"),
    ("SORT a:set ALPHA STORE b:new", "r a:set,w b:new"),
    ("OBJECT ENCODING a:str", "m a:str"),
    ("PUBLISH news x", "& news"),
    ("ITEM.PUT items a:1 SET 1 n w", "w items,w a:1"),
    ("ITEM.PUT items a:1 SET 1 n w RETURN OLD", "rw items,rw a:1"),
    ("ITEM.PUT items b:1 SET 1 n w IF 'attribute_exists(n)'", "rw items,rw b:1"),
    ("ITEM.GET items a:1", "r items,r a:1"),
    ("ITEM.UPDATE items a:1 SET 1 n x", "rw items,rw a:1"),
    ("ITEM.DEL items a:1", "rw items,rw a:1"),
    ("ITEM.MGET items 2 a:1 b:1", "r items,r a:1,r b:1"),
    ("ITEM.QUERY items a:1", "r items,r a:1"),
    ("ITEM.SCAN items", "r items,r *"),
    ("ITEM.GET seen 1", "r seen,r 1,r *"),
    ("TABLE.DESCRIBE items", "r items"),
    (r#"DDB GetItem '{"TableName":"items","Key":{"id":{"S":"a:1"}}}'"#, "r *"),
    (r#"DDB DeleteItem '{"TableName":"items","Key":{"id":{"S":"a:1"}}}'"#, "rw *"),
    ("HGET v:1 n", "r v:1,r seen"),
    ("HSET v:1 n 2", "w v:1,w seen"),
    ("DEL v:1", "w v:1,w seen"),
    ("TYPE v:1", "m v:1,m seen"),
];

/// One selector of random rules.
#[derive(Debug, Clone)]
struct Allowed {
    /// Beginnings of keys, whether they may be read and changed.
    keys: Vec<(&'static str, bool, bool)>,
    channels: bool,
    /// Whether the command itself is taken away.
    without_command: bool,
}

impl Allowed {
    fn rules(&self, command: &str) -> String {
        let keys = self.keys.iter().map(|(start, reads, writes)| match (reads, writes) {
            (true, true) => format!("%RW~{start}*"),
            (true, false) => format!("%R~{start}*"),
            _ => format!("%W~{start}*"),
        });
        let channels = if self.channels { " &ne?s" } else { "" };
        let taken = if self.without_command { format!(" -{command}") } else { String::new() };
        format!("{}{channels} +@all{taken}", keys.collect::<Vec<_>>().join(" "))
    }

    /// Whether all needs are met, by other means than those of the server.
    fn meets(&self, needs: &str) -> bool {
        !self.without_command
            && needs.split(',').all(|need| {
                let (what, name) = need.split_once(' ').unwrap();
                if what == "&" {
                    return self.channels;
                }
                self.keys.iter().any(|(start, ..)| {
                    // One pattern that is given twice allows what both say.
                    let mut same = self.keys.iter().filter(|(other, ..)| other == start);
                    let reads = same.clone().any(|(_, reads, _)| *reads);
                    let writes = same.any(|(.., writes)| *writes);
                    let matches = if name == "*" { start.is_empty() } else { name.starts_with(start) };
                    matches && (reads || !what.contains('r')) && (writes || !what.contains('w'))
                })
            })
    }
}

fn selector() -> impl Strategy<Value = Allowed> {
    let start = prop::sample::select(vec!["a:", "b:", "items", "seen", "v:", "a:s", "1", ""]);
    let key = (start, prop::sample::select(vec![(true, true), (true, false), (false, true)]));
    let keys = prop::collection::vec(key.prop_map(|(start, (reads, writes))| (start, reads, writes)), 0..5);
    (keys, any::<bool>(), prop::bool::weighted(0.1)).prop_map(|(keys, channels, without_command)| Allowed {
        keys,
        channels,
        without_command,
    })
}

/// How a command comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Plain,
    Queued,
    /// The rules change between MULTI and EXEC.
    ChangedBeforeExec,
    Script,
    ScriptInExec,
    Function,
}

const FORMS: [Form; 6] =
    [Form::Plain, Form::Queued, Form::ChangedBeforeExec, Form::Script, Form::ScriptInExec, Form::Function];

fn in_script(line: &str) -> String {
    let words = crate::text::split_words(line.as_bytes()).unwrap();
    let quoted: Vec<String> = words.iter().map(|word| crate::text::repr(word)).collect();
    format!("EVAL 'return redis.call(unpack(ARGV))' 0 {}", quoted.join(" "))
}

/// Runs a command in a form as the user `u`, to whom `rules` are given.
fn run(t: &mut Harness, form: Form, line: &str, rules: &str) -> String {
    if form != Form::ChangedBeforeExec {
        allow(t, rules);
    }
    match form {
        Form::Plain => t.run_as(1, line),
        Form::Script => t.run_as(1, &in_script(line)),
        Form::Function => {
            t.run_as(1, &in_script(line).replacen("EVAL 'return redis.call(unpack(ARGV))'", "FCALL call", 1))
        }
        Form::Queued | Form::ScriptInExec => {
            t.run_as(1, "MULTI");
            let queued = if form == Form::Queued { line.to_owned() } else { in_script(line) };
            let queued = t.run_as(1, &queued);
            let ran = t.run_as(1, "EXEC");
            format!("{queued} {ran}")
        }
        Form::ChangedBeforeExec => {
            allow(t, "~* &* +@all");
            t.run_as(1, "MULTI");
            assert_eq!(t.run_as(1, line), "+QUEUED");
            allow(t, &format!("{rules} +exec"));
            t.run_as(1, "EXEC")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// What the rules deny has no effect and no answer but the refusal, and what they allow is not refused.
    #[test]
    fn rules_hold_for_every_command_in_every_form(
        first in selector(),
        second in prop::option::of(selector()),
        form in prop::sample::select(FORMS.to_vec()),
    ) {
        let mut t = server();
        t.run(
            "FUNCTION LOAD '#!lua name=lib\nredis.register_function(\"call\", function(k, a) return redis.call(unpack(a)) end)'",
        );
        allow(&mut t, "");
        log_in(&mut t);
        for (line, needs) in CASES {
            fill(&mut t);
            let word = line.split(' ').next().unwrap().to_lowercase();
            let command = if word == "object" { "object|encoding".to_owned() } else { word };
            let others = second.as_ref().map(|more| format!(" ({})", more.rules(&command))).unwrap_or_default();
            let rules = format!("{}{others}", first.rules(&command));
            let before = contents(&mut t);
            let reply = run(&mut t, form, line, &rules);
            let met = first.meets(needs) || second.as_ref().is_some_and(|more| more.meets(needs));
            let refused = reply.contains("NOPERM") || reply.contains("The user executing the script can't");
            prop_assert_eq!(!refused, met, "{} ({:?}) with {}: {}", line, form, rules, reply);
            if !met {
                prop_assert_eq!(contents(&mut t), before, "{} ({:?}) with {}", line, form, rules);
            }
        }
    }
}

#[test]
fn a_user_who_is_deleted_is_closed_and_one_who_loses_a_channel_too() {
    use crate::node::Kill;
    let mut t = server();
    allow(&mut t, "&a* &b* +@all");
    log_in(&mut t);
    t.run_as(1, "SUBSCRIBE a1");
    t.run_as(1, "SUBSCRIBE a2");
    allow(&mut t, "&a* +@all");
    assert_eq!(t.handle(1).killed(), Kill::No);
    allow(&mut t, "&a1 +@all");
    assert_eq!(t.handle(1).killed(), Kill::Now);
    let other = t.connect();
    t.run_as(other, "AUTH u x");
    assert_eq!(t.run("ACL DELUSER u nosuch"), ":1");
    assert_eq!(t.handle(other).killed(), Kill::Now);
    assert_eq!(t.run_as(other, "GET a:str"), "-NOPERM this user has no permissions to run the 'get' command");
}

#[test]
fn every_refusal_is_logged_with_its_place() {
    let mut t = server();
    allow(&mut t, "~a:* +@all -keys");
    log_in(&mut t);
    for line in ["KEYS *", "GET b:1", "GET b:1", "PUBLISH c x", "MULTI", "GET b:2", "EXEC"] {
        t.run_as(1, line);
    }
    t.run_as(1, &in_script("GET b:3"));
    t.run_as(1, &in_script("KEYS *"));
    let shown = t.run("ACL LOG 100");
    for (count, reason, context, object) in [
        (1, "command", "toplevel", "keys"),
        (2, "key", "toplevel", "b:1"),
        (1, "channel", "toplevel", "c"),
        (1, "key", "multi", "b:2"),
        (1, "key", "lua", "b:3"),
        (1, "command", "lua", "keys"),
    ] {
        let entry = format!(
            r#"["count" :{count} "reason" "{reason}" "context" "{context}" "object" "{object}" "username" "u""#
        );
        assert!(shown.contains(&entry), "{entry} in {shown}");
    }
    let stats = t.run("INFO stats");
    for line in ["acl_access_denied_cmd:2", "acl_access_denied_key:4", "acl_access_denied_channel:1"] {
        assert!(stats.contains(line), "{line} in {stats}");
    }
}

#[test]
fn the_password_of_the_configuration_is_that_of_the_default_user() {
    let mut t = Harness::new();
    t.configure("requirepass", "secret");
    let fresh = t.connect();
    assert_eq!(t.run_as(fresh, "GET k"), "-NOAUTH Authentication required.");
    assert_eq!(t.run("ACL SETUSER default >other"), "+OK");
    for password in ["secret", "other"] {
        assert_eq!(t.run_as(fresh, &format!("AUTH {password}")), "+OK");
    }
    t.configure("requirepass", "third");
    assert!(t.run_as(fresh, "AUTH other").starts_with("-WRONGPASS"));
    t.configure("requirepass", "");
    let open = t.connect();
    assert_eq!(t.run_as(open, "GET k"), "nil");
}

#[test]
fn a_bad_rule_changes_nothing() {
    let mut t = Harness::new();
    t.run("ACL SETUSER u on >a ~a +get");
    let before = t.run("ACL LIST");
    assert_eq!(
        t.run("ACL SETUSER u off +set resetkeys nosuch +del"),
        "-ERR Error in ACL SETUSER modifier 'nosuch': Syntax error"
    );
    assert_eq!(t.run("ACL LIST"), before);
    t.run("ACL SETUSER v on nosuch");
    assert_eq!(t.run("ACL GETUSER v"), "nil");
}

/// A token's transaction is not shown again to one who may not run it.
#[test]
fn the_reply_to_a_token_is_shown_only_to_who_may_run_its_transaction() {
    let mut t = server();
    let transaction =
        ["MULTI", "ITEM.ATOMIC TOKEN x", "ITEM.PUT items a:1 SET 1 n secret", "ITEM.GET items a:1"];
    for line in transaction {
        t.run(line);
    }
    assert!(t.run("EXEC").contains("secret"));
    allow(&mut t, "~* &* +@all");
    log_in(&mut t);
    for line in transaction {
        t.run_as(1, line);
    }
    allow(&mut t, "~b* +@all");
    let reply = t.run_as(1, "EXEC");
    assert!(reply.contains("NOPERM") && !reply.contains("secret"), "{reply}");
}

#[test]
fn sort_reads_keys_that_it_makes_up_only_for_who_may_read_all() {
    let mut t = server();
    for line in ["SADD a:set 1 2", "SET b:1 x", "SET b:2 y"] {
        t.run(line);
    }
    allow(&mut t, "~a:* +@all");
    log_in(&mut t);
    assert_eq!(t.run_as(1, "SORT a:set BY nosort"), r#"["1" "2"]"#);
    let denied =
        |what: &str| format!("-ERR {what} option of SORT denied due to insufficient ACL permissions.");
    assert_eq!(t.run_as(1, "SORT a:set BY b:*"), denied("BY"));
    assert_eq!(t.run_as(1, "SORT_RO a:set GET b:*"), denied("GET"));
    allow(&mut t, "%R~* +@all");
    assert_eq!(t.run_as(1, "SORT_RO a:set GET b:*"), r#"["x" "y"]"#);
}

#[test]
fn the_changes_of_a_table_are_shown_only_to_who_may_read_it_all() {
    let mut t = server();
    t.run("TABLE.ALTER items STREAM BOTH");
    t.run("ITEM.PUT items a:1 SET 1 n secret");
    for (rules, reads) in [
        ("~items@stream +@all", false),
        ("~items@stream ~items +@all", false),
        ("%R~* +@all", true),
        ("%W~* %R~items* +@all", false),
    ] {
        allow(&mut t, rules);
        log_in(&mut t);
        let reply = t.run_as(1, "XRANGE items@stream - +");
        assert_eq!(reply.contains("secret"), reads, "{rules}: {reply}");
    }
}
