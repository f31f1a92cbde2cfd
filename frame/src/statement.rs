//! SQL, as far as it has to be understood before polars gets it: which tables and columns a statement touches, what its
//! results are called, and our own functions.
//!
//! Runs nothing and knows no table.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    JoinConstraint, JoinOperator, ObjectName, Query, Select, SelectItem, SetExpr,
    Statement as Parsed, TableFactor, TableWithJoins, Value, ValueWithSpan, Visit, VisitMut,
    Visitor, VisitorMut, visit_relations,
};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError, ParserOptions};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::trouble::Trouble;
use crate::within::{Limit, limits};

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// `SHOW TABLES`.
    Tables,
    /// `DESCRIBE table`.
    Describe(String),
    /// What polars runs.
    Run(Run),
}

/// A statement that polars runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// As polars takes it: without our own functions, its results named.
    pub sql: String,
    /// What it touches.
    pub needs: Needs,
    /// The table that it makes, if it makes one.
    pub makes: Option<String>,
    /// The functions that it calls, in small letters.
    pub functions: BTreeSet<String>,
}

/// The tables and columns that a statement may touch; never too few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Tables, and whether every column of each is asked for.
    pub tables: BTreeMap<String, bool>,
    /// Every word of the statement.
    pub words: BTreeSet<String>,
    /// What the columns of a table have to be for a row to count, as far as that is plain: of a table that is named once, on its
    /// own behind FROM.
    pub limits: BTreeMap<String, Vec<Limit>>,
}

impl Needs {
    /// What limits the rows of a table that count.
    pub fn limits_of(&self, table: &str) -> &[Limit] {
        self.limits.get(table).map_or(&[], Vec::as_slice)
    }

    /// Whether a column of a table may be touched.
    pub fn has(&self, table: &str, column: &str) -> bool {
        self.tables.get(table).is_some_and(|&every| every || self.words.contains(column))
    }
}

/// Reads statements.
///
/// # Errors
///
/// What is no SQL, with the place marked, and statements that do more than ask.
pub fn parse(text: &str) -> Result<Vec<Statement>, Trouble> {
    let tokens = Tokenizer::new(&GenericDialect, text).tokenize().unwrap_or_default();
    if is_too_deep(&tokens) {
        return Err(too_deep());
    }
    if let Some(name) = tokens.iter().find_map(unwritable) {
        let hint = "no table and no column is called like that";
        let what = format!("in the name `{name}` a quote follows another or a backslash");
        return Err(Trouble::new(what, hint));
    }
    let options = ParserOptions::new().with_trailing_commas(true);
    let parser = Parser::new(&GenericDialect).with_options(options);
    let parsed = parser.try_with_sql(text).and_then(|mut parser| parser.parse_statements());
    let parsed = parsed.map_err(|error| not_sql(text, &error))?;
    parsed.into_iter().map(statement).collect()
}

/// Operators and words of SQL that stand in one another, at most: each takes a place on the stack, here and in polars.
const MOST_NESTED: usize = 600;

/// Whether operators and words may stand too deep in one another: those between two commas, and those around them.
fn is_too_deep(tokens: &[Token]) -> bool {
    let (mut levels, mut n_nested) = (vec![0_usize], 0);
    for token in tokens {
        let Some(level) = levels.last_mut() else { return true };
        let keyword = match token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        match (token, keyword) {
            (Token::Comma | Token::SemiColon, _)
            | (_, Keyword::WHEN | Keyword::THEN | Keyword::ELSE) => {
                n_nested -= std::mem::take(level);
            }
            (Token::LParen | Token::LBracket | Token::LBrace, _) | (_, Keyword::CASE) => {
                (*level, n_nested) = (*level + 1, n_nested + 1);
                levels.push(0);
            }
            (Token::RParen | Token::RBracket | Token::RBrace, _) | (_, Keyword::END) => {
                n_nested -= std::mem::take(level);
                levels.truncate((levels.len() - 1).max(1));
            }
            (Token::Word(_), Keyword::NoKeyword)
            | (Token::Number(..) | Token::Whitespace(_) | Token::Period, _) => {}
            _ => (*level, n_nested) = (*level + 1, n_nested + 1),
        }
        if n_nested > MOST_NESTED {
            return true;
        }
    }
    false
}

