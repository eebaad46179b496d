//! What a request's body holds: fields by name, sent as JSON or as a form, read into checked
//! values with every complaint at once.

mod media;
mod multipart;

use std::borrow::Cow;

use rocket::data::{Data, FromData, Outcome};
use rocket::http::RawStr;
use rocket::request::Request;
use serde_json::{Map, Value};
use zeroize::{Zeroize, Zeroizing};

use self::media::Media;
pub(super) use self::media::is_encoded;
use super::drain;
use crate::error::{Error, FieldErrors};
use crate::password::Password;

/// What a handler wants to know from a body.
pub trait Form: Sized {
    /// The most bytes that a body may have.
    const LIMIT: u64 = drain::LIMIT;

    /// Reads every field, even after one was unfit, so that all complaints are made at once; none
    /// if any was unfit.
    fn read(fields: &mut Fields) -> Option<Self>;
}

/// A body that was read as `T`. Add `data = "<name>"` and a parameter `name: Body<T>`.
///
/// Fails with 408 if the body does not arrive in time, 413 above its limit, 415 for another content type
/// than JSON, URL-encoded or multipart, 400 where the body is not what its type says, and 400 with the
/// field's name where a field is invalid. What the body held is never logged.
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
    // Read first: what is refused for its type is read, too.
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
        Media::Json => json(text(bytes)?),
        Media::Form => form(text(bytes)?),
        Media::Multipart(boundary) => {
            multipart::pairs(bytes.to_vec(), boundary).map(Fields::of_form)
        }
    }
}

fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::Malformed("it is not UTF-8"))
}

fn json(text: &str) -> Result<Fields, Error> {
    match serde_json::from_str(text) {
        Ok(Value::Object(values)) => Ok(Fields {
            values,
            pairs: vec![],
            errors: FieldErrors::default(),
        }),
        Ok(_) => Err(Error::Malformed("it is not a JSON object")),
        Err(_) => Err(Error::Malformed("it is not valid JSON")),
    }
}

fn form(text: &str) -> Result<Fields, Error> {
    let decoded = |text| {
        RawStr::new(text)
            .url_decode()
            .map(Cow::into_owned)
            .map_err(|_| Error::Malformed("it is not UTF-8"))
    };
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Ok((decoded(name)?, decoded(value)?))
    });
    pairs.collect::<Result<_, Error>>().map(Fields::of_form)
}

/// The fields of a body, with the complaints about those read so far. What was not taken out, which may
/// be a password, is wiped from memory when they are dropped.
#[derive(Default)]
pub struct Fields {
    values: Map<String, Value>,
    /// Every pair of a form, since a name may come several times.
    pairs: Vec<(String, String)>,
    errors: FieldErrors,
}

impl Fields {
    fn of_form(pairs: Vec<(String, String)>) -> Self {
        let values = pairs.iter().cloned();
        let values = values.map(|(name, value)| (name, Value::String(value)));
        Self {
            values: values.collect(),
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

    /// The field's text as what `parse` makes of it.
    pub fn text<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.string(name)?;
        match parse(&text) {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.errors.add(name, complaint);
                None
            }
        }
    }

    /// The field's text as a password, byte for byte.
    pub fn password(&mut self, name: &'static str) -> Option<Password> {
        let password = Password::new(self.string(name)?);
        match password.reveal().len() {
            0 => self.errors.add(name, "This field may not be blank."),
            length if length > Password::MAX => {
                let max = Password::MAX;
                let complaint = format!("Ensure this field has no more than {max} bytes.");
                self.errors.add(name, complaint);
            }
            _ => return Some(password),
        }
        None
    }

    /// The field's text as it is, empty where there is none: for forms that say themselves what is
    /// wrong with it.
    pub fn raw(&mut self, name: &str) -> String {
        match self.values.remove(name) {
            Some(Value::String(text)) => text,
            _ => String::new(),
        }
    }

    /// Every value that a form gives the field, or the one that JSON gives it.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.pairs.iter().filter(|(other, _)| other == name);
        let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
        match self.values.get(name) {
            Some(Value::String(text)) if values.is_empty() => vec![text],
            _ => values,
        }
    }

    /// Whether the field has one value at most, and that is a text.
    pub fn is_single(&self, name: &str) -> bool {
        let named = self.pairs.iter().filter(|(other, _)| other == name);
        named.count() <= 1 && matches!(self.values.get(name), None | Some(Value::String(_)))
    }

    fn string(&mut self, name: &'static str) -> Option<String> {
        match self.values.remove(name) {
            Some(Value::String(text)) => return Some(text),
            Some(_) => self.errors.add(name, "Not a valid string."),
            None => self.errors.add(name, "This field is required."),
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
