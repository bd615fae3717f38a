//! A condition as a term of SQL. Names and signs are the program's; whatever a person wrote is
//! bound.

use super::node::{Check, Node, Order, Query, Test, Value};
use super::schema::{Column, Kind};

/// A value to bind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Param {
    /// A number.
    Integer(i64),
    /// A text.
    Text(String),
}

/// The SQL function of `~`: `query_match(PATTERN, text)`, by [`Pattern`](super::Pattern).
pub const MATCH_FUNCTION: &str = "query_match";

/// The SQL function of `<` on loose values: `query_number(text)`, by [`loose_number`].
pub const NUMBER_FUNCTION: &str = "query_number";

/// A loose value as a number, if it is one.
pub fn loose_number(text: &str) -> Option<i64> {
    text.parse().ok()
}

impl Query {
    /// Adds the condition as one term, which is never NULL, and the values for its `?` in order.
    pub fn sql(&self, sql: &mut String, params: &mut Vec<Param>) {
        Writer { sql, params }.node(&self.root);
    }
}

struct Writer<'a> {
    sql: &'a mut String,
    params: &'a mut Vec<Param>,
}

impl Writer<'_> {
    fn node(&mut self, node: &Node) {
        match node {
            Node::All(nodes) => self.joined(nodes, " AND "),
            Node::Any(nodes) => self.joined(nodes, " OR "),
            Node::Not(node) => {
                self.sql.push_str("NOT (");
                self.node(node);
                self.sql.push(')');
            }
            Node::Test(test) => self.test(test),
        }
    }

    fn joined(&mut self, nodes: &[Node], sign: &str) {
        self.sql.push('(');
        for (n, node) in nodes.iter().enumerate() {
            if n > 0 {
                self.sql.push_str(sign);
            }
            self.node(node);
        }
        self.sql.push(')');
    }

    fn test(&mut self, test: &Test) {
        let missing = matches!(test.check, Check::Missing);
        match test.field.column {
            Column::Plain(_) if missing => self.sql.push_str("FALSE"),
            Column::Plain(_) => self.check(test),
            // Not COALESCE: that would hide the column from its index.
            Column::Nullable(column) => {
                self.sql.push('(');
                self.sql.push_str(column);
                self.sql.push_str(if missing { " IS NULL" } else { " IS NOT NULL AND " });
                if !missing {
                    self.check(test);
                }
                self.sql.push(')');
            }
            Column::Named(_) if missing => {
                self.expression(test);
                self.sql.push_str(" IS NULL");
            }
            Column::Named(_) => {
                self.sql.push_str("COALESCE(");
                self.check(test);
                self.sql.push_str(", FALSE)");
            }
            Column::Each { from, .. } => {
                self.sql.push_str(if missing { "NOT EXISTS (" } else { "EXISTS (" });
                self.sql.push_str(from);
                self.sql.push_str(" AND ");
                if missing {
                    self.expression(test);
                    self.sql.push_str(" IS NOT NULL");
                } else {
                    self.check(test);
                }
                self.sql.push(')');
            }
        }
    }

    /// The comparison, NULL where the value is.
    fn check(&mut self, test: &Test) {
        match &test.check {
            Check::Missing => {}
            Check::Among(values) => self.among(test, values),
            Check::Found(pattern) => {
                self.sql.push_str(MATCH_FUNCTION);
                self.sql.push_str("(?, ");
                self.params.push(Param::Text(pattern.as_str().to_owned()));
                self.expression(test);
                self.sql.push(')');
            }
            Check::Order(order, value) => {
                let is_loose = matches!(test.field.kind, Kind::Loose);
                if is_loose {
                    self.sql.push_str(NUMBER_FUNCTION);
                    self.sql.push('(');
                }
                self.expression(test);
                if is_loose {
                    self.sql.push(')');
                }
                self.sql.push_str(match order {
                    Order::Greater => " > ",
                    Order::GreaterOrEqual => " >= ",
                    Order::Less => " < ",
                    Order::LessOrEqual => " <= ",
                });
                self.value(value);
            }
        }
    }

    fn among(&mut self, test: &Test, values: &[Value]) {
        if let [value] = values {
            self.expression(test);
            self.sql.push_str(" = ");
            return self.value(value);
        }
        // `+`: an index by this column would need a sort, where the one by time gives the newest.
        self.sql.push('+');
        self.expression(test);
        self.sql.push_str(" IN (");
        for (n, value) in values.iter().enumerate() {
            if n > 0 {
                self.sql.push_str(", ");
            }
            self.value(value);
        }
        self.sql.push(')');
    }

    /// The field's value.
    fn expression(&mut self, test: &Test) {
        let (Column::Plain(of)
        | Column::Nullable(of)
        | Column::Named(of)
        | Column::Each { value: of, .. }) = test.field.column;
        self.sql.push_str(of);
        if let Column::Named(_) = test.field.column {
            self.params.push(Param::Text(test.below.clone()));
        }
    }

    fn value(&mut self, value: &Value) {
        let param = match value {
            Value::Step(step) => return self.sql.push_str(step.literal),
            Value::Number(number) => Param::Integer(*number),
            Value::Text(text) => Param::Text(text.clone()),
        };
        self.sql.push('?');
        self.params.push(param);
    }
}
