//! Positions on the earth as scores of sorted sets, as in Redis. A score is the number of a cell in a grid of 2^26
//! columns and 2^26 rows over the latitudes of the Mercator projection. The number interleaves the bits of column and
//! row (a geohash of 52 bits). A search reads up to nine cells of a coarser grid, see [`areas`].
//!
//! Source: Redis's documentation of GEOADD and GEOSEARCH, and the definition of geohashes (base 32, 2008).

use std::f64::consts::PI;

/// Degrees of longitude and latitude.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coordinates {
    /// From -180 to 180.
    pub longitude: f64,
    /// From -85.05112878 to 85.05112878 in stored positions.
    pub latitude: f64,
}

/// The bounds of a grid or a cell in degrees: west and east, south and north.
struct Extent {
    longitude: (f64, f64),
    latitude: (f64, f64),
}

const LONGITUDE: (f64, f64) = (-180.0, 180.0);
/// The latitudes of the Mercator projection (EPSG:3857).
const LATITUDE: (f64, f64) = (-85.051_128_78, 85.051_128_78);
const MERCATOR: Extent = Extent { longitude: LONGITUDE, latitude: LATITUDE };
/// The grid of geohashes in text form.
const WHOLE: Extent = Extent { longitude: LONGITUDE, latitude: (-90.0, 90.0) };

/// Binary digits of a stored column, and of a stored row.
const STEPS: u32 = 26;
/// In metres.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half of the projection's equator in metres.
const MERCATOR_MAX: f64 = 20_037_726.37;
const BASE32: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

fn radians(degrees: f64) -> f64 {
    degrees * (PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (PI / 180.0)
}

/// Puts a zero bit before each bit of a number.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Every second bit of a number, from the lowest bit on.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & 0x5555_5555_5555_5555;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

/// A cell of a grid of 2^steps columns and rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    bits: u64,
    steps: u32,
}

impl Cell {
    /// The cell that has a position.
    fn of(position: Coordinates, extent: &Extent, steps: u32) -> Self {
        let part = |at: f64, (low, high): (f64, f64)| {
            let offset = (at - low) / (high - low) * (1u64 << steps) as f64;
            offset as u32
        };
        let row = part(position.latitude, extent.latitude);
        let column = part(position.longitude, extent.longitude);
        Self { bits: spread(row) | spread(column) << 1, steps }
    }

    /// The bounds of the cell in the projection's grid.
    fn extent(self) -> Extent {
        let side = |number: u32, (low, high): (f64, f64)| {
            let cells = (1u64 << self.steps) as f64;
            let at = |number: f64| low + number / cells * (high - low);
            (at(f64::from(number)), at(f64::from(number) + 1.0))
        };
        Extent {
            longitude: side(gather(self.bits >> 1), LONGITUDE),
            latitude: side(gather(self.bits), LATITUDE),
        }
    }

    /// The cell `east` columns to the east and `north` rows to the north, around the ends of the grid. A position at
    /// the east or north end of the grid is in a column or row behind the last one; a shift by 0 leaves it there.
    fn beside(self, east: i32, north: i32) -> Self {
        let mask = (1u32 << self.steps) - 1;
        let wrapped = |number: u32, by: i32| {
            if by == 0 { number } else { number.wrapping_add_signed(by) & mask }
        };
        let (column, row) = (wrapped(gather(self.bits >> 1), east), wrapped(gather(self.bits), north));
        Self { bits: spread(row) | spread(column) << 1, steps: self.steps }
    }

    /// The scores of all positions in the cell: from the first number on, below the second.
    fn scores(self) -> (f64, f64) {
        let shift = 2 * (STEPS - self.steps);
        ((self.bits << shift) as f64, ((self.bits + 1) << shift) as f64)
    }
}

impl Coordinates {
    /// Whether the position can be stored.
    pub fn is_valid(self) -> bool {
        let within = |at: f64, (low, high): (f64, f64)| (low..=high).contains(&at);
        within(self.longitude, LONGITUDE) && within(self.latitude, LATITUDE)
    }

