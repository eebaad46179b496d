//! Usernames as people choose them, in several scripts.

use rand::seq::IteratorRandom;
use rand::{RngExt, rng};

use super::{FIRST_ADMIN, Maker};
use crate::identity::Username;

const GIVEN: &str = "maya jonas aisha liam chloé mateo ingrid kwame zoë björn fatima noah søren priya łukasz ana \
    tomáš elif grace diego nia håkon leila pedro yara ravi siobhán tariq hugo rosa wei alexandra";
const FAMILY: &str = "okafor lindqvist rossi müller nakamura garcía kowalski silva dubois novák singh haddad jensen \
    papadakis yılmaz smith mbeki fernández ivanova nguyen kim moreau weber costa hughes patel osei featherstonehaugh";
const OTHERS: &str = "佐藤美咲 鈴木翔太 王秀英 李伟 김민준 Анна.Соколова дмитрий.попов Νίκος.Παπαδόπουλος प्रिया.शर्मा \
    فاطمة.الزهراء محمد.المصري נועה.כהן";
const DOMAINS: &str = "example.com example.org example.net";
/// Repeated up to the limit.
const LONG: &str = "maria-del-carmen-fernandez-de-la-cueva-y-enriquez-de-cabrera-";

impl Maker {
    /// A free name for the next user, with a number at its end where the same without one is taken.
    pub(super) fn name(&mut self) -> Option<Username> {
        let (mut suffix, mut limit) = (String::new(), 100_u64);
        loop {
            let name = Username::parse(&draw(self.number, &suffix)).ok()?;
            if self.taken.insert(name.key().to_owned()) {
                return Some(name);
            }
            suffix = rng().random_range(2..limit).to_string();
            limit = limit.saturating_mul(2);
        }
    }
}

fn draw(user: u32, suffix: &str) -> String {
    let one_of = |names: &'static str| names.split(' ').choose(&mut rng()).unwrap_or_default();
    let (given, family) = (one_of(GIVEN), one_of(FAMILY));
    match user % 10 {
        _ if user == 0 && suffix.is_empty() => FIRST_ADMIN.to_owned(),
        _ if user % 200 == 7 => LONG.repeat(3)[..Username::MAX - suffix.len()].to_owned() + suffix,
        3 => one_of(OTHERS).replace('.', " ") + suffix,
        1 | 6 => format!("{given}.{family}{suffix}@{}", one_of(DOMAINS)),
        2 | 7 => format!("{given} {family}{suffix}"),
        5 => format!("{given}_{family}{suffix}"),
        8 => format!("{given}{suffix}"),
        _ => format!("{given}.{family}{suffix}"),
    }
}
