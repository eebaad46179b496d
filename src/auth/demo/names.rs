//! Usernames as people choose them, in several scripts.

use std::collections::HashSet;

use rand::{Rng, RngExt};

use super::pick;
use crate::identity::Username;

const GIVEN: &str = "\
    Maya, Jonas, Aisha, Liam, Chloé, Mateo, Ingrid, Kwame, Zoë, Björn, Fatima, Noah, Søren, \
    Priya, Łukasz, Ana, Tomáš, Elif, Ólafur, Grace, Diego, Nia, Håkon, Leila, Pedro, Yara, \
    Anders, Camille, Ravi, Jana, Emre, Siobhán, Tariq, Amara, Hugo, Rosa, Viktor, Mina, Oscar, \
    Nadia, Pablo, Signe, Amir, Clara, Dmitri, Hanna, Ivan, Julia, Karim, Laura, Malik, Nora, \
    Olga, Paul, Quentin, Rania, Samuel, Thandi, Ulla, Vera, Wanjiru, Xavier, Yusuf, Zainab, \
    Agnieszka, Bence, Carmen, Dana, Edward, Freya, Giulia, Henrik, Isabel, Jan, Katarzyna, \
    Lars, Margaret, Nguyen, Ottilie, Petra, Rasmus, Sofia, Timo, Ursula, Vincent, Wei, \
    Anneliese, Yasmin, Alexandra, Benjamin, Christopher, Daniela, Maximilian, Oluwaseun, Jo, Bo";

const FAMILY: &str = "\
    Okafor, Lindqvist, Rossi, Müller, Nakamura, O'Brien, García, Kowalski, Silva, Þórsson, \
    Dubois, Novák, Singh, Haddad, Jensen, Papadakis, Yılmaz, Smith, Mbeki, Fernández, Ivanova, \
    Andersson, Nguyen, Kim, Larsen, Moreau, Weber, Costa, Hughes, Patel, Osei, Bianchi, \
    Schmidt, Horváth, Popescu, Virtanen, Murphy, Walker, Chen, Ali, Jansen, de Vries, \
    van den Berg, Eriksson, Nowak, Petrov, Marković, Dvořák, Szabó, Kaya, Demir, Rahman, \
    Hussain, Sharma, Gupta, Mensah, Adeyemi, Diallo, Traoré, Kamau, Ndlovu, Mokoena, Torres, \
    Ramírez, Castillo, Vargas, Pereira, Almeida, Ferreira, Lopes, Laurent, Girard, Fontaine, \
    Keller, Baumann, Zimmermann, Huber, Steiner, Gruber, Nilsson, Berg, Dahl, Haugen, \
    Korhonen, Niemi, Kask, Ozols, Petraitis, Ferrari, Ricci, Marino, Georgiou, Nikolaidis, \
    Cohen, Levy, Mizrahi, Azizi, Tehrani, Farouk, Mansour, Saleh, Wright, Thompson, Campbell, \
    MacDonald, Featherstonehaugh, Li, Ng";

/// Names in scripts other than Latin: what comes first, what stands between, and what follows.
const OTHERS: [[&str; 3]; 9] = [
    [
        "佐藤, 鈴木, 高橋, 田中, 渡辺, 伊藤, 山本, 中村, 小林, 加藤",
        "",
        "美咲, 翔太, 陽菜, 健, さくら, 大輔, 結衣, 蓮, 葵, 直樹",
    ],
    [
        "王, 李, 张, 刘, 陈, 杨, 赵, 黄, 周, 吴",
        "",
        "伟, 芳, 秀英, 敏, 静, 丽, 强, 磊, 洋, 艳",
    ],
    [
        "김, 이, 박, 최, 정, 강, 조, 윤, 장, 임",
        "",
        "민준, 서연, 도윤, 지우, 하준, 서윤, 예준, 하은, 주원, 민서",
    ],
    [
        "Анна, Мария, Ольга, Елена, Наталья, Татьяна",
        " ",
        "Иванова, Петрова, Смирнова, Кузнецова, Соколова, Шевченко, Бондаренко",
    ],
    [
        "иван, сергей, дмитрий, олексій, георги, милан",
        ".",
        "волков, попов, морозов, коваленко, димитров, јовановић",
    ],
    [
        "Νίκος, Γιώργος, Κώστας, Δημήτρης, Γιάννης",
        " ",
        "Παπαδόπουλος, Γεωργίου, Νικολαΐδης, Οικονόμου",
    ],
    [
        "فاطمة, محمد, عائشة, أحمد, ليلى, يوسف",
        " ",
        "الزهراء, المصري, حداد, منصور, الخطيب",
    ],
    ["נועה, דוד, יעל, אבי, מיכל", " ", "כהן, לוי, מזרחי, פרץ"],
    [
        "प्रिया, राहुल, अनन्या, विकास, सुनीता",
        " ",
        "शर्मा, वर्मा, गुप्ता, पटेल, सिंह",
    ],
];

