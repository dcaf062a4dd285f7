//! Lines that the kit inserts into files of the checkout, at the end of a list that is found by its
//! first and last line: the rest of those files may change.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Lines of one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// Path in the checkout.
    pub(super) file: String,
    /// The first line of the list that the lines belong to.
    after: String,
    /// The line after the list.
    before: String,
    /// The lines, each with its line end.
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    edit: Vec<Edit>,
}

pub(super) fn parse(text: &str) -> Result<Vec<Edit>> {
    let List { edit } = toml::from_str(text).context("not a list of edits")?;
    Ok(edit)
}

impl Edit {
    /// Returns the file with the lines; the same file if it has them already.
    ///
    /// # Errors
    /// The file has no such list.
    pub(super) fn insert(&self, file: &str) -> Result<String> {
        // In front of the first line too, so that every line is found by its line ends.
        let lines = format!("\n{file}");
        if lines.contains(&format!("\n{}", self.text)) {
            return Ok(file.to_owned());
        }
        let Some(after) = lines.find(&format!("\n{}\n", self.after)) else {
            bail!("it has no line `{}`", self.after);
        };
        let list = after + 1 + self.after.len();
        let Some(length) = lines[list..].find(&format!("\n{}\n", self.before)) else {
            bail!(
                "after its line `{}` there is no line `{}`",
                self.after,
                self.before
            );
        };
        let (before, rest) = file.split_at(list + length);
        Ok([before, &self.text, rest].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "x = [\n    1,\n]\ny = [\n    2,\n]\n";

    fn edit(after: &str, before: &str) -> Edit {
        let [after, before] = [after, before].map(str::to_owned);
        Edit {
            file: "f".to_owned(),
            after,
            before,
            text: "    3,\n".to_owned(),
        }
    }

    #[test]
    fn lines_are_inserted_once_at_the_end_of_their_list() {
        let edited = edit("y = [", "]").insert(FILE).unwrap();
        assert_eq!(edited, "x = [\n    1,\n]\ny = [\n    2,\n    3,\n]\n");
        assert_eq!(edit("y = [", "]").insert(&edited).unwrap(), edited);
    }

    #[test]
    fn missing_list_is_named() {
        let error = |edit: Edit| edit.insert(FILE).unwrap_err().to_string();
        assert_eq!(error(edit("z = [", "]")), "it has no line `z = [`");
        let unended = error(edit("y = [", ")"));
        assert_eq!(unended, "after its line `y = [` there is no line `)`");
    }
}