    /// The position's score: the number of its cell.
    pub fn to_score(self) -> u64 {
        Cell::of(self, &MERCATOR, STEPS).bits
    }

    /// The middle of the cell with this number. A score that is not the number of a cell gives an unspecified valid
    /// position.
    pub fn from_score(score: f64) -> Self {
        let cell = Cell { bits: score as i64 as u64, steps: STEPS };
        let Extent { longitude, latitude } = cell.extent();
        let middle =
            |(from, to): (f64, f64), (low, high): (f64, f64)| f64::midpoint(from, to).clamp(low, high);
        Self { longitude: middle(longitude, LONGITUDE), latitude: middle(latitude, LATITUDE) }
    }

    /// The position as a geohash of eleven characters. The last one is always 0, because 52 bits fill only ten.
    pub fn to_text(self) -> [u8; 11] {
        let bits = Cell::of(self, &WHOLE, STEPS).bits;
        let mut text = [b'0'; 11];
        for (at, char) in text[..10].iter_mut().enumerate() {
            *char = BASE32[(bits >> (52 - (at + 1) * 5) & 0x1f) as usize];
        }
        text
    }

    /// The distance to another position in metres, along a great circle of a sphere (haversine formula).
    pub fn distance(self, other: Self) -> f64 {
        let v = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        if v == 0.0 {
            return self.distance_north(other);
        }
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let u = ((to - from) / 2.0).sin();
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }

    /// The distance between the latitudes of two positions in metres.
    fn distance_north(self, other: Self) -> f64 {
        EARTH_RADIUS * (radians(other.latitude) - radians(self.latitude)).abs()
    }
}

/// The shape that a search covers, in metres.
#[derive(Clone, Copy, Debug)]
pub enum SearchArea {
    /// The positions within this radius.
    Circle(f64),
    /// The positions within half of the width to the west and east, and half of the height to the south and north.
    Box {
        /// From west to east.
        width: f64,
        /// From south to north.
        height: f64,
    },
}

impl SearchArea {
    /// The distance from the middle in metres, if the shape covers the position.
    pub fn distance(self, middle: Coordinates, to: Coordinates) -> Option<f64> {
        match self {
            Self::Circle(radius) => {
                let distance = middle.distance(to);
                (distance <= radius).then_some(distance)
            }
            Self::Box { width, height } => {
                if to.distance_north(middle) > height / 2.0 {
                    return None;
                }
                let beside = Coordinates { longitude: middle.longitude, latitude: to.latitude };
                (to.distance(beside) <= width / 2.0).then(|| middle.distance(to))
            }
        }
    }

