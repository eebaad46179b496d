//! Request bodies: JSON or form fields, parsed into checked values. All invalid fields are reported at once.

mod form_input;
mod multipart;

use std::borrow::Cow;

use rocket::data::{Data, FromData, Outcome};
use rocket::http::RawStr;
use rocket::request::Request;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

pub use self::form_input::FormInput;
use super::content_type::Media;
use super::drain;
use crate::error::{Error, FieldErrors};
use crate::field::{Field, NOT_A_STRING, REQUIRED, RawValue};
use crate::password::Password;

/// A type that is read from the fields of a body.
pub trait Form: Sized {
    /// The maximum size of the body, in bytes.
    const LIMIT: u64 = drain::BODY_LIMIT;

    /// Reads every field, even after an invalid one, so that all are reported. Returns none if any field is invalid.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// A body that is read as `T`. Add `data = "<name>"` and a parameter `name: Body<T>`.
///
/// Fails with 408 if the body does not arrive in time, 413 above its limit, 415 for a content type other than JSON,
/// URL-encoded or multipart, 400 for a malformed body, and 400 with the names of invalid fields. The body is never
/// logged.
pub struct Body<T>(pub T);

#[rocket::async_trait]
impl<'r, T: Form> FromData<'r> for Body<T> {
    type Error = ();

    async fn from_data(request: &'r Request<'_>, data: Data<'r>) -> Outcome<'r, Self> {
        match read(request, data).await {
            Ok(form) => Outcome::Success(Self(form)),
            Err(error) => Outcome::Error((error.stash(request), ())),
        }
    }
}

async fn read<T: Form>(request: &Request<'_>, data: Data<'_>) -> Result<T, Error> {
    // Read before the type is checked, so that a refused body is read too.
    let bytes = Zeroizing::new(drain::read(request, data, T::LIMIT).await?);
    let media = Media::of(request, bytes.is_empty())?;
    let looks_like_json = media != Media::Json && bytes.trim_ascii_start().starts_with(b"{");
    let form = parse(media, &bytes).and_then(Fields::read);
    form.map_err(|error| match error {
        Error::Invalid(fields) if looks_like_json => Error::JsonAsForm(fields),
        Error::Malformed(_) if looks_like_json => Error::JsonAsForm(FieldErrors::default()),
        error => error,
    })
}

fn parse(media: Media, bytes: &[u8]) -> Result<Fields, Error> {
    if bytes.is_empty() {
        return Ok(Fields::default());
    }
    match media {
        Media::Json => parse_json(utf8(bytes)?),
        Media::Form => parse_form(utf8(bytes)?),
        Media::Multipart(boundary) => {
            multipart::parse(bytes.to_vec(), boundary).map(Fields::from_pairs)
        }
    }
}

const BLANK: &str = "This field may not be blank.";

/// For [`Fields::text`]: any text that is not blank.
///
/// # Errors
/// It is blank.
pub fn not_blank(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err(BLANK.into()),
        _ => Ok(text.to_owned()),
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::Malformed("it is not UTF-8"))
}

fn parse_json(text: &str) -> Result<Fields, Error> {
    match serde_json::from_str(text) {
        Ok(Value::Object(values)) => Ok(Fields {
            values,
            is_json: true,
            pairs: vec![],
            errors: FieldErrors::default(),
        }),
        Ok(_) => Err(Error::Malformed("it is not a JSON object")),
        Err(_) => Err(Error::Malformed("it is not valid JSON")),
    }
}

fn parse_form(text: &str) -> Result<Fields, Error> {
    let decode = |text| {
        RawStr::new(text)
            .url_decode()
            .map(Cow::into_owned)
            .map_err(|_| Error::Malformed("it is not UTF-8"))
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decode(name)?, decode(value)?))
    });
    pairs.collect::<Result<_, Error>>().map(Fields::from_pairs)
}

/// The fields of a body, with the errors of those read so far. On drop, the values still in it are wiped from memory,
/// because one may be a password.
#[derive(Default)]
pub struct Fields {
    values: Map<String, Value>,
    is_json: bool,
    /// Every pair of a form, because a name may occur several times.
    pairs: Vec<(String, String)>,
    errors: FieldErrors,
}

impl Fields {
    fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        let values = pairs.iter().cloned();
        let values = values.map(|(name, value)| (name, Value::String(value)));
        Self {
            values: values.collect(),
            is_json: false,
            pairs,
            errors: FieldErrors::default(),
        }
    }

    fn read<T: Form>(mut self) -> Result<T, Error> {
        let form = T::read(&mut self);
        let errors = std::mem::take(&mut self.errors);
        match form {
            Some(form) => errors.into_result(form),
            None => Err(Error::Invalid(errors)),
        }
    }

    /// Takes the field's value, parsed as `T`.
    pub fn value<T: Field>(&mut self, name: &'static str) -> Option<T> {
        let raw = match self.values.remove(name) {
            None => RawValue::Absent,
            Some(Value::String(text)) if !self.is_json => RawValue::Text(text),
            Some(value) => RawValue::Json(value),
        };
        match T::read(raw) {
            Ok(value) => Some(value),
            Err(message) => {
                self.errors.add(name, message);
                None
            }
        }
    }

    /// Takes the field's text, parsed by `parse`.
    pub fn text<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.string(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(message) => {
                self.errors.add(name, message);
                None
            }
        }
    }

    /// Takes the field's text as a password, byte for byte.
    pub fn password(&mut self, name: &'static str) -> Option<Password> {
        let password = Password::new(self.string(name)?);
        match password.reveal().len() {
            0 => self.errors.add(name, BLANK),
            length if length > Password::MAX => {
                let max = Password::MAX;
                let message = format!("Ensure this field has no more than {max} bytes.");
                self.errors.add(name, message);
            }
            _ => return Some(password),
        }
        None
    }

    /// Takes the field's text unchecked, or an empty text. For forms that report errors themselves.
    pub fn raw(&mut self, name: &str) -> String {
        match self.values.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        }
    }

    /// Every value of the field: several in a form, one in JSON.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let matching = self.pairs.iter().filter(|(key, _)| key == name);
        let values: Vec<&str> = matching.map(|(_, value)| value.as_str()).collect();
        match self.values.get(name) {
            Some(Value::String(text)) if values.is_empty() => vec![text],
            _ => values,
        }
    }

    /// The names of all fields that have not been taken.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// Whether the field is absent or has a single text value.
    pub(crate) fn is_single(&self, name: &str) -> bool {
        let matching = self.pairs.iter().filter(|(key, _)| key == name);
        matching.count() <= 1 && matches!(self.values.get(name), None | Some(Value::String(_)))
    }

    fn string(&mut self, name: &'static str) -> Option<String> {
        match self.values.remove(name) {
            Some(Value::String(text)) => return Some(text),
            Some(_) => self.errors.add(name, NOT_A_STRING),
            None => self.errors.add(name, REQUIRED),
        }
        None
    }
}

impl Drop for Fields {
    fn drop(&mut self) {
        for (_, value) in &mut self.pairs {
            value.zeroize();
        }
        for value in self.values.values_mut() {
            if let Value::String(text) = value {
                text.zeroize();
            }
        }
    }
}