fn too_deep() -> Trouble {
    Trouble::plain("the statement is nested too deeply")
}

/// A name that would be another one once it is written again: what writes it takes a quote behind another, or behind a backslash,
/// for one that is escaped.
fn unwritable(token: &Token) -> Option<&str> {
    let Token::Word(word) = token else { return None };
    let quote = word.quote_style?;
    let next = word.value.chars().skip(1);
    let mut pairs = word.value.chars().zip(next);
    let is_odd = pairs.any(|(one, next)| next == quote && (one == quote || one == '\\'));
    is_odd.then_some(word.value.as_str())
}

fn statement(parsed: Parsed) -> Result<Statement, Trouble> {
    let makes = match &parsed {
        Parsed::ShowTables { .. } => return Ok(Statement::Tables),
        Parsed::ExplainTable { table_name, .. } => {
            return Ok(Statement::Describe(last(table_name)));
        }
        Parsed::Query(_) | Parsed::Explain { .. } => None,
        Parsed::CreateTable(table) if table.query.is_some() => Some(last(&table.name)),
        Parsed::Drop { .. } => None,
        other => return Err(only_asks(other)),
    };
    Ok(Statement::Run(Run::of(parsed, makes)))
}

fn only_asks(other: &Parsed) -> Trouble {
    let text = other.to_string();
    let word = text.split_whitespace().next().unwrap_or_default();
    let hint = "what there is: SELECT, WITH, SHOW TABLES, DESCRIBE TABLE, EXPLAIN, and CREATE TABLE name AS SELECT, which lasts \
                until the program ends";
    Trouble::new(format!("{word} is no question: traces are only read"), hint)
}

impl Run {
    fn of(mut parsed: Parsed, makes: Option<String>) -> Self {
        let mut seen = Seen::default();
        let _ = Visit::visit(&parsed, &mut seen);
        let mut times: BTreeMap<String, usize> = BTreeMap::new();
        let _ = visit_relations(&parsed, |name| {
            let name = last(name);
            *times.entry(name.clone()).or_default() += 1;
            if !seen.own.contains(&name) && makes.as_ref() != Some(&name) {
                let every = seen.every.contains(&name);
                seen.needs.tables.insert(name, every);
            }
            ControlFlow::<()>::Continue(())
        });
        seen.needs.limits.retain(|name, _| times.get(name) == Some(&1));
        seen.needs.words = words(&parsed.to_string());
        let _ = VisitMut::visit(&mut parsed, &mut Named);
        let _ = VisitMut::visit(&mut parsed, &mut Helped);
        let _ = VisitMut::visit(&mut parsed, &mut Quoted);
        Self { sql: parsed.to_string(), needs: seen.needs, makes, functions: seen.functions }
    }
}

/// Words that are no strings and no operators: every name is among them.
fn words(sql: &str) -> BTreeSet<String> {
    let tokens = Tokenizer::new(&GenericDialect, sql).tokenize().unwrap_or_default();
    let word = |token| match token {
        Token::Word(word) => Some(word.value),
        // With double quotes some dialects mean a name.
        Token::DoubleQuotedString(text) => Some(text),
        _ => None,
    };
    tokens.into_iter().filter_map(word).collect()
}

fn last(name: &ObjectName) -> String {
    let part = name.0.last().and_then(|part| part.as_ident());
    part.map_or_else(|| name.to_string(), |ident| ident.value.clone())
}

/// What a statement asks for.
#[derive(Default)]
struct Seen {
    needs: Needs,
    /// Tables of which every column is asked for.
    every: BTreeSet<String>,
    /// Names that the statement itself defines with WITH.
    own: BTreeSet<String>,
    functions: BTreeSet<String>,
}

impl Seen {
    fn every_of(&mut self, factor: &TableFactor) {
        match factor {
            TableFactor::Table { name, .. } => drop(self.every.insert(last(name))),
            TableFactor::NestedJoin { table_with_joins, .. } => self.every_of_all(table_with_joins),
            _ => {}
        }
    }

