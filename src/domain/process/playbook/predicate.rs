//! Predicates over the record: a closed little language, three-valued.
//!
//! `cvss.score < 4.0 or risk == "low"`, `product in ["bind9"]`, `reporter.external`,
//! `is_set(public_known)`, `done(EM-4.4)`, with `and`, `or`, `not` and brackets. A field that nobody
//! has set makes the answer unknown, unless the rest decides it; whoever asks is told which fields
//! are missing. There is no code in it, nothing is looked up elsewhere, and it ends.

use std::collections::BTreeSet;

use crate::domain::facts::anchor::Anchor;
use crate::domain::facts::names::TaskId;
use crate::domain::process::playbook::field::{Field, FieldType};

/// A predicate, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    root: Node,
    /// As it stands in the file.
    pub text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Or(Vec<Self>),
    And(Vec<Self>),
    Not(Box<Self>),
    Known(String),
    AnchorKnown(Anchor),
    Done(TaskId),
    Compare(String, Order, Literal),
    In(String, Vec<String>),
    Yes(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Differs,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Literal {
    Word(String),
    /// In tenths, so that a score compares exactly.
    Tenths(i64),
}

/// What a predicate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// It cannot be said before these fields are set.
    Unknown(BTreeSet<String>),
}

/// What is known of an incident, as a predicate asks for it.
pub trait Facts {
    /// The value of a field, or of `cvss.score` (like `7.5`), `cvss.band`, `reporter.external`,
    /// `report.channel`.
    fn value(&self, name: &str) -> Option<String>;
    /// Whether an anchor is known.
    fn knows(&self, anchor: Anchor) -> bool;
    /// Whether a row is done.
    fn is_done(&self, task: &TaskId) -> bool;
}

/// Names that a predicate may use besides the fields.
const BUILT_IN: &[(&str, &[&str])] = &[
    ("cvss.score", &[]),
    ("cvss.band", &["None", "Low", "Medium", "High", "Critical"]),
    ("reporter.external", &["yes", "no"]),
    ("report.channel", &["private", "public"]),
];

/// The deepest nesting of brackets and `not`.
const DEPTH_MAX: usize = 20;

impl Predicate {
    /// Reads a predicate. `field` finds a declared field.
    ///
    /// # Errors
    /// A sentence that says what is wrong and where.
    pub fn parse<'f>(
        text: &str,
        field: &dyn Fn(&str) -> Option<&'f Field>,
    ) -> Result<Self, String> {
        let mut reader = Reader { tokens: tokens(text)?, at: 0, field, depth: 0 };
        let root = reader.or()?;
        match reader.tokens.get(reader.at) {
            None => Ok(Self { root, text: text.to_owned() }),
            Some(token) => Err(format!("`{text}`: nothing is expected at `{token}`")),
        }
    }

    /// What it says of an incident.
    #[must_use]
    pub fn holds(&self, facts: &dyn Facts) -> Truth {
        self.root.holds(facts)
    }

    /// The rows that it asks about.
    #[must_use]
    pub fn rows(&self) -> Vec<&TaskId> {
        let mut rows = Vec::new();
        self.root.walk(&mut |node| {
            if let Node::Done(task) = node {
                rows.push(task);
            }
        });
        rows
    }

    /// The fields that it asks about.
    #[must_use]
    pub fn fields(&self) -> Vec<&str> {
        let mut fields = Vec::new();
        self.root.walk(&mut |node| match node {
            Node::Known(name) | Node::Compare(name, ..) | Node::In(name, _) | Node::Yes(name) => {
                fields.push(name.as_str());
            }
            Node::Or(_) | Node::And(_) | Node::Not(_) | Node::AnchorKnown(_) | Node::Done(_) => {}
        });
        fields
    }

    /// The anchors that it asks about.
    #[must_use]
    pub fn anchors(&self) -> Vec<Anchor> {
        let mut anchors = Vec::new();
        self.root.walk(&mut |node| {
            if let Node::AnchorKnown(anchor) = node {
                anchors.push(*anchor);
            }
        });
        anchors
    }
}

fn unknown(name: &str) -> Truth {
    Truth::Unknown(BTreeSet::from([name.to_owned()]))
}

fn known(yes: bool) -> Truth {
    if yes { Truth::Yes } else { Truth::No }
}

