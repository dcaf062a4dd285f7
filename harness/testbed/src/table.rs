//! Tables: the columns are described once and rendered for a terminal, as Markdown, CSV or HTML.

use std::fmt::Write;

use anstyle::Style;
use anyhow::{Context, Result};
use comfy_table::{CellAlignment, presets};
use maud::{Markup, html};

use crate::number::NONE;

/// Spaces between the columns on a terminal.
const GAP: u16 = 2;

const FAINT: Style = Style::new().dimmed();

/// A column that [`Table::fit`] never leaves out.
const ALWAYS: u8 = u8::MAX;

/// Returns the CSS class of a row.
type RowClass<'a, R> = Box<dyn Fn(&R) -> Option<&'static str> + 'a>;

/// The columns of a table with rows of type `R`.
pub struct Table<'a, R> {
    columns: Vec<Column<'a, R>>,
    class: RowClass<'a, R>,
}

/// A column: its heading, its alignment and the getter of its cells.
pub struct Column<'a, R> {
    title: String,
    unit: &'static str,
    is_number: bool,
    priority: u8,
    cell: Box<dyn Fn(&R) -> Cell + 'a>,
}

/// The content of one cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    text: String,
    value: Value,
    emphasis: Emphasis,
}

/// The content of a cell for sorting and for CSV.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Missing,
    Text,
    Number(f64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Emphasis {
    Plain,
    Strong,
    Code,
}

impl<'a, R> Column<'a, R> {
    /// Creates a column of text, which is aligned to the left.
    pub fn text<C: Into<Cell>>(title: impl Into<String>, cell: impl Fn(&R) -> C + 'a) -> Self {
        Self {
            title: title.into(),
            unit: "",
            is_number: false,
            priority: ALWAYS,
            cell: Box::new(move |row| cell(row).into()),
        }
    }

    /// Creates a column of numbers in a unit (empty if there is none), which is aligned to the right.
    pub fn number<C: Into<Cell>>(
        title: impl Into<String>,
        unit: &'static str,
        cell: impl Fn(&R) -> C + 'a,
    ) -> Self {
        Self {
            unit,
            is_number: true,
            ..Self::text(title, cell)
        }
    }

    /// Sets how late [`Table::fit`] leaves the column out: the lowest priority goes first.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    fn heading(&self, title: &str) -> String {
        let gap = match self.unit {
            "" => "",
            unit if unit.starts_with('/') => "",
            _ => " ",
        };
        format!("{title}{gap}{}", self.unit)
    }
}

impl Cell {
    /// Creates a cell of a number that is shown as `format` writes it.
    pub fn number(value: f64, format: impl Fn(f64) -> String) -> Self {
        Self {
            text: format(value),
            value: Value::Number(value),
            emphasis: Emphasis::Plain,
        }
    }

    /// Emphasizes the cell in Markdown and HTML.
    #[must_use]
    pub fn strong(mut self) -> Self {
        self.emphasis = Emphasis::Strong;
        self
    }

    /// Sets the cell as code in Markdown and HTML.
    #[must_use]
    pub fn code(mut self) -> Self {
        self.emphasis = Emphasis::Code;
        self
    }

    fn markdown(&self) -> String {
        match self.emphasis {
            Emphasis::Plain => escape(&self.text),
            Emphasis::Strong => format!("**{}**", escape(&self.text)),
            Emphasis::Code => format!("`{}`", self.text.replace('|', "\\|")),
        }
    }

    fn csv(&self) -> String {
        match self.value {
            Value::Missing => String::new(),
            Value::Text => self.text.clone(),
            Value::Number(value) => value.to_string(),
        }
    }