    fn every_of_all(&mut self, table: &TableWithJoins) {
        self.every_of(&table.relation);
        table.joins.iter().for_each(|join| self.every_of(&join.relation));
    }
}

impl Visitor for Seen {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.own.insert(cte.alias.name.value.clone());
        }
        if let SetExpr::Table(table) = query.body.as_ref() {
            self.every.extend(table.table_name.clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        let is_natural = select
            .from
            .iter()
            .flat_map(|table| &table.joins)
            .any(|join| is_natural(&join.join_operator));
        if is_natural || select.projection.iter().any(is_every) {
            select.from.iter().for_each(|table| self.every_of_all(table));
        }
        if let [TableWithJoins { relation: TableFactor::Table { name, .. }, joins }] =
            select.from.as_slice()
            && joins.is_empty()
            && let Some(condition) = &select.selection
        {
            self.needs.limits.insert(last(name), limits(condition));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr {
            self.functions.insert(last(&function.name).to_lowercase());
        }
        ControlFlow::Continue(())
    }
}

fn is_every(item: &SelectItem) -> bool {
    match item {
        SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) => true,
        SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => has_columns(expr),
        SelectItem::ExprWithAliases { .. } => true,
    }
}

/// Whether an expression holds `COLUMNS('regex')`, which stands for any column.
fn has_columns(expr: &Expr) -> bool {
    expr.to_string().to_lowercase().contains("columns(")
}

fn is_natural(operator: &JoinOperator) -> bool {
    format!("{operator:?}").contains(&format!("{:?}", JoinConstraint::Natural))
}

/// Gives results the name that was written, as other databases do: polars would call both of `min(x), max(x)` `x`.
struct Named;

impl VisitorMut for Named {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let grouped = match &select.group_by {
            GroupByExpr::Expressions(expressions, _) => expressions.clone(),
            GroupByExpr::All(_) => Vec::new(),
        };
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(expr) = item
                && is_nameless(expr)
                && !grouped.contains(expr)
            {
                let alias = Ident::with_quote('"', expr.to_string().replace('"', "'"));
                *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
            }
        }
        ControlFlow::Continue(())
    }
}

/// Whether an expression has no name of its own; one that stands for several columns keeps theirs.
fn is_nameless(expr: &Expr) -> bool {
    !matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_))
        && !has_columns(expr)
        && !is_unnest(expr)
}

fn is_unnest(expr: &Expr) -> bool {
    matches!(expr, Expr::Function(function) if last(&function.name).eq_ignore_ascii_case("unnest"))
}

/// A function of our own: its name, its arguments, what it does, and what it is in SQL.
#[derive(Clone, Copy, Debug)]
pub struct Helper {
    /// Its name.
    pub name: &'static str,
    /// As it is called.
    pub call: &'static str,
    /// What it gives.
    pub doc: &'static str,
    becomes: Becomes,
}

