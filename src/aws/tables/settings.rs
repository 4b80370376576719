//! A table's class and encryption, which are kept and reported without effect, and its protection against deletion.

use super::super::body::{Body, Violations};
use super::super::json::ObjectWriter;
use crate::item::TableSchema;

/// The table's class, if it was ever given.
const CLASS: &str = "class";
/// When the class was changed, in ms.
const CLASS_SINCE: &str = "class-since";
/// Set if the table is protected against deletion.
const PROTECTED: &str = "protected";
/// The ARN of the key that the table is encrypted with, if that is not the service's own.
const ENCRYPTED: &str = "encrypted";
/// The text before a key's name in an ARN.
const KEY_ARN: &str = "arn:aws:kms:us-east-1:000000000000:";
/// The key that AWS keeps for an account.
const DEFAULT_KEY: &str = "key/00000000-0000-4000-8000-000000000001";

/// Constraints on the members that CreateTable and UpdateTable share.
pub(super) fn constrain(body: Body<'_>, violations: &mut Violations) {
    violations.one_of(body, "BillingMode", &["PROVISIONED", "PAY_PER_REQUEST"]);
    violations.one_of(body, "TableClass", &["STANDARD", "STANDARD_INFREQUENT_ACCESS"]);
    if let Some(encryption) = body.map("SSESpecification") {
        violations.within("sSESpecification.".to_owned());
        violations.one_of(encryption, "SSEType", &["AES256", "KMS"]);
        violations.within(String::new());
    }
    super::throughput::constrain(body, violations);
}

/// Puts class, protection and encryption into the schema.
pub(super) fn put(body: Body<'_>, schema: &mut TableSchema) {
    if let Some(class) = body.text("TableClass") {
        schema.settings.insert(CLASS.to_owned(), class.to_owned());
    }
    if body.bool("DeletionProtectionEnabled") {
        schema.settings.insert(PROTECTED.to_owned(), String::new());
    } else if body.get("DeletionProtectionEnabled").is_some() {
        schema.settings.remove(PROTECTED);
    }
    match body.map("SSESpecification") {
        Some(encryption) if encryption.bool("Enabled") => {
            let key = match encryption.text("KMSMasterKeyId") {
                None => format!("{KEY_ARN}{DEFAULT_KEY}"),
                Some(arn) if arn.starts_with("arn:") => arn.to_owned(),
                Some(alias) if alias.starts_with("alias/") => format!("{KEY_ARN}{alias}"),
                Some(id) => format!("{KEY_ARN}key/{id}"),
            };
            schema.settings.insert(ENCRYPTED.to_owned(), key);
        }
        Some(_) => drop(schema.settings.remove(ENCRYPTED)),
        None => {}
    }
}

/// Notes when a table's class was changed.
pub(super) fn note_changes(old: &TableSchema, new: &mut TableSchema, now: u64) {
    if old.settings.get(CLASS) != new.settings.get(CLASS) {
        new.settings.insert(CLASS_SINCE.to_owned(), now.to_string());
    }
}

/// Whether a table is protected against deletion.
pub(super) fn is_protected(schema: &TableSchema) -> bool {
    schema.settings.contains_key(PROTECTED)
}

/// The members on class and encryption.
pub(super) fn describe(schema: &TableSchema, object: &mut ObjectWriter<'_>) {
    let setting = |name: &str| schema.settings.get(name).map(String::as_str);
    if let Some(class) = setting(CLASS) {
        object.object("TableClassSummary", |object| {
            object.text("TableClass", class);
            if let Some(since) = setting(CLASS_SINCE).and_then(|since| since.parse::<u64>().ok()) {
                object.double("LastUpdateDateTime", since as f64 / 1000.0);
            }
        });
    }
    if let Some(key) = setting(ENCRYPTED) {
        object.object("SSEDescription", |object| {
            object.text("Status", "ENABLED");
            object.text("SSEType", "KMS");
            object.text("KMSMasterKeyArn", key);
        });
    }
}
