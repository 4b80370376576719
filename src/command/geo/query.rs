//! The arguments of searches.

use super::args::{parse_position, parse_unit};
use crate::command::{Fail, eq, fail, parse_int};
use crate::text::parse_f64;
use crate::value::geo::{Coordinates, SearchArea};
use crate::value::zset::ZsetRef;

/// The command of a search.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SearchForm {
    /// GEORADIUS.
    AroundPosition { may_store: bool },
    /// GEORADIUSBYMEMBER.
    AroundMember { may_store: bool },
    /// GEOSEARCH.
    Search,
    /// GEOSEARCHSTORE.
    SearchStore,
}

impl SearchForm {
    fn is_search(self) -> bool {
        matches!(self, Self::Search | Self::SearchStore)
    }

    fn may_store(self) -> bool {
        matches!(self, Self::AroundPosition { may_store: true } | Self::AroundMember { may_store: true })
    }
}

/// The order of members in the reply.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Sorting {
    /// The order of [`areas`](crate::value::geo::areas) and, within an area, of scores.
    None,
    /// By ascending distance.
    Ascending,
    /// By descending distance.
    Descending,
}

/// The request of a search.
pub(super) struct SearchRequest<'a> {
    /// The middle of the shape; `None` if FROMMEMBER or GEORADIUSBYMEMBER names a sorted set that does not exist.
    pub(super) middle: Option<Coordinates>,
    pub(super) shape: SearchArea,
    /// The unit of the distances in the reply, in metres.
    pub(super) unit: f64,
    pub(super) sorting: Sorting,
    /// The maximal number of members; 0 for all.
    pub(super) count: usize,
    /// Whether the search ends once it has found `count` members, rather than returning the nearest ones.
    pub(super) any: bool,
    pub(super) with_distance: bool,
    pub(super) with_hash: bool,
    pub(super) with_position: bool,
    /// The key to store the members at.
    pub(super) target: Option<&'a [u8]>,
    /// Whether distances are stored as scores, instead of the members' own scores.
    pub(super) stores_distances: bool,
}

/// The middle and the shape, while options are read.
#[derive(Default)]
struct Parts {
    middle: Option<Coordinates>,
    /// FROMMEMBER was given; the sorted set may not exist.
    from_member: bool,
    from_position: bool,
    circle: Option<(f64, f64)>,
    bounds: Option<(f64, f64, f64)>,
}

fn parse_number(arg: &[u8], needed: &'static str) -> Result<f64, Fail> {
    parse_f64(arg).filter(|number| !number.is_nan()).ok_or(Fail::new(needed))
}

/// Reads `radius unit`.
fn parse_radius(radius: &[u8], unit: &[u8]) -> Result<(f64, f64), Fail> {
    let radius = parse_number(radius, "ERR need numeric radius")?;
    if radius < 0.0 {
        return Err(Fail::new("ERR radius cannot be negative"));
    }
    Ok((radius, parse_unit(unit)?))
}

/// Reads `width height unit`.
fn parse_box(width: &[u8], height: &[u8], unit: &[u8]) -> Result<(f64, f64, f64), Fail> {
    let width = parse_number(width, "ERR need numeric width")?;
    let height = parse_number(height, "ERR need numeric height")?;
    if height < 0.0 || width < 0.0 {
        return Err(Fail::new("ERR height or width cannot be negative"));
    }
    Ok((width, height, parse_unit(unit)?))
}

/// The position of a member; `None` if there is no sorted set. A member that is not in the set is an error.
fn position_of(set: Option<ZsetRef<'_>>, member: &[u8]) -> Result<Option<Coordinates>, Fail> {
    let Some(set) = set else { return Ok(None) };
    let score = set.score(member).ok_or(Fail::new("ERR could not decode requested zset member"))?;
    Ok(Some(Coordinates::from_score(score)))
}

