//! Aligned columns.

use super::one_line;

/// A table whose first column is text, and whose other columns are numbers, which are aligned at their ends.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    /// The number of columns of text, from the left.
    texts: usize,
}

impl Table {
    pub(crate) fn new(texts: usize, headings: &[&str]) -> Table {
        Table { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()], texts }
    }

    /// Adds a row. A cell has one line, whatever is in it.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| one_line(cell).into_owned()).collect());
    }

    /// Takes these columns away, one after the other, until the lines have at most so many characters.
    pub(crate) fn fit(&mut self, width: usize, headings: &[&str]) {
        for heading in headings {
            if self.text().lines().all(|line| line.chars().count() <= width) {
                return;
            }
            if let Some(at) = self.rows[0].iter().position(|known| known == heading) {
                self.rows.iter_mut().for_each(|row| drop(row.remove(at)));
            }
        }
    }

    /// Takes the last rows away, if there are more than so many without the headings. Returns how many those are.
    pub(crate) fn shorten(&mut self, most: usize) -> usize {
        let left = self.rows.len().saturating_sub(most + 1);
        self.rows.truncate(most + 1);
        left
    }

    pub(crate) fn text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let lines = self.rows.iter().map(|row| {
            let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
                let padding = " ".repeat(width - cell.chars().count());
                if column < self.texts { format!("{cell}{padding}") } else { format!("{padding}{cell}") }
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        });
        lines.collect::<Vec<_>>().join("\n")
    }
}

/// Names and what they mean, one a line. Further lines of a text are indented.
pub(crate) fn facts(facts: &[(&str, String)]) -> String {
    let width = facts.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let indent = format!("\n{}", " ".repeat(width + 2));
    facts
        .iter()
        .map(|(name, text)| format!("{name:width$}  {}", text.replace('\n', &indent)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(1, &["NAME", "COUNT"]);
        table.row(vec!["é".to_owned(), "1".to_owned()]);
        table.row(vec!["longer".to_owned(), "12,345".to_owned()]);
        assert_eq!(table.text(), "NAME     COUNT\né            1\nlonger  12,345");
        table.fit(12, &["NONE", "COUNT"]);
        assert_eq!(table.text(), "NAME\né\nlonger");
        assert_eq!((table.shorten(2), table.shorten(1)), (0, 1));
        assert_eq!(table.text(), "NAME\né");
        table.row(vec!["x\ny".to_owned()]);
        assert_eq!(table.text(), "NAME\né\nx\\u{a}y");
        assert_eq!(facts(&[("a", "1\n2".to_owned()), ("long", "3".to_owned())]), "a     1\n      2\nlong  3");
    }
}
