//! What `--engine k6` runs, as files: for a load from elsewhere, by one k6 or by many.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use schema::Profile;

use super::engine::k6;
use super::input;
use super::scenario::Scenario;
use conformance::random;

/// Rows that the requests of a scenario need, to be put into the target's database.
const USERS: &str = "users.sql";

/// Writes `load.js` and `inputs.json` of each scenario into a folder of its name, and the rows of
/// their users into `users.sql`. Tokens are signed with this secret. Returns what was written.
///
/// # Errors
/// The file system's.
pub fn write(folder: &Path, users: usize, secret: &str) -> Result<Vec<PathBuf>> {
    let users: Vec<_> = (0..users).map(|_| random::profile()).collect();
    // Inputs name no host: the script is told it.
    let nowhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let mut files = vec![(PathBuf::from(USERS), rows(&users))];
    for scenario in Scenario::ALL {
        let inputs = input::inputs(scenario, nowhere, &users, secret);
        let home = PathBuf::from(scenario.name());
        files.push((home.join(k6::SCRIPT), k6::script(scenario)));
        files.push((home.join(k6::INPUTS), k6::inputs(&inputs)));
    }
    let written = files.into_iter().map(|(name, text)| {
        let path = folder.join(name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("making {}", parent.display()))?;
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    });
    written.collect()
}

/// An `INSERT` that can be run again.
fn rows(users: &[Profile]) -> String {
    let rows = users.iter().map(|user| {
        let fields = [
            &user.id,
            &user.name,
            &user.email,
            &user.address,
            &user.city,
            &user.country,
        ];
        let fields = fields.map(|field| format!("'{}'", field.replace('\'', "''")));
        format!("({})", fields.join(", "))
    });
    let rows: Vec<_> = rows.collect();
    format!(
        "INSERT INTO users (id, name, email, address, city, country) VALUES\n{}\n\
         ON CONFLICT (id) DO NOTHING;\n",
        rows.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a ConfigMap holds at most.
    const CONFIG_MAP_MAX_BYTES: usize = 1 << 20;

    #[test]
    fn every_scenario_has_its_script_and_inputs_that_fit_a_config_map() {
        let folder = tempfile::tempdir().unwrap();
        let written = write(folder.path(), 1000, "secret").unwrap();
        assert_eq!(written.len(), 1 + 2 * Scenario::ALL.len());
        for scenario in Scenario::ALL {
            let home = folder.path().join(scenario.name());
            let script = fs::read_to_string(home.join("load.js")).unwrap();
            assert_eq!(script, k6::script(scenario));
            let inputs = fs::read_to_string(home.join("inputs.json")).unwrap();
            assert!(script.len() + inputs.len() < CONFIG_MAP_MAX_BYTES);
            let inputs: serde_json::Value = serde_json::from_str(&inputs).unwrap();
            assert!(!inputs.as_array().unwrap().is_empty());
        }
    }

    #[test]
    fn quotes_in_a_row_are_doubled() {
        let user = Profile {
            city: "Ada's".to_owned(),
            ..schema::fixtures::profile()
        };
        let sql = rows(&[user]);
        assert!(sql.contains(", 'Ada''s', "), "{sql}");
        assert!(sql.ends_with(")\nON CONFLICT (id) DO NOTHING;\n"), "{sql}");
    }
}
