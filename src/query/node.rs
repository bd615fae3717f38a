//! A parsed condition, and its evaluation on one record.

use std::borrow::Cow;

use super::loose_number;
use super::pattern::Pattern;
use super::schema::{Field, Kind, Step};

/// A checked condition; made by [`Query::parse`].
#[derive(Clone, Debug)]
pub struct Query {
    pub(super) root: Node,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test(Test),
}

/// One comparison; false on a record that doesn't have the field.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) field: &'static Field,
    /// The name below a loose field, else empty.
    pub(super) below: String,
    pub(super) check: Check,
}

#[derive(Clone, Debug)]
pub(super) enum Check {
    /// Equal to any of them; there is one at least.
    Among(Vec<Value>),
    Found(Pattern),
    Missing,
    Order(Order, Value),
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Number(i64),
    Step(&'static Step),
    Text(String),
}

/// A value of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Atom<'a> {
    /// A number, a size, a step of a scale, or milliseconds since 1970.
    Number(i64),
    /// Text or a word.
    Text(Cow<'a, str>),
}

/// A record that can be asked for its fields.
pub trait Facts {
    /// The values of a field: none if it is missing, several of a list. `below` is the name below a
    /// loose field, whose values are text, else it is empty.
    fn atoms(&self, field: &str, below: &str) -> Vec<Atom<'_>>;
}

impl Query {
    /// Whether it holds for a record.
    pub fn matches(&self, record: &impl Facts) -> bool {
        self.root.holds(record)
    }

    /// Whether it looks at this field, or at names below it.
    pub fn asks(&self, field: &str) -> bool {
        self.root.asks(field)
    }

    /// Both conditions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { root: Node::All(vec![self.root, other.root]) }
    }

    /// A number that no record of the answer exceeds in this field, if that can be told.
    ///
    /// A scale by its numbers. It lets a partial index be used.
    pub fn ceiling(&self, field: &str) -> Option<i64> {
        self.root.ceiling(field)
    }
}

impl Node {
    fn holds(&self, record: &impl Facts) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.holds(record)),
            Self::Any(nodes) => nodes.iter().any(|node| node.holds(record)),
            Self::Not(node) => !node.holds(record),
            Self::Test(test) => test.holds(record),
        }
    }

    fn asks(&self, field: &str) -> bool {
        match self {
            Self::All(nodes) | Self::Any(nodes) => nodes.iter().any(|node| node.asks(field)),
            Self::Not(node) => node.asks(field),
            Self::Test(test) => test.field.name == field,
        }
    }

    fn ceiling(&self, field: &str) -> Option<i64> {
        match self {
            Self::All(nodes) => nodes.iter().filter_map(|node| node.ceiling(field)).min(),
            Self::Any(nodes) => {
                let each: Option<Vec<i64>> = nodes.iter().map(|node| node.ceiling(field)).collect();
                each?.into_iter().max()
            }
            Self::Test(test) if test.field.name == field => match &test.check {
                Check::Among(values) => {
                    let each: Option<Vec<i64>> = values.iter().map(Value::number).collect();
                    each?.into_iter().max()
                }
                Check::Order(Order::Less | Order::LessOrEqual, value) => value.number(),
                _ => None,
            },
            Self::Test(_) | Self::Not(_) => None,
        }
    }
}

impl Test {
    fn holds(&self, record: &impl Facts) -> bool {
        let atoms = record.atoms(self.field.name, &self.below);
        match &self.check {
            Check::Missing => atoms.is_empty(),
            Check::Among(values) => {
                atoms.iter().any(|atom| values.iter().any(|value| value.is(atom)))
            }
            Check::Found(pattern) => atoms.iter().any(|atom| match atom {
                Atom::Text(text) => pattern.is_in(text),
                Atom::Number(_) => false,
            }),
            Check::Order(order, value) => {
                let Some(limit) = value.number() else { return false };
                let numbers = atoms.iter().filter_map(|atom| match atom {
                    Atom::Number(number) => Some(*number),
                    Atom::Text(text) if matches!(self.field.kind, Kind::Loose) => {
                        loose_number(text)
                    }
                    Atom::Text(_) => None,
                });
                numbers.into_iter().any(|number| order.holds(number, limit))
            }
        }
    }
}

impl Order {
    fn holds(self, number: i64, limit: i64) -> bool {
        match self {
            Self::Greater => number > limit,
            Self::GreaterOrEqual => number >= limit,
            Self::Less => number < limit,
            Self::LessOrEqual => number <= limit,
        }
    }

    /// For a scale whose numbers fall.
    pub(super) fn turned(self) -> Self {
        match self {
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
        }
    }
}

impl Value {
    fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Step(step) => Some(step.number),
            Self::Text(_) => None,
        }
    }

    fn is(&self, atom: &Atom<'_>) -> bool {
        match (self, atom) {
            (Self::Text(text), Atom::Text(found)) => text == found,
            (_, Atom::Number(found)) => self.number() == Some(*found),
            _ => false,
        }
    }
}
