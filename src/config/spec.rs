//! What is known of an option, and the macro that declares a table of them.

use super::value::Words;
use crate::text::quoted;

/// When an option may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Changeable {
    /// At start and by CONFIG SET.
    Live,
    /// Only at start.
    Fixed,
    /// CONFIG SET may change it only if `enable-protected-configs` allows that.
    Guarded,
}

/// Something special about an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trait {
    /// The value is never logged and never stands in an error.
    Secret,
    /// CONFIG GET reports it only when asked by its exact name.
    Hidden,
    /// CONFIG SET is refused while data is being loaded.
    NotWhileLoading,
}

/// Reads an option's words into the settings; `true` if the same source named the option before.
pub(super) type Parse<S> = fn(&mut S, &[Vec<u8>], bool) -> Result<(), String>;

/// One option of the settings `S`. CONFIG, `--help`, the documentation and the sample file derive from it.
pub struct OptionOf<S> {
    /// The name users write.
    pub name: &'static str,
    /// Other spellings of the name; CONFIG GET reports each beside the name, as Redis does.
    pub aliases: &'static [&'static str],
    /// The heading under which it is documented.
    pub section: &'static str,
    /// When it may change.
    pub change: Changeable,
    /// Why the option has no effect here, if it has none.
    pub no_effect: Option<&'static str>,
    /// CONFIG SET splits its value into words at spaces.
    pub multi: bool,
    pub(super) traits: &'static [Trait],
    pub(super) doc: &'static str,
    pub(super) always_written: bool,
    pub(super) parse: Parse<S>,
    pub(super) show: fn(&S) -> Vec<u8>,
    pub(super) lines: fn(&S) -> Vec<Words>,
    pub(super) same: fn(&S, &S) -> bool,
    pub(super) describe: fn() -> String,
}

impl<S> OptionOf<S> {
    /// What the option does, in one or two sentences.
    pub fn doc(&self) -> &'static str {
        self.doc.trim()
    }

    /// The value is never logged and never stands in an error.
    pub fn is_secret(&self) -> bool {
        self.has(Trait::Secret)
    }

    /// Left out of CONFIG GET patterns and of the documentation.
    pub fn is_hidden(&self) -> bool {
        self.has(Trait::Hidden)
    }

    /// The text after the option's name in a file, an element per line. Words may hold any bytes: the text never
    /// contains the end of a line, and reading it gives the same words.
    pub(super) fn written(&self, settings: &S) -> Vec<String> {
        let line = |words: &Words| match words.as_slice() {
            [] => quoted(b""),
            words => words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "),
        };
        (self.lines)(settings).iter().map(line).collect()
    }

    pub(super) fn has(&self, wanted: Trait) -> bool {
        self.traits.contains(&wanted)
    }

    /// The name and the other spellings.
    pub fn spellings(&self) -> impl Iterator<Item = &'static str> + use<S> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }
}

/// Declares a struct with a field per option, its defaults, and the table of [`OptionOf`]s.
///
/// An entry reads: doc comment, `"name" | "alias" => field: Type [rule] = default, Changeable + Trait;`. The rule may
/// be left out. A section's name is followed by the reason why its options have no effect, or by `None` if they have
/// one. The table serves all settings that contain the struct.
macro_rules! options {
    (
        $(#[$about:meta])*
        struct $Struct:ident {
            $($(#[$extra_doc:meta])* $extra:ident: $extra_type:ty = $extra_default:expr;)*
        }
        $(
            section $section:literal, $no_effect:expr => {$(
                $(#[doc = $doc:literal])+
                $name:literal $(| $alias:literal)* => $field:ident: $type:ty $([$rule:expr])? = $default:expr,
                    $change:ident $(+ $trait:ident)*;
            )+}
        )+
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $Struct {
            $($($(#[doc = $doc])+ pub $field: $type,)+)+
            $($(#[$extra_doc])* pub $extra: $extra_type,)*
        }

        impl Default for $Struct {
            fn default() -> Self {
                Self { $($($field: $default,)+)+ $($extra: $extra_default,)* }
            }
        }

        // The array is a constant and never on the stack.
        #[allow(clippy::large_stack_arrays)]
        pub(super) fn table<S: AsRef<$Struct> + AsMut<$Struct>>() -> &'static [$crate::config::spec::OptionOf<S>] {
            use $crate::config::{spec::{Changeable, OptionOf, Trait, options}, value::OptionValue};
            const { &[$($({
                fn rule() -> <$type as OptionValue>::Rule {
                    options!(@rule $($rule)?)
                }
                OptionOf {
                    name: $name,
                    aliases: &[$($alias),*],
                    section: $section,
                    change: Changeable::$change,
                    no_effect: $no_effect,
                    multi: <$type as OptionValue>::MULTI,
                    traits: &[$(Trait::$trait),*],
                    doc: concat!($($doc),+),
                    always_written: <$type as OptionValue>::ALWAYS_WRITTEN,
                    parse: |settings: &mut S, words, again| {
                        let field = &mut settings.as_mut().$field;
                        *field = <$type as OptionValue>::parse(&rule(), words, field, again)?;
                        Ok(())
                    },
                    show: |settings: &S| settings.as_ref().$field.show(&rule()),
                    lines: |settings: &S| settings.as_ref().$field.lines(&rule()),
                    same: |one: &S, other: &S| one.as_ref().$field == other.as_ref().$field,
                    describe: || <$type as OptionValue>::describe(&rule()),
                }
            },)+)+] }
        }
    };
    (@rule) => { Default::default() };
    (@rule $rule:expr) => { $rule };
}
pub(super) use options;
