//! Usernames as people choose them, in several scripts.

use std::collections::HashSet;

use rand::seq::IteratorRandom;
use rand::{RngExt, rng};

use crate::identity::Username;

const GIVEN: &str = "maya jonas aisha liam chloé mateo ingrid kwame zoë björn fatima noah søren priya łukasz ana \
    tomáš elif grace diego nia håkon leila pedro yara ravi siobhán tariq hugo rosa wei alexandra";
const FAMILY: &str = "okafor lindqvist rossi müller nakamura garcía kowalski silva dubois novák singh haddad jensen \
    papadakis yılmaz smith mbeki fernández ivanova nguyen kim moreau weber costa hughes patel osei featherstonehaugh";
const OTHER_SCRIPTS: &str = "佐藤美咲 鈴木翔太 王秀英 李伟 김민준 Анна.Соколова дмитрий.попов Νίκος.Παπαδόπουλος प्रिया.शर्मा \
    فاطمة.الزهراء محمد.المصري נועה.כהן";
/// Repeated up to the limit.
const LONG: &str = "maria-del-carmen-fernandez-de-la-cueva-y-enriquez-de-cabrera-";

/// The usernames that are taken, by their keys.
pub(super) struct Names(pub(super) HashSet<String>);

impl Names {
    /// That name, if it is free.
    pub(super) fn take(&mut self, name: &str) -> Option<Username> {
        let name = Username::parse(name).ok()?;
        self.0.insert(name.key().to_owned()).then_some(name)
    }

    /// A name for that user. It has a number at its end where the same without one is taken.
    pub(super) fn next(&mut self, user: u32) -> Username {
        let (mut number, mut limit) = (String::new(), 100_u64);
        loop {
            if let Some(name) = self.take(&draw(user, &number)) {
                return name;
            }
            number = rng().random_range(2..limit).to_string();
            limit = limit.saturating_mul(2);
        }
    }
}

fn draw(user: u32, number: &str) -> String {
    let one_of = |names: &'static str| names.split(' ').choose(&mut rng()).unwrap_or_default();
    let (given, family) = (one_of(GIVEN), one_of(FAMILY));
    match user % 10 {
        _ if user % 200 == 7 => LONG.repeat(3)[..Username::MAX - number.len()].to_owned() + number,
        3 => one_of(OTHER_SCRIPTS).replace('.', " ") + number,
        1 | 6 => format!(
            "{given}.{family}{number}@{}",
            one_of("example.com example.org example.net")
        ),
        2 | 7 => format!("{given} {family}{number}"),
        5 => format!("{given}_{family}{number}"),
        8 => format!("{given}{number}"),
        _ => format!("{given}.{family}{number}"),
    }
}
