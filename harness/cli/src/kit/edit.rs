//! Lines that the kit inserts into files of the checkout, found by the lines around them, so that
//! what else those files say may change.

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Lines of one file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// Path in the checkout.
    pub(super) file: String,
    /// The line that opens the list which they belong to.
    after: String,
    /// The line that ends it, which they stand in front of.
    before: String,
    /// The lines, each with its end.
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
    /// The file with the lines; as it is if it has them already.
    ///
    /// # Errors
    /// It has no such list.
    pub(super) fn insert(&self, file: &str) -> Result<String> {
        if self.is_in(file) {
            return Ok(file.to_owned());
        }
        let Some(opened) = self.opened(file) else {
            bail!("it has no line `{}`", self.after);
        };
        let mut at = opened;
        for line in file[opened..].split_inclusive('\n') {
            if line.trim_end_matches('\n') == self.before {
                return Ok([&file[..at], &self.text, &file[at..]].concat());
            }
            at += line.len();
        }
        bail!(
            "after its line `{}` there is no line `{}`",
            self.after,
            self.before
        )
    }

    /// The file without the lines; as it is if it has them not.
    pub(super) fn remove(&self, file: &str) -> String {
        match file.split_once(&self.text) {
            Some((before, after)) if self.is_in(file) => before.to_owned() + after,
            _ => file.to_owned(),
        }
    }

    fn is_in(&self, file: &str) -> bool {
        // At the start of a line: the first line of `text` could end another.
        file.contains(&format!("\n{}", self.text))
    }

    /// Where the line after `after` begins.
    fn opened(&self, file: &str) -> Option<usize> {
        let mut end = 0;
        for line in file.split_inclusive('\n') {
            end += line.len();
            if line.trim_end_matches('\n') == self.after {
                return Some(end);
            }
        }
        None
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
    fn lines_stand_at_the_end_of_their_list_and_nowhere_else() {
        let edited = edit("y = [", "]").insert(FILE).unwrap();
        assert_eq!(edited, "x = [\n    1,\n]\ny = [\n    2,\n    3,\n]\n");
    }

    #[test]
    fn twice_is_once_and_removing_gives_back_every_byte() {
        let edit = edit("x = [", "]");
        let once = edit.insert(FILE).unwrap();
        assert_eq!(edit.insert(&once).unwrap(), once);
        assert_eq!(edit.remove(&once), FILE);
        assert_eq!(edit.remove(FILE), FILE);
    }

    #[test]
    fn a_list_that_is_not_there_is_named() {
        let error = |edit: Edit| edit.insert(FILE).unwrap_err().to_string();
        assert_eq!(error(edit("z = [", "]")), "it has no line `z = [`");
        let unended = error(edit("y = [", ")"));
        assert_eq!(unended, "after its line `y = [` there is no line `)`");
    }
}
