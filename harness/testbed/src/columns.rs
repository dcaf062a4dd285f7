//! Tables without lines: words on the left of their columns, figures on the right.

use comfy_table::{CellAlignment, Row, Table, presets};

/// Spaces between columns.
pub const GAP: u16 = 2;

/// A table of this header and these rows, the columns of figures as told by their places from 0.
pub fn columns(
    header: impl Into<Row>,
    rows: impl IntoIterator<Item = impl Into<Row>>,
    is_figure: impl Fn(usize) -> bool,
) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header).add_rows(rows);
    for (place, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, GAP));
        if is_figure(place) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_figures_right() {
        let rows = [["long name", "7"], ["b", "1,000"]];
        let text = columns(["NAME", "COUNT"], rows, |place| place == 1);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines,
            ["NAME       COUNT", "long name      7", "b          1,000"]
        );
    }
}
