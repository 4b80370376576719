//! What bounds the work of one call.

/// The most bytes of a text that is made.
pub(super) const LONGEST: usize = 512 << 20;
/// After so many values it is asked whether the script goes on.
pub(super) const PIECE: u32 = 4096;
/// The deepest that values may nest, whatever a script allows: reading and writing recurse, and each level takes up to
/// three of the interpreter's 8 000 references to values.
pub(super) const DEEPEST: i64 = 1500;

/// The name of a value's type as Lua has it.
pub(super) fn type_of(value: &mlua::Value) -> &'static str {
    match value {
        mlua::Value::Integer(_) => "number",
        mlua::Value::LightUserData(_) => "userdata",
        other => other.type_name(),
    }
}
