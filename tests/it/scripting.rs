//! Scripts where no referee can help: what they hold, how they are run again, and how they are stopped.

use crate::harness::{Client, Server, Value, until};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

fn error_of(value: &Value) -> String {
    match value {
        Value::Error(text) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("{other:?}"),
    }
}

fn eval(client: &mut Client, script: &str, keys: &[&str], args: &[&str]) -> Value {
    let count = keys.len().to_string();
    let mut words = vec!["EVAL", script, &count];
    words.extend_from_slice(keys);
    words.extend_from_slice(args);
    client.call(&words)
}

/// Sends a script without waiting for its reply.
fn send(client: &mut Client, script: &str, keys: &[&str]) {
    let count = keys.len().to_string();
    let mut words = vec!["EVAL", script, &count];
    words.extend_from_slice(keys);
    client.send(&words).unwrap();
}

const FOR_EVER: &str = "while true do end";

/// Money goes from account to account by scripts that find out what they need while they run, so that they are undone
/// and run again; sums are right at every moment.
#[test]
fn scripts_over_undeclared_keys_are_atomic() {
    const ACCOUNTS: usize = 40;
    let server = Server::start(&["--save", "", "--io-threads", "4"]);
    let mut client = server.client();
    for account in 0..ACCOUNTS {
        assert!(client.run(&format!("SET account:{account} 100")).is_ok());
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let movers: Vec<_> = (0..4)
            .map(|mover: usize| {
                let mut client = server.client();
                scope.spawn(move || {
                    for n in 0..300 {
                        let (from, to) = ((n * 7 + mover) % ACCOUNTS, (n * 11 + mover * 3) % ACCOUNTS);
                        let script = "local amount = redis.call('get', 'amount') or 1 \
                                      redis.call('decrby', 'account:'..ARGV[1], amount) \
                                      redis.call('incrby', 'account:'..ARGV[2], amount) return 1";
                        let reply = eval(&mut client, script, &[], &[&from.to_string(), &to.to_string()]);
                        assert_eq!(reply, Value::Int(1));
                    }
                })
            })
            .collect();
        let mut readers = Vec::new();
        for whole in [false, true] {
            let (mut client, done) = (server.client(), &done);
            readers.push(scope.spawn(move || {
                let script = "local sum = 0 for n = 0, 39 do sum = sum + redis.call('get', 'account:'..n) end return sum";
                let all = "local sum = 0 for _, key in ipairs(redis.call('keys', 'account:*')) do \
                           sum = sum + redis.call('get', key) end return sum";
                while !done.load(Relaxed) {
                    let reply = eval(&mut client, if whole { all } else { script }, &[], &[]);
                    assert_eq!(reply, Value::Int(100 * ACCOUNTS as i64));
                }
            }));
        }
        movers.into_iter().for_each(|mover| mover.join().unwrap());
        done.store(true, Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

#[test]
fn an_endless_script_is_killed() {
    let server = Server::start(&["--save", "", "--io-threads", "2"]);
    let (mut runner, mut client) = (server.client(), server.client());
    assert_eq!(error_of(&client.run("SCRIPT KILL")), "NOTBUSY No scripts in execution right now.");
    send(&mut runner, FOR_EVER, &["held"]);
    until("it is killed", || client.run("SCRIPT KILL").is_ok());
    assert!(error_of(&runner.read()).starts_with("ERR Script killed by user with SCRIPT KILL."));
    assert_eq!(client.run("SET held 1"), Value::Simple(b"OK".to_vec()));
    assert_eq!(eval(&mut runner, "return 7", &[], &[]), Value::Int(7));
}

#[test]
fn nothing_in_a_script_catches_its_end() {
    let server = Server::start(&["--save", "", "--io-threads", "2"]);
    let (mut runner, mut client) = (server.client(), server.client());
    for script in [
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local f = function() while true do end end while true do coroutine.resume(coroutine.create(f)) end",
        "while true do redis.pcall('ping') end",
        // Its reply has 2^60 values.
        "local t = {} for i = 1, 60 do t = {t, t} end return t",
        "while true do pcall(redis.call, 'nosuch') end",
        "local t = setmetatable({}, {__index = function() while true do end end}) while true do pcall(function() return t.x end) end",
        "while true do string.gsub('x', 'x', function() pcall(function() while true do end end) end) end",
    ] {
        send(&mut runner, script, &["k"]);
        until(script, || client.run("SCRIPT KILL").is_ok());
        let reply = error_of(&runner.read());
        assert!(reply.starts_with("ERR Script killed by user"), "{script}: {reply}");
    }
}

#[test]
fn a_script_that_has_written_ends_with_the_server_only() {
    let mut server = Server::start(&["--save", "", "--io-threads", "2", "--busy-reply-threshold", "1"]);
    let (mut runner, mut client) = (server.client(), server.client());
    assert!(client.run("SET k before").is_ok());
    send(&mut runner, "redis.call('set', KEYS[1], 'after') while true do end", &["k"]);
    until(
        "it cannot be killed",
        || matches!(client.run("SCRIPT KILL"), Value::Error(text) if text.starts_with(b"UNKILLABLE ")),
    );
    // The script is known to run now, so nobody waits for its shard on a worker.
    until("others are told BUSY", || {
        let reply = client.run("GET k");
        matches!(&reply, Value::Error(text) if text.starts_with(b"BUSY Redis is busy running a script. You can only call SCRIPT KILL"))
    });
    assert!((0..64).any(|n| client.run(&format!("SET other:{n} 1")).is_ok()), "some key is in another shard");
    assert_eq!(client.run("PING"), Value::Simple(b"PONG".to_vec()));
    assert!(matches!(server.client().run("HELLO 3"), Value::Map(_)));
    client.send(&["SHUTDOWN", "NOSAVE"]).unwrap();
    server.wait();
}

#[test]
fn what_is_undone_is_not_heard_of() {
    let server = Server::start(&["--save", "", "--io-threads", "2"]);
    let mut client = server.client();
    // It takes long enough to be begun again on a thread of its own, and touches keys that it has not declared.
    let script = "redis.log(redis.LOG_WARNING, 'heard once') redis.call('incr', 'n') redis.pcall('nosuch') \
                  local x = 0 for i = 1, 20000000 do x = x + i end \
                  for i = 1, 30 do redis.call('set', 'undeclared:'..i, i) end return redis.call('get', 'n')";
    assert_eq!(eval(&mut client, script, &["n"], &[]), Value::Bulk(b"1".to_vec()));
    assert_eq!(server.log().matches("heard once").count(), 1);
    let stats = client.run("INFO commandstats").text();
    assert!(stats.contains("cmdstat_incr:calls=1,"), "{stats}");
    assert!(stats.contains("cmdstat_set:calls=30,"), "{stats}");
    assert!(stats.contains("cmdstat_eval:calls=1,"), "{stats}");
    let errors = client.run("INFO errorstats").text();
    assert!(errors.contains("errorstat_ERR:count=1"), "{errors}");
}

/// A transaction that is all or nothing has no script that does what cannot be undone.
#[test]
fn an_atomic_transaction_with_a_script_is_all_or_nothing() {
    let server = Server::start(&["--save", "", "--io-threads", "2"]);
    let mut client = server.client();
    assert!(client.run("TABLE.CREATE t PK id S").is_ok());
    assert!(client.run("SET before 1").is_ok());
    let tables = client.run("TABLE.LIST");
    for (script, reason) in [
        ("redis.call('set', 'k', '1') redis.call('flushall')", "cannot be undone"),
        ("redis.call('set', 'k', '1') redis.call('table.create', 'u', 'PK', 'id', 'S')", "cannot be undone"),
        ("redis.call('set', 'k', '1') redis.call('publish', 'c', 'm')", "ConditionalCheckFailed"),
        ("redis.call('set', 'k', '1')", "ConditionalCheckFailed"),
    ] {
        for line in ["MULTI", "ITEM.ATOMIC", "SET other 1"] {
            client.run(line);
        }
        eval(&mut client, script, &[], &[]);
        client.run("ITEM.CHECK t none IF attribute_exists(id)");
        let reply = error_of(&client.run("EXEC"));
        assert!(reply.starts_with("TXCANCELLED") && reply.contains(reason), "{script}: {reply}");
        assert_eq!(client.run("EXISTS before k other"), Value::Int(1), "{script}");
        assert_eq!(client.run("TABLE.LIST"), tables, "{script}");
    }
}

#[test]
fn time_does_not_move_within_a_script() {
    let server = Server::start(&["--save", "", "--io-threads", "2"]);
    let mut client = server.client();
    let script = "redis.call('set', 'k', 'v', 'px', 20) local before = redis.call('time') \
                  local x = 0 for i = 1, 20000000 do x = x + i end local after = redis.call('time') \
                  return {redis.call('get', 'k'), redis.call('pttl', 'k'), tostring(before[2] == after[2])}";
    let reply = eval(&mut client, script, &["k"], &[]);
    assert_eq!(reply.items(), [Value::Bulk(b"v".to_vec()), Value::Int(20), Value::Bulk(b"true".to_vec())]);
}

#[test]
fn memory_that_a_script_takes_is_bounded() {
    let server = Server::start(&["--save", "", "--lua-memory-limit", "32mb"]);
    let mut client = server.client();
    for script in [
        "return string.rep('x', 2^26)",
        "local t = {} for i = 1, 1e9 do t[i] = ('x'):rep(1000)..i end",
        "local s = 'x' while true do s = s..s end",
        "local t = {} for i = 1, 1000 do t[i] = ('x'):rep(1e6) end return table.concat(t)",
        "local f f = function() return f() + 1 end return f()",
    ] {
        let reply = error_of(&eval(&mut client, script, &[], &[]));
        assert!(reply.contains("not enough memory") || reply.contains("overflow"), "{script}: {reply}");
        assert_eq!(eval(&mut client, "return 1", &[], &[]), Value::Int(1), "{script}");
    }
    let large = "x".repeat(40 << 20);
    assert_eq!(
        client.call(&["EVAL", "return #ARGV[1]", "0", &large]),
        Value::Int(40 << 20),
        "arguments are no script's"
    );
}

/// Memory that is short is an error of the script wherever it happens, and nothing else.
#[test]
fn a_script_may_run_out_of_memory_anywhere() {
    let server = Server::start(&["--save", "", "--io-threads", "1"]);
    let mut client = server.client();
    assert!(client.run("GEOADD g 1 1 a 2 2 b 3 3 c").is_ok() || client.run("EXISTS g") == Value::Int(1));
    let hungry = [
        "local d = '1' for n = 1, 900 do d = '[' .. d .. ']' end local t = {} for n = 1, 1e6 do t[n] = cjson.decode(d) end",
        "local t = {} for n = 1, 1e6 do t[n] = redis.call('geosearch', 'g', 'fromlonlat', 1, 1, 'byradius', 1000, 'km', 'withcoord') end",
        "local t = {} for n = 1, 1e6 do t[n] = coroutine.wrap(function() coroutine.yield(pcall(redis.call, 'nosuch')) end) t[n]() end",
        "local t = {} for n = 1, 1e6 do t[n] = cmsgpack.unpack(cmsgpack.pack({n, {n, {n}}})) end",
    ];
    for limit in (700..3000).step_by(700) {
        assert!(client.run(&format!("CONFIG SET lua-memory-limit {limit}kb")).is_ok());
        for script in hungry {
            error_of(&eval(&mut client, script, &[], &[]));
        }
    }
    assert!(client.run("CONFIG SET lua-memory-limit 64mb").is_ok());
    assert_eq!(eval(&mut client, "return 1", &[], &[]), Value::Int(1));
    let most = "local s = ('x'):rep(8200) return redis.call('rpush', 'l', string.byte(s, 1, 7985))";
    assert_eq!(eval(&mut client, most, &[], &[]), Value::Int(7985));
}

#[test]
fn scripts_of_eval_are_kept_in_bounded_number() {
    let server = Server::start(&["--save", ""]);
    let mut client = server.client();
    let loaded = client.call(&["SCRIPT", "LOAD", "return 'loaded'"]).text();
    for n in 0..1500 {
        assert_eq!(eval(&mut client, &format!("return {n}"), &[], &[]), Value::Int(n));
    }
    let memory = client.run("INFO memory").text();
    assert!(memory.contains("number_of_cached_scripts:501"), "{memory}");
    assert_eq!(client.call(&["EVALSHA", &loaded, "0"]), Value::Bulk(b"loaded".to_vec()));
    assert_eq!(client.call(&["SCRIPT", "SHOW", &loaded]), Value::Bulk(b"return 'loaded'".to_vec()));
}

#[test]
fn what_scripts_wrote_is_there_after_a_kill() {
    let mut server = Server::start(&["--save", "", "--appendfsync", "always"]);
    let mut client = server.client();
    for n in 0..50 {
        let script = "redis.call('incr', KEYS[1]) redis.call('rpush', 'undeclared', ARGV[1]) return 1";
        assert_eq!(eval(&mut client, script, &["n"], &[&n.to_string()]), Value::Int(1));
    }
    server.kill9();
    server.up();
    let mut client = server.client();
    assert_eq!(client.run("GET n"), Value::Bulk(b"50".to_vec()));
    assert_eq!(client.run("LLEN undeclared"), Value::Int(50));
}

/// What the holes in Redis's interpreter were reached by: the server answers, and goes on.
#[test]
fn known_holes_are_closed() {
    let server = Server::start(&["--save", ""]);
    let mut client = server.client();
    let fails = |client: &mut Client, hole: &str, script: &str, text: &str| {
        let reply = error_of(&eval(client, script, &[], &[]));
        assert!(reply.contains(text), "{hole}: {script}: {reply}");
    };
    let gives = |client: &mut Client, hole: &str, script: &str, wanted: Value| {
        assert_eq!(eval(client, script, &[], &[]), wanted, "{hole}: {script}");
    };
    let hole = "CVE-2020-14147";
    fails(&mut client, hole, "return struct.unpack('c2147483648', 'a')", "integral size overflow");
    fails(&mut client, hole, "return struct.pack('>I2147483647', 'a')", "integral size 2147483647 is larger");
    let hole = "CVE-2024-31449";
    let upper = Value::Bulk(b"000000FF".to_vec());
    gives(&mut client, hole, "return bit.tohex(255, -2147483648)", upper.clone());
    gives(&mut client, hole, "return bit.tohex(255, -2147483649)", Value::Bulk(b"000000ff".to_vec()));
    let hole = "CVE-2024-46981";
    let many = "for i = 1, 2000 do local co = coroutine.wrap(function() coroutine.yield(setmetatable({}, {__mode = 'kv'})) end) co() \
                if i % 100 == 0 then collectgarbage() end end return 1";
    for _ in 0..3 {
        gives(&mut client, hole, many, Value::Int(1));
        assert!(client.run("SCRIPT FLUSH").is_ok());
    }
    let hole = "CVE-2025-46817";
    for range in
        ["0, 2^31 - 1", "1, 2^31", "-2^31, 2^31 - 1", "2^31 - 8000, 2^31 - 1", "-2^53, 2^53", "1, 1/0"]
    {
        fails(&mut client, hole, &format!("local x = unpack({{}}, {range})"), "too many results to unpack");
    }
    gives(&mut client, hole, "return select('#', unpack({}, 2^31 - 3, 2^31 - 2))", Value::Int(2));
    let hole = "CVE-2025-46818";
    fails(&mut client, hole, "getmetatable('').__index = {}", "Attempt to modify a readonly table");
    fails(&mut client, hole, "setmetatable(getmetatable(''), {})", "Attempt to modify a readonly table");
    gives(
        &mut client,
        hole,
        "return tostring(getmetatable(nil)) .. tostring(getmetatable(1)) .. tostring(getmetatable(true))",
        Value::Bulk(b"nilnilnil".to_vec()),
    );
    let hole = "CVE-2025-46819";
    for text in
        ["'[' .. ('='):rep(1e6)", "'x = [' .. ('='):rep(1e6) .. '[ a'", "'--[' .. ('='):rep(1e6) .. '['"]
    {
        gives(&mut client, hole, &format!("loadstring({text}) return 1"), Value::Int(1));
    }
    let hole = "CVE-2025-49844";
    let parsed = "for i = 1, 300 do local f = loadstring('local t = {' .. ('\"' .. i .. 'abc\",'):rep(500) .. '} return #t', ('n'):rep(5000) .. i) \
                  if f() ~= 500 then return 0 end collectgarbage('step', 1000) end return 1";
    gives(&mut client, hole, parsed, Value::Int(1));
    gives(&mut client, "bytecode", "return tostring(loadstring('\\27Lua'))", Value::Bulk(b"nil".to_vec()));
    gives(
        &mut client,
        "bytecode",
        "local n = 0 local f = load(function() n = n + 1 return ({'\\27', 'Lua'})[n] end) return tostring(f)",
        Value::Bulk(b"nil".to_vec()),
    );
}

/// What one script leaves behind is not there for the next.
#[test]
fn scripts_leave_nothing_behind() {
    let server = Server::start(&["--save", "", "--io-threads", "1"]);
    let mut client = server.client();
    for script in [
        "KEYS[1] = 'left' ARGV.left = 1 return 1",
        "cjson.encode_number_precision(1) return 1",
        "redis.setresp(3) return 1",
        "collectgarbage('stop') return 1",
        "pcall(function() string.upper = function() return 'left' end end) return 1",
        "pcall(rawset, string, 'upper', function() return 'left' end) return 1",
        "pcall(rawset, getmetatable('').__index, 'upper', function() return 'left' end) return 1",
        "for name, value in pairs(redis) do pcall(function() redis[name] = nil end) end return 1",
        "for _, library in ipairs({string, table, math, redis, server, cjson, cmsgpack, struct, bit, coroutine, os, _G}) do \
         for name in pairs(library) do pcall(rawset, library, name, nil) end end return 1",
        "for _, value in pairs(_G) do if type(value) == 'table' then pcall(table.insert, value, 'left') end end return 1",
        "pcall(table.sort, _G) pcall(table.remove, redis) pcall(table.insert, redis, 1) return 1",
        "select(2, pcall(next, redis)) return 1",
    ] {
        let reply = eval(&mut client, script, &["k"], &["a"]);
        assert!(matches!(reply, Value::Int(1) | Value::Error(_)), "{script}: {reply:?}");
        let check = "return {KEYS[1], #KEYS, tostring(ARGV.left), ('x'):upper(), cjson.encode(1.25), redis.call('hgetall', 'none'), \
                     tostring(redis[1]), tostring(rawget(_G, 1)), type(redis.call), type(string.format), type(table.concat)}";
        let text = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        let wanted = Value::Array(vec![
            text("own"),
            Value::Int(1),
            text("nil"),
            text("X"),
            text("1.25"),
            Value::Array(vec![]),
            text("nil"),
            text("nil"),
            text("function"),
            text("function"),
            text("function"),
        ]);
        assert_eq!(eval(&mut client, check, &["own"], &[]), wanted, "{script}");
    }
}

/// An interpreter has a limited number of references to values.
#[test]
fn many_arguments_and_deep_values_beside_many_scripts() {
    let server = Server::start(&["--save", "", "--io-threads", "1"]);
    let mut client = server.client();
    for n in 0..600 {
        assert_eq!(eval(&mut client, &format!("return {n}"), &[], &[]), Value::Int(n));
    }
    let script =
        "local t = {} for i = 1, 7000 do t[i] = i end return redis.call('rpush', KEYS[1], unpack(t))";
    assert_eq!(eval(&mut client, script, &["list"], &[]), Value::Int(7000));
    let script = "cjson.encode_max_depth(1500) cjson.decode_max_depth(1500) local t = 1 for i = 1, 1490 do t = {x = t} end \
                  local text = cjson.encode(t) return #cjson.encode(cjson.decode(text)) == #text";
    assert_eq!(eval(&mut client, script, &[], &[]), Value::Int(1));
    // The client reads replies recursively.
    let script = "local t = 1 for i = 1, 100 do t = {map = {[1] = t}} end return t";
    assert!(matches!(eval(&mut client, script, &[], &[]), Value::Array(_)));
    let many: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(eval(&mut client, "return #ARGV", &[], &many), Value::Int(20_000));
}

/// What a script replaces is kept until the script cannot be undone any more, but not without bound.
#[test]
fn what_a_script_could_be_undone_by_takes_bounded_memory() {
    use crate::harness::memory::{MB, grown_since, peak};
    let server = Server::start(&["--save", "", "--appendonly", "no", "--io-threads", "2"]);
    let mut client = server.client();
    let before = peak(&server);
    let script = "for n = 1, 400 do redis.call('del', KEYS[1]) redis.call('setrange', KEYS[1], 4000000 + n, 'x') end \
                  return redis.call('strlen', KEYS[1])";
    assert_eq!(eval(&mut client, script, &["k"], &[]), Value::Int(4_000_401));
    let grown = grown_since(before, &server);
    assert!(grown < 800 * MB, "{grown} bytes for 1.6 GB that were replaced");
    assert_eq!(client.run("STRLEN k"), Value::Int(4_000_401));
}

/// As in Redis from 7.2 on; the referee refuses most of them.
#[test]
fn what_waits_answers_at_once_in_a_script() {
    let server = Server::start(&[]);
    let mut client = server.client();
    assert!(client.run("XGROUP CREATE s g $ MKSTREAM").is_ok());
    client.run("RPUSH l a b c d e");
    for (call, reply) in [
        ("'BLPOP', 'none', 'l', 0", "[\"l\", \"a\"]"),
        ("'BRPOP', 'l', 0", "[\"l\", \"e\"]"),
        ("'BLMOVE', 'l', 'm', 'LEFT', 'LEFT', 0", "\"b\""),
        ("'BRPOPLPUSH', 'l', 'm', 0", "\"d\""),
        ("'BLPOP', 'none', 0", "nil"),
        ("'BLMOVE', 'none', 'm', 'LEFT', 'LEFT', 0", "nil"),
        ("'BLMPOP', 0, 1, 'none', 'LEFT'", "nil"),
        ("'BZPOPMIN', 'none', 0", "nil"),
        ("'BZMPOP', 0, 1, 'none', 'MIN'", "nil"),
        ("'XREAD', 'BLOCK', 0, 'STREAMS', 's', '$'", "nil"),
        ("'XREADGROUP', 'GROUP', 'g', 'c', 'BLOCK', 0, 'STREAMS', 's', '>'", "nil"),
        ("'WAIT', 1, 0", "0"),
    ] {
        let got = client.call(&["EVAL", &format!("return redis.call({call})"), "0"]);
        let shown = match &got {
            Value::Array(items) => format!("[{}]", items.iter().map(word).collect::<Vec<_>>().join(", ")),
            other => word(other),
        };
        assert_eq!(shown, reply, "{call}");
    }
    let local_and_replicas = client.call(&["EVAL", "return redis.call('WAITAOF', 0, 1, 0)", "0"]).items();
    assert_eq!(local_and_replicas.len(), 2);
}

fn word(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        value if value.is_null() => "nil".to_owned(),
        value => format!("\"{}\"", value.text()),
    }
}