/// Kleene's "and" with `decides` = No, or his "or" with `decides` = Yes.
fn joined(parts: &[Node], facts: &dyn Facts, decides: &Truth, otherwise: Truth) -> Truth {
    let mut missing = BTreeSet::new();
    for part in parts {
        match part.holds(facts) {
            truth if truth == *decides => return truth,
            Truth::Unknown(names) => missing.extend(names),
            Truth::Yes | Truth::No => {}
        }
    }
    if missing.is_empty() { otherwise } else { Truth::Unknown(missing) }
}

impl Node {
    fn walk<'n>(&'n self, see: &mut dyn FnMut(&'n Self)) {
        see(self);
        match self {
            Self::Or(parts) | Self::And(parts) => parts.iter().for_each(|part| part.walk(see)),
            Self::Not(inner) => inner.walk(see),
            Self::Known(_)
            | Self::AnchorKnown(_)
            | Self::Done(_)
            | Self::Compare(..)
            | Self::In(..)
            | Self::Yes(_) => {}
        }
    }

    fn holds(&self, facts: &dyn Facts) -> Truth {
        match self {
            Self::Or(parts) => joined(parts, facts, &Truth::Yes, Truth::No),
            Self::And(parts) => joined(parts, facts, &Truth::No, Truth::Yes),
            Self::Not(inner) => match inner.holds(facts) {
                Truth::Yes => Truth::No,
                Truth::No => Truth::Yes,
                Truth::Unknown(names) => Truth::Unknown(names),
            },
            Self::Known(name) => known(facts.value(name).is_some()),
            Self::AnchorKnown(anchor) => known(facts.knows(*anchor)),
            Self::Done(task) => known(facts.is_done(task)),
            Self::Yes(name) => match facts.value(name) {
                Some(value) => known(value == "yes"),
                None => unknown(name),
            },
            Self::In(name, words) => match facts.value(name) {
                Some(value) => known(has_one(&value, words)),
                None => unknown(name),
            },
            Self::Compare(name, order, literal) => match (facts.value(name), literal) {
                (None, _) => unknown(name),
                (Some(value), Literal::Word(word)) => {
                    let same = has_one(&value, std::slice::from_ref(word));
                    known(same == (*order == Order::Equal))
                }
                (Some(value), Literal::Tenths(limit)) => match tenths(&value) {
                    Some(value) => known(match order {
                        Order::Equal => value == *limit,
                        Order::Differs => value != *limit,
                        Order::Less => value < *limit,
                        Order::AtMost => value <= *limit,
                        Order::More => value > *limit,
                        Order::AtLeast => value >= *limit,
                    }),
                    None => unknown(name),
                },
            },
        }
    }
}

/// Whether one of the words stands in a value, which may be a list.
fn has_one(value: &str, words: &[String]) -> bool {
    let mut parts = value.split(',').map(str::trim);
    parts.any(|part| words.iter().any(|word| word.eq_ignore_ascii_case(part)))
}