/// What a function of our own becomes.
#[derive(Clone, Copy, Debug)]
enum Becomes {
    /// A number of the unit, of so many; rounded to the places that one more or less makes, if any: floating point adds others.
    Unit(&'static str, Option<u8>),
    /// A quantile.
    Quantile(&'static str),
    /// A share in percent.
    Percent,
}

/// Our own functions.
pub const HELPERS: [Helper; 9] = [
    Helper {
        name: "us",
        call: "us(ns)",
        doc: "microseconds of nanoseconds",
        becomes: Becomes::Unit("1000.0", Some(3)),
    },
    Helper {
        name: "ms",
        call: "ms(ns)",
        doc: "milliseconds of nanoseconds",
        becomes: Becomes::Unit("1000000.0", Some(6)),
    },
    Helper {
        name: "sec",
        call: "sec(ns)",
        doc: "seconds of nanoseconds",
        becomes: Becomes::Unit("1000000000.0", Some(9)),
    },
    Helper {
        name: "mib",
        call: "mib(bytes)",
        doc: "mebibytes of bytes",
        becomes: Becomes::Unit("1048576.0", None),
    },
    Helper {
        name: "pct",
        call: "pct(part, whole)",
        doc: "the part in percent of the whole; nothing where the whole is 0",
        becomes: Becomes::Percent,
    },
    Helper {
        name: "p50",
        call: "p50(x)",
        doc: "the value that half of all do not exceed",
        becomes: Becomes::Quantile("0.5"),
    },
    Helper {
        name: "p90",
        call: "p90(x)",
        doc: "the value that 90 % do not exceed",
        becomes: Becomes::Quantile("0.9"),
    },
    Helper {
        name: "p95",
        call: "p95(x)",
        doc: "the value that 95 % do not exceed",
        becomes: Becomes::Quantile("0.95"),
    },
    Helper {
        name: "p99",
        call: "p99(x)",
        doc: "the value that 99 % do not exceed",
        becomes: Becomes::Quantile("0.99"),
    },
];

/// Doubles the quotes of texts, so that they are written as they have to be read: what writes them takes a quote behind another
/// for one that is doubled already, and one behind a backslash for one that is escaped.
struct Quoted;

impl VisitorMut for Quoted {
    type Break = ();

    fn pre_visit_value(&mut self, value: &mut ValueWithSpan) -> ControlFlow<()> {
        let is_text = !matches!(
            value.value,
            Value::HexStringLiteral(_)
                | Value::DoubleQuotedString(_)
                | Value::SingleQuotedByteStringLiteral(_)
                | Value::DoubleQuotedByteStringLiteral(_)
        );
        if let Some(text) = value.value.clone().into_string().filter(|_| is_text) {
            value.value = Value::SingleQuotedString(text.replace('\'', "''"));
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for item in &mut select.projection {
            if let SelectItem::ExprWithAlias { alias, .. } = item
                && alias.quote_style.is_some()
            {
                *alias = Ident::with_quote('"', alias.value.replace('"', "\"\""));
            }
        }
        ControlFlow::Continue(())
    }
}

/// An expression as SQL.
fn as_sql(expr: &Expr) -> String {
    let mut expr = expr.clone();
    let _ = VisitMut::visit(&mut expr, &mut Quoted);
    expr.to_string()
}

/// Writes our own functions as SQL.
struct Helped;

impl VisitorMut for Helped {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(written) = written(function)
            && let Ok(mut parser) = Parser::new(&GenericDialect).try_with_sql(&written)
            && let Ok(new) = parser.parse_expr()
        {
            *expr = new;
        }
        ControlFlow::Continue(())
    }
}

/// A call of our own as SQL; `None` for what is no function of ours, or not called as it is.
fn written(function: &Function) -> Option<String> {
    let name = last(&function.name);
    let helper = HELPERS.iter().find(|helper| helper.name.eq_ignore_ascii_case(&name))?;
    let FunctionArguments::List(list) = &function.args else { return None };
    let arguments: Vec<String> = list.args.iter().map(argument).collect::<Option<_>>()?;
    let over = function.over.as_ref().map_or(String::new(), |over| format!(" OVER {over}"));
    match (helper.becomes, arguments.as_slice()) {
        (Becomes::Unit(of, Some(places)), [value]) => {
            Some(format!("ROUND(({value}) / {of}, {places})"))
        }
        (Becomes::Unit(of, None), [value]) => Some(format!("(({value}) / {of})")),
        (Becomes::Percent, [part, whole]) => {
            Some(format!("(({part}) * 100.0 / NULLIF({whole}, 0))"))
        }
        (Becomes::Quantile(at), [value]) => Some(format!("QUANTILE_DISC({value}, {at}){over}")),
        _ => None,
    }
}

fn argument(argument: &FunctionArg) -> Option<String> {
    match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(as_sql(expr)),
        _ => None,
    }
}

/// What is no SQL, with the line and a mark under the place.
fn not_sql(text: &str, error: &ParserError) -> Trouble {
    let message = match error {
        ParserError::TokenizerError(message) | ParserError::ParserError(message) => {
            message.as_str()
        }
        ParserError::RecursionLimitExceeded => return too_deep(),
    };
    let (what, place) = message.rsplit_once(" at Line: ").unwrap_or((message, ""));
    let place = place.split_once(", Column: ").and_then(|(line, column)| {
        Some((line.parse::<usize>().ok()?, column.trim().parse::<usize>().ok()?))
    });
    let Some((line, column)) = place else { return Trouble::plain(format!("no SQL: {what}")) };
    let shown = text.lines().nth(line.saturating_sub(1)).unwrap_or_default();
    let indent = " ".repeat(column.saturating_sub(1).min(shown.chars().count()));
    Trouble::plain(format!("no SQL: {what}\n  {shown}\n  {indent}^"))
}

#[cfg(test)]
mod tests {
    use super::{Run, Statement, parse};

