//! Tests the redis crate: blocking, asynchronous, pipelines, RESP2 and RESP3.

use crate::harness::{Server, on_both};
use redis::{AsyncCommands, Client, Commands, ErrorKind, RedisResult, ServerErrorKind, Value};
use std::collections::{HashMap, HashSet};

fn clients(server: &Server) -> [Client; 2] {
    let address = server.address();
    [2, 3].map(|proto| Client::open(format!("redis://{address}/?protocol=resp{proto}")).unwrap())
}

#[test]
fn blocking_commands() {
    on_both(&[], |server| {
        for client in clients(server) {
            let mut c = client.get_connection().unwrap();
            redis::cmd("FLUSHALL").exec(&mut c).unwrap();
            c.set::<_, _, ()>("k", "v").unwrap();
            assert_eq!(c.get::<_, String>("k").unwrap(), "v");
            assert_eq!(c.get::<_, Option<String>>("nope").unwrap(), None);
            c.set_ex::<_, _, ()>("e", b"\x00\xff".as_slice(), 100).unwrap();
            assert_eq!(c.get::<_, Vec<u8>>("e").unwrap(), b"\x00\xff");
            assert!((90..=100).contains(&c.ttl::<_, i64>("e").unwrap()));
            assert_eq!(c.incr::<_, _, i64>("n", 5).unwrap(), 5);
            assert_eq!(c.zadd_multiple::<_, _, _, i64>("z", &[(1.5, "a"), (2.0, "b")]).unwrap(), 2);
            assert_eq!(
                c.zrange_withscores::<_, Vec<(String, f64)>>("z", 0, -1).unwrap(),
                [("a".to_owned(), 1.5), ("b".to_owned(), 2.0)]
            );
            assert_eq!(c.zscore::<_, _, Option<f64>>("z", "none").unwrap(), None);
            assert_eq!(c.zpopmin::<_, Vec<(String, f64)>>("z", 2).unwrap().len(), 2);
            c.hset_multiple::<_, _, _, ()>("h", &[("a", 1), ("b", 2)]).unwrap();
            let all: HashMap<String, i64> = c.hgetall("h").unwrap();
            assert_eq!(all, HashMap::from([("a".into(), 1), ("b".into(), 2)]));
            assert_eq!(c.sadd::<_, _, i64>("s", &[1, 2, 3]).unwrap(), 3);
            assert_eq!(c.smembers::<_, HashSet<i64>>("s").unwrap(), HashSet::from([1, 2, 3]));
            assert_eq!(c.sinter::<_, HashSet<i64>>(&["s", "s"]).unwrap().len(), 3);
            assert!(c.sismember::<_, _, bool>("s", 2).unwrap());
            assert!(c.spop::<_, Option<i64>>("s").unwrap().is_some());
            assert!(c.exists::<_, bool>("h").unwrap());
            let keys: Vec<String> = c.scan_match::<_, String>("*").unwrap().map(Result::unwrap).collect();
            assert_eq!(keys.len(), 5);
            assert_eq!(c.mget::<_, Vec<Option<String>>>(&["k", "nope"]).unwrap(), [Some("v".into()), None]);
        }
    });
}

#[test]
fn pipelines_and_transactions() {
    on_both(&[], |server| {
        for client in clients(server) {
            let mut c = client.get_connection().unwrap();
            redis::cmd("FLUSHALL").exec(&mut c).unwrap();
            let mut pipe = redis::pipe();
            for n in 0..1000 {
                pipe.set(format!("k{n}"), n).ignore();
            }
            pipe.get("k999");
            assert_eq!(pipe.query::<(i64,)>(&mut c).unwrap(), (999,));
            let both: (i64, i64) = redis::pipe().atomic().incr("n", 1).incr("n", 1).query(&mut c).unwrap();
            assert_eq!(both, (1, 2));
            let (n,): (i64,) = redis::transaction(&mut c, &["n"], |c, pipe| {
                let n: i64 = c.get("n")?;
                pipe.set("n", n * 10).ignore().get("n").query(c)
            })
            .unwrap();
            assert_eq!(n, 20);
        }
    });
}

#[test]
fn errors() {
    on_both(&[], |server| {
        for client in clients(server) {
            let mut c = client.get_connection().unwrap();
            let unknown: RedisResult<Value> = redis::cmd("NOSUCH").query(&mut c);
            assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Server(ServerErrorKind::ResponseError));
            redis::cmd("HSET").arg(&["h", "f", "v"]).exec(&mut c).unwrap();
            let wrong: RedisResult<String> = c.get("h");
            assert_eq!(wrong.unwrap_err().code(), Some("WRONGTYPE"));
            assert_eq!(redis::cmd("PING").query::<String>(&mut c).unwrap(), "PONG");
        }
    });
}

#[test]
fn asynchronous() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    on_both(&[], |server| {
        for client in clients(server) {
            runtime.block_on(async {
                let mut c = client.get_multiplexed_async_connection().await.unwrap();
                redis::cmd("FLUSHALL").exec_async(&mut c).await.unwrap();
                let tasks: Vec<_> = (0..200)
                    .map(|n| {
                        let mut c = c.clone();
                        tokio::spawn(async move {
                            c.set::<_, _, ()>(format!("k{n}"), n).await.unwrap();
                            c.get::<_, i64>(format!("k{n}")).await.unwrap()
                        })
                    })
                    .collect();
                for (n, task) in tasks.into_iter().enumerate() {
                    assert_eq!(task.await.unwrap(), n as i64);
                }
                let (a, b): (i64, i64) =
                    redis::pipe().atomic().incr("n", 1).incr("n", 1).query_async(&mut c).await.unwrap();
                assert_eq!((a, b), (1, 2));
            });
        }
    });
}

#[test]
fn kill_9() {
    on_both(&["--appendonly", "yes", "--appendfsync", "always"], |server| {
        let mut c = clients(server)[0].get_connection().unwrap();
        c.set_ex::<_, _, ()>("k", "v", 1000).unwrap();
        server.crash();
        let mut c = clients(server)[1].get_connection().unwrap();
        assert_eq!(c.get::<_, String>("k").unwrap(), "v");
        let ttl: i64 = c.ttl("k").unwrap();
        assert!((990..=1000).contains(&ttl), "{ttl}");
    });
}
