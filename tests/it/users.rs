//! Where users are kept: lines of the configuration, flags, and the file of users.

use crate::harness::{Client, Server, until};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

/// All users, as ACL LIST shows them.
fn list(client: &mut Client) -> Vec<String> {
    client.run("ACL LIST").items().iter().map(|line| line.text()).collect()
}

/// Rules with every mark that files have to keep.
const MARKS: [&[&str]; 6] = [
    &[
        "u",
        "on",
        ">a b\"'\\c#",
        "~x\"y\\z'",
        "%R~#",
        "%W~\u{e9}\u{7f}",
        "&c\"#",
        "+@all",
        "-config|set",
        "+select|0",
    ],
    &[
        "v\"'\\",
        "nopass",
        "allkeys",
        "allchannels",
        "allcommands",
        "(~a +get)",
        "(%R~\\#b allchannels -@all +set|x)",
    ],
    &["w#", "reset"],
    &["x", "on", "(\"~q\\\"r\" +get)", "()", "(~s) &t) +get)"],
    &["", "on"],
    &["default", "off", ">secret", "resetkeys", "%R~k"],
];

fn make(client: &mut Client) {
    for user in MARKS {
        let reply = client.call(&[&["ACL", "SETUSER"], user].concat());
        assert!(reply.is_ok(), "{user:?}: {reply}");
    }
}

#[test]
fn the_configuration_keeps_users_over_a_rewrite_and_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.conf");
    fs::write(&file, "# mine\nuser gone on nopass\nuser u on >old\n").unwrap();
    let path = file.to_str().unwrap();
    let mut server = Server::start_with_file(path, &["--user", "admin", "on", "nopass", "~*", "&*", "+@all"]);
    let mut client = server.client();
    assert_eq!(list(&mut client).len(), 4);
    assert_eq!(client.run("ACL DELUSER gone").int(), Some(1));
    make(&mut client);
    let before = list(&mut client);
    for _ in 0..2 {
        assert!(client.run("CONFIG REWRITE").is_ok());
    }
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\n") && !text.contains("gone") && !text.contains("a b"), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("user ")).count(), before.len(), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    // The flags name the user again, so the file's line is taken out.
    fs::write(
        &file,
        text.lines().filter(|line| !line.starts_with("user admin ")).collect::<Vec<_>>().join("\n"),
    )
    .unwrap();
    server.restart();
    let mut client = server.client();
    assert!(client.run("AUTH admin x").is_ok());
    assert_eq!(list(&mut client), before);
}

#[test]
fn the_file_of_users_is_saved_and_loaded_and_comes_back_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.acl");
    fs::write(&file, "# none yet\n").unwrap();
    let mut server = Server::start(&["--aclfile", file.to_str().unwrap()]);
    let mut client = server.client();
    make(&mut client);
    assert!(client.run("ACL SETUSER admin on nopass ~* &* +@all").is_ok());
    let before = list(&mut client);
    assert!(client.run("ACL SAVE").is_ok());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o077, 0);
    assert!(client.run("ACL SETUSER late on").is_ok());
    let mut late = server.client();
    assert!(client.run("ACL SETUSER late nopass").is_ok() && late.run("AUTH late x").is_ok());
    assert!(client.run("ACL LOAD").is_ok());
    assert_eq!(list(&mut client), before);
    until("the connection of a user who is gone is closed", || late.is_closed());
    server.restart();
    let mut client = server.client();
    assert!(client.run("GET k").text().starts_with("NOAUTH"));
    assert!(client.run("AUTH admin x").is_ok());
    assert_eq!(list(&mut client), before);

    // A file with a fault changes nothing, and all faults are told.
    let faulty = "user a on +get\nuser b nosuch\nuser a off\nusr c\nuser d (+get\n";
    fs::write(&file, faulty).unwrap();
    let refused = client.run("ACL LOAD").text();
    for fault in [
        ":2: Syntax error. ",
        "Duplicate user 'a' found on line 3. ",
        ":4 should start with user keyword",
        ":5: Unmatched parenthesis",
    ] {
        assert!(refused.contains(fault), "{fault} in {refused}");
    }
    assert_eq!(list(&mut client), before);
}

#[test]
fn a_server_with_faulty_users_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.acl");
    fs::write(&file, "user a on\n").unwrap();
    let path = file.to_str().unwrap();
    for (flags, why) in [
        (
            &["--user", "a", "on", ">hunter2", "nosuch"][..],
            "Error in user declaration a: rule 3: Syntax error",
        ),
        (&["--user", "a", "on", "--user", "a", "off"], "Duplicate user found"),
        (&["--user", "a", "(+get"], "Unmatched parenthesis"),
        (&["--user", "b", "on", "--aclfile", path], "use only one of them"),
        (&["--aclfile", "/nowhere/users.acl"], "No such file or directory"),
    ] {
        let told = Server::try_start_with(flags, &[]).err().unwrap();
        assert!(told.contains(why) && !told.contains("hunter2"), "{flags:?}: {told}");
    }
    let server = Server::start(&["--aclfile", path, "--requirepass", "secret"]);
    let mut client = server.client();
    assert!(
        client.run("GET k").text().starts_with("NOAUTH"),
        "a file without the default user leaves its password"
    );
}

/// A client that waits for keys is asked again when it is served.
#[test]
fn a_client_that_waits_is_refused_once_its_user_has_lost_the_key() {
    let server = Server::start(&[]);
    let mut admin = server.client();
    assert!(admin.run("ACL SETUSER u on nopass ~a +@all").is_ok());
    let mut waiting = server.client();
    assert!(waiting.run("AUTH u x").is_ok());
    waiting.send(&["BLPOP", "a", "0"]).unwrap();
    until("the client waits", || server.info("blocked_clients") == "1");
    assert!(admin.run("ACL SETUSER u resetkeys ~b").is_ok());
    assert_eq!(admin.run("RPUSH a secret").int(), Some(1));
    let refused = waiting.read().text();
    assert!(refused.starts_with("NOPERM"), "{refused}");
    assert_eq!(admin.run("LLEN a").int(), Some(1));
}