    fn run(sql: &str) -> Run {
        match parse(sql).unwrap().pop() {
            Some(Statement::Run(run)) => run,
            other => panic!("{other:?}"),
        }
    }

    fn tables(sql: &str) -> Vec<(String, bool)> {
        run(sql).needs.tables.into_iter().collect()
    }

    #[test]
    fn only_what_is_named_is_touched() {
        let needs = run("SELECT k.name, sum(dur_ns) FROM events AS k JOIN waits USING (input) WHERE x > 'start_ns'").needs;
        assert!(
            needs.has("events", "name")
                && needs.has("events", "dur_ns")
                && needs.has("waits", "input")
        );
        assert!(!needs.has("events", "start_ns") && !needs.has("kernels", "name"));
        assert_eq!(tables("SELECT count(*) FROM events"), [("events".into(), false)]);
        assert_eq!(tables("SELECT * FROM (SELECT name FROM events) e"), [("events".into(), false)]);
        assert_eq!(
            tables("SELECT * FROM events e JOIN waits w ON e.a = w.a"),
            [("events".into(), true), ("waits".into(), true)]
        );
        assert_eq!(tables("SELECT COLUMNS('_ns$') FROM events"), [("events".into(), true)]);
        assert_eq!(
            tables("SELECT a FROM events NATURAL JOIN waits"),
            [("events".into(), true), ("waits".into(), true)]
        );
    }

    #[test]
    fn plain_conditions_limit_what_is_read() {
        let limits = |sql: &str| {
            let needs = run(sql).needs;
            let all = needs.limits_of("events").iter();
            all.map(|limit| format!("{} {:?}", limit.column, limit.to)).collect::<Vec<_>>()
        };
        let all = "SELECT 1 FROM events e WHERE e.rank = 3 AND (4 <= stage AND name = 'x') AND input IN (1, 2)";
        assert_eq!(limits(all), ["rank Among([3])", "stage AtLeast(4)", "input Among([1, 2])"]);
        let between = "WITH a AS (SELECT * FROM events WHERE rank BETWEEN -1 AND 7 AND stage < 2) SELECT * FROM a";
        assert_eq!(limits(between), ["rank AtLeast(-1)", "rank AtMost(7)", "stage AtMost(2)"]);
        for open in [
            "SELECT 1 FROM events WHERE rank = 3 OR rank = 4",
            "SELECT 1 FROM events WHERE NOT rank = 3",
            "SELECT 1 FROM events WHERE rank NOT IN (3)",
            "SELECT 1 FROM events WHERE rank IN (3, stage)",
            "SELECT 1 FROM events WHERE rank + 1 = 3",
            "SELECT 1 FROM events WHERE rank <> 3",
            "SELECT 1 FROM events WHERE rank = 1.5",
            "SELECT 1 FROM events a JOIN waits b ON a.input = b.input WHERE a.rank = 3",
            "SELECT 1 FROM events a, waits b WHERE a.rank = 3",
            "SELECT 1 FROM events WHERE rank = 3 UNION ALL SELECT 1 FROM events",
        ] {
            assert_eq!(limits(open), [""; 0], "{open}");
        }
    }

    #[test]
    fn names_of_with_are_no_tables() {
        let sql = "WITH own AS (SELECT name FROM events) SELECT * FROM own WHERE name IN (SELECT name FROM waits)";
        assert_eq!(tables(sql), [("events".into(), false), ("waits".into(), false)]);
        let made = run("CREATE TABLE mine AS SELECT * FROM events");
        assert_eq!((made.makes.as_deref(), made.needs.tables.len()), (Some("mine"), 1));
    }

