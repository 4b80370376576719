//! `cjson`, with the behaviour and the error texts of the library that Redis has. What a script configures is forgotten
//! with the script.

mod limits;
mod read;
mod settings;
mod write;

use mlua::{Lua, Result, Table, Value};
pub(super) use settings::reset;

/// The library.
pub(super) fn library(lua: &Lua) -> Result<Table> {
    let library = lua.create_table()?;
    library.raw_set("_NAME", "cjson")?;
    library.raw_set("_VERSION", "2.1.0")?;
    library.raw_set("null", Value::NULL)?;
    library.raw_set("encode", lua.create_function(write::encode)?)?;
    library.raw_set("decode", lua.create_function(read::decode)?)?;
    library.raw_set("encode_sparse_array", lua.create_function(settings::encode_sparse_array)?)?;
    library
        .raw_set("encode_max_depth", lua.create_function(|lua, args| settings::depth(lua, &args, true))?)?;
    library
        .raw_set("decode_max_depth", lua.create_function(|lua, args| settings::depth(lua, &args, false))?)?;
    library.raw_set("encode_number_precision", lua.create_function(settings::encode_number_precision)?)?;
    library.raw_set("encode_keep_buffer", lua.create_function(settings::encode_keep_buffer)?)?;
    library.raw_set("encode_invalid_numbers", lua.create_function(settings::encode_invalid_numbers)?)?;
    library.raw_set("decode_invalid_numbers", lua.create_function(settings::decode_invalid_numbers)?)?;
    library.raw_set("new", lua.create_function(|lua, ()| library_without_new(lua))?)?;
    Ok(library)
}

fn library_without_new(lua: &Lua) -> Result<Table> {
    let copy = library(lua)?;
    copy.raw_set("new", Value::Nil)?;
    Ok(copy)
}