impl<'a> SearchRequest<'a> {
    /// Reads a command's arguments. `set` has the member that is the middle, if the command names one.
    pub(super) fn parse(args: &[&'a [u8]], form: SearchForm, set: Option<ZsetRef<'_>>) -> Result<Self, Fail> {
        let mut parts = Parts::default();
        let begin = match form {
            SearchForm::AroundPosition { .. } => {
                parts.middle = Some(parse_position(args[2], args[3])?);
                parts.circle = Some(parse_radius(args[4], args[5])?);
                6
            }
            SearchForm::AroundMember { .. } => {
                parts.middle = position_of(set, args[2])?;
                // If there is no sorted set, Redis does not check the radius.
                parts.circle = Some(set.map_or(Ok((0.0, 1.0)), |_| parse_radius(args[3], args[4]))?);
                5
            }
            SearchForm::Search => 2,
            SearchForm::SearchStore => 3,
        };
        let mut query = Self {
            middle: None,
            shape: SearchArea::Circle(0.0),
            unit: 1.0,
            sorting: Sorting::None,
            count: 0,
            any: false,
            with_distance: false,
            with_hash: false,
            with_position: false,
            target: (form == SearchForm::SearchStore).then(|| args[1]),
            stores_distances: false,
        };
        let mut rest = &args[begin..];
        while let [word, tail @ ..] = rest {
            rest = query
                .option(word, tail, form)
                .or_else(|| parts.option(word, tail, form, set))
                .ok_or(fail::SYNTAX)??;
        }
        query.check(&parts, form, args[0])?;
        query.middle = parts.middle;
        (query.shape, query.unit) = match (parts.circle, parts.bounds) {
            (_, Some((width, height, unit))) => {
                (SearchArea::Box { width: width * unit, height: height * unit }, unit)
            }
            (Some((radius, unit)), None) => (SearchArea::Circle(radius * unit), unit),
            (None, None) => (SearchArea::Circle(0.0), 1.0),
        };
        // COUNT without ANY returns the nearest members.
        if query.count > 0 && query.sorting == Sorting::None && !query.any {
            query.sorting = Sorting::Ascending;
        }
        Ok(query)
    }

    /// Reads an option that does not belong to the middle or the shape. Returns the arguments behind it, or `None` if
    /// the option is not one of these.
    fn option<'r>(
        &mut self,
        word: &[u8],
        tail: &'r [&'a [u8]],
        form: SearchForm,
    ) -> Option<Result<&'r [&'a [u8]], Fail>> {
        match (word, tail) {
            (word, _) if eq(word, "withdist") => self.with_distance = true,
            (word, _) if eq(word, "withhash") => self.with_hash = true,
            (word, _) if eq(word, "withcoord") => self.with_position = true,
            (word, _) if eq(word, "any") => self.any = true,
            (word, _) if eq(word, "asc") => self.sorting = Sorting::Ascending,
            (word, _) if eq(word, "desc") => self.sorting = Sorting::Descending,
            (word, [count, tail @ ..]) if eq(word, "count") => {
                let count = match parse_int(count) {
                    Ok(count) if count > 0 => count,
                    Ok(_) => return Some(Err(Fail::new("ERR COUNT must be > 0"))),
                    Err(error) => return Some(Err(error)),
                };
                self.count = usize::try_from(count).unwrap_or(usize::MAX);
                return Some(Ok(tail));
            }
            (word, [key, tail @ ..]) if form.may_store() && (eq(word, "store") || eq(word, "storedist")) => {
                self.target = Some(key);
                self.stores_distances = eq(word, "storedist");
                return Some(Ok(tail));
            }
            (word, _) if form == SearchForm::SearchStore && eq(word, "storedist") => {
                self.stores_distances = true;
            }
            _ => return None,
        }
        Some(Ok(tail))
    }

    /// Checks the combination of options.
    fn check(&self, parts: &Parts, form: SearchForm, command: &[u8]) -> Result<(), Fail> {
        let fail = |text: &str| Err(Fail::text(format!("ERR {text}")));
        if self.target.is_some() && (self.with_distance || self.with_hash || self.with_position) {
            let what = match form {
                SearchForm::SearchStore => "GEOSEARCHSTORE",
                _ => "STORE option in GEORADIUS",
            };
            return fail(&format!("{what} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"));
        }
        let command = String::from_utf8_lossy(command);
        if form.is_search() && !parts.from_member && !parts.from_position {
            return fail(&format!("exactly one of FROMMEMBER or FROMLONLAT can be specified for {command}"));
        }
        if form.is_search() && parts.circle.is_none() && parts.bounds.is_none() {
            return fail(&format!("exactly one of BYRADIUS and BYBOX can be specified for {command}"));
        }
        if self.any && self.count == 0 {
            return fail("the ANY argument requires COUNT argument");
        }
        Ok(())
    }
}

impl Parts {
    /// Reads an option of the middle or the shape, as [`SearchRequest::option`] does.
    fn option<'r, 'a>(
        &mut self,
        word: &[u8],
        tail: &'r [&'a [u8]],
        form: SearchForm,
        set: Option<ZsetRef<'_>>,
    ) -> Option<Result<&'r [&'a [u8]], Fail>> {
        if !form.is_search() {
            return None;
        }
        match (word, tail) {
            (word, [member, tail @ ..]) if eq(word, "frommember") && !self.from_position => {
                Some(position_of(set, member).map(|middle| {
                    (self.middle, self.from_member) = (middle, true);
                    tail
                }))
            }
            (word, [longitude, latitude, tail @ ..]) if eq(word, "fromlonlat") && !self.from_member => {
                Some(parse_position(longitude, latitude).map(|middle| {
                    (self.middle, self.from_position) = (Some(middle), true);
                    tail
                }))
            }
            (word, [radius, unit, tail @ ..]) if eq(word, "byradius") && self.bounds.is_none() => {
                Some(parse_radius(radius, unit).map(|circle| {
                    self.circle = Some(circle);
                    tail
                }))
            }
            (word, [width, height, unit, tail @ ..]) if eq(word, "bybox") && self.circle.is_none() => {
                Some(parse_box(width, height, unit).map(|bounds| {
                    self.bounds = Some(bounds);
                    tail
                }))
            }
            _ => None,
        }
    }
}
