//! The parser: recursive descent with a bounded depth.
//!
//! `or` binds less than `and`, `and` less than `not`. Words in quotes are never keywords.

use std::ops::Range;

use super::cursor::{Parser, Used, described, is_keyword, is_reserved};
use super::lex::{Operator, TokenKind, tokens};
use super::mistake::{Mistake, quoted};
use super::node::{Check, Node, Order, Query, Test, Value};
use super::pattern::Pattern;
use super::schema::{Field, Kind, Schema};
use super::value::{self, Moment};
use super::{DEEPEST, LONGEST, MOST_PATTERNS, MOST_TESTS, MOST_VALUES};
use crate::model::nearest;

impl Query {
    /// Reads a condition on records of this kind.
    pub fn parse(text: &str, schema: &'static Schema, moment: &Moment) -> Result<Self, Mistake> {
        if let Some((cut, _)) = text.char_indices().nth(LONGEST) {
            let what = format!("a condition has at most {LONGEST} characters");
            return Err(Mistake::new(text, cut..text.len(), what));
        }
        let tokens = tokens(text)?;
        let mut parser = Parser { text, tokens, at: 0, schema, moment, used: Used::default() };
        if parser.peek().kind == TokenKind::End {
            let mistake = Mistake::new(text, 0..0, "a condition is expected");
            return Err(mistake.hint(format!("{EXAMPLE}; fields: {}", parser.names())));
        }
        let root = parser.any(0)?;
        parser.end()?;
        Ok(Self { root })
    }
}

const EXAMPLE: &str = "such as `source = imap-auth and level >= warning`";

/// A field, the name below it, and where it stands.
struct Named {
    field: &'static Field,
    below: String,
    name: String,
}

