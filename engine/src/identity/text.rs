//! Validation of a line of text.

pub(super) const BLANK: &str = "This field may not be blank.";
const CONTROL_CHARACTERS: &str = "Control characters are not allowed.";

/// Whether a character can garble a line of text: control characters (General_Category Cc), line and paragraph
/// separators (Zl, Zp), and bidi controls (Bidi_Control, UAX #9). Also U+10FFFF, a noncharacter that marks the end of
/// key ranges.
pub fn is_control(char: char) -> bool {
    char.is_control()
        || char == char::MAX
        || matches!(char, '\u{2028}' | '\u{2029}')
        || matches!(char, '\u{61C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Accepts 1 to `max` characters without [control characters](is_control), and drops surrounding white space. White
/// space counts towards `max`, as in a JSON Schema's `maxLength`.
///
/// # Errors
/// A message for the user.
pub fn validate_line(text: &str, max: usize) -> Result<&str, String> {
    // Before trimming, which would drop them as white space.
    if text.contains(['\u{2028}', '\u{2029}']) {
        return Err(CONTROL_CHARACTERS.into());
    }
    let length = text.chars().count();
    let text = text.trim();
    if text.is_empty() {
        Err(BLANK.into())
    } else if length > max {
        Err(format!(
            "Ensure this field has no more than {max} characters."
        ))
    } else if text.chars().any(is_control) {
        Err(CONTROL_CHARACTERS.into())
    } else {
        Ok(text)
    }
}
