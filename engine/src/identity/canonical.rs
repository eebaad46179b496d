//! Canonical form of texts (NFKC_Casefold).

use icu_casemap::CaseMapper;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;
use zeroize::Zeroizing;

/// Applies NFKC_Casefold (UAX #44), which removes case, compatibility forms and default ignorable code points.
/// `Straße`, `STRASSE`, `ｓｔｒａｓｓｅ` and `Stra\u{200B}ße` become equal. Surrounding white space is dropped.
///
/// One step can create work for another: a spacing accent becomes a space and a combining accent, for example. So the
/// steps repeat until the text is stable, as in the definition of the property. The text may be a password, so
/// intermediate copies are wiped.
pub fn canonical(text: &str) -> Zeroizing<String> {
    /// Two steps suffice for normalization and case folding alone (definition D146).
    const MAX_STEPS: usize = 8;
    let mut folded = fold(text);
    for _ in 0..MAX_STEPS {
        let next = fold(&folded);
        if next == folded {
            break;
        }
        folded = next;
    }
    folded
}

fn fold(text: &str) -> Zeroizing<String> {
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    let nfd = DecomposingNormalizerBorrowed::new_nfd();
    let nfkc = ComposingNormalizerBorrowed::new_nfkc();
    let mut visible = Zeroizing::new(String::with_capacity(text.len()));
    visible.extend(text.chars().filter(|char| !ignorable.contains(*char)));
    let decomposed = Zeroizing::new(nfd.normalize(&visible).into_owned());
    let folded = Zeroizing::new(CaseMapper::new().fold_string(&decomposed).into_owned());
    let composed = Zeroizing::new(nfkc.normalize(&folded).into_owned());
    Zeroizing::new(composed.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_is_idempotent() {
        for text in ["ᾳͅ", "ǰ̣", "K", "ſ", "Å", "㎒", "ΐ", "İ", "ﷺ"] {
            assert_eq!(canonical(&canonical(text)), canonical(text), "{text}");
        }
        // Testing all characters takes minutes. These blocks have nearly all that have case or compatibility forms or
        // are ignorable.
        let blocks = [
            '\0'..'\u{2000}',
            '\u{2000}'..'\u{3400}',
            '\u{F900}'..'\u{FFFF}',
        ];
        let beyond = [
            '\u{1D400}'..'\u{1D800}',
            '\u{1E900}'..'\u{1EF00}',
            '\u{E0000}'..'\u{E0200}',
        ];
        for char in blocks.into_iter().chain(beyond).flatten() {
            let once = canonical(&format!("a{char}\u{301}"));
            assert_eq!(fold(&once), once, "{char:?}");
        }
    }
}