fn tenths(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let part = part.get(..1).filter(|_| part.len() == 1)?;
    whole.parse::<i64>().ok()?.checked_mul(10)?.checked_add(part.parse().ok()?)
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    let of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    while let Some(first) = rest.chars().next() {
        let length = if first == '"' {
            let end = rest.char_indices().skip(1).find(|(_, c)| *c == '"');
            end.map(|(at, _)| at.saturating_add(1))
                .ok_or_else(|| format!("`{text}`: a quote is not closed"))?
        } else if of_name(first) {
            rest.find(|c| !of_name(c)).unwrap_or(rest.len())
        } else if ["==", "!=", "<=", ">="].iter().any(|sign| rest.starts_with(sign)) {
            2
        } else if "<>()[],".contains(first) {
            1
        } else {
            return Err(format!("`{text}`: `{first}` has no meaning here"));
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        found.push(token.to_owned());
        rest = after.trim_start();
        if found.len() > 200 {
            return Err("a predicate of more than 200 words".to_owned());
        }
    }
    Ok(found)
}

struct Reader<'a, 'f> {
    tokens: Vec<String>,
    at: usize,
    field: &'a dyn Fn(&str) -> Option<&'f Field>,
    depth: usize,
}

impl Reader<'_, '_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        let token = self.peek().to_owned();
        self.at = self.at.saturating_add(1);
        token
    }

    fn takes(&mut self, wanted: &str) -> bool {
        let here = self.peek() == wanted;
        if here {
            self.at = self.at.saturating_add(1);
        }
        here
    }

    fn expect(&mut self, wanted: &str) -> Result<(), String> {
        if self.takes(wanted) {
            return Ok(());
        }
        let found = self.peek();
        Err(if found.is_empty() {
            format!("`{wanted}` is missing at the end")
        } else {
            format!("`{wanted}` is expected before `{found}`")
        })
    }

    fn deeper(&mut self) -> Result<(), String> {
        self.depth = self.depth.saturating_add(1);
        if self.depth > DEPTH_MAX { Err("it is nested too deep".to_owned()) } else { Ok(()) }
    }

    fn or(&mut self) -> Result<Node, String> {
        let mut parts = vec![self.and()?];
        while self.takes("or") {
            parts.push(self.and()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::Or(parts) })
    }

    fn and(&mut self) -> Result<Node, String> {
        let mut parts = vec![self.not()?];
        while self.takes("and") {
            parts.push(self.not()?);
        }
        Ok(if parts.len() == 1 { parts.remove(0) } else { Node::And(parts) })
    }

    fn not(&mut self) -> Result<Node, String> {
        self.deeper()?;
        let node = if self.takes("not") {
            Node::Not(Box::new(self.not()?))
        } else if self.takes("(") {
            let inner = self.or()?;
            self.expect(")")?;
            inner
        } else {
            self.atom()?
        };
        self.depth = self.depth.saturating_sub(1);
        Ok(node)
    }

    fn atom(&mut self) -> Result<Node, String> {
        let name = self.next();
        if name.is_empty() {
            return Err("it ends where a field is expected".to_owned());
        }
        if name == "is_set" || name == "done" {
            self.expect("(")?;
            let what = self.next();
            self.expect(")")?;
            if name == "done" {
                let task = TaskId::parse(&what);
                return task.map(Node::Done).ok_or_else(|| format!("`{what}` is no row's id"));
            }
            if let Ok(anchor) = Anchor::parse(&what) {
                return Ok(Node::AnchorKnown(anchor));
            }
            self.words_of(&what)?;
            return Ok(Node::Known(what));
        }
        let words = self.words_of(&name)?;
        if self.takes("in") {
            self.expect("[")?;
            let mut list = vec![self.word(&name, words.as_deref())?];
            while self.takes(",") {
                list.push(self.word(&name, words.as_deref())?);
            }
            self.expect("]")?;
            return Ok(Node::In(name, list));
        }
        let order = match self.peek() {
            "==" => Order::Equal,
            "!=" => Order::Differs,
            "<" => Order::Less,
            "<=" => Order::AtMost,
            ">" => Order::More,
            ">=" => Order::AtLeast,
            _ => {
                let yes_no = words.as_deref().is_some_and(|words| words == ["yes", "no"]);
                return if yes_no {
                    Ok(Node::Yes(name))
                } else {
                    Err(format!("`{name}` is not answered by yes or no; compare it with a value"))
                };
            }
        };
        self.next();
        if self.peek().starts_with('"') {
            if !matches!(order, Order::Equal | Order::Differs) {
                return Err(format!("`{name}`: words are the same or not, and not more or less"));
            }
            let word = self.word(&name, words.as_deref())?;
            return Ok(Node::Compare(name, order, Literal::Word(word)));
        }
        let number = self.next();
        if words.is_some() || !self.is_number(&name) {
            return Err(format!("`{name}` is no number; compare it with a word in quotes"));
        }
        let value = tenths(&number).ok_or_else(|| {
            format!("`{number}` is no number with at most one digit after the point")
        })?;
        Ok(Node::Compare(name, order, Literal::Tenths(value)))
    }

    fn is_number(&self, name: &str) -> bool {
        name == "cvss.score" || (self.field)(name).is_some_and(|f| f.kind == FieldType::Number)
    }

    /// The words that a name allows; none for those that allow any.
    fn words_of(&self, name: &str) -> Result<Option<Vec<String>>, String> {
        if let Some((_, words)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            return Ok((!words.is_empty()).then_some(words));
        }
        let field = (self.field)(name)
            .ok_or_else(|| format!("`{name}` is neither a field nor anything that is known"))?;
        Ok(field.kind.words())
    }

    fn word(&mut self, name: &str, allowed: Option<&[String]>) -> Result<String, String> {
        let token = self.next();
        let word = token.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let word = word.ok_or_else(|| format!("a word in quotes is expected, not `{token}`"))?;
        match allowed {
            Some(allowed) if !allowed.iter().any(|known| known.eq_ignore_ascii_case(word)) => {
                Err(format!("`{name}` is never `{word}`; it is one of {}", allowed.join(", ")))
            }
            _ => Ok(word.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    struct Record(BTreeMap<&'static str, &'static str>);
    impl Facts for Record {
        fn value(&self, name: &str) -> Option<String> {
            self.0.get(name).map(|value| (*value).to_owned())
        }
        fn knows(&self, anchor: Anchor) -> bool {
            anchor == Anchor::PublicKnown && self.0.contains_key("public_known")
        }
        fn is_done(&self, _: &TaskId) -> bool {
            false
        }
    }

    fn fields(name: &str) -> Option<&'static Field> {
        use std::sync::LazyLock;
        static RISK: LazyLock<Field> =
            LazyLock::new(|| Field::of("risk", FieldType::Enum(vec!["low".into(), "high".into()])));
        static LTS: LazyLock<Field> = LazyLock::new(|| Field::of("lts", FieldType::YesNo));
        static PRODUCT: LazyLock<Field> = LazyLock::new(|| Field::of("p", FieldType::List));
        match name {
            "risk" => Some(&RISK),
            "lts" => Some(&LTS),
            "product" => Some(&PRODUCT),
            _ => None,
        }
    }

    #[test]
    fn three_values_and_the_names_of_what_is_missing() {
        let yes = Truth::Yes;
        let missing =
            |names: &[&str]| Truth::Unknown(names.iter().map(|name| (*name).to_owned()).collect());
        for (text, record, wanted) in [
            ("cvss.score < 4.0", vec![("cvss.score", "3.9")], yes.clone()),
            ("cvss.score < 4.0", vec![("cvss.score", "4.0")], Truth::No),
            ("cvss.score < 4.0", vec![], missing(&["cvss.score"])),
            ("cvss.score < 4.0 or risk == \"low\"", vec![("risk", "low")], yes.clone()),
            (
                "cvss.score < 4.0 or risk == \"low\"",
                vec![("risk", "high")],
                missing(&["cvss.score"]),
            ),
            ("cvss.score < 4.0 and risk == \"low\"", vec![("risk", "high")], Truth::No),
            ("cvss.score < 4.0 and risk == \"low\"", vec![], missing(&["cvss.score", "risk"])),
            ("not (lts or risk in [\"low\"])", vec![("lts", "no"), ("risk", "high")], yes.clone()),
            ("product in [\"bind9\"]", vec![("product", "dhcp, BIND9")], yes.clone()),
            ("is_set(public_known)", vec![("public_known", "")], yes.clone()),
            ("is_set(public_known)", vec![], Truth::No),
            ("is_set(risk) and risk != \"low\"", vec![("risk", "high")], yes.clone()),
            ("reporter.external", vec![("reporter.external", "yes")], yes),
            ("done(EM-4.4)", vec![], Truth::No),
        ] {
            let predicate = Predicate::parse(text, &|name| fields(name)).unwrap();
            let record = Record(record.into_iter().collect());
            assert_eq!(predicate.holds(&record), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_sentence() {
        for (text, says) in [
            ("", "ends where a field"),
            ("colour == \"red\"", "neither a field"),
            ("risk == \"purple\"", "is never `purple`"),
            ("risk < \"low\"", "the same or not"),
            ("risk == low", "is no number"),
            ("risk", "compare it with a value"),
            ("cvss.score < \"4\"", "the same or not"),
            ("cvss.score < 4.05", "at most one digit"),
            ("lts lts", "nothing is expected at `lts`"),
            ("(lts", "`)` is missing at the end"),
            ("risk == \"low", "a quote is not closed"),
            ("lts && lts", "`&` has no meaning"),
            ("risk in \"low\"", "`[` is expected"),
            ("done(a b)", "`)` is expected"),
        ] {
            let wrong = Predicate::parse(text, &|name| fields(name)).unwrap_err();
            assert!(wrong.contains(says), "{text}: {wrong}");
        }
        let deep = format!("{}lts{}", "(".repeat(90), ")".repeat(90));
        assert!(Predicate::parse(&deep, &|name| fields(name)).unwrap_err().contains("too deep"));
    }
}
