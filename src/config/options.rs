//! All options together.

use super::accepted;
use super::settings::{self, Settings};
use super::spec::OptionOf;

/// What is known of an option.
pub type OptionSpec = OptionOf<Settings>;

/// All options, those with an effect first.
pub fn specs() -> impl Iterator<Item = &'static OptionSpec> {
    settings::table().iter().chain(accepted::table())
}

/// Finds an option by any of its spellings, whatever the case. Linear in the number of options.
pub fn find(name: &[u8]) -> Option<&'static OptionSpec> {
    find_spelling(name).map(|(spec, _)| spec)
}

/// As [`find`], with the spelling that was used.
pub(super) fn find_spelling(name: &[u8]) -> Option<(&'static OptionSpec, &'static str)> {
    specs().find_map(|spec| {
        let spelling = spec.spellings().find(|known| known.as_bytes().eq_ignore_ascii_case(name))?;
        Some((spec, spelling))
    })
}
