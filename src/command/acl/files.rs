//! Users in files: the lines of the configuration, and the file that `aclfile` names.

use super::super::{Cx, Fail, Outcome, Server};
use super::users::{context, disconnect};
use crate::acl::{LineFault, RuleContext, RuleError, UserRules, merged, parse_lines};
use crate::config::{Settings, read_users_file, write_users_file};
use crate::node::DEFAULT_USER;
use crate::text::quoted;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Users by their names.
type Found = BTreeMap<Vec<u8>, UserRules>;

/// Makes the users that the configuration has, in its lines or in the file that it names. Called once, at the start.
///
/// # Errors
/// A text that says what is wrong, with which the server must not start.
pub fn load_users(server: &Server) -> Result<(), String> {
    let settings = server.config.snapshot();
    let users = if settings.aclfile.is_empty() {
        of_lines(server, &settings)?
    } else if settings.users.is_empty() {
        of_file(server, &settings)
            .map_err(|why| format!("Aborting the start because of ACL errors: {why}"))?
    } else {
        return Err("There are both 'user' lines in the configuration and a file of users ('aclfile'). That is likely \
                    to lead to errors and security holes: please use only one of them."
            .to_owned());
    };
    if !users.is_empty() {
        server.users.replace(users, default_rules(server, &settings));
    }
    Ok(())
}

/// The rules of `default` if nothing but the options says something about it.
fn default_rules(server: &Server, settings: &Settings) -> UserRules {
    let mut rules = UserRules::of_default_user(server.registry.count());
    rules.set_password(settings.requirepass.as_bytes());
    rules
}

fn fresh(context: RuleContext<'_>) -> UserRules {
    UserRules::fresh(context.names.count(), context.all_channels)
}

fn of_lines(server: &Server, settings: &Settings) -> Result<Found, String> {
    let context = context(server, settings);
    let mut found = Found::new();
    for user in &settings.users {
        let name = quoted(&user.name);
        let refused = |why: &str| format!("Error in user declaration {name}: {why}");
        let merged = merged(user.rules.iter().map(Vec::as_slice))
            .map_err(|_| refused("Unmatched parenthesis in selector definition."))?;
        let mut rules = fresh(context);
        // The rule is not shown, because it may hold a password.
        merged
            .iter()
            .enumerate()
            .try_for_each(|(at, rule)| rules.apply(rule, context).map_err(|error| (at, error)))
            .map_err(|(at, error)| refused(&format!("rule {}: {error}", at + 1)))?;
        if found.insert(user.name.clone(), rules).is_some() {
            return Err(refused(&RuleError::Duplicate.to_string()));
        }
    }
    Ok(found)
}

fn path(settings: &Settings) -> PathBuf {
    settings.dir.join(&settings.aclfile)
}

/// Reads the file of users. All faults of the file are told together.
fn of_file(server: &Server, settings: &Settings) -> Result<Found, String> {
    let (context, path) = (context(server, settings), path(settings));
    let file = path.display();
    let text = read_users_file(&path)
        .map_err(|error| format!("Error loading ACLs, opening file '{file}': {error}"))?;
    let (mut found, mut faults) = (Found::new(), Vec::new());
    for (number, line) in parse_lines(&text) {
        let (name, words) = match line {
            Ok(line) => line,
            Err(fault) => {
                faults.push(match fault {
                    LineFault::NoUser => {
                        format!("{file}:{number} should start with user keyword followed by the username. ")
                    }
                    LineFault::BadName => format!("{file}:{number}: username contains invalid characters. "),
                    LineFault::Unmatched(_) => {
                        format!("{file}:{number}: Unmatched parenthesis in selector definition.")
                    }
                });
                continue;
            }
        };
        let mut rules = fresh(context);
        if let Some(error) = words.iter().find_map(|rule| rules.apply(rule, context).err()) {
            faults.push(format!("{file}:{number}: {error}. "));
        }
        if found.insert(name.clone(), rules).is_some() {
            let name = String::from_utf8_lossy(&name);
            faults.push(format!("WARNING: Duplicate user '{name}' found on line {number}. "));
        }
    }
    if faults.is_empty() {
        return Ok(found);
    }
    faults.push(
        "WARNING: ACL errors detected, no change to the previously active ACL rules was performed".to_owned(),
    );
    Err(faults.concat())
}

const NO_FILE: Fail = Fail::new(
    "ERR This Redis instance is not configured to use an ACL file. You may want to specify users via the ACL SETUSER \
     command and then issue a CONFIG REWRITE (assuming you have a Redis configuration file set) in order to store users in \
     the Redis configuration.",
);

pub(super) fn load(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if cx.settings.aclfile.is_empty() {
        return Err(NO_FILE);
    }
    let users = of_file(cx.server, cx.settings).map_err(|why| Fail::text(format!("ERR {why}")))?;
    let changes = cx.server.users.replace(users, default_rules(cx.server, cx.settings));
    disconnect(cx, &changes);
    cx.out.ok();
    Ok(())
}

pub(super) fn save(cx: &mut Cx<'_, '_>, _args: &[&[u8]]) -> Outcome {
    if cx.settings.aclfile.is_empty() {
        return Err(NO_FILE);
    }
    let mut text = Vec::new();
    for user in cx.server.users.all() {
        text.extend_from_slice(b"user ");
        text.extend_from_slice(user.name());
        user.rules().words().iter().for_each(|word| text.extend_from_slice(&[b" ", &**word].concat()));
        text.push(b'\n');
    }
    write_users_file(&path(cx.settings), &text).map_err(|error| {
        tracing::warn!("the file of users cannot be written: {error}");
        Fail::new("ERR There was an error trying to save the ACLs. Please check the server logs for more information")
    })?;
    cx.out.ok();
    Ok(())
}

/// What follows `user` in the lines of a configuration file, for CONFIG REWRITE. There is none for users that are kept
/// in a file of their own, nor for `default` while only the options say something about it.
pub(in crate::command) fn config_lines(server: &Server, settings: &Settings) -> Vec<String> {
    if !settings.aclfile.is_empty() {
        return Vec::new();
    }
    let plain = default_rules(server, settings);
    let mut users = server.users.all();
    users.retain(|user| user.name() != DEFAULT_USER || *user.rules() != plain);
    let line = |user: &std::sync::Arc<crate::node::User>| {
        let words = user.rules().words();
        let words: Vec<String> =
            std::iter::once(user.name()).chain(words.iter().map(Vec::as_slice)).map(quoted).collect();
        words.join(" ")
    };
    users.iter().map(line).collect()
}