    #[test]
    fn results_are_called_as_they_were_written() {
        let sql =
            run("SELECT min(x), max(x) AS most, y, count(*), x / 2 FROM t GROUP BY y, x / 2").sql;
        let expected = r#"SELECT min(x) AS "min(x)", max(x) AS most, y, count(*) AS "count(*)", x / 2 FROM t GROUP BY y, x / 2"#;
        assert_eq!(sql, expected);
    }

    #[test]
    fn our_functions_are_plain_sql() {
        let sql = run("SELECT MS(sum(x)) AS a, pct(sum(x), y) AS b, p99(x) OVER (PARTITION BY y) AS c, ms(p50(x)) AS d FROM t").sql;
        let expected = "SELECT ROUND((sum(x)) / 1000000.0, 6) AS a, ((sum(x)) * 100.0 / NULLIF(y, 0)) AS b, \
                        QUANTILE_DISC(x, 0.99) OVER (PARTITION BY y) AS c, ROUND((QUANTILE_DISC(x, 0.5)) / 1000000.0, 6) AS d FROM t";
        assert_eq!(sql, expected);
        // What is called otherwise is left to who says that there is no such function.
        assert_eq!(run("SELECT ms(a, b) AS x FROM t").sql, "SELECT ms(a, b) AS x FROM t");
    }

    /// Texts go on as they are, whatever quotes and backslashes they hold, and end where they end.
    #[test]
    fn texts_stay_texts() {
        for (text, written) in [
            ("'f('''')'", "'f('''')'"),
            (r"'C:\'' OR TRUE'", r"'C:\'' OR TRUE'"),
            ("N'a''b'", "'a''b'"),
            ("us('a''''b' = name)", "ROUND(('a''''b' = name) / 1000.0, 3)"),
        ] {
            let sql = run(&format!("SELECT {text} AS x FROM t")).sql;
            assert_eq!(sql, format!("SELECT {written} AS x FROM t"));
        }
        assert_eq!(run("SELECT 1 AS 'a\"\"b'").sql, "SELECT 1 AS \"a\"\"\"\"b\"");
        let trouble = parse("SELECT * FROM \"a\"\"\"\"b\"").unwrap_err();
        assert!(trouble.what.contains("a quote follows another"), "{}", trouble.what);
    }

    #[test]
    fn depth_is_bounded_and_width_is_not() {
        for deep in
            [" + 1", " OR TRUE", " IS NULL", "::int", " UNION SELECT 1", "[1]", " + f(1, 2)"]
        {
            let trouble = parse(&format!("SELECT 1{}", deep.repeat(5000))).unwrap_err();
            assert_eq!(trouble.what, "the statement is nested too deeply", "{deep}");
        }
        for wide in [", 1 + 1", ", f(a, b = 1)", ", CASE WHEN a = 1 THEN b + 1 ELSE c END"] {
            let parsed = parse(&format!("SELECT 1{}", wide.repeat(5000))).unwrap();
            assert_eq!(parsed.len(), 1, "{wide}");
        }
    }

    #[test]
    fn mistakes_are_shown_in_their_place() {
        let trouble = parse("SELECT a\nFROM t WHERE )").unwrap_err();
        assert!(trouble.what.starts_with("no SQL: Expected:"), "{}", trouble.what);
        assert!(trouble.what.contains("\n  FROM t WHERE )\n"), "{}", trouble.what);
        let trouble = parse("SELECT 'open").unwrap_err();
        assert!(trouble.what.starts_with("no SQL: "), "{}", trouble.what);
        for sql in [
            "INSERT INTO t VALUES (1)",
            "DELETE FROM events",
            "TRUNCATE TABLE events",
            "CREATE TABLE t (a INT)",
        ] {
            let trouble = parse(sql).unwrap_err();
            assert!(trouble.what.contains("traces are only read"), "{sql}: {}", trouble.what);
        }
    }

    #[test]
    fn several_statements_and_none() {
        assert_eq!(parse(" ; ; ").unwrap(), []);
        let all = parse("SHOW TABLES; DESCRIBE events; -- that is all\nSELECT 1").unwrap();
        assert_eq!(all[..2], [Statement::Tables, Statement::Describe("events".into())]);
        assert_eq!(all.len(), 3);
    }
}