impl Parser<'_> {
    fn any(&mut self, depth: usize) -> Result<Node, Mistake> {
        let mut nodes = vec![self.all(depth)?];
        while self.takes("or") {
            nodes.push(self.all(depth)?);
        }
        Ok(joined(nodes, Node::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Node, Mistake> {
        let mut nodes = vec![self.not(depth)?];
        while self.takes("and") {
            nodes.push(self.not(depth)?);
        }
        Ok(joined(nodes, Node::All))
    }

    fn not(&mut self, depth: usize) -> Result<Node, Mistake> {
        let here = self.peek().at.clone();
        if depth >= DEEPEST {
            return Err(self.mistake(here, "too many parentheses and `not` within each other"));
        }
        let below = depth.saturating_add(1);
        if self.takes("not") {
            return Ok(Node::Not(Box::new(self.not(below)?)));
        }
        if self.peek().kind != TokenKind::Open {
            return self.test();
        }
        self.next();
        let inner = self.any(below)?;
        match self.peek().kind {
            TokenKind::Close => {
                self.next();
                Ok(inner)
            }
            TokenKind::End => Err(self.mistake(here, "this `(` is not closed")),
            _ => Err(self.unexpected("`and`, `or` or `)`")),
        }
    }

    /// Nothing may follow.
    fn end(&self) -> Result<(), Mistake> {
        match self.peek().kind {
            TokenKind::End => Ok(()),
            TokenKind::Close => {
                Err(self.mistake(self.peek().at.clone(), "there is no `(` for this `)`"))
            }
            _ => Err(self.unexpected("`and`, `or` or the end")),
        }
    }

    fn test(&mut self) -> Result<Node, Mistake> {
        let named = self.field()?;
        self.used.tests = self.used.tests.saturating_add(1);
        let token = self.next();
        if self.used.tests > MOST_TESTS {
            let what = format!("a condition has at most {MOST_TESTS} comparisons");
            return Err(self.mistake(token.at, what));
        }
        match &token.kind {
            TokenKind::Operator(operator) => self.compared(named, *operator, token.at),
            kind if is_keyword(kind, "in") => self.listed(named),
            kind if is_keyword(kind, "not") && self.takes("in") => Ok(denied(self.listed(named)?)),
            kind if is_keyword(kind, "is") => {
                let is_not = self.takes("not");
                let node = if self.takes("null") {
                    node(named, Check::Missing)
                } else {
                    let (text, at) = self.value(&named, "is")?;
                    let values = self.values(&named, &text, at)?;
                    node(named, Check::Among(values))
                };
                Ok(if is_not { denied(node) } else { node })
            }
            _ => {
                let what = format!("an operator is expected after `{}`", quoted(&named.name));
                let hint = format!("`{}` takes {}", named.field.name, named.field.kind.operators());
                Err(self.mistake(token.at, what).hint(hint))
            }
        }
    }

    fn field(&mut self) -> Result<Named, Mistake> {
        let token = self.next();
        let name = match &token.kind {
            TokenKind::Word(word) if !is_reserved(word) => word.clone(),
            TokenKind::End => {
                let hint = format!("fields: {}", self.names());
                return Err(self.mistake(token.at, "a field is expected here").hint(hint));
            }
            kind => {
                let what = format!("a field is expected, not {}", described(kind));
                let hint = format!("fields: {}", self.names());
                return Err(self.mistake(token.at, what).hint(hint));
            }
        };
        let schema = self.schema;
        let Some((field, below)) = schema.find(&name) else {
            if schema.fields.iter().any(|field| field.name == name) {
                let what = format!("`{name}` needs a name below it");
                return Err(self.mistake(token.at, what).hint(format!("such as `{name}.size`")));
            }
            let names = schema.fields.iter().map(|field| field.name);
            let near = nearest(&name, names).map(|near| format!("did you mean `{near}`? "));
            let hint = format!("{}fields: {}", near.unwrap_or_default(), self.names());
            let what = format!("unknown field `{}`", quoted(&name));
            return Err(self.mistake(token.at, what).hint(hint));
        };
        Ok(Named { field, below: below.to_owned(), name })
    }

    fn compared(
        &mut self,
        named: Named,
        operator: Operator,
        at: Range<usize>,
    ) -> Result<Node, Mistake> {
        let kind = named.field.kind;
        let order = order_of(operator);
        let is_match = matches!(operator, Operator::Match | Operator::NoMatch);
        if (order.is_some() && !kind.has_order()) || (is_match && !kind.has_text()) {
            let (sign, name) = (operator.as_str(), named.field.name);
            let what = format!("`{sign}` does not fit `{name}`, which is {}", kind.describe());
            let hint = format!("`{name}` takes {}", kind.operators());
            return Err(self.mistake(at, what).hint(hint));
        }
        let (text, at) = self.value(&named, operator.as_str())?;
        let check = if let Some(order) = order {
            let read = value::read_ordered(named.field, &text, self.moment);
            let value = read.map_err(|unfit| self.unfit(at.clone(), unfit))?;
            self.used.values = self.used.values.saturating_add(1);
            Check::Order(if is_falling(kind) { order.turned() } else { order }, value)
        } else if is_match {
            Check::Found(self.pattern(&text, at)?)
        } else {
            Check::Among(self.values(&named, &text, at)?)
        };
        let node = node(named, check);
        let is_denied = matches!(operator, Operator::Unequal | Operator::NoMatch);
        Ok(if is_denied { denied(node) } else { node })
    }

    /// `(a, b)` after `in`.
    fn listed(&mut self, named: Named) -> Result<Node, Mistake> {
        if self.peek().kind != TokenKind::Open {
            let mistake = self.unexpected("`(` after `in`");
            return Err(mistake.hint(format!("`{} in (a, b)`", named.field.name)));
        }
        self.next();
        let mut values = Vec::new();
        loop {
            let (text, at) = self.value(&named, "in")?;
            values.extend(self.values(&named, &text, at)?);
            match self.peek().kind {
                TokenKind::Comma => self.next(),
                TokenKind::Close => break,
                _ => return Err(self.unexpected("`,` or `)`")),
            };
        }
        self.next();
        Ok(node(named, Check::Among(values)))
    }

    /// The text of a value, and where it stands.
    fn value(&mut self, named: &Named, after: &str) -> Result<(String, Range<usize>), Mistake> {
        let token = self.next();
        match token.kind {
            TokenKind::Quoted(text) => Ok((text, token.at)),
            TokenKind::Word(word) if !is_reserved(&word) => Ok((word, token.at)),
            kind => {
                let not = match &kind {
                    TokenKind::End => String::new(),
                    kind => format!(", not {}", described(kind)),
                };
                let hint = match &kind {
                    TokenKind::Word(word) if word.eq_ignore_ascii_case("null") => {
                        format!("write `{0} is null` or `{0} is not null`", named.name)
                    }
                    TokenKind::Word(word) => format!("as a text it is `\"{word}\"`"),
                    _ => value::hint(named.field.kind, ""),
                };
                let what = format!("a value is expected after `{after}`{not}");
                Err(self.mistake(token.at, what).hint(hint))
            }
        }
    }

    fn values(
        &mut self,
        named: &Named,
        text: &str,
        at: Range<usize>,
    ) -> Result<Vec<Value>, Mistake> {
        let read = value::read(named.field, text, self.moment);
        let values = read.map_err(|unfit| self.unfit(at.clone(), unfit))?;
        self.used.values = self.used.values.saturating_add(values.len());
        if self.used.values > MOST_VALUES {
            return Err(self.mistake(at, format!("a condition has at most {MOST_VALUES} values")));
        }
        Ok(values)
    }

    fn pattern(&mut self, text: &str, at: Range<usize>) -> Result<Pattern, Mistake> {
        self.used.patterns = self.used.patterns.saturating_add(1);
        if self.used.patterns > MOST_PATTERNS {
            let what = format!("a condition has at most {MOST_PATTERNS} regular expressions");
            return Err(self.mistake(at, what));
        }
        Pattern::new(text).map_err(|why| {
            let hint = "characters such as ( [ { * + ? . ^ $ | \\ are taken as they are after a \\";
            self.mistake(at, why).hint(hint)
        })
    }
}

fn node(named: Named, check: Check) -> Node {
    Node::Test(Test { field: named.field, below: named.below, check })
}

fn denied(node: Node) -> Node {
    Node::Not(Box::new(node))
}

fn joined(mut nodes: Vec<Node>, join: fn(Vec<Node>) -> Node) -> Node {
    match nodes.pop() {
        Some(only) if nodes.is_empty() => only,
        last => {
            nodes.extend(last);
            join(nodes)
        }
    }
}

fn order_of(operator: Operator) -> Option<Order> {
    match operator {
        Operator::Greater => Some(Order::Greater),
        Operator::GreaterOrEqual => Some(Order::GreaterOrEqual),
        Operator::Less => Some(Order::Less),
        Operator::LessOrEqual => Some(Order::LessOrEqual),
        _ => None,
    }
}

/// Whether a scale's numbers fall from its least step to its greatest.
fn is_falling(kind: Kind) -> bool {
    let Kind::Scale(steps) = kind else { return false };
    steps.first().map(|step| step.number) > steps.last().map(|step| step.number)
}
