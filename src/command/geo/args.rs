//! Positions and units in arguments.

use crate::command::{Fail, eq, parse_float};
use crate::value::geo::Coordinates;

/// Reads `longitude latitude`.
pub(super) fn parse_position(longitude: &[u8], latitude: &[u8]) -> Result<Coordinates, Fail> {
    let position = Coordinates { longitude: parse_float(longitude)?, latitude: parse_float(latitude)? };
    if position.is_valid() {
        return Ok(position);
    }
    let Coordinates { longitude, latitude } = position;
    Err(Fail::text(format!("ERR invalid longitude,latitude pair {longitude:.6},{latitude:.6}")))
}

/// The unit in metres.
pub(super) fn parse_unit(unit: &[u8]) -> Result<f64, Fail> {
    match unit {
        unit if eq(unit, "m") => Ok(1.0),
        unit if eq(unit, "km") => Ok(1000.0),
        unit if eq(unit, "ft") => Ok(0.3048),
        unit if eq(unit, "mi") => Ok(1609.34),
        _ => Err(Fail::new("ERR unsupported unit provided. please use M, KM, FT, MI")),
    }
}