    fn html(&self) -> Markup {
        html! {
            @match self.emphasis {
                Emphasis::Plain => (self.text),
                Emphasis::Strong => strong { (self.text) },
                Emphasis::Code => code { (self.text) },
            }
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self {
            text,
            value: Value::Text,
            emphasis: Emphasis::Plain,
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        Self::number(value, |value| value.to_string())
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        (value as f64).into()
    }
}

impl<C: Into<Self>> From<Option<C>> for Cell {
    fn from(cell: Option<C>) -> Self {
        let missing = || Self {
            value: Value::Missing,
            ..NONE.into()
        };
        cell.map_or_else(missing, C::into)
    }
}

impl<'a, R> Table<'a, R> {
    /// Creates a table of these columns.
    #[must_use]
    pub fn new(columns: impl IntoIterator<Item = Column<'a, R>>) -> Self {
        Self {
            columns: columns.into_iter().collect(),
            class: Box::new(|_| None),
        }
    }

    /// Sets the CSS class of rows; a row with one is faint on a terminal.
    #[must_use]
    pub fn class(mut self, class: impl Fn(&R) -> Option<&'static str> + 'a) -> Self {
        self.class = Box::new(class);
        self
    }

    /// Leaves out columns, those of the lowest priority first, until the rows fit into `width`.
    pub fn fit<'r>(&mut self, rows: &(impl Iterator<Item = &'r R> + Clone), width: usize)
    where
        R: 'r,
    {
        let fits = |table: &str| table.lines().all(|line| line.chars().count() <= width);
        while !fits(&self.plain(rows.clone())) {
            let priorities = self.columns.iter().map(|column| column.priority);
            let Some(lowest) = priorities.filter(|priority| *priority < ALWAYS).min() else {
                return;
            };
            self.columns.retain(|column| column.priority != lowest);
        }
    }