/// Longer than a column of a table is wide.
const LONG: [&str; 6] = [
    "María del Carmen Fernández de la Cueva y Enríquez de Cabrera",
    "Karl Theodor Maria Nikolaus Johann Jacob Philipp Freiherr von und zu Beispielhausen",
    "accounts-payable-and-receivable-shared-mailbox-north-west-europe@example.com",
    "Pablo Diego José Francisco de Paula Juan Nepomuceno María de los Remedios",
    "integration-test-user-for-the-quarterly-penetration-test-please-do-not-delete",
    "Wolfeschlegelsteinhausenbergerdorff",
];

const MAIL: [&str; 3] = ["example.com", "example.org", "example.net"];

/// What is dreamt up to fill a name up to the limit.
const FILLER: &str = "what-a-very-long-name-";

/// Names that nobody has.
pub(super) struct Names {
    /// Keys of those that somebody has.
    taken: HashSet<String>,
    /// How many were given out.
    given: u32,
}

impl Names {
    /// All but those, given by their keys.
    pub(super) fn but(taken: HashSet<String>) -> Self {
        Self { taken, given: 0 }
    }

    /// That name, if it is free.
    pub(super) fn exactly(&mut self, name: &str) -> Option<Username> {
        let name = Username::parse(name).ok()?;
        self.taken.insert(name.key().to_owned()).then_some(name)
    }

    /// A new name. The more are taken, the more of them have a number behind.
    pub(super) fn next(&mut self, rng: &mut impl Rng) -> Username {
        self.given += 1;
        let long = self.given.is_multiple_of(1000);
        let (mut name, mut most) = (draw(rng, long), 100_u64);
        loop {
            if let Some(name) = self.exactly(&name) {
                return name;
            }
            let fresh = draw(rng, false);
            let number = rng.random_range(2..most);
            name = if fresh.contains('@') {
                format!("user{number}@{}", pick(rng, &MAIL))
            } else {
                format!("{fresh}{number}")
            };
            most = most.saturating_mul(2);
        }
    }
}

fn draw(rng: &mut impl Rng, longest: bool) -> String {
    if longest {
        let filled = FILLER.repeat(Username::MAX / FILLER.len() + 1);
        return filled.chars().take(Username::MAX - 6).collect::<String>() + &six_digits(rng);
    }
    match rng.random_range(0..100) {
        0..16 => {
            let [first, between, second] = pick(rng, &OTHERS);
            format!("{}{between}{}", one_of(rng, first), one_of(rng, second))
        }
        16 => (*pick(rng, &LONG)).to_owned(),
        _ => latin(rng),
    }
}

fn six_digits(rng: &mut impl Rng) -> String {
    format!("{:06}", rng.random_range(0..1_000_000))
}

fn latin(rng: &mut impl Rng) -> String {
    let (given, family) = (one_of(rng, GIVEN), one_of(rng, FAMILY));
    let whole = format!("{given} {family}");
    let (low, surname) = (given.to_lowercase(), family.to_lowercase());
    let surname = surname.replace([' ', '\''], "");
    let initial: String = given.chars().take(1).collect();
    let first = initial.to_lowercase();
    match rng.random_range(0..20) {
        5..7 => format!("{first}-{surname}"),
        7..9 => format!("{first}{surname}"),
        9..11 => format!("{low}_{surname}"),
        11 => format!("{low}{:02}", rng.random_range(60..=99)),
        12 => format!("{surname}.{low}"),
        13 => {
            let last: String = family.chars().take(1).collect();
            format!("{given} {last}.")
        }
        14..16 => whole,
        16 if whole.is_ascii() => format!("{first}{surname}@{}", pick(rng, &MAIL)),
        17..20 if whole.is_ascii() => format!("{low}.{surname}@{}", pick(rng, &MAIL)),
        _ => format!("{low}.{surname}"),
    }
}

/// One of a list that is written with commas.
fn one_of<'a>(rng: &mut impl Rng, list: &'a str) -> &'a str {
    let number = rng.random_range(0..=list.matches(", ").count());
    list.split(", ").nth(number).unwrap_or(list)
}