    /// The smallest bounds in degrees that cover the shape, apart from wide shapes near the poles.
    fn extent(self, middle: Coordinates) -> Extent {
        let (width, height) = match self {
            Self::Circle(radius) => (radius, radius),
            Self::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Coordinates { longitude, latitude } = middle;
        let north = degrees(height / EARTH_RADIUS);
        // A degree of longitude is shortest at the latitude nearest to a pole.
        let nearest = if latitude < 0.0 { latitude - north } else { latitude + north };
        let east = degrees(width / EARTH_RADIUS / radians(nearest).cos());
        Extent {
            longitude: (longitude - east, longitude + east),
            latitude: (latitude - north, latitude + north),
        }
    }

    /// Binary digits of a grid in which nine cells around a position usually cover the shape.
    fn steps(self, latitude: f64) -> u32 {
        let mut radius = match self {
            Self::Circle(radius) => radius,
            Self::Box { width, height } => (width / 2.0).hypot(height / 2.0),
        };
        if radius == 0.0 {
            return STEPS;
        }
        let mut steps = 1;
        while radius < MERCATOR_MAX {
            radius *= 2.0;
            steps += 1;
        }
        // Redis's margins: two digits fewer, and fewer still near the poles.
        steps -= 2;
        if latitude.abs() > 66.0 {
            steps -= 1;
        }
        if latitude.abs() > 80.0 {
            steps -= 1;
        }
        steps.clamp(1, STEPS as i32) as u32
    }
}

/// Ranges of scores, each from its first number on, below its second. Together they have all positions that a shape
/// around a position covers, except for wide shapes near the poles, and other positions too. The ranges do not overlap.
/// Their order is Redis's: the middle cell, north, south, east, west, and the corners.
pub fn areas(middle: Coordinates, shape: SearchArea) -> Vec<(f64, f64)> {
    let wanted = shape.extent(middle);
    let mut steps = shape.steps(middle.latitude);
    let mut cell = Cell::of(middle, &MERCATOR, steps);
    let falls_short = cell.beside(0, 1).extent().latitude.1 < wanted.latitude.1
        || cell.beside(0, -1).extent().latitude.0 > wanted.latitude.0
        || cell.beside(1, 0).extent().longitude.1 < wanted.longitude.1
        || cell.beside(-1, 0).extent().longitude.0 > wanted.longitude.0;
    if steps > 1 && falls_short {
        steps -= 1;
        cell = Cell::of(middle, &MERCATOR, steps);
    }
    let own = cell.extent();
    let needed = |(east, north): (i32, i32)| {
        steps < 2
            || !(north < 0 && own.latitude.0 < wanted.latitude.0
                || north > 0 && own.latitude.1 > wanted.latitude.1
                || east < 0 && own.longitude.0 < wanted.longitude.0
                || east > 0 && own.longitude.1 > wanted.longitude.1)
    };
    let around = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)];
    let mut cells: Vec<Cell> = Vec::with_capacity(around.len());
    for side in around.into_iter().filter(|side| needed(*side)) {
        let beside = cell.beside(side.0, side.1);
        // In a grid of two columns the cell to the east is also the cell to the west.
        if !cells.contains(&beside) {
            cells.push(beside);
        }
    }
    cells.into_iter().map(Cell::scores).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position() -> impl Strategy<Value = Coordinates> {
        (-180.0..180.0, -85.051_128_78..85.051_128_78)
            .prop_map(|(longitude, latitude)| Coordinates { longitude, latitude })
    }

    fn shape() -> impl Strategy<Value = SearchArea> {
        prop_oneof![
            (0.0..2e6).prop_map(SearchArea::Circle),
            (0.0..2e6, 0.0..2e6).prop_map(|(width, height)| SearchArea::Box { width, height }),
        ]
    }

    proptest! {
        #[test]
        fn the_middle_of_a_cell_is_in_the_cell(at in position()) {
            let score = at.to_score();
            let middle = Coordinates::from_score(score as f64);
            prop_assert_eq!(middle.to_score(), score);
            prop_assert!(middle.distance(at) < 0.5);
        }

        /// Near the poles the cells do not cover a wide shape, as in Redis.
        #[test]
        fn areas_hold_what_the_shape_covers(
            middle in position().prop_filter("far from the poles", |at| at.latitude.abs() < 60.0),
            (east, north) in (-15.0f64..15.0, -10.0f64..10.0),
            shape in shape(),
        ) {
            let longitude = (middle.longitude + east + 540.0).rem_euclid(360.0) - 180.0;
            let at = Coordinates { longitude, latitude: middle.latitude + north };
            let at = Coordinates::from_score(at.to_score() as f64);
            let score = at.to_score() as f64;
            let areas = areas(middle, shape);
            let holding = areas.iter().filter(|(first, end)| (*first..*end).contains(&score)).count();
            prop_assert!(holding <= 1);
            prop_assert!(holding == 1 || shape.distance(middle, at).is_none());
        }
    }

    #[test]
    fn known_positions_have_known_texts() {
        let palermo = Coordinates { longitude: 13.361_389, latitude: 38.115_556 };
        assert_eq!(&palermo.to_text(), b"sqc8b49rny0");
        assert_eq!(palermo.to_score(), 3_479_099_956_230_698);
        let catania = Coordinates { longitude: 15.087_269, latitude: 37.502_669 };
        assert!((palermo.distance(catania) - 166_274.15).abs() < 1.0);
    }
}