    /// Renders the rows for a terminal, with styles.
    pub fn terminal<'r>(&self, rows: impl Iterator<Item = &'r R> + Clone) -> String
    where
        R: 'r,
    {
        let table = self.plain(rows.clone());
        let classes = rows.map(|row| (self.class)(row));
        let styled = table.lines().zip([None].into_iter().chain(classes));
        styled.fold(String::new(), |mut text, (line, class)| {
            let _ = match class {
                Some(_) => writeln!(text, "{FAINT}{line}{FAINT:#}"),
                None => writeln!(text, "{line}"),
            };
            text
        })
    }

    fn plain<'r>(&self, rows: impl Iterator<Item = &'r R>) -> String
    where
        R: 'r,
    {
        let columns = self.columns.iter();
        let header = columns.map(|column| column.heading(&column.title.to_uppercase()));
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING).set_header(header);
        table.add_rows(rows.map(|row| {
            let cells = self.cells(row);
            cells.map(|cell| cell.text.replace('\n', " "))
        }));
        for (column, shown) in self.columns.iter().zip(table.column_iter_mut()) {
            shown.set_padding((0, GAP));
            if column.is_number {
                shown.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.trim_fmt()
    }

    /// Renders the rows as Markdown.
    pub fn markdown<'r>(&self, rows: impl Iterator<Item = &'r R>) -> String
    where
        R: 'r,
    {
        let columns = self.columns.iter();
        let headings = columns.map(|column| escape(&column.heading(&column.title)));
        let mut text = format!("| {} |\n|", headings.collect::<Vec<_>>().join(" | "));
        for column in &self.columns {
            text += if column.is_number { "--:|" } else { "---|" };
        }
        text.push('\n');
        for row in rows {
            let cells = self.cells(row).map(|cell| cell.markdown());
            let _ = writeln!(text, "| {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        text
    }

    /// Renders the rows as CSV; a missing value is an empty field.
    ///
    /// # Errors
    /// The rows cannot be written as CSV.
    pub fn csv<'r>(&self, rows: impl Iterator<Item = &'r R>) -> Result<String>
    where
        R: 'r,
    {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let columns = self.columns.iter();
        writer.write_record(columns.map(|column| column.heading(&column.title)))?;
        for row in rows {
            writer.write_record(self.cells(row).map(|cell| cell.csv()))?;
        }
        let bytes = writer.into_inner().context("writing CSV")?;
        String::from_utf8(bytes).context("writing CSV")
    }

    /// Renders the rows as an HTML table whose cells have their sort keys in `data-value`.
    pub fn html<'r>(&self, caption: &str, rows: impl Iterator<Item = &'r R>) -> Markup
    where
        R: 'r,
    {
        let alignment = |column: &Column<'_, R>| (!column.is_number).then_some("text");
        html! {
            div.scroll tabindex="0" role="region" aria-label=(caption) {
                table.sortable {
                    caption { (caption) }
                    thead {
                        tr {
                            @for column in &self.columns {
                                th scope="col" class=[alignment(column)] { (column.heading(&column.title)) }
                            }
                        }
                    }
                    tbody {
                        @for row in rows {
                            tr class=[(self.class)(row)] {
                                @for (column, cell) in self.columns.iter().zip(self.cells(row)) {
                                    td class=[alignment(column)] data-value=(cell.csv()) { (cell.html()) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    fn cells<'t>(&'t self, row: &'t R) -> impl Iterator<Item = Cell> + 't {
        self.columns.iter().map(|column| (column.cell)(row))
    }
}

/// Renders a table of texts for a terminal.
pub fn texts<const N: usize>(
    titles: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> String {
    let columns = titles.into_iter().enumerate();
    let columns = columns
        .map(|(index, title)| Column::text(title, move |row: &[String; N]| row[index].clone()));
    let rows: Vec<_> = rows.into_iter().collect();
    let table = Table::new(columns).terminal(rows.iter());
    table.trim_end().to_owned()
}

/// Escapes a text as part of a line of Markdown: it ends no cell, opens no tag and marks nothing.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            '\n' | '\r' => escaped.push(' '),
            '<' => escaped += "&lt;",
            '&' => escaped += "&amp;",
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' => escaped.extend(['\\', character]),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::whole;

    type Row = (&'static str, Option<f64>);

    const ROWS: [Row; 2] = [("long <name>", Some(7.25)), ("a, |b", None)];

    fn table() -> Table<'static, Row> {
        let number = |row: &Row| {
            row.1
                .map(|value| Cell::number(value * 1000.0, whole).strong())
        };
        Table::new([
            Column::text("name", |row: &Row| row.0),
            Column::number("mean", "ms", number).priority(1),
        ])
        .class(|row| row.1.is_none().then_some("failed"))
    }

    #[test]
    fn terminal_table_aligns_numbers_right_and_dims_rows_with_a_class() {
        let text = table().terminal(ROWS.iter());
        let lines: Vec<_> = text.lines().collect();
        let faint = format!("{FAINT}a, |b              –{FAINT:#}");
        assert_eq!(
            lines,
            [
                "NAME         MEAN ms",
                "long <name>    7,250",
                faint.as_str()
            ]
        );
    }

    #[test]
    fn narrow_terminal_loses_the_column_of_lowest_priority() {
        for (width, heading) in [(20, "NAME         MEAN ms"), (19, "NAME"), (1, "NAME")] {
            let mut table = table();
            table.fit(&ROWS.iter(), width);
            let text = table.terminal(ROWS.iter());
            assert_eq!(text.lines().next(), Some(heading), "{width}");
        }
    }

    #[test]
    fn markdown_table_is_escaped() {
        assert_eq!(
            table().markdown(ROWS.iter()),
            "| name | mean ms |\n|---|--:|\n| long &lt;name> | **7,250** |\n| a, \\|b | – |\n"
        );
        let code = Cell::from("users_me|x").code();
        assert_eq!(code.markdown(), "`users_me\\|x`");
    }

    #[test]
    fn csv_has_raw_values_and_empty_fields() {
        let csv = table().csv(ROWS.iter()).unwrap();
        assert_eq!(csv, "name,mean ms\nlong <name>,7250\n\"a, |b\",\n");
    }

    #[test]
    fn html_cells_have_their_sort_keys() {
        let html = table().html("Means", ROWS.iter()).into_string();
        let row = "<tr><td class=\"text\" data-value=\"long &lt;name&gt;\">long &lt;name&gt;</td>\
                   <td data-value=\"7250\"><strong>7,250</strong></td></tr>";
        assert!(html.contains(row), "{html}");
        assert!(html.contains("<tr class=\"failed\">"), "{html}");
        assert!(html.contains("<td data-value=\"\">–</td>"), "{html}");
    }
}
